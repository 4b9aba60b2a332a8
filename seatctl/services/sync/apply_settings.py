"""Name, owner and automatic approval as Stripe's metadata holds them, taken over into a pool.

This is how a ledger that is rebuilt, or one that is not the home, comes to them. What counts for a pool is
`rules/item_metadata.py`'s to say: where several share a Stripe subscription it is on their items.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatctl.ledger import subscriptions, users
from seatctl.ledger.transaction import Transaction
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.adoption import named_in_metadata, taken_in, unique
from seatctl.rules.emails import check_email
from seatctl.rules.item_metadata import said_of
from seatctl.rules.metadata import AUTO_APPROVAL, NAME, OWNER, auto_approval_of
from seatctl.rules.names import name_key


def owner_said(tx: Transaction, said: Mapping[str, str]) -> int | None:
    """The user that the metadata names as the owner, made where unknown; None where it names none."""
    email = said.get(OWNER)
    if not email or check_email(email):
        return None
    known = users.find(tx, email)
    return (known or users.add(tx, email)).id


def take_settings(
    tx: Transaction, subscription: Subscription, found: StripeSubscription, names: set[str]
) -> Subscription:
    """The pool with what the metadata says, recorded where it differs. `names`: keys that are taken."""
    item = next((one for one in found.items if one.id == subscription.stripe_item), None)
    if item is None:
        return subscription
    said = said_of(found, item)
    subscription = _take_name(tx, subscription, said, names)
    if not _is_known_as(tx, subscription, said.get(OWNER)):
        owner = owner_said(tx, said)
        if owner is not None and owner != subscription.owner_id:
            subscription = subscriptions.set_owner(tx, subscription, owner, said[OWNER])
    rules = auto_approval_of(said)
    if AUTO_APPROVAL in said and rules != subscription.auto_approval:
        subscription = subscriptions.set_auto_approval(tx, subscription, rules)
    return subscription


def _is_known_as(tx: Transaction, subscription: Subscription, email: str | None) -> bool:
    """Whether Stripe still says the e-mail that the owner had before it was changed here."""
    return (
        subscription.owner_id is not None
        and bool(email)
        and users.had_email(tx, subscription.owner_id, email or "")
    )


def _take_name(
    tx: Transaction, subscription: Subscription, said: Mapping[str, str], names: set[str]
) -> Subscription:
    wanted = named_in_metadata(said.get(NAME))
    if wanted is None or wanted == subscription.name or _is_numbered(subscription.name, wanted):
        return subscription
    names.discard(name_key(subscription.name))
    name = unique(wanted, taken_in(names))
    names.add(name_key(name))
    return subscriptions.rename(tx, subscription, name)


def _is_numbered(name: str, wanted: str) -> bool:
    """Whether `name` is `wanted` with a number, given because another pool had the name."""
    rest = name.removeprefix(wanted)
    return rest != name and rest.startswith("-") and rest[1:].isdigit()
