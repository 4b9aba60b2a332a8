"""Plans as TOML: exported from one profile, imported into another (sandbox, then test, then live)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger import plans
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.lookups import find_all
from seatctl.models.call import Call
from seatctl.models.money import plain_amount
from seatctl.models.plan import Interval, Plan, PlanSpec, PlanTax, TaxBehavior
from seatctl.models.report import Record, Report, change_report, counted
from seatctl.models.role import Action
from seatctl.rules.policies import FLEXIBLE, as_fields, with_fields
from seatctl.rules.tax import behavior_of
from seatctl.rules.typed_values import MOST, whole_number
from seatctl.services.plans.plan_operation import add_plan, edit_plan
from seatctl.services.plans.spec import PLAN_COLUMNS, new_spec, tax_of, tax_row
from seatctl.services.users.permissions import allow

_KEYS = frozenset(
    (
        *("slug", "name", "price", "currency", "interval", "interval_count", "policy", "tax_behavior"),
        "tax_code",
    )
)


def export_plans(ledger: Ledger, slugs: tuple[str, ...]) -> str:
    """Return the named plans, or all active ones, as TOML; prices in units of the currency."""
    import tomli_w

    with ledger.reading() as reader:
        chosen = find_all(partial(plans.find, reader), slugs, "plans", "plans") or list(
            plans.listing(reader, archived=False)
        )
        tables = [_as_toml(plan, tax_of(reader, plan)) for plan in chosen]
    return tomli_w.dumps({"plans": tables})


def _as_toml(plan: Plan, tax: PlanTax) -> dict[str, JsonValue]:
    policy = {} if plan.policy is None else as_fields(plan.policy)
    return {
        "slug": plan.slug,
        "name": plan.name,
        "price": plain_amount(plan.unit_amount, plan.currency),
        "currency": plan.currency,
        "interval": str(plan.interval),
        "interval_count": plan.interval_count,
        **tax_row(tax),
        "policy": {name: "none" if value is None else value for name, value in policy.items()},
    }


def read_plan_file(text: str) -> list[PlanSpec]:
    """The plans of a TOML file. Raises `bad_plan_file` naming the plan and the field; all are read first."""
    import tomllib

    from seatctl.rules.toml_lines import line_of, toml_lines

    try:
        tables = tomllib.loads(text).get("plans")
    except (ValueError, RecursionError) as error:  # a ValueError: a number of over 4,300 digits
        raise _bad_file(f"the file is not TOML: {error}") from None
    if not isinstance(tables, list) or not tables:
        raise _bad_file("the file has no [[plans]]")
    specs: list[PlanSpec] = []
    rows: list[dict[str, JsonValue]] = []
    for number, table in enumerate(tables, 1):
        try:
            taken = {spec.slug for spec in specs}
            specs.append(_read_table(table if isinstance(table, dict) else {}, taken))
        except (SeatctlError, ValueError, TypeError, KeyError) as error:
            slug = table.get("slug") if isinstance(table, dict) else None
            named = slug if isinstance(slug, str) else None
            rows.append({"line": None, "plan": number, "slug": named, "error": _say(error)})
    if rows:
        lines = toml_lines(text)
        for row in rows:
            row["line"] = line_of(lines, "plans", int(str(row["plan"])) - 1)
        problem = f"{len(rows)} of {counted(len(tables), 'plan')} cannot be imported; nothing was written"
        raise _bad_file(problem, {"rows": [*rows]})
    return specs


def _bad_file(problem: str, data: dict[str, JsonValue] | None = None) -> SeatctlError:
    return refuse(Code.BAD_PLAN_FILE, problem, hint="to see the form: seatctl plans export", data=data)


def _say(error: Exception) -> str:
    if isinstance(error, SeatctlError):
        return error.message
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _read_table(table: Mapping[str, object], taken: set[str]) -> PlanSpec:
    if not isinstance(table.get("slug", ""), str):
        raise TypeError("slug is a text")
    if table.get("slug") in taken:
        raise ValueError("an earlier plan of the file has this slug")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]}")
    policy = table.get("policy", {})
    if not isinstance(policy, dict):
        raise TypeError("policy is a table")
    interval = str(table["interval"])
    if interval not in set(Interval):
        raise ValueError(f"interval is one of {', '.join(Interval)}")
    count = whole_number(str(table.get("interval_count", 1)), MOST)
    if count is None:
        raise ValueError("interval_count is a whole number")
    return new_spec(
        slug=str(table["slug"]),
        name=str(table.get("name") or table["slug"]),
        price=str(table["price"]),
        currency=str(table["currency"]),
        interval=Interval(interval),
        interval_count=count,
        policy=with_fields(FLEXIBLE, policy),
        tax=_tax(table),
    )


def _tax(table: Mapping[str, object]) -> PlanTax:
    behavior, code = table.get("tax_behavior"), table.get("tax_code")
    if behavior is not None and behavior not in {*TaxBehavior}:
        raise ValueError(f"tax_behavior is one of {', '.join(TaxBehavior)}")
    return PlanTax(behavior_of(behavior), None if code is None else str(code))


def import_plans(ledger: Ledger, billing: Billing, call: Call, specs: list[PlanSpec]) -> Report:
    """Add the plans that are missing and change those that differ, each a run of its own.

    A currency or interval that differs is refused before anything is written: that is another plan.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        known = {plan.slug: plan for plan in plans.listing(reader, archived=True)}
    _refuse_other_terms(specs, known)
    rows: list[Record] = []
    run: int | None = None
    for spec in specs:
        if spec.slug in known:
            name, amount = spec.name, spec.unit_amount
            report = edit_plan(
                *(ledger, billing, call, spec.slug),
                name=name,
                unit_amount=amount,
                policy=spec.policy,
                tax=spec.tax,
            )
        else:
            report = add_plan(ledger, billing, call, spec)
        run = report.run if report.run is not None else run
        rows += [{**row, "run": report.run} for row in report.rows]
    changed = sum(row.get("result") != "unchanged" for row in rows)
    summary = f"imported {changed} of {counted(len(rows), 'plan')}"
    return replace(change_report(summary, tuple(rows), PLAN_COLUMNS, dry_run=call.dry_run), run=run)


def _refuse_other_terms(specs: list[PlanSpec], known: Mapping[str, Plan]) -> None:
    terms = attrgetter("currency", "interval", "interval_count")
    rows: list[JsonValue] = [
        {"slug": spec.slug, "error": "another currency or interval is another plan"}
        for spec in specs
        if spec.slug in known and terms(known[spec.slug]) != terms(spec)
    ]
    if rows:
        raise refuse(
            Code.BAD_PLAN_FILE,
            "some plans exist with another currency or interval; nothing was written",
            hint="give them another slug in the file",
            data={"rows": rows},
        )
