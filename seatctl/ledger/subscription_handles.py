"""Lookup of subscriptions by handle (name or Stripe id), with id and name only.

Separate from `subscriptions.py`, because `check` and `seats list` need no more: the models of a whole
subscription, its plan and its policy take 12 ms of a start-up of 70.
"""

from __future__ import annotations

from typing import NamedTuple

from seatctl.errors import Code, NotFound
from seatctl.ledger.conditions import one_of
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Reader
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.names import name_key

IS_RUNNING = f"status IN {one_of(status for status in SubscriptionStatus if status.is_running)}"
OVER = one_of(status for status in SubscriptionStatus if status.is_over)
HAS_ENDED = f"status IN {OVER}"

CONDITION = "s.name_key = :key OR s.stripe_item = :handle OR s.stripe_subscription = :handle"
"""The condition on `subscriptions AS s`, with the parameters that `parameters` returns."""


class UnknownSubscription(NotFound):
    """There is no subscription with this name or Stripe id."""

    kind = Code.UNKNOWN_SUBSCRIPTION


def parameters(handle: str) -> dict[str, SqlValue]:
    """Return the parameters of CONDITION for a handle: a name, `sub_…` or `si_…`."""
    return {"key": name_key(handle), "handle": handle}


class SubscriptionName(NamedTuple):
    """A subscription's id in the ledger and its name."""

    id: int
    name: str


def find(reader: Reader, handle: str) -> SubscriptionName:
    """Return the id and name of the subscription that a handle names. Raises UnknownSubscription."""
    query = f"SELECT s.id, s.name FROM subscriptions s WHERE {CONDITION}"
    row = reader.row(query, parameters(handle))
    if row is None:
        raise unknown_error(reader, handle)
    return SubscriptionName(row["id"], row["name"])


def unknown_error(reader: Reader, handle: str) -> UnknownSubscription:
    """Return the error for an unknown handle, with similar names."""
    from seatctl.rules.typed_values import did_you_mean

    others = names(reader)
    hint = "seatctl subs list" if others else "seatctl subs buy --plan PLAN --seats N --name NAME"
    if not reader.engine.rights.reads_everything:  # such a database role may use neither command
        hint = (
            f"the names are {', '.join(others)}" if others else "ask an admin: there is no subscription yet"
        )
    return UnknownSubscription(
        f"there is no subscription {handle!r}",
        hint=did_you_mean(handle, others, hint),
        data={"subscription": handle},
    )


def names(reader: Reader) -> list[str]:
    """Return the names of all subscriptions, in order."""
    return reader.column("SELECT name FROM subscriptions ORDER BY name_key")
