"""What a price says, in sentences: also if it is tiered, for packs of seats, or in several currencies."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from seatctl.models.money import exponent, format_money
from seatctl.models.stripe_objects import StripePrice, Tier


def kind_of_price(price: StripePrice) -> str:
    """Return what kind of price it is that has no amount per seat."""
    if price.tiers_mode is not None:
        return "volume" if price.tiers_mode == "volume" else "tiered (graduated)"
    if price.pack is not None:
        return f"for packs of {price.pack}"
    return f"not known in {price.currency.upper()}" if price.unit_amount_decimal is None else "fractional"


def price_sentences(price: StripePrice) -> tuple[str, ...]:
    """Return what a seat costs if that is not one amount, and what it costs in other currencies."""
    others = {
        currency: amount for currency, amount in price.currency_options.items() if currency != price.currency
    }
    priced = [format_money(amount, currency) for currency, amount in others.items() if amount is not None]
    also = (f"It is also sold at {', '.join(priced)} per seat.",) if priced else ()
    if price.unit_amount is not None:
        return also
    return (_sentence(price), *also)


def _sentence(price: StripePrice) -> str:
    if price.tiers_mode is not None:
        if not price.tiers:
            return f"The price is {kind_of_price(price)}; to read its tiers: seatctl sync --full"
        whole = price.tiers_mode == "volume"
        head = "All seats cost the price of the tier that their number is in" if whole else "Each seat costs"
        head += " (volume)" if whole else " the price of its tier (graduated)"
        return f"{head}: {'; '.join(_tiers(price.tiers, price.currency))}."
    amount = _money(price.unit_amount_decimal, price.currency)
    if price.pack is not None:
        return f"{amount} for each {price.pack} seats, rounded {price.pack_rounds}."
    return f"{amount} per seat."


def _tiers(tiers: Sequence[Tier], currency: str) -> list[str]:
    parts, first = [], 1
    for tier in tiers:
        seats = f"from {first} on" if tier.up_to is None else f"{first} to {tier.up_to}"
        unit = f"{_money(tier.unit_amount, currency)} each" if tier.unit_amount is not None else ""
        flat = f"{_money(tier.flat_amount, currency)} in all" if _is_some(tier.flat_amount) else ""
        parts.append(f"{seats}: {' and '.join(filter(None, (unit, flat))) or 'free'}")
        first = (tier.up_to or 0) + 1
    return parts


def _is_some(amount: str | None) -> bool:
    return amount not in {None, "0"}


def _money(amount: str | None, currency: str) -> str:
    """Return minor units, perhaps with a fraction, with the currency: `12.5` usd is `0.125 USD`."""
    try:
        exact = Decimal(amount or "0")
    except InvalidOperation:
        return f"{amount} {currency.upper()}"
    if exact == exact.to_integral_value():
        return format_money(int(exact), currency)
    return f"{exact.scaleb(-exponent(currency)).normalize():f} {currency.upper()}"
