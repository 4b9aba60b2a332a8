"""`seatctl ledger backup`, `restore` and `export`."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.options import context, file_path

OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def backup(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    overwrite: OverwriteOpt = False,
) -> None:
    """Copy the ledger to a file while others go on writing, and check the copy.

    It holds every change that was committed before, and can be read as any ledger: --ledger FILE.

    Examples:
      seatctl ledger backup ledger-2027-01-31.db
      seatctl seats list --ledger ledger-2027-01-31.db
    """
    from seatctl.services import copies

    here = context(ctx)
    here.emit(copies.backup(here.ledger, here.call, file_path(file), overwrite=overwrite), handle="path")


def restore(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup.", show_default=False)],
) -> None:
    """Put a backup in the place of the ledger, which is kept beside it.

    The backup is checked first. It becomes a ledger of its own: before it changes any subscription it must
    adopt them, so that two ledgers never seat people in the same one.

    Examples:
      seatctl ledger restore ledger-2027-01-31.db
    """
    from seatctl.belonging import require_same
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.report import Report
    from seatctl.services import copies

    here = context(ctx)
    source, place = file_path(file), here.ledger_path(here.profile)
    copies.allow_restore(place, here.call)
    part = copies.prepare_restore(source, place, here.call)
    try:
        restored = open_ledger(part)
        try:
            require_same(restored, here.profile)
        finally:
            restored.close()
        if here.options.dry_run:
            here.emit(Report(None, True, f"would restore {source} to {place}"))
            return
        here.confirm(f"Replace the ledger {place} by {source}?")
        here.emit(copies.finish_restore(part, place, here.call, source), handle="ledger_id")
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
    from seatctl.services import copies
    from seatctl.styles import Format

    here = context(ctx)
    as_json = here.style.format is Format.JSON
    here.emit(copies.export(here.ledger, here.call, file_path(directory), as_json=as_json), handle="file")
