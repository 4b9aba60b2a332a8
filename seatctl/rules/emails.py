"""E-mail addresses: the key that decides sameness, and what makes a text an address.

The key is what `users.email_key` holds. Nothing but case and Unicode's form is folded, and the domain is
written as IDNA 2008 has it, so that two mailboxes never share a key. What is typed stays as typed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

MAX_LENGTH = 254
"""RFC 5321: a path is at most 256 octets, the angle brackets included."""

_MAX_LOCAL = 64

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PREFIX = "xn--"
_NEVER_LOCAL = frozenset('"(),:;<>[\\]')
_DOTS = str.maketrans("。．｡", "...")


@cache
def _plain_address() -> re.Pattern[str]:
    """Compiled when the first address is checked: a question about a known person compiles nothing."""
    local = f"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,{_MAX_LOCAL}}}"
    return re.compile(rf"{local}@(?:{_LABEL}\.)+{_LABEL}")


def email_key(text: str) -> str:
    """The text by which two addresses are the same person: no case, NFC, the domain as IDNA 2008 writes it.

    Never fails: a domain that IDNA 2008 does not allow keeps its folded form.
    """
    if text.isascii():
        return text.strip().lower()
    local, at, domain = text.strip().rpartition("@")
    if not at:
        return _fold(domain)
    return f"{_fold(local)}@{domain_key(domain)}"


def domain_key(domain: str) -> str:
    """A domain as the DNS has it: `Straße.example` is `xn--strae-oqa.example`, never `strasse.example`."""
    labels = _labels(domain)
    return ".".join(label if label.isascii() else _a_label(label) or label for label in labels)


def is_plain_email(text: str) -> bool:
    """Whether the text is an address of ASCII alone; False leaves it to `check_email`.

    What looks like an A-label (`xn--`), or has a dot where none may be, is left to it too: looked for apart
    from the pattern, which would take twice as long.
    """
    return (
        len(text) <= MAX_LENGTH
        and _plain_address().fullmatch(text) is not None
        and not ("--" in text or ".." in text or ".@" in text or text[0] == ".")
    )


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
    if any(unicodedata.category(char)[0] in "CZ" and char not in "\u200c\u200d" for char in text):
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
    wrong = _local_problem(local) or _domain_problem(domain)
    if wrong is None and len(local.encode()) + 1 + len(domain_key(domain)) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters, with its domain as the DNS has it"
    return wrong


def _local_problem(local: str) -> str | None:
    if len(local.encode()) > _MAX_LOCAL:
        return f"what stands before the @ is longer than {_MAX_LOCAL} characters"
    if odd := next((char for char in local if char in _NEVER_LOCAL), None):
        return f"it has a {odd} before the @"
    if "\u200c" in local or "\u200d" in local:
        return "it has a character in it that cannot be seen"
    return _dots_problem(local, "what stands before the @")


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
    """Without case and in NFC. Letter for letter: Unicode's full folding makes `groß` the mailbox `gross`."""
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", "".join(map(_fold_letter, composed)))


def _fold_letter(letter: str) -> str:
    folded = letter.casefold()
    return folded if len(folded) == 1 else letter.lower()


def _labels(domain: str) -> list[str]:
    """The labels in lower case, letter for letter: IDNA 2008 tells `ß` from `ss`, and `ς` from `σ`."""
    composed = unicodedata.normalize("NFC", domain.translate(_DOTS))
    return unicodedata.normalize("NFC", "".join(letter.lower() for letter in composed)).split(".")


@lru_cache(maxsize=1024)  # a file of people has few domains, and checking one costs as much as the rest
def _a_label(label: str) -> str | None:
    """A label that is not plain ASCII as IDNA 2008 writes it; None if it does not allow it."""
    from idna import alabel  # 15 ms, which no plain address needs

    try:
        return alabel(label).decode("ascii")
    except UnicodeError:  # IDNAError is one
        return None
