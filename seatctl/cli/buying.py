"""The four steps of `subs buy` at a terminal: plan, quantity, customer and card, confirmation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatctl.errors import UsageError
from seatctl.models.money import plain_amount
from seatctl.models.plan import Plan
from seatctl.models.purchase import Order

if TYPE_CHECKING:
    from seatctl.context import Context


def complete(here: Context, order: Order) -> Order:
    """The order with everything that a purchase needs, asked for where it was not given.

    Raises UsageError naming the flag where nobody can be asked.
    """
    plan = _plan(here, order)
    order = replace(order, plan=plan.slug, seats=order.seats or _seats(here, plan))
    order = replace(order, name=order.name or here.ask("Name of the subscription:", flag="--name"))
    if order.bill_to is not None:
        if order.payment_method is not None:
            raise UsageError("--bill-to and --payment-method exclude each other", hint="give one of them")
        return order
    if order.billing_email is None and here.interactive:
        order = replace(order, billing_email=here.ask("Invoices go to (e-mail):", flag="--billing-email"))
    if order.checkout or order.due_days is not None:
        return order
    return order if order.payment_method else _payment(here, order)


def _plan(here: Context, order: Order) -> Plan:
    from seatctl.ledger import plans

    with here.ledger.reading() as reader:
        if order.plan:
            return plans.find(reader, order.plan)
        sold = list(plans.listing(reader, archived=False))
    if here.interactive:
        for plan in sold:
            price = plain_amount(plan.unit_amount, plan.currency)
            here.note(f"  {plan.slug}  {price} {plan.currency.upper()} a seat and {plan.interval}")
    only = sold[0].slug if len(sold) == 1 else None
    slug = here.ask("Plan:", flag="--plan", default=only)
    with here.ledger.reading() as reader:
        return plans.find(reader, slug)


def _seats(here: Context, plan: Plan) -> int:
    least = str(plan.policy.min_seats) if plan.policy is not None else None
    answer = here.ask("Seats:", flag="--seats", default=least).strip()
    if not (answer.isascii() and answer.isdigit() and int(answer)):
        raise UsageError(f"{answer!r} is no number of seats", hint="such as 25")
    return int(answer)


def _payment(here: Context, order: Order) -> Order:
    """A card: the one of another subscription, or the id of a saved one. Never a number."""
    from seatctl.ledger import subscriptions

    with here.ledger.reading() as reader:
        names = [one.name for one in subscriptions.listing(reader, here.now)] if here.interactive else []
    if names:
        here.note(f"  a subscription's name charges its card: {', '.join(names[:10])}")
    answer = here.ask("Card (pm_… or tok_…, never a number):", flag="--payment-method").strip()
    if answer in names:
        return replace(order, bill_to=answer, payment_method=None)
    return replace(order, payment_method=answer)
