"""`sync`: finishes or undoes open operations, then reads Stripe, stores it in the mirror and applies it.

A backfill (every list, in spans and in parallel; a killed one resumes) or an increment reads and stores.
Then one transaction applies it to facts, under the money lock.
Only after that a success is noted, with the cursor from which the next sync continues.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from seatctl.billing.listings import BEGINNING
from seatctl.billing.objects import UnreadableObject, named_id
from seatctl.billing.port import Billing, StripeJson, stripe_now
from seatctl.errors import ExitCode, JsonValue, SeatctlError, StripeRefused
from seatctl.ledger import invoices, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers, mirrored_subscriptions, stripe_objects, sync_state
from seatctl.ledger.mirror import invoices as mirrored_invoices
from seatctl.ledger.mirror.customers import CustomerMention
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import Call
from seatctl.models.money import plain_amount
from seatctl.models.operation import Operation
from seatctl.models.report import Record, Report, change_report, counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import (
    EventsRead,
    Gone,
    Kind,
    Mirrored,
    MirroredObject,
    Span,
    StripeCustomer,
    StripeInvoice,
    Unreadable,
)
from seatctl.services.notifications.reminders import queue_notices
from seatctl.services.operations.submit import is_open, perform, undo_if_too_old
from seatctl.services.sync.apply import AppliedChanges, apply_changes, products_not_stored, sync_row
from seatctl.services.sync.reader import (
    ChangedObjects,
    Page,
    ParallelReader,
    by_dependence,
    changed_objects,
    events_so_far,
    parallel_reader,
)
from seatctl.services.users.permissions import allow

COLUMNS = ("run", "kind", "name", "result", "summary")


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """What a sync has read and applied. `whole`: it was a backfill."""

    read: int
    whole: bool
    applied: AppliedChanges


def sync(ledger: Ledger, billing: Billing, call: Call, *, full: bool = False) -> Report:
    """Make the ledger agree with Stripe. Exit code 75 if an operation stays open, 10 if one waits.

    Raises what the port raises; then no success is noted, and the next sync continues from the same cursor.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.SYNC)
    if call.dry_run:
        return _preview(ledger, billing, call, full=full)
    recovered = recover(ledger, billing, call)
    with ledger.reading() as reader:
        was_empty = not mirrored_subscriptions.taken_name_keys(reader)
    with parallel_reader(billing) as stripe:
        done = _read_and_apply(ledger, billing, call, stripe, full=full)
    queue_notices(ledger, call)
    return _report(ledger, recovered, done, rebuilt=was_empty and bool(done.applied.rows))


def sync_objects(ledger: Ledger, billing: Billing, call: Call, objects: Iterable[tuple[Kind, str]]) -> Report:
    """Read these objects again and apply them. Notes no success, because other changes may be missing."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.SYNC)
    with parallel_reader(billing) as stripe:
        deleted, count = _read_objects(ledger, call, stripe, objects)
        applied = _apply(ledger, call, stripe, deleted, stripe_now(billing, call))
    return _report(ledger, [], SyncProgress(count, False, applied))


def _read_and_apply(
    ledger: Ledger, billing: Billing, call: Call, stripe: ParallelReader, *, full: bool
) -> SyncProgress:
    whole, count, since = is_backfill_needed(ledger, call.now, full=full), 0, None
    if whole:
        count = backfill(ledger, billing, call, stripe, restart=full)
        with ledger.reading() as reader:
            unfinished = sync_state.backfill(reader)
        since = None if unfinished is None else unfinished[0]
    changed = changed_objects(ledger, billing, since)
    at = stripe_now(billing, call)
    with ledger.reading() as reader:
        # There is no event for a change at a set time, nor for a draft whose customer's balance has changed.
        also = [(Kind.SUBSCRIPTION, one) for one in mirrored_subscriptions.with_due_change(reader, at)]
        customer_ids = [identifier for kind, identifier in changed.objects if kind is Kind.CUSTOMER]
        also += [(Kind.INVOICE, one) for one in invoices.drafts_of(reader, customer_ids)]
        # Stripe may have no event of an invoice when a bank has decided about its payment.
        also += [(Kind.INVOICE, one) for one in invoices.processing(reader)]
        # A skipped object may have been damaged on its way: no event says that it can be read now.
        also += [(one.kind, one.id) for one in sync_state.skipped(reader)]
        if whole:
            also += [(Kind.SUBSCRIPTION, one) for one in _in_no_list(reader, call)]
    refunds = _refunds(ledger, changed.objects)
    deleted, read = _read_objects(ledger, call, stripe, by_dependence([*changed.objects, *also]))
    applied = _apply(ledger, call, stripe, deleted, at)
    applied.rows.extend(_refund_rows(refunds, _refunds(ledger, changed.objects)))
    _note_cursor(ledger, call, changed)
    return SyncProgress(count + read, whole, applied)


def _refunds(ledger: Ledger, objects: Iterable[tuple[Kind, str]]) -> dict[str, StripeJson]:
    """The refunds among these objects that the mirror has, by id, as Stripe's JSON."""
    with ledger.reading() as reader:
        mirrored = (stripe_objects.get(reader, name) for kind, name in objects if kind is Kind.REFUND)
        return {one.id: one.data for one in mirrored if one is not None}


def _refund_rows(before: Mapping[str, StripeJson], after: Mapping[str, StripeJson]) -> Iterator[Record]:
    """A row for each refund that is new or has another status, because its invoice does not show it."""
    for name, refund in after.items():
        status, amount = refund.get("status"), refund.get("amount")
        if name in before and before[name].get("status") == status:
            continue
        currency = str(refund.get("currency") or "")
        money = plain_amount(amount if isinstance(amount, int) else 0, currency)
        summary = f"{money} {currency.upper()} given back: {status or 'of unknown status'}"
        yield sync_row("refund", name, "read", summary)


def _in_no_list(reader: Reader, call: Call) -> list[str]:
    """Running subscriptions that no list of a backfill had: deleted in Stripe, or not readable."""
    running = {
        subscription.stripe_subscription
        for subscription in subscriptions.listing(reader, call.now)
        if not subscription.status.is_over
    }
    if not running:
        return []
    return sorted(running.difference(stripe_objects.waiting_subscriptions(reader)))


def _read_objects(
    ledger: Ledger, call: Call, stripe: ParallelReader, objects: Iterable[tuple[Kind, str]]
) -> tuple[list[Gone], int]:
    """Read objects into the mirror; return those that Stripe no longer has, and how many were read."""
    deleted, count = list[Gone](), 0
    mirrored = iter(stripe.objects(objects))
    while batch := [*islice(mirrored, 100)]:
        deleted += [one for one in batch if isinstance(one, Gone)]
        count += len(batch)
        with ledger.journal() as journal:
            store(journal, batch, call.now)
    return deleted, count


def _apply(
    ledger: Ledger, call: Call, stripe: ParallelReader, deleted: list[Gone], at: datetime
) -> AppliedChanges:
    # Held so that no operation of this ledger changes a subscription between the last read and the
    # transaction that applies it: the older copy would bring back seats that were just given up.
    with ledger.money_lock():
        with ledger.reading() as reader:
            # Those that this ledger's own operations have changed since they were read.
            outdated = [(Kind.SUBSCRIPTION, one) for one in stripe_objects.outdated(reader)]
        deleted += _read_objects(ledger, call, stripe, outdated)[0]
        with ledger.reading() as reader:
            unknown = [(Kind.PRODUCT, one) for one in products_not_stored(reader)]
            unknown += [(Kind.CUSTOMER, one) for one in customers.never_read(reader)]
        deleted += _read_objects(ledger, call, stripe, unknown)[0]
        ended = _end_deleted(ledger, call, [one.id for one in deleted if one.kind is Kind.SUBSCRIPTION])
        applied = apply_changes(ledger, call, [one.id for one in deleted if one.kind is Kind.PRODUCT], at)
        applied.rows[:0] = ended
    with ledger.journal() as journal:
        for one in applied.skipped:
            sync_state.note_skipped(journal, one, call.now)
        stripe_objects.delete(journal, applied.done)
    return applied


def _end_deleted(ledger: Ledger, call: Call, deleted: list[str]) -> list[Record]:
    """End subscriptions that Stripe has deleted (test data), or they would entitle for ever; a row each."""
    rows: list[Record] = []
    if not deleted:
        return rows
    with ledger.journal() as journal:
        stripe_objects.delete(journal, deleted)  # an older copy must not bring them back
    with ledger.change(call) as tx:
        for subscription in (one for gone in deleted for one in mirrored_subscriptions.of_stripe(tx, gone)):
            if not subscription.status.is_over:
                subscriptions.end(tx, subscription)
                summary = "ended: Stripe no longer has it"
                rows.append(sync_row("subscription", subscription.name, "changed", summary))
        tx.summarise("ended subscriptions that Stripe no longer has")
    return rows


def _note_cursor(ledger: Ledger, call: Call, changed: ChangedObjects) -> None:
    """Note the cursor after what was applied; note a success only if no operation of ours is open.

    One that waits for a bank may wait for two weeks, in which everything else is up to date.
    """
    with ledger.journal() as journal:
        sync_state.note_events(journal, changed.newest, changed.seen, call.now)
        sync_state.end_backfill(journal)
        if all(one.waits_for_bank for one in operations.unfinished(journal)):
            sync_state.note_success(journal, call.now)


def _preview(ledger: Ledger, billing: Billing, call: Call, *, full: bool) -> Report:
    """What a sync would recover and read, as far as Stripe's events tell."""
    with ledger.reading() as reader:
        unfinished = operations.unfinished(reader)
    rows: list[Record] = [{"run": one.run, "kind": one.kind, "result": "pending"} for one in unfinished]
    if is_backfill_needed(ledger, call.now, full=full):
        what = "read everything in Stripe"
    else:
        changed = changed_objects(ledger, billing).objects
        rows += [
            {"run": None, "kind": str(kind), "name": identifier, "result": "read"}
            for kind, identifier in changed
        ]
        what = f"read {counted(len(changed), 'object')} again"
    summary = f"recovered {counted(len(unfinished), 'operation')} and {what}"
    return change_report(summary, tuple(rows), ("run", "kind", "name", "result"), dry_run=True)


def _report(
    ledger: Ledger, recovered: list[Recovered], done: SyncProgress, *, rebuilt: bool = False
) -> Report:
    with ledger.reading() as reader:
        skipped = sync_state.skipped(reader)
    results = [one.row["result"] for one in recovered]
    bugs = tuple(one.bug for one in recovered if one.bug is not None)
    code = ExitCode.DONE
    if bugs:
        code = ExitCode.UNEXPECTED
    elif "pending" in results:
        code = ExitCode.TRY_AGAIN
    elif "waiting" in results:
        code = ExitCode.WAITING
    rows = (
        *({**one.row, "name": f"run {one.row['run']}"} for one in recovered),
        *done.applied.rows,
        *(sync_row(one.kind, one.id, "skipped", one.reason) for one in skipped),
    )
    return Report(
        None,
        False,
        _summary(results, done, len(skipped)),
        rows,
        code,
        columns=COLUMNS if rows else (),
        data={"read": done.read, "backfill": done.whole, "skipped": len(skipped), "rebuilt": rebuilt},
        warnings=tuple(warning for one in recovered for warning in one.warnings),
        bugs=bugs,
    )


def _summary(recovered: list[JsonValue], done: SyncProgress, skipped: int) -> str:
    ended = [f"{recovered.count(result)} {result}" for result in dict.fromkeys(map(str, recovered))]
    recovery = "nothing was interrupted"
    if recovered:
        recovery = f"{counted(len(recovered), 'interrupted operation')}: {', '.join(ended)}"
    results = [row["result"] for row in done.applied.rows]
    added, changed = results.count("added"), results.count("changed")
    refunds = sum(row.get("kind") == "refund" for row in done.applied.rows)
    parts = [
        f"{counted(added, 'subscription')} added" if added else "",
        f"{counted(changed, 'subscription')} changed" if changed else "",
        f"{counted(done.applied.plans, 'plan')} changed" if done.applied.plans else "",
        f"{counted(refunds, 'refund')} read: seatctl invoices list" if refunds else "",
        f"{counted(skipped, 'object')} could not be read" if skipped else "",
    ]
    nothing = "nothing else changed in Stripe" if recovered else "nothing changed in Stripe"
    changes = [part for part in parts if part] or [nothing]
    return "; ".join([recovery, *changes])


@dataclass(frozen=True, slots=True)
class Recovered:
    """The outcome of recovering one operation; `bug` is an unexpected error."""

    row: Record
    bug: Exception | None = None
    warnings: tuple[str, ...] = ()


def recover(ledger: Ledger, billing: Billing, call: Call) -> list[Recovered]:
    """Finish or undo every open operation, oldest first.

    If one fails, even by a bug, the others are still recovered; its row has the error.
    """
    # Whoever performs an operation holds this lock, so no operation that is still running is recovered.
    with ledger.money_lock():
        with ledger.reading() as reader:
            unfinished = operations.unfinished(reader)
        return [_recover_one(ledger, billing, call, operation) for operation in unfinished]


def _recover_one(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> Recovered:
    row: Record = {"run": operation.run, "kind": operation.kind}
    try:
        undone = undo_if_too_old(ledger, billing, call, operation)
        if undone is not None:
            return Recovered({**row, "result": "undone", "summary": undone, "error": None})
        report = perform(ledger, billing, call._replace(dry_run=False), operation)
    except SeatctlError as error:
        result = "failed"
        if is_open(ledger, operation):
            result = "waiting" if error.exit_code is ExitCode.WAITING else "pending"
        summary = error.message
        if result == "pending" and isinstance(error, (StripeRefused, UnreadableObject)):
            summary += f"; to give it up: seatctl runs undo {operation.run}"
        return Recovered({**row, "result": result, "summary": summary, "error": error.code})
    except Exception as bug:  # noqa: BLE001  # the next operations may be purchases that somebody waits for
        summary = (
            f"unexpected {type(bug).__name__}; this is a bug; the log has more; the run stays unfinished"
        )
        return Recovered({**row, "result": "failed", "summary": summary, "error": "unexpected"}, bug)
    finished_row = {**row, "result": "finished", "summary": report.summary, "error": None}
    return Recovered(finished_row, warnings=report.warnings)


EVENTS_LAST: Final = timedelta(days=29)
"""Stripe keeps events for 30 days; one day is subtracted for clocks that differ."""

_CLOCKS_DIFFER: Final = 86400
"""Seconds by which Stripe's clock may be ahead of ours."""


def is_backfill_needed(ledger: Ledger, now: datetime, *, full: bool) -> bool:
    """Whether an increment is not enough.

    It is not if `full` is asked for, if a backfill is unfinished, if the last sync was never or too long ago,
    or if an earlier version did it that did not read every list.
    """
    with ledger.reading() as reader:
        # Not the last success: while a purchase waits for the bank, for up to a day, no sync is one.
        read_at, under_way = sync_state.cursor_noted_at(reader), sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    return full or under_way is not None or read_at is None or not complete or now - read_at > EVENTS_LAST


def backfill(ledger: Ledger, billing: Billing, call: Call, stripe: ParallelReader, *, restart: bool) -> int:
    """Read every list to its end into the mirror; return how many objects were read. Applies nothing.

    `restart`: begin again even if an earlier backfill was interrupted.
    """
    _begin_backfill(ledger, billing, call, restart=restart)
    with ledger.reading() as reader:
        remaining = {kind: sync_state.todo(reader, kind) for kind in Kind}
    # `todo` is consumed from its end: most objects are invoices, so their spans are read first.
    todo = [(kind, span) for kind in Kind for span in remaining[kind]]
    count = 0
    for pages in stripe.pages(todo):
        _store_pages(ledger, call, pages, remaining)
        count += sum(len(page.objects) for page in pages)
    return count + _read_unlisted(ledger, call, stripe)


def _begin_backfill(ledger: Ledger, billing: Billing, call: Call, *, restart: bool) -> None:
    with ledger.reading() as reader:
        under_way = sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    if under_way is not None and not restart and complete and call.now - under_way[1] < EVENTS_LAST:
        return
    # Taken before anything is read, so that what changes meanwhile has a later event.
    before = events_so_far(billing)
    now = int(stripe_now(billing, call).timestamp())
    with ledger.journal() as journal:
        for kind in Kind:
            stripe_objects.delete_kind(journal, kind)
        stripe_objects.note_expected(journal, call.now)
        before = before or EventsRead(now, frozenset())
        until = max(now, before.newest) + _CLOCKS_DIFFER
        sync_state.begin_backfill(journal, before, until, call.now, BEGINNING)


def _store_pages(ledger: Ledger, call: Call, pages: list[Page], remaining: dict[Kind, list[Span]]) -> None:
    """Store pages and what is left of their lists in one transaction: a kill loses or skips no page."""
    for page in pages:
        remaining[page.kind].remove(page.span)
        remaining[page.kind].extend(page.rest)
    with ledger.journal() as journal:
        for page in pages:
            store(journal, page.objects, call.now)
        for kind in {page.kind for page in pages}:
            sync_state.note_todo(journal, kind, remaining[kind], call.now)


def _read_unlisted(ledger: Ledger, call: Call, stripe: ParallelReader) -> int:
    """Read the objects that no list had: deleted customers and drafts that the ledger knows or refers to."""
    with ledger.reading() as reader:
        mentioned = [(Kind.CUSTOMER, one) for one in customers.never_read(reader)]
        missing = list(dict.fromkeys([*mentioned, *stripe_objects.expected(reader)]))
    return _read_objects(ledger, call, stripe, missing)[1]


def store(journal: Journal, objects: Iterable[Mirrored], now: datetime) -> None:
    """Store objects as Stripe has them now (UTC), in the transaction that also notes how far the sync is.

    Kinds that others depend on are stored first. Of an object that was read twice, the later one counts.
    """
    latest = {one.id: one for one in objects}
    stored = [one for one in latest.values() if isinstance(one, MirroredObject)]
    expected = stripe_objects.has_expected(journal)
    stripe_objects.store_all(journal, stored, now)
    customers.store_all(journal, [one for one in latest.values() if isinstance(one, StripeCustomer)])
    # The customers of Stripe subscriptions, whose names a new subscription gets.
    named = [named_id(one.data.get("customer")) for one in stored if one.kind is Kind.SUBSCRIPTION]
    customers.store_mentions(journal, [CustomerMention(name) for name in named if isinstance(name, str)])
    mirrored_invoices.store_all(journal, [one for one in latest.values() if isinstance(one, StripeInvoice)])
    for one in latest.values():
        if isinstance(one, Unreadable):
            sync_state.note_skipped(journal, one, now)
        elif isinstance(one, Gone):
            _delete(journal, one)
    if expected:  # a backfill looks for those that no list had
        stripe_objects.delete(
            journal, (one.id for one in latest.values() if not isinstance(one, MirroredObject))
        )
    for known in sync_state.skipped(journal):
        if known.id in latest and not isinstance(latest[known.id], Unreadable):
            sync_state.note_readable(journal, known.id)


def _delete(journal: Journal, gone: Gone) -> None:
    if gone.kind is Kind.INVOICE:
        mirrored_invoices.delete_draft(journal, gone.id)
    elif gone.kind in (Kind.PRODUCT, Kind.PRICE, Kind.REFUND, Kind.DISPUTE):
        stripe_objects.delete(journal, [gone.id])
