"""E-mail addresses: the key by which two are the same, and what makes a text an address.

The key is stored in `users.email_key`. Only case and Unicode's form are folded, and the domain is written as
in IDNA 2008, so that two mailboxes never share a key. An address is shown as it was typed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

MAX_LENGTH = 254
"""RFC 5321: a path has at most 256 octets, including the angle brackets."""

_MAX_LOCAL = 64

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PREFIX = "xn--"
_NEVER_LOCAL = frozenset('"(),:;<>[\\]')
_DOTS = str.maketrans("。．｡", "...")


@cache
def _plain_address() -> re.Pattern[str]:
    """Compiled when the first address is checked: `check` for a known person compiles nothing."""
    local = f"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,{_MAX_LOCAL}}}"
    return re.compile(rf"{local}@(?:{_LABEL}\.)+{_LABEL}")


def email_key(text: str) -> str:
    """Return the text by which two addresses are the same person: no case, NFC, the domain as in IDNA 2008.

    Never fails: a domain that IDNA 2008 does not allow keeps its folded form.
    """
    if text.isascii():
        return text.strip().lower()
    local, at, domain = text.strip().rpartition("@")
    if not at:
        return _fold(domain)
    return f"{_fold(local)}@{domain_key(domain)}"


def domain_key(domain: str) -> str:
    """Return a domain as the DNS has it: `Straße.example` is `xn--strae-oqa.example`.

    It is never `strasse.example`, which is another domain.
    """
    labels = _labels(domain)
    return ".".join(label if label.isascii() else _a_label(label) or label for label in labels)


def is_plain_email(text: str) -> bool:
    """Return whether the text is a valid address in ASCII; if False, `check_email` decides.

    An A-label (`xn--`) or a misplaced dot is left to `check_email`. Both are searched for outside of the
    pattern, which would otherwise take twice as long.
    """
    return (
        len(text) <= MAX_LENGTH
        and _plain_address().fullmatch(text) is not None
        and not ("--" in text or ".." in text or ".@" in text or text[0] == ".")
    )


def check_email(text: str) -> str | None:
    """Return what is wrong with an address, as the end of "… is not an e-mail address: ", or None.

    It refuses only what cannot be delivered to or would be dangerous in the header of a mail.
    """
    if is_plain_email(text):
        return None
    if not text:
        return "it is empty"
    return _text_problem(text) or _parts_problem(text)


def _text_problem(text: str) -> str | None:
    if any(char.isspace() for char in text):
        return "it has a space"
    if any(unicodedata.category(char)[0] in "CZ" and char not in "\u200c\u200d" for char in text):
        return "it has an invisible character"
    if len(text.encode()) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if text.count("@") != 1:
        return "it has no @" if "@" not in text else "it has more than one @"
    return None


def _parts_problem(text: str) -> str | None:
    local, _, domain = text.partition("@")
    if not local or not domain:
        return f"there is nothing {'after' if local else 'before'} the @"
    wrong = _local_problem(local) or _domain_problem(domain)
    if wrong is None and len(local.encode()) + 1 + len(domain_key(domain)) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters, with its domain in the DNS's form"
    return wrong


def _local_problem(local: str) -> str | None:
    if len(local.encode()) > _MAX_LOCAL:
        return f"the part before the @ is longer than {_MAX_LOCAL} characters"
    if odd := next((char for char in local if char in _NEVER_LOCAL), None):
        return f"it has a {odd} before the @"
    if "\u200c" in local or "\u200d" in local:
        return "it has an invisible character"
    return _dots_problem(local, "the part before the @")


def _domain_problem(domain: str) -> str | None:
    labels = _labels(domain)
    if len(labels) == 1:
        return "its domain has no dot"
    if wrong := _dots_problem(".".join(labels), "its domain"):
        return wrong
    for label in labels:
        is_own = label.isascii() and not label.startswith(_PREFIX)
        if is_own and not re.fullmatch(_LABEL, label):
            return f"{domain} is not a domain"
        if not is_own and _a_label(label) is None:
            return f"{domain} is not a domain, because IDNA 2008 does not allow {label!r}"
    return None


def _dots_problem(part: str, what: str) -> str | None:
    if part.startswith("."):
        return f"{what} begins with a dot"
    if part.endswith("."):
        return f"{what} ends with a dot"
    return f"{what} has two dots in a row" if ".." in part else None


def _fold(text: str) -> str:
    """Fold case and normalise to NFC, letter by letter.

    Unicode's full folding would make `groß` the mailbox `gross`.
    """
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", "".join(map(_fold_letter, composed)))


def _fold_letter(letter: str) -> str:
    folded = letter.casefold()
    return folded if len(folded) == 1 else letter.lower()


def _labels(domain: str) -> list[str]:
    """Return the labels in lower case, letter by letter: IDNA 2008 tells `ß` from `ss`, and `ς` from `σ`."""
    composed = unicodedata.normalize("NFC", domain.translate(_DOTS))
    return unicodedata.normalize("NFC", "".join(letter.lower() for letter in composed)).split(".")


@lru_cache(maxsize=1024)  # a file has few domains, and checking one takes as long as checking the rest
def _a_label(label: str) -> str | None:
    """Return the label as IDNA 2008 writes it in ASCII, or None if it does not allow it."""
    from idna import alabel  # takes 15 ms; plain addresses do not need it

    try:
        return alabel(label).decode("ascii")
    except UnicodeError:  # IDNAError is one
        return None
