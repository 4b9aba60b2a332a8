"""The operation that ends a subscription, or takes a cancellation back.

A cancellation at the end of the period is one update. A cancellation now is a DELETE without proration; a
refund is made by credit notes over exactly the amounts that were shown. (`prorate` beside a refund would pay
twice.) `cancel.py` checks and shows the cancellation before.
"""

from __future__ import annotations

from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_subscription
from seatctl.billing.port import MissingInStripe, StripeJson
from seatctl.errors import ExitCode, JsonValue, NotAllowed, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.money import format_money
from seatctl.models.subscription import Subscription, SubscriptionStatus
from seatctl.rules.metadata import marks
from seatctl.rules.refunds import CreditShare
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.subscriptions.finish import After, final_transaction
from seatctl.services.subscriptions.refunds import credit_note_form

DONE_COLUMNS = ("name", "plan", "status", "seats", "seats_until", "given_back", "currency", "result")


_PARTS = ("refund", "credit", "less")


def share_fields(share: CreditShare) -> dict[str, JsonValue]:
    """Return a share as the payload stores it and as output shows it."""
    return {
        "invoice": share.invoice,
        "number": share.number,
        "refund": share.refund,
        "credit": share.credit,
        "less": share.less,
    }


def _shares(running: OperationRun) -> list[CreditShare]:
    fields = running.payload.get("shares")
    stored = [share for share in fields if isinstance(share, dict)] if isinstance(fields, list) else []
    return [
        CreditShare(
            str(share["invoice"]), str(share["number"]), *(int(str(share.get(part, 0))) for part in _PARTS)
        )
        for share in stored
    ]


def _run(running: OperationRun) -> Apply:
    update = running.payload.get("update")
    summary = str(running.payload["summary"])
    if isinstance(update, dict):
        _update(running, update)
        return _with_exit_code(final_transaction(running, [], summary, _facts(running, {})), ExitCode.DONE)
    _delete(running)
    _delete_waiting_items(running)
    shares = _shares(running)
    refused = [share for share in shares if not _write_credit_note(running, share)]
    credited = [share for share in shares if share not in refused]
    facts = _outcome(running, credited, refused)
    summary, row_fields = str(facts.pop("summary")), _facts(running, facts)
    apply = final_transaction(running, [share.invoice for share in shares], summary, row_fields)
    return _with_exit_code(apply, ExitCode.PARTIAL if refused else ExitCode.DONE)


def _update(running: OperationRun, form: dict[str, JsonValue]) -> None:
    stripe_id = str(running.payload["stripe_id"])
    metadata = marks(running.ledger.id, running.reference, running.operation.request_id)
    write = endpoints.update_subscription(stripe_id, {**form, "metadata": metadata})
    running.step_or_nothing("update", write, lambda: _updated(running))


def _updated(running: OperationRun) -> StripeJson | None:
    return running.find_at(endpoints.subscription(str(running.payload["stripe_id"])))


def _delete(running: OperationRun) -> None:
    """Cancel now.

    Keys have no effect on DELETE: "no such subscription" means done if a GET says that it is canceled.
    """
    stripe_id = str(running.payload["stripe_id"])
    write = endpoints.cancel_subscription(stripe_id, invoice_now=running.payload.get("invoice_now") is True)

    def find() -> StripeJson | None:
        return {"deleted": True} if _is_over(running) else None

    if not running.was_sent("cancel"):
        open_invoices = running.payload.get("open")
        require_no_payment_processing(
            running.billing,
            [str(invoice) for invoice in open_invoices] if isinstance(open_invoices, list) else [],
        )
    try:
        running.step_or_nothing("cancel", write, find, but=(MissingInStripe,))
    except MissingInStripe as missing:
        if not _is_over(running):
            raise NothingLeftInStripe(missing) from missing


def _is_over(running: OperationRun) -> bool:
    raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    return read_subscription(raw).status is SubscriptionStatus.CANCELED


def _delete_waiting_items(running: OperationRun) -> None:
    """Delete the waiting lines that the refund has been reduced by."""
    items = running.payload.get("drop")
    for number, item in enumerate(items if isinstance(items, list) else [], 1):
        _delete_item(running, number, str(item))


def _delete_item(running: OperationRun, number: int, item: str) -> None:
    def is_gone() -> bool:
        lines = running.billing.every(endpoints.pending_invoice_items(str(running.payload["customer"])))
        return all(line.get("id") != item for line in lines)

    running.delete(f"drop-{number}", endpoints.delete_invoice_item(item), is_gone)


def _write_credit_note(running: OperationRun, share: CreditShare) -> bool:
    """Write the credit note of one invoice; return False if Stripe refuses it after all."""
    form: dict[str, JsonValue] = {
        **credit_note_form(share),
        "memo": "Unused time of a canceled subscription",
        "metadata": marks(running.ledger.id, running.reference, running.operation.request_id),
    }

    def find() -> StripeJson | None:
        return running.find_in(endpoints.credit_notes_of(share.invoice))

    step = f"credit-note:{share.invoice}"
    try:
        running.step_at_last(step, endpoints.credit_note(form), find)
    except (StripeRefused, NotAllowed):
        if not running.was_refused(step):
            raise
        return False  # the subscription has ended: give back the rest, and report what was refused
    return True


def _outcome(
    running: OperationRun, credited: list[CreditShare], refused: list[CreditShare]
) -> dict[str, JsonValue]:
    """Return the row fields of what was given back, and the `summary`."""
    with running.ledger.reading() as reader:
        subscription = subscriptions.by_id(reader, int(str(running.payload["subscription"])))
    to_card, to_balance = sum(share.refund for share in credited), sum(share.credit for share in credited)
    owed_less, currency = sum(share.less for share in credited), subscription.currency
    summary = str(running.payload["summary"])
    if to_card or to_balance:
        summary += f" and gave {format_money(to_card + to_balance, currency)} back"
    if owed_less:
        summary += f"; {format_money(owed_less, currency)} no longer has to be paid"
    if refused:
        numbers = ", ".join(share.number for share in refused)
        summary += f"; Stripe refused to give back what is unused of {numbers}"
    return {
        "summary": summary,
        "given_back": to_card,
        "to_balance": to_balance,
        "owed_less": owed_less,
        "invoices": [share_fields(share) for share in credited],
        "refused": [share_fields(share) for share in refused],
    }


def _facts(running: OperationRun, facts: dict[str, JsonValue]) -> After:
    """Return the `after` of the final transaction. Its invoices are those given back, not a charge."""

    def row_fields(_: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        end = (
            running.call.now if subscription.status is SubscriptionStatus.CANCELED else subscription.cancel_at
        )
        seats_until = None if end is None else format_time(end)
        shown: dict[str, JsonValue] = {
            name: running.payload[name]
            for name in ("seats_until", "open_invoices")
            if name in running.payload
        }
        fields: dict[str, JsonValue] = {"seats_until": seats_until, "given_back": 0, **shown, **facts}
        return {**fields, "amount_paid": 0, "invoice": None}

    return row_fields


def _with_exit_code(apply: Apply, code: ExitCode) -> Apply:
    def finish(tx: Transaction) -> OperationResult:
        result = apply(tx)
        if code is ExitCode.PARTIAL:
            partly = tuple({**row, "result": "partly"} for row in result.rows)
            result = replace(result, rows=partly)
        return replace(result, columns=DONE_COLUMNS, exit_code=code)

    return finish


def _undo(running: OperationRun) -> str | None:
    """Forget a cancellation that never reached Stripe; return None if it did, so that it is finished."""
    update = running.payload.get("update")
    reached = _updated(running) is not None if isinstance(update, dict) else _is_over(running)
    return None if reached else "it had not reached Stripe; the subscription is as it was"


HANDLER = OperationHandler(_run, _undo)
