"""What the proposals of all changes of a running subscription share, and who loses a seat by them.

`change_operation.py`, `own_invoice_operation.py` and `cancel_operation.py` check and price each change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger import departures, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time
from seatctl.models.money import format_money
from seatctl.models.operation import OperationState
from seatctl.models.plan import Plan
from seatctl.models.report import Record
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription import Subscription
from seatctl.rules.purchases import ShownCharge, amount_of, check_spend, too_little
from seatctl.rules.subscription_changes import end_command, reverse_command
from seatctl.rules.tax import tax_fields, tax_note
from seatctl.rules.typed_json import load
from seatctl.services.operations.steps import Payload, SubscriptionPayload
from seatctl.services.operations.submit import (
    Guard,
    OperationRequest,
    Proposal,
    charge_note,
    earlier_operations,
    only_to_finish,
)
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    SubscriptionSnapshot,
    TermPayload,
    find_subscription,
)

CHANGE_COLUMNS = (
    *("name", "plan", "seats", "seats_after", "next_plan", "next_seats", "net", "tax", "total", "due_now"),
    "currency",
    *("next_invoice", "renews_at", "ends_at", "leaving_emails", "not_seated"),
)

_NAMED = 3
"""How many addresses a summary lists; a row has all."""

_ASKED = 10
"""How many people are named before the question."""


@dataclass(frozen=True, slots=True)
class Departures:
    """The users who give up a seat: as requested, and as resolved."""

    users: tuple[int, ...] = ()
    """Their ids."""
    requested: tuple[str, ...] = ()
    """The rule or the addresses as given, so that a repetition is recognised even if users left meanwhile."""
    not_seated: tuple[str, ...] = ()
    """Addresses in the file without a seat in this subscription. They are reported: it may be a mistake."""
    emails: tuple[str, ...] = ()
    """The addresses of `users`, shown before the question."""

    @property
    def remark(self) -> str:
        """The end of a summary that lists people without a seat; empty if there are none."""
        if not self.not_seated:
            return ""
        named, more = self.not_seated[:_NAMED], len(self.not_seated) - _NAMED
        listed = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        return f"; {listed} {'has' if len(self.not_seated) == 1 else 'have'} no seat in it"

    @property
    def notes(self) -> tuple[str, ...]:
        """Who loses a seat, told before the question: a rule selected them, but a person answers for it."""
        named, more = self.emails[:_ASKED], len(self.emails) - _ASKED
        listed = ", ".join(named) + (f" and {more} more (--dry-run shows all)" if more > 0 else "")
        return (
            *((f"These people lose their seats: {listed}.",) if listed else ()),
            *((f"{self.remark.removeprefix('; ')}.",) if self.remark else ()),
        )

    @property
    def row_fields(self) -> dict[str, JsonValue]:
        """The fields of a row for them; empty if there are none."""
        lists = {"leaving_emails": self.emails, "not_seated": self.not_seated}
        return {key: [*emails] for key, emails in lists.items() if emails}


NO_DEPARTURES = Departures()


@dataclass(frozen=True, slots=True)
class NextRenewal:
    """When a subscription renews after a change of interval, and what stays of its credit, in minor units."""

    plan: Plan
    at: datetime
    credit: int

    def remarks(self, currency: str) -> list[str]:
        """Return the sentences for the user, about when it renews and what stays as credit."""
        count, unit = self.plan.interval_count, self.plan.interval
        often = f"every {unit}" if count == 1 else f"every {count} {unit}s"
        credit = f"{format_money(self.credit, currency)} stay as credit for the next invoices"
        return [f"it renews on {self.at:%Y-%m-%d}, then {often}", *([credit] if self.credit else [])]


def departures_from_file(ledger: Ledger, subscription_id: int, source: str) -> Departures:
    """Return the people of a file (`-`: stdin): those with a seat in the subscription leave.

    Raises BadInput and `bad_rows`, also for a person whom the ledger does not know.
    """
    from seatctl.ledger.incoming import staging
    from seatctl.services.users.people import People, stage

    staged = stage(ledger, People(source=source))
    with ledger.scratch() as journal:
        staging.set_verdicts(journal, staged)
        staging.refuse_bad_rows(journal, staging.RowVerdict.UNKNOWN, "there is no user of this e-mail")
        staging.require_good(journal, skip_bad=False)
        users = departures.seated_in_file(journal, subscription_id)
        not_seated = departures.not_seated_in_file(journal, subscription_id)
        return Departures(users, departures.in_file(journal), not_seated, departures.emails(journal, users))


def unless_changed(snapshot: SubscriptionSnapshot) -> Guard:
    """Return a guard that raises `subscription_changed` if another process changed the subscription since.

    The quantities that a change sends are absolute.
    """

    def guard(reader: Reader) -> None:
        now = subscriptions.by_id(reader, snapshot.subscription.id, snapshot.change.call.now)
        same = replace(now, assigned=snapshot.subscription.assigned) == snapshot.subscription
        # No column shows a decrease that waits for the renewal, but its operation has ended since. It may
        # have begun before the subscription was read: Stripe did not show it yet.
        if not same or operations.ended_of(reader, now.id) != snapshot.ended_operations:
            raise _changed(snapshot.subscription)

    return guard


def unless_finished(subscription: Subscription) -> Guard:
    """Return the guard of a request that only finishes an operation: another process has finished it."""

    def guard(_: Reader) -> None:
        raise _changed(subscription)

    return guard


def _changed(subscription: Subscription) -> SeatctlError:
    return refuse(
        Code.SUBSCRIPTION_CHANGED,
        f"{subscription.name} was changed by another command meanwhile; nothing was done",
        hint=f"seatctl subs show {quote(subscription.name)}, then run the same command again",
        data={"subscription": subscription.name},
    )


def unchanged_proposal(snapshot: SubscriptionSnapshot, kind: str, summary: str, row: Record) -> Proposal:
    """Propose nothing, except to finish an interrupted operation of the subscription."""
    subscription, change = snapshot.subscription, snapshot.change
    request = OperationRequest(kind, change.requested, None, subscription.id)
    return Proposal(
        only_to_finish(change.ledger, request),
        row,
        summary,
        columns=CHANGE_COLUMNS,
        guard=unless_finished(subscription),
        unchanged=True,
    )


def content_row(snapshot: SubscriptionSnapshot) -> dict[str, JsonValue]:
    """Return what the subscription holds now, as the first fields of a row."""
    return {"name": snapshot.name, "plan": snapshot.state.now.plan, "seats": snapshot.state.now.seats}


def repeated_proposal(change: ChangeRequest) -> Proposal | None:
    """Return the earlier operation as a proposal if this request repeats one, else None.

    An earlier operation is unfinished, or has the same request id. It must be finished even if a new request
    would now be refused: Stripe may already have carried it out.

    Raises `max_spend_exceeded` if this request has a lower limit than the earlier operation charges.
    """
    requested = change.requested
    with change.ledger.reading() as reader:
        subscription = find_subscription(reader, change)
        same = OperationRequest("", requested, None, subscription.id, request_id=change.request_id)
        known = reversed(earlier_operations(reader, same))  # first the unfinished one, of whatever kind
    repeated = (
        operation
        for operation in known
        if operation.subscription_id == subscription.id and operation.payload.get("asked") == requested
    )
    earlier = next(repeated, None)
    if earlier is None:
        return None
    request = OperationRequest(earlier.kind, requested, None, subscription.id, request_id=earlier.request_id)
    row: dict[str, JsonValue] = {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "seats": subscription.capacity,
    }
    proposal = Proposal(
        request, row, "", columns=CHANGE_COLUMNS, guard=unless_finished(subscription), unchanged=True
    )
    run, payload = earlier.run, load(Payload, earlier.payload)
    if earlier.state is OperationState.DONE:
        return replace(proposal, summary=f"run {run} has already done this: {payload.summary}")
    due, currency = payload.due_now, subscription.currency
    check_spend(due, currency, change.max_spend)
    amount = format_money(due, currency)
    return replace(
        proposal,
        summary=f"finished run {run}: {payload.summary}",
        question=f"Finish run {run}?",
        notes=(f"Run {run} has begun this. Stripe charges {amount} unless it has already.",),
        due=due,
        currency=currency,
        limited=due > 0,
        unchanged=False,
    )


def change_proposal(
    snapshot: SubscriptionSnapshot,
    payload: SubscriptionPayload,
    row: dict[str, JsonValue],
    question: str,
    notes: tuple[str, ...],
    columns: tuple[str, ...],
    currency: str | None = None,
) -> Proposal:
    """Propose an operation on the subscription. `currency` is that of the charge, else the subscription's."""
    change = snapshot.change
    return Proposal(
        OperationRequest(
            payload.kind,
            change.requested,
            payload,
            snapshot.subscription.id,
            request_id=change.request_id,
        ),
        row,
        payload.summary,
        question,
        notes,
        payload.warnings,
        payload.due_now,
        currency or snapshot.currency,
        columns=columns,
        guard=unless_changed(snapshot),
    )


def priced_proposal(
    snapshot: SubscriptionSnapshot,
    payload: TermPayload,
    question: str,
    leaving: Departures = NO_DEPARTURES,
    *,
    priced: Preview | None,
    next_invoice: int | None = None,
    carried_over: int,
    on_account: bool,
    renewal: NextRenewal | None = None,
) -> Proposal:
    """Propose a change with its price now and on the next invoice, in minor units, and with its effect.

    `priced` is the invoice that is made now, if there is one; `leaving` are the users who lose their seats;
    `renewal` is given if the change moves it.
    """
    state, currency, due = snapshot.state, snapshot.currency, payload.due_now
    row: dict[str, JsonValue] = {
        **content_row(snapshot),
        "plan": payload.now.plan,
        "seats_after": payload.now.seats,
        "next_plan": payload.next.plan,
        "next_seats": payload.next.seats,
        **(tax_fields(priced) if priced is not None else {}),
        "due_now": due,
        "carried_over": carried_over,
        **({"credit": renewal.credit} if renewal is not None and renewal.credit else {}),
        "currency": currency,
        "next_invoice": next_invoice,
        "renews_at": None if state.ends else format_time(renewal.at if renewal else state.period_end),
        "ends_at": None if state.ends_at is None else format_time(state.ends_at),
        **leaving.row_fields,
    }
    remarks = renewal.remarks(currency) if renewal else []
    if state.ends_early and state.ends_at is not None:
        remarks.append(f"it ends on {state.ends_at:%Y-%m-%d}, before {state.current_end:%Y-%m-%d}")
    if carried_over:
        remarks.append(too_little(carried_over, currency))
    reverse = reverse_command(state, payload.now) if payload.now != state.now else end_command(state.name)
    payload = replace(
        payload,
        summary="; ".join((f"{payload.summary}{leaving.remark}", *remarks)),
        leaving=leaving.users,
        not_seated=leaving.not_seated,
        shown=ShownCharge(due, currency, reverse, spend_limit(snapshot)),
    )
    told = (
        *leaving.notes,
        *(f"{remark[0].upper()}{remark[1:]}." for remark in remarks),
        charge_note(due, currency, on_account=on_account),
        *(tax_note(priced) if priced is not None else ()),
    )
    return change_proposal(snapshot, payload, row, question, told, CHANGE_COLUMNS)


def spend_limit(snapshot: SubscriptionSnapshot) -> int | None:
    """Return `--max-spend` in minor units, None if not given. Raises `bad_amount`."""
    limit = snapshot.change.max_spend
    return None if limit is None else amount_of(limit, snapshot.currency)
