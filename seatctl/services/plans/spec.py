"""Plans as they are given and shown: the options of a command, output rows, and whether they are sold."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.ledger.mirror import stripe_objects
from seatctl.ledger.transaction import Reader
from seatctl.models.plan import Interval, Plan, PlanSpec, PlanTax, Policy
from seatctl.models.report import Record, record_of
from seatctl.rules import hints
from seatctl.rules.names import check_plan_name, check_slug
from seatctl.rules.policies import FLEXIBLE, as_fields, check_currency_of_methods, check_term
from seatctl.rules.purchases import amount_of, check_currency, check_interval_count
from seatctl.rules.tax import behavior_of

PLAN_COLUMNS = (
    *("slug", "name", "unit_amount", "currency", "interval", "interval_count", "tax_behavior", "tax_code"),
    "result",
)


def new_spec(
    *,
    slug: str,
    name: str,
    price: str,
    currency: str,
    interval: Interval,
    interval_count: int,
    policy: Policy,
    tax: PlanTax = PlanTax(),
) -> PlanSpec:
    """A plan as typed, `price` in units of the currency.

    Raises BadName, `bad_currency`, `bad_amount`, `bad_interval`, BadPolicy and UsageError.
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
        tax=check_plan_tax(tax),
    )


def check_plan_tax(tax: PlanTax) -> PlanTax:
    """Return the tax of a plan as typed. Raises UsageError."""
    if tax.code is not None and not re.fullmatch(r"txcd_\d+", tax.code):
        raise UsageError(f"--tax-code {tax.code!r} is not a code of Stripe", hint="use --tax-code txcd_…")
    return tax


def tax_of(reader: Reader, plan: Plan) -> PlanTax:
    """Return how Stripe taxes a plan, from the mirror of its price and its product."""
    price, product = (stripe_objects.get(reader, name) for name in (plan.price_id, plan.product_id))
    behavior = None if price is None else price.data.get("tax_behavior")
    code = None if product is None else product.data.get("tax_code")
    return PlanTax(behavior_of(behavior), code if isinstance(code, str) else None)


def plan_values(plan: Plan | PlanSpec) -> dict[str, Any]:
    """Return the values that a plan and its specification have in common, by name."""
    return {each.name: getattr(plan, each.name) for each in fields(PlanSpec) if each.name != "tax"}


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


def tax_row(tax: PlanTax) -> dict[str, JsonValue]:
    """Return the tax of a plan as fields of a row, without those that are not set."""
    taxed = {"tax_behavior": tax.behavior, "tax_code": tax.code}
    return {name: str(value) for name, value in taxed.items() if value is not None}


def plan_row(plan: Plan, tax: PlanTax = PlanTax()) -> Record:
    """A plan as a row of output; `unit_amount` in minor units, `interval_count` of `interval`."""
    return {
        **tax_row(tax),
        **record_of(plan, "slug name unit_amount currency interval interval_count active"),
        "product": plan.product_id,
        "price": plan.price_id,
        "policy": None if plan.policy is None else as_fields(plan.policy),
    }
