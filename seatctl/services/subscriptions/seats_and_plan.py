"""`subs add-seats`, `set-seats` and `change-plan`: checked against the policy.

`change_operation.py` and `addon_operation.py` price and make the changes.
"""

from __future__ import annotations

from shlex import quote

from seatctl.billing.port import Billing
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.departures import ending_between
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call, format_time
from seatctl.models.role import Action
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules import subscription_changes
from seatctl.rules.plan_changes import check_change, check_currency
from seatctl.rules.plural import counted
from seatctl.rules.policy_of_term import TermPolicies
from seatctl.rules.purchases import check_quantity
from seatctl.rules.subscription_changes import Target, check_added_seats
from seatctl.services.operations.proposal import Proposal
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.plans.spec import sellable
from seatctl.services.subscriptions.change_operation import ChangePayload, prepare_change
from seatctl.services.subscriptions.departures import NO_DEPARTURES, Departures
from seatctl.services.subscriptions.proposal import (
    ChangeOptions,
    repeated_proposal,
    unchanged_proposal,
)
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot, plan_of, read_running


def prepare_added_seats(
    ledger: Ledger, billing: Billing, call: Call, handle: str, seats: int, options: ChangeOptions
) -> Proposal:
    """Check and price `seats` more.

    Raises `addon_window_closed`, `pack_size`, `discount_not_allowed`, `card_required`, …
    """
    requested: dict[str, JsonValue] = {"add_seats": seats, **options.requested}
    repetition = repeated_proposal(ledger, call, handle, requested, Action.ADD_SEATS, options)
    if repetition is not None:
        return repetition
    snapshot = read_running(ledger, billing, call, handle, Action.ADD_SEATS)
    return _increase(ledger, billing, snapshot, seats, options, requested)


def _increase(
    ledger: Ledger,
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    seats: int,
    options: ChangeOptions,
    requested: dict[str, JsonValue],
) -> Proposal:
    state = snapshot.state
    subscription_changes.require_collecting(state, snapshot.stripe_time)
    subscription_changes.check_discount(state, snapshot.stripe_time, given=options.discount)
    by_own_invoice = subscription_changes.bills_by_own_invoice(state)
    if by_own_invoice and options.on_account:
        subscription_changes.check_addon_on_account(state, snapshot.stripe_time)
    target = subscription_changes.increase(state, seats, snapshot.stripe_time)
    check_added_seats(state, target, seats)
    what = f"{state.name} from {state.now.seats} to {target.now.seats} seats"
    if by_own_invoice:
        from seatctl.services.subscriptions.addon_operation import prepare_addon

        price = _list_price(ledger, snapshot)
        return prepare_addon(billing, snapshot, target, seats, options, requested, what, price)
    subscription_changes.check_added_on_account(
        state, wanted=options.on_account, invoiced=snapshot.mirror.collection_method == "send_invoice"
    )
    return prepare_change(billing, snapshot, target, options, requested, what)


def _list_price(ledger: Ledger, snapshot: SubscriptionSnapshot) -> int:
    """Return the plan's price per seat today, in minor units of the subscription's currency.

    If the plan is unknown or has another currency, return what the subscription pays already.
    """
    with ledger.reading() as reader:
        plan = plan_of(reader, snapshot.item.price.product_id)
    same_currency = plan is not None and plan.currency == snapshot.currency
    return plan.unit_amount if plan is not None and same_currency else snapshot.subscription.unit_amount


def prepare_seat_total(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    handle: str,
    seats: int,
    options: ChangeOptions,
    leaving: Departures = NO_DEPARTURES,
) -> Proposal:
    """Check and price a total of `seats`; `leaving` are the users who lose their seats.

    Raises what an increase or a decrease raises, and `below_assigned`.
    """
    requested: dict[str, JsonValue] = {"set_seats": seats, "leaving": [*leaving.requested]}
    repetition = repeated_proposal(ledger, call, handle, requested, Action.ADD_SEATS, options)
    if repetition is not None:
        return repetition
    snapshot = read_running(ledger, billing, call, handle, Action.ADD_SEATS)
    state = snapshot.state
    if seats == state.now.seats == state.next.seats:
        return _unchanged(ledger, snapshot, requested)
    if seats > state.now.seats:
        return _increase(ledger, billing, snapshot, seats - state.now.seats, options, requested)
    target = subscription_changes.decrease(state, seats, snapshot.stripe_time)
    if target == Target(state.now, state.next) and not leaving.users:
        return _unchanged(ledger, snapshot, requested)
    command = f"seatctl subs set-seats {quote(state.name)}"
    check_quantity(state.next.plan, state.upcoming, seats, use=command)
    leaving_users = {*leaving.users}
    if target.now == state.now:
        with ledger.reading() as reader:  # some seats end before the renewal anyway
            end = format_time(state.term_end)
            leaving_users |= {*ending_between(reader, snapshot.subscription.id, format_time(call.now), end)}
    subscription_changes.check_room(state, seats, len(leaving_users))
    what = f"{state.name} from {state.now.seats} to {seats} seats {_when(state, target)}"
    return prepare_change(billing, snapshot, target, options, requested, what, leaving)


def prepare_plan_change(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    handle: str,
    slug: str,
    options: ChangeOptions,
    *,
    at_renewal: bool,
) -> Proposal:
    """Check and price another plan. Raises `plan_locked`, `interval_change`, `pack_size`, …"""
    requested: dict[str, JsonValue] = {"change_plan": slug, "at_renewal": at_renewal, **options.requested}
    repetition = repeated_proposal(ledger, call, handle, requested, Action.MANAGE_SUBSCRIPTION, options)
    if repetition is not None:
        return repetition
    snapshot = read_running(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    state = snapshot.state
    subscription_changes.check_discount(state, snapshot.stripe_time, given=options.discount)
    with ledger.reading() as reader:
        plan = sellable(plans.find(reader, slug))
    if plan.slug == state.next.plan and (at_renewal or plan.slug == state.now.plan):
        return _unchanged(ledger, snapshot, requested)
    subscription_changes.check_plan_waits(state, plan.slug)
    # Taking a pending change back must keep the running price, not move to today's list price.
    price = state.now.price_id if plan.slug == state.now.plan else plan.price_id
    target = subscription_changes.change_plan(
        state, price, plan.slug, snapshot.stripe_time, at_renewal=at_renewal
    )
    if target.now != state.now:
        subscription_changes.require_collecting(state, snapshot.stripe_time)
    recurring = snapshot.item.price
    check_currency(state, plan, recurring.currency)
    check_change(state, plan, recurring.interval, recurring.interval_count)
    assert plan.policy is not None
    command = f"first: seatctl subs set-seats {quote(state.name)}"
    for seats in {target.next.seats, target.now.seats if target.now != state.now else target.next.seats}:
        check_quantity(plan.slug, plan.policy, seats, use=command)
    what = f"{state.name} from plan {state.now.plan} to {plan.slug} {_when(state, target)}"
    # What is paid for keeps the policy it was paid under; the new plan's policy begins with the new plan.
    is_current = plan.slug == state.now.plan
    agreed = TermPolicies(
        state.policy if is_current or target.now == state.now else plan.policy,
        state.policy if is_current else plan.policy,
    )
    return prepare_change(billing, snapshot, target, options, requested, what, agreed=agreed)


def _when(state: SubscriptionState, target: Target) -> str:
    return "now" if target.now != state.now else f"as of {state.term_end:%Y-%m-%d}"


def _unchanged(ledger: Ledger, snapshot: SubscriptionSnapshot, requested: dict[str, JsonValue]) -> Proposal:
    """Propose nothing: the subscription already has these seats and this plan."""
    state = snapshot.state
    row: dict[str, JsonValue] = {"name": state.name, "plan": state.now.plan, "seats": state.now.seats}
    request = OperationRequest(ChangePayload.kind, requested, None, snapshot.subscription.id)
    summary = f"{state.name} already has {counted(state.next.seats, 'seat')} of {state.next.plan}"
    return unchanged_proposal(ledger, snapshot.subscription, request, summary, row)
