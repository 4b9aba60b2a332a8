"""The operation that ends a subscription, or takes a cancellation back.

A cancellation at the end of the period is one update. A cancellation now is a DELETE without proration; a
refund is made by credit notes over exactly the amounts that were shown. (`prorate` beside a refund would pay
twice.) `cancel.py` checks and shows the cancellation before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from seatctl.billing import endpoints
from seatctl.billing.port import MissingInStripe
from seatctl.errors import ExitCode, JsonValue, NotAllowed, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.money import format_money
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.refunds import CreditShare
from seatctl.rules.typed_json import dump, stored_as
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.payload import SubscriptionPayload
from seatctl.services.operations.steps import Find, NothingLeftInStripe, OperationRun
from seatctl.services.subscriptions.finish import After, final_transaction
from seatctl.services.subscriptions.refunds import credit_note_form

DONE_COLUMNS = ("name", "plan", "status", "seats", "seats_until", "given_back", "currency", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayload(SubscriptionPayload):
    """The end of a subscription, or the end of a cancellation or a pause."""

    kind = "cancel"
    customer: str
    update: dict[str, JsonValue] | None = None
    """The form that changes the Stripe subscription; None cancels it at once."""
    seats_until: str | None = None
    """Until when the seats hold (written form, UTC)."""
    open_invoices: tuple[JsonValue, ...] | None = None
    """The invoices that are still to be paid, as rows."""
    shares: tuple[CreditShare, ...] = ()
    """What each invoice gives back."""
    waiting_items: tuple[str, ...] = field(default=(), metadata=stored_as("drop"))
    """The waiting lines that the refund has been reduced by."""
    unpaid: tuple[str, ...] = field(default=(), metadata=stored_as("open"))
    """The open invoices of the subscription."""
    invoice_now: bool = False


def _run(running: OperationRun[CancelPayload]) -> Apply:
    payload = running.payload
    if payload.update is not None:
        write = endpoints.update_subscription(
            payload.stripe_id, {**payload.update, "metadata": running.marks}
        )
        running.step_or_fail("update", write, _updated(running))
        apply = final_transaction(
            running, payload.subscription, [], payload.summary, _row_fields(running, {})
        )
        return _with_exit_code(apply, ExitCode.DONE)
    _delete(running)
    for number, item in enumerate(payload.waiting_items, 1):
        _delete_item(running, number, item)
    refused = [share for share in payload.shares if not _write_credit_note(running, share)]
    credited = [share for share in payload.shares if share not in refused]
    summary, fields = _outcome(running, credited, refused)
    invoices = [share.invoice for share in payload.shares]
    apply = final_transaction(running, payload.subscription, invoices, summary, _row_fields(running, fields))
    return _with_exit_code(apply, ExitCode.PARTIAL if refused else ExitCode.DONE)


def _updated(running: OperationRun[CancelPayload]) -> Find:
    return running.marked(endpoints.subscription(running.payload.stripe_id))


def _delete(running: OperationRun[CancelPayload]) -> None:
    """Cancel now.

    Keys have no effect on DELETE: "no such subscription" means done if a GET says that it is canceled.
    """
    payload = running.payload
    write = endpoints.cancel_subscription(payload.stripe_id, invoice_now=payload.invoice_now)
    if not running.was_sent("cancel"):
        require_no_payment_processing(running.billing, payload.unpaid)
    try:
        running.step_or_fail(
            "cancel",
            write,
            lambda: {"deleted": True} if _is_over(running) else None,
            but=(MissingInStripe,),
        )
    except MissingInStripe as missing:
        if not _is_over(running):
            raise NothingLeftInStripe(missing) from missing


def _is_over(running: OperationRun[CancelPayload]) -> bool:
    return running.subscription().status is SubscriptionStatus.CANCELED


def _delete_item(running: OperationRun[CancelPayload], number: int, item: str) -> None:
    def is_gone() -> bool:
        lines = running.billing.every(endpoints.pending_invoice_items(running.payload.customer))
        return all(line.get("id") != item for line in lines)

    running.delete(f"drop-{number}", endpoints.delete_invoice_item(item), is_gone)


def _write_credit_note(running: OperationRun[CancelPayload], share: CreditShare) -> bool:
    """Write the credit note of one invoice; return False if Stripe refuses it after all."""
    form: dict[str, JsonValue] = {
        **credit_note_form(share),
        "memo": "Unused time of a canceled subscription",
        "metadata": running.marks,
    }
    step = f"credit-note:{share.invoice}"
    try:
        running.step_must_succeed(
            step, endpoints.credit_note(form), running.mine(endpoints.credit_notes_of(share.invoice))
        )
    except (StripeRefused, NotAllowed):
        if not running.was_refused(step):
            raise
        return False  # the subscription has ended: give back the rest, and report what was refused
    return True


def _outcome(
    running: OperationRun[CancelPayload], credited: list[CreditShare], refused: list[CreditShare]
) -> tuple[str, dict[str, JsonValue]]:
    """Return the summary and the row fields of what was given back."""
    with running.ledger.reading() as reader:
        currency = subscriptions.by_id(reader, running.payload.subscription).currency
    to_card, to_balance = sum(share.refund for share in credited), sum(share.credit for share in credited)
    owed_less = sum(share.less for share in credited)
    summary = running.payload.summary
    if to_card or to_balance:
        summary += f" and gave {format_money(to_card + to_balance, currency)} back"
    if owed_less:
        summary += f"; {format_money(owed_less, currency)} no longer has to be paid"
    if refused:
        numbers = ", ".join(share.number for share in refused)
        summary += f"; Stripe refused to give back what is unused of {numbers}"
    return summary, {
        "given_back": to_card,
        "to_balance": to_balance,
        "owed_less": owed_less,
        "invoices": [dump(share) for share in credited],
        "refused": [dump(share) for share in refused],
    }


def _row_fields(running: OperationRun[CancelPayload], outcome: dict[str, JsonValue]) -> After:
    """Return the `after` of the final transaction. Its invoices are those given back, not a charge."""
    payload = running.payload

    def row_fields(_: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        end = (
            running.call.now if subscription.status is SubscriptionStatus.CANCELED else subscription.cancel_at
        )
        seats_until = None if end is None else format_time(end)
        fields: dict[str, JsonValue] = {"seats_until": payload.seats_until or seats_until, "given_back": 0}
        if payload.open_invoices is not None:
            fields["open_invoices"] = [*payload.open_invoices]
        return {**fields, **outcome, "amount_paid": 0, "invoice": None}

    return row_fields


def _with_exit_code(apply: Apply, code: ExitCode) -> Apply:
    def finish(tx: Transaction) -> OperationResult:
        result = apply(tx)
        if code is ExitCode.PARTIAL:
            partly = tuple({**row, "result": "partly"} for row in result.rows)
            result = replace(result, rows=partly)
        return replace(result, columns=DONE_COLUMNS, exit_code=code)

    return finish


def _undo(running: OperationRun[CancelPayload]) -> str | None:
    """Forget a cancellation that never reached Stripe; return None if it did, so that it is finished."""
    reached = _updated(running)() if running.payload.update is not None else _is_over(running)
    return None if reached else "it had not reached Stripe; the subscription is as it was"


register(OperationHandler(CancelPayload, _run, _undo, action=Action.MANAGE_SUBSCRIPTION))
