"""The operation that changes seats or plan if Stripe prorates the change, or nothing is due now.

It makes up to two updates. The first sets what is paid for from now on, and Stripe prorates it. If the next
term differs, the second sets that without proration, and metadata says what is paid for until then. If the
command is killed between them, the next run finishes it; until then Stripe's item holds the right capacity.
"""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.billing.port import AuthenticationRequired, StripeJson, Write
from seatctl.errors import JsonValue, StripeRefused
from seatctl.models.call import parse_time
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.subscription_state import TermContent
from seatctl.rules import hints
from seatctl.rules.item_metadata import with_metadata
from seatctl.rules.metadata import OPERATION, marks
from seatctl.rules.subscription_state import waiting_metadata
from seatctl.rules.term_content import items_changed, read_term
from seatctl.services.charging.customer import text
from seatctl.services.charging.own_invoice import send_if_draft
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import KEYS_LAST, Find, NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import WaitingForCardholder
from seatctl.services.subscriptions.departures import apply_departures
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.snapshot import ItemGone, has_item


def _run(running: OperationRun) -> Apply:
    now, after = read_term(running.payload["now"]), read_term(running.payload["next"])
    invoice = _bill(running, now, after) if _is_billed(running) else None
    if invoice is not None and running.payload.get("on_account") is True:
        send_if_draft(running, invoice)
    if now != after or not _is_billed(running):
        _set_next(running, now, after)
    summary = str(running.payload["summary"])
    return final_transaction(running, [invoice], summary, apply_departures(running), report_due=True)


def _is_billed(running: OperationRun) -> bool:
    return running.payload.get("bill") is True


def _held(running: OperationRun) -> TermContent | None:
    """Return what Stripe's item held when the change was decided; None in payloads of earlier versions."""
    held = running.payload.get("held")
    return None if held is None else read_term(held)


def _bill(running: OperationRun, now: TermContent, after: TermContent) -> str | None:
    """Change what runs now; return the invoice with which Stripe charged it, if any.

    Stripe charges inside the call. With `error_if_incomplete`, a declined card leaves the quantity unchanged.
    """
    stripe_id = str(running.payload["stripe_id"])
    form: dict[str, JsonValue] = {
        **items_changed(running.payload["item"], _held(running), now),
        "proration_behavior": running.payload["proration_behavior"],
        "proration_date": running.payload["proration_date"],
        "off_session": True,
    }
    metadata = {**(_nothing_waits(running) if now == after else {}), **_agreed(running)}
    discounted = _discounts(running)
    charging = _with_metadata(
        running, {**form, **discounted, "payment_behavior": "error_if_incomplete"}, _marks(running), metadata
    )
    try:
        # Only a refusal of this call itself ends the operation. After a lost answer, a refused key (which may
        # have lost its permission) does not tell what was charged: the operation must stay pending.
        answer = running.step_or_nothing(
            "charge",
            endpoints.update_subscription(stripe_id, charging),
            lambda: _changed(running),
            but=(AuthenticationRequired,),
        )
    except AuthenticationRequired as required:
        if discounted:  # a pending update takes no discounts, and would charge more than was shown
            raise NothingLeftInStripe(required) from required
        waiting = {**form, "payment_behavior": "pending_if_incomplete"}
        answer = running.step_or_nothing(
            "charge-to-authenticate",
            endpoints.update_subscription(stripe_id, waiting),
            lambda: _pending(running, now),
        )
        invoice = _authenticated(running, now, answer)
        _mark(running, metadata)
        return invoice
    latest = read_subscription(answer).latest_invoice
    return latest if latest != _invoice_before(running) else None


def _invoice_before(running: OperationRun) -> JsonValue:
    """Return the latest invoice of the subscription when the change was decided."""
    return running.payload.get("latest_invoice")


def _discounts(running: OperationRun) -> dict[str, JsonValue]:
    """Return the new discounts of the subscription as form fields, if the change sets any."""
    given = running.payload.get("discounts")
    return {"discounts": given} if given else {}


def _changed(running: OperationRun) -> StripeJson | None:
    return running.find_at(endpoints.subscription(str(running.payload["stripe_id"])))


def _pending(running: OperationRun, now: TermContent) -> StripeJson | None:
    """Return the subscription if its pending update is this operation's.

    A pending update has no metadata; the quantity that it sets identifies it.
    """
    raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    return raw if raw.get("pending_update") or _is_set(running, raw, now) else None


def _is_set(running: OperationRun, raw: StripeJson, now: TermContent) -> bool:
    """Whether the item holds what the operation charged for. False if it was removed since."""
    items = [item for item in read_subscription(raw).items if item.id == running.payload["item"]]
    return any(item.quantity == now.seats and item.price.id == now.price_id for item in items)


def _authenticated(running: OperationRun, now: TermContent, answer: StripeJson) -> str | None:
    """Return the invoice once the bank has approved the payment.

    Raises WaitingForCardholder; after 23 hours the change is undone.
    """
    raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    invoice = read_subscription(answer).latest_invoice
    if _is_set(running, raw, now):
        return invoice
    bill = read_invoice(running.billing.read(endpoints.invoice(invoice))) if invoice else None
    if bill is not None and bill.status is InvoiceStatus.PAID and invoice != _invoice_before(running):
        return invoice  # the bank approved it; somebody changed the item since
    if invoice != _invoice_before(running):
        require_no_payment_processing(running.billing, [invoice])
    is_there = has_item(read_subscription(raw), running.payload["item"])
    in_time = running.call.now - running.operation.created_at < KEYS_LAST
    if raw.get("pending_update") and in_time and is_there:
        url = bill.hosted_url if bill is not None else None
        raise WaitingForCardholder(
            f"the bank wants the cardholder to authenticate: {url}",
            hint=hints.page(url),
            data={"url": url, "run": running.operation.run},
        )
    if invoice and raw.get("pending_update"):
        running.step_at_last("void", endpoints.void_invoice(invoice), lambda: _voided(running, invoice))
    if not is_there:
        reason = "the subscription's item was removed in Stripe before the payment was authenticated"
        raise NothingLeftInStripe(ItemGone(f"{reason}; nothing was charged", hint="seatctl sync"))
    raise NothingLeftInStripe(
        StripeRefused("the payment was not authenticated in time; nothing was charged or changed")
    )


def _voided(running: OperationRun, invoice: str) -> StripeJson | None:
    raw = running.billing.read(endpoints.invoice(invoice))
    return raw if raw.get("status") == "void" else None


def _set_next(running: OperationRun, now: TermContent, after: TermContent) -> None:
    """Set what the next term begins with. Without proration, so that Stripe bills it at the renewal."""
    waiting = waiting_metadata(
        now,
        after,
        str(running.payload["item"]),
        start=parse_time(str(running.payload["term_start"])),
        until=parse_time(str(running.payload["term_end"])),
    )
    held = now if _is_billed(running) else _held(running)
    items = items_changed(running.payload["item"], held, after)
    form: dict[str, JsonValue] = {
        **items,
        **({"proration_behavior": "none"} if items else {}),
        **({} if _is_billed(running) else _discounts(running)),
    }
    operation_marks = {**_marks(running), OPERATION: f"{running.reference}:next"}
    write = endpoints.update_subscription(
        str(running.payload["stripe_id"]),
        _with_metadata(running, form, operation_marks, {**waiting, **_agreed(running)}),
    )
    if _is_billed(running):
        # The money has moved: a refusal here must stay pending.
        _unless_gone(running, "next", write, lambda: _next_changed(running))
    else:
        running.step_or_nothing("next", write, lambda: _next_changed(running))


def _next_changed(running: OperationRun) -> StripeJson | None:
    subscription = endpoints.subscription(str(running.payload["stripe_id"]))
    return running.find_at(subscription, f"{running.reference}:next")


def _agreed(running: OperationRun) -> dict[str, JsonValue]:
    """Return the policies that a plan change agreed on, and until when the earlier one holds."""
    agreed = running.payload.get("agreed")
    return agreed if isinstance(agreed, dict) else {}


def _with_metadata(
    running: OperationRun,
    form: dict[str, JsonValue],
    operation_marks: dict[str, JsonValue],
    metadata: dict[str, JsonValue],
) -> dict[str, JsonValue]:
    """Return the form with the marks, and with `metadata` on the item or subscription that carries it."""
    return with_metadata(form, text(running, "said_on"), operation_marks, metadata)


def _mark(running: OperationRun, metadata: dict[str, JsonValue]) -> None:
    """Set the metadata that a pending update could not take."""
    form = _with_metadata(running, {}, _marks(running), metadata)
    write = endpoints.update_subscription(str(running.payload["stripe_id"]), form)
    _unless_gone(running, "mark", write, lambda: _changed(running))


def _unless_gone(running: OperationRun, step: str, write: Write, find: Find) -> None:
    """Make a write that must succeed because money has moved, unless the item was removed in Stripe.

    A removed item can never be updated: left pending, the operation would fail at every sync.
    """
    try:
        running.step_at_last(step, write, find)
    except StripeRefused:
        raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
        if has_item(read_subscription(raw), running.payload["item"]):
            raise


def _nothing_waits(running: OperationRun) -> dict[str, JsonValue]:
    same, item = read_term(running.payload["now"]), str(running.payload["item"])
    return waiting_metadata(same, same, item, start=running.call.now, until=running.call.now)


def _marks(running: OperationRun) -> dict[str, JsonValue]:
    return marks(running.ledger.id, running.reference, running.operation.request_id)


def _undo(running: OperationRun) -> str | None:
    """Take back a change that still waits for its cardholder; return None if Stripe has carried it out."""
    if running.answered("charge") or running.answered("next") or _changed(running) or _next_changed(running):
        return None
    if not _is_billed(running):
        return "it had not reached Stripe, so nothing was changed"
    raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    asked_to_wait = running.was_sent("charge-to-authenticate")
    if asked_to_wait and _is_set(running, raw, read_term(running.payload["now"])):
        return None
    invoice = read_subscription(raw).latest_invoice
    if asked_to_wait and invoice and invoice != _invoice_before(running):
        require_no_payment_processing(running.billing, [invoice])
        if raw.get("pending_update"):
            running.step_at_last("void", endpoints.void_invoice(invoice), lambda: _voided(running, invoice))
    return "the change is taken back; nothing was charged"


HANDLER = OperationHandler(_run, _undo)
