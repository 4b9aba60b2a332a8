"""Runs the lines of a batch through the command tree: all are parsed first, then run in this process.

A line has its own `Context`, which shares ledger, Stripe, settings and clock with the batch's and stores what
the command would have printed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import typer
from typer._click.core import Context as ClickContext
from typer._click.exceptions import ClickException

from seatctl.app.context import Context
from seatctl.cli.framework import catalogue
from seatctl.cli.framework.app import PROGRAM, Group, root_group
from seatctl.cli.framework.usage import missing_command, usage_error
from seatctl.config.settings import Mode
from seatctl.errors import ExitCode, LedgerError, SeatctlError, TryAgain
from seatctl.models.call import BatchRow, Call
from seatctl.output.redact import has_key
from seatctl.output.style import Column
from seatctl.rules import batches
from seatctl.rules.batches import Line
from seatctl.services.runs.batch import LineOutcome

if TYPE_CHECKING:
    from seatctl.billing.port import Billing
    from seatctl.ledger.ledger import Ledger
    from seatctl.models.report import Record, Report


class LineContext(Context):
    """The invocation of one line within a batch."""

    def __init__(self, batch: Context, ledger: Ledger | None, line: Line, row: BatchRow | None) -> None:
        super().__init__(line.words, batch.environment)
        self.options = batch.options._replace(output=None, fields=(), no_input=True)
        self.settings = batch.settings
        self.profile = batch.profile
        self.os_user = batch.os_user
        self.log = batch.log
        self.summary = ""
        self.whole = False
        """Whether the batch marks the line at its end, instead of the transaction of the line."""
        self._batch, self._row = batch, row
        self._ledger = ledger

    @cached_property
    def ledger(self) -> Ledger:
        """The batch's ledger; under its dry run, the copy in which the lines run."""
        return self._ledger or self._batch.ledger

    @cached_property
    def billing(self) -> Billing:
        """The batch's; a line's own dry run gets one that refuses writes."""
        return self._batch.billing if self.options.dry_run == self._batch.options.dry_run else super().billing

    @cached_property
    def now(self) -> datetime:
        """The batch's clock reading."""
        return self._batch.now

    @cached_property
    def call(self) -> Call:
        """The line's own call, within the run of the batch."""
        own = super().call
        if self._row is None or self._only_looks:
            return own
        row = None if self.whole else self._row
        return own._replace(run=self._row.run, batch_row=row, rehearsed=self.ledger.is_rehearsal)

    @property
    def _only_looks(self) -> bool:
        """Whether the line itself has --dry-run: it then changes nothing in the real run either."""
        return "--dry-run" in self.given

    @property
    def asks(self) -> bool:
        """Ask like the real run: what that would refuse without --yes, its dry run refuses too."""
        return not self._only_looks

    @property
    def interactive(self) -> bool:
        """Nobody is asked during a batch."""
        return False

    def emit(self, report: Report, *, handle: str | None = None) -> None:
        """Store the summary and the exit code."""
        self.summary, self.exit_code = report.summary, report.exit_code

    def emit_list(
        self,
        records: Iterable[Record],
        columns: Sequence[Column],
        *,
        handle: str,
        total: Callable[[], int] | None = None,
    ) -> None:
        """Print nothing: a list has no reader."""

    def emit_one(self, record: Record, columns: Sequence[Column], *, handle: str) -> None:
        """Print nothing: a record has no reader."""

    def emit_text(self, text: str) -> None:
        """Print nothing: a text has no reader."""

    def note(self, text: str) -> None:
        """Write messages to the log."""
        self.log.write(text)


class Lines:
    """The command tree of a batch: built once, used for every line."""

    def __init__(self, app_ctx: Context, ledger: Ledger | None = None) -> None:
        """`ledger` is the one in which the lines are done, None while they are only checked."""
        self._batch_ctx = app_ctx
        self._ledger = ledger
        self._root = root_group()
        self._names = {name: entry.name for name, entry in catalogue.names().items()}

    def check(self, line: Line) -> None:
        """Raise NotALine unless the line is a command with valid options and arguments."""
        if any(has_key(word) for word in line.words):
            raise batches.NotALine("a Stripe key must not be in a command: seatctl init --key-stdin")
        if LineContext(self._batch_ctx, None, line, None).shown_argv != line.words:
            raise batches.NotALine("a ledger's password must not be in a command: set SEATCTL_LEDGER")
        batches.check_words(line.words)
        app_ctx = LineContext(self._batch_ctx, None, line, None)
        try:
            with redirect_stdout(io.StringIO()), self._parsed(app_ctx) as ctx:
                # Only the parsed command counts: an option before the noun would hide it.
                batches.check_command(self._command(ctx))
        except typer.Exit:
            raise batches.NotALine("it only shows help") from None
        except SeatctlError as error:
            raise batches.NotALine(error.message) from None
        ours, theirs = self._batch_ctx.options, app_ctx.options
        if (theirs.profile, theirs.ledger) != (ours.profile, ours.ledger):
            raise batches.NotALine("--profile and --ledger are options of the batch, not of a line")

    def do(self, line: Line, row: BatchRow | None) -> LineOutcome:
        """Run the line, again if another client of the ledger's server got in its way.

        Raises LedgerError, which ends the batch: the next line would fail the same way.
        """
        repetitions: list[TryAgain] = []
        while True:
            app_ctx = LineContext(self._batch_ctx, self._ledger, line, row)
            app_ctx.ledger.engine.committed = False
            try:
                return self._do(app_ctx, line)
            except TryAgain as error:
                from seatctl.cli.repetition import may_repeat

                if not may_repeat(app_ctx.ledger, error, repetitions):
                    return LineOutcome(error.exit_code, error.code, error.message)

    def _do(self, app_ctx: LineContext, line: Line) -> LineOutcome:
        """Run the line once. Raises LedgerError, TryAgain."""
        try:
            with redirect_stdout(io.StringIO()), self._parsed(app_ctx) as ctx:
                app_ctx.whole = batches.takes_several_transactions(self._command(ctx))
                ctx.command.invoke(ctx)
        except typer.Exit:
            pass
        except (LedgerError, TryAgain):
            raise
        except SeatctlError as error:
            return LineOutcome(error.exit_code, error.code, error.message)
        except Exception as error:  # noqa: BLE001  # a bug in one command: the other lines still run
            return self._bug(line, error)
        finally:
            self._read_clock(line)
        code = None if app_ctx.exit_code is ExitCode.DONE else app_ctx.exit_code.name.lower()
        return LineOutcome(app_ctx.exit_code, code, app_ctx.summary)

    def _bug(self, line: Line, error: Exception) -> LineOutcome:
        from traceback import format_exception

        self._batch_ctx.log.write(f"{line.command}: {''.join(format_exception(error))}")
        return LineOutcome(ExitCode.UNEXPECTED, "unexpected", f"unexpected {type(error).__name__}")

    def _command(self, ctx: ClickContext) -> tuple[str, ...]:
        """Return the noun, by its real name, and the verb of a parsed line."""
        noun, *verb = ctx.command_path.split()[1:]
        return self._names.get(noun, noun), *verb

    def _read_clock(self, line: Line) -> None:
        """A batch may last for hours. A sandbox's clock does not move unless a line moves it."""
        if self._batch_ctx.profile.mode is not Mode.SANDBOX or "sandbox" in line.words:
            self._batch_ctx.reread_clock()

    @contextmanager
    def _parsed(self, app_ctx: LineContext) -> Iterator[ClickContext]:
        """Return the click context of the line's command. Raises SeatctlError for wrong usage."""
        try:
            with self._root.make_context(PROGRAM, list(app_ctx.argv), obj=app_ctx) as ctx:
                yield _innermost(ctx)
        except ClickException as error:
            raise usage_error(error) from None


def _innermost(ctx: ClickContext) -> ClickContext:
    """Descend through the groups as `invoke` would, and parse the arguments of the command."""
    while isinstance(ctx.command, Group):
        words = [*ctx._protected_args, *ctx.args]
        name, command, rest = ctx.command.resolve_command(ctx, words) if words else (None, None, words)
        if command is None:
            raise missing_command(ctx.command_path, ctx.command.list_commands(ctx))
        ctx = command.make_context(name, rest, parent=ctx)
    return ctx
