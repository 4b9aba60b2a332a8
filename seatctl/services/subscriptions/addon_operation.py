"""The operation that adds seats at full price: an invoice of our own, then the quantity without proration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price, read_subscription
from seatctl.billing.port import MissingInStripe, StripeJson
from seatctl.billing.previews import RECURRING, read_preview_without_pending
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.models.call import format_time
from seatctl.models.money import step
from seatctl.models.plan import Increase, Plan
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.metadata import made_by, metadata_of
from seatctl.rules.purchases import address_hint, check_spend, check_tax, unused_discount_warning
from seatctl.rules.refunds import remaining_charge
from seatctl.rules.subscription_changes import NotRunning, Target
from seatctl.rules.subscription_state import RENEWED
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.own_invoice import (
    OwnInvoice,
    collect_own_invoice,
    price_data,
    refund_invoice,
    tax_fields,
    undo_invoice,
)
from seatctl.services.charging.payer import discount_forms, find_discounts, require_card
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import Proposal
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.proposal import priced_proposal, spend_limit
from seatctl.services.subscriptions.snapshot import (
    ItemGone,
    SubscriptionSnapshot,
    TermPayload,
    has_item,
    term_fields,
)

_DUE_DAYS = 30
"""Days until an invoice on account for added seats is due; the default everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonPayload(TermPayload):
    """Added seats on an invoice of our own."""

    kind = "addon"
    own_invoice: OwnInvoice = field(metadata=stored_as("bill"))
    renewed_by: str | None = None
    """The invoice that has renewed the term by hand."""
    by_hand: bool = False
    """Whether the running term was renewed by hand: its metadata must then stay until its end."""


@dataclass(frozen=True, slots=True)
class _Line:
    """The one line of the invoice for added seats, and the start of the time that it pays for."""

    unit_amount: int
    quantity: int
    covers_from: datetime


def prepare_addon(
    snapshot: SubscriptionSnapshot, target: Target, seats: int, what: str, list_price: int
) -> Proposal:
    """Price `seats` more: in full, or for the rest of the term if it was renewed by hand.

    `what` says it after "change"; `list_price` is the plan's price today, in minor units, for a policy
    without `lock_price`.

    Raises `max_spend_exceeded`, `no_unit_price`, `card_required`.
    """
    state, options = snapshot.state, snapshot.change.options
    line = _line(snapshot, seats, list_price)
    discounts = discount_forms(find_discounts(snapshot.billing, options.promo, options.coupon))
    draft = own_invoice_of(
        snapshot,
        snapshot.item.price.product_id,
        line.unit_amount,
        line.quantity,
        f"{counted(seats, 'added seat')} of {snapshot.name} until {state.current_end:%Y-%m-%d}",
        discounts,
        _DUE_DAYS if options.on_account else None,
        line.covers_from,
        state.current_end,
    )
    if not options.on_account:
        require_card(snapshot.billing, snapshot.mirror, snapshot.name)
    own_invoice, preview = price_own_invoice(snapshot, draft)
    check_spend(preview.amount_due, snapshot.currency, options.max_spend)
    payload = AddonPayload(
        **term_fields(snapshot, target),
        own_invoice=own_invoice,
        renewed_by=metadata_of(snapshot.mirror, snapshot.item).get(RENEWED) if state.renewed else None,
        by_hand=state.by_hand,
        due_now=preview.amount_due,
        summary=f"changed {what}",
        warnings=unused_discount_warning(len(discounts), preview.discounts, preview.total),
    )
    return priced_proposal(
        snapshot,
        payload,
        f"Change {what}?",
        carried_over=preview.carried_over,
        on_account=options.on_account,
    )


def _line(snapshot: SubscriptionSnapshot, seats: int, list_price: int) -> _Line:
    subscription, state, upcoming = snapshot.subscription, snapshot.state, snapshot.item.price.unit_amount
    if upcoming is None:
        raise _no_unit_price(state.name, state.now.plan)
    running = upcoming if state.now.price_id == snapshot.item.price.id else subscription.unit_amount
    if state.policy.increase is Increase.FULL_PRICE:
        unit_amount = upcoming if state.renewed else running
        covers_from = state.term_end if state.renewed else state.term_start
        return _Line(unit_amount if state.policy.lock_price else list_price, seats, covers_from)
    rest_of_term = remaining_charge(
        running * seats,
        state.term_start,
        state.term_end,
        snapshot.stripe_time,
        step(subscription.currency),
        state.ends_at,
    )
    return _Line(rest_of_term + (upcoming * seats if state.renewed else 0), 1, snapshot.stripe_time)


def own_invoice_of(
    snapshot: SubscriptionSnapshot,
    product: str,
    unit_amount: int,
    quantity: int,
    description: str,
    discounts: list[JsonValue],
    due_days: int | None,
    covers_from: datetime,
    covers_until: datetime,
) -> OwnInvoice:
    """Return an invoice of our own: its customer, card, currency and tax are those of the subscription."""
    return OwnInvoice(
        customer=snapshot.mirror.customer_id,
        stripe_subscription=snapshot.mirror.id,
        payment_method=snapshot.mirror.default_payment_method,
        product=product,
        currency=snapshot.currency,
        unit_amount=unit_amount,
        quantity=quantity,
        description=description,
        discounts=discounts or "",
        max_spend=spend_limit(snapshot),
        due_days=due_days,
        covers_from=format_time(covers_from),
        covers_until=format_time(covers_until),
        tax_behavior=snapshot.item.price.tax_behavior,
        automatic_tax=snapshot.mirror.automatic_tax,
        tax_rates=snapshot.item.tax_rates or snapshot.mirror.tax_rates,
    )


def require_unit_price(snapshot: SubscriptionSnapshot, plan: Plan) -> None:
    """Raise `no_unit_price` unless the plan's price is an amount per seat.

    The ledger holds 0 for a price without one.
    """
    if plan.unit_amount:
        return
    price = snapshot.item.price
    if price.id != plan.price_id:
        price = read_price(snapshot.billing.read(endpoints.price(plan.price_id)))
    if price.unit_amount is None:
        raise _no_unit_price(snapshot.name, plan.slug)


def _no_unit_price(name: str, plan: str) -> SeatctlError:
    return refuse(
        Code.NO_UNIT_PRICE,
        f"the price of {plan} is tiered or fractional, so a number of seats cannot be invoiced at it",
        hint=f"seatctl plans show {plan}",
        data={"subscription": name, "plan": plan},
    )


def price_own_invoice(snapshot: SubscriptionSnapshot, own_invoice: OwnInvoice) -> tuple[OwnInvoice, Preview]:
    """Return the invoice with the total to agree on, and what Stripe would charge for it, with tax.

    Other waiting items are not on it. It is previewed as a new subscription, because Stripe does not preview
    standalone invoices. A total too small to charge is only noted as a debt by Stripe, and may become due.
    """
    recurring = snapshot.item.price
    price = price_data(own_invoice)
    price["recurring"] = {"interval": str(recurring.interval), "interval_count": recurring.interval_count}
    form: dict[str, JsonValue] = {
        "customer": own_invoice.customer,
        "discounts": own_invoice.discounts,
        "subscription_details": {
            "items": [{"price_data": price, "quantity": own_invoice.quantity, **tax_fields(own_invoice)}],
        },
    }
    if own_invoice.automatic_tax:
        form["automatic_tax"] = {"enabled": True}

    def preview(extra: dict[str, JsonValue]) -> StripeJson:
        return snapshot.billing.read(endpoints.preview_invoice({**form, **extra}))

    priced = read_preview_without_pending(preview({}), lambda: preview(RECURRING))
    check_tax(priced.tax_status, address_hint(snapshot.name))
    return replace(own_invoice, shown=max(priced.amount_due, priced.total)), priced


def _run(running: OperationRun[AddonPayload]) -> Apply:
    payload = running.payload
    invoice = collect_own_invoice(running, payload.own_invoice)
    _refund_if_ended(running, invoice)
    _set_quantity(running)
    return final_transaction(running, payload.subscription, [invoice], report_due=True)


def _refund_if_ended(running: OperationRun[AddonPayload], invoice: str) -> None:
    """Refund the invoice if the subscription or its item ended after it was paid."""
    try:
        raw = running.billing.read(endpoints.subscription(running.payload.stripe_id))
    except MissingInStripe:
        raw = None
    if raw is not None and made_by(raw, running.reference):
        return
    mirror = None if raw is None else read_subscription(raw)
    if mirror is None or mirror.status is SubscriptionStatus.CANCELED:
        outcome = refund_invoice(running, invoice)
        raise NothingLeftInStripe(
            NotRunning(f"the subscription ended before the seats were added; {outcome}")
        )
    if not has_item(mirror, running.payload.item):
        outcome = refund_invoice(running, invoice)
        reason = "the subscription's item was removed in Stripe before the seats were added"
        raise NothingLeftInStripe(ItemGone(f"{reason}; {outcome}", hint="seatctl sync"))


def _set_quantity(running: OperationRun[AddonPayload]) -> None:
    """Raise the quantity, without proration: Stripe would charge again what our invoice has charged."""
    payload = running.payload
    write = payload.update(
        {
            "items": [{"id": payload.item, "quantity": payload.next.seats}],
            "proration_behavior": "none",
        },
        running.marks,
        {} if payload.by_hand else payload.waiting_metadata(payload.renewed_by),
    )
    # The invoice is paid: any failure from here on stays pending until the seats are added.
    running.step_must_succeed("quantity", write, running.changed())


def _undo(running: OperationRun[AddonPayload]) -> str | None:
    return undo_invoice(running, running.payload.own_invoice)


register(OperationHandler(AddonPayload, _run, _undo, action=Action.ADD_SEATS))
