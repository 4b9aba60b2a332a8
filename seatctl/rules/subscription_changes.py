"""What may be changed in a running subscription under its policy, and when. Pure.

A refusal names the rule, the date from which the change would be allowed, and a command that is allowed now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from shlex import quote
from typing import Final

from seatctl.errors import Code, JsonValue, Refusal, Refused, SeatctlError, refuse
from seatctl.models.call import format_time
from seatctl.models.plan import (
    Decrease,
    Discounts,
    Increase,
    OnAccount,
    Plan,
    PlanChange,
    Policy,
    Renewal,
)
from seatctl.models.stripe_objects import StripePrice
from seatctl.models.subscription import SubscriptionState, TermContent
from seatctl.rules import hints
from seatctl.rules.payment_states import Payments, hint_of, pause_trouble, why_not_running
from seatctl.rules.purchases import check_quantity, fit, most


class NotRunning(Refused):
    """The subscription has ended or was never paid; it cannot be changed."""

    kind = Code.SUBSCRIPTION_NOT_RUNNING


_BY_CARD: Final = "run the same command without --on-account"


@dataclass(frozen=True, slots=True)
class Target:
    """What a subscription holds after a change: now, and in the next term."""

    now: TermContent
    next: TermContent


def window_opens(state: SubscriptionState) -> datetime:
    """Return when (UTC) the renewal window of the last paid term begins."""
    return state.current_end - timedelta(days=state.policy.renewal_window_days)


def require_running(state: SubscriptionState) -> None:
    """Raise NotRunning unless Stripe bills it: active, in its trial (a paid renewal), or past due."""
    if not state.status.is_running:
        payments = Payments(state.name, state.status.value, state.pause, state.owed)
        why, hint = why_not_running(payments, state.next.plan)
        raise NotRunning(
            f"{why}; it cannot be changed",
            hint=hint,
            data={"subscription": state.name, "status": str(state.status)},
        )


def require_collecting(state: SubscriptionState, at: datetime) -> None:
    """Raise `collection_paused` if collection is paused: new seats would not be paid."""
    payments = Payments(state.name, state.status.value, state.pause)
    trouble = pause_trouble(payments, at)
    if trouble is not None:
        raise refuse(
            Code.COLLECTION_PAUSED,
            f"{trouble.message}; nothing can be bought until then",
            hint=hint_of(trouble),
            data={"subscription": state.name},
        )


def increase(state: SubscriptionState, seats: int, at: datetime) -> Target:
    """Return the target with `seats` more in both terms. Raises `addon_window_closed`.

    The caller checks the quantity.
    """
    policy = state.policy
    closes = state.current_end - timedelta(days=policy.addon_cutoff_days)
    if policy.addon_cutoff_days and not state.renewed and at >= closes:
        raise _window_closed(state, seats, at)
    return Target(*(replace(term, seats=term.seats + seats) for term in (state.now, state.next)))


def check_added_seats(state: SubscriptionState, target: Target, seats: int) -> None:
    """Return if `seats` may be added now and to the next term.

    Whole packs are added to whole packs. A subscription that was made elsewhere may not hold a whole number
    of packs. Then any number may be added that makes the sum one; or, if only one of the two terms is odd,
    whole packs are added and that term stays odd. Raises `pack_size`, `too_few_seats`, `too_many_seats`.
    """
    name, policy, upcoming = quote(state.name), state.policy, state.upcoming
    now_odd = state.now.seats % policy.pack_size != 0
    next_odd = state.next.seats % upcoming.pack_size != 0
    any_number = now_odd and next_odd
    added = replace(policy, min_seats=1, pack_size=1 if any_number else policy.pack_size)
    _require_room(state, seats, added.pack_size)
    check_quantity(state.now.plan, added, seats, use=f"seatctl subs add-seats {name}")
    for term, rules, stays in ((target.now, policy, now_odd), (target.next, upcoming, next_odd)):
        whole = replace(rules, pack_size=1) if stays and not any_number else rules
        check_quantity(term.plan, whole, term.seats, use=f"seatctl subs set-seats {name}")


def _require_room(state: SubscriptionState, seats: int, pack: int) -> None:
    """Raise `too_many_seats` with how many can still be added, if there is room for fewer than `seats`."""
    terms = ((state.now, state.policy), (state.next, state.upcoming))
    room = min(most(rules) - term.seats for term, rules in terms)
    if seats <= room:
        return
    possible = max(0, room - room % pack)
    more = hints.command("subs", "add-seats", state.name, possible)
    plan, limit = state.next.plan, most(state.upcoming)
    raise refuse(
        Code.TOO_MANY_SEATS,
        f"plan {plan} allows {limit} seats at most; {possible} can be added",
        hint=more if possible else hints.command("subs", "show", state.name),
        data={"plan": plan, "seats": state.now.seats + seats, "possible": possible},
    )


def decrease(state: SubscriptionState, seats: int, at: datetime) -> Target:
    """Return the target with `seats` in the next term, and now too if the policy removes seats at once.

    Raises `not_in_renewal_window` and `already_renewed` if seats can only be removed by a renewal.
    """
    policy = state.policy
    opened = policy.decrease is not Decrease.RENEWAL_WINDOW or at >= window_opens(state)
    if policy.renewal is Renewal.MANUAL or not opened:
        raise _only_by_renewal(
            Code.NOT_IN_RENEWAL_WINDOW, state, "seats are removed", ("--seats", fit(policy, seats)), at
        )
    after = replace(state.next, seats=seats)
    if policy.decrease is Decrease.NOW:
        return Target(replace(state.now, seats=seats), after)
    return Target(state.now, after)


def change_plan(
    state: SubscriptionState, price_id: str, plan: str, at: datetime, *, at_renewal: bool
) -> Target:
    """Return the target with another plan, at once or from the next term.

    Raises `plan_locked` and `already_renewed`.
    """
    policy = state.policy
    if policy.renewal is Renewal.MANUAL or (
        policy.plan_change is PlanChange.RENEWAL_WINDOW and at < window_opens(state)
    ):
        raise _only_by_renewal(Code.PLAN_LOCKED, state, "the plan is changed", ("--plan", plan), at)
    after = TermContent(price_id, plan, state.next.seats)
    if at_renewal or policy.plan_change is PlanChange.RENEWAL_WINDOW:
        return Target(state.now, after)
    return Target(TermContent(price_id, plan, state.now.seats), after)


def check_plan_waits(state: SubscriptionState, plan: str) -> None:
    """Raise `change_waits` if the next term already begins with `plan`.

    Stripe's item holds that plan then, and setting it again would not prorate anything.
    """
    if plan == state.next.plan != state.now.plan:
        raise refuse(
            Code.CHANGE_WAITS,
            f"{state.name}: {plan} already begins on {_day(state.term_end)}",
            hint=hints.to("to undo that first", _take_back(state)),
            data={"subscription": state.name, "allowed_from": format_time(state.term_end)},
        )


def check_renewal(state: SubscriptionState, at: datetime) -> None:
    """Return if the subscription can be renewed now.

    Raises `renews_by_itself`, `already_renewed`, `not_in_renewal_window`.
    """
    if state.policy.renewal is not Renewal.MANUAL:
        if state.ends_at is not None:
            raise refuse(
                Code.RENEWS_BY_ITSELF,
                f"{state.name} is canceled and ends on {_day(state.ends_at)}",
                hint=hints.to("to let it renew automatically", hints.command("subs", "resume", state.name)),
                data={"subscription": state.name, "ends_at": format_time(state.ends_at)},
            )
        raise refuse(
            Code.RENEWS_BY_ITSELF,
            f"{state.name} renews automatically on {_day(state.period_end)}",
            hint=hints.to(
                "to change what it renews with",
                hints.command("subs", "set-seats", state.name, hints.Blank.SEATS),
            ),
            data={"subscription": state.name, "renews_at": format_time(state.period_end)},
        )
    if state.renewed:
        raise _renewed(state, at)
    opens = window_opens(state)
    if at < opens:
        raise _refusal(
            Code.NOT_IN_RENEWAL_WINDOW,
            state,
            f"it can be renewed in the last {state.policy.renewal_window_days} days of its term",
            opens,
            at,
            _show(state),
        )


def check_discount(state: SubscriptionState, at: datetime, *, given: bool) -> None:
    """Raise `discount_not_allowed` for a discount on added seats or a plan change, if the policy says so."""
    if given and state.policy.discounts is Discounts.PURCHASE_AND_RENEWAL:
        raise _refusal(
            Code.DISCOUNT_NOT_ALLOWED,
            state,
            "a discount is given only on a purchase or a renewal",
            _renewable_from(state),
            at,
            "run the same command without the discount",
        )


def check_added_on_account(state: SubscriptionState, *, wanted: bool, invoiced: bool) -> None:
    """Check how added seats are paid that Stripe bills: like the subscription, by card or `invoiced`.

    Raises `card_required` if that differs from what is `wanted`, or is not allowed by the policy.
    """
    name = state.name
    if wanted and not invoiced:
        raise refuse(
            Code.CARD_REQUIRED,
            f"{name} is paid by card, so added seats are charged to that card; nothing was charged",
            hint=hints.either(_BY_CARD, hints.buy(state.now.plan, "--on-account", "--bill-to", name)),
            data={"subscription": name, "allowed_from": None},
        )
    if invoiced and state.policy.on_account is not OnAccount.YES:
        raise refuse(
            Code.CARD_REQUIRED,
            f"{name} is paid on account, but its policy requires added seats to be paid by card",
            hint=hints.buy(state.now.plan),
            data={"subscription": name, "allowed_from": None},
        )


def check_on_account(policy: Policy, name: str) -> None:
    """Raise `card_required` if the policy never sells on account."""
    if policy.on_account is OnAccount.NO:
        raise refuse(
            Code.CARD_REQUIRED,
            f"{name} is paid by card; its policy does not allow payment on account",
            hint=_BY_CARD,
            data={"subscription": name, "allowed_from": None},
        )


def check_addon_on_account(state: SubscriptionState, at: datetime) -> None:
    """Raise `card_required` if the policy requires a card, for added seats or always."""
    check_on_account(state.policy, state.name)
    if state.policy.on_account is OnAccount.PURCHASE_AND_RENEWAL:
        raise _refusal(
            Code.CARD_REQUIRED,
            state,
            "added seats are paid by card; only purchases and renewals can be on account",
            _renewable_from(state),
            at,
            _BY_CARD,
        )


def bills_by_own_invoice(state: SubscriptionState) -> bool:
    """Return whether added seats are billed by an invoice of our own, so that Stripe must not prorate.

    That is so at full price, and after every renewal by hand: to Stripe that term is a trial, in which added
    seats would be free.
    """
    return state.policy.increase is Increase.FULL_PRICE or state.by_hand or state.renewed


def check_room(state: SubscriptionState, seats: int, leaving: int) -> None:
    """Raise `below_assigned` unless the people who stay fit into `seats`."""
    short = state.assigned - leaving - seats
    if short > 0:
        people = "1 person" if state.assigned == 1 else f"{state.assigned} people"
        raise refuse(
            Code.BELOW_ASSIGNED,
            f"{state.name} has {people} assigned; with {seats} seats, {short} of them would lose a seat",
            hint="say whose: --revoke newest (or oldest, suspended, unclaimed), or --revoke-from FILE",
            data={
                "subscription": state.name,
                "assigned": state.assigned,
                "seats": seats,
                "too_many": short,
            },
        )


def check_currency(state: SubscriptionState, plan: Plan, currency: str) -> None:
    """Raise `other_currency`: the price would be paid, but could not be set on the subscription."""
    if plan.currency != currency:
        raise refuse(
            Code.OTHER_CURRENCY,
            f"{state.name} is paid in {currency.upper()}; {plan.slug} is sold in {plan.currency.upper()}",
            hint=_instead(plan),
            data={"subscription": state.name, "plan": plan.slug, "currency": currency},
        )


def check_interval_change(state: SubscriptionState, target: Target, plan: Plan) -> None:
    """Return if a running subscription may change to a plan of another interval, which takes effect at once.

    Raises `interval_change`: Stripe changes the interval of an item now, or not at all. A change that waits
    for the renewal, or a term that was paid in advance, has an end that the other interval would move.
    """
    name, now = state.name, hints.command("subs", "change-plan", state.name, plan.slug)
    allowed_now = state.policy.plan_change is PlanChange.ANYTIME
    instead = f"{hints.command('subs', 'cancel', name)}, then buy the other plan: {hints.buy(plan.slug)}"
    if state.by_hand or state.renewed:
        why, hint = f"{name} is paid in advance until {_day(state.period_end)}", instead
    elif target.now == state.now:
        why, hint = "Stripe changes it at once and not at the renewal", now if allowed_now else instead
    elif state.ends_at is not None:
        why = f"{name} is canceled and ends on {_day(state.ends_at)}"
        hint = hints.to("to let it renew first", hints.command("subs", "resume", name))
    elif state.pending:
        why = f"a change of {name} waits for {_day(state.term_end)}"
        hint = hints.to("to undo that first", _take_back(state))
    else:
        return
    raise refuse(
        Code.INTERVAL_CHANGE,
        f"{plan.slug} has another billing interval, and {why}; nothing was changed",
        hint=hint,
        data={"subscription": name, "plan": plan.slug, "allowed_from": None},
    )


def _take_back(state: SubscriptionState) -> str:
    """Return the command that takes back the change that waits for the renewal."""
    if state.next.plan != state.now.plan:
        return hints.command("subs", "change-plan", state.name, state.now.plan, "--at-renewal")
    return hints.command("subs", "set-seats", state.name, state.now.seats)


def check_plan_change(state: SubscriptionState, plan: Plan) -> None:
    """Return if a running subscription may change to `plan`. Raises `plan_sold_otherwise`."""
    data: dict[str, JsonValue] = {"subscription": state.name, "plan": plan.slug}
    policy = state.policy
    assert plan.policy is not None
    full = Increase.FULL_PRICE
    if plan.policy.renewal is policy.renewal and (plan.policy.increase is full) == (policy.increase is full):
        return
    raise refuse(
        Code.PLAN_SOLD_OTHERWISE,
        f"{plan.slug} has other terms than {state.name}: {_terms(plan)}",
        hint=_instead(plan),
        data=data,
    )


def check_next_term(state: SubscriptionState, plan: Plan) -> None:
    """Raise `plan_sold_otherwise` if a manually renewed contract would change to an automatic renewal."""
    assert plan.policy is not None
    if plan.policy.renewal is not Renewal.MANUAL:
        raise refuse(
            Code.PLAN_SOLD_OTHERWISE,
            f"{plan.slug} renews automatically; {state.name} is renewed by hand",
            hint=_instead(plan),
            data={"subscription": state.name, "plan": plan.slug},
        )


def check_next_price(state: SubscriptionState, price: StripePrice) -> None:
    """Raise `price_archived` if, after a charge now, Stripe would not accept the next term's price again."""
    if price.active:
        return
    name = state.name
    raise refuse(
        Code.PRICE_ARCHIVED,
        f"{name}: {state.next.plan} begins at the renewal with a price that is archived in Stripe and"
        " could not be set again after this change; nothing was charged",
        hint=hints.either(
            "activate the price in Stripe's dashboard and run the same command again",
            hints.to(
                "stay on the current plan",
                hints.command("subs", "change-plan", name, state.now.plan, "--at-renewal"),
            ),
        ),
        data={"subscription": name, "price": price.id},
    )


def end_command(name: str) -> str:
    """Return the command that ends a subscription and refunds what is unused."""
    return hints.command("subs", "cancel", name, "--now", "--refund")


def reverse_command(state: SubscriptionState, now: TermContent) -> str:
    """Return the command that reverses a change to `now`, as far as the policy allows it."""
    policy, before = state.policy, state.now
    by_hand = policy.renewal is Renewal.MANUAL  # then plan and seats are changed only by renewing
    if now.plan != before.plan and policy.plan_change is PlanChange.ANYTIME and not by_hand:
        return hints.command("subs", "change-plan", state.name, before.plan)
    gives_back = policy.decrease is not Decrease.RENEWAL_WINDOW and not by_hand
    if now.seats < before.seats or (now.seats > before.seats and gives_back):
        return hints.command("subs", "set-seats", state.name, before.seats)
    return end_command(state.name)


def _window_closed(state: SubscriptionState, seats: int, at: datetime) -> SeatctlError:
    """Return the refusal of added seats near the term's end; a renewal can have more seats."""
    policy = state.policy
    rule = f"no seats are added in the last {policy.addon_cutoff_days} days of a term"
    if policy.renewal is not Renewal.MANUAL:
        return _refusal(Code.ADDON_WINDOW_CLOSED, state, rule, state.term_end, at, _show(state))
    opens = window_opens(state)
    more = ("--seats", fit(policy, state.next.seats + seats))
    hint = hints.to("renew first", _renew(state, *more)) if at >= opens else _show(state)
    return _refusal(Code.ADDON_WINDOW_CLOSED, state, f"{rule}, until it is renewed", opens, at, hint)


def _only_by_renewal(
    refusal: Refusal, state: SubscriptionState, what: str, option: tuple[str, object], at: datetime
) -> SeatctlError:
    """Return the refusal of a change that exists, within this term, only as an option of a renewal."""
    if state.renewed:
        return _renewed(state, at)
    opens = window_opens(state)
    manual = state.policy.renewal is Renewal.MANUAL
    inside = f"in the last {state.policy.renewal_window_days} days of the term"
    hint = _renew(state, *option) if manual and at >= opens else _show(state)
    how = f"{what} only by renewing, {inside}" if manual else f"{what} only {inside}"
    return _refusal(refusal, state, how, opens, at, hint)


def _renewed(state: SubscriptionState, at: datetime) -> SeatctlError:
    return _refusal(
        Code.ALREADY_RENEWED,
        state,
        "the next term is already paid",
        max(window_opens(state), state.term_end),
        at,
        hints.command("subs", "add-seats", state.name, hints.Blank.SEATS),
    )


def _renewable_from(state: SubscriptionState) -> datetime | None:
    """Return from when it can be renewed by hand; None if it renews automatically."""
    if state.policy.renewal is not Renewal.MANUAL:
        return None
    opens = window_opens(state)
    return max(opens, state.term_end) if state.renewed else opens


def _refusal(
    refusal: Refusal,
    state: SubscriptionState,
    rule: str,
    allowed_from: datetime | None,
    at: datetime,
    hint: str,
) -> SeatctlError:
    """Return the refusal, with the date from which the change is allowed, if any, and whom to ask before."""
    support = state.policy.support_contact
    data: dict[str, JsonValue] = {
        "subscription": state.name,
        "allowed_from": None,
        "support_contact": support,
    }
    when, ask = "", support if allowed_from is None or allowed_from > at else None
    if allowed_from is not None and allowed_from > at:
        if state.ends_before(allowed_from):
            when = f"; it ends on {_day(state.ends_at or allowed_from)}, before this would be allowed"
        else:
            when, data["allowed_from"] = f"; allowed from {_day(allowed_from)}", format_time(allowed_from)
    return refuse(
        refusal, f"{state.name}: {rule}{when}{hints.ask(ask, before=bool(when))}", hint=hint, data=data
    )


def _renew(state: SubscriptionState, *option: object) -> str:
    return hints.command("subs", "renew", state.name, *option)


def _show(state: SubscriptionState) -> str:
    return hints.command("subs", "show", state.name)


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _terms(plan: Plan) -> str:
    assert plan.policy is not None
    renewal = "it is renewed by hand" if plan.policy.renewal is Renewal.MANUAL else "it renews automatically"
    price = "at full price" if plan.policy.increase is Increase.FULL_PRICE else "for the rest of the period"
    return f"{renewal}, and added seats are charged {price}"


def _instead(plan: Plan) -> str:
    return hints.to("to buy a separate subscription", hints.buy(plan.slug))
