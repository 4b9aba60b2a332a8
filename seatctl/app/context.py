"""What one invocation works with: options, settings, ledger, Stripe, clock. Built when asked for, once.

Nothing else constructs a ledger or a connection to Stripe, or reads the clock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.app import connections
from seatctl.app.options import GlobalOptions
from seatctl.config.settings import Mode, Profile, Settings, is_actor, load
from seatctl.errors import Code, ExitCode, SeatctlError, UsageError, refuse
from seatctl.output import emit as output
from seatctl.output.style import Column, Format, Style, use_color

if TYPE_CHECKING:
    from seatctl.app.log import Log
    from seatctl.billing.port import Billing
    from seatctl.ledger.ledger import Ledger
    from seatctl.mail.setup import MailSetup
    from seatctl.models.call import Call
    from seatctl.models.report import Record, Report
    from seatctl.system.files import ProtectedFile


class Context:
    """One invocation. Lives on the command's context object; closed by `main`."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.argv = tuple(argv)
        self.environment = environment
        self.options = GlobalOptions()
        self.given: dict[str, str] = {}
        """The global options of this command line as they were typed, by name."""
        self.exit_code = ExitCode.DONE

    def close(self) -> None:
        """Let go of what was opened. Safe to call at any time."""
        for opened in ("ledger", "log"):
            if opened in self.__dict__:
                getattr(self, opened).close()

    # -- settings -----------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        """config.toml. Raises BadConfig."""
        return load(self.environment)

    @cached_property
    def profile(self) -> Profile:
        """The profile in use: flag, SEATCTL_PROFILE, config.toml. Raises `unknown_profile`."""
        return self.settings.profile(self.options.profile or self.environment.get("SEATCTL_PROFILE"))

    @cached_property
    def actor(self) -> str:
        """Who acts: flag, SEATCTL_ACTOR, the profile, else `os:NAME`. Raises UsageError for a bad flag."""
        named = self.options.actor
        if named and not is_actor(named):
            raise UsageError(f"--as takes an e-mail address or ci:NAME, not {named!r}")
        return named or self.profile.text("actor", self.environment) or f"os:{self.os_user}"

    @cached_property
    def os_user(self) -> str:
        """The user of the operating system that runs this; the environment cannot change it."""
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return str(os.getuid())

    # -- what is built once -------------------------------------------------------------------

    def ledger_path(self, profile: Profile) -> Path:
        """The ledger file of a profile: --ledger, SEATCTL_LEDGER, the profile's, then its own."""
        return self.settings.ledger_path(profile, self.environment, self.options.ledger)

    @cached_property
    def ledger(self) -> Ledger:
        """The profile's ledger, opened.

        Raises NoLedger, LedgerError, and `mode_mismatch` for another mode's.
        """
        from seatctl.app.belonging import require_same
        from seatctl.ledger.engines.sqlite_files import network_file_system
        from seatctl.ledger.ledger import open_ledger

        ledger = open_ledger(self.ledger_path(self.profile))
        try:
            require_same(ledger, self.profile)
        except BaseException:
            ledger.close()
            raise
        if kind := network_file_system(ledger.path):
            self.note(f"the ledger lies on a network file system ({kind}), where two machines can damage it")
        return ledger

    def own_files(self, *reads: str | None) -> Iterator[ProtectedFile]:
        """What a command must not write over: databases, config.toml, the log, what it reads."""
        from seatctl.app.log import log_path
        from seatctl.system.files import ProtectedFile, database
        from seatctl.system.refusals import expanded

        yield from database("the ledger in use", self.ledger_path(self.profile))
        for profile in self.settings.profiles.values():
            yield from database(
                f"the ledger of profile {profile.name}", self.settings.ledger_path(profile, {})
            )
            yield from database(f"the sandbox of profile {profile.name}", self.settings.sandbox_path(profile))
        yield ProtectedFile("config.toml", self.settings.path)
        yield ProtectedFile("the lock of config.toml", self.settings.home / ".config.lock")
        yield ProtectedFile("the lock of init", self.settings.data / ".init.lock")
        log = log_path(self.environment)
        yield from (ProtectedFile("the log", path) for path in (log, *log.parent.glob(f"{log.name}.*")))
        yield from (ProtectedFile("the file that is read", expanded(read)) for read in reads if read)

    def target(self, typed: str, *reads: str | None, overwrite: bool = False) -> Path:
        """The file to write, which is none that matters.

        Raises `own_file`, `not_a_file`, `file_exists`, NotFound.
        """
        from seatctl.system.files import check_target
        from seatctl.system.refusals import expanded

        return check_target(expanded(typed), self.own_files(*reads), overwrite=overwrite)

    def require_place(self, place: Path) -> None:
        """Check that a ledger can be put there: not over config.toml, a sandbox, a lock or the log.

        Another profile's ledger may be there: two may share one. Raises `own_file`, `not_a_file`.
        """
        from seatctl.system.files import check_target

        own = (one for one in self.own_files() if not one.what.startswith("the ledger "))
        if place.parent.is_dir():
            hint = "name another: seatctl --ledger PATH"
            check_target(place, own, overwrite=True, existing=False, hint=hint)

    def create(self, profile: Profile) -> None:
        """Make a profile's ledger where there is none, and its sandbox; then it is the one in use here."""
        from seatctl.ledger.ledger import create_ledger

        account = profile.values.get("stripe_account")
        self.profile = profile
        self.require_place(self.ledger_path(profile))
        self.ledger = create_ledger(
            self.ledger_path(profile),
            mode=profile.mode,
            stripe_account=str(account) if account else None,
            now=self.now,
        )

    def change_settings(self, edit: Callable[[Settings], Settings]) -> None:
        """Change config.toml, unless this is a dry run."""
        from seatctl.config.settings_file import change

        if not self.options.dry_run:
            self.settings = change(self.environment, edit)

    @cached_property
    def billing(self) -> Billing:
        """Stripe, or the sandbox; refuses to write under `--dry-run`. Raises NoKey, `wrong_key`."""
        if self.profile.mode is Mode.SANDBOX:
            path = self.settings.sandbox_path(self.profile)
            return connections.to_sandbox(path, read_only=self.options.dry_run, trace=self.trace)
        from seatctl.billing.account_guard import GuardedBilling

        return GuardedBilling(self.stripe, self._require_account)

    @cached_property
    def stripe(self) -> Billing:
        """Stripe with the profile's key, whosever it is: for `doctor`, which says whose."""
        from seatctl.config.secrets import find_key

        return self.connect(self.profile, find_key(self.settings, self.profile, self.environment).secret)

    def _require_account(self, stripe: Billing) -> None:
        """Once per process: money must not move, and nothing be mirrored, on another account."""
        from seatctl.app.belonging import require_account

        found = require_account(self.ledger, self.profile, stripe)
        if self.ledger.stripe_account is None and not self.options.dry_run:
            self.ledger.set_stripe_account(found)

    def connect(self, profile: Profile, secret: str) -> Billing:
        """Stripe with this key; for `init` and `doctor`, which try a key before it is relied upon."""
        return connections.to_stripe(
            profile, secret, self.environment, read_only=self.options.dry_run, trace=self.trace
        )

    @cached_property
    def post(self) -> MailSetup:
        """The mail server and the texts of messages. Raises `mail_not_configured`, NoKey."""
        from seatctl.config.mail import find_post

        return find_post(self.settings, self.profile, self.environment)

    @cached_property
    def now(self) -> datetime:
        """The one clock reading of this invocation: aware UTC, whole seconds; in a sandbox, the sandbox's."""
        if self.profile.mode is Mode.SANDBOX:
            return connections.sandbox_now(self.settings.sandbox_path(self.profile))
        return datetime.now(UTC).replace(microsecond=0)

    @cached_property
    def call(self) -> Call:
        """What every change carries: who, when, and the command line as it was typed."""
        import shlex

        from seatctl.models.call import Call

        return Call(
            actor=self.actor,
            os_user=self.os_user,
            command=shlex.join(["seatctl", *self.argv]),
            now=self.now,
            dry_run=self.options.dry_run,
            notify=self.options.notify,
            undo_window=int(self.profile.text("undo_window", self.environment) or 0),
        )

    def look_at_the_clock(self) -> None:
        """Read the clock anew: for a command that has waited for somebody."""
        for reading in ("now", "call"):
            self.__dict__.pop(reading, None)

    # -- printing -----------------------------------------------------------------------------

    @cached_property
    def style(self) -> Style:
        """How results are printed: flag, environment, profile; a table on a terminal, else TSV."""
        terminal = sys.stdout.isatty()
        return Style(
            format=self.format or (Format.TABLE if terminal else Format.TSV),
            fields=self.options.fields,
            header=not self.options.no_header,
            quiet=self.options.quiet,
            terminal=terminal,
            color=use_color(self.options.color, lambda: self._setting("color"), self.environment, terminal),
            now=lambda: self.now,
        )

    @property
    def format(self) -> Format | None:
        """The format asked for by flag, SEATCTL_OUTPUT or the profile; None if by nobody."""
        if self.options.output:
            return self.options.output
        named = self._setting("output")
        return Format(named) if named else None

    def _setting(self, key: str) -> str | None:
        """How to print must not need a good config.toml: `init`, `doctor` and errors print without one."""
        try:
            profile = self.profile
        except SeatctlError:
            profile = Profile("", Mode.SANDBOX, {})
        return profile.text(key, self.environment)

    def emit(self, report: Report, *, handle: str | None = None) -> None:
        """Print the end of a run and take its exit code. `handle`: the key that `-q` prints."""
        self.exit_code = report.exit_code
        for bug in report.bugs:
            import traceback

            self.trace("".join(traceback.format_exception(bug)))
        output.emit_report(self.style, report, handle=handle)

    def emit_list(
        self,
        records: Iterable[Record],
        columns: Sequence[Column],
        *,
        handle: str,
        total: Callable[[], int] | None = None,
    ) -> None:
        """Print a list, streamed; `total` counts all where a table shows the first 50."""
        output.emit_list(self.style, records, columns, handle=handle, total=total)

    def emit_one(self, record: Record, columns: Sequence[Column], *, handle: str) -> None:
        """Print one thing."""
        output.emit_one(self.style, record, columns, handle=handle)

    def emit_text(self, text: str) -> None:
        """Print a text that is the result itself, such as a file in a format of its own."""
        output.write_text(text)

    def emit_file(self, path: Path) -> None:
        """Print a file that is the result itself, byte by byte. Raises UsageError at a terminal."""
        if sys.stdout.isatty():
            raise UsageError("this is not for a terminal", hint="name a file, or send it through a pipe")
        output.write_file(path)

    def note(self, text: str) -> None:
        """One message on stderr, unless `--quiet`."""
        if not self.options.quiet:
            output.note(text)

    @cached_property
    def log(self) -> Log:
        """The rotating, redacted log; made when something is written to it."""
        from seatctl.app.log import Log, log_path

        return Log(log_path(self.environment))

    def trace(self, text: str) -> None:
        """What is being done: into the log, and with `--verbose` on stderr."""
        self.log.write(text)
        if self.options.verbose:
            from seatctl.output.redact import redact

            output.note(redact(text))

    # -- asking -------------------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """Whether there is somebody to ask: stdin and stderr are terminals, and no `--no-input`."""
        return not self.options.no_input and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def asks(self) -> bool:
        """Whether the command asks before it acts: a dry run need not, since nothing follows."""
        return not self.options.dry_run

    def confirm(self, question: str, *, flag: str = "--yes") -> None:
        """Go on only after a yes. Raises `not_confirmed` after a no, UsageError where nobody can answer."""
        if self.options.yes:
            return
        answer = self.ask(f"{question} [y/N]", flag=flag, default="")
        if answer.strip().lower() not in {"y", "yes"}:
            raise refuse(Code.NOT_CONFIRMED, "not confirmed; nothing was changed")

    def ask(self, question: str, *, flag: str, default: str | None = None, hidden: bool = False) -> str:
        """A line from the terminal. Raises UsageError naming the flag where nobody can answer."""
        if not self.interactive:
            import shlex

            raise UsageError(
                f"{flag} is required when not running interactively",
                hint=f"{shlex.join(['seatctl', *self.argv])} {flag}",
                data={"flag": flag},
            )
        from seatctl.app.prompt import read_line

        return read_line(question, default=default, hidden=hidden)
