"""The command tree, built on demand: a noun is imported and a command is built only when it is named.

Global options are accepted before and after a command and stored on the `Context` that every click context
carries. Only this folder imports Typer.
"""

from __future__ import annotations

import functools
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
from typer._click.globals import get_current_context
from typer._click.parser import _OptionParser
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from seatctl import __version__
from seatctl.app.context import Context
from seatctl.cli.framework import catalogue
from seatctl.cli.framework.global_options import GLOBAL_OPTIONS
from seatctl.output.emit import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click.parser import _ParsingState
    from typer._click.shell_completion import CompletionItem

    from seatctl.cli.framework.commands import Commands

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


class _Parsed(ClickCommand):
    """What commands and groups have in common: the global options, and no option with two values."""

    def make_parser(self, ctx: ClickContext) -> _OnceParser:
        """Return a parser that refuses two values for one option."""
        parser = _OnceParser(ctx)
        for param in self.get_params(ctx):
            param.add_to_parser(parser, ctx)
        return parser

    def get_params(self, ctx: ClickContext) -> list[Parameter]:
        """Return its own parameters, then the global ones."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]


class Command(_Parsed, TyperCommand):
    """One command, with the global options, and its examples shown verbatim."""

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


class Group(_Parsed, TyperGroup, ABC):
    """The common part of the root and the nouns: lists commands without building them."""

    @abstractmethod
    def lines(self) -> list[tuple[str, str]]:
        """Return name and help line of every visible command."""

    def list_commands(self, ctx: ClickContext) -> list[str]:
        """Return the visible names, in the order of the help."""
        return [name for name, _ in self.lines()]

    def format_commands(self, ctx: ClickContext, formatter: HelpFormatter) -> None:
        """Write the list of commands from their help lines, without building them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.lines())

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
        return [(name, first_sentence(info)) for name, info in self.infos.items()]

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
    commands: Commands = importlib.import_module(entry.module).app
    if not entry.group:
        return build(commands.infos[entry.name])
    noun = Noun(name=entry.name, help=entry.help, rich_markup_mode=None, subcommand_metavar="COMMAND …")
    noun.infos, noun.built = dict(sorted(commands.infos.items(), key=_place)), {}
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


def _place(command: tuple[str, CommandInfo]) -> int:
    """Return a sort key: common commands first."""
    return _FIRST.index(command[0]) if command[0] in _FIRST else len(_FIRST)


def build(info: CommandInfo) -> ClickCommand:
    """Build one command from its function, to which Typer passes everything but the context."""
    function = info.callback
    assert function is not None

    @functools.wraps(function)
    def run(**values: object) -> None:
        current = get_current_context()
        current.obj.command = current.command_path.removeprefix(f"{PROGRAM} ")
        function(current.obj, **values)

    signature = inspect.signature(function, eval_str=True)
    own = signature.replace(parameters=list(signature.parameters.values())[1:])
    vars(run)["__signature__"] = own
    complete = CommandInfo(info.name, cls=Command, callback=run)
    return get_command_from_info(complete, pretty_exceptions_short=False, rich_markup_mode=None)


def first_sentence(info: CommandInfo) -> str:
    """Return the help line of a command: the first sentence of its docstring."""
    return " ".join((inspect.getdoc(info.callback) or "").split("\n\n")[0].split())


class _OnceParser(_OptionParser):
    """Typer's parser, but an option that takes one value refuses a second one, instead of using the last.

    An option that takes several values collects them. Repeating the same value is allowed.
    """

    def __init__(self, ctx: ClickContext) -> None:
        super().__init__(ctx)
        self._options: dict[str, str] = {}

    def add_option(
        self,
        obj: TyperOption,
        opts: Sequence[str],
        dest: str | None,
        action: str = "store",
        nargs: int = 1,
        const: object = None,
    ) -> None:
        """Add an option, and remember its name."""
        if dest is not None and action in {"store", "store_const"}:
            self._options.setdefault(dest, max(opts, key=len))
        super().add_option(obj, opts, dest, action, nargs, const)

    def _process_args_for_options(self, state: _ParsingState) -> None:
        if self.ctx is None or not self.ctx.resilient_parsing:
            state.opts = _Once(self._options)
        super()._process_args_for_options(state)


class _Once(dict[str, object]):
    """The parsed options. Refuses a second value of an option that takes one."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__()
        self._options = options

    def __setitem__(self, key: str, value: object) -> None:
        if key in self._options and key in self and self[key] != value:
            from seatctl.rules.typed_values import given_twice

            raise given_twice(self._options[key], value)
        super().__setitem__(key, value)
