"""The operation that changes a plan: its product in Stripe, and a new price if the amount changes.

Running subscriptions keep the policy and the price under which they were bought, so it changes nothing but
the plan, and the old price remains usable for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price
from seatctl.errors import JsonValue
from seatctl.ledger import plans
from seatctl.ledger.transaction import Transaction
from seatctl.models.plan import PlanSpec
from seatctl.models.role import Action
from seatctl.rules.metadata import OPERATION, plan_metadata
from seatctl.rules.typed_json import stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.payload import Payload
from seatctl.services.operations.steps import OperationRun
from seatctl.services.plans.plan_add_operation import price_form
from seatctl.services.plans.spec import edit_result, plan_row


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


def _run(running: OperationRun[PlanEditPayload]) -> Apply:
    spec, product = running.payload.spec, running.payload.product
    price = _new_price(running) if running.payload.reprice else None
    _update_product(running)

    def apply(tx: Transaction) -> OperationResult:
        before = plans.find(tx, product)
        after = replace(
            before,
            name=spec.name,
            unit_amount=spec.unit_amount,
            policy=spec.policy,
            active=spec.active,
            price_id=before.price_id if price is None else price,
        )
        plans.save(tx, before, after)
        result, summary = edit_result(spec.slug, before=before.active, active=spec.active)
        return OperationResult(summary, ({**plan_row(after), "result": result},))

    return apply


def _new_price(running: OperationRun[PlanEditPayload]) -> str:
    spec = running.payload.spec
    form = {**price_form(running, spec, running.payload.product), "transfer_lookup_key": True}
    found = endpoints.prices_by_lookup_key(spec.slug)
    return read_price(running.step_or_fail("price", endpoints.create_price(form), running.mine(found))).id


def _update_product(running: OperationRun[PlanEditPayload]) -> None:
    spec, product, changes = running.payload.spec, running.payload.product, running.payload.changes
    form: dict[str, JsonValue] = {"name": spec.name, "active": spec.active}
    form = {name: value for name, value in form.items() if changes is None or name in changes}
    policy = plan_metadata(spec.slug, spec.policy) if changes is None or "policy" in changes else {}
    form["metadata"] = {OPERATION: running.reference, **policy}
    # Once the new price is made, the change must be finished.
    step = running.step_must_succeed if running.payload.reprice else running.step_or_fail
    step("product", endpoints.update_product(product, form), running.marked(endpoints.product(product)))


def _abandon(running: OperationRun[PlanEditPayload]) -> str | None:
    payload = running.payload
    made = payload.reprice and running.find_in(endpoints.prices_by_lookup_key(payload.spec.slug)) is not None
    changed = made or running.find_at(endpoints.product(payload.product)) is not None
    return None if changed else "nothing had reached Stripe"


register(OperationHandler(PlanEditPayload, _run, abandon=_abandon, action=Action.MANAGE_PLANS))
