"""`subs add-seats`, `set-seats`, `change-plan`: decided by the policy, priced by Stripe, submitted."""

from __future__ import annotations

from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe
from seatctl.errors import JsonValue, Refused
from seatctl.ledger import plans
from seatctl.ledger.leaving import ending_between
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call, format_time
from seatctl.models.plan import Increase
from seatctl.models.role import Action
from seatctl.models.standing import Side
from seatctl.models.stripe_objects import Preview
from seatctl.rules import changing
from seatctl.rules.changing import Target
from seatctl.rules.purchases import check_quantity, check_spend
from seatctl.services.discounts import discount_forms, find_discounts
from seatctl.services.gathering import Gathered, gather
from seatctl.services.operations import Request
from seatctl.services.plans import sellable
from seatctl.services.prepared import Prepared, Wishes, repeated
from seatctl.services.prorated_change import side_fields


class IntervalWaits(Refused):
    """Another interval would end the period at once and bill it anew."""

    code = "interval_change"


def prepare_add(
    ledger: Ledger, billing: Billing, call: Call, handle: str, seats: int, wishes: Wishes
) -> Prepared:
    """Check and price `seats` more. Raises AddonWindowClosed, PackSize, DiscountNotAllowed, CardRequired …"""
    asked: dict[str, JsonValue] = {"add_seats": seats, **wishes.asked}
    under_way = repeated(ledger, call, handle, asked, Action.ADD_SEATS)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.ADD_SEATS)
    return _increase(billing, call, found, seats, wishes, asked)


def _increase(
    billing: Billing, call: Call, found: Gathered, seats: int, wishes: Wishes, asked: dict[str, JsonValue]
) -> Prepared:
    stands = found.standing
    changing.check_discount(
        stands.policy, stands.name, given=wishes.discount, term_end=changing.window_opens(stands)
    )
    if wishes.on_account:
        changing.check_on_account(stands.policy, stands.name, addon=True, term_end=stands.term_end)
    target = changing.increase(stands, seats, call.now)
    check_quantity(stands.now.plan, replace(stands.policy, min_seats=1), seats)
    check_quantity(stands.now.plan, stands.policy, target.now.seats)
    summary = f"{stands.name}: {stands.now.seats} → {target.now.seats} seats"
    if changing.bills_by_own_invoice(stands.policy):
        from seatctl.services.addons import prepare_addon

        return prepare_addon(billing, found, target, seats, wishes, asked, summary)
    return _prorated(billing, call, found, target, wishes, asked, summary)


def prepare_set(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    handle: str,
    seats: int,
    wishes: Wishes,
    leaving: tuple[int, ...] = (),
) -> Prepared:
    """Check and price a total of `seats`; `leaving` are the users (ids) who go where it becomes too small.

    Raises what an increase or a decrease raises, and BelowAssigned.
    """
    asked: dict[str, JsonValue] = {"set_seats": seats, "leaving": [*leaving]}
    under_way = repeated(ledger, call, handle, asked, Action.ADD_SEATS)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.ADD_SEATS)
    stands = found.standing
    if seats == stands.now.seats == stands.next.seats:
        return _nothing(found, asked)
    if seats > stands.now.seats:
        return _increase(billing, call, found, seats - stands.now.seats, wishes, asked)
    target = changing.decrease(stands, seats, call.now)
    if target == Target(stands.now, stands.next) and not leaving:
        return _nothing(found, asked)
    check_quantity(stands.next.plan, stands.policy, seats)
    going = {*leaving}
    if target.now == stands.now:
        with ledger.reading() as reader:  # at the renewal those are gone too whose seats end before it
            end = format_time(stands.term_end)
            going |= {*ending_between(reader, found.pool.id, format_time(call.now), end)}
    changing.check_room(stands, seats, len(going))
    when = "now" if target.now != stands.now else f"from {stands.term_end:%Y-%m-%d}"
    summary = f"{stands.name}: {stands.now.seats} → {seats} seats {when}"
    return _prorated(billing, call, found, target, wishes, asked, summary, leaving)


def prepare_plan(
    ledger: Ledger, billing: Billing, call: Call, handle: str, slug: str, wishes: Wishes, *, at_renewal: bool
) -> Prepared:
    """Check and price another plan. Raises PlanLocked, IntervalWaits, PackSize and the like."""
    asked: dict[str, JsonValue] = {"change_plan": slug, "at_renewal": at_renewal, **wishes.asked}
    under_way = repeated(ledger, call, handle, asked, Action.MANAGE_SUBSCRIPTION)
    if under_way is not None:
        return under_way
    found = gather(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    stands = found.standing
    changing.check_discount(
        stands.policy, stands.name, given=wishes.discount, term_end=changing.window_opens(stands)
    )
    with ledger.reading() as reader:
        plan = sellable(plans.find(reader, slug))
    if plan.slug == stands.next.plan and (at_renewal or plan.slug == stands.now.plan):
        return _nothing(found, asked)
    changing.check_plan_waits(stands, plan.slug)
    # What runs keeps its price: taking a pending change back must not move it to today's list price.
    price = stands.now.price_id if plan.slug == stands.now.plan else plan.price_id
    target = changing.change_plan(stands, price, plan.slug, call.now, at_renewal=at_renewal)
    recurring = found.item.price
    if (plan.interval, plan.interval_count) != (recurring.interval, recurring.interval_count):
        raise IntervalWaits(
            f"{plan.slug} is billed by another interval; Stripe would end the period at once",
            hint=f"seatctl subs cancel {stands.name!r}, then buy {plan.slug} for what comes after",
            data={"subscription": stands.name, "allowed_from": format_time(stands.term_end)},
        )
    assert plan.policy is not None
    check_quantity(plan.slug, plan.policy, target.next.seats)
    when = "now" if target.now != stands.now else f"from {stands.term_end:%Y-%m-%d}"
    summary = f"{stands.name}: plan {stands.now.plan} → {plan.slug} {when}"
    return _prorated(billing, call, found, target, wishes, asked, summary)


def _prorated(
    billing: Billing,
    call: Call,
    found: Gathered,
    target: Target,
    wishes: Wishes,
    asked: dict[str, JsonValue],
    summary: str,
    leaving: tuple[int, ...] = (),
) -> Prepared:
    """A change that Stripe prorates, or that waits for the renewal."""
    stands, bill = found.standing, target.now != found.standing.now
    behavior = (
        "always_invoice"
        if stands.policy.increase is not Increase.PRORATE_NEXT_INVOICE
        else "create_prorations"
    )
    moment = int(call.now.timestamp())
    discounts = discount_forms(find_discounts(billing, wishes.promo, wishes.coupon), found.mirror.discounts)
    due = _due_now(billing, found, target.now, behavior, moment, discounts) if bill else 0
    check_spend(due, found.pool.currency, wishes.max_spend)
    details: dict[str, JsonValue] = {
        "subscription": found.pool.id,
        "stripe_id": found.mirror.id,
        "item": found.item.id,
        "now": side_fields(target.now),
        "next": side_fields(target.next),
        "term_start": format_time(stands.term_start),
        "term_end": format_time(stands.term_end),
        "bill": bill,
        "proration_behavior": behavior,
        "proration_date": moment,
        "latest_invoice": found.mirror.latest_invoice,
        "discounts": discounts,
        "leaving": [*leaving],
        "summary": summary,
    }
    request = Request("change", asked, details, found.pool.id, request_id=wishes.request_id)
    return priced(billing, found, target, request, due, summary)


def priced(
    billing: Billing, found: Gathered, target: Target, request: Request, due: int, summary: str
) -> Prepared:
    """The request with what it costs and leads to, as Stripe previews it; `due` in minor units."""
    stands, currency = found.standing, found.pool.currency
    following = next_invoice(billing, found, target.next)
    row: dict[str, JsonValue] = {
        "name": stands.name,
        "plan": target.now.plan,
        "seats": stands.now.seats,
        "seats_after": target.now.seats,
        "next_plan": target.next.plan,
        "next_seats": target.next.seats,
        "due_now": due,
        "currency": currency,
        "next_invoice": None if following is None else following.total,
        "renews_at": None if stands.ends else format_time(stands.period_end),
    }
    return Prepared(request, row, due, currency, summary, found.pool, found.at, operation=found.operation)


def _due_now(
    billing: Billing, found: Gathered, side: Side, behavior: str, moment: int, discounts: list[JsonValue]
) -> int:
    """What Stripe would charge now, in minor units; never negative: a credit goes to the balance."""
    if behavior != "always_invoice":
        return 0
    form: dict[str, JsonValue] = {
        "subscription": found.mirror.id,
        "subscription_details": {
            "items": [{"id": found.item.id, "price": side.price_id, "quantity": side.seats}],
            "proration_behavior": behavior,
            "proration_date": moment,
        },
    }
    if discounts:
        form["discounts"] = discounts
    return max(0, read_preview(billing.read(endpoints.preview_invoice(form))).amount_due)


def next_invoice(billing: Billing, found: Gathered, side: Side) -> Preview | None:
    """What Stripe says the next term will be invoiced at; None where it ends before."""
    if found.standing.ends:
        return None
    form: dict[str, JsonValue] = {
        "subscription": found.mirror.id,
        "subscription_details": {
            "items": [{"id": found.item.id, "price": side.price_id, "quantity": side.seats}],
            "proration_behavior": "none",
        },
    }
    try:
        return read_preview(billing.read(endpoints.preview_invoice(form)))
    except (MissingInStripe, InvalidRequest):
        return None


def _nothing(found: Gathered, asked: dict[str, JsonValue]) -> Prepared:
    """Already so: a request that `carry_out` answers without an operation."""
    stands = found.standing
    row: dict[str, JsonValue] = {"name": stands.name, "plan": stands.now.plan, "seats": stands.now.seats}
    request = Request("change", asked, {}, found.pool.id)
    why, currency = f"{stands.name} is so already", found.pool.currency
    return Prepared(request, row, 0, currency, why, found.pool, found.at, nothing=True)
