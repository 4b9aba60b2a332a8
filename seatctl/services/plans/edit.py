"""Plans: adding, editing, archiving, and moving them between profiles as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import plans
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.plan import Plan, PlanSpec
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.rules import hints
from seatctl.rules.names import check_plan_name
from seatctl.rules.policies import FLEXIBLE, check_term, with_fields
from seatctl.rules.typed_json import dump
from seatctl.services.operations.proposal import Proposal, only_to_finish, submit_proposal
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.plans.spec import PLAN_COLUMNS, edit_result, plan_row, spec_of
from seatctl.services.users.permissions import allow


def sellable(plan: Plan) -> Plan:
    """The plan itself. Raises `plan_archived` or `plan_without_policy` where nothing may be bought on it."""
    if not plan.active:
        raise refuse(
            Code.PLAN_ARCHIVED,
            f"plan {plan.slug} is archived",
            hint=hints.to("to sell it again", hints.command("plans", "archive", plan.slug, "--undo")),
            data={"plan": plan.slug},
        )
    return require_policy(plan)


def require_policy(plan: Plan) -> Plan:
    """The plan itself.

    Raises `plan_without_policy` for one from Stripe whose rules nobody has decided yet.
    """
    if plan.policy is None:
        raise refuse(
            Code.PLAN_WITHOUT_POLICY,
            f"plan {plan.slug} came from Stripe and has no policy yet",
            hint=hints.command("plans", "edit", plan.slug, "--policy", "flexible"),
            data={"plan": plan.slug},
        )
    return plan


def add_plan(ledger: Ledger, billing: Billing, call: Call, spec: PlanSpec) -> Report:
    """Make a plan in Stripe and the ledger. Raises `slug_taken`."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        _refuse_taken(reader, spec.slug)
    request = OperationRequest("plan_add", dump(spec), {}, reserved_name=f"plan:{spec.slug}")
    if only_to_finish(ledger, request) is None:  # else an unfinished operation may have made that price
        _refuse_key_of_another(billing, spec.slug)
    proposal = Proposal(
        request,
        dump(spec),
        f"added plan {spec.slug}",
        columns=PLAN_COLUMNS,
        result="added",
        report_columns=PLAN_COLUMNS,
        guard=lambda reader: _refuse_taken(reader, spec.slug),
    )
    return submit_proposal(ledger, billing, call, proposal)


def _refuse_taken(reader: Reader, slug: str) -> None:
    if plans.exists(reader, slug):
        raise refuse(
            Code.SLUG_TAKEN,
            f"there is a plan {slug} already",
            hint=hints.to(
                "choose another slug; to change that plan",
                hints.command("plans", "edit", slug, "--name", hints.Blank.NAME),
            ),
            data={"plan": slug},
        )


def _refuse_key_of_another(billing: Billing, slug: str) -> None:
    for price in billing.every(endpoints.prices_by_lookup_key(slug)):
        raise refuse(
            Code.SLUG_TAKEN,
            f"the price {price['id']} in Stripe holds the lookup key {slug!r} already",
            hint="choose another slug, or free the key in Stripe's dashboard",
            data={"plan": slug, "price": price["id"]},
        )


def edit_plan(
    ledger: Ledger, billing: Billing, call: Call, slug: str, changes: Mapping[str, JsonValue]
) -> Report:
    """Change a plan's name, `unit_amount` (minor units) or policy fields; running contracts keep theirs.

    `changes` holds `name`, `unit_amount`, `policy` (a whole one as fields) and `fields` (single ones).
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        plan = plans.find(reader, slug)
    spec = changed_spec(plan, changes)
    check_term(spec.policy, spec.interval, spec.interval_count)
    return _submit_edit(ledger, billing, call, plan, spec, active=plan.active)


def changed_spec(plan: Plan, changes: Mapping[str, JsonValue]) -> PlanSpec:
    """The plan as it would be. An adopted plan starts from `flexible`. Raises BadPolicy."""
    spec = spec_of(plan) or spec_of(replace(plan, policy=FLEXIBLE))
    assert spec is not None
    whole, fields = changes.get("policy"), changes.get("fields")
    policy = with_fields(FLEXIBLE, whole) if isinstance(whole, dict) else spec.policy
    amount, name = changes.get("unit_amount"), changes.get("name")
    return replace(
        spec,
        policy=with_fields(policy, fields if isinstance(fields, dict) else {}),
        unit_amount=amount if isinstance(amount, int) else spec.unit_amount,
        name=check_plan_name(name) if isinstance(name, str) else spec.name,
    )


def archive_plan(ledger: Ledger, billing: Billing, call: Call, slug: str, *, undo: bool = False) -> Report:
    """Stop selling a plan, or with `undo` sell it again; what was bought on it goes on."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        plan = plans.find(reader, slug)
    return _submit_edit(ledger, billing, call, plan, changed_spec(plan, {}), active=undo)


def _submit_edit(
    ledger: Ledger, billing: Billing, call: Call, plan: Plan, spec: PlanSpec, *, active: bool
) -> Report:
    after = replace(plan, name=spec.name, unit_amount=spec.unit_amount, policy=spec.policy, active=active)
    if after == plan:
        summary = f"plan {plan.slug} is unchanged: it already has these values"
        proposal = Proposal(None, plan_row(plan), summary, columns=PLAN_COLUMNS, unchanged=True)
        return submit_proposal(ledger, billing, call, proposal)
    request = OperationRequest(
        "plan_edit",
        {**dump(spec), "active": active},
        {
            "product": plan.product_id,
            "reprice": spec.unit_amount != plan.unit_amount,
            "changes": [
                name for name in ("name", "active", "policy") if getattr(after, name) != getattr(plan, name)
            ],
        },
        reserved_name=f"plan:{plan.slug}",
    )

    def guard(reader: Reader) -> None:
        if plans.find(reader, plan.slug) != plan:
            raise refuse(
                Code.PLAN_CHANGED,
                f"plan {plan.slug} was changed by another command just now",
                hint="run the same command again",
                data={"plan": plan.slug},
            )

    result, summary = edit_result(plan.slug, before=plan.active, active=active)
    proposal = Proposal(
        request,
        plan_row(after),
        summary,
        columns=PLAN_COLUMNS,
        result=result,
        report_columns=PLAN_COLUMNS,
        guard=guard,
    )
    return submit_proposal(ledger, billing, call, proposal)
