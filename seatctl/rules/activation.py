"""Activation codes: their form, how a typed one is read, and the hash that the ledger keeps. Pure.

A code is `seat-` and four groups of five characters of Crockford's alphabet: a hundred random bits, so
that it needs no salt and cannot be guessed. `output/redact.py` knows the form.
"""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 4, 5
_PREFIX = "seat"
_MISREAD = str.maketrans("OIL", "011")
RANDOM_BYTES = 13
"""How many random bytes `code_of` wants: 104 bits, of which it takes 100."""


def code_of(random: bytes) -> str:
    """The code that these random bytes make: `seat-7KQ2M-…`."""
    number = int.from_bytes(random, "big")
    characters = [_ALPHABET[(number >> 5 * place) & 31] for place in range(_GROUPS * _GROUP)]
    groups = ("".join(characters[start : start + _GROUP]) for start in range(0, _GROUPS * _GROUP, _GROUP))
    return "-".join((_PREFIX, *groups))


def read_code(typed: str) -> str | None:
    """A code as it was made, from what somebody typed: case, spaces, hyphens, O and I do not count.

    None where it cannot be one.
    """
    letters = "".join(char for char in typed if not char.isspace() and char != "-")
    prefix, rest = letters[: len(_PREFIX)], letters[len(_PREFIX) :].upper().translate(_MISREAD)
    if prefix.lower() != _PREFIX or len(rest) != _GROUPS * _GROUP or not set(rest) <= set(_ALPHABET):
        return None
    groups = (rest[start : start + _GROUP] for start in range(0, len(rest), _GROUP))
    return "-".join((_PREFIX, *groups))


def code_hash(code: str) -> str:
    """What the ledger keeps of a code: SHA-256 in hex."""
    import hashlib

    return hashlib.sha256(code.encode()).hexdigest()
