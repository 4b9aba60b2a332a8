"""Refuses an option that is given twice with different values, instead of silently using the last.

An option that takes several values collects them. Repeating the same value is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer._click.parser import _OptionParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click.core import Context as ClickContext
    from typer._click.core import Parameter
    from typer._click.parser import _ParsingState
    from typer.core import TyperOption


class OnceParser(_OptionParser):
    """Typer's parser, but an option that takes one value refuses a second one."""

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


def once(params: Sequence[Parameter], ctx: ClickContext) -> OnceParser:
    """Return the parser of a command with these parameters."""
    parser = OnceParser(ctx)
    for param in params:
        param.add_to_parser(parser, ctx)
    return parser


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
