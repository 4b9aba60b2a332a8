"""`subs buy`: an order checked against roles, names and policy, priced by Stripe, and submitted.

`buy_operation.py` buys by card or on account, `checkout_operation.py` on a page that Stripe hosts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview, read_subscription
from seatctl.billing.port import Billing
from seatctl.billing.previews import read_terms
from seatctl.errors import JsonValue, UsageError
from seatctl.ledger import plans, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call, format_time
from seatctl.models.money import format_money
from seatctl.models.operation import OperationState
from seatctl.models.plan import Plan
from seatctl.models.report import Record, counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription import Subscription
from seatctl.rules.billing_details import TaxId
from seatctl.rules.dates import add_interval
from seatctl.rules.emails import check_email
from seatctl.rules.names import check_name, check_request_id, name_key
from seatctl.rules.payment_methods import Accepted
from seatctl.rules.policies import FLEXIBLE
from seatctl.rules.purchases import (
    ShownCharge,
    amount_of,
    check_payment_method,
    check_quantity,
    check_spend,
    too_little,
    unused_discount_warning,
)
from seatctl.rules.subscription_changes import check_on_account, end_command
from seatctl.rules.tax import NO_LOCATION, address_hint, check_tax, tax_fields, tax_note
from seatctl.rules.typed_json import dump, load
from seatctl.services.charging.payer import (
    can_be_charged,
    check_given_method,
    discount_forms,
    require_customer,
)
from seatctl.services.operations.submit import (
    OperationRequest,
    Proposal,
    charge_note,
    earlier_operations,
    is_same,
)
from seatctl.services.plans.prices import in_currency_of, require_seat_price
from seatctl.services.plans.spec import sellable
from seatctl.services.purchases.buy_operation import BuyPayload, PurchasePayload
from seatctl.services.purchases.trial import check_trial_without_card, priced_trial, trial_notes
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS
from seatctl.services.users.permissions import allow

_ON_ACCOUNT_COLUMNS = (
    *("name", "plan", "status", "seats", "owner", "invoice", "amount_due", "currency"),
    *("due_date", "billing_email", "result"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """The order of `subs buy`: paid by card, with another subscription, on a hosted page, or by invoice."""

    plan: str
    seats: int
    name: str
    owner: str | None
    billing_email: str | None
    billing_name: str | None
    payment_method: str | None
    """A saved `pm_…` or a token `tok_…`; never a card number."""
    bill_to: str | None
    """A subscription whose customer and card also pay for this one."""
    max_spend: str | None
    """The most that may be charged now, as typed, in the plan's currency."""
    request_id: str | None
    checkout: bool = False
    """Paid on Stripe's hosted page, with a card that is entered there."""
    due_days: int | None = None
    """On account: days until the invoice is due. None: paid immediately."""
    discounts: tuple[tuple[str, str], ...] = ()
    """(`coupon` or `promotion_code`, its id)."""
    address: tuple[tuple[str, str], ...] = ()
    """The address of the new customer, as (Stripe's field name, text). Automatic tax needs one."""
    tax_ids: tuple[TaxId, ...] = ()
    """The tax ids of the new customer."""
    automatic_tax: bool = False
    """Whether Stripe adds the tax of the customer's location."""
    trial: bool = True
    """Whether it begins with the plan's trial, if the plan has one."""
    without_card: bool = False
    """Without a payment method, as the plan's trial allows."""
    currency: str | None = None
    """One of the plan's currencies; None: its first one."""


def prepare(ledger: Ledger, billing: Billing, call: Call, order: Order) -> Proposal:
    """Check an order against roles, names and policy, and let Stripe price it. Writes nothing.

    A repetition of an unfinished order, or of one with the same request id, passes: submitting it finishes or
    repeats the earlier one. Raises `name_taken`, `pack_size`, `card_required`, `max_spend_exceeded`, …, and
    the errors of Stripe's preview.
    """
    name = check_name(order.name)
    _check_people(order)
    _check_payer(order)
    if order.request_id is not None:
        check_request_id(order.request_id)
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.BUY)
        plan = plans.find(reader, order.plan)
        order = replace(order, plan=plan.slug, name=name)
        plan, named_currency = in_currency_of(reader, plan, order.currency)
        payer = None if order.bill_to is None else subscriptions.find(reader, order.bill_to)
        customer = None if payer is None else customers.stripe_id(reader, payer.customer_id)
        payload = replace(_payload(plan, order, customer), in_currency=named_currency)
        request = OperationRequest(
            payload.kind,
            _requested(order),
            payload,
            reserved_name=name_key(order.name),
            request_id=order.request_id,
        )
        known = earlier_operations(reader, request)
        earlier = next((operation for operation in known if is_same(operation, request)), None)
        if earlier is None:  # if the name or the request id is known, `submit` decides what that means
            _check(reader, order, name_counts=not known)
    what = f"{counted(order.seats, 'seat')} of {plan.slug} as {name}"
    proposal = Proposal(
        request,
        {"name": name, "plan": plan.slug, "seats": order.seats},
        f"bought {what}",
        result="bought",
        report_columns=SUBSCRIPTION_COLUMNS if order.due_days is None else _ON_ACCOUNT_COLUMNS,
        guard=lambda reader: _check(reader, order),
    )
    if earlier is not None and earlier.state is OperationState.DONE:
        summary = f"run {earlier.run} has already done this: bought {what}"
        return replace(proposal, summary=summary, unchanged=True)
    if earlier is None:
        require_seat_price(billing, plan)
    if payer is not None and customer is not None and earlier is None:
        other = "name another subscription with --bill-to, or give --billing-email and --payment-method"
        require_customer(billing, payer, customer, other)
    if earlier is None and not order.checkout and order.due_days is None:
        accepted = _accepted(plan)
        check_given_method(billing, order.payment_method, accepted)
        if payer is not None:
            payload = replace(payload, card=_card_of(billing, payer, accepted))
    if earlier is not None:  # an unfinished purchase is completed at the price that it began with
        payload = load(PurchasePayload, earlier.payload)
    preview, price = _price(billing, call, plan, order, payload)
    due, currency = preview.amount_due, preview.currency
    is_told_on_page = _is_told_on_page(plan, order, preview)
    if earlier is None and not is_told_on_page:
        given = "the same command with --address country=CC --address postal_code=CODE"
        check_tax(preview.tax_status, given if order.bill_to is None else address_hint(order.bill_to))
    check_spend(due, currency, order.max_spend)
    limit = None if order.max_spend is None else amount_of(order.max_spend, currency)
    shown = None if is_told_on_page else ShownCharge(due, currency, end_command(order.name), limit)
    # The invoice of a trial has nothing that a discount could be taken from.
    wanted = 0 if payload.trial_days else len(order.discounts)
    warnings = unused_discount_warning(wanted, preview.discounts, preview.total)
    row: Record = {**proposal.row, **price}
    return replace(
        proposal,
        request=replace(request, payload=replace(payload, shown=shown, warnings=warnings)),
        row=row,
        question=f"Buy {what}?",
        notes=_notes(order, preview, price, payload, is_told_on_page=is_told_on_page),
        warnings=warnings,
        due=due,
        currency=currency,
        columns=tuple(row),
    )


def _is_told_on_page(plan: Plan, order: Order, preview: Preview) -> bool:
    """Whether Stripe's page adds the tax, once its customer enters an address there, and asks for a yes.

    A page that only collects a card does neither, and a limit cannot be kept if the tax is not known yet.
    """
    sells = order.checkout and (plan.policy or FLEXIBLE).renewal != "manual"
    return sells and preview.tax_status == NO_LOCATION and order.max_spend is None


def _notes(
    order: Order, preview: Preview, price: Record, payload: PurchasePayload, *, is_told_on_page: bool
) -> tuple[str, ...]:
    """The price, told before the question; without the tax it is not a price."""
    currency = preview.currency
    unit_price = format_money(int(str(price["unit_amount"])), currency)
    term = "trial" if payload.trial_days else "term"
    told = (
        f"{unit_price} per seat; the {term} ends {str(price['renews_at'])[:10]}.",
        *trial_notes(payload, price, has_card=not order.without_card),
    )
    if is_told_on_page:
        net = format_money(preview.total, currency)
        what = f"adds the tax for it to {net}" if preview.total else "adds the tax for it"
        return (*told, f"Stripe's page asks for the address and {what}.")
    return (
        *told,
        charge_note(preview.amount_due, currency, on_account=order.due_days is not None, days=order.due_days),
        *tax_note(preview),
        *((f"{too_little(preview.carried_over, currency)}.",) if preview.carried_over else ()),
    )


def _check(reader: Reader, order: Order, *, name_counts: bool = True) -> None:
    """Raise a refusal if the plan is not sold, or not in this quantity, or the name is taken."""
    plan = sellable(plans.find(reader, order.plan))
    if order.without_card:
        check_trial_without_card(plan, trial=order.trial)
    if plan.policy is not None:
        check_quantity(plan.slug, plan.policy, order.seats)
        if order.due_days is not None:
            check_on_account(plan.policy, order.name)
    if name_counts:
        subscriptions.require_free_name(reader, order.name)


def _check_people(order: Order) -> None:
    for flag, email in (("--owner", order.owner), ("--billing-email", order.billing_email)):
        problem = check_email(email) if email else None
        if problem:
            raise UsageError(f"{flag} {email!r}: {problem}", hint=f"use {flag} EMAIL")
    if order.payment_method:
        check_payment_method(order.payment_method)


def _check_payer(order: Order) -> None:
    """Raise UsageError if several ways to pay are given, or if an option that the way needs is missing."""
    ways = {
        "--payment-method": order.payment_method is not None,
        "--checkout": order.checkout,
        "--on-account": order.due_days is not None,
        "--no-card": order.without_card,
    }
    given = [flag for flag, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other", hint="give one of them")
    if order.bill_to is not None and (order.address or order.tax_ids):
        parts = [f"--address {part}={quote(text)}" for part, text in order.address]
        parts += [f"--tax-id {quote(f'{tax_id.type}:{tax_id.value}')}" for tax_id in order.tax_ids]
        flag, what = ("--address", "address counts") if order.address else ("--tax-id", "tax ids count")
        raise UsageError(
            f"{order.bill_to} already has a customer, whose {what}; {flag} is for a new one",
            hint=f"seatctl subs billing {quote(order.bill_to)} {' '.join(parts)}",
            data={"flag": flag},
        )
    if order.due_days is not None and order.bill_to is None and order.billing_email is None:
        raise UsageError(
            "--on-account needs --billing-email, the address that the invoice is sent to",
            hint="add --billing-email EMAIL",
            data={"flag": "--billing-email"},
        )


def _accepted(plan: Plan) -> Accepted:
    return Accepted((plan.policy or FLEXIBLE).payment_methods, plan.currency)


def _card_of(billing: Billing, payer: Subscription, accepted: Accepted) -> str | None:
    """Return the subscription's own card, None if the customer's default pays. A page sets an own card.

    Raises `not_a_card` or `payment_method_not_accepted`.
    """
    mirror = read_subscription(billing.read(endpoints.subscription(payer.stripe_subscription)))
    can_be_charged(billing, mirror, payer.name, accepted)
    return mirror.default_payment_method


def _requested(order: Order) -> dict[str, JsonValue]:
    return {
        "plan": order.plan,
        "seats": order.seats,
        "name": order.name,
        "owner": order.owner,
        "billing_email": order.billing_email,
        "billing_name": order.billing_name,
        "payment_method": order.payment_method,
        "bill_to": order.bill_to,
        "due_days": order.due_days,
        "discounts": discount_forms(order.discounts),
        "automatic_tax": order.automatic_tax,
        **({"address": dict(order.address)} if order.address else {}),
        **({} if order.trial else {"trial": False}),
        **({"without_card": True} if order.without_card else {}),
        **({"currency": order.currency} if order.currency else {}),
        **({"tax_ids": [dump(tax_id) for tax_id in order.tax_ids]} if order.tax_ids else {}),
    }


def _payload(plan: Plan, order: Order, customer: str | None) -> PurchasePayload:
    payload: type[PurchasePayload] = BuyPayload
    if order.checkout:
        from seatctl.services.purchases.checkout_operation import CheckoutPayload

        payload = CheckoutPayload
    return payload(
        name=order.name,
        owner=order.owner,
        seats=order.seats,
        plan_id=plan.id,
        price=plan.price_id,
        currency=plan.currency,
        policy=plan.policy,
        customer=customer,
        payment_method=order.payment_method,
        billing_email=order.billing_email,
        billing_name=order.billing_name,
        address={**dict(order.address)} or None,
        tax_ids=order.tax_ids,
        discounts=tuple(discount_forms(order.discounts)),
        automatic_tax=order.automatic_tax,
        due_days=order.due_days,
        flexible=True,
        payment_method_types=tuple(map(str, _accepted(plan).listed)),
        trial_days=plan.policy.trial_days if plan.policy is not None and order.trial else 0,
    )


def _price(
    billing: Billing, call: Call, plan: Plan, order: Order, payload: PurchasePayload
) -> tuple[Preview, Record]:
    """Return what Stripe would charge now for the price and customer of the payload, and as row fields."""
    form: dict[str, JsonValue] = {
        "subscription_details": {
            "items": [{"price": payload.price, "quantity": order.seats}],
            **endpoints.FLEXIBLE_BILLING,
        },
    }
    if payload.discounts:  # else the customer's own count, as on the subscription
        form["discounts"] = [*payload.discounts]
    if order.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    if payload.in_currency is not None:
        form["currency"] = payload.in_currency
    if payload.customer is not None:
        form["customer"] = payload.customer
    else:  # the customer is only made once the purchase is confirmed
        details: dict[str, JsonValue] = {"address": dict(order.address)} if order.address else {}
        if order.tax_ids:
            details["tax_ids"] = [dump(tax_id) for tax_id in order.tax_ids]
        form |= {"currency": plan.currency, "customer_details": {"tax_exempt": "none", **details}}
    raw = billing.read(endpoints.preview_invoice(form))
    preview, terms = read_preview(raw), read_terms(raw)
    # Waiting items of the customer come first in a preview, and may leave no room for the plan's own line.
    unit_amount = sum(line.amount for line in terms) // order.seats if terms else plan.unit_amount
    end = max((line.period_end for line in terms), default=None)
    row: Record = {
        "unit_amount": unit_amount,
        "currency": preview.currency,
        "due_now": preview.amount_due,
        "carried_over": preview.carried_over,
        "due_days": order.due_days,
        "renews_at": format_time(end or add_interval(call.now, plan.interval, plan.interval_count)),
        **({"discount": sum(preview.discounts)} if payload.discounts else {}),
    }
    if payload.trial_days:
        preview, row = priced_trial(billing, call, form, payload, (preview, row))
    if preview.total and _is_told_on_page(plan, order, preview):  # the total lacks the tax
        return preview, {**row, "net": preview.total, "tax": None, "total": None, "due_now": None}
    return preview, {**tax_fields(preview), **row}
