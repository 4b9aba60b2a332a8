"""`subs add-seats`, `set-seats`, `change-plan`: decided by the policy, priced by Stripe, submitted."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.billing.port import Billing
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.departures import ending_between
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call, format_time
from seatctl.models.plan import Increase
from seatctl.models.role import Action
from seatctl.rules import subscription_changes
from seatctl.rules.packs import check_added
from seatctl.rules.plan_changes import check_change, check_currency, check_next_price
from seatctl.rules.plural import counted
from seatctl.rules.policy_of_term import TermPolicies, nothing_kept
from seatctl.rules.purchases import check_quantity, check_spend, nothing_off
from seatctl.rules.subscription_changes import Target
from seatctl.rules.term_content import side_fields
from seatctl.services.charging.cards import require_no_other
from seatctl.services.charging.discounts import discount_forms, find_discounts
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.plans.edit import sellable
from seatctl.services.subscriptions.classic_billing import require_true_credit
from seatctl.services.subscriptions.departures import NOBODY, Departures
from seatctl.services.subscriptions.previews import Proration, due_now, next_total
from seatctl.services.subscriptions.proposal import ChangeOptions, Proposal, priced, repeated
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot, gather, plan_of


def prepare_add(
    ledger: Ledger, billing: Billing, call: Call, handle: str, seats: int, wishes: ChangeOptions
) -> Proposal:
    """Check and price `seats` more.

    Raises `addon_window_closed`, `pack_size`, `discount_not_allowed`, `card_required` …
    """
    asked: dict[str, JsonValue] = {"add_seats": seats, **wishes.asked}
    under_way = repeated(ledger, call, handle, asked, Action.ADD_SEATS, wishes)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.ADD_SEATS)
    return _increase(ledger, billing, call, found, seats, wishes, asked)


def _increase(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    found: SubscriptionSnapshot,
    seats: int,
    wishes: ChangeOptions,
    asked: dict[str, JsonValue],
) -> Proposal:
    stands = found.standing
    subscription_changes.require_collecting(stands, found.at)
    subscription_changes.check_discount(stands, found.at, given=wishes.discount)
    ours = subscription_changes.bills_by_own_invoice(stands)
    if ours and wishes.on_account:
        subscription_changes.check_addon_on_account(stands, found.at)
    target = subscription_changes.increase(stands, seats, found.at)
    check_added(stands, target, seats)
    summary = f"{stands.name}: {stands.now.seats} → {target.now.seats} seats"
    if ours:
        from seatctl.services.subscriptions.added_seats_invoice import prepare_addon

        price = _list_price(ledger, found)
        return prepare_addon(billing, found, target, seats, wishes, asked, summary, price)
    subscription_changes.check_added_on_account(
        stands, wanted=wishes.on_account, invoiced=found.mirror.collection_method == "send_invoice"
    )
    return _prorated(billing, call, found, target, wishes, asked, summary)


def _list_price(ledger: Ledger, found: SubscriptionSnapshot) -> int:
    """What the plan costs a seat today, in minor units of the subscription; else what it pays already."""
    with ledger.reading() as reader:
        plan = plan_of(reader, found.item.price.product_id)
    same = plan is not None and plan.currency == found.subscription.currency
    return plan.unit_amount if plan is not None and same else found.subscription.unit_amount


def prepare_set(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    handle: str,
    seats: int,
    wishes: ChangeOptions,
    leaving: Departures = NOBODY,
) -> Proposal:
    """Check and price a total of `seats`; `leaving` are the users who go where it becomes too small.

    Raises what an increase or a decrease raises, and `below_assigned`.
    """
    asked: dict[str, JsonValue] = {"set_seats": seats, "leaving": [*leaving.asked]}
    under_way = repeated(ledger, call, handle, asked, Action.ADD_SEATS, wishes)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.ADD_SEATS)
    stands = found.standing
    if seats == stands.now.seats == stands.next.seats:
        return _nothing(found, asked)
    if seats > stands.now.seats:
        return _increase(ledger, billing, call, found, seats - stands.now.seats, wishes, asked)
    target = subscription_changes.decrease(stands, seats, found.at)
    if target == Target(stands.now, stands.next) and not leaving.users:
        return _nothing(found, asked)
    typed = f"seatctl subs set-seats {quote(stands.name)}"
    check_quantity(stands.next.plan, stands.upcoming, seats, use=typed)
    going = {*leaving.users}
    if target.now == stands.now:
        with ledger.reading() as reader:  # at the renewal those are gone too whose seats end before it
            end = format_time(stands.term_end)
            going |= {*ending_between(reader, found.subscription.id, format_time(call.now), end)}
    subscription_changes.check_room(stands, seats, len(going))
    when = "now" if target.now != stands.now else f"from {stands.term_end:%Y-%m-%d}"
    summary = f"{stands.name}: {stands.now.seats} → {seats} seats {when}{leaving.remark}"
    return _prorated(billing, call, found, target, wishes, asked, summary, leaving)


def prepare_plan(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    handle: str,
    slug: str,
    wishes: ChangeOptions,
    *,
    at_renewal: bool,
) -> Proposal:
    """Check and price another plan. Raises `plan_locked`, `interval_change`, `pack_size` and the like."""
    asked: dict[str, JsonValue] = {"change_plan": slug, "at_renewal": at_renewal, **wishes.asked}
    under_way = repeated(ledger, call, handle, asked, Action.MANAGE_SUBSCRIPTION, wishes)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    stands = found.standing
    subscription_changes.check_discount(stands, found.at, given=wishes.discount)
    with ledger.reading() as reader:
        plan = sellable(plans.find(reader, slug))
    if plan.slug == stands.next.plan and (at_renewal or plan.slug == stands.now.plan):
        return _nothing(found, asked)
    subscription_changes.check_plan_waits(stands, plan.slug)
    # What runs keeps its price: taking a pending change back must not move it to today's list price.
    price = stands.now.price_id if plan.slug == stands.now.plan else plan.price_id
    target = subscription_changes.change_plan(stands, price, plan.slug, found.at, at_renewal=at_renewal)
    if target.now != stands.now:
        subscription_changes.require_collecting(stands, found.at)
    recurring = found.item.price
    check_currency(stands, plan, recurring.currency)
    check_change(stands, plan, recurring.interval, recurring.interval_count)
    assert plan.policy is not None
    typed = f"first: seatctl subs set-seats {quote(stands.name)}"
    for seats in {target.next.seats, target.now.seats if target.now != stands.now else target.next.seats}:
        check_quantity(plan.slug, plan.policy, seats, use=typed)
    when = "now" if target.now != stands.now else f"from {stands.term_end:%Y-%m-%d}"
    summary = f"{stands.name}: plan {stands.now.plan} → {plan.slug} {when}"
    # What is paid for comes with the terms of what is paid for: those of the new plan, from when it begins.
    back = plan.slug == stands.now.plan
    agreed = TermPolicies(
        stands.policy if back or target.now == stands.now else plan.policy,
        stands.policy if back else plan.policy,
    )
    return _prorated(billing, call, found, target, wishes, asked, summary, agreed=agreed)


def _prorated(
    billing: Billing,
    call: Call,
    found: SubscriptionSnapshot,
    target: Target,
    wishes: ChangeOptions,
    asked: dict[str, JsonValue],
    summary: str,
    leaving: Departures = NOBODY,
    agreed: TermPolicies | None = None,
) -> Proposal:
    """A change that Stripe prorates, or that waits for the renewal. `agreed`: with another policy."""
    stands, bill = found.standing, target.now != found.standing.now
    at_once = stands.policy.increase is not Increase.PRORATE_NEXT_INVOICE
    behavior = "always_invoice" if at_once else "create_prorations"
    # Stripe refuses a moment outside of the period, which may have ended while it makes the next one.
    began, ends = (int(edge.timestamp()) for edge in (found.item.period_start, found.item.period_end))
    moment = min(max(int(found.at.timestamp()), began), ends)
    if bill:
        if target.next.price_id != target.now.price_id:
            check_next_price(stands, read_price(billing.read(endpoints.price(target.next.price_id))))
        require_true_credit(billing, found, "this would be prorated")
    discounts = discount_forms(find_discounts(billing, wishes.promo, wishes.coupon), found.mirror.discounts)
    proration = Proration(behavior, moment) if bill else None
    costs = due_now(billing, found, target.now, proration, discounts)
    due = costs.now
    check_spend(due, found.subscription.currency, wishes.max_spend)
    if due and found.mirror.collection_method != "send_invoice":
        require_no_other(billing, found.mirror, stands.name)
    on_account = found.mirror.collection_method == "send_invoice"
    details: dict[str, JsonValue] = {
        **found.place,
        "now": side_fields(target.now),
        "next": side_fields(target.next),
        "term_start": format_time(stands.term_start),
        "term_end": format_time(stands.term_end),
        "bill": bill,
        "proration_behavior": behavior,
        "proration_date": moment,
        "latest_invoice": found.mirror.latest_invoice,
        "discounts": discounts,
        "on_account": on_account,
        "due_now": due,
        "agreed": agreed.metadata if agreed is not None else nothing_kept(stands.policy, stands.upcoming),
        "leaving": [*leaving.users],
        "not_seated": [*leaving.not_seated],
        "summary": summary,
    }
    request = OperationRequest("change", asked, details, found.subscription.id, request_id=wishes.request_id)
    following = next_total(billing, found, target, proration, discounts)
    warnings = tuple[str, ...]()
    if discounts:  # in a proration it is not told apart, so the same is asked without them
        bare = due_now(billing, found, target.now, proration, [])
        later = next_total(billing, found, target, proration, []) or 0
        saved = max(bare.now + bare.carried_over - due - costs.carried_over, later - (following or 0))
        warnings = nothing_off(1, (saved,), due or later)
    prepared = priced(
        found, target, request, due, summary, wishes, following, warnings, carried_over=costs.carried_over
    )
    row = {**prepared.row, **leaving.as_row}
    return replace(prepared, row=row, on_account=on_account)


def _nothing(found: SubscriptionSnapshot, asked: dict[str, JsonValue]) -> Proposal:
    """Already so: a request that `carry_out` answers without an operation."""
    stands = found.standing
    row: dict[str, JsonValue] = {"name": stands.name, "plan": stands.now.plan, "seats": stands.now.seats}
    request = OperationRequest("change", asked, {}, found.subscription.id)
    seats = counted(stands.next.seats, "seat")
    why = f"{stands.name} has {seats} of {stands.next.plan} already; nothing was changed"
    currency = found.subscription.currency
    return Proposal(request, row, 0, currency, why, found.subscription, found.read_at, nothing=True)
