"""Which plans a running subscription may change to: refused if the money would not come out right. Pure."""

from __future__ import annotations

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.plan import Increase, Interval, Plan, Renewal
from seatctl.models.stripe_objects import StripePrice
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules import hints


def check_currency(state: SubscriptionState, plan: Plan, currency: str) -> None:
    """Raise `other_currency`: the price would be paid, but could not be set on the subscription."""
    if plan.currency != currency:
        raise refuse(
            Code.OTHER_CURRENCY,
            f"{state.name} is paid in {currency.upper()}; {plan.slug} is sold in {plan.currency.upper()}",
            hint=_instead(plan),
            data={"subscription": state.name, "plan": plan.slug, "currency": currency},
        )


def check_change(state: SubscriptionState, plan: Plan, interval: Interval | None, count: int) -> None:
    """Return if a running subscription may change to `plan`.

    Raises `interval_change`, `plan_sold_otherwise`.
    """
    data: dict[str, JsonValue] = {"subscription": state.name, "plan": plan.slug}
    if (plan.interval, plan.interval_count) != (interval, count):
        raise refuse(
            Code.INTERVAL_CHANGE,
            f"{plan.slug} has another billing interval; Stripe would end the period at once",
            hint=f"{hints.command('subs', 'cancel', state.name)}, then buy the other plan:"
            f" {hints.buy(plan.slug)}",
            data={**data, "allowed_from": None},
        )
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


def _terms(plan: Plan) -> str:
    assert plan.policy is not None
    renewal = "it is renewed by hand" if plan.policy.renewal is Renewal.MANUAL else "it renews automatically"
    price = "at full price" if plan.policy.increase is Increase.FULL_PRICE else "for the rest of the period"
    return f"{renewal}, and added seats are charged {price}"


def _instead(plan: Plan) -> str:
    return hints.to("to buy a separate subscription", hints.buy(plan.slug))


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
