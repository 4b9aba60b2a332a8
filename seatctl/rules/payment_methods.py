"""Which types of payment methods a plan takes, and how long a payment that takes days is processed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from seatctl.errors import Code, JsonValue, refuse

ANY: Final = "any"
"""The value of `payment_methods` that takes whatever the Stripe account allows."""

CARD: Final = "card"

_DEBITS: Final = {
    "sepa_debit": ("eur", 9),
    "us_bank_account": ("usd", 6),
    "bacs_debit": ("gbp", 9),
    "au_becs_debit": ("aud", 5),
    "acss_debit": ("cad", 7),
}
"""Bank debits: the currency of each, and in how many days a bank has usually answered.

These are the business days that Stripe's documentation states, with a weekend."""

TYPES: Final = (CARD, "link", *_DEBITS)
"""The types that a plan can name, in Stripe's words."""

_USUAL_DAYS: Final = 14
"""For types that are not listed."""


class Accepted(NamedTuple):
    """What a payment method has to be: of a type that the plan takes, and able to pay in the currency."""

    types: Sequence[str]
    """The policy's `payment_methods`."""
    currency: str

    @property
    def listed(self) -> list[JsonValue]:
        """The types for Stripe, without debits of other currencies, which it refuses; empty: any type."""
        if ANY in self.types:
            return []
        return [kind for kind in self.types if _DEBITS.get(kind, (self.currency,))[0] == self.currency]

    @property
    def settings(self) -> dict[str, JsonValue]:
        """`payment_settings` of a subscription or an invoice; they limit Stripe's page as well."""
        return {"payment_method_types": self.listed} if self.listed else {}

    def check(self, payment_method: str, kind: str, hint: str) -> None:
        """Return if a saved payment method of this type can pay.

        Raises `not_a_card` if only cards are taken, else `payment_method_not_accepted`, with `hint`.
        """
        data: dict[str, JsonValue] = {"payment_method": payment_method, "type": kind}
        currency = _DEBITS.get(kind, (self.currency,))[0]
        if ANY not in self.types and kind not in self.types:
            if tuple(self.types) == (CARD,):
                message = f"{payment_method} is not a card but {kind}, and only cards are charged"
                raise refuse(Code.NOT_A_CARD, f"{message}; nothing was changed", hint=hint, data=data)
            message = f"{payment_method} is {kind}; the plan takes {', '.join(self.types)} only"
        elif currency != self.currency:
            message = (
                f"{payment_method} is {kind}, which pays {currency.upper()}, not {self.currency.upper()}"
            )
        else:
            return
        raise refuse(
            Code.PAYMENT_METHOD_NOT_ACCEPTED, f"{message}; nothing was changed", hint=hint, data=data
        )


def takes_days(kind: str) -> bool:
    """Return whether a payment of this type is processed for days."""
    return kind in _DEBITS


def expected_end(kind: str, since: datetime) -> datetime:
    """Return about when a bank has decided on a payment that it began to process at `since`."""
    return since + timedelta(days=_DEBITS.get(kind, ("", _USUAL_DAYS))[1])


def processing_until(until: datetime, at: datetime) -> str:
    """Return until when a payment is processed, as it is shown at `at`."""
    if at <= until:
        return f"processing until about {until:%Y-%m-%d}"
    return f"still processing, which usually ends by {until:%Y-%m-%d}"
