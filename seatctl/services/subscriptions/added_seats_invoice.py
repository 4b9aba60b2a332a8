"""Seats added at full price: an invoice of our own, then the quantity without proration (billing.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price, read_subscription
from seatctl.billing.port import Billing, MissingInStripe, StripeJson
from seatctl.billing.previews import RECURRING, read_preview_alone
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.models.call import format_time, parse_time
from seatctl.models.money import step
from seatctl.models.plan import Increase, Plan
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.item_metadata import said_of, with_metadata
from seatctl.rules.metadata import made_by, marks
from seatctl.rules.plural import counted
from seatctl.rules.purchases import address_hint, check_spend, check_tax, nothing_off
from seatctl.rules.refunds import still_to_come
from seatctl.rules.subscription_changes import NotRunning, Target
from seatctl.rules.subscription_state import RENEWED, waiting_metadata
from seatctl.rules.term_content import read_side, side_fields
from seatctl.services.charging.cards import require_card
from seatctl.services.charging.customer import text
from seatctl.services.charging.discounts import discount_forms, find_discounts
from seatctl.services.charging.own_invoice import (
    OwnInvoice,
    bill_fields,
    collect,
    give_back,
    price_data,
    read_bill,
    taxes,
    undo_invoice,
)
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.subscriptions.finish import take_over
from seatctl.services.subscriptions.proposal import ChangeOptions, Proposal, limit_of, priced
from seatctl.services.subscriptions.snapshot import ItemGone, SubscriptionSnapshot, has_item

_DUE_DAYS = 30
"""Days to pay for seats that are added on account, as everywhere where nothing else is said."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What added seats cost: the one line of the invoice, and the time that it pays for."""

    unit_amount: int
    quantity: int
    covers_from: datetime


def prepare_addon(
    billing: Billing,
    found: SubscriptionSnapshot,
    target: Target,
    seats: int,
    wishes: ChangeOptions,
    asked: dict[str, JsonValue],
    summary: str,
    list_price: int,
) -> Proposal:
    """Price `seats` more: in full, or under such a policy for the rest of the term that was renewed by hand.

    `list_price` is today's of the plan, in minor units, for a policy without `lock_price`.
    Raises `max_spend_exceeded`, `no_unit_price`, `card_required`.
    """
    subscription, stands = found.subscription, found.standing
    line = _line(found, seats, list_price)
    bill = OwnInvoice(
        customer=found.mirror.customer_id,
        stripe_subscription=found.mirror.id,
        payment_method=found.mirror.default_payment_method,
        product=found.item.price.product_id,
        currency=subscription.currency,
        unit_amount=line.unit_amount,
        quantity=line.quantity,
        description=f"{counted(seats, 'added seat')} of {subscription.name}"
        f" until {stands.current_end:%Y-%m-%d}",
        discounts=discount_forms(find_discounts(billing, wishes.promo, wishes.coupon)) or "",
        max_spend=limit_of(wishes, subscription.currency),
        due_days=_DUE_DAYS if wishes.on_account else None,
        covers_from=format_time(line.covers_from),
        covers_until=format_time(stands.current_end),
        tax_behavior=found.item.price.tax_behavior,
        automatic_tax=found.mirror.automatic_tax,
        tax_rates=found.item.tax_rates or found.mirror.tax_rates,
    )
    if not wishes.on_account:
        require_card(billing, found.mirror, found.standing.name)
    preview = preview_bill(billing, found, bill)
    due = preview.amount_due
    check_spend(due, subscription.currency, wishes.max_spend)
    details: dict[str, JsonValue] = {
        **found.place,
        "bill": bill_fields(agreed(bill, preview)),
        "now": side_fields(target.now),
        "next": side_fields(target.next),
        "term_start": format_time(stands.term_start),
        "term_end": format_time(stands.term_end),
        "renewed_by": said_of(found.mirror, found.item).get(RENEWED) if stands.renewed else None,
        # What says that the running term was renewed by hand, and when it began, stays until its end.
        "by_hand": stands.by_hand,
        "due_now": due,
        "summary": summary,
    }
    request = OperationRequest("addon", asked, details, subscription.id, request_id=wishes.request_id)
    warnings = of_discounts(bill, preview)
    prepared = priced(
        found,
        target,
        request,
        due,
        summary,
        wishes,
        warnings=warnings,
        carried_over=preview.carried_over,
    )
    return replace(prepared, on_account=wishes.on_account)


def _line(found: SubscriptionSnapshot, seats: int, list_price: int) -> _Line:
    subscription, stands, upcoming = found.subscription, found.standing, found.item.price.unit_amount
    if upcoming is None:
        raise _no_unit_price(stands.name, stands.now.plan)
    running = upcoming if stands.now.price_id == found.item.price.id else subscription.unit_amount
    if stands.policy.increase is Increase.FULL_PRICE:
        amount = upcoming if stands.renewed else running
        began = stands.term_end if stands.renewed else stands.term_start
        return _Line(amount if stands.policy.lock_price else list_price, seats, began)
    rest = still_to_come(
        running * seats,
        stands.term_start,
        stands.term_end,
        found.at,
        step(subscription.currency),
        stands.ends_at,
    )
    return _Line(rest + (upcoming * seats if stands.renewed else 0), 1, found.at)


def of_discounts(bill: OwnInvoice, preview: Preview) -> tuple[str, ...]:
    """A warning if one of the discounts on a bill takes nothing off."""
    wanted = len(bill.discounts) if isinstance(bill.discounts, list) else 0
    return nothing_off(wanted, preview.discounts, preview.total)


def agreed(bill: OwnInvoice, preview: Preview) -> OwnInvoice:
    """The bill with what was agreed to; one so small that Stripe only notes it as a debt may become due."""
    return replace(bill, shown=max(preview.amount_due, preview.total))


def require_unit_price(found: SubscriptionSnapshot, plan: Plan, billing: Billing) -> None:
    """Raise `no_unit_price` unless the plan's price is an amount per seat; one of 0 in the ledger may be
    none.
    """
    if plan.unit_amount:
        return
    same = plan.price_id == found.item.price.id
    price = found.item.price if same else read_price(billing.read(endpoints.price(plan.price_id)))
    if price.unit_amount is None:
        raise _no_unit_price(found.standing.name, plan.slug)


def _no_unit_price(name: str, plan: str) -> SeatctlError:
    return refuse(
        Code.NO_UNIT_PRICE,
        f"the price of {plan} is tiered or fractional: no invoice of a number of seats can ask for it",
        hint=f"seatctl plans show {plan}",
        data={"subscription": name, "plan": plan},
    )


def preview_bill(billing: Billing, found: SubscriptionSnapshot, bill: OwnInvoice) -> Preview:
    """What Stripe would charge for a bill, tax included; what else waits for the customer is not on it.

    Previewed as a new subscription: Stripe previews no standalone invoices.
    """
    recurring = found.item.price
    price = price_data(bill)
    price["recurring"] = {"interval": str(recurring.interval), "interval_count": recurring.interval_count}
    form: dict[str, JsonValue] = {
        "customer": bill.customer,
        "discounts": bill.discounts,
        "subscription_details": {
            "items": [{"price_data": price, "quantity": bill.quantity, **taxes(bill)}],
        },
    }
    if bill.automatic_tax:
        form["automatic_tax"] = {"enabled": True}

    def preview(how: dict[str, JsonValue]) -> StripeJson:
        return billing.read(endpoints.preview_invoice({**form, **how}))

    priced = read_preview_alone(preview({}), lambda: preview(RECURRING))
    check_tax(priced.tax_status, address_hint(found.standing.name))
    return priced


def _run(running: OperationRun) -> Apply:
    invoice = collect(running, read_bill(running.payload["bill"]))
    _give_back_if_over(running, invoice)
    _set_quantity(running)
    return take_over(running, [invoice], str(running.payload["summary"]), tell_owed=True)


def _give_back_if_over(running: OperationRun, invoice: str) -> None:
    """Paid, but the contract or its item is gone before the seats were added: the money is given back."""
    try:
        found = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    except MissingInStripe:
        found = None
    if found is not None and made_by(found, running.reference):
        return
    now = None if found is None else read_subscription(found)
    if now is None or now.status is SubscriptionStatus.CANCELED:
        became = give_back(running, invoice)
        raise NothingLeftInStripe(NotRunning(f"the subscription ended before the seats were added; {became}"))
    if not has_item(now, running.payload["item"]):
        became = give_back(running, invoice)
        gone = "the subscription's item was taken off in Stripe before the seats were added"
        raise NothingLeftInStripe(ItemGone(f"{gone}; {became}", hint="seatctl sync"))


def _set_quantity(running: OperationRun) -> None:
    """Raise the quantity. Never prorated: Stripe would charge again what our invoice has charged."""
    now, after = read_side(running.payload["now"]), read_side(running.payload["next"])
    renewed_by = running.payload.get("renewed_by")
    waiting = waiting_metadata(
        now,
        after,
        str(running.payload["item"]),
        start=parse_time(str(running.payload["term_start"])),
        until=parse_time(str(running.payload["term_end"])),
        renewed_by=renewed_by if isinstance(renewed_by, str) else None,
    )
    stripe_id = str(running.payload["stripe_id"])
    form = with_metadata(
        {
            "items": [{"id": running.payload["item"], "quantity": after.seats}],
            "proration_behavior": "none",
        },
        text(running, "said_on"),
        marks(running.ledger.id, running.reference, running.operation.request_id),
        {} if running.payload.get("by_hand") is True else waiting,
    )

    def find() -> StripeJson | None:
        return running.find_at(endpoints.subscription(stripe_id))

    # Paid already: whatever goes wrong from here on stays pending, until the seats are there.
    running.step_at_last("quantity", endpoints.update_subscription(stripe_id, form), find)


def _undo(running: OperationRun) -> str | None:
    return undo_invoice(running, read_bill(running.payload["bill"]))


HANDLER = OperationHandler(_run, _undo)
