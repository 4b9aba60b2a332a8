"""What may pay: a card. Money that takes days would be waited for by nobody yet. Pure."""

from __future__ import annotations

from typing import Final

from seatctl.errors import Code, JsonValue, refuse

CARD: Final = "card"

_TEST_CARD: Final = "pm_card_"
"""How Stripe's test cards begin: each reading of one makes another method."""


def cards_only() -> dict[str, JsonValue]:
    """`payment_settings` of a subscription or an invoice: its page, too, offers nothing else."""
    return {"payment_method_types": [CARD]}


def is_looked_up(payment_method: str) -> bool:
    """Whether what was given is a saved method, of which only Stripe knows what it is."""
    return payment_method.startswith(("pm_", "src_")) and not payment_method.startswith(_TEST_CARD)


def check_card(payment_method: str, kind: str, hint: str) -> None:
    """Return if the kind of a saved method is a card. Raises `not_a_card` with `hint`."""
    if kind != CARD:
        raise refuse(
            Code.NOT_A_CARD,
            f"{payment_method} is no card but {kind}: only cards are charged; nothing was changed",
            hint=hint,
            data={"payment_method": payment_method, "type": kind},
        )
