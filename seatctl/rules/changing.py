"""What may be changed in a running subscription, and when: design, section 4. Pure.

A refusal names the rule, the date from which it would be allowed, and a command that is allowed now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from shlex import quote

from seatctl.errors import JsonValue, Refused
from seatctl.models.call import format_time
from seatctl.models.plan import Decrease, Discounts, Increase, OnAccount, PlanChange, Policy, Renewal
from seatctl.models.standing import Side, Standing
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.payment_states import Payments, hint_of, pause_trouble, stopped_trouble


class AddonWindowClosed(Refused):
    """No seats are added in the last days of a term that is not renewed."""

    code = "addon_window_closed"


class NotInRenewalWindow(Refused):
    """The policy allows this only in the renewal window."""

    code = "not_in_renewal_window"


class AlreadyRenewed(Refused):
    """The next term is paid: its window is closed until the one after it."""

    code = "already_renewed"


class PlanLocked(Refused):
    """The plan cannot be changed inside the term."""

    code = "plan_locked"


class DiscountNotAllowed(Refused):
    """The policy gives discounts only when buying and renewing."""

    code = "discount_not_allowed"


class CardRequired(Refused):
    """The policy wants this paid by card, at once."""

    code = "card_required"


class RenewsByItself(Refused):
    """A subscription that renews automatically is not renewed by hand."""

    code = "renews_by_itself"


class ChangeWaits(Refused):
    """The same change waits for the renewal already, so that Stripe would not bill it now."""

    code = "change_waits"


class NotRunning(Refused):
    """The subscription has ended, or was never paid: nothing about it can be changed."""

    code = "subscription_not_running"


class CollectionPaused(Refused):
    """Collection is paused in Stripe: what is bought now would not be paid."""

    code = "collection_paused"


@dataclass(frozen=True, slots=True)
class Target:
    """What a subscription should hold after a change: now, and in the next term."""

    now: Side
    next: Side


def window_opens(standing: Standing) -> datetime:
    """The beginning (UTC) of the renewal window of the last paid term."""
    return standing.current_end - timedelta(days=standing.policy.renewal_window_days)


def require_running(standing: Standing) -> None:
    """Raise NotRunning unless Stripe bills it: active, in its trial (a paid renewal), or past due."""
    if standing.status not in {
        SubscriptionStatus.ACTIVE,
        SubscriptionStatus.TRIALING,
        SubscriptionStatus.PAST_DUE,
    }:
        payments = Payments(standing.name, standing.status.value, standing.pause, standing.owed)
        trouble = stopped_trouble(payments)
        over = f"seatctl subs buy --plan {standing.next.plan} --seats N --name NAME"
        why = (
            f"{standing.name} is {standing.status.replace('_', ' ')}" if trouble is None else trouble.message
        )
        raise NotRunning(
            f"{why}; nothing about it can be changed",
            hint=over if trouble is None else hint_of(trouble),
            data={"subscription": standing.name, "status": str(standing.status)},
        )


def require_collecting(standing: Standing, at: datetime) -> None:
    """Raise CollectionPaused if what Stripe would bill now would not be paid: the seats would be free."""
    payments = Payments(standing.name, standing.status.value, standing.pause)
    trouble = pause_trouble(payments, at)
    if trouble is not None:
        raise CollectionPaused(
            f"{trouble.message}; nothing is bought meanwhile",
            hint=hint_of(trouble),
            data={"subscription": standing.name},
        )


def increase(standing: Standing, seats: int, at: datetime) -> Target:
    """Both sides with `seats` more. Raises AddonWindowClosed; the quantity is checked by the caller."""
    policy = standing.policy
    closes = standing.current_end - timedelta(days=policy.addon_cutoff_days)
    if policy.addon_cutoff_days and not standing.renewed and at >= closes:
        raise _refusal(
            AddonWindowClosed,
            standing,
            f"no seats are added in the last {policy.addon_cutoff_days} days of a term",
            standing.term_end,
            f"renew first: seatctl subs renew {quote(standing.name)} --seats {standing.now.seats + seats}",
        )
    return Target(_with(standing.now, seats), _with(standing.next, seats))


def decrease(standing: Standing, seats: int, at: datetime) -> Target:
    """The next term, or both sides where the policy gives seats back at once, with `seats` in all.

    Raises NotInRenewalWindow and AlreadyRenewed where seats are given back only by a renewal.
    """
    policy = standing.policy
    if policy.decrease is Decrease.RENEWAL_WINDOW or policy.renewal is Renewal.MANUAL:
        raise _only_by_renewal(NotInRenewalWindow, standing, "seats are given back", f"--seats {seats}", at)
    after = replace(standing.next, seats=seats)
    if policy.decrease is Decrease.NOW:
        return Target(replace(standing.now, seats=seats), after)
    return Target(standing.now, after)


def change_plan(standing: Standing, price_id: str, plan: str, at: datetime, *, at_renewal: bool) -> Target:
    """Another plan at once or from the next term on. Raises PlanLocked and AlreadyRenewed."""
    policy = standing.policy
    if policy.renewal is Renewal.MANUAL or (
        policy.plan_change is PlanChange.RENEWAL_WINDOW and at < window_opens(standing)
    ):
        raise _only_by_renewal(PlanLocked, standing, "the plan is changed", f"--plan {plan}", at)
    after = Side(price_id, plan, standing.next.seats)
    if at_renewal or policy.plan_change is PlanChange.RENEWAL_WINDOW:
        return Target(standing.now, after)
    return Target(Side(price_id, plan, standing.now.seats), after)


def check_plan_waits(standing: Standing, plan: str) -> None:
    """Raise ChangeWaits where the next term begins with `plan` already.

    Stripe's item holds it then, and setting it once more changes nothing that could be prorated.
    """
    if plan == standing.next.plan != standing.now.plan:
        name = quote(standing.name)
        raise ChangeWaits(
            f"{standing.name}: {plan} begins on {_day(standing.term_end)} already",
            hint=f"seatctl subs change-plan {name} {standing.now.plan} --at-renewal takes that back first",
            data={"subscription": standing.name, "allowed_from": format_time(standing.term_end)},
        )


def check_renewal(standing: Standing, at: datetime) -> None:
    """Return if it can be renewed now. Raises RenewsByItself, AlreadyRenewed, NotInRenewalWindow."""
    if standing.policy.renewal is not Renewal.MANUAL:
        if standing.ends_at is not None:
            raise RenewsByItself(
                f"{standing.name} is canceled and ends on {_day(standing.ends_at)}",
                hint=f"seatctl subs resume {quote(standing.name)} lets it renew by itself",
                data={"subscription": standing.name, "ends_at": format_time(standing.ends_at)},
            )
        raise RenewsByItself(
            f"{standing.name} renews by itself on {_day(standing.period_end)}",
            hint=f"seatctl subs set-seats {quote(standing.name)} N changes what it renews with",
            data={"subscription": standing.name, "renews_at": format_time(standing.period_end)},
        )
    if standing.renewed:
        raise _renewed(standing)
    opens = window_opens(standing)
    if at < opens:
        raise _refusal(
            NotInRenewalWindow,
            standing,
            f"it can be renewed in the last {standing.policy.renewal_window_days} days of its term",
            opens,
            f"seatctl subs show {quote(standing.name)}",
        )


def check_discount(policy: Policy, name: str, *, given: bool, term_end: datetime) -> None:
    """Raise DiscountNotAllowed for a discount on added seats or a plan change under such a policy."""
    if given and policy.discounts is Discounts.PURCHASE_AND_RENEWAL:
        raise DiscountNotAllowed(
            f"{name}: a discount is given only when buying and renewing; the term ends {_day(term_end)}",
            hint="run the same command without the discount",
            data={"subscription": name, "allowed_from": format_time(term_end)},
        )


def check_added_on_account(standing: Standing, *, wanted: bool, invoiced: bool) -> None:
    """Added seats that Stripe bills go the way of the subscription: by card, or `invoiced` on account.

    Raises CardRequired where that is not the way that is `wanted`, or that the policy allows.
    """
    name = standing.name
    buy = f"seatctl subs buy --plan {standing.now.plan} --seats N --name NAME"
    if wanted and not invoiced:
        raise CardRequired(
            f"{name} is paid by card, and seats added to it are charged to that card; nothing was charged",
            hint=f"run the same command without --on-account, or: {buy} --on-account",
            data={"subscription": name, "allowed_from": None},
        )
    if invoiced and standing.policy.on_account is not OnAccount.YES:
        raise CardRequired(
            f"{name} is paid on account, and added seats are paid by card, never on account",
            hint=f"{buy} --payment-method ID",
            data={"subscription": name, "allowed_from": None},
        )


def check_on_account(policy: Policy, name: str, *, addon: bool, term_end: datetime | None) -> None:
    """Raise CardRequired where the policy wants a card: always, or for added seats."""
    if policy.on_account is OnAccount.YES or (
        policy.on_account is OnAccount.PURCHASE_AND_RENEWAL and not addon
    ):
        return
    what = "added seats are" if addon and policy.on_account is OnAccount.PURCHASE_AND_RENEWAL else "it is"
    until = f"; on account again when it is renewed, by {_day(term_end)}" if addon and term_end else ""
    raise CardRequired(
        f"{name}: {what} paid by card, never on account{until}",
        hint="run the same command without --on-account",
        data={"subscription": name, "allowed_from": None if term_end is None else format_time(term_end)},
    )


def bills_by_own_invoice(standing: Standing) -> bool:
    """Whether added seats are billed by an invoice of ours, so that Stripe must never prorate.

    At full price, and wherever a term was renewed by hand: to Stripe that is a trial, in which seats would
    be added for nothing.
    """
    return standing.policy.increase is Increase.FULL_PRICE or standing.by_hand or standing.renewed


def _with(side: Side, more: int) -> Side:
    return replace(side, seats=side.seats + more)


def _only_by_renewal(
    refusal: type[Refused], standing: Standing, what: str, option: str, at: datetime
) -> Refused:
    """Inside a term that is renewed by hand, this exists only as an option of the renewal."""
    if standing.renewed:
        return _renewed(standing)
    opens, renew = window_opens(standing), f"seatctl subs renew {quote(standing.name)} {option}"
    manual = standing.policy.renewal is Renewal.MANUAL
    inside = f"in the last {standing.policy.renewal_window_days} days of the term"
    now = renew if manual and at >= opens else f"seatctl subs show {quote(standing.name)}"
    how = f"{what} only by renewing, {inside}" if manual else f"{what} only {inside}"
    return _refusal(refusal, standing, how, opens, now)


def _renewed(standing: Standing) -> Refused:
    return _refusal(
        AlreadyRenewed,
        standing,
        "the next term is paid already",
        window_opens(standing),
        f"seatctl subs add-seats {quote(standing.name)} N",
    )


def _refusal(
    refusal: type[Refused], standing: Standing, rule: str, allowed_from: datetime, command: str
) -> Refused:
    data: dict[str, JsonValue] = {"subscription": standing.name, "allowed_from": format_time(allowed_from)}
    return refusal(f"{standing.name}: {rule}; allowed from {_day(allowed_from)}", hint=command, data=data)


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


class BelowAssigned(Refused):
    """More people sit in it than seats would be left, and nobody said who goes."""

    code = "below_assigned"


def check_room(standing: Standing, seats: int, leaving: int) -> None:
    """Raise BelowAssigned unless who stays fits into `seats`."""
    short = standing.assigned - leaving - seats
    if short > 0:
        raise BelowAssigned(
            f"{standing.name}: {standing.assigned} people sit in it, {seats} seats leave no room for {short}",
            hint="say who goes: add --revoke newest (or oldest, suspended, unclaimed), or --revoke-from FILE",
            data={
                "subscription": standing.name,
                "assigned": standing.assigned,
                "seats": seats,
                "too_many": short,
            },
        )
