"""Which texts are valid slugs, names and request ids. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from seatctl.errors import BadInput, Code

_SLUG = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONGEST_NAME = 80
_LONGEST_SLUG = 60
_LONGEST_PLAN_NAME = 250
_LONGEST_REQUEST_ID = 200


class BadName(BadInput):
    """A slug or a name that could not be typed, shown or stored in Stripe."""

    kind = Code.BAD_NAME


def check_slug(slug: str) -> str:
    """Return the slug: lower-case letters, digits, and single `.`, `_`, `-` between them.

    It becomes the lookup key of a Stripe price. Raises BadName.
    """
    if len(slug) > _LONGEST_SLUG or not _SLUG.fullmatch(slug):
        raise BadName(
            f"{slug!r} is not a valid slug",
            hint="use lower-case letters, digits, '-', '_' and '.', such as team-plus",
            data={"slug": slug},
        )
    return slug


def check_name(name: str) -> str:
    """Return the subscription name in NFC without outer spaces. Raises BadName.

    Control characters could forge terminal output, a leading `-` reads as an option, and Stripe ids would be
    ambiguous.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    problem = _problem(cleaned)
    if problem:
        raise BadName(
            f"{name!r} is not a valid subscription name: {problem}",
            hint="choose a short name such as design or sales-eu",
            data={"name": name},
        )
    return cleaned


def check_plan_name(name: str) -> str:
    """Return the plan's name, which customers read on invoices, in NFC and stripped. Raises BadName."""
    cleaned = unicodedata.normalize("NFC", name.strip())
    if not cleaned or len(cleaned) > _LONGEST_PLAN_NAME or _has_controls(cleaned):
        raise BadName(
            f"{name!r} is not a valid plan name: use one line of at most {_LONGEST_PLAN_NAME} characters",
            hint="choose a name such as 'Team Plus'",
            data={"name": name},
        )
    return cleaned


def check_request_id(key: str) -> str:
    """Return the request id; it is stored unchanged in Stripe's metadata. Raises BadName."""
    if not key.strip() or len(key) > _LONGEST_REQUEST_ID or _has_controls(key):
        raise BadName(
            f"a request id is one line of 1 to {_LONGEST_REQUEST_ID} characters",
            hint="use --request-id with an id of your own, such as an order number",
            data={"length": len(key)},
        )
    return key


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character)[0] == "C" for character in text)


def _problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} characters"
    if name.startswith("-"):
        return "it begins with '-'"
    if _has_controls(name):
        return "it has control characters"
    if name.startswith(("sub_", "si_")):
        return "it looks like a Stripe id"
    return None


@lru_cache(maxsize=1024)  # a file of a million people has few groups
def group_key(group: str) -> str:
    """Return the text by which two groups are the same: as for names, and repeated spaces do not count."""
    return name_key(" ".join(group.split()))


def same_group(first: str | None, second: str | None) -> bool:
    """Return whether two groups are the same, or both missing."""
    return group_key(first or "") == group_key(second or "")


def name_key(name: str) -> str:
    """Return the text by which two names are the same: case and Unicode form do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
