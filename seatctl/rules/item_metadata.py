"""What Stripe's metadata says about one of our subscriptions, if several share a Stripe subscription. Pure.

A Stripe subscription that seatctl made has one item, which its metadata describes. If it has several items,
metadata about one of them must not be applied to the others: it is stored on the item. Home ledger, operation
and request id are always stored on the Stripe subscription.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from seatctl.errors import JsonValue
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.metadata import LEDGER, NAME, OPERATION, REQUEST
from seatctl.rules.names import name_key

OURS: Final = "seatctl_"
"""The prefix of the keys of our metadata."""

_OF_ALL: Final = frozenset((LEDGER, OPERATION, REQUEST))


def metadata_of(subscription: StripeSubscription, item: StripeItem) -> Mapping[str, str]:
    """Return the metadata that applies to our subscription on this item."""
    if not is_on_item(subscription, item):
        return subscription.metadata
    shared = {
        key: text for key, text in subscription.metadata.items() if key in _OF_ALL or not key.startswith(OURS)
    }
    return {**shared, **item.metadata}


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
