"""The operation that makes a plan: a Stripe product, its price under the slug, and the ledger's row."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.billing.port import MissingInStripe, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.transaction import Transaction
from seatctl.models.plan import Plan, PlanSpec
from seatctl.rules.metadata import marks, plan_metadata
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.plans.spec import plan_row, read_spec


def _run(running: OperationRun) -> Apply:
    spec = read_spec(running.payload["asked"])
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


def _product(running: OperationRun, spec: PlanSpec) -> StripeJson:
    form: dict[str, JsonValue] = {
        "name": spec.name,
        "metadata": {
            **marks(running.ledger.id, running.reference, running.operation.request_id),
            **plan_metadata(spec.slug, spec.policy),
        },
    }
    return running.step_or_nothing("product", endpoints.create_product(form), lambda: find_product(running))


def find_product(running: OperationRun) -> StripeJson | None:
    """The product that this operation made, as Stripe lists it."""
    return running.find_in(endpoints.products(created_since=running.earliest()))


def _price(running: OperationRun, spec: PlanSpec, product: str) -> StripeJson:
    return running.step_or_nothing(
        "price",
        endpoints.create_price(price_form(running, spec, product)),
        lambda: find_price(running, spec.slug),
        undo=lambda: _delete_product(running, product),
    )


def price_form(running: OperationRun, spec: PlanSpec, product: str) -> dict[str, JsonValue]:
    """The form of a plan's price: licensed, per unit, found by the slug as its lookup key."""
    return {
        "product": product,
        "currency": spec.currency,
        "unit_amount": spec.unit_amount,
        "recurring": {"interval": str(spec.interval), "interval_count": spec.interval_count},
        "lookup_key": spec.slug,
        "metadata": marks(running.ledger.id, running.reference, running.operation.request_id),
    }


def find_price(running: OperationRun, slug: str) -> StripeJson | None:
    """The price that this operation made: the holder of the slug, if it carries our mark."""
    return running.find_in(endpoints.prices_by_lookup_key(slug))


def _delete_product(running: OperationRun, product: str) -> None:
    def gone() -> bool:
        try:
            running.billing.read(endpoints.product(product))
        except MissingInStripe:
            return True
        return False

    running.delete("delete-product", endpoints.delete_product(product), gone)


def _abandon(running: OperationRun) -> str | None:
    product = running.answered("product") or find_product(running)
    if product is None:
        return "nothing had reached Stripe"
    if find_price(running, read_spec(running.payload["asked"]).slug) is not None:
        return None  # Stripe deletes no product with a price
    _delete_product(running, str(product["id"]))
    return "its product is deleted"


HANDLER = OperationHandler(_run, abandon=_abandon)
"""Finished however old it is: a plan charges nobody, and a product with a price cannot be deleted."""
