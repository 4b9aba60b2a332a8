"""The operation that renews a term by hand: our own invoice for the next term, then one update.

The update sets the items of the next term, and `trial_end` at its end, so that Stripe bills nothing before
then. The subscription still ends there by itself. The seats of the old term hold until its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe
from seatctl.billing.previews import RECURRING, read_pending_amount
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import plans
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call, format_time
from seatctl.models.money import format_money
from seatctl.models.plan import Interval, Plan, Policy
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.subscription import TermContent
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints, subscription_changes
from seatctl.rules.dates import add_interval, next_end
from seatctl.rules.metadata import metadata_of
from seatctl.rules.policies import FLEXIBLE, as_metadata
from seatctl.rules.purchases import cards_only, check_quantity, check_spend, unused_discount_warning
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import TermPolicies, item_update, items_changed
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.own_invoice import (
    OwnInvoice,
    collect_own_invoice,
    refund_invoice,
    tax_fields,
    undo_invoice,
)
from seatctl.services.charging.payer import discount_forms, require_card
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import Proposal
from seatctl.services.plans.spec import sellable
from seatctl.services.subscriptions.addon_operation import (
    own_invoice_of,
    price_own_invoice,
    require_unit_price,
)
from seatctl.services.subscriptions.finish import apply_departures, final_transaction
from seatctl.services.subscriptions.proposal import (
    NO_DEPARTURES,
    Departures,
    priced_proposal,
    repeated_proposal,
)
from seatctl.services.subscriptions.snapshot import (
    ChangeOptions,
    ChangeRequest,
    ItemGone,
    SubscriptionSnapshot,
    TermPayload,
    has_item,
    read_running,
    require_unshared,
    term_fields,
)


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


def prepare_renewal(
    ledger: Ledger, billing: Billing, call: Call, handle: str, renewal: RenewalOptions, options: ChangeOptions
) -> Proposal:
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
    change = ChangeRequest(ledger, billing, call, handle, Action.ADD_SEATS, requested, options)
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_running(change)
    require_unshared(snapshot, "renewing it")
    state = snapshot.state
    subscription_changes.check_renewal(state, snapshot.stripe_time)
    with ledger.reading() as reader:
        plan = sellable(plans.find(reader, renewal.plan or state.now.plan))
    subscription_changes.check_currency(state, plan, snapshot.item.price.currency)
    subscription_changes.check_next_term(state, plan)
    assert plan.policy is not None
    require_unit_price(snapshot, plan)
    seats = check_quantity(plan.slug, plan.policy, renewal.seats or state.next.seats)
    if renewal.due_days is not None:
        subscription_changes.check_on_account(plan.policy, state.name)
    else:
        require_card(billing, snapshot.mirror, snapshot.name)
    subscription_changes.check_room(state, seats, len(renewal.leaving.users))
    target = Target(state.now, TermContent(plan.price_id, plan.slug, seats))
    end = _new_end(snapshot, plan)
    discounts = discount_forms(renewal.discounts)
    draft = own_invoice_of(
        snapshot,
        plan.product_id,
        plan.unit_amount,
        seats,
        f"{counted(seats, 'seat')} of {plan.name} from {state.term_end:%Y-%m-%d}",
        discounts,
        renewal.due_days,
        state.term_end,
        end,
    )
    own_invoice, preview = price_own_invoice(snapshot, draft)
    waiting = _waiting_total(snapshot, target.next, int(end.timestamp()))
    if waiting:  # the limit covers both invoices; our own may not exceed what is shown here
        own_invoice = replace(own_invoice, max_spend=None)
    due = preview.amount_due + waiting
    check_spend(due, plan.currency, options.max_spend)
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
        leaving=renewal.leaving.users,
        not_seated=renewal.leaving.not_seated,
        summary=f"renewed {what}{renewal.leaving.remark}",
        warnings=unused_discount_warning(len(discounts), preview.discounts, preview.total),
    )
    proposal = priced_proposal(
        snapshot,
        payload,
        f"Renew {what}?",
        notes=renewal.leaving.notes,
        carried_over=preview.carried_over,
        on_account=renewal.due_days is not None,
    )
    row = {**proposal.row, "ends_at": format_time(end), **renewal.leaving.row_fields}
    return replace(proposal, row=row)


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


def _run(running: OperationRun[RenewPayload]) -> Apply:
    payload = running.payload
    invoice = collect_own_invoice(running, payload.own_invoice)
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

    The old one ended before its paid renewal was recorded.
    """
    payload, own_invoice = running.payload, running.payload.own_invoice
    content: dict[str, JsonValue] = {"price": payload.next.price_id, "quantity": payload.next.seats}
    form: dict[str, JsonValue] = {
        "customer": own_invoice.customer,
        "items": [{**content, **tax_fields(own_invoice)}],
        "trial_end": payload.new_end,
        "cancel_at_period_end": True,
        "off_session": True,
        "payment_settings": cards_only(),
        "metadata": {**(payload.metadata or {}), **running.marks, **_term_metadata(payload, invoice)},
    }
    if own_invoice.payment_method is not None:
        form["default_payment_method"] = own_invoice.payment_method
    if own_invoice.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    made = running.step_must_succeed(
        "begin-anew",
        endpoints.create_subscription(form),
        running.mine(endpoints.subscriptions_of(own_invoice.customer)),
    )
    return str(made["id"])


def _term_metadata(payload: RenewPayload, invoice: str) -> dict[str, JsonValue]:
    policies = payload.agreed
    if policies is None:  # begun by a version that stored only the next term's policy
        policies = {**as_metadata(payload.policy or FLEXIBLE)}
    return {**policies, **payload.waiting_metadata(renewed_by=invoice)}


def _undo(running: OperationRun[RenewPayload]) -> str | None:
    return undo_invoice(running, running.payload.own_invoice)


register(OperationHandler(RenewPayload, _run, _undo, action=Action.ADD_SEATS))
