"""E-mail addresses: the key that decides sameness, and what makes a text an address.

The key is what `users.email_key` holds: NFC, casefold, IDNA domain. What is typed stays as typed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

MAX_LENGTH = 254
"""RFC 5321: a path is at most 256 octets, the angle brackets included."""

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NEVER_LOCAL = frozenset('"(),:;<>[\\]')
_DOTS = str.maketrans("。．｡", "...")


@cache
def _plain_address() -> re.Pattern[str]:
    """Compiled when the first address is checked: a question about a known person compiles nothing."""
    return re.compile(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}")


def email_key(text: str) -> str:
    """The text by which two addresses are the same person: NFC, casefold, the domain as IDNA A-labels.

    Never fails: of a text that is no address the key is its folded form.
    """
    if text.isascii():
        return text.strip().lower()
    local, at, domain = text.strip().rpartition("@")
    if not at:
        return _fold(domain)
    return f"{_fold(local)}@{_domain_key(domain)}"


def is_plain_email(text: str) -> bool:
    """Whether the text is an address of ASCII alone; False leaves it to `check_email`."""
    return len(text) <= MAX_LENGTH and _plain_address().fullmatch(text) is not None


def check_email(text: str) -> str | None:
    """What is wrong with an address, as the end of the sentence "… is not an e-mail address: ", or None.

    Pragmatic: it refuses what cannot be delivered to or would be dangerous in a mail's header, no more.
    """
    if is_plain_email(text):
        return None
    if not text:
        return "it is empty"
    return _text_problem(text) or _parts_problem(text)


def _text_problem(text: str) -> str | None:
    if any(char.isspace() for char in text):
        return "it has a space in it"
    if any(unicodedata.category(char)[0] in "CZ" for char in text):
        return "it has a character in it that cannot be seen"
    if len(text.encode()) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if text.count("@") != 1:
        return "it has no @" if "@" not in text else "it has more than one @"
    return None


def _parts_problem(text: str) -> str | None:
    local, _, domain = text.partition("@")
    if not local or not domain:
        return f"nothing stands {'after' if local else 'before'} the @"
    if len(local.encode()) > 64:
        return "what stands before the @ is longer than 64 characters"
    if odd := next((char for char in local if char in _NEVER_LOCAL), None):
        return f"it has a {odd} before the @"
    if "." not in domain.translate(_DOTS):
        return "its domain has no dot"
    if not all(re.fullmatch(_LABEL, label) for label in _domain_key(domain).split(".")):
        return f"{domain} is not a domain"
    return None


def _fold(text: str) -> str:
    """Canonical caseless form (Unicode 3.13, D145), written composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _domain_key(domain: str) -> str:
    labels = unicodedata.normalize("NFC", _fold(domain)).translate(_DOTS).split(".")
    return ".".join(label if label.isascii() else _a_label(label) for label in labels)


def _a_label(label: str) -> str:
    """One label as IDNA writes it; what IDNA refuses keeps its folded form, which is no valid label."""
    from encodings.idna import ToASCII

    try:
        return ToASCII(label).decode("ascii").lower()
    except UnicodeError:
        return label
