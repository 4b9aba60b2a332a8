"""How commands are declared: their registry, arguments and options, and those that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

import typer
from typer.models import ArgumentInfo, CommandInfo, OptionInfo

LAST_NUMBER = 2**63 - 1
"""The highest number that a ledger can hold: a longer one is a typing error, not a bug."""

Function = TypeVar("Function", bound=Callable[..., None])


class Commands:
    """The commands of a module. Each is a function whose first parameter is the `Context`."""

    def __init__(self) -> None:
        self.infos: dict[str, CommandInfo] = {}

    def command(self, name: str | None = None) -> Callable[[Function], Function]:
        """Register a function under this name, or under its own."""

        def register(function: Function) -> Function:
            named = name or function.__name__.replace("_", "-")
            self.infos[named] = CommandInfo(named, callback=function)
            return function

        return register


def argument(
    metavar: str,
    help: str,
    *,
    min: int | None = None,
    max: int | None = None,
    words: Iterable[str] = (),
) -> ArgumentInfo:
    """Return an argument of a command; its default is not shown. `words` are offered by completion."""
    info: ArgumentInfo = typer.Argument(
        metavar=metavar, help=help, min=min, max=max, autocompletion=_starting(words), show_default=False
    )
    return info


def option(
    declared: str,
    help: str,
    *,
    short: str | None = None,
    min: int | None = None,
    max: int | None = None,
    show_default: bool = True,
) -> OptionInfo:
    """Return an option, declared as the help prints it: `--plan PLAN`, or `--all` for a flag."""
    name, _, metavar = declared.partition(" ")
    names = (name,) if short is None else (name, short)
    info: OptionInfo = typer.Option(
        *names, metavar=metavar or None, help=help, min=min, max=max, show_default=show_default
    )
    return info


def _starting(words: Iterable[str]) -> Callable[[str], list[str]] | None:
    """Return the completion of an argument that takes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete if words else None


SubscriptionArg = Annotated[str, argument("SUBSCRIPTION", "A subscription, by name or Stripe id.")]
OptionalSubscriptionArg = Annotated[
    str | None, argument("[SUBSCRIPTION]", "A subscription, by name or Stripe id.")
]
SubscriptionOpt = Annotated[
    str | None, option("--subscription SUBSCRIPTION", "A subscription, by name or Stripe id.", short="-s")
]
EmailArg = Annotated[str, argument("EMAIL", "A user, by e-mail.")]
EmailsArg = Annotated[list[str] | None, argument("[EMAIL]...", "Users, by e-mail.")]
FromOpt = Annotated[str | None, option("--from FILE|-", "Read the people from CSV, TSV or JSON Lines.")]
MapOpt = Annotated[
    list[str] | None, option("--map KEY=COLUMN", "Say which column to use, such as email='Work Email'.")
]
SkipBadOpt = Annotated[bool, option("--skip-bad", "Skip bad rows and process the others (exit 6).")]
FileArg = Annotated[str, argument("FILE|-", "CSV, TSV or JSON Lines; - is stdin.")]
MaxSpendOpt = Annotated[str | None, option("--max-spend AMOUNT", "Refuse to charge more than this now.")]
RequestIdOpt = Annotated[str | None, option("--request-id KEY", "Make it safe to repeat this command.")]
PromoOpt = Annotated[str | None, option("--promo CODE", "A promotion code.")]
CouponOpt = Annotated[str | None, option("--coupon ID", "A coupon, by its Stripe id.")]
OnAccountOpt = Annotated[bool, option("--on-account", "Pay by invoice instead of the card.")]
DueInOpt = Annotated[
    str | None, option("--due-in DAYS", "With --on-account: days until the invoice is due, such as 30d.")
]
PaymentMethodOpt = Annotated[
    str | None, option("--payment-method ID", "A saved pm_… or a tok_…, not a card number.")
]


StopOpt = Annotated[bool, option("--stop-on-error", "Stop at the first line that fails.")]
MaxFailuresOpt = Annotated[int | None, option("--max-failures N", "Stop when N lines have failed.", min=1)]
OverwriteOpt = Annotated[bool, option("--overwrite", "Replace an existing file.")]
