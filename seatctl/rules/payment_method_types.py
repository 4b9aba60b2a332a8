"""Accepted payment methods: cards. Methods that take days to settle are not supported yet. Pure."""

from __future__ import annotations

from typing import Final

from seatctl.errors import Code, JsonValue, refuse

CARD: Final = "card"

_TEST_CARD: Final = "pm_card_"
"""The prefix of Stripe's test cards: each time one is read, Stripe makes another payment method."""


def cards_only() -> dict[str, JsonValue]:
    """Return `payment_settings` of a subscription or an invoice; it limits Stripe's page as well."""
    return {"payment_method_types": [CARD]}


def is_looked_up(payment_method: str) -> bool:
    """Return whether this is a saved payment method, whose type has to be read from Stripe."""
    return payment_method.startswith(("pm_", "src_")) and not payment_method.startswith(_TEST_CARD)


def check_card(payment_method: str, kind: str, hint: str) -> None:
    """Return if the type of a saved payment method is a card. Raises `not_a_card` with `hint`."""
    if kind != CARD:
        raise refuse(
            Code.NOT_A_CARD,
            f"{payment_method} is not a card but {kind}, and only cards are charged; nothing was changed",
            hint=hint,
            data={"payment_method": payment_method, "type": kind},
        )
