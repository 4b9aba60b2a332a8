"""Automatic tax: whether Stripe can tell it, and how a price with tax is worded. Pure.

An amount without the tax is never shown as a price.
"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.money import format_money
from seatctl.models.plan import TaxBehavior
from seatctl.models.stripe_objects import Preview, StripeInvoice

NO_LOCATION = "requires_location_inputs"
"""Stripe's status of a tax that it cannot compute without an address."""

_WITH_POSTAL_CODE = frozenset(("US", "CA"))


def check_tax(status: str | None, place: str) -> None:
    """Return unless Stripe's preview lacks the tax. Raises `tax_unknown`.

    `place` is the command that gives the customer an address.
    """
    if status in {None, "complete"}:
        return
    why, hint = "its tax service failed", "run the same command again in a minute"
    if status == NO_LOCATION:
        why, hint = "the customer's address is missing or incomplete", place
    raise refuse(
        Code.TAX_UNKNOWN,
        f"Stripe cannot compute the tax, because {why}; nothing was charged",
        hint=f"{hint}; to turn off Stripe's tax: seatctl config set stripe.automatic_tax off",
        data={"tax_status": status},
    )


def address_hint(subscription: str) -> str:
    """Return the command that gives the customer of a subscription an address."""
    return f"seatctl subs billing {quote(subscription)} --address country=CC --address postal_code=CODE"


def needs_postal_code(country: str) -> bool:
    """Whether Stripe needs more than the country to compute the tax."""
    return country.upper() in _WITH_POSTAL_CODE


def tax_fields(taxed: Preview | StripeInvoice) -> dict[str, JsonValue]:
    """Return net, tax and total as fields of a row; none if the invoice has no tax."""
    if taxed.tax_status is None and not taxed.tax:
        return {}
    return {"net": taxed.total - taxed.tax, "tax": taxed.tax, "total": taxed.total}


def tax_fields_of(invoices: Iterable[StripeInvoice]) -> dict[str, JsonValue]:
    """Like `tax_fields`, of all invoices together."""
    every = [*invoices]
    taxed = any(map(tax_fields, every))
    total, tax = sum(invoice.total for invoice in every), sum(invoice.tax for invoice in every)
    return {"net": total - tax, "tax": tax, "total": total} if taxed else {}


def tax_note(taxed: Preview) -> tuple[str, ...]:
    """Return the sentence about net, tax and total of a preview; none if it has no tax."""
    if not tax_fields(taxed):
        return ()
    net, tax, total = (
        format_money(amount, taxed.currency) for amount in (taxed.total - taxed.tax, taxed.tax, taxed.total)
    )
    return (f"{net} and {tax} of tax make {total}.",)


def behavior_of(stripes: object) -> TaxBehavior | None:
    """Return the tax behavior that Stripe names; None for `unspecified`, and for none."""
    return TaxBehavior(str(stripes)) if stripes in {*TaxBehavior} else None


def price_words(price: str, behavior: TaxBehavior | None) -> str:
    """Return a price with what its tax behavior means: `12.00 USD plus tax`."""
    if behavior is None:
        return price
    return f"{price} plus tax" if behavior is TaxBehavior.EXCLUSIVE else f"{price} with tax"
