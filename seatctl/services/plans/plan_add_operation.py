"""Adds a plan: a Stripe product, a price with the slug as its lookup key, and the ledger's row."""

from __future__ import annotations

from dataclasses import dataclass, field

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.billing.port import Billing, Read, StripeJson
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import plans
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.plan import Plan, PlanSpec
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.rules import hints
from seatctl.rules.metadata import plan_metadata
from seatctl.rules.typed_json import dump, stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import OperationRun, Payload
from seatctl.services.operations.submit import OperationRequest, Proposal, only_to_finish, submit_proposal
from seatctl.services.plans.spec import PLAN_COLUMNS, plan_row
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
    request = OperationRequest(payload.kind, dump(spec), payload, reserved_name=f"plan:{spec.slug}")
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


def _run(running: OperationRun[PlanAddPayload]) -> Apply:
    spec = running.payload.spec
    product = str(_product(running, spec)["id"])
    price = read_price(_price(running, spec, product))

    def apply(tx: Transaction) -> OperationResult:
        added = plans.add(
            tx,
            Plan(
                id=0,
                slug=spec.slug,
                name=spec.name,
                product_id=product,
                price_id=price.id,
                currency=price.currency,
                unit_amount=spec.unit_amount,
                interval=spec.interval,
                interval_count=spec.interval_count,
                policy=spec.policy,
            ),
        )
        return OperationResult(f"added plan {added.slug}", ({**plan_row(added), "result": "added"},))

    return apply


def _product(running: OperationRun[Payload], spec: PlanSpec) -> StripeJson:
    form: dict[str, JsonValue] = {
        "name": spec.name,
        "metadata": {**running.marks, **plan_metadata(spec.slug, spec.policy)},
    }
    return running.step_or_fail("product", endpoints.create_product(form), running.mine(_products(running)))


def _products(running: OperationRun[Payload]) -> Read:
    return endpoints.products(created_since=running.earliest())


def _price(running: OperationRun[Payload], spec: PlanSpec, product: str) -> StripeJson:
    return running.step_or_fail(
        "price",
        endpoints.create_price(price_form(running, spec, product)),
        running.mine(endpoints.prices_by_lookup_key(spec.slug)),
        undo=lambda: _delete_product(running, product),
    )


def price_form(running: OperationRun[Payload], spec: PlanSpec, product: str) -> dict[str, JsonValue]:
    """The form of a plan's price: licensed, per unit, found by the slug as its lookup key."""
    return {
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


def _abandon(running: OperationRun[PlanAddPayload]) -> str | None:
    product = running.answered("product") or running.find_in(_products(running))
    if product is None:
        return "nothing had reached Stripe"
    if running.find_in(endpoints.prices_by_lookup_key(running.payload.spec.slug)) is not None:
        return None  # Stripe deletes no product with a price
    _delete_product(running, str(product["id"]))
    return "its product is deleted"


# Finished however old it is: a plan charges nobody, and a product with a price cannot be deleted.
register(OperationHandler(PlanAddPayload, _run, abandon=_abandon, action=Action.MANAGE_PLANS))
