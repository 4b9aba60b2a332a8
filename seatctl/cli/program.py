"""`main(argv)`: the only place where an error becomes an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from seatctl.errors import Code, ExitCode, SeatctlError, TryAgain, refuse

if TYPE_CHECKING:
    from seatctl.app.context import Context


_PRINTING = ("seatctl.output.emit", "typer._click.utils", __name__)
"""The modules that write to stdout."""

_MAX_MESSAGES, _MAX_SECONDS = 20, 5.0
"""How many messages a command sends at its end, and for how long."""


class OutputFailed(SeatctlError):
    """stdout cannot be written: a full disk, a closed stream."""

    kind = Code.OUTPUT_FAILED


def main(
    argv: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    loaded: Callable[[], object] = lambda: None,
) -> int:
    """Run one command line and return its exit code; results on stdout, everything else on stderr.

    `loaded` is called before the command starts its work.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # Imported here, so that Ctrl-C while it loads leaves no traceback.
        from seatctl.app.context import Context
        from seatctl.output.emit import Output

        _prepare_streams()
        ctx = Context(arguments, os.environ if environment is None else environment)
        Output.begun = False
        try:
            if sys.stdout is None:  # closed by the caller: nobody could read the result
                return _fail(ctx, OutputFailed("the output cannot be written: it is closed"))
            code = _run(ctx, loaded)
            with suppress(KeyboardInterrupt, OSError, ImportError):  # no file is left to open, or Ctrl-C
                deliver(ctx)
        except BrokenPipeError:
            return _reader_gone(ctx)
        else:
            return code
        finally:
            ctx.close()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (OSError, ImportError) as error:
        return _fail_bare(error)


def _run(ctx: Context, loaded: Callable[[], object]) -> int:
    try:
        _require_posix()
        _refuse_keys(ctx.argv)
        _require_text(ctx.argv)
        from seatctl.cli.framework.app import execute

        loaded()
        while True:
            try:
                execute(ctx)
                break
            except TryAgain as error:
                from seatctl.cli.repetition import begins_again

                if not begins_again(ctx, error):
                    raise
        sys.stdout.flush()
    except SeatctlError as error:
        return _fail(ctx, _out_of_files(error) or error)
    except KeyboardInterrupt:
        sys.stderr.write("\n" if sys.stderr.isatty() else "")
        return _fail(ctx, refuse(Code.INTERRUPTED, "interrupted"))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # the one place where a bug becomes an exit code
        return _fail(ctx, _output_failed(error) or _refused_by_system(error) or _bug(ctx, error))
    return ctx.exit_code


def deliver(ctx: Context) -> None:
    """Send messages of this command's changes, after they are committed: at most a few, for a few seconds.

    The mail server must neither fail a command nor delay it: its result is printed and does not change.
    Messages that are not sent stay in the ledger for `notify send` or the next command. Problems are written
    to the log only.
    """
    ledger = ctx.__dict__.get("ledger")
    if ledger is None or ledger.first_entry_with_messages is None:
        return
    try:
        if not ctx.policy.text("mail.host", ctx.environment):
            return
        from seatctl.config.mail import find_mail_setup
        from seatctl.services.notifications.delivery import DeliveryLimit, send_due

        limit = DeliveryLimit(_MAX_MESSAGES, _MAX_SECONDS, ledger.first_entry_with_messages, patient=False)
        find = partial(find_mail_setup, ctx.settings, ctx.policy, ctx.environment, _MAX_SECONDS)
        sent = send_due(ledger, find, ctx.now, limit)
        for row in sent.rows:
            if row["result"] in {"failed", "put off"}:
                ctx.trace(f"message {row['id']} {row['result']}: {row['error']}")
        if sent.error is not None:
            ctx.trace(sent.error.message)
    except Exception as error:  # noqa: BLE001 - the command has succeeded; its messages stay in the ledger
        ctx.log.write(f"messages were not sent: {type(error).__name__}: {error}")


def _fail(ctx: Context, error: SeatctlError) -> int:
    from seatctl.output.emit import write_error

    if ctx.options.verbose and error.__cause__ is not None:
        import traceback

        from seatctl.output.emit import note
        from seatctl.output.redact import redact

        note(redact("".join(traceback.format_exception(error.__cause__))))
    write_error(error, as_json=_wants_json(ctx.argv, ctx.environment, ctx))
    return error.exit_code


def _output_failed(error: Exception) -> OutputFailed | None:
    """Return the refusal if printing raised the error: `output/emit.py`, a help page, or the last flush."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if not isinstance(error, OSError) or place is None:
        return None
    if place.tb_frame.f_globals.get("__name__") not in _PRINTING:
        return None
    from seatctl.system.streams import drop

    drop(sys.stdout)
    failed = OutputFailed(
        f"the output cannot be written: {error.strerror}",
        hint="to see whether anything was changed: seatctl runs list",
    )
    failed.__cause__ = error
    return failed


def _refused_by_system(error: Exception) -> SeatctlError | None:
    from seatctl.system.refusals import as_refusal

    return as_refusal(error)


def _out_of_files(error: SeatctlError) -> SeatctlError | None:
    """Return the refusal if no file descriptor was left, else None."""
    if not isinstance(error.__cause__, OSError):
        return None
    refused = _refused_by_system(error.__cause__)
    return refused if isinstance(refused, TryAgain) else None


def _bug(ctx: Context, error: Exception) -> SeatctlError:
    """Write the traceback to the log, where `--verbose` also shows it on stderr."""
    import traceback

    path = None
    with suppress(SeatctlError, OSError):  # without a home folder there is no log
        path = ctx.log.path if ctx.log.write("".join(traceback.format_exception(error))) else None
    what = f"unexpected {type(error).__name__}"
    where = f"the log is at {path}" if path else "the log could not be written; --verbose shows the traceback"
    bug = refuse(
        Code.UNEXPECTED, f"{what}; this is a bug; {where}", data={"log": str(path) if path else None}
    )
    bug.__cause__ = error
    return bug


def _require_posix() -> None:
    """Windows has none of the locks that protect a ledger."""
    try:
        import fcntl  # noqa: F401 - only to see whether there is one
    except ImportError:
        raise refuse(
            Code.UNSUPPORTED_SYSTEM,
            "this system is not supported: seatctl needs Linux or macOS; on Windows, use WSL",
        ) from None


def _refuse_keys(argv: Sequence[str]) -> None:
    """A key on the command line is already in the shell's history and in the list of processes."""
    if not any("k_" in word for word in argv):
        return
    from seatctl.output.redact import has_key

    if any(has_key(word) for word in argv):
        raise refuse(
            Code.KEY_IN_ARGUMENTS,
            "a Stripe key was given as an argument and is now in the shell's history: roll it in Stripe",
            hint="seatctl init --key-stdin, or set SEATCTL_STRIPE_KEY",
        )


def _require_text(argv: Sequence[str]) -> None:
    """The audit log and `runs show` repeat the command line, so it has to be text."""
    for number, word in enumerate(argv, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:  # Python decodes invalid bytes as lone surrogates
            raise refuse(
                Code.ARGUMENT_NOT_UTF8,
                f"argument {number} is not UTF-8: {word!a}",
                hint="type it in UTF-8; for a file with such a name use: - < FILE",
            ) from None


def _wants_json(argv: Sequence[str], environment: Mapping[str, str], ctx: Context) -> bool:
    """Return whether errors are JSON, even if the command line could not be parsed completely."""
    from seatctl.output.style import JSON_FORMATS

    if ctx.options.output:
        return ctx.options.output in JSON_FORMATS
    for word, value in zip(argv, [*argv, ""][1:], strict=True):
        if word == "--":
            break
        named = value if word in {"-o", "--output"} else word.removeprefix("--output=").removeprefix("-o")
        if named != word and named in JSON_FORMATS:
            return True
    try:
        return ctx.format in JSON_FORMATS
    except Exception:  # noqa: BLE001  # an error has to be printed, whatever the state of the settings
        return environment.get("SEATCTL_OUTPUT") in JSON_FORMATS


def _prepare_streams() -> None:
    """A character that the terminal's encoding lacks is spelled out; it must not end a list half-way."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from seatctl.system.streams import replace_closed

        replace_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _reader_gone(ctx: Context) -> int:
    """`seatctl … | head`: the reader has closed the pipe."""
    from seatctl.system.streams import drop

    drop(sys.stdout)
    return ctx.exit_code


def _fail_bare(error: Exception) -> int:
    """Print an error without loading anything: no file descriptor is left."""
    from seatctl.system.refusals import as_refusal

    refused = as_refusal(error)
    if refused is None:
        raise error
    sys.stderr.write(f"seatctl: {refused.message}\nhint: {refused.hint}\n")
    return refused.exit_code
