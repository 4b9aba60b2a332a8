"""The settings of a subscription that are stored in Stripe's metadata too: name and owner.

`services/purchases/order.py` buys a subscription; `services/requests/auto_approval.py` approves requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from shlex import quote

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger import operations, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, unchanged_report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules import hints
from seatctl.rules.names import check_name, name_key
from seatctl.rules.typed_json import load
from seatctl.services.operations.proposal import Proposal, submit_proposal
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.subscriptions.snapshot import ItemGone, item_of, metadata_item, read_home_subscription
from seatctl.services.subscriptions.subscription_metadata_operation import (
    Setting,
    SubscriptionMetadataPayload,
)
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import allow


def require_free_name(reader: Reader, name: str, excluding: Subscription | None = None) -> None:
    """Raise `name_taken` if a subscription other than `excluding` has the name."""
    taken = subscriptions.named(reader, name)
    if taken is not None and (excluding is None or taken.id != excluding.id):
        raise refuse(
            Code.NAME_TAKEN,
            f"there is already a subscription {taken.name}",
            hint=f"seatctl subs show {quote(taken.name)}, or buy with another --name",
            data={"subscription": taken.name},
        )


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
            require_free_name(reader, new_name, excluding=subscription)
    report = change_setting(
        ledger, billing, call, subscription, {"name": new_name}, f"renamed {subscription.name} to {new_name}"
    )
    if report.run is None:
        return report
    return replace(report, undo=hints.command("subs", "rename", new_name, subscription.name))


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
    return (
        report
        if report.run is None
        else replace(report, undo=_transfer_back_command(ledger, call, subscription))
    )


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
        payload = replace(payload, metadata_item=metadata_item(mirror, item))
    request = OperationRequest(
        payload.kind,
        setting,
        payload,
        subscription_id=subscription.id,
        reserved_name=name_key(str(setting["name"])) if "name" in setting else None,
    )

    def guard(reader: Reader) -> None:
        if "name" in setting:
            require_free_name(reader, str(setting["name"]), excluding=subscription)

    row: Record = {"name": subscription.name, **setting}
    proposal = Proposal(request, row, summary, columns=(*row, "result"), result="changed", guard=guard)
    return submit_proposal(ledger, billing, call, proposal)
