"""Marks in `meta` that keep a ledger from being used in two places.

A ledger that was moved is marked with its new place and gets another id: a command that opened it before
stops at its next change, as after a restore. The copy is marked as unfinished until it has been verified and
the old ledger is marked. At no moment can both be used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from seatctl.errors import Code, SeatctlError, refuse
from seatctl.ledger.engines.port import MOVED_TO, UNFINISHED_COPY, Engine
from seatctl.models.call import Call, format_time
from seatctl.rules import hints

MOVED_ID = "moved_id"
"""The key of `meta` with the id of the ledger that was moved."""

MOVED_AT = "moved_at"
"""The key of `meta` with the time at which the ledger was moved."""

COPY_IS_KEPT = "unfinished_copy_is_kept"
"""The key of `meta` that an unfinished copy has if it is made with --keep."""

OF_A_PLACE = (MOVED_TO, MOVED_ID, MOVED_AT, UNFINISHED_COPY, COPY_IS_KEPT)
"""The keys of `meta` that belong to a place and are not copied with the ledger."""

_SET = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def new_ledger_id() -> str:
    """Return a random id."""
    return f"led_{os.urandom(12).hex()}"


def require_in_use(place: str, meta: Mapping[str, str]) -> None:
    """Raise `ledger_moved` or `copy_unfinished` if the ledger is not used at this place."""
    if MOVED_TO in meta:
        raise moved(place, meta)
    require_finished(place, meta)


def moved(place: str, meta: Mapping[str, str]) -> SeatctlError:
    """Return the refusal for a ledger that was moved."""
    there = meta[MOVED_TO]
    return refuse(
        Code.LEDGER_MOVED,
        f"the ledger {place} was moved to {there}",
        hint=hints.to("use it there", hints.command("config", "set", "ledger", there)),
        data={"moved_to": there},
    )


def require_finished(place: str, meta: Mapping[str, str]) -> None:
    """Raise `copy_unfinished` if the ledger is a copy that was not finished."""
    if UNFINISHED_COPY in meta:
        original = meta[UNFINISHED_COPY]
        words = ("ledger", "copy", original, place, *(["--keep"] if COPY_IS_KEPT in meta else []))
        raise refuse(
            Code.COPY_UNFINISHED,
            f"the ledger {place} is a copy of {original} that is not finished",
            hint=hints.to("if it was interrupted", hints.command(*words)),
            data={"original": original},
        )


def unfinished(original: str, *, kept: bool) -> dict[str, str]:
    """Return the rows of `meta` of an unfinished copy of the ledger at `original`."""
    return {UNFINISHED_COPY: original, **({COPY_IS_KEPT: "1"} if kept else {})}


def mark_unfinished(engine: Engine, mark: Mapping[str, str]) -> None:
    """Mark a copy with these rows of `meta` and no others, within the open transaction."""
    mark_finished(engine)
    for item in mark.items():
        engine.execute(_SET, item)


def mark_finished(engine: Engine) -> None:
    """Remove the mark of an unfinished copy, within the open transaction."""
    for key in (UNFINISHED_COPY, COPY_IS_KEPT):
        engine.execute("DELETE FROM meta WHERE key = ?", (key,))


def mark_moved(engine: Engine, ledger_id: str, there: str, call: Call) -> None:
    """Mark the ledger of this id as moved, within the open transaction."""
    values = {MOVED_TO: there, MOVED_ID: ledger_id, MOVED_AT: format_time(call.now)}
    for item in (*values.items(), ("ledger_id", new_ledger_id())):
        engine.execute(_SET, item)


def rehearse_move(engine: Engine, ledger_id: str, there: str, call: Call) -> None:
    """Mark the ledger as moved and roll back: a login that may not do it is refused before the copy."""
    engine.begin_writing()
    try:
        mark_moved(engine, ledger_id, there, call)
        next(engine.rows("SELECT 1"))  # a server is asked, and refuses, with the next question
    finally:
        engine.rollback()


def unmark_moved(engine: Engine) -> None:
    """Remove the marks of a ledger that was moved, within the open transaction."""
    for key in (MOVED_TO, MOVED_ID, MOVED_AT):
        engine.execute("DELETE FROM meta WHERE key = ?", (key,))
