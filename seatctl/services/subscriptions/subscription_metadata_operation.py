"""The operation that changes a subscription's name, owner or automatic approval, here and in Stripe."""

from __future__ import annotations

from dataclasses import dataclass, field

from seatctl.billing import endpoints
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions, users
from seatctl.ledger.transaction import Transaction
from seatctl.models.message import Template
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.approval_rules import read_auto_approval
from seatctl.rules.item_metadata import with_metadata
from seatctl.rules.metadata import AUTO_APPROVAL, NAME, OPERATION, OWNER, auto_approval_text
from seatctl.rules.typed_json import stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.payload import SubscriptionPayload
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The setting that changes; None keeps its value."""

    name: str | None = None
    owner: str | None = None
    """An e-mail."""
    auto_approval: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionMetadataPayload(SubscriptionPayload):
    """A change of a setting that Stripe's metadata holds too."""

    kind = "subscription_metadata"
    setting: Setting = field(metadata=stored_as("asked"))
    in_stripe: bool = True
    """False if the subscription's item is gone: then Stripe holds no settings."""
    metadata_item: str | None = field(default=None, metadata=stored_as("said_on"))
    """The item whose metadata describes the subscription, None if Stripe's subscription does."""


def _run(running: OperationRun[SubscriptionMetadataPayload]) -> Apply:
    payload, setting = running.payload, running.payload.setting
    written = with_metadata({}, payload.metadata_item, {}, _as_metadata(setting))
    if payload.in_stripe:
        write_metadata(running, "metadata", payload.stripe_id, written)

    def apply(tx: Transaction) -> OperationResult:
        subscription = subscriptions.by_id(tx, payload.subscription)
        if setting.owner is not None:
            person = users.add(tx, setting.owner)
            _notify_owners(tx, subscription, person)
            subscription = subscriptions.set_owner(tx, subscription, person.id, person.email)
        if setting.name is not None:
            subscription = subscriptions.rename(tx, subscription, setting.name)
        if setting.auto_approval is not None:
            approval = read_auto_approval(setting.auto_approval)
            subscription = subscriptions.set_auto_approval(tx, subscription, approval)
        row = {**subscription_row(subscription), "result": "changed"}
        return OperationResult(payload.summary, (row,), SUBSCRIPTION_COLUMNS)

    return apply


def _notify_owners(tx: Transaction, subscription: Subscription, new: User) -> None:
    """Queue the mails to the new owner and the former one."""
    before = subscription.owner_id
    ids = {"subscription": subscription.id, "to_user": new.id}
    ids |= {} if before is None else {"from_user": before}
    for person in dict.fromkeys((new.id, before)):
        if person is not None and before != new.id:
            tx.mail(Template.OWNER_CHANGED, ids, recipient_id=person)


def write_metadata(
    running: OperationRun[SubscriptionPayload], step: str, stripe_id: str, form: dict[str, JsonValue]
) -> None:
    """Write marked metadata of a subscription or its items; a refusal ends the operation."""
    given = form.get("metadata")
    metadata: dict[str, JsonValue] = {
        OPERATION: running.reference,
        **(given if isinstance(given, dict) else {}),
    }
    write = endpoints.update_subscription(stripe_id, {**form, "metadata": metadata})
    running.step_or_fail(step, write, running.marked(endpoints.subscription(stripe_id)))


def _as_metadata(setting: Setting) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = {}
    if setting.name is not None:
        metadata[NAME] = setting.name
    if setting.owner is not None:
        metadata[OWNER] = setting.owner
    if setting.auto_approval is not None:
        metadata[AUTO_APPROVAL] = auto_approval_text(read_auto_approval(setting.auto_approval))
    return metadata


def not_reached(running: OperationRun[SubscriptionPayload]) -> str | None:
    """The `abandon` of an operation that only writes metadata."""
    changed = running.find_at(endpoints.subscription(running.payload.stripe_id))
    return None if changed is not None else "it had not reached Stripe"


register(
    OperationHandler(
        SubscriptionMetadataPayload, _run, abandon=not_reached, action=Action.MANAGE_SUBSCRIPTION
    )
)
