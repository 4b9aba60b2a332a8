"""The options that every command accepts, before or after its name, stored in the `Context`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer._click.core import Context as ClickContext
from typer._click.core import Parameter
from typer.core import TyperOption

from seatctl.app.context import Context
from seatctl.config.settings import is_actor, ledger_place
from seatctl.errors import UsageError
from seatctl.output.style import FORMAT_NAMES, Format


def _option(
    *names: str,
    help: str,
    metavar: str | None = None,
    field: str | None = None,
    read: Callable[[str], object] = str,
    sets: bool = True,
) -> TyperOption:
    """Return a global option; without a metavar it is a flag, which `sets` its field.

    `field` is the field of `GlobalOptions` if it is not named like the option. `read` returns its value.
    """
    flag = metavar is None

    def keep(ctx: ClickContext, _param: Parameter, value: str | bool | None) -> None:
        """Store the option if it was given; one that was not given must not reset the other side's.

        Raises UsageError if both sides of the command have different values.
        """
        app_ctx = ctx.obj
        if value is None or value is False or not isinstance(app_ctx, Context):
            return
        if app_ctx.given.setdefault(names[0], str(value)) != str(value):
            from seatctl.rules.typed_values import given_twice

            raise given_twice(names[0], value)
        kept: dict[str, Any] = {
            field or names[0].removeprefix("--").replace("-", "_"): sets if flag else read(str(value))
        }
        app_ctx.options = app_ctx.options._replace(**kept)

    return TyperOption(
        param_decls=list(names),
        is_flag=flag,
        default=False if flag else None,
        metavar=metavar,
        help=help,
        expose_value=False,
        callback=keep,
        autocompletion=_complete_format if "--output" in names else None,
    )


def _complete_format(_ctx: ClickContext, _args: list[str], incomplete: str) -> list[tuple[str, str] | str]:
    return [name.value for name in Format if name.startswith(incomplete)]


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError("--fields takes names separated by commas")
    return names


def _output(text: str) -> Format:
    try:
        return Format(text.lower())
    except ValueError:
        from seatctl.rules.typed_values import did_you_mean

        hint = did_you_mean(text, Format, f"-o takes {', '.join(Format)}")
        raise UsageError(f"{text!r} is not an output format", hint=hint) from None


def _ledger(text: str) -> str:
    if text == "-":
        raise UsageError("--ledger takes a file; a ledger cannot be read from stdin or written to stdout")
    if "://" in text:
        ledger_place(text)
    return text


def _actor(text: str) -> str:
    """Check the actor for reads too, which need none: a typo must not look like somebody."""
    if not is_actor(text):
        raise UsageError(f"--as takes an e-mail address or ci:NAME, not {text!r}")
    return text


def _color(text: str) -> str:
    if text not in {"auto", "always", "never"}:
        raise UsageError(f"--color takes auto, always or never, not {text!r}")
    return text


GLOBAL_OPTIONS: tuple[TyperOption, ...] = (
    _option("--profile", "-p", metavar="NAME", help="The profile to use."),
    _option("--ledger", metavar="PATH|URL", help="Use this ledger file or server.", read=_ledger),
    _option(
        "--as", metavar="ACTOR", help="Act as this e-mail address or ci:NAME.", field="actor", read=_actor
    ),
    _option("--output", "-o", metavar="FORMAT", help=f"{FORMAT_NAMES}.", read=_output),
    _option("--fields", metavar="A,B", help="Show only these fields.", read=_fields),
    _option("--no-header", help="No header line."),
    _option("--quiet", "-q", help="Print only handles, no messages."),
    _option("--verbose", "-v", help="Print what is being done."),
    _option("--yes", "-y", help="Answer all questions with yes."),
    _option("--no-input", help="Never ask; fail instead."),
    _option("--no-notify", help="Send no notifications.", field="notify", sets=False),
    _option("--dry-run", "-n", help="Show what would be done, but change nothing."),
    _option("--color", metavar="WHEN", help="auto, always or never.", read=_color),
)
