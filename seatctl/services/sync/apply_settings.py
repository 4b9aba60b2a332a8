"""Applies the name, owner and automatic approval in Stripe's metadata to a subscription.

This is how a rebuilt ledger, or one that is not the home, gets them. `rules/item_metadata.py` decides which
metadata counts: if several subscriptions share a Stripe subscription, it is on their items.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatctl.ledger import subscriptions, users
from seatctl.ledger.transaction import Transaction
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.adoption import named_in_metadata, taken_in, unique
from seatctl.rules.emails import check_email
from seatctl.rules.item_metadata import metadata_of
from seatctl.rules.metadata import AUTO_APPROVAL, NAME, OWNER, auto_approval_of
from seatctl.rules.names import name_key


def owner_in_metadata(tx: Transaction, metadata: Mapping[str, str]) -> int | None:
    """The user whom the metadata names as the owner, added if unknown; None if it names nobody."""
    email = metadata.get(OWNER)
    if not email or check_email(email):
        return None
    known = users.find(tx, email)
    return (known or users.add(tx, email)).id


def apply_settings(
    tx: Transaction, subscription: Subscription, mirror: StripeSubscription, names: set[str]
) -> Subscription:
    """Record what the metadata changes, and return the subscription with it. `names`: keys that are taken."""
    item = next((item for item in mirror.items if item.id == subscription.stripe_item), None)
    if item is None:
        return subscription
    metadata = metadata_of(mirror, item)
    subscription = _apply_name(tx, subscription, metadata, names)
    if not _is_earlier_email(tx, subscription, metadata.get(OWNER)):
        owner = owner_in_metadata(tx, metadata)
        if owner is not None and owner != subscription.owner_id:
            subscription = subscriptions.set_owner(tx, subscription, owner, metadata[OWNER])
    rules = auto_approval_of(metadata)
    if AUTO_APPROVAL in metadata and rules != subscription.auto_approval:
        subscription = subscriptions.set_auto_approval(tx, subscription, rules)
    return subscription


def _is_earlier_email(tx: Transaction, subscription: Subscription, email: str | None) -> bool:
    """Whether Stripe still has an e-mail that the owner had before it was changed in this ledger."""
    return (
        subscription.owner_id is not None
        and bool(email)
        and users.had_email(tx, subscription.owner_id, email or "")
    )


def _apply_name(
    tx: Transaction, subscription: Subscription, metadata: Mapping[str, str], names: set[str]
) -> Subscription:
    wanted = named_in_metadata(metadata.get(NAME))
    if wanted is None or wanted == subscription.name or _is_numbered(subscription.name, wanted):
        return subscription
    names.discard(name_key(subscription.name))
    name = unique(wanted, taken_in(names))
    names.add(name_key(name))
    return subscriptions.rename(tx, subscription, name)


def _is_numbered(name: str, wanted: str) -> bool:
    """Whether `name` is `wanted` with a number, added because another subscription had that name."""
    suffix = name.removeprefix(wanted)
    return suffix != name and suffix.startswith("-") and suffix[1:].isdigit()
