"""`main(argv)`: the one place where an error becomes an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from seatctl.errors import Code, ExitCode, SeatctlError, refuse

if TYPE_CHECKING:
    from seatctl.app.context import Context


_PRINTING = ("seatctl.output.emit", "typer._click.utils", __name__)
"""The modules in which stdout is written to."""


class OutputFailed(SeatctlError):
    """What stdout leads to cannot be written: a full disk, a closed stream."""

    kind = Code.OUTPUT_FAILED


def main(
    argv: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    loaded: Callable[[], object] = lambda: None,
) -> int:
    """Run one command line and return its exit code; results on stdout, everything else on stderr.

    `loaded` is called before the command begins to do anything.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from seatctl.app.context import Context  # in here, so that Ctrl-C while it loads leaves no traceback

        _prepare_streams()
        ctx = Context(arguments, os.environ if environment is None else environment)
        try:
            if sys.stdout is None:  # closed by the caller: nothing is begun whose result nobody can read
                return _fail(ctx, OutputFailed("the output cannot be written: it is closed"))
            code = _run(ctx, loaded)
            _deliver(ctx)
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
        execute(ctx)
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


def _deliver(ctx: Context) -> None:
    """Send the messages of what was changed. The result is printed already, and stays what it is."""
    ledger = ctx.__dict__.get("ledger")
    if ledger is None or ledger.first_entry_with_messages is None:
        return
    try:
        from seatctl.cli.deliver_mail import deliver

        deliver(ctx, ledger.first_entry_with_messages)
    except (KeyboardInterrupt, OSError, ImportError):
        return  # who does not want to wait, or no file descriptor left: the messages are sent later


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
    """The refusal, if printing raised it: `output/emit.py`, a help page, or the last flush here."""
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
    """The refusal if no file descriptor was left: what could not be opened for it has no fault of its own."""
    if not isinstance(error.__cause__, OSError):
        return None
    from seatctl.errors import TryAgain

    refused = _refused_by_system(error.__cause__)
    return refused if isinstance(refused, TryAgain) else None


def _bug(ctx: Context, error: Exception) -> SeatctlError:
    """Keep the traceback in the log, out of the user's sight; `--verbose` shows it."""
    import traceback

    path = None
    with suppress(SeatctlError, OSError):  # nobody knows where the log is if there is no home folder
        path = ctx.log.path if ctx.log.write("".join(traceback.format_exception(error))) else None
    what = f"unexpected {type(error).__name__}"
    where = f"the log is at {path}" if path else "the log could not be written; --verbose shows the traceback"
    bug = refuse(
        Code.UNEXPECTED, f"{what}; this is a bug; {where}", data={"log": str(path) if path else None}
    )
    bug.__cause__ = error
    return bug


def _require_posix() -> None:
    """Windows has none of the locks that keep a ledger safe."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        raise refuse(
            Code.UNSUPPORTED_SYSTEM,
            "this system is not supported: it needs Linux or macOS; on Windows, install and run it"
            " inside WSL",
        ) from None


def _refuse_keys(argv: Sequence[str]) -> None:
    """A key on the command line is in the shell's history and in everybody's process list already."""
    if not any("k_" in word for word in argv):
        return
    from seatctl.output.redact import has_key

    if any(has_key(word) for word in argv):
        raise refuse(
            Code.KEY_IN_ARGUMENTS,
            "a Stripe key was given as an argument; it now stands in the shell's history: roll it in Stripe",
            hint="seatctl init --key-stdin, or set SEATCTL_STRIPE_KEY",
        )


def _require_text(argv: Sequence[str]) -> None:
    """The audit log and `runs show` repeat the command line, so it has to be text."""
    for number, word in enumerate(argv, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:  # Python decodes bytes that are not UTF-8 as lone surrogates
            raise refuse(
                Code.ARGUMENT_NOT_UTF8,
                f"argument {number} is not UTF-8: {word!a}",
                hint="type it again as UTF-8; give a file with such a name as: - < FILE",
            ) from None


def _wants_json(argv: Sequence[str], environment: Mapping[str, str], ctx: Context) -> bool:
    """Whether errors are JSON, even where the command line could not be parsed to its end."""
    if ctx.options.output:
        return ctx.options.output in {"json", "jsonl"}
    for word, value in zip(argv, [*argv, ""][1:], strict=True):
        if word == "--":
            break
        named = value if word in {"-o", "--output"} else word.removeprefix("--output=").removeprefix("-o")
        if named != word and named in {"json", "jsonl"}:
            return True
    try:
        return ctx.format in {"json", "jsonl"}
    except Exception:  # noqa: BLE001  # an error must be told, whatever state the settings are in
        return environment.get("SEATCTL_OUTPUT") in {"json", "jsonl"}


def _prepare_streams() -> None:
    """A name that the terminal's encoding lacks is spelled out, never a crash in the middle of a list."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from seatctl.system.streams import replace_closed

        replace_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _reader_gone(ctx: Context) -> int:
    """`seatctl … | head`: the reader has enough."""
    from seatctl.system.streams import drop

    drop(sys.stdout)
    return ctx.exit_code


def _fail_bare(error: Exception) -> int:
    """The end if not even what tells of errors could be loaded: no file descriptor is left for it."""
    from seatctl.system.refusals import as_refusal

    refused = as_refusal(error)
    if refused is None:
        raise error
    sys.stderr.write(f"seatctl: {refused.message}\nhint: {refused.hint}\n")
    return refused.exit_code
