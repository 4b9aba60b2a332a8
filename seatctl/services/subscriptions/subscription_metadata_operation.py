"""The operation that changes a subscription's name, owner or automatic approval, here and in Stripe."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions, users
from seatctl.ledger.transaction import Transaction
from seatctl.models.message import Template
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.approval_rules import read_auto_approval
from seatctl.rules.item_metadata import with_metadata
from seatctl.rules.metadata import AUTO_APPROVAL, NAME, OPERATION, OWNER, auto_approval_text
from seatctl.services.charging.customer import text
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row


def _run(running: OperationRun) -> Apply:
    requested = running.payload["asked"]
    setting = requested if isinstance(requested, dict) else {}
    stripe_id = str(running.payload["stripe_id"])
    written = with_metadata({}, text(running, "said_on"), {}, _as_metadata(setting))
    if running.payload.get("in_stripe") is not False:
        write_metadata(running, "metadata", stripe_id, written)

    def apply(tx: Transaction) -> OperationResult:
        subscription = subscriptions.by_id(tx, int(str(running.payload["subscription"])))
        name, owner, approval = setting.get("name"), setting.get("owner"), setting.get("auto_approval")
        if isinstance(owner, str):
            person = users.add(tx, owner)
            _notify_owners(tx, subscription, person)
            subscription = subscriptions.set_owner(tx, subscription, person.id, person.email)
        if isinstance(name, str):
            subscription = subscriptions.rename(tx, subscription, name)
        if isinstance(approval, dict):
            subscription = subscriptions.set_auto_approval(tx, subscription, read_auto_approval(approval))
        row = {**subscription_row(subscription), "result": "changed"}
        return OperationResult(str(running.payload["summary"]), (row,), SUBSCRIPTION_COLUMNS)

    return apply


def _notify_owners(tx: Transaction, subscription: Subscription, new: User) -> None:
    """Queue the mails to the new owner and the former one."""
    before = subscription.owner_id
    ids = {"subscription": subscription.id, "to_user": new.id}
    ids |= {} if before is None else {"from_user": before}
    for person in dict.fromkeys((new.id, before)):
        if person is not None and before != new.id:
            tx.mail(Template.OWNER_CHANGED, ids, recipient_id=person)


def write_metadata(running: OperationRun, step: str, stripe_id: str, form: dict[str, JsonValue]) -> None:
    """Write marked metadata of a subscription or its items; a refusal ends the operation."""
    given = form.get("metadata")
    metadata: dict[str, JsonValue] = {
        OPERATION: running.reference,
        **(given if isinstance(given, dict) else {}),
    }
    form = {**form, "metadata": metadata}

    def find() -> StripeJson | None:
        return running.find_at(endpoints.subscription(stripe_id))

    running.step_or_nothing(step, endpoints.update_subscription(stripe_id, form), find)


def _as_metadata(setting: dict[str, JsonValue]) -> dict[str, JsonValue]:
    name, owner, approval = setting.get("name"), setting.get("owner"), setting.get("auto_approval")
    written: dict[str, JsonValue] = {}
    if isinstance(name, str):
        written[NAME] = name
    if isinstance(owner, str):
        written[OWNER] = owner
    if isinstance(approval, dict):
        written[AUTO_APPROVAL] = auto_approval_text(read_auto_approval(approval))
    return written


def not_reached(running: OperationRun) -> str | None:
    """The `abandon` of an operation that only writes metadata."""
    changed = running.find_at(endpoints.subscription(str(running.payload["stripe_id"])))
    return None if changed is not None else "it had not reached Stripe"


HANDLER = OperationHandler(_run, abandon=not_reached)
