"""The options that every command accepts, before or after its name, stored in the `Context`."""

from __future__ import annotations

from collections.abc import Callable

from typer._click.core import Context as ClickContext
from typer._click.core import Parameter
from typer.core import TyperOption

from seatctl.app.context import Context, GlobalOptions
from seatctl.config.settings import is_actor
from seatctl.errors import UsageError
from seatctl.output.style import FORMAT_NAMES, Format


def _keep(ctx: ClickContext, param: Parameter, value: str | bool | None) -> None:
    """Store a global option that was given; one that was not given must not reset the other side's.

    Raises UsageError if both sides of the command have different values.
    """
    app_ctx = ctx.obj
    if value is None or value is False or not isinstance(app_ctx, Context):
        return
    name = param.opts[0]
    before = app_ctx.given.setdefault(name, str(value))
    if before != str(value):
        from seatctl.rules.typed_values import given_twice

        raise given_twice(name, value)
    app_ctx.options = _TAKE[name](app_ctx.options, str(value))


def _fields(options: GlobalOptions, text: str) -> GlobalOptions:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError("--fields takes names separated by commas")
    return options._replace(fields=names)


def _output(options: GlobalOptions, text: str) -> GlobalOptions:
    try:
        return options._replace(output=Format(text.lower()))
    except ValueError:
        from seatctl.rules.typed_values import did_you_mean

        hint = did_you_mean(text, Format, f"-o takes {', '.join(Format)}")
        raise UsageError(f"{text!r} is not an output format", hint=hint) from None


def _ledger(options: GlobalOptions, text: str) -> GlobalOptions:
    if text == "-":
        raise UsageError("--ledger takes a file; a ledger cannot be read from stdin or written to stdout")
    return options._replace(ledger=text)


def _actor(options: GlobalOptions, text: str) -> GlobalOptions:
    """Check the actor for reads too, which need none: a typo must not look like somebody."""
    if not is_actor(text):
        raise UsageError(f"--as takes an e-mail address or ci:NAME, not {text!r}")
    return options._replace(actor=text)


def _color(options: GlobalOptions, text: str) -> GlobalOptions:
    if text not in {"auto", "always", "never"}:
        raise UsageError(f"--color takes auto, always or never, not {text!r}")
    return options._replace(color=text)


_TAKE: dict[str, Callable[[GlobalOptions, str], GlobalOptions]] = {
    "--profile": lambda options, text: options._replace(profile=text),
    "--ledger": _ledger,
    "--as": _actor,
    "--output": _output,
    "--fields": _fields,
    "--no-header": lambda options, _: options._replace(no_header=True),
    "--quiet": lambda options, _: options._replace(quiet=True),
    "--verbose": lambda options, _: options._replace(verbose=True),
    "--yes": lambda options, _: options._replace(yes=True),
    "--no-input": lambda options, _: options._replace(no_input=True),
    "--no-notify": lambda options, _: options._replace(notify=False),
    "--dry-run": lambda options, _: options._replace(dry_run=True),
    "--color": _color,
}


def _option(*names: str, help: str, metavar: str | None = None) -> TyperOption:
    """Return a global option; without a metavar it is a flag."""
    flag = metavar is None
    return TyperOption(
        param_decls=list(names),
        is_flag=flag,
        default=False if flag else None,
        metavar=metavar,
        help=help,
        expose_value=False,
        callback=_keep,
        autocompletion=_complete_format if "--output" in names else None,
    )


def _complete_format(_ctx: ClickContext, _args: list[str], incomplete: str) -> list[tuple[str, str] | str]:
    return [name.value for name in Format if name.startswith(incomplete)]


GLOBAL_OPTIONS: tuple[TyperOption, ...] = (
    _option("--profile", "-p", metavar="NAME", help="The profile to use."),
    _option("--ledger", metavar="PATH", help="Use this ledger file."),
    _option("--as", metavar="ACTOR", help="Act as this e-mail address or ci:NAME."),
    _option("--output", "-o", metavar="FORMAT", help=f"{FORMAT_NAMES}."),
    _option("--fields", metavar="A,B", help="Show only these fields."),
    _option("--no-header", help="No header line."),
    _option("--quiet", "-q", help="Print only handles, no messages."),
    _option("--verbose", "-v", help="Print what is being done."),
    _option("--yes", "-y", help="Answer all questions with yes."),
    _option("--no-input", help="Never ask; fail instead."),
    _option("--no-notify", help="Send no notifications."),
    _option("--dry-run", "-n", help="Show what would be done, but change nothing."),
    _option("--color", metavar="WHEN", help="auto, always or never."),
)
