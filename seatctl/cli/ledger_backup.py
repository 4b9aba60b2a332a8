"""`seatctl ledger backup`, `restore` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import OverwriteOpt, context, file_path, for_stdout, input_file
from seatctl.system.files import STDOUT

if TYPE_CHECKING:
    from seatctl.app.context import Context


def backup(
    typer_ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The file to write; - is stdout.", show_default=False)
    ],
    overwrite: OverwriteOpt = False,
) -> None:
    """Copy the ledger to a file while others go on writing, and check the copy.

    It holds every change that was committed before, and can be read as any ledger: --ledger FILE. To stdout
    (-) it goes once it is checked.

    Examples:
      seatctl ledger backup ledger-2027-01-31.db
      seatctl ledger backup - | gzip > ledger-2027-01-31.db.gz
      seatctl seats list --ledger ledger-2027-01-31.db
    """
    from seatctl.services import ledger_files

    ctx = context(typer_ctx)
    if file == STDOUT:
        if ctx.options.dry_run:
            ctx.note("would back up to stdout")
            return
        with for_stdout() as part:
            ctx.note(ledger_files.backup(ctx.ledger, ctx.call, part, overwrite=True).summary)
            ctx.emit_file(part)
        return
    target = ctx.target(file, overwrite=overwrite)
    ctx.emit(ledger_files.backup(ctx.ledger, ctx.call, target, overwrite=overwrite), handle="path")


def restore(
    typer_ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A backup; - is stdin.", show_default=False)],
) -> None:
    """Put a backup in the place of the ledger, which is kept beside it.

    The backup is checked first. It becomes a ledger of its own: before it changes any subscription it must
    adopt them, so that two ledgers never seat people in the same one.

    Examples:
      seatctl ledger restore ledger-2027-01-31.db
    """
    ctx = context(typer_ctx)
    with input_file(file) as source:
        _restore(ctx, source, "stdin" if file == "-" else str(source))


def _restore(ctx: Context, source: Path, called: str) -> None:
    from seatctl.app.belonging import require_same
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.report import Report
    from seatctl.services import ledger_files

    place = ctx.ledger_path(ctx.profile)
    ctx.require_place(place)
    ledger_files.allow_restore(place, ctx.call)
    part = ledger_files.prepare_restore(source, place, ctx.call)
    try:
        restored = open_ledger(part)
        try:
            require_same(restored, ctx.profile)
        finally:
            restored.close()
        if ctx.options.dry_run:
            ctx.emit(Report(None, True, f"would restore {called} to {place}"))
            return
        ctx.confirm(f"Replace the ledger {place} by {called}?")
        ctx.emit(ledger_files.finish_restore(part, place, ctx.call, called), handle="ledger_id")
    finally:
        part.unlink(missing_ok=True)


def export(
    typer_ctx: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A new folder.", show_default=False)],
) -> None:
    """Write everything the ledger holds to a folder of CSV files, or of JSON with -o json.

    Examples:
      seatctl ledger export ledger-2027-01-31
      seatctl ledger export ledger-2027-01-31 -o json
    """
    from seatctl.errors import UsageError
    from seatctl.output.style import Format
    from seatctl.services import ledger_files

    ctx = context(typer_ctx)
    if directory == STDOUT:
        raise UsageError("an export is a folder of files", hint="seatctl ledger export FOLDER")
    as_json = ctx.style.format is Format.JSON
    ctx.emit(ledger_files.export(ctx.ledger, ctx.call, file_path(directory), as_json=as_json), handle="file")
