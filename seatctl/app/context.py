"""What one invocation works with: options, settings, ledger, Stripe, clock. Each is built on first use.

Nothing else opens a ledger or a connection to Stripe, or reads the clock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from seatctl.app import connections
from seatctl.config.settings import DEFAULT_PROFILE, Mode, Profile, Settings, load
from seatctl.errors import Code, ExitCode, SeatctlError, UsageError, refuse
from seatctl.output import emit as output
from seatctl.output.style import Column, Format, Style, use_color

if TYPE_CHECKING:
    from seatctl.app.log import Log
    from seatctl.billing.pace import Turns
    from seatctl.billing.port import Billing
    from seatctl.errors import TryAgain
    from seatctl.ledger.ledger import Ledger, Reader
    from seatctl.mail.rendering import MailSetup
    from seatctl.models.call import Call
    from seatctl.models.ledger_url import ServerUrl
    from seatctl.models.report import Record, Report
    from seatctl.system.files import ProtectedFile


_CLOCK_SECONDS = 60
"""How much the clock of this machine may differ from that of the ledger's server without a note."""


_SAME_TIME_SECONDS = 2
"""A question about another time than this would have to be asked again."""

Answer = TypeVar("Answer")


class GlobalOptions(NamedTuple):
    """The options that every command accepts, before or after its name. None: not given."""

    profile: str | None = None
    ledger: str | None = None
    actor: str | None = None
    output: Format | None = None
    fields: tuple[str, ...] = ()
    no_header: bool = False
    quiet: bool = False
    verbose: bool = False
    yes: bool = False
    no_input: bool = False
    notify: bool = True
    dry_run: bool = False
    color: str | None = None


class Context:
    """One invocation. Stored on the command's context object; closed by `main`."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.argv = tuple(argv)
        """The arguments as typed. What is shown or stored of them is `shown_argv`."""
        self.environment = environment
        self.options = GlobalOptions()
        self.given: dict[str, str] = {}
        """The global options of this command line as typed, by name."""
        self.command = ""
        """The command that runs, such as `seats assign`."""
        self.exit_code = ExitCode.DONE
        self._told_of_clock = False
        self.asked = False
        """Whether somebody was asked something."""
        self.repetitions: list[TryAgain] = []
        """The errors after which the command was begun again: see `cli/repetition.py`."""

    def begin_again(self) -> None:
        """Close what was opened, and forget everything that was read, so that the command can run again."""
        self.close()
        fresh = Context(self.argv, self.environment)
        fresh.repetitions = self.repetitions
        vars(self).clear()
        vars(self).update(vars(fresh))

    @property
    def shown_argv(self) -> tuple[str, ...]:
        """The arguments as typed, without the password of a ledger's URL."""
        if not any("://" in word for word in self.argv):
            return self.argv
        from seatctl.models.ledger_url import hidden

        return tuple(map(hidden, self.argv))

    def close(self) -> None:
        """Close what was opened. Safe to call at any time."""
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
        """The profile in use: from the flag, SEATCTL_PROFILE, config.toml. Raises `unknown_profile`.

        Without config.toml, the mode and the account are those of the ledger, if it is on a server.
        """
        if not self.is_set_up:
            return connections.profile_of(self.ledger)
        return self.local_profile

    @cached_property
    def local_profile(self) -> Profile:
        """The profile as config.toml has it, else one without settings, of which nobody may read the mode."""
        if not self.is_set_up:
            return Profile(DEFAULT_PROFILE, Mode.SANDBOX, {})
        return self.settings.profile(self.options.profile or self.environment.get("SEATCTL_PROFILE"))

    @cached_property
    def is_set_up(self) -> bool:
        """Whether a profile is needed: false if there is no config.toml, but the URL of a ledger."""
        named = self.options.ledger or self.environment.get("SEATCTL_LEDGER") or ""
        if "://" not in named or self.options.profile or self.environment.get("SEATCTL_PROFILE"):
            return True
        return bool(self.settings.profiles)

    @cached_property
    def actor(self) -> str:
        """The actor: flag, SEATCTL_ACTOR, the profile, else `os:NAME`.

        A database role that is mapped to an actor is that one. Raises NotAllowed if another one is named.
        """
        named = self.options.actor or self.local_profile.text("actor", self.environment)
        if not isinstance(self.place, Path):
            own = connections.own_actor(self.ledger, named)
            named = named if own is None else own
        return named or f"os:{self.os_user}"

    @cached_property
    def os_user(self) -> str:
        """The operating system's user; the environment cannot change it."""
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return str(os.getuid())

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger that can store settings: a server, or a file that exists."""
        place = self.place
        return not isinstance(place, Path) or os.path.lexists(place)

    @cached_property
    def stored_settings(self) -> Mapping[str, str]:
        """The settings that the ledger stores, by key; none if there is no ledger or it cannot be opened."""
        if not self.has_ledger:
            return {}
        try:
            return self.ledger.settings
        except SeatctlError as error:
            self.note(f"the settings in the ledger cannot be read: {error.message}")
            return {}

    @cached_property
    def policy(self) -> Profile:
        """The profile with the settings that are policy: the ledger's. Raises what opening the ledger raises.

        If the ledger is a file, config.toml still counts for those that the ledger does not have.
        """
        return self.local(self.profile).with_stored(self.ledger.settings)

    def local(self, profile: Profile) -> Profile:
        """Return a profile with the settings of config.toml that count.

        If the ledger is on a server, those that are policy do not.
        """
        return profile if isinstance(self.ledger_place(profile), Path) else profile.without_policy()

    # -- ledger and Stripe --------------------------------------------------------------------

    def ledger_place(self, profile: Profile) -> Path | ServerUrl:
        """Return where a profile's ledger is: --ledger, SEATCTL_LEDGER, its setting, else a default file."""
        return self.settings.ledger_place(profile, self.environment, self.options.ledger)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger in use, opened. Raises NoLedger, LedgerError, `mode_mismatch`."""
        from seatctl.ledger.ledger import open_ledger

        place = self.place
        ledger = open_ledger(place)
        try:
            ledger.when_opened(self._require_same)
        except BaseException:
            ledger.close()
            raise
        if isinstance(place, Path):
            self._warn_of_network(place)
        return ledger

    @property
    def place(self) -> Path | ServerUrl:
        """Where the ledger in use is. Nothing is opened to find it out."""
        return self.ledger_place(self.local_profile)

    def use_ledger(self, named: str | None = None) -> Ledger:
        """Use this ledger, by default the one in use, and return it, also if it was moved or is unfinished.

        Raises NoLedger, LedgerError, `mode_mismatch`.
        """
        from seatctl.ledger.ledger import open_ledger

        if named is not None:
            self.options = self.options._replace(ledger=named)
        ledger = open_ledger(self.place, in_use=False)
        try:
            ledger.when_opened(self._require_same)
        except BaseException:
            ledger.close()
            raise
        self.ledger = ledger
        return ledger

    def _warn_of_network(self, place: Path) -> None:
        from seatctl.ledger.engines.sqlite_files import network_file_system

        if kind := network_file_system(place):
            self.note(f"the ledger is on a network file system ({kind}), where two machines can damage it")

    def _require_same(self, ledger: Ledger) -> None:
        """Raise `mode_mismatch` if the ledger is not the one that the profile and SEATCTL_MODE expect."""
        if self.is_set_up:
            connections.require_same(ledger, self.local_profile)
        connections.require_mode(ledger, self.environment)
        if not isinstance(self.place, Path):
            connections.require_command(ledger, self.command)

    def target(self, typed: str, *reads: str | None, overwrite: bool = False) -> Path:
        """Return the file to write, after checking that it is not one of the program's own.

        Raises `own_file`, `not_a_file`, `file_exists`, NotFound.
        """
        from seatctl.system.files import check_target
        from seatctl.system.refusals import expanded

        return check_target(expanded(typed), self.own_files(*reads), overwrite=overwrite)

    def own_files(self, *reads: str | None) -> Iterator[ProtectedFile]:
        """Yield the files that a command must not overwrite; `reads` are files that it reads."""
        from seatctl.app.own_files import own_files

        place = self.place
        yield from own_files(self.settings, self.local_profile, place, self.environment, reads)

    def require_place(self, place: Path) -> None:
        """Check that a ledger may be created there: not over config.toml, a sandbox, a lock or the log.

        The ledger of another profile may be there: profiles can share one. Raises `own_file`, `not_a_file`.
        """
        from seatctl.system.files import check_target

        own = (one for one in self.own_files() if not one.description.startswith("the ledger "))
        if place.parent.is_dir():
            hint = "name another: seatctl --ledger PATH"
            check_target(place, own, overwrite=True, existing=False, hint=hint)

    def create(self, profile: Profile) -> None:
        """Create a profile's ledger if it does not exist, and its sandbox; this invocation then uses them."""
        from seatctl.ledger.creation import create_ledger

        account = profile.values.get("stripe_account")
        self.profile = self.local_profile = profile
        place = self.ledger_place(profile)
        if isinstance(place, Path):
            self.require_place(place)
        self.ledger = create_ledger(
            place,
            mode=profile.mode,
            stripe_account=str(account) if account else None,
            now=self._time_of_creation(profile),
        )

    def _time_of_creation(self, profile: Profile) -> datetime:
        """Return the time that a new ledger begins with. Its policy does not exist yet."""
        if profile.mode is not Mode.SANDBOX:
            return self._machine_now()
        if isinstance(self.sandbox_place, Path):
            return self._sandbox_now()
        return connections.served_now(self.connect(profile, connections.SANDBOX_KEY))

    def change_settings(self, edit: Callable[[Settings], Settings]) -> None:
        """Change config.toml, unless this is a dry run."""
        from seatctl.config.settings_file import change

        if not self.options.dry_run:
            self.settings = change(self.environment, edit)

    @cached_property
    def billing(self) -> Billing:
        """Stripe, or the sandbox; refuses writes under `--dry-run`. Raises NoKey, `wrong_key`."""
        if self.profile.mode is Mode.SANDBOX:
            stripe = self._sandbox
        else:
            stripe = self.connect(self.policy, self._key, check=self._require_account, turns=self._turns)
        return connections.on_test_clock(stripe, self.profile)

    @property
    def _turns(self) -> Turns | None:
        """What shares the pace of requests with other machines, if the ledger is on a server."""
        return None if isinstance(self.place, Path) else self.ledger.engine.take_turns

    @cached_property
    def _sandbox(self) -> Billing:
        """The sandbox: a file of this machine, or served to all machines that share the ledger."""
        if isinstance(self.sandbox_place, Path):
            dry = self.options.dry_run
            return connections.to_sandbox(self.sandbox_place, read_only=dry, trace=self.trace)
        return self.connect(self.policy, connections.SANDBOX_KEY)

    @property
    def sandbox_place(self) -> Path | str:
        """The file of the sandbox, or the URL at which it is served. Raises `sandbox_not_shared`."""
        place = self.ledger_place(self.profile)
        return connections.sandbox_place(self.settings, self.profile, self.environment, place)

    @cached_property
    def stripe(self) -> Billing:
        """Stripe with the profile's key, whatever its account: for `doctor`, which reports the account."""
        return self.connect(self.profile, self._key)

    @property
    def _key(self) -> str:
        from seatctl.config.secrets import find_key

        return find_key(self.settings, self.profile, self.environment).secret

    def _require_account(self, stripe: Billing) -> None:
        """Check the account once per process: nothing may be charged or mirrored on another account."""
        account = connections.require_account(self.ledger, self.profile, stripe)
        is_new = self.ledger.stripe_account is None and not self.options.dry_run
        if is_new and self.ledger.rights.writes:
            self.ledger.set_stripe_account(account)

    def connect(
        self,
        profile: Profile,
        secret: str,
        check: Callable[[Billing], None] | None = None,
        turns: Turns | None = None,
    ) -> Billing:
        """Return Stripe with this key; without `check` for `init` and `doctor`, which try a key first."""
        dry = self.options.dry_run
        return connections.to_stripe(
            profile, secret, self.environment, read_only=dry, trace=self.trace, check=check, turns=turns
        )

    @cached_property
    def mail_setup(self) -> MailSetup:
        """The mail server and the texts of messages. Raises `mail_not_configured`, NoKey."""
        from seatctl.config.mail import find_mail_setup

        return find_mail_setup(self.settings, self.policy, self.environment)

    @cached_property
    def now(self) -> datetime:
        """The time of this invocation, read once: aware UTC, whole seconds.

        It is the time of the profile's test clock, of the sandbox, of the server that has the ledger, or of
        this machine.
        """
        if "stripe.test_clock" in self.profile.values:
            return self.billing.clock() or self._machine_now()
        if self.profile.mode is Mode.SANDBOX:
            return self._sandbox_now()
        if isinstance(self.place, Path):
            return self._machine_now().replace(microsecond=0)
        ahead = self.seconds_ahead()
        if abs(ahead) > _CLOCK_SECONDS and not self._told_of_clock:
            self._told_of_clock = True
            self.note(connections.clock_note(ahead))
        return (self._machine_now() + timedelta(seconds=ahead)).replace(microsecond=0)

    def seconds_ahead(self) -> float:
        """Return how many seconds the clock of the ledger's server is ahead of this machine's."""
        machine = self._machine_now()
        return ((self.ledger.now() or machine) - machine).total_seconds()

    def answer(self, question: Callable[[Reader, datetime], Answer]) -> Answer:
        """Return the answer to a question about the ledger at the time of now, in one round trip.

        A server tells its time only with its first answer. So the question is asked for the time of this
        machine, and again if that was wrong. Whatever the question reads must be in its answer.
        """
        is_file = isinstance(self.place, Path)
        ledger = self.ledger  # first: the clock of a sandbox would create the sandbox of a missing ledger
        guess = self.now if is_file else self._machine_now().replace(microsecond=0)
        with ledger.reading() as reader:
            answer = question(reader, guess)
        if (behind := self.ledger.behind()) is not None:
            self.note(f"the ledger's server is a standby: this is its state of {behind:.0f} s ago, or later")
        if abs((self.now - guess).total_seconds()) <= _SAME_TIME_SECONDS:
            return answer
        with self.ledger.reading() as reader:
            return question(reader, self.now)

    def _machine_now(self) -> datetime:
        return datetime.now(UTC)

    def _sandbox_now(self) -> datetime:
        if isinstance(self.sandbox_place, Path):
            return connections.sandbox_now(self.sandbox_place)
        return connections.served_now(self._sandbox)

    @cached_property
    def call(self) -> Call:
        """What every change records: actor, time, and the command line as typed."""
        import shlex

        from seatctl.app.origin import origin
        from seatctl.models.call import Call

        return Call(
            actor=self.actor,
            os_user=self.os_user,
            command=shlex.join(["seatctl", *self.shown_argv]),
            now=self.now,
            dry_run=self.options.dry_run,
            notify=self.options.notify,
            undo_window=self._undo_window,
            origin=origin(self.environment),
        )

    @property
    def _undo_window(self) -> int:
        """Minutes; `Ledger.change` prefers those that the ledger stores."""
        return int(self.local(self.local_profile).text("undo_window", self.environment) or 0)

    def reread_clock(self) -> None:
        """Read the clock again: for a command that has waited for an answer."""
        for reading in ("now", "call"):
            self.__dict__.pop(reading, None)

    # -- printing -----------------------------------------------------------------------------

    @cached_property
    def style(self) -> Style:
        """How results are printed: from the flag, environment, profile; a table on a terminal, else TSV."""
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
        """The format set by flag, SEATCTL_OUTPUT or the profile; None if there is none."""
        if self.options.output:
            return self.options.output
        named = self._setting("output")
        return Format(named) if named else None

    def _setting(self, key: str) -> str | None:
        """Return a setting of printing; without a valid config.toml the environment and the default count.

        `init`, `doctor` and errors have to print without one.
        """
        try:
            profile = self.local_profile
        except SeatctlError:
            profile = Profile("", Mode.SANDBOX, {})
        return profile.text(key, self.environment)

    def emit(self, report: Report, *, handle: str | None = None) -> None:
        """Print the report of a run and take over its exit code. `handle`: the key that `-q` prints."""
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
        """Print a list, streamed; `total` counts all records if a table shows only the first 50."""
        if "ledger" in self.__dict__:
            self.ledger.engine.wants_page = self.style.shows_page
        output.emit_list(self.style, records, columns, handle=handle, total=total)

    def emit_one(self, record: Record, columns: Sequence[Column], *, handle: str) -> None:
        """Print one record."""
        output.emit_one(self.style, record, columns, handle=handle)

    def emit_text(self, text: str) -> None:
        """Print a text that is itself the result, such as a file in its own format."""
        output.write_text(text)

    def emit_file(self, path: Path) -> None:
        """Print a file that is itself the result, byte by byte. Raises UsageError on a terminal."""
        if sys.stdout.isatty():
            raise UsageError(
                "the output is a binary file, not text for a terminal", hint="name a file, or use a pipe"
            )
        output.write_file(path)

    def note(self, text: str) -> None:
        """Print a message on stderr, unless `--quiet`."""
        if not self.options.quiet:
            output.note(text)

    @cached_property
    def log(self) -> Log:
        """The rotating, redacted log; created at the first entry."""
        from seatctl.app.log import Log, log_path

        return Log(log_path(self.environment))

    def trace(self, text: str) -> None:
        """Write what is being done to the log, and with `--verbose` to stderr."""
        self.log.write(text)
        if self.options.verbose:
            from seatctl.output.redact import redact

            output.note(redact(text))

    # -- asking -------------------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """Whether there is somebody to ask: stdin and stderr are terminals, and `--no-input` is not given."""
        return not self.options.no_input and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def asks(self) -> bool:
        """Whether the command asks before it acts: a dry run does not, since it changes nothing."""
        return not self.options.dry_run

    def pause(self) -> None:
        """Prepare for a while in which the ledger is not asked, if it is open."""
        if "ledger" in self.__dict__:
            self.ledger.pause()

    def confirm(self, question: str, *, flag: str = "--yes") -> None:
        """Return after a yes. Raises `not_confirmed` after a no, UsageError if nobody can answer."""
        if self.options.yes:
            return
        answer = self.ask(f"{question} [y/N]", flag=flag, default="")
        if answer.strip().lower() not in {"y", "yes"}:
            raise refuse(Code.NOT_CONFIRMED, "not confirmed; nothing was changed")

    def ask(self, question: str, *, flag: str, default: str | None = None, hidden: bool = False) -> str:
        """Return a line from the terminal. Raises UsageError naming the flag if nobody can answer."""
        if not self.interactive:
            import shlex

            raise UsageError(
                f"{flag} is required when not running interactively",
                hint=f"{shlex.join(['seatctl', *self.shown_argv])} {flag}",
                data={"flag": flag},
            )
        from seatctl.app.prompt import read_line

        self.asked = True
        self.pause()
        return read_line(question, default=default, hidden=hidden)
