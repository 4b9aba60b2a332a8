"""Wrong usage: what Typer found, in our words, with the nearest name that exists. Loaded only then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from typer._click.core import Context as ClickContext
from typer._click.core import Parameter
from typer._click.exceptions import BadParameter, ClickException, NoSuchOption
from typer._click.exceptions import UsageError as ClickUsageError
from typer._click.types import FloatParamType, IntParamType, IntRange
from typer._types import TyperChoice

from seatctl.cli.framework import catalogue
from seatctl.errors import Code, SeatctlError, UsageError, refuse
from seatctl.rules.suggestions import nearest

_OPTIONS = ("version", "help")
"""Options of the program itself that people type as commands."""

_LIKE_A_SLIP = 0.75
"""`asign` is a slip of `assign`; `version` and `verify` are two words."""

_OTHER_WORDS = {
    "accept": ("approve",),
    "add": ("assign", "create", "grant", "buy"),
    "delete": ("remove", "revoke", "archive", "cancel"),
    "get": ("show",),
    "reject": ("deny",),
    "remove": ("revoke", "archive", "cancel"),
    "rename": ("edit",),
    "restore": ("reactivate",),
}
"""What other programs call a verb, and what it may be called here, the likeliest first."""


def usage_error(error: ClickException, words: Sequence[str] = ()) -> UsageError:
    """Typer's finding as ours: one sentence and what to type. `words` are the arguments it was found in."""
    ctx = error.ctx if isinstance(error, ClickUsageError) else None
    path = ctx.command_path if ctx else _path(words)
    if isinstance(error, NoSuchOption):
        return _unknown_option(error, ctx, path)
    if isinstance(error, BadParameter) and error.param is not None:
        found = _bad_value(error.param, error.message, path)
        if found is not None:
            return found
    message = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"{path} --help")


def _path(words: Sequence[str]) -> str:
    """The command that the words begin with, for what was found before Typer knew it."""
    named = list(takewhile(lambda word: not word.startswith("-"), words))[:2]
    entry = catalogue.names().get(named[0]) if named else None
    if entry is None:
        return "seatctl"
    return " ".join(("seatctl", entry.name, *(named[1:] if entry.group else ())))


def _unknown_option(error: NoSuchOption, ctx: ClickContext | None, path: str) -> UsageError:
    """An option that the command does not have; some commands take the subscription as an argument."""
    said = f"{path} has no option {error.option_name}"
    arguments = (
        {one.name for one in ctx.command.params if one.param_type_name == "argument"} if ctx else set()
    )
    if error.option_name in {"-s", "--subscription"} and "subscription" in arguments:
        return UsageError(said, hint=f"{path} SUBSCRIPTION, without an option")
    close = [f"did you mean {name}?" for name in (error.possibilities or ())[:1]]
    return UsageError(said, hint=(close or [f"{path} --help"])[0])


def _bad_value(param: Parameter, message: str, path: str) -> UsageError | None:
    """What the option or argument takes, and what was given; None where the message says it as well."""
    said = re.match(r"('.*'|\S+) is not ", message)
    if said is None:
        return None
    given, name = said[1].strip("'"), _name(param)
    takes = _expected(param, given)
    if takes is None:
        return None
    choices = [str(one) for one in param.type.choices] if isinstance(param.type, TyperChoice) else []
    from seatctl.rules.suggestions import did_you_mean

    return UsageError(
        f"{name} takes {takes}; not {given!r}", hint=did_you_mean(given, choices, f"{path} --help")
    )


def _name(param: Parameter) -> str:
    """An option as it is typed; an argument as the help calls it."""
    if param.param_type_name == "option":
        return max(param.opts, key=len)
    return (param.metavar or param.human_readable_name).strip("[]{}.")


def _expected(param: Parameter, given: str) -> str | None:
    """What a parameter takes, in words; None for what speaks for itself."""
    kind = param.type
    if isinstance(kind, TyperChoice):
        return ", ".join(str(one) for one in kind.choices)
    if isinstance(kind, IntRange):
        low, high = kind.min, kind.max
        if low is not None and high is not None:
            return f"a whole number from {low} to {high}"
        if low is not None:
            return f"a whole number of at least {low}"
        return f"a whole number up to {high}" if given.isdigit() else "a whole number"
    if isinstance(kind, IntParamType):
        return "a whole number"
    return "a number" if isinstance(kind, FloatParamType) else None


def missing_command(path: str, names: Sequence[str]) -> UsageError:
    """A noun without a verb."""
    return UsageError(f"{path} needs a command: {', '.join(names)}", hint=f"{path} --help")


def unknown_command(
    word: str, noun: str | None, names: Sequence[str], verbs: Callable[[], Mapping[str, Sequence[str]]]
) -> SeatctlError:
    """A word that is no command: a slip or another program's word for one of this group, or a verb alone.

    `verbs` returns the commands of each verb; asking it imports every noun.
    `users restore` is not told of `users remove`, which does the opposite, nor `plans remove` of
    `users remove`.
    """
    where = f"seatctl {noun}" if noun else "seatctl"
    close = [f"seatctl --{word}"] if word in _OPTIONS and noun is None else []
    meant = [name for name in _OTHER_WORDS.get(word, ()) if name in names][:1] if noun else []
    close += [f"{where} {name}" for name in meant or nearest(word, names, likeness=_LIKE_A_SLIP) if not close]
    close += [f"seatctl {command}" for command in (() if noun else _near_verbs(word, verbs())) if not close]
    hint = f"did you mean: {' | '.join(close[:3])}" if close else f"for its commands: {where} --help"
    said = f"unknown command {word!r}" + (f" of {where}" if noun else "")
    return refuse(Code.UNKNOWN_COMMAND, said, hint=hint, data={"command": word})


def _near_verbs(word: str, verbs: Mapping[str, Sequence[str]]) -> list[str]:
    return [command for verb in nearest(word, verbs, likeness=_LIKE_A_SLIP) for command in verbs[verb]]
