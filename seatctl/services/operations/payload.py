"""What an operation stores when it begins, typed: its handler knows nothing else.

Each kind of operation adds its own fields in a frozen dataclass beside its handler. `rules/typed_json.py`
dumps and loads it. The keys in the ledger never change: a field that gets a better name keeps its key by
`stored_as`. A new field has a default that means what the version without the field did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seatctl.rules.purchases import ShownCharge


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What operations of every kind store."""

    kind: ClassVar[str]
    """The name of the kind in the ledger."""
    summary: str = ""
    """What the run's report says once the operation is done."""
    due_now: int = 0
    """What was shown as due, in minor units."""
    shown: ShownCharge | None = None
    warnings: tuple[str, ...] = ()
    customer: str | None = None
    """The Stripe customer who pays, None if the operation makes one or charges nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPayload(Payload):
    """What operations on a running subscription store."""

    subscription: int
    """Its id in the ledger."""
    stripe_id: str
    """The id of its Stripe subscription."""
