"""The operations that charge an invoice of our own: seats added at full price, and terms renewed by hand.

Added seats are charged first; then the quantity is set, without proration. A renewal charges the next term;
then one update sets its items, and `trial_end` at its end, so that Stripe bills nothing before then. The
subscription still ends there by itself. The seats of the old term hold until its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price, read_subscription
from seatctl.billing.port import InvalidRequest, MissingInStripe, StripeJson, stripe_now
from seatctl.billing.previews import RECURRING, read_pending_amount, read_preview_without_pending
from seatctl.errors import Code, JsonValue, StripeRefused, refuse
from seatctl.ledger import plans
from seatctl.models.call import format_time, parse_time
from seatctl.models.money import format_money, step
from seatctl.models.plan import Increase, Interval, Plan, Policy
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription import TermContent
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints, subscription_changes
from seatctl.rules.dates import add_interval, next_end
from seatctl.rules.metadata import OPERATION, made_by, metadata_of
from seatctl.rules.payment_methods import Accepted
from seatctl.rules.policies import FLEXIBLE, as_metadata
from seatctl.rules.purchases import (
    check_quantity,
    check_spend,
    unused_discount_warning,
)
from seatctl.rules.refunds import remaining_charge
from seatctl.rules.subscription_changes import NotRunning, Target
from seatctl.rules.subscription_state import RENEWED, TermPolicies, item_update, items_changed
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.own_invoice import (
    OwnInvoice,
    Trust,
    collect_own_invoice,
    payment_settings,
    price_data,
    refund_invoice,
    tax_fields,
    undo_invoice,
)
from seatctl.services.charging.payer import discount_forms, find_discounts, require_card
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import Proposal
from seatctl.services.plans.prices import no_unit_price, sold_in
from seatctl.services.plans.spec import sellable
from seatctl.services.subscriptions.finish import apply_departures, final_transaction
from seatctl.services.subscriptions.proposal import (
    NO_DEPARTURES,
    Departures,
    priced_proposal,
    repeated_proposal,
    spend_limit,
)
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    ItemGone,
    SubscriptionSnapshot,
    TermPayload,
    has_item,
    plan_of,
    read_running,
    require_unshared,
    term_fields,
)

_DUE_DAYS = 30
"""Days until an invoice on account for added seats is due; the default everywhere."""


# Added seats -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonPayload(TermPayload):
    """Added seats on an invoice of our own."""

    kind = "addon"
    own_invoice: OwnInvoice = field(metadata=stored_as("bill"))
    renewed_by: str | None = None
    """The invoice that has renewed the term by hand."""
    by_hand: bool = False
    """Whether the running term was renewed by hand: its metadata must then stay until its end."""
    while_processing: bool = False
    """Whether the seats are usable while a bank processes the payment."""
    restored: dict[str, JsonValue] | None = None
    """What the metadata that changes said before, for a payment that fails."""


@dataclass(frozen=True, slots=True)
class _Line:
    """The one line of an invoice of our own, in minor units, and the time that it pays for."""

    product: str
    unit_amount: int
    quantity: int
    description: str
    covers_from: datetime
    covers_until: datetime
    tax_behavior: str | None


def prepare_addon(snapshot: SubscriptionSnapshot, target: Target, seats: int, what: str) -> Proposal:
    """Price `seats` more: in full, or for the rest of the term if it was renewed by hand.

    `what` says it after "change". Raises `max_spend_exceeded`, `no_unit_price`, `card_required`.
    """
    state, change = snapshot.state, snapshot.change
    line = _line(snapshot, seats)
    discounts = discount_forms(find_discounts(snapshot.billing, change.promo, change.coupon))
    draft = _own_invoice_of(
        snapshot, line, discounts, _DUE_DAYS if change.on_account else None, snapshot.accepted
    )
    if not change.on_account:
        require_card(snapshot.billing, snapshot.mirror, snapshot.name, snapshot.accepted)
    own_invoice, preview = _price_own_invoice(snapshot, draft)
    check_spend(preview.amount_due, snapshot.currency, change.max_spend)
    payload = AddonPayload(
        **term_fields(snapshot, target),
        own_invoice=own_invoice,
        renewed_by=metadata_of(snapshot.mirror, snapshot.item).get(RENEWED) if state.renewed else None,
        by_hand=state.by_hand,
        while_processing=state.policy.seats_while_processing,
        due_now=preview.amount_due,
        summary=f"changed {what}",
        warnings=unused_discount_warning(len(discounts), preview.discounts, preview.total),
    )
    payload = replace(payload, restored=_restored(snapshot, _addon_metadata(payload)))
    return priced_proposal(
        snapshot,
        payload,
        f"Change {what}?",
        priced=preview,
        carried_over=preview.carried_over,
        on_account=change.on_account,
    )


def _restored(snapshot: SubscriptionSnapshot, changed: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what the metadata says now that an operation changes; empty texts clear what is new."""
    known = metadata_of(snapshot.mirror, snapshot.item)
    return {name: known.get(name, "") for name in changed}


def _line(snapshot: SubscriptionSnapshot, seats: int) -> _Line:
    subscription, state, upcoming = snapshot.subscription, snapshot.state, snapshot.item.price.unit_amount
    if upcoming is None:
        raise no_unit_price(state.now.plan, snapshot.item.price, state.name)
    running = upcoming if state.now.price_id == snapshot.item.price.id else subscription.unit_amount
    if state.policy.increase is Increase.FULL_PRICE:
        unit_amount, quantity = upcoming if state.renewed else running, seats
        price = snapshot.item.price.id if state.renewed else state.now.price_id
        if not state.policy.lock_price:
            unit_amount, price = _list_price(snapshot)
        covers_from = state.term_end if state.renewed else state.term_start
    else:
        covers_from, quantity, price = snapshot.stripe_time, 1, state.now.price_id
        step_of_price = step(subscription.currency)
        unit_amount = remaining_charge(
            running * seats, state.term_start, state.term_end, covers_from, step_of_price, state.ends_at
        )
        unit_amount += upcoming * seats if state.renewed else 0
    what = f"{counted(seats, 'added seat')} of {state.name} until {state.current_end:%Y-%m-%d}"
    product = snapshot.item.price.product_id
    behavior = _tax_behavior(snapshot, price)
    return _Line(product, unit_amount, quantity, what, covers_from, state.current_end, behavior)


def _tax_behavior(snapshot: SubscriptionSnapshot, price: str) -> str | None:
    """Return whether a price includes the tax: that whose amount is charged, not that of the item."""
    own = snapshot.item.price
    found = own if price == own.id else read_price(snapshot.billing.read(endpoints.price(price)))
    return found.tax_behavior


def _list_price(snapshot: SubscriptionSnapshot) -> tuple[int, str]:
    """Return the plan's price per seat today, in minor units of the subscription's currency, and its id.

    If the plan is unknown or has another currency, return what the subscription pays already.
    """
    with snapshot.change.ledger.reading() as reader:
        plan = plan_of(reader, snapshot.item.price.product_id)
        plan = plan and sold_in(reader, plan, snapshot.currency)
    same_currency = plan is not None and plan.currency == snapshot.currency
    if plan is not None and same_currency:
        return plan.unit_amount, plan.price_id
    return snapshot.subscription.unit_amount, snapshot.state.now.price_id


def _add_seats(running: OperationRun[AddonPayload]) -> Apply:
    payload = running.payload
    invoice = collect_own_invoice(running, payload.own_invoice, _trust_addon(running))
    _refund_if_ended(running, invoice)
    _set_quantity(running)
    return final_transaction(running, payload.subscription, [invoice], report_due=True)


def _trust_addon(running: OperationRun[AddonPayload]) -> Trust | None:
    """Return how the seats are given before they are paid, None if the policy does not."""
    payload = running.payload

    def give(invoice: str) -> None:
        _refund_if_ended(running, invoice)
        _set_quantity(running)
        _show(running, invoice)

    def take() -> None:
        if payload.held is not None and running.answered("quantity") is not None:
            form: dict[str, JsonValue] = {
                "items": [{"id": payload.item, "quantity": payload.held.seats}],
                "proration_behavior": "none",
            }
            _set_back(running, form, payload.restored)

    return Trust(give, take) if payload.while_processing else None


def _set_back(
    running: OperationRun[AddonPayload] | OperationRun[RenewPayload],
    form: dict[str, JsonValue],
    metadata: dict[str, JsonValue] | None,
) -> None:
    """Set what the subscription held before seats were given on trust, unless it has ended since."""
    mark = f"{running.reference}:back"
    write = running.payload.update(form, {**running.marks, OPERATION: mark}, metadata or {})
    try:
        running.step_must_succeed("back", write, running.changed(mark))
    except StripeRefused:
        mirror = running.subscription()
        if not mirror.status.is_over and has_item(mirror, running.payload.item):
            raise


def _show(running: OperationRun[AddonPayload] | OperationRun[RenewPayload], invoice: str) -> None:
    """Store what Stripe has now, so that the seats are usable, while the operation goes on waiting.

    Seats that are reserved for the people of a file are stored once, at the end.
    """
    if running.payload.reserved is None:
        store = final_transaction(running, running.payload.subscription, [invoice])
        with running.ledger.change(running.call._replace(run=running.operation.run, dry_run=False)) as tx:
            store(tx)
            tx.summarise(f"{running.payload.summary}; a bank is processing the payment")


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
        _addon_metadata(payload),
    )
    # The invoice is paid: any failure from here on stays pending until the seats are added.
    running.step_must_succeed("quantity", write, running.changed())


def _addon_metadata(payload: AddonPayload) -> dict[str, JsonValue]:
    return {} if payload.by_hand else payload.waiting_metadata(payload.renewed_by)


# Renewals by hand ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RenewalOptions:
    """The options of `subs renew`; None keeps the current value."""

    seats: int | None = None
    plan: str | None = None
    discounts: tuple[tuple[str, str], ...] = ()
    """(`coupon` or `promotion_code`, its id)."""
    due_days: int | None = None
    leaving: Departures = NO_DEPARTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewPayload(TermPayload):
    """A term that is renewed by hand."""

    kind = "renew"
    own_invoice: OwnInvoice = field(metadata=stored_as("bill"))
    latest_invoice: str | None = None
    """The subscription's latest invoice when the renewal was decided."""
    new_end: int
    """The end of the next term (unix seconds)."""
    agreed: dict[str, JsonValue] | None = None
    """The policies of both terms, as metadata."""
    policy: Policy | None = None
    """The next term's policy, which earlier versions stored instead."""
    metadata: dict[str, JsonValue] | None = None
    """What Stripe's metadata said about the subscription."""
    flexible: bool = False
    """Whether a new subscription for the term has flexible billing; earlier versions did not ask for it."""
    while_processing: bool = False
    """Whether the next term is usable while a bank processes its payment."""
    restored: dict[str, JsonValue] | None = None
    """What the metadata that changes said before, for a payment that fails."""


def prepare_renewal(change: ChangeRequest, renewal: RenewalOptions) -> Proposal:
    """Check and price the next term.

    Raises `renews_by_itself`, `already_renewed`, `not_in_renewal_window`, `pack_size`.
    """
    requested: dict[str, JsonValue] = {
        "renew": True,
        "seats": renewal.seats,
        "plan": renewal.plan,
        "due_days": renewal.due_days,
        "discounts": [list(pair) for pair in renewal.discounts],
    }
    change = change.asking(requested, Action.ADD_SEATS)
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_running(change)
    require_unshared(snapshot, "renewing it")
    state = snapshot.state
    subscription_changes.check_renewal(state, snapshot.stripe_time)
    with change.ledger.reading() as reader:
        plan = sellable(plans.find(reader, renewal.plan or state.now.plan))
        plan = sold_in(reader, plan, snapshot.currency)
    subscription_changes.check_currency(state, plan, snapshot.item.price.currency)
    subscription_changes.check_next_term(state, plan)
    assert plan.policy is not None
    _require_unit_price(snapshot, plan)
    seats = check_quantity(plan.slug, plan.policy, renewal.seats or state.next.seats)
    accepted = Accepted(plan.policy.payment_methods, snapshot.currency)
    if renewal.due_days is not None:
        subscription_changes.check_on_account(plan.policy, state.name)
    else:
        require_card(snapshot.billing, snapshot.mirror, snapshot.name, accepted)
    subscription_changes.check_room(state, seats, len(renewal.leaving.users))
    target = Target(state.now, TermContent(plan.price_id, plan.slug, seats))
    end = _new_end(snapshot, plan)
    discounts = discount_forms(renewal.discounts)
    description = f"{counted(seats, 'seat')} of {plan.name} from {state.term_end:%Y-%m-%d}"
    behavior = _tax_behavior(snapshot, plan.price_id)
    line = _Line(plan.product_id, plan.unit_amount, seats, description, state.term_end, end, behavior)
    draft = _own_invoice_of(snapshot, line, discounts, renewal.due_days, accepted)
    own_invoice, preview = _price_own_invoice(snapshot, draft)
    waiting = _waiting_total(snapshot, target.next, int(end.timestamp()))
    if waiting:  # the limit covers both invoices; our own may not exceed what is shown here
        own_invoice = replace(own_invoice, max_spend=None)
    due = preview.amount_due + waiting
    check_spend(due, plan.currency, change.max_spend)
    what = f"{state.name} with {counted(seats, 'seat')} of {plan.slug} until {end:%Y-%m-%d}"
    if waiting:
        what += f", with {format_money(waiting, plan.currency)} that waited for its next invoice"
    payload = RenewPayload(
        **term_fields(snapshot, target),
        own_invoice=own_invoice,
        latest_invoice=snapshot.mirror.latest_invoice,
        due_now=due,
        new_end=int(end.timestamp()),
        agreed=TermPolicies(state.policy, plan.policy).metadata,
        metadata=dict(metadata_of(snapshot.mirror, snapshot.item)),
        flexible=True,
        while_processing=plan.policy.seats_while_processing,
        summary=f"renewed {what}",
        warnings=unused_discount_warning(len(discounts), preview.discounts, preview.total),
    )
    payload = replace(payload, restored=_restored(snapshot, _term_metadata(payload, "")))
    proposal = priced_proposal(
        snapshot,
        payload,
        f"Renew {what}?",
        renewal.leaving,
        priced=preview,
        carried_over=preview.carried_over,
        on_account=renewal.due_days is not None,
    )
    return replace(proposal, row={**proposal.row, "ends_at": format_time(end)})


def _waiting_total(snapshot: SubscriptionSnapshot, content: TermContent, new_end: int) -> int:
    """Return what Stripe bills as soon as a trial until `new_end` (epoch seconds) begins, in minor units.

    A renewal by hand is such a trial, and its first invoice takes all waiting items.
    """
    details: dict[str, JsonValue] = {
        "items": [item_update(snapshot.item.id, snapshot.state.next, content)],
        "trial_end": new_end,
        "proration_behavior": "none",
    }
    try:
        once = snapshot.preview(details)
        return max(0, read_pending_amount(once, lambda: snapshot.preview(details, **RECURRING)))
    except (MissingInStripe, InvalidRequest):
        return 0


def _new_end(snapshot: SubscriptionSnapshot, plan: Plan) -> datetime:
    """Return the end of the next term. Raises `term_too_long` before anything is charged."""
    end = next_end(snapshot.state.term_end, snapshot.mirror.created_at, plan.interval, plan.interval_count)
    # Stripe accepts a `trial_end` at most two years after the billing cycle anchor.
    if end > add_interval(snapshot.mirror.billing_cycle_anchor, Interval.YEAR, 2):
        raise refuse(
            Code.TERM_TOO_LONG,
            f"Stripe allows terms of at most two years; this one would end on {end:%Y-%m-%d}",
            hint=hints.to("to begin a new contract", hints.buy(plan.slug)),
            data={"subscription": snapshot.name, "new_end": format_time(end)},
        )
    return end


def _renew(running: OperationRun[RenewPayload]) -> Apply:
    payload = running.payload
    invoice = collect_own_invoice(running, payload.own_invoice, _trust_renewal(running))
    stripe_id = _extend(running, invoice)
    return final_transaction(
        running,
        payload.subscription,
        [invoice],
        apply_departures(payload, at_once=False),
        stripe_id=stripe_id,
        report_due=True,
        include_latest=True,
        invoice_before=payload.latest_invoice,
    )


def _trust_renewal(running: OperationRun[RenewPayload]) -> Trust | None:
    """Return how the next term is given before it is paid, None if the policy does not."""
    payload = running.payload

    def give(invoice: str) -> None:
        mirror = running.subscription()
        if not mirror.status.is_over and has_item(mirror, payload.item):
            _extend(running, invoice)
            _show(running, invoice)

    def take() -> None:
        if running.answered("extend") is None:
            return
        old_end = parse_time(payload.term_end)
        if old_end <= stripe_now(running.billing, running.call):
            end = endpoints.cancel_subscription(payload.stripe_id)
            running.delete("end", end, lambda: running.subscription().status.is_over)
            return
        form: dict[str, JsonValue] = {
            **items_changed(payload.item, payload.next, payload.held or payload.next),
            "trial_end": int(old_end.timestamp()),
            "proration_behavior": "none",
            "cancel_at_period_end": True,
        }
        _set_back(running, form, payload.restored)

    return Trust(give, take) if payload.while_processing else None


def _extend(running: OperationRun[RenewPayload], invoice: str) -> str:
    """Give the subscription its next term. It is paid, so any failure here stays pending."""
    payload, mirror = running.payload, running.subscription()
    extended = running.changed()
    if mirror.status is SubscriptionStatus.CANCELED:
        # If it was extended and canceled after that, its term is used up: do not begin a second one.
        return payload.stripe_id if extended() is not None else _begin_new_subscription(running, invoice)
    if not has_item(mirror, payload.item) and extended() is None:
        outcome = refund_invoice(running, invoice)
        reason = "the subscription's item was replaced in Stripe before it was renewed"
        raise NothingLeftInStripe(ItemGone(f"{reason}; {outcome}", hint="seatctl sync"))
    write = payload.update(
        {
            **items_changed(payload.item, payload.held, payload.next),
            "trial_end": payload.new_end,
            "proration_behavior": "none",
            "cancel_at_period_end": True,
        },
        running.marks,
        _term_metadata(payload, invoice),
    )
    running.step_must_succeed("extend", write, extended)
    return payload.stripe_id


def _begin_new_subscription(running: OperationRun[RenewPayload], invoice: str) -> str:
    """Start the next term as a new subscription, and return its id.

    The old one ended before its paid renewal was recorded. If the customer was deleted, it is refunded.
    """
    payload, own_invoice = running.payload, running.payload.own_invoice
    find_new = running.mine(endpoints.subscriptions_of(own_invoice.customer))
    if running.is_missing(endpoints.customer(own_invoice.customer)):
        if (begun := find_new()) is not None:
            return str(begun["id"])
        outcome = refund_invoice(running, invoice)
        raise NothingLeftInStripe(NotRunning(f"the customer was deleted in Stripe; {outcome}"))
    if payload.new_end <= stripe_now(running.billing, running.call).timestamp() and find_new() is None:
        outcome = refund_invoice(running, invoice)
        raise NothingLeftInStripe(NotRunning(f"the payment arrived after the term had ended; {outcome}"))
    content: dict[str, JsonValue] = {"price": payload.next.price_id, "quantity": payload.next.seats}
    form: dict[str, JsonValue] = {
        "customer": own_invoice.customer,
        "items": [{**content, **tax_fields(own_invoice)}],
        "trial_end": payload.new_end,
        "cancel_at_period_end": True,
        "off_session": True,
        **payment_settings(own_invoice),
        "metadata": {**(payload.metadata or {}), **running.marks, **_term_metadata(payload, invoice)},
    }
    if own_invoice.payment_method is not None:
        form["default_payment_method"] = own_invoice.payment_method
    if own_invoice.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    if payload.flexible:
        form |= endpoints.FLEXIBLE_BILLING
    made = running.step_must_succeed("begin-anew", endpoints.create_subscription(form), find_new)
    return str(made["id"])


def _term_metadata(payload: RenewPayload, invoice: str) -> dict[str, JsonValue]:
    policies = payload.agreed
    if policies is None:  # begun by a version that stored only the next term's policy
        policies = {**as_metadata(payload.policy or FLEXIBLE)}
    return {**policies, **payload.waiting_metadata(renewed_by=invoice)}


# The invoice ------------------------------------------------------------------------------------------


def _own_invoice_of(
    snapshot: SubscriptionSnapshot,
    line: _Line,
    discounts: list[JsonValue],
    due_days: int | None,
    accepted: Accepted,
) -> OwnInvoice:
    """Return an invoice of our own: its customer, card, currency and tax are those of the subscription."""
    return OwnInvoice(
        customer=snapshot.mirror.customer_id,
        stripe_subscription=snapshot.mirror.id,
        payment_method=snapshot.mirror.default_payment_method,
        product=line.product,
        currency=snapshot.item.price.currency,
        unit_amount=line.unit_amount,
        quantity=line.quantity,
        description=line.description,
        discounts=discounts or "",
        max_spend=spend_limit(snapshot),
        due_days=due_days,
        covers_from=format_time(line.covers_from),
        covers_until=format_time(line.covers_until),
        tax_behavior=line.tax_behavior,
        automatic_tax=snapshot.mirror.automatic_tax,
        tax_rates=snapshot.item.tax_rates or snapshot.mirror.tax_rates,
        payment_method_types=tuple(map(str, accepted.listed)),
    )


def _price_own_invoice(snapshot: SubscriptionSnapshot, own_invoice: OwnInvoice) -> tuple[OwnInvoice, Preview]:
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
    snapshot.require_tax(priced)
    return replace(own_invoice, shown=max(priced.amount_due, priced.total)), priced


def _require_unit_price(snapshot: SubscriptionSnapshot, plan: Plan) -> None:
    """Raise `no_unit_price` unless the plan's price is an amount per seat.

    The ledger holds 0 for a price without one.
    """
    if plan.unit_amount:
        return
    price = snapshot.item.price
    if price.id != plan.price_id:
        price = read_price(snapshot.billing.read(endpoints.price(plan.price_id)))
    if price.unit_amount is None:
        raise no_unit_price(plan.slug, price, snapshot.name)


def _undo_addon(running: OperationRun[AddonPayload]) -> str | None:
    return undo_invoice(running, running.payload.own_invoice, _trust_addon(running))


def _undo_renewal(running: OperationRun[RenewPayload]) -> str | None:
    return undo_invoice(running, running.payload.own_invoice, _trust_renewal(running))


register(OperationHandler(AddonPayload, _add_seats, _undo_addon, action=Action.ADD_SEATS))
register(OperationHandler(RenewPayload, _renew, _undo_renewal, action=Action.ADD_SEATS))
