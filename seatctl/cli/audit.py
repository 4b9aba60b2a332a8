"""`seatctl audit`: who changed what, and proof that the audit was not altered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, option
from seatctl.errors import BadInput, ExitCode, UsageError
from seatctl.models.report import Record, record_of
from seatctl.output.style import columns

if TYPE_CHECKING:
    from seatctl.ledger.record.audit import LogLine

app = Commands()

ActorOpt = Annotated[str | None, option("--actor ACTOR", "Only changes by this actor.")]
SinceOpt = Annotated[str | None, option("--since DATE", "Only changes since this date or time.")]
LimitOpt = Annotated[int | None, option("--limit N", "At most N entries.", min=1)]
ExpectOpt = Annotated[
    str | None, option("--expect SEQ:HASH", "A head printed earlier, which must still be in the audit.")
]


@app.command()
def log(ctx: Context, actor: ActorOpt = None, since: SinceOpt = None, limit: LimitOpt = None) -> None:
    """List the audit entries, newest first. Each transaction has one entry.

    `runs show RUN` shows what changed.

    Examples:
      seatctl audit log --limit 20
      seatctl audit log --actor ann@example.com --since 2027-01-01 -o csv
    """
    from seatctl.ledger.record import audit
    from seatctl.rules.people import parse_moment

    try:
        start = None if since is None else parse_moment(since)
    except ValueError as error:
        raise BadInput(f"--since: {error}", hint="write a date as YYYY-MM-DD") from None
    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            map(_record, audit.log(reader, actor=actor, since=start, limit=limit)),
            columns("seq run at actor os_user changes command summary hash", machine="os_user summary hash"),
            handle="seq",
            total=lambda: audit.count(reader, actor=actor, since=start),
        )


@app.command()
def verify(ctx: Context, expect: ExpectOpt = None) -> None:
    """Recompute every hash of the audit and print its head. Exit 7 means that an entry was altered.

    Store the head somewhere else: with --expect, a later run detects that the end of the audit was cut off.

    Examples:
      seatctl audit verify
      seatctl audit verify --expect "$HEAD"
    """
    from seatctl.ledger.record import audit

    if expect is not None and not re.fullmatch(r"[0-9]+:[0-9a-f]{64}", expect):
        raise UsageError(f"--expect takes a head that `audit verify` has printed, not {expect!r}")
    ctx.ledger.engine.link_entries()
    with ctx.ledger.reading() as reader:
        verification = audit.verify(reader, expect=expect)
    facts = "head entries changes erased unlinked problem bad_entry"
    record = {"ok": verification.problem is None, **record_of(verification, facts)}
    ctx.emit_one(record, columns(f"ok {facts}", titles={"ok": "Unaltered"}), handle="head")
    if verification.problem is not None:
        ctx.note(verification.problem)
        ctx.exit_code = ExitCode.NO


def _record(line: LogLine) -> Record:
    return {
        **record_of(line.entry, "seq run at actor os_user"),
        **record_of(line, "changes command summary"),
        "hash": line.entry.hash,
    }
