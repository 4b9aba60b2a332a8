"""The questions of `subs buy` at a terminal: plan, seats, customer and card, confirmation.

A wrong answer is asked for again, with the reason, so that earlier answers are not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict, TypeVar

from seatctl.app.context import Context
from seatctl.errors import BadInput, NotFound, Refused, UsageError
from seatctl.models.money import format_money
from seatctl.models.plan import Plan
from seatctl.rules.billing_details import TaxId, read_address, read_tax_ids
from seatctl.rules.emails import check_email
from seatctl.rules.names import check_name, name_key
from seatctl.rules.purchases import MOST_SEATS, check_payment_method, check_quantity
from seatctl.rules.tax import needs_postal_code, price_words
from seatctl.rules.typed_values import whole_number
from seatctl.services.purchases.order import Order

Answer = TypeVar("Answer")


class _Location(TypedDict):
    """The fields of an order that the tax depends on."""

    address: tuple[tuple[str, str], ...]
    tax_ids: tuple[TaxId, ...]


def complete(ctx: Context, order: Order) -> Order:
    """Return the order with everything that a purchase needs; ask for what was not given.

    If nobody can be asked, raise UsageError naming every missing option.
    """
    if not ctx.interactive:
        _require(ctx, order)
    plan = _plan(ctx, order)
    order = replace(order, plan=plan.slug, seats=order.seats or _asked(ctx, lambda: _seats(ctx, plan)))
    order = replace(order, name=order.name or _asked(ctx, lambda: _name(ctx, order)))
    if order.bill_to is not None:
        if order.payment_method is not None:
            raise UsageError("--bill-to and --payment-method cannot be used together", hint="use one of them")
        return order
    if order.billing_email is None and ctx.interactive:
        order = replace(order, billing_email=_asked(ctx, lambda: _billing_email(ctx)))
    if not (order.checkout or order.due_days is not None or order.payment_method or order.without_card):
        order = _asked(ctx, lambda: _payment(ctx, order))
    # A page that sells asks for the address by itself.
    on_page = order.checkout and (plan.policy is None or plan.policy.renewal != "manual")
    asks = ctx.interactive and order.automatic_tax and order.bill_to is None and not on_page
    return replace(order, **_location(ctx, order)) if asks and not order.address else order


def _require(ctx: Context, order: Order) -> None:
    """Raise UsageError naming all missing options, with a command that has placeholders for them."""
    from shlex import join

    paid = order.payment_method or order.bill_to or order.checkout or order.due_days is not None
    paid = paid or order.without_card
    needed = {
        "--plan PLAN": order.plan,
        "--seats N": order.seats,
        "--name NAME": order.name,
        "--payment-method ID": paid,
    }
    missing = [flag for flag, given in needed.items() if not given]
    if missing:
        flags = [flag.split()[0] for flag in missing]
        named = " and ".join(part for part in (", ".join(flags[:-1]), flags[-1]) if part)
        raise UsageError(
            f"{named} {'is' if len(flags) == 1 else 'are'} required when not running interactively",
            hint=f"{join(['seatctl', *ctx.shown_argv])} {' '.join(missing)}",
            data={"flag": flags[0], "flags": [*flags]},
        )


def _asked(ctx: Context, question: Callable[[], Answer]) -> Answer:
    """Ask until the answer is accepted; if nobody can be asked, raise the refusal."""
    while True:
        try:
            return question()
        except (BadInput, NotFound, Refused, UsageError) as error:
            if not ctx.interactive:
                raise
            ctx.note(f"  {error.message}")


def _plan(ctx: Context, order: Order) -> Plan:
    from seatctl.ledger import plans
    from seatctl.services.plans.spec import tax_of

    with ctx.ledger.reading() as reader:
        if order.plan:
            return plans.find(reader, order.plan)
        sold = list(plans.listing(reader, archived=False))
        taxes = {plan.slug: tax_of(reader, plan) for plan in sold if order.automatic_tax}
    if ctx.interactive:
        for plan in sold:
            price = format_money(plan.unit_amount, plan.currency)
            if plan.slug in taxes:
                price = price_words(price, taxes[plan.slug].behavior)
            ctx.note(f"  {plan.slug}  {price} per seat and {plan.interval}")
        if not sold:
            raise plans.UnknownPlan(
                "there is no plan to buy yet", hint="seatctl plans add SLUG --price 12.00 --currency usd"
            )
    only = sold[0].slug if len(sold) == 1 else None
    return _asked(ctx, lambda: _sold(ctx, ctx.ask("Plan:", flag="--plan", default=only)))


def _sold(ctx: Context, slug: str) -> Plan:
    from seatctl.ledger import plans
    from seatctl.services.plans.spec import sellable

    with ctx.ledger.reading() as reader:
        return sellable(plans.find(reader, slug))


def _seats(ctx: Context, plan: Plan) -> int:
    least = str(plan.policy.min_seats) if plan.policy is not None else None
    answer = ctx.ask("Seats:", flag="--seats", default=least).strip()
    seats = whole_number(answer, MOST_SEATS)
    if not seats:
        raise UsageError(f"{answer!r} is not a number of seats", hint="enter a whole number, at least 1")
    return seats if plan.policy is None else check_quantity(plan.slug, plan.policy, seats)


def _name(ctx: Context, order: Order) -> str:
    """Ask for a free name. One reserved by an unfinished purchase is accepted: this may be its repetition."""
    from seatctl.ledger import operations, subscriptions

    name = check_name(ctx.ask("Name of the subscription:", flag="--name"))
    if order.request_id is None:
        with ctx.ledger.reading() as reader:
            if operations.of_name(reader, name_key(name)) is None:
                subscriptions.require_free_name(reader, name)
    return name


def _billing_email(ctx: Context) -> str:
    email = ctx.ask("E-mail for invoices:", flag="--billing-email").strip()
    problem = check_email(email)
    if problem:
        raise UsageError(f"{email!r}: {problem}", hint="an address is written NAME@DOMAIN")
    return email


def _location(ctx: Context, order: Order) -> _Location:
    """Ask for what Stripe computes the tax from: the country, a postal code if it needs one, a tax id."""
    ctx.note("  Stripe computes the tax from the payer's address")
    parts = _asked(ctx, lambda: _part(ctx, "Country (two letters):", "country"))
    if needs_postal_code(dict(parts)["country"]):
        parts += _asked(ctx, lambda: _part(ctx, "Postal code:", "postal_code"))
    tax_ids = order.tax_ids or _asked(ctx, lambda: _tax_ids(ctx))
    return {"address": parts, "tax_ids": tax_ids}


def _part(ctx: Context, question: str, part: str) -> tuple[tuple[str, str], ...]:
    answer = ctx.ask(question, flag="--address").strip()
    if not answer:
        raise UsageError("Stripe needs it to compute the tax", hint=f"use --address {part}=VALUE")
    return read_address([f"{part}={answer}"])


def _tax_ids(ctx: Context) -> tuple[TaxId, ...]:
    answer = ctx.ask("Tax id (TYPE:VALUE, such as eu_vat:DE123456789), or -:", flag="--tax-id", default="-")
    return () if answer.strip() in {"", "-"} else read_tax_ids([answer])


def _payment(ctx: Context, order: Order) -> Order:
    """Ask for a card: another subscription's, or the id of a saved one. Never a card number."""
    from seatctl.ledger import subscriptions

    with ctx.ledger.reading() as reader:
        names = (
            [subscription.name for subscription in subscriptions.listing(reader, ctx.now)]
            if ctx.interactive
            else []
        )
    if names:
        ctx.note(f"  enter a subscription's name to charge its card: {', '.join(names[:10])}")
    answer = ctx.ask("Card (pm_… or tok_…, never a number):", flag="--payment-method").strip()
    if answer in names:
        return replace(order, bill_to=answer, payment_method=None)
    return replace(order, payment_method=check_payment_method(answer))
