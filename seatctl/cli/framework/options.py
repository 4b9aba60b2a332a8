"""Arguments and options that several commands share, and access to the context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.models import ArgumentInfo

from seatctl.app.context import Context

LAST_NUMBER = 2**63 - 1
"""The highest number that a ledger can hold: a longer one is a typing error, not a bug."""


def argument(
    metavar: str,
    help: str,
    *,
    max: int | None = None,
    autocompletion: Callable[..., Iterable[str]] | None = None,
) -> ArgumentInfo:
    """Return an argument of a command; the help does not show its default."""
    info: ArgumentInfo = typer.Argument(
        metavar=metavar, help=help, max=max, autocompletion=autocompletion, show_default=False
    )
    return info


SubscriptionArg = Annotated[str, argument("SUBSCRIPTION", "A subscription, by name or Stripe id.")]
OptionalSubscriptionArg = Annotated[
    str | None, argument("[SUBSCRIPTION]", "A subscription, by name or Stripe id.")
]
SubscriptionOpt = Annotated[
    str | None,
    typer.Option(
        "--subscription", "-s", metavar="SUBSCRIPTION", help="A subscription, by name or Stripe id."
    ),
]
EmailArg = Annotated[str, argument("EMAIL", "A user, by e-mail.")]
EmailsArg = Annotated[list[str] | None, argument("[EMAIL]...", "Users, by e-mail.")]
FromOpt = Annotated[
    str | None, typer.Option("--from", metavar="FILE|-", help="Read the people from CSV, TSV or JSON Lines.")
]
MapOpt = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="KEY=COLUMN", help="Say which column to use, such as email='Work Email'."),
]
SkipBadOpt = Annotated[
    bool, typer.Option("--skip-bad", help="Skip bad rows and process the others (exit 6).")
]
FileArg = Annotated[str, argument("FILE|-", "CSV, TSV or JSON Lines; - is stdin.")]
MaxSpendOpt = Annotated[
    str | None, typer.Option("--max-spend", metavar="AMOUNT", help="Refuse to charge more than this now.")
]
RequestIdOpt = Annotated[
    str | None, typer.Option("--request-id", metavar="KEY", help="Make it safe to repeat this command.")
]
PromoOpt = Annotated[str | None, typer.Option("--promo", metavar="CODE", help="A promotion code.")]
CouponOpt = Annotated[str | None, typer.Option("--coupon", metavar="ID", help="A coupon, by its Stripe id.")]
OnAccountOpt = Annotated[bool, typer.Option("--on-account", help="Pay by invoice instead of the card.")]
DueInOpt = Annotated[
    str | None,
    typer.Option(
        "--due-in", metavar="DAYS", help="With --on-account: days until the invoice is due, such as 30d."
    ),
]
PaymentMethodOpt = Annotated[
    str | None,
    typer.Option("--payment-method", metavar="ID", help="A saved pm_… or a tok_…, not a card number."),
]


StopOpt = Annotated[bool, typer.Option("--stop-on-error", help="Stop at the first line that fails.")]
MaxFailuresOpt = Annotated[
    int | None, typer.Option("--max-failures", metavar="N", min=1, help="Stop when N lines have failed.")
]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]


def context(ctx: typer.Context) -> Context:
    """Return the invocation that this command belongs to."""
    app_ctx = ctx.obj
    if not isinstance(app_ctx, Context):
        raise TypeError("a command runs through seatctl.__main__.main")
    return app_ctx


def file_path(text: str) -> Path:
    """Return a typed path with ~ expanded. Raises `no_home`, `unknown_home`."""
    from seatctl.system.refusals import expanded

    return expanded(text)


@contextmanager
def for_stdout() -> Iterator[Path]:
    """Yield a file for output that goes to stdout once it is complete; deleted afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="seatctl-") as folder:
        yield Path(folder) / "output"


@contextmanager
def input_file(text: str) -> Iterator[Path]:
    """Yield the file at a path; for `-` a copy of stdin, deleted afterwards."""
    if text != "-":
        yield file_path(text)
        return
    import shutil
    import sys

    with for_stdout() as path:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
