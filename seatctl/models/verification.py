"""What verifying the audit found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of reading the whole chain. `problem` names the first bad entry, None: all is well."""

    entries: int
    changes: int
    erased: int
    """Change rows whose contents were erased; their hashes stand."""
    head: str
    """`SEQ:HASH` of the last entry; `0:000…` of an empty audit."""
    problem: str | None = None
    bad_entry: int | None = None
