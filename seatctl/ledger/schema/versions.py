"""Versions of the schema, and which program may work with which ledger.

A program of schema N works with a server's ledger of schema N and N−1, so that clients and server need not be
upgraded at the same moment. A later schema says in `meta.min_client` which program it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatctl import __version__
from seatctl.errors import Code, refuse
from seatctl.ledger.engines.port import MIN_CLIENT
from seatctl.ledger.failures import LedgerDamaged, restore_hint

OLDEST_ON_SERVER = 5
"""The oldest schema of a server's ledger that this program works with. There was none before 5."""

_UPGRADE = "upgrade, in an up-to-date clone of this program: python3 -m pip install ."


def require_client(place: str, meta: Mapping[str, str]) -> None:
    """Raise `ledger_newer` if the ledger needs a later program than this one."""
    needed = meta.get("min_client", MIN_CLIENT)
    if _numbers(__version__) < _numbers(needed):
        raise refuse(
            Code.LEDGER_NEWER,
            f"the ledger {place} needs seatctl {needed} or later; this is {__version__}",
            hint=_UPGRADE,
            data={"needed": needed, "version": __version__},
        )


def schema_of(place: str, meta: Mapping[str, str], *, unknown: int = 0) -> int:
    """Return the schema that `meta` names; `unknown` if it names none, as in a file. Raises LedgerDamaged."""
    text = meta.get("schema_version", str(unknown))
    if not (text.isascii() and text.isdecimal()):
        raise LedgerDamaged(
            f"the ledger {place} is damaged: its schema version is {text!r}, which is not valid",
            hint=restore_hint(place),
        )
    return int(text)


def require_schema(place: str, meta: Mapping[str, str]) -> None:
    """Raise `ledger_older` if a server's ledger must be migrated before this program can work with it."""
    schema = schema_of(place, meta)
    if schema < OLDEST_ON_SERVER:
        raise refuse(
            Code.LEDGER_OLDER,
            f"the ledger {place} has schema {schema}; this program needs {OLDEST_ON_SERVER} or later",
            hint="as the owner of the ledger: seatctl ledger migrate",
            data={"schema": schema, "needed": OLDEST_ON_SERVER},
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version for comparing; what follows them does not count."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
