"""What Stripe's metadata says of one pool, where several pools may share a Stripe subscription. Pure.

A subscription that seatctl made has one item, and its metadata speaks of that. Where it has several, what
is said of one pool must not be believed of the others: it is kept on the item. Home ledger, operation and
request id are always the subscription's.
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
"""What the keys of our metadata begin with."""

_OF_ALL: Final = frozenset((LEDGER, OPERATION, REQUEST))


def said_of(subscription: StripeSubscription, item: StripeItem) -> Mapping[str, str]:
    """The metadata that counts for the pool of this item."""
    if not is_on_item(subscription, item):
        return subscription.metadata
    shared = {
        key: text for key, text in subscription.metadata.items() if key in _OF_ALL or not key.startswith(OURS)
    }
    return {**shared, **item.metadata}


def is_on_item(subscription: StripeSubscription, item: StripeItem) -> bool:
    """Whether what is said of this item's pool is kept on the item.

    The metadata of a subscription that has a name goes on speaking of its oldest item when another one is
    added in the dashboard: that one was bought here.
    """
    if any(key.startswith(OURS) for key in item.metadata):
        return True
    if subscription.speaks_of is not None:
        return item.id != subscription.speaks_of
    licensed = [one for one in subscription.items if one.licensed]
    if len(licensed) <= 1:
        return False
    oldest = min(licensed, key=lambda one: one.created)
    return item.id != oldest.id or NAME not in subscription.metadata


def as_known(subscription: StripeSubscription, pools: Sequence[Subscription]) -> StripeSubscription:
    """Stripe's subscription with what the ledger's `pools` of it, the oldest first, tell of its metadata.

    Stripe alone does not tell that what is said there was said of an item that is gone: the one that is left
    would take over its name, its owner and the seats that it had paid for.
    """
    if len(pools) <= 1:
        return subscription
    name = subscription.metadata.get(NAME)
    if name is None:
        return replace(subscription, speaks_of="")
    named = (pool for pool in pools if name_key(pool.name) == name_key(name))
    return replace(subscription, speaks_of=next(named, pools[0]).stripe_item)


def with_metadata(
    form: Mapping[str, JsonValue],
    item: str | None,
    marks: Mapping[str, JsonValue],
    said: Mapping[str, JsonValue],
) -> dict[str, JsonValue]:
    """An update's form with `marks` on the subscription and `said` there too, or on `item` where given."""
    if item is None or not said:
        return {**form, "metadata": {**marks, **said}}
    listed = form.get("items")
    items: list[JsonValue] = listed if isinstance(listed, list) else [{"id": item}]
    written: list[JsonValue] = [
        {**one, "metadata": dict(said)} if isinstance(one, dict) and one.get("id") == item else one
        for one in items
    ]
    return {**form, "items": written, "metadata": dict(marks)}
