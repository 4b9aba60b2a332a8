"""Good names for what others made in Stripe: subscriptions after their customer, plans after their product.

Pure. A name that Stripe's metadata holds comes first; whatever is chosen is unique and can be typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from seatctl.rules.names import BadName, check_name, check_slug, name_key

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
    """`Acme Inc.` is `acme`; without a name the address speaks (`pay@acme.com`), else the customer's id."""
    words = _words(name or "")
    while len(words) > 1 and words[-1].replace(".", "") in _LEGAL_FORMS:
        words.pop()
    base = "-".join(words) or _from_email(email or "")
    try:
        return check_name(base[:_LONGEST_BASE].strip("-"))
    except BadName:
        return customer_id


def named_in_metadata(text: str | None) -> str | None:
    """The name that Stripe's metadata holds, if it can be one."""
    try:
        return check_name(text) if text else None
    except BadName:
        return None


def slug_from_product(*candidates: str | None) -> str:
    """A plan's slug: the first of `candidates` (metadata, lookup key) that is one, else from the last."""
    for candidate in candidates:
        if candidate and _is_slug(candidate):
            return candidate
    plain = unicodedata.normalize("NFKD", candidates[-1] or "").encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:_LONGEST_BASE].strip("-") or "plan"


def unique(base: str, is_taken: Callable[[str], bool]) -> str:
    """`acme`, else `acme-2`, `acme-3`, … whichever is free."""
    if not is_taken(base):
        return base
    number = 2
    while is_taken(f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def taken_in(keys: set[str]) -> Callable[[str], bool]:
    """Whether a name is among these keys (`name_key`)."""
    return lambda name: name_key(name) in keys


def _is_slug(text: str) -> bool:
    try:
        check_slug(text)
    except BadName:
        return False
    return True


def _words(text: str) -> list[str]:
    """Letters, digits and marks of any script, in lower case; `&` and quotes fall away."""
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
