"""Plans as they are given and shown: the options of a command, output rows, and whether they are sold."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from seatctl.errors import Code, refuse
from seatctl.models.plan import Interval, Plan, PlanSpec, Policy
from seatctl.models.report import Record, record_of
from seatctl.rules import hints
from seatctl.rules.names import check_plan_name, check_slug
from seatctl.rules.policies import FLEXIBLE, as_fields, check_currency_of_methods, check_term
from seatctl.rules.purchases import amount_of, check_currency, check_interval_count

PLAN_COLUMNS = ("slug", "name", "unit_amount", "currency", "interval", "interval_count", "result")


def new_spec(
    *,
    slug: str,
    name: str,
    price: str,
    currency: str,
    interval: Interval,
    interval_count: int,
    policy: Policy,
) -> PlanSpec:
    """A plan as typed, `price` in units of the currency.

    Raises BadName, `bad_currency`, `bad_amount`, `bad_interval` and BadPolicy.
    """
    code = check_currency(currency)
    interval_count = check_interval_count(interval, interval_count)
    check_term(policy, interval, interval_count)
    check_currency_of_methods(policy, code)
    return PlanSpec(
        slug=check_slug(slug),
        name=check_plan_name(name),
        currency=code,
        unit_amount=amount_of(price, code),
        interval=interval,
        interval_count=interval_count,
        policy=policy,
    )


def plan_values(plan: Plan | PlanSpec) -> dict[str, Any]:
    """Return the values that a plan and its specification have in common, by name."""
    return {each.name: getattr(plan, each.name) for each in fields(PlanSpec)}


def spec_of(plan: Plan, **changes: object) -> PlanSpec:
    """Return the specification of a plan with changes; one without a policy gets that of `flexible`."""
    return PlanSpec(**{**plan_values(plan), "policy": plan.policy or FLEXIBLE, **changes})


def sellable(plan: Plan) -> Plan:
    """Return the plan. Raises `plan_archived` or `plan_without_policy`: then nothing can be bought on it."""
    if not plan.active:
        raise refuse(
            Code.PLAN_ARCHIVED,
            f"plan {plan.slug} is archived",
            hint=hints.to("to sell it again", hints.command("plans", "archive", plan.slug, "--undo")),
            data={"plan": plan.slug},
        )
    return require_policy(plan)


def require_policy(plan: Plan) -> Plan:
    """Return the plan. Raises `plan_without_policy` if it came from Stripe and has no policy yet."""
    if plan.policy is None:
        raise refuse(
            Code.PLAN_WITHOUT_POLICY,
            f"plan {plan.slug} came from Stripe and has no policy yet",
            hint=hints.command("plans", "edit", plan.slug, "--policy", "flexible"),
            data={"plan": plan.slug},
        )
    return plan


def plan_row(plan: Plan) -> Record:
    """A plan as a row of output; `unit_amount` in minor units, `interval_count` of `interval`."""
    return {
        **record_of(plan, "slug name unit_amount currency interval interval_count active"),
        "product": plan.product_id,
        "price": plan.price_id,
        "policy": None if plan.policy is None else as_fields(plan.policy),
    }
