"""The global options of one invocation; `cli/framework/global_options.py` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seatctl.output.style import Format


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
