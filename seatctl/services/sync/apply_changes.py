"""Subscriptions that a sync has read become facts: pools refreshed, added, renamed, emptied. One transaction.

The caller holds the money lock: no operation of this ledger is under way while its result could be undone
by an older copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from seatctl.billing.objects import UnreadableObject, read_subscription
from seatctl.ledger import operations
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import mirrored_subscriptions, stripe_objects, subscription_updates
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import Call
from seatctl.models.mirror import Kind, Unreadable
from seatctl.models.operation import OperationState
from seatctl.models.report import Record
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.rules.metadata import OPERATION
from seatctl.services.sync.apply_plans import mirror_plans
from seatctl.services.sync.apply_subscription import ENDED, begin, copy, finish, has_to_wait, take

_NOT_BILLED = ENDED | {"incomplete"}


@dataclass(slots=True)
class AppliedChanges:
    """What became of the subscriptions that were read."""

    rows: list[Record] = field(default_factory=list)
    plans: int = 0
    skipped: list[Unreadable] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """The Stripe ids that need not be kept any longer."""


def take_over(ledger: Ledger, call: Call, gone: list[str], at: datetime) -> AppliedChanges:
    """Take over everything that waits in the mirror, as it stands `at` (UTC, Stripe's time).

    `gone`: products that Stripe has deleted.
    """
    with ledger.reading() as reader:
        waiting = _in_order(reader)
        made = made_here(reader, ledger.id)
        editing = frozenset(_plans_under_way(reader))
    _copy_known(ledger, at, waiting)
    taken = AppliedChanges()
    with ledger.change(call) as tx:
        taken.plans = mirror_plans(tx, gone, editing)
        taking = begin(tx, ledger.id, at)
        for found in _read(tx, waiting):
            if has_to_wait(tx, found, taking):
                continue  # forgotten here, it would be lost should the operation come to nothing
            if made.is_under_way(found) or made.come_to_nothing(found):
                taken.done.append(found.id)
                continue
            try:
                taken.rows.extend(take(tx, found, taking))
            except UnreadableObject as error:
                taken.skipped.append(Unreadable(Kind.SUBSCRIPTION, found.id, error.message))
            taken.done.append(found.id)
        finish(tx, taking)
        tx.summarise("took over what has changed in Stripe")
    with ledger.journal() as journal:
        subscription_updates.update_unpaid_since_of_all(journal)
    return taken


def _in_order(reader: Reader) -> list[str]:
    """Those that run first, then by age: they get the good names, and a kill changes nothing about it."""
    return stripe_objects.waiting_subscriptions(reader, last=sorted(ENDED))


@dataclass(frozen=True, slots=True)
class OwnMarks:
    """The marks in Stripe of this ledger's operations that have made no pool."""

    unfinished: frozenset[str]
    failed: frozenset[str]

    def is_under_way(self, found: StripeSubscription) -> bool:
        """Whether it becomes a pool by its operation's own end, and not by a sync."""
        return found.metadata.get(OPERATION) in self.unfinished

    def come_to_nothing(self, found: StripeSubscription) -> bool:
        """Whether a failed purchase left it, never paid or canceled. One that runs is billed, and counts."""
        return found.metadata.get(OPERATION) in self.failed and found.status.value in _NOT_BILLED


def made_here(reader: Reader, ledger_id: str) -> OwnMarks:
    """What the operations of this ledger have in Stripe that is not for a sync to take over."""
    unfinished = [one.id for one in operations.unfinished(reader)]
    failed = operations.ids(reader, ("buy", "checkout"), OperationState.FAILED)
    return OwnMarks(_marked(ledger_id, unfinished), _marked(ledger_id, failed))


def _marked(ledger_id: str, numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(f"{ledger_id}:{number}" for number in numbers)


def _plans_under_way(reader: Reader) -> Iterator[str]:
    for operation in operations.unfinished(reader):
        if (operation.reserved_name or "").startswith("plan:"):
            yield str(operation.reserved_name).removeprefix("plan:")


def _read(reader: Reader, waiting: list[str]) -> Iterator[StripeSubscription]:
    return (read_subscription(stored.data) for stored in stripe_objects.by_ids(reader, waiting))


def _copy_known(ledger: Ledger, at: datetime, waiting: list[str]) -> None:
    """The columns that are only a copy: no facts, so they are kept even where no fact has changed."""
    with ledger.journal() as journal:
        known = mirrored_subscriptions.stripe_ids(journal)
        for found in _read(journal, [identifier for identifier in waiting if identifier in known]):
            copy(journal, found, at)


def outdated(ledger: Ledger) -> list[tuple[Kind, str]]:
    """Subscriptions that this ledger's own operations have changed since they were read."""
    with ledger.reading() as reader:
        return [(Kind.SUBSCRIPTION, one) for one in stripe_objects.outdated(reader)]


def forget(journal: Journal, taken: AppliedChanges) -> None:
    """What was taken over need not wait any longer."""
    stripe_objects.delete(journal, taken.done)
