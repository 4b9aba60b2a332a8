"""What seatctl writes into Stripe's metadata, so that a ledger can be rebuilt from Stripe alone. Pure.

A Stripe subscription that seatctl made has one item, which its metadata describes. If it has several items,
metadata about one of them must not be applied to the others: it is stored on the item. Home ledger, operation
and request id are always stored on the Stripe subscription.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.plan import Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.approval import auto_approval_fields, read_auto_approval
from seatctl.rules.names import name_key
from seatctl.rules.policies import as_metadata

LEDGER: Final = "seatctl_ledger"
OPERATION: Final = "seatctl_operation"
REQUEST: Final = "seatctl_request"
SLUG: Final = "seatctl_plan"
NAME: Final = "seatctl_name"
OWNER: Final = "seatctl_owner"
SUBSCRIPTION: Final = "seatctl_subscription"
"""On an invoice of our own: the Stripe subscription that it bills."""
COVERS_FROM: Final = "seatctl_covers_from"
COVERS_UNTIL: Final = "seatctl_covers_until"
"""On an invoice of our own: the term that it pays for."""
AUTO_APPROVAL: Final = "seatctl_auto_approval"
VOID_UNTIL: Final = "seatctl_void_until"
"""When the term ends in which a prorated change was taken back because its payment failed: Stripe may count
its void invoice as billed, and a proration would credit it."""

BILLING_MODE: Final = "[billing_mode]"
"""Only in the ledger's copy of the metadata: Stripe's billing mode. Stripe allows no brackets in a key."""
SCHEDULE: Final = "[schedule]"
"""Only in the ledger's copy of the metadata: the id of the schedule."""
TRIAL: Final = "[trial]"
"""Only in that copy, during a trial: what its end does if the customer has no payment method either."""

OURS: Final = "seatctl_"
"""The prefix of the keys of our metadata."""
_OF_ALL: Final = frozenset((LEDGER, OPERATION, REQUEST))

_LONGEST_VALUE: Final = 500


def marks(ledger_id: str, reference: str, request_id: str | None) -> dict[str, JsonValue]:
    """Return the metadata of every object that we create: home ledger, operation, and any request id."""
    request: dict[str, JsonValue] = {REQUEST: request_id} if request_id else {}
    return {LEDGER: ledger_id, OPERATION: reference, **request}


def subscription_metadata(name: str, owner: str | None, policy: Policy) -> dict[str, JsonValue]:
    """Return name, owner, automatic approval (off) and the term's policy of a new subscription."""
    return {
        NAME: name,
        OWNER: owner or "",
        AUTO_APPROVAL: auto_approval_text(AutoApproval()),
        **as_metadata(policy),
    }


def plan_metadata(slug: str, policy: Policy) -> dict[str, JsonValue]:
    """Return slug and policy of a plan, for its product."""
    return {SLUG: slug, **as_metadata(policy)}


def auto_approval_text(rules: AutoApproval) -> str:
    """Return the rules as one metadata value. Raises `too_long_for_stripe`."""
    text = json.dumps(auto_approval_fields(rules), ensure_ascii=False, separators=(",", ":"))
    if len(text) > _LONGEST_VALUE:
        raise refuse(
            Code.TOO_LONG_FOR_STRIPE,
            "these approval rules are longer than the 500 characters that Stripe's metadata allows",
            hint="name fewer domains or groups",
            data={"length": len(text)},
        )
    return text


def auto_approval_of(metadata: Mapping[str, str]) -> AutoApproval:
    """Return the rules that `auto_approval_text` stored; off if there are none or they cannot be read."""
    try:
        fields = json.loads(metadata.get(AUTO_APPROVAL, "{}"))
        rules = read_auto_approval(fields if isinstance(fields, dict) else {})
    except ValueError:
        return AutoApproval()
    written = auto_approval_fields(rules)
    # Edited in the dashboard: a limit that cannot be read must not become "no limit".
    is_odd = isinstance(fields, dict) and any(fields[key] != written[key] for key in written.keys() & fields)
    return AutoApproval() if is_odd else rules


def made_by(holder: Mapping[str, JsonValue], reference: str) -> bool:
    """Return whether a Stripe object was made by this operation."""
    metadata = holder.get("metadata")
    return isinstance(metadata, dict) and metadata.get(OPERATION) == reference


def metadata_of(subscription: StripeSubscription, item: StripeItem) -> Mapping[str, str]:
    """Return the metadata that applies to our subscription on this item."""
    if not is_on_item(subscription, item):
        return subscription.metadata
    shared = {
        key: text for key, text in subscription.metadata.items() if key in _OF_ALL or not key.startswith(OURS)
    }
    return {**shared, **item.metadata}


def mirrored_metadata(subscription: StripeSubscription, item: StripeItem) -> dict[str, str]:
    """Return the metadata that applies to our subscription on this item as the ledger copies it."""
    mode = "flexible" if subscription.flexible else "classic"
    copied = {**metadata_of(subscription, item), BILLING_MODE: mode}
    if subscription.schedule is not None and not subscription.status.is_over:
        copied[SCHEDULE] = subscription.schedule
    if subscription.status is SubscriptionStatus.TRIALING:
        copied[TRIAL] = _end_of_trial(subscription)
    return copied


def _end_of_trial(subscription: StripeSubscription) -> str:
    if subscription.collection_method == "send_invoice":
        return "invoice"
    return "charge" if subscription.default_payment_method else subscription.missing_payment_method


def is_on_item(subscription: StripeSubscription, item: StripeItem) -> bool:
    """Return whether the metadata about this item is stored on the item.

    If an item is added in the dashboard, the Stripe subscription's metadata still describes its oldest item:
    the one that was bought here.
    """
    if any(key.startswith(OURS) for key in item.metadata):
        return True
    if subscription.described_item is not None:
        return item.id != subscription.described_item
    licensed = [item for item in subscription.items if item.licensed]
    if len(licensed) <= 1:
        return False
    oldest = min(licensed, key=lambda item: item.created)
    return item.id != oldest.id or NAME not in subscription.metadata


def with_described_item(
    subscription: StripeSubscription, subscriptions: Sequence[Subscription]
) -> StripeSubscription:
    """Return Stripe's subscription, marked with the item that its metadata describes.

    `subscriptions` are the ledger's rows for it, oldest first. Stripe alone does not tell if the described
    item is gone; the remaining item would take over its name, its owner and its paid seats.
    """
    if len(subscriptions) <= 1:
        return subscription
    name = subscription.metadata.get(NAME)
    if name is None:
        return replace(subscription, described_item="")
    named = (row for row in subscriptions if name_key(row.name) == name_key(name))
    return replace(subscription, described_item=next(named, subscriptions[0]).stripe_item)


def with_metadata(
    form: Mapping[str, JsonValue],
    item: str | None,
    marks: Mapping[str, JsonValue],
    described: Mapping[str, JsonValue],
) -> dict[str, JsonValue]:
    """Return an update's form with `marks` on the Stripe subscription, and `described` on it or on `item`."""
    if item is None or not described:
        return {**form, "metadata": {**marks, **described}}
    listed = form.get("items")
    items: list[JsonValue] = listed if isinstance(listed, list) else [{"id": item}]
    written: list[JsonValue] = [
        {**entry, "metadata": dict(described)}
        if isinstance(entry, dict) and entry.get("id") == item
        else entry
        for entry in items
    ]
    return {**form, "items": written, "metadata": dict(marks)}
