"""`seatctl sandbox complete`, `authenticate`, `retries`: what customers, banks and the account do at Stripe.

They stand for what seatctl itself cannot do: the hosted pages and the settings of the dashboard.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import context
from seatctl.cli.sandbox_session import opened
from seatctl.errors import BadInput, Code, refuse
from seatctl.models.report import change_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatctl.app.context import Context
    from seatctl.errors import JsonValue

OUTCOMES = ("cancel", "unpaid", "past_due")
_SYNC = "to bring the ledger up to date: seatctl sync"


def complete(
    typer_ctx: typer.Context,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="The Checkout page's address or id.", show_default=False)
    ],
    card: Annotated[
        str, typer.Option("--card", metavar="CARD", help="A test card, such as pm_card_visa.")
    ] = "pm_card_visa",
) -> None:
    """Fill in a Checkout page as its customer would; a bank that asks for authentication gets it.

    Examples:
      seatctl sandbox complete cs_test_a1B2
      seatctl sandbox complete cs_test_a1B2 --card pm_card_chargeDeclined
    """
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    identifier = session.rstrip("/").rpartition("/")[2].partition("#")[0]
    status = "open"
    with opened(ctx) as twin, _refusals():
        if not ctx.options.dry_run:
            status = control.complete_checkout(twin, identifier, card)
    _told(ctx, f"completed the page {identifier} with {card}", {"session": identifier, "status": status})


def authenticate(
    typer_ctx: typer.Context,
    invoice: Annotated[
        str | None,
        typer.Argument(
            metavar="INVOICE",
            help="Its id, number or page; left out: the one that waits.",
            show_default=False,
        ),
    ] = None,
    fail: Annotated[bool, typer.Option("--fail", help="The customer fails or refuses to answer.")] = False,
) -> None:
    """Answer a bank's question about an open invoice as the cardholder would: it is paid, or stays open.

    Examples:
      seatctl sandbox authenticate
      seatctl sandbox authenticate in_1AbC --fail
    """
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    with opened(ctx) as twin, _refusals():
        identifier = _the_one(control.open_invoices(twin), invoice)
        status = "open" if ctx.options.dry_run else control.authenticate(twin, identifier, succeeds=not fail)
    done = "failed authentication" if fail else "authenticated the payment"
    _told(ctx, f"{done} of {identifier} as its cardholder", {"invoice": identifier, "status": status})


def _the_one(waiting: dict[str, tuple[str, ...]], wanted: str | None) -> str:
    """The invoice meant: by id, number or address, or the only open one."""
    if wanted is not None:
        for identifier, names in waiting.items():
            if wanted in (identifier, *names):
                return identifier
        raise refuse(
            Code.NOTHING_WAITS,
            f"{wanted} is not an open invoice of this sandbox",
            hint="seatctl invoices list",
        )
    if not waiting:
        raise refuse(Code.NOTHING_WAITS, "no invoice is open", hint="seatctl invoices list")
    if len(waiting) > 1:
        raise BadInput(
            f"{len(waiting)} invoices are open", hint=f"seatctl sandbox authenticate {next(iter(waiting))}"
        )
    return next(iter(waiting))


def retries(
    typer_ctx: typer.Context,
    outcome: Annotated[
        str,
        typer.Argument(
            metavar="OUTCOME",
            help="cancel, unpaid or past_due.",
            show_default=False,
            autocompletion=lambda: list(OUTCOMES),
        ),
    ],
) -> None:
    """Set what becomes of a subscription when the last retry of a failed renewal fails too.

    Examples:
      seatctl sandbox retries past_due
    """
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    if outcome not in OUTCOMES:
        raise BadInput(f"{outcome!r} is not an outcome", hint=f"seatctl sandbox retries {OUTCOMES[0]}")
    with opened(ctx) as twin:
        if not ctx.options.dry_run:
            control.after_retries(twin, outcome)
    _told(ctx, f"set the end of the last retry to {outcome}", {"after_retries": outcome}, sync=False)


@contextmanager
def _refusals() -> Iterator[None]:
    """The sandbox's refusals as the program's."""
    from seatctl.sandbox.errors import ApiError

    try:
        yield
    except ApiError as error:
        kinds = {402: Code.CARD_DECLINED, 404: Code.NOT_FOUND}
        raise refuse(
            kinds.get(error.status, Code.BAD_INPUT), error.message, data={"stripe_code": error.code}
        ) from None
    except ValueError as error:
        raise refuse(Code.NOTHING_WAITS, str(error), hint="seatctl invoices list") from None


def _told(ctx: Context, sentence: str, row: dict[str, JsonValue], *, sync: bool = True) -> None:
    """`sentence` begins with a participle, so that "would have" can precede it."""
    dry = ctx.options.dry_run
    ctx.emit(change_report(sentence, [row], dry_run=dry))
    if sync and not dry:
        ctx.note(_SYNC)
