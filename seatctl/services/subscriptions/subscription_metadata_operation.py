"""The settings of a subscription that Stripe's metadata has too: its name, owner and automatic approval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from seatctl.billing import endpoints
from seatctl.billing.port import Billing
from seatctl.errors import JsonValue, SeatctlError
from seatctl.ledger import operations, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.message import Template
from seatctl.models.report import Record, Report, unchanged_report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules import hints
from seatctl.rules.approval import read_auto_approval
from seatctl.rules.metadata import (
    AUTO_APPROVAL,
    NAME,
    OPERATION,
    OWNER,
    auto_approval_text,
    is_on_item,
    with_metadata,
)
from seatctl.rules.names import check_name, name_key
from seatctl.rules.typed_json import load, stored_as
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import OperationRun, SubscriptionPayload
from seatctl.services.operations.submit import OperationRequest, Proposal, submit_proposal
from seatctl.services.subscriptions.snapshot import ItemGone, item_of, read_home_subscription
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import allow


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


def rename(ledger: Ledger, billing: Billing, call: Call, handle: str, name: str) -> Report:
    """Rename a subscription, in the ledger and in Stripe. Raises `name_taken`."""
    new_name = check_name(name)
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle)
        allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, subscription)
        reserved = operations.of_name(reader, name_key(new_name))
        if subscription.name == new_name and reserved is None:
            return unchanged_report(call, f"{new_name} already has that name")
        if reserved is None:
            subscriptions.require_free_name(reader, new_name, excluding=subscription)
    summary = f"renamed {subscription.name} to {new_name}"
    undo = hints.command("subs", "rename", new_name, subscription.name)
    return change_setting(ledger, billing, call, subscription, {"name": new_name}, summary, undo)


def transfer(ledger: Ledger, billing: Billing, call: Call, handle: str, new_owner: User) -> Report:
    """Make a user the owner of a subscription, in the ledger and in Stripe. Raises `user_not_active`."""
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle)
        allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, subscription)
    summary = f"made {new_owner.email} the owner of {subscription.name}"
    require_active_user(new_owner)
    if subscription.owner_id == new_owner.id:
        return unchanged_report(call, f"{new_owner.email} already owns {subscription.name}")
    report = change_setting(ledger, billing, call, subscription, {"owner": new_owner.email}, summary)
    if report.run is None:
        return report
    return replace(report, undo=_transfer_back_command(ledger, call, subscription))


def _transfer_back_command(ledger: Ledger, call: Call, before: Subscription) -> str | None:
    """Return the command that restores the former owner, None if it would be refused."""
    if before.owner_email is None:
        return None
    with ledger.reading() as reader:
        now = subscriptions.by_id(reader, before.id)
        try:
            require_active_user(users.require(reader, before.owner_email))
            allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, now)
        except SeatctlError:
            return None
    return hints.command("subs", "transfer", now.name, before.owner_email)


def update_owner_email(ledger: Ledger, billing: Callable[[], Billing], call: Call, email: str) -> str | None:
    """Write an owner's new e-mail to Stripe for all subscriptions that they own here.

    Return the error message if that fails, else None. A failure is harmless: `sync` knows the earlier e-mail
    too.
    """
    with ledger.reading() as reader:
        owner = users.require(reader, email)
        owned = [subscriptions.find(reader, name) for name in users.owned_subscriptions(reader, owner)]
    try:
        for subscription in (subscription for subscription in owned if subscription.home_ledger == ledger.id):
            summary = f"told Stripe that {owner.email} owns {subscription.name}"
            change_setting(ledger, billing(), call, subscription, {"owner": owner.email}, summary)
    except SeatctlError as error:
        return error.message
    return None


def change_setting(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    subscription: Subscription,
    setting: dict[str, JsonValue],
    summary: str,
    undo: str | None = None,
) -> Report:
    """Change a setting that Stripe's metadata holds too, by an operation. The caller has checked it.

    Raises ForeignLedger.
    """
    mirror = read_home_subscription(ledger, billing, subscription)
    payload = SubscriptionMetadataPayload(
        setting=load(Setting, setting),
        subscription=subscription.id,
        stripe_id=subscription.stripe_subscription,
        summary=summary,
    )
    try:
        with ledger.reading() as reader:
            item = item_of(reader, subscription, mirror)
    except ItemGone:
        payload = replace(payload, in_stripe=False)
    else:
        payload = replace(payload, metadata_item=item.id if is_on_item(mirror, item) else None)
    request = OperationRequest(
        payload.kind,
        setting,
        payload,
        subscription_id=subscription.id,
        reserved_name=name_key(str(setting["name"])) if "name" in setting else None,
    )

    def guard(reader: Reader) -> None:
        if "name" in setting:
            subscriptions.require_free_name(reader, str(setting["name"]), excluding=subscription)

    row: Record = {"name": subscription.name, **setting}
    proposal = Proposal(
        request, row, summary, columns=(*row, "result"), result="changed", guard=guard, undo=undo
    )
    return submit_proposal(ledger, billing, call, proposal)


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
    approval = setting.auto_approval
    metadata: dict[str, JsonValue] = {
        NAME: setting.name,
        OWNER: setting.owner,
        AUTO_APPROVAL: None if approval is None else auto_approval_text(read_auto_approval(approval)),
    }
    return {name: value for name, value in metadata.items() if value is not None}


def not_reached(running: OperationRun[SubscriptionPayload]) -> str | None:
    """The `abandon` of an operation that only writes metadata."""
    return None if running.changed()() is not None else "it had not reached Stripe"


register(
    OperationHandler(
        SubscriptionMetadataPayload, _run, abandon=not_reached, action=Action.MANAGE_SUBSCRIPTION
    )
)
