"""Objects made by others in Stripe: the name of a subscription, the plan that a product is. Pure.

A subscription is named after its customer, a plan after its product. A name in Stripe's metadata comes first.
Every chosen name is unique and can be typed. There is one plan per product, at its current price. Old prices
are not plans, nor is a product without a recurring price that is billed by quantity.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from seatctl.models.plan import Interval, Plan, Policy
from seatctl.models.stripe_objects import StripePrice, StripeProduct
from seatctl.rules.metadata import SLUG
from seatctl.rules.names import BadName, check_name, check_slug, name_key
from seatctl.rules.policies import BadPolicy, from_metadata

_LEGAL_FORMS: Final = frozenset((
    "ab", "ag", "as", "asa", "bv", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated",
    "kg", "limited", "llc", "llp", "lp", "ltd", "nv", "ohg", "oy", "plc", "pte", "pty", "sa", "sarl", "sas",
    "se", "spa", "srl", "ug",
))  # fmt: skip
_MAIL_PROVIDERS: Final = frozenset((
    "aol", "example", "fastmail", "gmail", "gmx", "googlemail", "hotmail", "icloud", "live", "mac", "mail",
    "me", "msn", "outlook", "pm", "posteo", "proton", "protonmail", "web", "yahoo", "ymail", "zoho",
))  # fmt: skip
_LONGEST_BASE: Final = 48


def name_from_customer(name: str | None, email: str | None, customer_id: str) -> str:
    """Return a subscription name: from the customer's name (`Acme Inc.` becomes `acme`), e-mail, else id."""
    words = _words(name or "")
    while len(words) > 1 and words[-1].replace(".", "") in _LEGAL_FORMS:
        words.pop()
    base = "-".join(words) or _from_email(email or "")
    try:
        return check_name(base[:_LONGEST_BASE].strip("-"))
    except BadName:
        return customer_id


def named_in_metadata(text: str | None) -> str | None:
    """Return the name in Stripe's metadata, or None if it is missing or not a valid name."""
    try:
        return check_name(text) if text else None
    except BadName:
        return None


def slug_from_product(*candidates: str | None) -> str:
    """Return the first of `candidates` that is a valid slug, else a slug made from the last of them."""
    for candidate in candidates:
        with suppress(BadName):
            return check_slug(candidate or "")
    plain = unicodedata.normalize("NFKD", candidates[-1] or "").encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:_LONGEST_BASE].strip("-") or "plan"


def unique(base: str, is_taken: Callable[[str], bool]) -> str:
    """Return `base`, or the first of `base-2`, `base-3`, … that is not taken."""
    if not is_taken(base):
        return base
    number = 2
    while is_taken(f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def taken_in(keys: set[str]) -> Callable[[str], bool]:
    """Return a function that says whether a name is among these keys (`name_key`)."""
    return lambda name: name_key(name) in keys


def _words(text: str) -> list[str]:
    """Split a text into words of letters, digits and marks of any script, in lower case, without `&`."""
    folded = unicodedata.normalize("NFC", text).casefold()
    kept = "".join(_letter(character) for character in folded)
    return [word for word in kept.replace(".", "").split() if word]


def _letter(character: str) -> str:
    if character in ".'’":
        return "" if character != "." else "."
    return character if unicodedata.category(character)[0] in "LNM" else " "


def _from_email(email: str) -> str:
    local, _, domain = email.casefold().partition("@")
    labels = domain.split(".")
    own = labels[-2] if len(labels) > 1 and labels[-2] not in {"co", "com", "ac", "gov", "org"} else labels[0]
    return "-".join(_words(local if not own or own in _MAIL_PROVIDERS else own))


def new_plan(
    product: StripeProduct,
    prices: Sequence[StripePrice],
    is_taken: Callable[[str], bool],
    *,
    in_use: bool = False,
) -> Plan | None:
    """Return the plan for a product, or None if it is not one. `prices` are the product's, oldest first.

    `in_use`: subscriptions are billed by it, so it becomes a plan even if it is no longer sold.
    """
    slug = product.metadata.get(SLUG)
    price = current_price(product, prices, slug, None)
    if price is None or not (price.active or in_use):
        return None
    wanted = slug_from_product(slug, price.lookup_key, product.name)
    return Plan(
        id=0,
        slug=unique(wanted, is_taken),
        name=product.name,
        product_id=product.id,
        price_id=price.id,
        currency=price.currency,
        unit_amount=price.unit_amount or 0,
        interval=price.interval or Interval.MONTH,
        interval_count=price.interval_count,
        policy=policy_of(product),
        active=product.active and price.active,
    )


def as_in_stripe(plan: Plan, product: StripeProduct, prices: Sequence[StripePrice]) -> Plan:
    """Return a known plan with Stripe's current values. The slug stays, because people type it."""
    price = current_price(product, prices, plan.slug, plan.price_id)
    updated = replace(
        plan, name=product.name, active=product.active, policy=policy_of(product) or plan.policy
    )
    if price is None:
        return replace(updated, active=False)
    return replace(
        updated,
        price_id=price.id,
        currency=price.currency,
        unit_amount=price.unit_amount or 0,
        interval=price.interval or Interval.MONTH,
        interval_count=price.interval_count,
        active=product.active and price.active,
    )


def current_price(
    product: StripeProduct, prices: Sequence[StripePrice], slug: str | None, known: str | None
) -> StripePrice | None:
    """Return the price at which a product is sold now.

    Active prices come first; among them the price with the slug as lookup key, then the product's default,
    the known one, the newest with a lookup key, and the newest.
    """
    sold = [price for price in prices if price.interval is not None and price.usage_type == "licensed"]

    def rank(place: int) -> tuple[bool, bool, bool, bool, bool, int]:
        price = sold[place]
        return (
            price.active,
            slug is not None and price.lookup_key == slug,
            price.id == product.default_price,
            price.id == known,
            price.lookup_key is not None,
            place,
        )

    best = max(range(len(sold)), key=rank, default=None)
    return None if best is None else sold[best]


def policy_of(product: StripeProduct) -> Policy | None:
    """Return the policy in the product's metadata; None if there is none or it is not valid."""
    try:
        return from_metadata(product.metadata)
    except BadPolicy:
        return None
