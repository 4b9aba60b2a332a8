"""What may be changed in a running subscription under its policy, and when. Pure.

A refusal names the rule, the date from which the change would be allowed, and a command that is allowed now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from seatctl.errors import Code, JsonValue, Refusal, Refused, SeatctlError, refuse
from seatctl.models.call import format_time
from seatctl.models.plan import Decrease, Discounts, Increase, OnAccount, PlanChange, Policy, Renewal
from seatctl.models.subscription import SubscriptionStatus
from seatctl.models.subscription_state import SubscriptionState, TermContent
from seatctl.rules import hints
from seatctl.rules.payment_states import Payments, hint_of, pause_trouble, stopped_trouble
from seatctl.rules.purchases import fit


class NotRunning(Refused):
    """The subscription has ended or was never paid; it cannot be changed."""

    kind = Code.SUBSCRIPTION_NOT_RUNNING


_BY_CARD: Final = "run the same command without --on-account"


@dataclass(frozen=True, slots=True)
class Target:
    """What a subscription holds after a change: now, and in the next term."""

    now: TermContent
    next: TermContent


def window_opens(standing: SubscriptionState) -> datetime:
    """Return when (UTC) the renewal window of the last paid term begins."""
    return standing.current_end - timedelta(days=standing.policy.renewal_window_days)


def require_running(standing: SubscriptionState) -> None:
    """Raise NotRunning unless Stripe bills it: active, in its trial (a paid renewal), or past due."""
    if standing.status not in {
        SubscriptionStatus.ACTIVE,
        SubscriptionStatus.TRIALING,
        SubscriptionStatus.PAST_DUE,
    }:
        payments = Payments(standing.name, standing.status.value, standing.pause, standing.owed)
        trouble = stopped_trouble(payments)
        why = (
            f"{standing.name} is {standing.status.replace('_', ' ')}" if trouble is None else trouble.message
        )
        raise NotRunning(
            f"{why}; it cannot be changed",
            hint=hints.buy(standing.next.plan) if trouble is None else hint_of(trouble),
            data={"subscription": standing.name, "status": str(standing.status)},
        )


def require_collecting(standing: SubscriptionState, at: datetime) -> None:
    """Raise `collection_paused` if collection is paused: new seats would not be paid."""
    payments = Payments(standing.name, standing.status.value, standing.pause)
    trouble = pause_trouble(payments, at)
    if trouble is not None:
        raise refuse(
            Code.COLLECTION_PAUSED,
            f"{trouble.message}; nothing can be bought until then",
            hint=hint_of(trouble),
            data={"subscription": standing.name},
        )


def increase(standing: SubscriptionState, seats: int, at: datetime) -> Target:
    """Return the target with `seats` more in both terms. Raises `addon_window_closed`.

    The caller checks the quantity.
    """
    policy = standing.policy
    closes = standing.current_end - timedelta(days=policy.addon_cutoff_days)
    if policy.addon_cutoff_days and not standing.renewed and at >= closes:
        raise _window_closed(standing, seats, at)
    return Target(_with(standing.now, seats), _with(standing.next, seats))


def decrease(standing: SubscriptionState, seats: int, at: datetime) -> Target:
    """Return the target with `seats` in the next term, and now too if the policy removes seats at once.

    Raises `not_in_renewal_window` and `already_renewed` if seats can only be removed by a renewal.
    """
    policy = standing.policy
    opened = policy.decrease is not Decrease.RENEWAL_WINDOW or at >= window_opens(standing)
    if policy.renewal is Renewal.MANUAL or not opened:
        raise _only_by_renewal(
            Code.NOT_IN_RENEWAL_WINDOW, standing, "seats are removed", ("--seats", fit(policy, seats)), at
        )
    after = replace(standing.next, seats=seats)
    if policy.decrease is Decrease.NOW:
        return Target(replace(standing.now, seats=seats), after)
    return Target(standing.now, after)


def change_plan(
    standing: SubscriptionState, price_id: str, plan: str, at: datetime, *, at_renewal: bool
) -> Target:
    """Return the target with another plan, at once or from the next term.

    Raises `plan_locked` and `already_renewed`.
    """
    policy = standing.policy
    if policy.renewal is Renewal.MANUAL or (
        policy.plan_change is PlanChange.RENEWAL_WINDOW and at < window_opens(standing)
    ):
        raise _only_by_renewal(Code.PLAN_LOCKED, standing, "the plan is changed", ("--plan", plan), at)
    after = TermContent(price_id, plan, standing.next.seats)
    if at_renewal or policy.plan_change is PlanChange.RENEWAL_WINDOW:
        return Target(standing.now, after)
    return Target(TermContent(price_id, plan, standing.now.seats), after)


def check_plan_waits(standing: SubscriptionState, plan: str) -> None:
    """Raise `change_waits` if the next term already begins with `plan`.

    Stripe's item holds that plan then, and setting it again would not prorate anything.
    """
    if plan == standing.next.plan != standing.now.plan:
        back = hints.command("subs", "change-plan", standing.name, standing.now.plan, "--at-renewal")
        raise refuse(
            Code.CHANGE_WAITS,
            f"{standing.name}: {plan} already begins on {_day(standing.term_end)}",
            hint=hints.to("to undo that first", back),
            data={"subscription": standing.name, "allowed_from": format_time(standing.term_end)},
        )


def check_renewal(standing: SubscriptionState, at: datetime) -> None:
    """Return if the subscription can be renewed now.

    Raises `renews_by_itself`, `already_renewed`, `not_in_renewal_window`.
    """
    if standing.policy.renewal is not Renewal.MANUAL:
        if standing.ends_at is not None:
            raise refuse(
                Code.RENEWS_BY_ITSELF,
                f"{standing.name} is canceled and ends on {_day(standing.ends_at)}",
                hint=hints.to(
                    "to let it renew automatically", hints.command("subs", "resume", standing.name)
                ),
                data={"subscription": standing.name, "ends_at": format_time(standing.ends_at)},
            )
        raise refuse(
            Code.RENEWS_BY_ITSELF,
            f"{standing.name} renews automatically on {_day(standing.period_end)}",
            hint=hints.to(
                "to change what it renews with",
                hints.command("subs", "set-seats", standing.name, hints.Blank.SEATS),
            ),
            data={"subscription": standing.name, "renews_at": format_time(standing.period_end)},
        )
    if standing.renewed:
        raise _renewed(standing, at)
    opens = window_opens(standing)
    if at < opens:
        raise _refusal(
            Code.NOT_IN_RENEWAL_WINDOW,
            standing,
            f"it can be renewed in the last {standing.policy.renewal_window_days} days of its term",
            opens,
            at,
            _show(standing),
        )


def check_discount(standing: SubscriptionState, at: datetime, *, given: bool) -> None:
    """Raise `discount_not_allowed` for a discount on added seats or a plan change, if the policy says so."""
    if given and standing.policy.discounts is Discounts.PURCHASE_AND_RENEWAL:
        raise _refusal(
            Code.DISCOUNT_NOT_ALLOWED,
            standing,
            "a discount is given only on a purchase or a renewal",
            _renewable_from(standing),
            at,
            "run the same command without the discount",
        )


def check_added_on_account(standing: SubscriptionState, *, wanted: bool, invoiced: bool) -> None:
    """Check how added seats are paid that Stripe bills: like the subscription, by card or `invoiced`.

    Raises `card_required` if that differs from what is `wanted`, or is not allowed by the policy.
    """
    name = standing.name
    if wanted and not invoiced:
        raise refuse(
            Code.CARD_REQUIRED,
            f"{name} is paid by card, so added seats are charged to that card; nothing was charged",
            hint=hints.either(_BY_CARD, hints.buy(standing.now.plan, "--on-account", "--bill-to", name)),
            data={"subscription": name, "allowed_from": None},
        )
    if invoiced and standing.policy.on_account is not OnAccount.YES:
        raise refuse(
            Code.CARD_REQUIRED,
            f"{name} is paid on account, but its policy requires added seats to be paid by card",
            hint=hints.buy(standing.now.plan),
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


def check_addon_on_account(standing: SubscriptionState, at: datetime) -> None:
    """Raise `card_required` if the policy requires a card, for added seats or always."""
    check_on_account(standing.policy, standing.name)
    if standing.policy.on_account is OnAccount.PURCHASE_AND_RENEWAL:
        raise _refusal(
            Code.CARD_REQUIRED,
            standing,
            "added seats are paid by card; only purchases and renewals can be on account",
            _renewable_from(standing),
            at,
            _BY_CARD,
        )


def bills_by_own_invoice(standing: SubscriptionState) -> bool:
    """Return whether added seats are billed by an invoice of our own, so that Stripe must not prorate.

    That is so at full price, and after every renewal by hand: to Stripe that term is a trial, in which added
    seats would be free.
    """
    return standing.policy.increase is Increase.FULL_PRICE or standing.by_hand or standing.renewed


def _with(side: TermContent, more: int) -> TermContent:
    return replace(side, seats=side.seats + more)


def _window_closed(standing: SubscriptionState, seats: int, at: datetime) -> SeatctlError:
    """Return the refusal of added seats near the term's end; a renewal can have more seats."""
    policy = standing.policy
    rule = f"no seats are added in the last {policy.addon_cutoff_days} days of a term"
    if policy.renewal is not Renewal.MANUAL:
        return _refusal(Code.ADDON_WINDOW_CLOSED, standing, rule, standing.term_end, at, _show(standing))
    opens = window_opens(standing)
    more = ("--seats", fit(policy, standing.next.seats + seats))
    hint = hints.to("renew first", _renew(standing, *more)) if at >= opens else _show(standing)
    return _refusal(Code.ADDON_WINDOW_CLOSED, standing, f"{rule}, until it is renewed", opens, at, hint)


def _only_by_renewal(
    refusal: Refusal, standing: SubscriptionState, what: str, option: tuple[str, object], at: datetime
) -> SeatctlError:
    """Return the refusal of a change that exists, within this term, only as an option of a renewal."""
    if standing.renewed:
        return _renewed(standing, at)
    opens = window_opens(standing)
    manual = standing.policy.renewal is Renewal.MANUAL
    inside = f"in the last {standing.policy.renewal_window_days} days of the term"
    hint = _renew(standing, *option) if manual and at >= opens else _show(standing)
    how = f"{what} only by renewing, {inside}" if manual else f"{what} only {inside}"
    return _refusal(refusal, standing, how, opens, at, hint)


def _renewed(standing: SubscriptionState, at: datetime) -> SeatctlError:
    return _refusal(
        Code.ALREADY_RENEWED,
        standing,
        "the next term is already paid",
        max(window_opens(standing), standing.term_end),
        at,
        hints.command("subs", "add-seats", standing.name, hints.Blank.SEATS),
    )


def _renewable_from(standing: SubscriptionState) -> datetime | None:
    """Return from when it can be renewed by hand; None if it renews automatically."""
    if standing.policy.renewal is not Renewal.MANUAL:
        return None
    opens = window_opens(standing)
    return max(opens, standing.term_end) if standing.renewed else opens


def _refusal(
    refusal: Refusal,
    standing: SubscriptionState,
    rule: str,
    allowed_from: datetime | None,
    at: datetime,
    hint: str,
) -> SeatctlError:
    """Return the refusal, with the date from which the change is allowed, if any, and whom to ask before."""
    support = standing.policy.support_contact
    data: dict[str, JsonValue] = {
        "subscription": standing.name,
        "allowed_from": None,
        "support_contact": support,
    }
    when, ask = "", support if allowed_from is None or allowed_from > at else None
    if allowed_from is not None and allowed_from > at:
        if standing.ends_before(allowed_from):
            when = f"; it ends on {_day(standing.ends_at or allowed_from)}, before this would be allowed"
        else:
            when, data["allowed_from"] = f"; allowed from {_day(allowed_from)}", format_time(allowed_from)
    return refuse(
        refusal, f"{standing.name}: {rule}{when}{hints.ask(ask, before=bool(when))}", hint=hint, data=data
    )


def _renew(standing: SubscriptionState, *option: object) -> str:
    return hints.command("subs", "renew", standing.name, *option)


def _show(standing: SubscriptionState) -> str:
    return hints.command("subs", "show", standing.name)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def check_room(standing: SubscriptionState, seats: int, leaving: int) -> None:
    """Raise `below_assigned` unless the people who stay fit into `seats`."""
    short = standing.assigned - leaving - seats
    if short > 0:
        raise refuse(
            Code.BELOW_ASSIGNED,
            f"{standing.name} has {_people(standing.assigned)} assigned; with {seats} seats,"
            f" {short} of them would lose a seat",
            hint="say whose: --revoke newest (or oldest, suspended, unclaimed), or --revoke-from FILE",
            data={
                "subscription": standing.name,
                "assigned": standing.assigned,
                "seats": seats,
                "too_many": short,
            },
        )
