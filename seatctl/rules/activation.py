"""Activation codes: their form, reading a typed code, and the hash that the ledger stores. Pure.

A code is `seat-` and four groups of five characters of Crockford's alphabet. That is a hundred random bits:
the code cannot be guessed and its hash needs no salt. `output/redact.py` recognises the form.
"""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 4, 5
_PREFIX = "seat"
_MISREAD = str.maketrans("OIL", "011")
RANDOM_BYTES = 13
"""How many random bytes `code_of` needs: 104 bits, of which it uses 100."""


def code_of(random: bytes) -> str:
    """Return the code made from these random bytes: `seat-7KQ2M-…`."""
    number = int.from_bytes(random, "big")
    characters = [_ALPHABET[(number >> 5 * place) & 31] for place in range(_GROUPS * _GROUP)]
    groups = ("".join(characters[start : start + _GROUP]) for start in range(0, _GROUPS * _GROUP, _GROUP))
    return "-".join((_PREFIX, *groups))


def read_code(typed: str) -> str | None:
    """Return a typed code in its canonical form, or None if it is not an activation code.

    Case, spaces and hyphens are ignored; O reads as 0, I and L as 1.
    """
    letters = "".join(char for char in typed if not char.isspace() and char != "-")
    prefix, rest = letters[: len(_PREFIX)], letters[len(_PREFIX) :].upper().translate(_MISREAD)
    if prefix.lower() != _PREFIX or len(rest) != _GROUPS * _GROUP or not set(rest) <= set(_ALPHABET):
        return None
    groups = (rest[start : start + _GROUP] for start in range(0, len(rest), _GROUP))
    return "-".join((_PREFIX, *groups))


def code_hash(code: str) -> str:
    """Return the SHA-256 of a code in hex, which the ledger stores instead of the code."""
    import hashlib

    return hashlib.sha256(code.encode()).hexdigest()
