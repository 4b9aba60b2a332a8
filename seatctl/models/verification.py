"""The result of verifying the audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying the hash chain. `problem` describes the first bad entry; None: no problem."""

    entries: int
    changes: int
    erased: int
    """Change rows with erased contents, of which only the hashes were verified."""
    head: str
    """`SEQ:HASH` of the last entry; `0:000…` for an empty audit."""
    problem: str | None = None
    bad_entry: int | None = None
