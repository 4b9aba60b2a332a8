"""`sync`: finish or undo what was interrupted, then read from Stripe what the ledger does not know yet.

A backfill or an increment brings objects into the mirror; what they mean is taken over under the money
lock, in one transaction. Only then is a success noted, with the place from which the next sync goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from seatctl.billing.clock import stripe_now
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import invoices, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers, mirrored_subscriptions, stripe_objects, sync_state
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.mirror import Gone, Kind, Mirrored
from seatctl.models.money import plain_amount
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.rules.plural import counted
from seatctl.services.notifications.reminders import queue_notices
from seatctl.services.operations.recovery import Recovered, recover
from seatctl.services.sync.apply_changes import AppliedChanges, forget, outdated, take_over
from seatctl.services.sync.apply_plans import without_product
from seatctl.services.sync.apply_subscription import ENDED
from seatctl.services.sync.backfill import backfill, is_needed
from seatctl.services.sync.events import ChangedObjects, in_order, news
from seatctl.services.sync.reader import ParallelReader, reading
from seatctl.services.sync.store import store
from seatctl.services.users.permissions import allow

COLUMNS = ("run", "kind", "name", "result", "summary")


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """What reading Stripe has come to."""

    read: int
    whole: bool
    taken: AppliedChanges


def sync(ledger: Ledger, billing: Billing, call: Call, *, full: bool = False) -> Report:
    """Bring ledger and Stripe to agree. 75 where an operation is undecided, 10 where one waits for a bank.

    Raises what the port raises: then nothing is noted as a success, and the next sync goes on from here.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.SYNC)
    if call.dry_run:
        return _foretell(ledger, billing, call, full=full)
    recovered = recover(ledger, billing, call)
    with ledger.reading() as reader:
        was_empty = not mirrored_subscriptions.taken_name_keys(reader)
    with reading(billing) as stripe:
        done = _mirror(ledger, billing, call, stripe, full=full)
    queue_notices(ledger, call)
    return _report(ledger, recovered, done, rebuilt=was_empty and bool(done.taken.rows))


def follow(ledger: Ledger, billing: Billing, call: Call, objects: Iterable[tuple[Kind, str]]) -> Report:
    """Fetch these objects anew and take them over. No success is noted: others may have been missed."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.SYNC)
    with reading(billing) as stripe:
        gone, count = _fetch(ledger, call, stripe, objects)
        taken = _take_over(ledger, call, stripe, gone, stripe_now(billing, call))
    return _report(ledger, [], SyncProgress(count, False, taken))


def _mirror(
    ledger: Ledger, billing: Billing, call: Call, stripe: ParallelReader, *, full: bool
) -> SyncProgress:
    whole, count, since = is_needed(ledger, call.now, full=full), 0, None
    if whole:
        count = backfill(ledger, billing, call, stripe, anew=full)
        with ledger.reading() as reader:
            under_way = sync_state.backfill(reader)
        since = None if under_way is None else under_way[0]
    told = news(ledger, billing, since)
    at = stripe_now(billing, call)
    with ledger.reading() as reader:
        # No event tells of what begins by the clock, nor of a draft whose customer's balance has moved.
        due = [(Kind.SUBSCRIPTION, one) for one in mirrored_subscriptions.with_due_change(reader, at)]
        changed = [name for kind, name in told.objects if kind is Kind.CUSTOMER]
        due += [(Kind.INVOICE, one) for one in invoices.drafts_of(reader, changed)]
        # What could not be read was perhaps damaged on its way: nothing would tell that it can be read now.
        due += [(one.kind, one.id) for one in sync_state.skipped(reader)]
        if whole:
            due += [(Kind.SUBSCRIPTION, one) for one in _unmet(reader, call)]
    known = _refunds(ledger, told.objects)
    gone, fetched = _fetch(ledger, call, stripe, in_order([*told.objects, *due]))
    taken = _take_over(ledger, call, stripe, gone, at)
    taken.rows.extend(_given_back(known, _refunds(ledger, told.objects)))
    _note(ledger, call, told, succeeded=not _is_undecided(ledger))
    return SyncProgress(count + fetched, whole, taken)


def _refunds(ledger: Ledger, objects: Iterable[tuple[Kind, str]]) -> dict[str, StripeJson]:
    """The refunds among these objects that the mirror holds, by id, as Stripe's JSON."""
    with ledger.reading() as reader:
        found = (stripe_objects.get(reader, name) for kind, name in objects if kind is Kind.REFUND)
        return {one.id: one.data for one in found if one is not None}


def _given_back(before: Mapping[str, StripeJson], after: Mapping[str, StripeJson]) -> Iterator[Record]:
    """A row for each refund that is new, or has another status: an invoice does not tell of it by itself."""
    for name, refund in after.items():
        status, amount = refund.get("status"), refund.get("amount")
        if name in before and before[name].get("status") == status:
            continue
        currency = str(refund.get("currency") or "")
        money = plain_amount(amount if isinstance(amount, int) else 0, currency)
        summary = f"{money} {currency.upper()} given back: {status or 'of unknown status'}"
        yield {"kind": "refund", "name": name, "result": "read", "summary": summary, "error": None}


def _unmet(reader: Reader, call: Call) -> list[str]:
    """What runs here and no list had: Stripe no longer has it, or it could not be read."""
    running = {
        subscription.stripe_subscription
        for subscription in subscriptions.listing(reader, call.now)
        if subscription.status.value not in ENDED
    }
    if not running:
        return []
    return sorted(running.difference(stripe_objects.waiting_subscriptions(reader, last=())))


def _fetch(
    ledger: Ledger, call: Call, stripe: ParallelReader, objects: Iterable[tuple[Kind, str]]
) -> tuple[list[Gone], int]:
    """Fetch objects into the mirror; what Stripe no longer has, and how many were fetched."""
    gone, batch, count = list[Gone](), list[Mirrored](), 0
    for found in stripe.objects(objects):
        batch.append(found)
        count += 1
        if isinstance(found, Gone):
            gone.append(found)
        if len(batch) >= 100:
            _keep(ledger, call, batch)
    _keep(ledger, call, batch)
    return gone, count


def _keep(ledger: Ledger, call: Call, batch: list[Mirrored]) -> None:
    if batch:
        with ledger.journal() as journal:
            store(journal, batch, call.now)
        batch.clear()


def _take_over(
    ledger: Ledger, call: Call, stripe: ParallelReader, gone: list[Gone], at: datetime
) -> AppliedChanges:
    # Held so that no operation of this ledger changes a subscription between its last reading and the
    # transaction that takes it over: the older copy would give back seats that were just given up.
    with ledger.money_lock():
        gone += _fetch(ledger, call, stripe, outdated(ledger))[0]
        with ledger.reading() as reader:
            unknown = [(Kind.PRODUCT, one) for one in without_product(reader)]
            unknown += [(Kind.CUSTOMER, one) for one in customers.never_read(reader)]
        gone += _fetch(ledger, call, stripe, unknown)[0]
        ended = _end(ledger, call, [one.id for one in gone if one.kind is Kind.SUBSCRIPTION])
        taken = take_over(ledger, call, [one.id for one in gone if one.kind is Kind.PRODUCT], at)
        taken.rows[:0] = ended
    with ledger.journal() as journal:
        for one in taken.skipped:
            sync_state.note_skipped(journal, one, call.now)
        forget(journal, taken)
    return taken


def _end(ledger: Ledger, call: Call, gone: list[str]) -> list[Record]:
    """End what Stripe no longer has (test data that was deleted): it would entitle for ever. A row each."""
    rows: list[Record] = []
    if not gone:
        return rows
    with ledger.journal() as journal:
        stripe_objects.delete(journal, gone)  # an older copy must not bring it back
    with ledger.change(call) as tx:
        for subscription in (
            subscription for one in gone for subscription in mirrored_subscriptions.of_stripe(tx, one)
        ):
            if subscription.status.value not in ENDED:
                subscriptions.end(tx, subscription)
                told: Record = {"kind": "subscription", "name": subscription.name, "result": "changed"}
                rows.append({**told, "summary": "ended: Stripe no longer has it", "error": None})
        tx.summarise("ended what Stripe no longer has")
    return rows


def _note(ledger: Ledger, call: Call, told: ChangedObjects, *, succeeded: bool) -> None:
    """The place after what was taken over; a success only where nothing of ours is left undecided."""
    with ledger.journal() as journal:
        sync_state.note_events(journal, told.newest, told.seen, call.now)
        sync_state.end_backfill(journal)
        if succeeded:
            sync_state.note_success(journal, call.now)


def _is_undecided(ledger: Ledger) -> bool:
    with ledger.reading() as reader:
        return bool(operations.unfinished(reader))


def _foretell(ledger: Ledger, billing: Billing, call: Call, *, full: bool) -> Report:
    """What a sync would do, from what it would look at first."""
    with ledger.reading() as reader:
        left = operations.unfinished(reader)
    rows: list[Record] = [{"run": one.run, "kind": one.kind, "result": "would be recovered"} for one in left]
    if is_needed(ledger, call.now, full=full):
        what = "read everything in Stripe"
    else:
        told = news(ledger, billing).objects
        rows += [
            {"run": None, "kind": str(kind), "name": name, "result": "would be read"} for kind, name in told
        ]
        what = f"read {counted(len(told), 'object')} again"
    summary = f"would recover {counted(len(left), 'operation')} and {what}"
    return Report(None, True, summary, tuple(rows), columns=("run", "kind", "name", "result"))


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
        *done.taken.rows,
        *_skipped_rows(skipped),
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


def _skipped_rows(skipped: Iterable[object]) -> list[Record]:
    from seatctl.models.mirror import Unreadable

    return [
        {"kind": str(one.kind), "name": one.id, "result": "skipped", "summary": one.reason, "error": None}
        for one in skipped
        if isinstance(one, Unreadable)
    ]


def _summary(recovered: list[JsonValue], done: SyncProgress, skipped: int) -> str:
    ended = [f"{recovered.count(how)} {how}" for how in dict.fromkeys(map(str, recovered))]
    looked = "nothing was interrupted"
    if recovered:
        looked = f"{counted(len(recovered), 'interrupted operation')}: {', '.join(ended)}"
    results = [row["result"] for row in done.taken.rows]
    added, changed = results.count("added"), results.count("changed")
    refunds = sum(row.get("kind") == "refund" for row in done.taken.rows)
    parts = [
        f"{counted(added, 'subscription')} added" if added else "",
        f"{counted(changed, 'subscription')} changed" if changed else "",
        f"{counted(done.taken.plans, 'plan')} changed" if done.taken.plans else "",
        f"{counted(refunds, 'refund')} read: seatctl invoices list" if refunds else "",
        f"{counted(skipped, 'object')} could not be read" if skipped else "",
    ]
    quiet = "nothing else changed in Stripe" if recovered else "nothing changed in Stripe"
    said = [part for part in parts if part] or [quiet]
    return "; ".join([looked, *said])
