"""The command tree, built as it is walked: a noun is imported when named, its one command built when named.

Global options are understood on either side of a command and kept on the `Context` that every click
context carries. This file and its neighbours `global_options.py`, `repeated_options.py`,
`usage.py`, `completion.py` and `cli/framework/batch_lines.py` alone touch Typer's internals.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import typer
from typer._click.core import Command as ClickCommand
from typer._click.core import Context as ClickContext
from typer._click.core import Parameter
from typer._click.exceptions import ClickException
from typer._click.formatting import HelpFormatter
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from seatctl import __version__
from seatctl.app.context import Context
from seatctl.cli.framework import catalogue
from seatctl.cli.framework.global_options import GLOBAL_OPTIONS
from seatctl.cli.framework.repeated_options import OnceParser, once
from seatctl.output.emit import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer._click.shell_completion import CompletionItem

PROGRAM = "seatctl"
COMPLETION_VARIABLE = "_SEATCTL_COMPLETE"
EXAMPLES = "\nExamples:\n"
_FIRST = ("status", "list", "show", "create", "add", "buy")
"""The commands that the help of a group begins with, where it has them."""


def execute(context: Context) -> None:
    """Parse the arguments and run the command. Raises SeatctlError, wrong usage included."""
    root = root_group()
    asked = context.environment.get(COMPLETION_VARIABLE)
    if asked:
        from seatctl.cli.framework.completion import answer

        write_text(answer(root, asked))
        return
    try:
        with root.make_context(PROGRAM, list(context.argv), obj=context) as ctx:
            root.invoke(ctx)
    except typer.Exit:
        return
    except typer.Abort:
        raise KeyboardInterrupt from None
    except ClickException as error:
        from seatctl.cli.framework.usage import usage_error

        raise usage_error(error, context.argv) from None


def root_group() -> Root:
    """`seatctl` itself, with nothing loaded."""
    root = Root(
        name=PROGRAM,
        help="Buy seat subscriptions through Stripe and decide who sits in them.",
        params=[
            TyperOption(
                param_decls=["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_version,
                help="Show the version and exit.",
            )
        ],
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        invoke_without_command=True,
        rich_markup_mode=None,
        subcommand_metavar="COMMAND …",
    )
    root.loaded = {}
    return root


def _show_version(ctx: ClickContext, _param: Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        write_text(f"{PROGRAM} {__version__}")
        raise typer.Exit


class Command(TyperCommand):
    """One command, with the global options and its examples as they were written."""

    def make_parser(self, ctx: ClickContext) -> OnceParser:
        """A parser that refuses two values for one option."""
        return once(self.get_params(ctx), ctx)

    def get_params(self, ctx: ClickContext) -> list[Parameter]:
        """Its own parameters, then the global ones."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def format_help_text(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """The sentences wrapped, the examples verbatim."""
        sentences, _, examples = (self.help or "").partition(EXAMPLES)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(sentences.strip())
        if examples:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(examples).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n" if line else "\n")

    def format_options(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Its own arguments and options; the global ones by name."""
        own = [param for param in self.get_params(ctx) if param not in GLOBAL_OPTIONS]
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [param.get_help_record(ctx) for param in own if param.param_type_name == kind]
            shown = [row for row in rows if row is not None]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)
        with formatter.section("Global options"):
            listed = ", ".join("/".join(reversed(option.opts)) for option in GLOBAL_OPTIONS)
            formatter.write_text(f"{listed}. {PROGRAM} --help explains them.")


class Group(TyperGroup, ABC):
    """What the root and the nouns share: commands listed without being built."""

    @abstractmethod
    def lines(self) -> list[tuple[str, str]]:
        """Name and line of help of every visible command."""

    def make_parser(self, ctx: ClickContext) -> OnceParser:
        """A parser that refuses two values for one option."""
        return once(self.get_params(ctx), ctx)

    def list_commands(self, ctx: ClickContext) -> list[str]:
        """The visible names, in the order of the help."""
        return [name for name, _ in self.lines()]

    def format_commands(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """The list of commands from their lines of help; nothing is built for it."""
        with formatter.section("Commands"):
            formatter.write_dl(self.lines())

    def get_params(self, ctx: ClickContext) -> list[Parameter]:
        """Its own parameters, then the global ones."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def resolve_command(
        self, ctx: ClickContext, args: list[str]
    ) -> tuple[str | None, ClickCommand | None, list[str]]:
        """The command that the first word names, under its own name where it was an alias."""
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            from seatctl.cli.framework.usage import unknown_command

            noun = None if ctx.parent is None else self.name
            raise unknown_command(args[0], noun, [name for name, _ in self.lines()], _verbs)
        return (command.name if command else None), command, args[1:]

    def shell_complete(self, ctx: ClickContext, incomplete: str) -> list[CompletionItem]:
        """Commands by their lines of help, nothing built; options by the base."""
        from typer._click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text) for name, text in self.lines() if name.startswith(incomplete)
        ]
        return [*found, *ClickCommand.shell_complete(self, ctx, incomplete)]


class Noun(Group):
    """A group whose commands are built one at a time."""

    infos: dict[str, CommandInfo]
    built: dict[str, ClickCommand]
    """Commands that were built already: a batch asks for the same ones over and over."""

    def lines(self) -> list[tuple[str, str]]:
        """Name and first sentence of each command."""
        return [(name, first_sentence(info)) for name, info in self.infos.items() if not info.hidden]

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand | None:
        """Build the one command that was named."""
        info = self.infos.get(cmd_name)
        if info is not None and cmd_name not in self.built:
            self.built[cmd_name] = build(info)
        return self.built.get(cmd_name)

    def invoke(self, ctx: ClickContext) -> None:
        """Run the command that was named."""
        if not ctx._protected_args:
            from seatctl.cli.framework.usage import missing_command

            raise missing_command(ctx.command_path, self.list_commands(ctx))
        super().invoke(ctx)

    def format_options(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Its commands, and where the options are explained."""
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} COMMAND --help shows arguments, options and examples.")


class Root(Group):
    """`seatctl` itself: names from the catalogue, modules imported when named."""

    loaded: dict[str, ClickCommand]

    def lines(self) -> list[tuple[str, str]]:
        """Name and line of help of each entry of the catalogue."""
        return [(entry.name, entry.help) for entry in catalogue.ENTRIES]

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand | None:
        """Import the module that was named; a noun's commands stay unbuilt."""
        entry = catalogue.names().get(cmd_name)
        if entry is not None and entry.name not in self.loaded:
            self.loaded[entry.name] = load(entry)
        return None if entry is None else self.loaded[entry.name]

    def invoke(self, ctx: ClickContext) -> None:
        """Without a command, show the help."""
        if not ctx._protected_args:
            write_text(ctx.get_help())
            return
        super().invoke(ctx)


def load(entry: catalogue.CommandEntry) -> ClickCommand:
    """The group or the command of an entry; imports its module."""
    app: typer.Typer = importlib.import_module(entry.module).app
    infos = {_name(info): info for info in sorted(app.registered_commands, key=_place(entry.module))}
    if not entry.group:
        return build(infos[entry.name])
    noun = Noun(name=entry.name, help=entry.help, rich_markup_mode=None, subcommand_metavar="COMMAND …")
    noun.infos, noun.built = infos, {}
    return noun


def _verbs() -> dict[str, list[str]]:
    """The commands of each verb. Imports every noun."""
    commands: dict[str, list[str]] = {}
    for entry in catalogue.ENTRIES:
        # Nobody who types `reset` is to be led to the one that throws the sandbox away.
        loaded = load(entry) if entry.group and entry.name != "sandbox" else None
        if isinstance(loaded, Noun):
            for verb in loaded.infos:
                commands.setdefault(verb, []).append(f"{entry.name} {verb}")
    return commands


def _place(module: str) -> Callable[[CommandInfo], tuple[int, bool]]:
    """What is looked for first comes first in the help; what the module has taken in from others, last."""

    def place(info: CommandInfo) -> tuple[int, bool]:
        name = _name(info)
        at = _FIRST.index(name) if name in _FIRST else len(_FIRST)
        return at, getattr(info.callback, "__module__", module) != module

    return place


def build(info: CommandInfo) -> ClickCommand:
    """One command from its function."""
    info.cls = Command
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def first_sentence(info: CommandInfo) -> str:
    """The line of help of a command: the first sentence of its docstring."""
    text = info.help or inspect.getdoc(info.callback) or ""
    return " ".join(text.split("\n\n")[0].split())


def _name(info: CommandInfo) -> str:
    return info.name or str(getattr(info.callback, "__name__", "")).replace("_", "-")
