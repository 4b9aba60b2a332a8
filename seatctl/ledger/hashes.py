"""The hashes of the audit, used for writing and for verification. Reads do not import this module."""

from __future__ import annotations

import json
from hashlib import sha256

__all__ = ["NO_HASH", "change_hash", "entry_hash", "sha256", "text_hash"]

NO_HASH = "0" * 64
"""`prev_hash` of the first audit entry."""


def change_hash(entity: str, entity_id: int, before: str | None, after: str | None, salt: str) -> str:
    """Return the SHA-256 of a change row.

    A `+` distinguishes an empty text from None. The JSON texts contain no line breaks.
    """
    old = "" if before is None else "+" + before
    new = "" if after is None else "+" + after
    return sha256(f"{entity}\n{entity_id}\n{old}\n{new}\n{salt}".encode()).hexdigest()


def entry_hash(*fields: str | int) -> str:
    """Return the SHA-256 of an audit entry: of its columns in order, from `seq` to `prev_hash`.

    Its `origin` follows, if it has one; entries of earlier versions have none.
    """
    return text_hash(json.dumps(fields, separators=(",", ":")))


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text, such as a command line."""
    return sha256(text.encode()).hexdigest()
