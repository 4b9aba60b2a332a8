"""What the commands that change a running subscription share: who goes, the question, the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import UsageError
from seatctl.rules.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatctl.app.context import Context
    from seatctl.errors import JsonValue
    from seatctl.models.seat import DepartureRule
    from seatctl.services.subscriptions.departures import Departures
    from seatctl.services.subscriptions.proposal import ChangeOptions, Proposal

_NAMED = 10
"""People that the question names."""
_DUE_IN = "30d"
_LONGEST_DUE = 365
"""A year: an invoice that is due later is a slip of the finger."""


def wishes(
    max_spend: str | None,
    request_id: str | None,
    *,
    promo: str | None = None,
    coupon: str | None = None,
    on_account: bool = False,
) -> ChangeOptions:
    """The options that every such command has."""
    from seatctl.services.subscriptions.proposal import ChangeOptions

    return ChangeOptions(max_spend, request_id, promo, coupon, on_account)


def carry_out(ctx: Context, prepared: Proposal, max_spend: str | None) -> None:
    """Show what Stripe says, ask, do it, and print the report."""
    from seatctl.models.money import plain_amount
    from seatctl.services.subscriptions.proposal import carry_out as submit

    if ctx.asks and not prepared.nothing:
        require_limit(ctx, max_spend)
        due = f"{plain_amount(prepared.due_now, prepared.currency)} {prepared.currency.upper()}"
        if ctx.interactive:  # else nobody reads it, and stderr is free for what a program reads: the error
            charged = f"Stripe will charge {due} now."
            if prepared.on_account:
                charged = f"Stripe will invoice {due}, to be paid on account."
            if not prepared.due_now:
                charged = "Nothing is charged now."
            told = (prepared.summary, *_leaving(prepared.row), *(prepared.notes or (charged,)))
            for line in (*told, *prepared.warnings):
                ctx.note(line)
        ctx.confirm("Go on?")
    ctx.emit(submit(ctx.ledger, ctx.billing, ctx.call, prepared), handle="name")


def _leaving(row: Mapping[str, JsonValue]) -> Iterator[str]:
    """Who loses a seat by it, by name: a rule chose them, and a person has to answer for it."""
    emails = row.get("leaving_emails")
    if isinstance(emails, list) and emails:
        named = ", ".join(str(email) for email in emails[:_NAMED])
        more = f" and {len(emails) - _NAMED} more (--dry-run shows all)" if len(emails) > _NAMED else ""
        yield f"Without a seat then: {named}{more}."


def require_limit(ctx: Context, max_spend: str | None) -> None:
    """Nobody reads a preview where there is no terminal: with live money a limit must be given."""
    from seatctl.config.settings import Mode

    if ctx.profile.mode is Mode.LIVE and not ctx.interactive and max_spend is None:
        raise UsageError(
            "in live mode --max-spend is required when not running interactively",
            hint="add --max-spend with the most that may be charged now",
            data={"flag": "--max-spend"},
        )


def leaving(
    ctx: Context, subscription: str, seats: int | None, how: DepartureRule | None, source: str | None
) -> Departures:
    """Who gives up a seat; nobody where neither option is given."""
    from seatctl.ledger import departures as choosing
    from seatctl.ledger import subscriptions
    from seatctl.services.subscriptions.departures import NOBODY, Departures, named_in_file

    if how is not None and source is not None:
        raise UsageError("--revoke and --revoke-from exclude each other", hint="give one of them")
    with ctx.ledger.reading() as reader:
        pool = subscriptions.find(reader, subscription, ctx.now)
    if source is not None:
        return named_in_file(ctx.ledger, pool.id, source)
    if how is None or seats is None:
        return NOBODY
    with ctx.ledger.reading() as reader:
        users = choosing.choose(reader, pool.id, how, pool.assigned - seats)
        return Departures(users, (how.value,), emails=choosing.emails(reader, users))


def due_days(on_account: bool, due_in: str | None) -> int | None:
    """Days until an invoice on account is due, None where the card is charged. Raises UsageError."""
    if not on_account:
        if due_in is not None:
            raise UsageError("--due-in is for what is bought on account", hint="add --on-account")
        return None
    days = whole_number((due_in or _DUE_IN).strip().removesuffix("d"), _LONGEST_DUE)
    if not days:
        raise UsageError(
            f"{due_in!r} is not a number of days", hint=f"use --due-in DAYS, from 1 to {_LONGEST_DUE}"
        )
    return days
