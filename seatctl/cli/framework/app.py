"""The command tree, built on demand: a noun is imported and a command is built only when it is named.

Global options are accepted before and after a command and stored on the `Context` that every click context
carries. Only this folder uses Typer's internals.
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
"""The commands with which the help of a group begins."""


def execute(context: Context) -> None:
    """Parse the arguments and run the command. Raises SeatctlError, also for wrong usage."""
    root = root_group()
    instruction = context.environment.get(COMPLETION_VARIABLE)
    if instruction:
        from seatctl.cli.framework.completion import answer

        write_text(answer(root, instruction))
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
    """Return `seatctl` itself, with nothing loaded."""
    root = Root(
        name=PROGRAM,
        help="Buy seat subscriptions through Stripe and decide who gets a seat.",
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
    """One command, with the global options, and its examples shown verbatim."""

    def make_parser(self, ctx: ClickContext) -> OnceParser:
        """Return a parser that refuses two values for one option."""
        return once(self.get_params(ctx), ctx)

    def get_params(self, ctx: ClickContext) -> list[Parameter]:
        """Return its own parameters, then the global ones."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def format_help_text(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Write the sentences wrapped and the examples verbatim."""
        sentences, _, examples = (self.help or "").partition(EXAMPLES)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(sentences.strip())
        if examples:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(examples).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n" if line else "\n")

    def format_options(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Write its own arguments and options; of the global ones only the names."""
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
    """The common part of the root and the nouns: lists commands without building them."""

    @abstractmethod
    def lines(self) -> list[tuple[str, str]]:
        """Return name and help line of every visible command."""

    def make_parser(self, ctx: ClickContext) -> OnceParser:
        """Return a parser that refuses two values for one option."""
        return once(self.get_params(ctx), ctx)

    def list_commands(self, ctx: ClickContext) -> list[str]:
        """Return the visible names, in the order of the help."""
        return [name for name, _ in self.lines()]

    def format_commands(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Write the list of commands from their help lines, without building them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.lines())

    def get_params(self, ctx: ClickContext) -> list[Parameter]:
        """Return its own parameters, then the global ones."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def resolve_command(
        self, ctx: ClickContext, args: list[str]
    ) -> tuple[str | None, ClickCommand | None, list[str]]:
        """Return the command that the first word names; an alias is replaced by the real name."""
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            from seatctl.cli.framework.usage import unknown_command

            noun = None if ctx.parent is None else self.name
            raise unknown_command(args[0], noun, [name for name, _ in self.lines()], _verbs)
        return (command.name if command else None), command, args[1:]

    def shell_complete(self, ctx: ClickContext, incomplete: str) -> list[CompletionItem]:
        """Complete commands from their help lines without building them; the base class completes options."""
        from typer._click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=text) for name, text in self.lines() if name.startswith(incomplete)
        ]
        return [*commands, *ClickCommand.shell_complete(self, ctx, incomplete)]


class Noun(Group):
    """A group whose commands are built one at a time."""

    infos: dict[str, CommandInfo]
    built: dict[str, ClickCommand]
    """Commands that have been built: a batch runs the same ones repeatedly."""

    def lines(self) -> list[tuple[str, str]]:
        """Return name and first sentence of each command."""
        return [(name, first_sentence(info)) for name, info in self.infos.items() if not info.hidden]

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand | None:
        """Build the command that was named."""
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
        """Write its commands, and where their options are explained."""
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} COMMAND --help shows arguments, options and examples.")


class Root(Group):
    """`seatctl` itself: names come from the catalogue, modules are imported when named."""

    loaded: dict[str, ClickCommand]

    def lines(self) -> list[tuple[str, str]]:
        """Return name and help line of each entry of the catalogue."""
        return [(entry.name, entry.help) for entry in catalogue.ENTRIES]

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand | None:
        """Import the module that was named; a noun's commands are not built yet."""
        entry = catalogue.names().get(cmd_name)
        if entry is not None and entry.name not in self.loaded:
            self.loaded[entry.name] = load(entry)
        return None if entry is None else self.loaded[entry.name]

    def invoke(self, ctx: ClickContext) -> None:
        """Run the command; without one, show the help."""
        if not ctx._protected_args:
            write_text(ctx.get_help())
            return
        super().invoke(ctx)


def load(entry: catalogue.CommandEntry) -> ClickCommand:
    """Import the module of an entry and return its group or command."""
    app: typer.Typer = importlib.import_module(entry.module).app
    infos = {_name(info): info for info in sorted(app.registered_commands, key=_place(entry.module))}
    if not entry.group:
        return build(infos[entry.name])
    noun = Noun(name=entry.name, help=entry.help, rich_markup_mode=None, subcommand_metavar="COMMAND …")
    noun.infos, noun.built = infos, {}
    return noun


def _verbs() -> dict[str, list[str]]:
    """Return the commands of each verb. Imports every noun."""
    commands: dict[str, list[str]] = {}
    for entry in catalogue.ENTRIES:
        # `reset` alone must not lead anybody to the command that deletes the sandbox.
        loaded = load(entry) if entry.group and entry.name != "sandbox" else None
        if isinstance(loaded, Noun):
            for verb in loaded.infos:
                commands.setdefault(verb, []).append(f"{entry.name} {verb}")
    return commands


def _place(module: str) -> Callable[[CommandInfo], tuple[int, bool]]:
    """Return a sort key: common commands first, commands imported from other modules last."""

    def place(info: CommandInfo) -> tuple[int, bool]:
        name = _name(info)
        at = _FIRST.index(name) if name in _FIRST else len(_FIRST)
        return at, getattr(info.callback, "__module__", module) != module

    return place


def build(info: CommandInfo) -> ClickCommand:
    """Build one command from its function."""
    info.cls = Command
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def first_sentence(info: CommandInfo) -> str:
    """Return the help line of a command: the first sentence of its docstring."""
    text = info.help or inspect.getdoc(info.callback) or ""
    return " ".join(text.split("\n\n")[0].split())


def _name(info: CommandInfo) -> str:
    return info.name or str(getattr(info.callback, "__name__", "")).replace("_", "-")
