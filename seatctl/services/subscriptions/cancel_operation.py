"""The operation that ends a subscription, or takes a cancellation back.

At the period's end is one update. Now is a DELETE without proration, and with a refund credit notes of
exactly the amounts that were shown: `prorate` beside a refund would pay twice (billing.md, "Cancel").
What is checked and shown before is in `cancel.py`.
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
from seatctl.models.money import plain_amount
from seatctl.models.subscription import Subscription, SubscriptionStatus
from seatctl.rules.metadata import marks
from seatctl.rules.refunds import CreditShare
from seatctl.services.charging.processing import require_none
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.subscriptions.finish import After, take_over
from seatctl.services.subscriptions.refunds import note_form

DONE_COLUMNS = ("name", "plan", "status", "seats", "seats_until", "given_back", "currency", "result")


_PARTS = ("refund", "credit", "less")


def share_fields(share: CreditShare) -> dict[str, JsonValue]:
    """A share as the payload of an operation keeps it, and as a row of output shows it."""
    return {
        "invoice": share.invoice,
        "number": share.number,
        "refund": share.refund,
        "credit": share.credit,
        "less": share.less,
    }


def _shares(running: OperationRun) -> list[CreditShare]:
    fields = running.payload.get("shares")
    kept = [one for one in fields if isinstance(one, dict)] if isinstance(fields, list) else []
    return [
        CreditShare(str(one["invoice"]), str(one["number"]), *(int(str(one.get(part, 0))) for part in _PARTS))
        for one in kept
    ]


def _run(running: OperationRun) -> Apply:
    update = running.payload.get("update")
    summary = str(running.payload["summary"])
    if isinstance(update, dict):
        _update(running, update)
        return _told(take_over(running, [], summary, _facts(running, {})), ExitCode.DONE)
    _delete(running)
    _drop_waiting(running)
    shares = _shares(running)
    refused = [share for share in shares if not _give_back(running, share)]
    back = [share for share in shares if share not in refused]
    told = _outcome(running, back, refused)
    summary, facts = str(told.pop("summary")), _facts(running, told)
    whole = take_over(running, [share.invoice for share in shares], summary, facts)
    return _told(whole, ExitCode.PARTIAL if refused else ExitCode.DONE)


def _update(running: OperationRun, form: dict[str, JsonValue]) -> None:
    stripe_id = str(running.payload["stripe_id"])
    marked = marks(running.ledger.id, running.reference, running.operation.request_id)
    write = endpoints.update_subscription(stripe_id, {**form, "metadata": marked})
    running.step_or_nothing("update", write, lambda: _found(running))


def _found(running: OperationRun) -> StripeJson | None:
    return running.find_at(endpoints.subscription(str(running.payload["stripe_id"])))


def _delete(running: OperationRun) -> None:
    """Cancel now. Keys do nothing on DELETE: "no such subscription" is done where a GET says canceled."""
    stripe_id = str(running.payload["stripe_id"])
    write = endpoints.cancel_subscription(stripe_id, invoice_now=running.payload.get("invoice_now") is True)

    def find() -> StripeJson | None:
        return {"deleted": True} if _is_over(running) else None

    if not running.was_sent("cancel"):
        listed = running.payload.get("open")
        require_none(running.billing, [str(one) for one in listed] if isinstance(listed, list) else [])
    try:
        running.step_or_nothing("cancel", write, find, but=(MissingInStripe,))
    except MissingInStripe as missing:
        if not _is_over(running):
            raise NothingLeftInStripe(missing) from missing


def _is_over(running: OperationRun) -> bool:
    found = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    return read_subscription(found).status is SubscriptionStatus.CANCELED


def _drop_waiting(running: OperationRun) -> None:
    """Delete the lines that the refund has been set off against."""
    items = running.payload.get("drop")
    for number, item in enumerate(items if isinstance(items, list) else [], 1):
        _drop(running, number, str(item))


def _drop(running: OperationRun, number: int, item: str) -> None:
    def is_gone() -> bool:
        listed = running.billing.every(endpoints.waiting_invoice_items(str(running.payload["customer"])))
        return all(one.get("id") != item for one in listed)

    running.delete(f"drop-{number}", endpoints.delete_invoice_item(item), is_gone)


def _give_back(running: OperationRun, share: CreditShare) -> bool:
    """Write the credit note of one invoice; False where Stripe refuses it after all."""
    form: dict[str, JsonValue] = {
        **note_form(share),
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
        return False  # the subscription is over: the rest is given back, and the report says what is not
    return True


def _outcome(
    running: OperationRun, back: list[CreditShare], refused: list[CreditShare]
) -> dict[str, JsonValue]:
    """The facts of what was given back; `summary` in a sentence."""
    with running.ledger.reading() as reader:
        subscription = subscriptions.by_id(reader, int(str(running.payload["subscription"])))
    given, kept = sum(one.refund for one in back), sum(one.credit for one in back)
    less, code = sum(one.less for one in back), subscription.currency.upper()
    summary = str(running.payload["summary"])
    if given or kept:
        summary += f" and gave {plain_amount(given + kept, subscription.currency)} {code} back"
    if less:
        summary += f"; {plain_amount(less, subscription.currency)} {code} need not be paid any more"
    if refused:
        numbers = ", ".join(share.number for share in refused)
        summary += f"; Stripe refused to give back what is unused of {numbers}"
    return {
        "summary": summary,
        "given_back": given,
        "to_balance": kept,
        "owed_less": less,
        "invoices": [share_fields(share) for share in back],
        "refused": [share_fields(share) for share in refused],
    }


def _facts(running: OperationRun, told: dict[str, JsonValue]) -> After:
    """What the row says beside the subscription; the invoices named are what gave back, not a charge."""

    def facts(_: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        until = (
            running.call.now if subscription.status is SubscriptionStatus.CANCELED else subscription.cancel_at
        )
        hold = None if until is None else format_time(until)
        shown: dict[str, JsonValue] = {
            name: running.payload[name]
            for name in ("seats_until", "open_invoices")
            if name in running.payload
        }
        given: dict[str, JsonValue] = {"seats_until": hold, "given_back": 0, **shown, **told}
        return {**given, "amount_paid": 0, "invoice": None}

    return facts


def _told(apply: Apply, code: ExitCode) -> Apply:
    def told(tx: Transaction) -> OperationResult:
        ending = apply(tx)
        if code is ExitCode.PARTIAL:
            partly = tuple({**row, "result": "partly"} for row in ending.rows)
            ending = replace(ending, rows=partly)
        return replace(ending, columns=DONE_COLUMNS, exit_code=code)

    return told


def _undo(running: OperationRun) -> str | None:
    """A day later nobody waits for it: forget one that never reached Stripe, finish one that did."""
    update = running.payload.get("update")
    reached = _found(running) is not None if isinstance(update, dict) else _is_over(running)
    return None if reached else "it had not reached Stripe; the subscription is as it was"


HANDLER = OperationHandler(_run, _undo)
