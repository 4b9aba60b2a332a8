"""The operation that changes a plan: its product in Stripe, a new price where the amount changes.

Running contracts keep the policy and the price under which they were bought (design, section 4), so
nothing but the plan is touched, and an old price stays usable for them.
"""

from __future__ import annotations

from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.transaction import Transaction
from seatctl.models.plan import PlanSpec
from seatctl.rules.metadata import OPERATION, plan_metadata
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.plans.plan_add_operation import find_price, price_form
from seatctl.services.plans.spec import edit_result, plan_row, read_spec


def _run(running: OperationRun) -> Apply:
    """`asked` is the plan as it will be, with `active`; details hold the product and whether to reprice."""
    asked, product = running.payload["asked"], str(running.payload["product"])
    spec = read_spec(asked)
    active = not (isinstance(asked, dict) and asked.get("active") is False)
    price = _new_price(running, spec, product) if running.payload.get("reprice") is True else None
    _update_product(running, spec, product, active=active)

    def apply(tx: Transaction) -> OperationResult:
        before = plans.find(tx, product)
        after = replace(
            before,
            name=spec.name,
            unit_amount=spec.unit_amount,
            policy=spec.policy,
            active=active,
            price_id=before.price_id if price is None else price,
        )
        plans.save(tx, before, after)
        result, summary = edit_result(spec.slug, before=before.active, active=active)
        return OperationResult(summary, ({**plan_row(after), "result": result},))

    return apply


def _new_price(running: OperationRun, spec: PlanSpec, product: str) -> str:
    form = {**price_form(running, spec, product), "transfer_lookup_key": True}
    made = running.step_or_nothing(
        "price", endpoints.create_price(form), lambda: find_price(running, spec.slug)
    )
    return read_price(made).id


def _update_product(running: OperationRun, spec: PlanSpec, product: str, *, active: bool) -> None:
    said = plan_metadata(spec.slug, spec.policy)
    whole: dict[str, JsonValue] = {"name": spec.name, "active": active, "policy": {**said}}
    listed = running.payload.get("changes")  # none in a payload of an earlier version, which sent all
    form = {name: whole[name] for name in whole if not isinstance(listed, list) or name in listed}
    policy = form.pop("policy", None)
    marked = {OPERATION: running.reference, **(policy if isinstance(policy, dict) else {})}
    form["metadata"] = {**marked}

    def find() -> StripeJson | None:
        return running.find_at(endpoints.product(product))

    if running.payload.get("reprice") is True:
        running.step_at_last("product", endpoints.update_product(product, form), find)
    else:
        running.step_or_nothing("product", endpoints.update_product(product, form), find)


def _abandon(running: OperationRun) -> str | None:
    asked, product = running.payload["asked"], str(running.payload["product"])
    made = running.payload.get("reprice") is True and find_price(running, read_spec(asked).slug) is not None
    changed = made or running.find_at(endpoints.product(product)) is not None
    return None if changed else "nothing had reached Stripe"


HANDLER = OperationHandler(_run, abandon=_abandon)
