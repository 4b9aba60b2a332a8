"""A change of a running subscription that may be made: checked, priced by Stripe, then submitted once.

`seats_and_plan.py`, `renew.py` and `cancel.py` check and price the changes of each command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call, format_time
from seatctl.models.money import plain_amount
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.rules.charge_comparison import ShownCharge, back_command, end_command, shown_fields, too_little
from seatctl.rules.purchases import amount_of, check_spend
from seatctl.rules.subscription_changes import Target
from seatctl.services.operations.submit import OperationRequest, submit
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot
from seatctl.services.users.permissions import allow

CHANGE_COLUMNS = (
    "name",
    "plan",
    "seats",
    "seats_after",
    "next_plan",
    "next_seats",
    "due_now",
    "currency",
    "next_invoice",
    "renews_at",
    "ends_at",
    "leaving_emails",
    "not_seated",
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that may be made: checked, and priced by Stripe. `row` is what --dry-run shows."""

    request: OperationRequest
    row: dict[str, JsonValue]
    due_now: int
    currency: str
    summary: str
    subscription: Subscription
    """The subscription as it was when the change was decided."""
    read_at: datetime
    """When the ledger was read (UTC, this machine's clock)."""
    notes: tuple[str, ...] = ()
    """What to tell the user before the question, if not about a charge."""
    nothing: bool = False
    """There is nothing to change; only an interrupted operation of the subscription would be finished."""
    columns: tuple[str, ...] = CHANGE_COLUMNS
    operation: int = 0
    """The subscription's last operation when the change was decided."""
    on_account: bool = False
    """The amount due is invoiced and paid later; no card is charged."""
    warnings: tuple[str, ...] = ()
    """Told before the question, and again with the report."""
    would: str = "would change"
    """The words of --dry-run before the summary."""
    undo: str | None = None
    """The command that takes the change back, if there is one."""

    def require_unchanged(self, reader: Reader) -> None:
        """Raise `subscription_changed` if another process changed the subscription since.

        The quantities sent are absolute. A proposal without details only finishes an operation; if it is not
        there any more, another process has finished it.
        """
        now = subscriptions.by_id(reader, self.subscription.id, self.read_at)
        same = replace(now, assigned=self.subscription.assigned) == self.subscription
        # No column shows a decrease that waits for the renewal; the operation's number does.
        if not (self.request.details and same and operations.latest_of(reader, now.id) == self.operation):
            raise refuse(
                Code.SUBSCRIPTION_CHANGED,
                f"{self.subscription.name} was changed by another command meanwhile; nothing was done",
                hint=f"seatctl subs show {quote(self.subscription.name)}, then run the same command again",
                data={"subscription": self.subscription.name},
            )


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """The options that all changes of a subscription have."""

    max_spend: str | None = None
    request_id: str | None = None
    promo: str | None = None
    coupon: str | None = None
    on_account: bool = False

    @property
    def discount(self) -> bool:
        """Whether a discount is requested."""
        return bool(self.promo or self.coupon)

    @property
    def requested(self) -> dict[str, JsonValue]:
        """The options that a repetition of the request must have too."""
        # `on_account` too: a request for an invoice must not be answered with a charge to the card.
        given = {"promo": self.promo, "coupon": self.coupon, "on_account": self.on_account}
        return {name: value for name, value in given.items() if value}


def repeated_proposal(
    ledger: Ledger,
    call: Call,
    handle: str,
    requested: dict[str, JsonValue],
    action: Action,
    options: ChangeOptions | None = None,
) -> Proposal | None:
    """Return the earlier operation as a proposal if this request repeats one, else None.

    An earlier operation is unfinished, or has the same request id. It must be finished even if a new request
    would now be refused: Stripe may already have carried it out.

    Raises `max_spend_exceeded` if this request has a lower limit than the earlier operation charges.
    """
    options = options or ChangeOptions()
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
        allow(reader, call.actor, action, subscription)
        unfinished = operations.of_subscription(reader, subscription.id)
        of_request_id = operations.of_request(reader, options.request_id) if options.request_id else None
    earlier = next(
        (
            operation
            for operation in (unfinished, of_request_id)
            if operation is not None and _asks(operation, subscription.id, requested)
        ),
        None,
    )
    if earlier is None:
        return None
    done, due = earlier.state is OperationState.DONE, earlier.payload.get("due_now")
    due = 0 if done or not isinstance(due, int) else due
    check_spend(due, subscription.currency, options.max_spend)
    request = OperationRequest(earlier.kind, requested, {}, subscription.id, request_id=earlier.request_id)
    row: dict[str, JsonValue] = {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "seats": subscription.capacity,
    }
    earlier_summary = str(earlier.payload.get("summary", ""))
    summary = f"run {earlier.run} {'has done this' if done else 'is under way'} already: {earlier_summary}"
    amount = f"{plain_amount(due, subscription.currency)} {subscription.currency.upper()}"
    charge_note = f"; Stripe charges {amount} unless it has already"
    notes = ("Nothing is done again." if done else f"It is finished now{charge_note}.",)
    would = "nothing to do:" if done else "would finish what waits:"
    return Proposal(
        request, row, due, subscription.currency, summary, subscription, call.now, notes=notes, would=would
    )


def _asks(operation: Operation, subscription: int, requested: dict[str, JsonValue]) -> bool:
    return operation.subscription_id == subscription and operation.payload.get("asked") == requested


def submit_proposal(ledger: Ledger, billing: Billing, call: Call, proposal: Proposal) -> Report:
    """Submit a proposal; under --dry-run only show it. Raises what the operation raises."""
    columns = tuple(name for name in proposal.columns if name in proposal.row)
    if proposal.nothing and not _is_disturbed(ledger, proposal.subscription):
        return Report(None, call.dry_run, proposal.summary, (proposal.row,), columns=columns)
    if call.dry_run:
        summary = f"{proposal.would} {proposal.summary}"
        return Report(None, True, summary, (proposal.row,), columns=columns, warnings=proposal.warnings)
    return replace(
        submit(ledger, billing, call, proposal.request, proposal.require_unchanged), undo=proposal.undo
    )


def _is_disturbed(ledger: Ledger, subscription: Subscription) -> bool:
    """Whether an interrupted operation of the subscription must be finished first."""
    with ledger.reading() as reader:
        return operations.of_subscription(reader, subscription.id) is not None


def priced_proposal(
    snapshot: SubscriptionSnapshot,
    target: Target,
    request: OperationRequest,
    due: int,
    summary: str,
    options: ChangeOptions,
    next_invoice: int | None = None,
    warnings: tuple[str, ...] = (),
    carried_over: int = 0,
) -> Proposal:
    """Return the proposal with its price now and on the next invoice, in minor units, and with its effect."""
    state, currency = snapshot.state, snapshot.subscription.currency
    row: dict[str, JsonValue] = {
        "name": state.name,
        "plan": target.now.plan,
        "seats": state.now.seats,
        "seats_after": target.now.seats,
        "next_plan": target.next.plan,
        "next_seats": target.next.seats,
        "due_now": due,
        "carried_over": carried_over,
        "currency": currency,
        "next_invoice": next_invoice,
        "renews_at": None if state.ends else format_time(state.period_end),
        "ends_at": None if state.ends_at is None else format_time(state.ends_at),
    }
    if state.ends_early and state.ends_at is not None:
        summary += f"; it ends on {state.ends_at:%Y-%m-%d}, before {state.current_end:%Y-%m-%d}"
        request = replace(request, details={**request.details, "summary": summary})
    if carried_over:
        summary += f"; {too_little(carried_over, currency)}"
        request = replace(request, details={**request.details, "summary": summary})
    reverse = back_command(state, target.now) if target.now != state.now else end_command(state.name)
    shown = shown_fields(ShownCharge(due, currency, reverse, spend_limit(options, currency)))
    details: dict[str, JsonValue] = {**request.details, "shown": shown, "warnings": [*warnings]}
    return Proposal(
        replace(request, details=details),
        row,
        due,
        currency,
        summary,
        snapshot.subscription,
        snapshot.read_at,
        operation=snapshot.last_operation,
        warnings=warnings,
    )


def spend_limit(options: ChangeOptions, currency: str) -> int | None:
    """Return `--max-spend` in minor units, None if not given. Raises `bad_amount`."""
    return None if options.max_spend is None else amount_of(options.max_spend, currency)
