"""Applies the Stripe subscriptions that a sync has stored to facts, in one transaction.

The caller holds the money lock: an operation of this ledger that ends meanwhile would be overwritten with an
older copy.
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
from seatctl.services.sync import apply_subscription
from seatctl.services.sync.apply_plans import apply_plans
from seatctl.services.sync.apply_subscription import ENDED, store_copy

_NOT_BILLED = ENDED | {"incomplete"}


@dataclass(slots=True)
class AppliedChanges:
    """What became of the subscriptions that were read."""

    rows: list[Record] = field(default_factory=list)
    plans: int = 0
    """How many plans were added or changed."""
    skipped: list[Unreadable] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """The Stripe ids that need not wait in the mirror any longer."""


def apply_changes(ledger: Ledger, call: Call, deleted: list[str], at: datetime) -> AppliedChanges:
    """Apply everything that waits in the mirror, as Stripe had it `at` (UTC, Stripe's time).

    `deleted`: products that Stripe has deleted.
    """
    with ledger.reading() as reader:
        waiting = _waiting(reader)
        own = own_marks(reader, ledger.id)
        editing = frozenset(_plans_with_open_operation(reader))
    _store_copies(ledger, at, waiting)
    applied = AppliedChanges()
    with ledger.change(call) as tx:
        applied.plans = apply_plans(tx, deleted, editing)
        context = apply_subscription.begin(tx, ledger.id, at)
        for mirror in _read(tx, waiting):
            if apply_subscription.must_wait(tx, mirror, context):
                continue  # it keeps waiting, so that nothing is lost if the operation fails
            if own.is_unfinished(mirror) or own.is_of_failed_purchase(mirror):
                applied.done.append(mirror.id)
                continue
            try:
                applied.rows.extend(apply_subscription.apply(tx, mirror, context))
            except UnreadableObject as error:
                applied.skipped.append(Unreadable(Kind.SUBSCRIPTION, mirror.id, error.message))
            applied.done.append(mirror.id)
        apply_subscription.finish(tx, context)
        tx.summarise("applied what has changed in Stripe")
    with ledger.journal() as journal:
        subscription_updates.update_unpaid_since_of_all(journal)
    return applied


def _waiting(reader: Reader) -> list[str]:
    """The ids that wait, running ones first, then by age: earlier ones get names without a number."""
    return stripe_objects.waiting_subscriptions(reader, last=sorted(ENDED))


@dataclass(frozen=True, slots=True)
class OwnMarks:
    """The marks in Stripe's metadata of this ledger's operations that have added no subscription."""

    unfinished: frozenset[str]
    failed: frozenset[str]

    def is_unfinished(self, mirror: StripeSubscription) -> bool:
        """Whether the end of its own operation adds it to the ledger, and not a sync."""
        return mirror.metadata.get(OPERATION) in self.unfinished

    def is_of_failed_purchase(self, mirror: StripeSubscription) -> bool:
        """Whether a failed purchase left it unpaid or canceled. A running one is billed, and counts."""
        return mirror.metadata.get(OPERATION) in self.failed and mirror.status.value in _NOT_BILLED


def own_marks(reader: Reader, ledger_id: str) -> OwnMarks:
    """The marks of operations whose Stripe subscriptions a sync must not add."""
    unfinished = [operation.id for operation in operations.unfinished(reader)]
    failed = operations.ids(reader, ("buy", "checkout"), OperationState.FAILED)
    return OwnMarks(_marks(ledger_id, unfinished), _marks(ledger_id, failed))


def _marks(ledger_id: str, operation_ids: Iterable[int]) -> frozenset[str]:
    return frozenset(f"{ledger_id}:{operation_id}" for operation_id in operation_ids)


def _plans_with_open_operation(reader: Reader) -> Iterator[str]:
    for operation in operations.unfinished(reader):
        if (operation.reserved_name or "").startswith("plan:"):
            yield str(operation.reserved_name).removeprefix("plan:")


def _read(reader: Reader, waiting: list[str]) -> Iterator[StripeSubscription]:
    return (read_subscription(stored.data) for stored in stripe_objects.by_ids(reader, waiting))


def _store_copies(ledger: Ledger, at: datetime, waiting: list[str]) -> None:
    """Store the columns that are only a copy of Stripe's; they are not facts, so the audit skips them."""
    with ledger.journal() as journal:
        known = mirrored_subscriptions.stripe_ids(journal)
        for mirror in _read(journal, [identifier for identifier in waiting if identifier in known]):
            store_copy(journal, mirror, at)


def outdated(ledger: Ledger) -> list[tuple[Kind, str]]:
    """The Stripe subscriptions that this ledger's own operations have changed since they were read."""
    with ledger.reading() as reader:
        return [(Kind.SUBSCRIPTION, identifier) for identifier in stripe_objects.outdated(reader)]


def delete_applied(journal: Journal, applied: AppliedChanges) -> None:
    """Delete from the mirror what was applied and need not wait any longer."""
    stripe_objects.delete(journal, applied.done)
