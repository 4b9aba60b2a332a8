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
    ctx: typer.Context,
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

    here = context(ctx)
    if file == STDOUT:
        if here.options.dry_run:
            here.note("would back up to stdout")
            return
        with for_stdout() as part:
            here.note(ledger_files.backup(here.ledger, here.call, part, overwrite=True).summary)
            here.emit_file(part)
        return
    target = here.target(file, overwrite=overwrite)
    here.emit(ledger_files.backup(here.ledger, here.call, target, overwrite=overwrite), handle="path")


def restore(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A backup; - is stdin.", show_default=False)],
) -> None:
    """Put a backup in the place of the ledger, which is kept beside it.

    The backup is checked first. It becomes a ledger of its own: before it changes any subscription it must
    adopt them, so that two ledgers never seat people in the same one.

    Examples:
      seatctl ledger restore ledger-2027-01-31.db
    """
    here = context(ctx)
    with input_file(file) as source:
        _restore(here, source, "stdin" if file == "-" else str(source))


def _restore(here: Context, source: Path, called: str) -> None:
    from seatctl.app.belonging import require_same
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.report import Report
    from seatctl.services import ledger_files

    place = here.ledger_path(here.profile)
    here.require_place(place)
    ledger_files.allow_restore(place, here.call)
    part = ledger_files.prepare_restore(source, place, here.call)
    try:
        restored = open_ledger(part)
        try:
            require_same(restored, here.profile)
        finally:
            restored.close()
        if here.options.dry_run:
            here.emit(Report(None, True, f"would restore {called} to {place}"))
            return
        here.confirm(f"Replace the ledger {place} by {called}?")
        here.emit(ledger_files.finish_restore(part, place, here.call, called), handle="ledger_id")
    finally:
        part.unlink(missing_ok=True)


def export(
    ctx: typer.Context,
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

    here = context(ctx)
    if directory == STDOUT:
        raise UsageError("an export is a folder of files", hint="seatctl ledger export FOLDER")
    as_json = here.style.format is Format.JSON
    here.emit(
        ledger_files.export(here.ledger, here.call, file_path(directory), as_json=as_json), handle="file"
    )
