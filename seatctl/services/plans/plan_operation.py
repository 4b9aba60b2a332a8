"""Adds, changes and archives plans: a product in Stripe, a price found by the slug, and the ledger's row.

Running subscriptions keep the policy and the price under which they were bought: a change concerns the plan
only. A new amount is a new price, and the old price remains usable for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from seatctl.billing import endpoints
from seatctl.billing.objects import named_id, read_price
from seatctl.billing.port import Billing, Read, StripeJson
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import plans
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import stripe_objects
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.plan import Plan, PlanSpec, PlanTax, Policy
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Kind, MirroredObject
from seatctl.rules import hints
from seatctl.rules.metadata import OPERATION, plan_metadata
from seatctl.rules.names import check_plan_name
from seatctl.rules.policies import FLEXIBLE, check_currency_of_methods, check_term, with_fields
from seatctl.rules.tax import behavior_of
from seatctl.rules.typed_json import dump, stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import OperationRun, Payload
from seatctl.services.operations.submit import OperationRequest, Proposal, only_to_finish, submit_proposal
from seatctl.services.plans.spec import (
    PLAN_COLUMNS,
    check_plan_tax,
    plan_row,
    plan_values,
    spec_of,
    tax_of,
    tax_row,
)
from seatctl.services.users.permissions import allow


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAddPayload(Payload):
    """A new plan."""

    kind = "plan_add"
    spec: PlanSpec = field(metadata=stored_as("asked"))


def add_plan(ledger: Ledger, billing: Billing, call: Call, spec: PlanSpec) -> Report:
    """Make a plan in Stripe and the ledger. Raises `slug_taken`."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        _refuse_taken(reader, spec.slug)
    payload = PlanAddPayload(spec=spec)
    request = OperationRequest(payload.kind, _requested(spec), payload, reserved_name=f"plan:{spec.slug}")
    if only_to_finish(ledger, request) is None:  # else an unfinished operation may have made that price
        _refuse_key_of_another(billing, spec.slug)
    proposal = Proposal(
        request,
        {**_requested(spec), **tax_row(spec.tax)},
        f"added plan {spec.slug}",
        columns=PLAN_COLUMNS,
        result="added",
        report_columns=PLAN_COLUMNS,
        guard=lambda reader: _refuse_taken(reader, spec.slug),
    )
    return submit_proposal(ledger, billing, call, proposal)


def _requested(spec: PlanSpec) -> dict[str, JsonValue]:
    """Return the request for a plan; a plan without a tax is requested as by an earlier version."""
    request = dump(spec)
    if spec.tax == PlanTax():
        del request["tax"]
    return request


def _refuse_taken(reader: Reader, slug: str) -> None:
    if plans.exists(reader, slug):
        raise refuse(
            Code.SLUG_TAKEN,
            f"there is already a plan {slug}",
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
            f"the price {price['id']} in Stripe already has the lookup key {slug!r}",
            hint="choose another slug, or free the key in Stripe's dashboard",
            data={"plan": slug, "price": price["id"]},
        )


def _add(running: OperationRun[PlanAddPayload]) -> Apply:
    spec = running.payload.spec
    form: dict[str, JsonValue] = {
        "name": spec.name,
        "metadata": {**running.marks, **plan_metadata(spec.slug, spec.policy)},
    }
    if spec.tax.code is not None:
        form["tax_code"] = spec.tax.code
    made = running.step_or_fail("product", endpoints.create_product(form), running.mine(_products(running)))
    product = str(made["id"])
    listing = endpoints.prices_by_lookup_key(spec.slug)
    raw = running.step_or_fail(
        "price",
        endpoints.create_price(_price_form(running, spec, product)),
        running.mine(listing),
        undo=lambda: _delete_product(running, product),
    )
    price = read_price(raw)

    def apply(tx: Transaction) -> OperationResult:
        values = {**plan_values(spec), "currency": price.currency}
        added = plans.add(tx, Plan(id=0, product_id=product, price_id=price.id, **values))
        _mirror(tx, made, raw)
        row = {**plan_row(added, tax_of(tx, added)), "result": "added"}
        return OperationResult(f"added plan {added.slug}", (row,))

    return apply


def _mirror(tx: Transaction, *answers: StripeJson) -> None:
    """Store the product and the price as Stripe has answered, as a sync does."""
    objects = (
        MirroredObject(
            Kind(str(raw["object"])),
            str(raw["id"]),
            created if isinstance(created := raw.get("created"), int) else 0,
            named_id(raw.get("product")),
            raw,
        )
        for raw in answers
    )
    stripe_objects.store_all(tx, objects, tx.call.now)


def _products(running: OperationRun[Payload]) -> Read:
    return endpoints.products(created_since=running.earliest())


def _price_form(running: OperationRun[Payload], spec: PlanSpec, product: str) -> dict[str, JsonValue]:
    """The form of a plan's price: licensed, per unit, found by the slug as its lookup key."""
    behavior: dict[str, JsonValue] = {"tax_behavior": spec.tax.behavior} if spec.tax.behavior else {}
    return {
        **behavior,
        "product": product,
        "currency": spec.currency,
        "unit_amount": spec.unit_amount,
        "recurring": {"interval": str(spec.interval), "interval_count": spec.interval_count},
        "lookup_key": spec.slug,
        "metadata": running.marks,
    }


def _delete_product(running: OperationRun[Payload], product: str) -> None:
    read = endpoints.product(product)
    running.delete("delete-product", endpoints.delete_product(product), lambda: running.is_missing(read))


def _abandon_adding(running: OperationRun[PlanAddPayload]) -> str | None:
    product = running.answered("product") or running.find_in(_products(running))
    if product is None:
        return "nothing had reached Stripe"
    if running.find_in(endpoints.prices_by_lookup_key(running.payload.spec.slug)) is not None:
        return None  # Stripe deletes no product with a price
    _delete_product(running, str(product["id"]))
    return "its product is deleted"


# Finished however old it is: a plan charges nobody, and a product with a price cannot be deleted.
register(OperationHandler(PlanAddPayload, _add, abandon=_abandon_adding, action=Action.MANAGE_PLANS))


@dataclass(frozen=True, slots=True)
class EditedPlan(PlanSpec):
    """The plan as it is wanted, and whether it is sold."""

    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEditPayload(Payload):
    """A change of a plan."""

    kind = "plan_edit"
    spec: EditedPlan = field(metadata=stored_as("asked"))
    product: str
    reprice: bool = False
    """Whether the change needs a new price."""
    changes: tuple[str, ...] | None = None
    """The fields to send to Stripe; None, stored by earlier versions, sends all."""


def edit_plan(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    slug: str,
    *,
    name: str | None = None,
    unit_amount: int | None = None,
    policy: Policy | None = None,
    fields: Mapping[str, JsonValue] | None = None,
    tax: PlanTax = PlanTax(),
) -> Report:
    """Change a plan's name, price (minor units), policy, or single `fields` of it; None changes nothing.

    A plan without a policy starts from `flexible`. Running subscriptions keep theirs, and their price. Stripe
    never changes a price: another amount or tax behavior is a new one. Raises BadPolicy, UsageError.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        plan = plans.find(reader, slug)
    spec = spec_of(
        plan,
        policy=with_fields(policy or plan.policy or FLEXIBLE, fields or {}),
        unit_amount=plan.unit_amount if unit_amount is None else unit_amount,
        name=plan.name if name is None else check_plan_name(name),
    )
    check_term(spec.policy, spec.interval, spec.interval_count)
    check_currency_of_methods(spec.policy, spec.currency)
    changed_price = spec.unit_amount != plan.unit_amount
    spec = replace(spec, tax=_tax_to_set(billing, plan, check_plan_tax(tax), price_changes=changed_price))
    return _submit_edit(ledger, billing, call, plan, spec, active=plan.active)


def _tax_to_set(billing: Billing, plan: Plan, tax: PlanTax, *, price_changes: bool) -> PlanTax:
    """Return what an edit sends to Stripe of the tax: a behavior makes a new price.

    A new price of another amount has the behavior of the earlier one.
    """
    behavior, code = tax.behavior, tax.code
    if price_changes or behavior is not None:
        before = behavior_of(read_price(billing.read(endpoints.price(plan.price_id))).tax_behavior)
        behavior = (behavior or before) if price_changes or behavior is not before else None
    if code is not None and billing.read(endpoints.product(plan.product_id)).get("tax_code") == code:
        code = None
    return PlanTax(behavior, code)


def archive_plan(ledger: Ledger, billing: Billing, call: Call, slug: str, *, undo: bool = False) -> Report:
    """Stop selling a plan, or with `undo` sell it again. Its subscriptions continue."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_PLANS)
        plan = plans.find(reader, slug)
    return _submit_edit(ledger, billing, call, plan, spec_of(plan), active=undo)


def _submit_edit(
    ledger: Ledger, billing: Billing, call: Call, plan: Plan, spec: PlanSpec, *, active: bool
) -> Report:
    after = replace(plan, name=spec.name, unit_amount=spec.unit_amount, policy=spec.policy, active=active)
    if after == plan and spec.tax == PlanTax():
        summary = f"plan {plan.slug} is unchanged: it already has these values"
        proposal = Proposal(None, plan_row(plan), summary, columns=PLAN_COLUMNS, unchanged=True)
        return submit_proposal(ledger, billing, call, proposal)
    wanted = EditedPlan(**plan_values(spec), tax=spec.tax, active=active)
    payload = PlanEditPayload(
        spec=wanted,
        product=plan.product_id,
        reprice=spec.unit_amount != plan.unit_amount or spec.tax.behavior is not None,
        changes=(
            *(name for name in ("name", "active", "policy") if getattr(after, name) != getattr(plan, name)),
            *(("tax_code",) if spec.tax.code is not None else ()),
        ),
    )
    request = OperationRequest(payload.kind, _requested(wanted), payload, reserved_name=f"plan:{plan.slug}")

    def guard(reader: Reader) -> None:
        if plans.find(reader, plan.slug) != plan:
            raise refuse(
                Code.PLAN_CHANGED,
                f"plan {plan.slug} was changed by another command just now",
                hint="run the same command again",
                data={"plan": plan.slug},
            )

    result, summary = _edit_result(plan.slug, before=plan.active, active=active)
    proposal = Proposal(
        request,
        plan_row(after, spec.tax),
        summary,
        columns=PLAN_COLUMNS,
        result=result,
        report_columns=PLAN_COLUMNS,
        guard=guard,
    )
    return submit_proposal(ledger, billing, call, proposal)


def _edit_result(slug: str, *, before: bool, active: bool) -> tuple[str, str]:
    """Return the `result` of a changed plan and the summary, by whether it was and is sold."""
    if active == before:
        return "changed", f"changed plan {slug}"
    return (
        ("sold again", f"put plan {slug} on sale again") if active else ("archived", f"archived plan {slug}")
    )


def _edit(running: OperationRun[PlanEditPayload]) -> Apply:
    spec, product = running.payload.spec, running.payload.product
    price, answers = None, list[StripeJson]()
    if running.payload.reprice:
        form = {**_price_form(running, spec, product), "transfer_lookup_key": True}
        listing = endpoints.prices_by_lookup_key(spec.slug)
        answers.append(running.step_or_fail("price", endpoints.create_price(form), running.mine(listing)))
        price = read_price(answers[0])
    answers.append(_update_product(running))

    def apply(tx: Transaction) -> OperationResult:
        before = plans.find(tx, product)
        after = replace(
            before,
            name=spec.name,
            unit_amount=spec.unit_amount,
            policy=spec.policy,
            active=spec.active,
            price_id=before.price_id if price is None else price.id,
        )
        plans.save(tx, before, after)
        _mirror(tx, *answers)
        result, summary = _edit_result(spec.slug, before=before.active, active=spec.active)
        return OperationResult(summary, ({**plan_row(after, tax_of(tx, after)), "result": result},))

    return apply


def _update_product(running: OperationRun[PlanEditPayload]) -> StripeJson:
    spec, product, changes = running.payload.spec, running.payload.product, running.payload.changes
    form: dict[str, JsonValue] = {"name": spec.name, "active": spec.active}
    form = {name: value for name, value in form.items() if changes is None or name in changes}
    policy = plan_metadata(spec.slug, spec.policy) if changes is None or "policy" in changes else {}
    form["metadata"] = {OPERATION: running.reference, **policy}
    if changes is not None and "tax_code" in changes:
        form["tax_code"] = spec.tax.code
    # Once the new price is made, the change must be finished.
    step = running.step_must_succeed if running.payload.reprice else running.step_or_fail
    write = endpoints.update_product(product, form)
    return step("product", write, running.marked(endpoints.product(product)))


def _abandon_editing(running: OperationRun[PlanEditPayload]) -> str | None:
    payload = running.payload
    has_new_price = (
        payload.reprice and running.find_in(endpoints.prices_by_lookup_key(payload.spec.slug)) is not None
    )
    changed = has_new_price or running.marked(endpoints.product(payload.product))() is not None
    return None if changed else "nothing had reached Stripe"


register(OperationHandler(PlanEditPayload, _edit, abandon=_abandon_editing, action=Action.MANAGE_PLANS))
