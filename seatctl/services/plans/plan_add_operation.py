"""The operation that makes a plan: a Stripe product, its price under the slug, and the ledger's row."""

from __future__ import annotations

from dataclasses import dataclass, field

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.billing.port import Read, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.transaction import Transaction
from seatctl.models.plan import Plan, PlanSpec
from seatctl.models.role import Action
from seatctl.rules.metadata import plan_metadata
from seatctl.rules.typed_json import stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.payload import Payload
from seatctl.services.operations.steps import OperationRun
from seatctl.services.plans.spec import plan_row


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAddPayload(Payload):
    """A new plan."""

    kind = "plan_add"
    spec: PlanSpec = field(metadata=stored_as("asked"))


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
    found = endpoints.product(product)
    running.delete("delete-product", endpoints.delete_product(product), lambda: running.is_missing(found))


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
