"""The hashes of the audit, in one place for writing and verifying. Loaded by changes only, not by reads."""

from __future__ import annotations

import json
from hashlib import sha256

__all__ = ["NO_HASH", "change_hash", "entry_hash", "sha256", "text_hash"]

NO_HASH = "0" * 64
"""What the first audit entry follows."""


def change_hash(entity: str, entity_id: int, before: str | None, after: str | None, salt: str) -> str:
    """SHA-256 of a change row. The `+` tells an empty text from none; JSON texts hold no line breaks."""
    was = "" if before is None else "+" + before
    became = "" if after is None else "+" + after
    return sha256(f"{entity}\n{entity_id}\n{was}\n{became}\n{salt}".encode()).hexdigest()


def entry_hash(*fields: str | int) -> str:
    """SHA-256 of an audit entry: its columns in order from `seq` to `prev_hash`, which chains it."""
    return text_hash(json.dumps(fields, separators=(",", ":")))


def text_hash(text: str) -> str:
    """SHA-256 of a text, such as a command line."""
    return sha256(text.encode()).hexdigest()
