"""What a price says: tiers, volumes, packs, fractions, and other currencies."""

import pytest

from seatctl.billing.objects import in_currency, read_price
from seatctl.rules.prices import kind_of_price, price_sentences

PRICE = {
    "id": "price_1",
    "product": "prod_1",
    "currency": "usd",
    "active": True,
    "billing_scheme": "per_unit",
    "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    "tiers_mode": None,
    "transform_quantity": None,
    "unit_amount": 1200,
    "unit_amount_decimal": "1200",
}
TIERS = [
    {"up_to": 10, "unit_amount": 1200, "unit_amount_decimal": "1200", "flat_amount": None},
    {"up_to": 50, "unit_amount": 900, "unit_amount_decimal": "900", "flat_amount_decimal": "5000"},
    {"up_to": None, "unit_amount": None, "unit_amount_decimal": "0.5", "flat_amount_decimal": None},
]
WITHOUT = {"unit_amount": None, "unit_amount_decimal": None}


def price(**fields):
    return read_price({**PRICE, **fields})


def test_an_amount_per_seat_needs_no_sentence():
    assert (price().unit_amount, price_sentences(price())) == (1200, ())


def test_a_volume_is_the_price_of_all_seats():
    volume = price(billing_scheme="tiered", tiers_mode="volume", tiers=TIERS, **WITHOUT)
    assert (volume.unit_amount, kind_of_price(volume)) == (None, "volume")
    steps = (
        "1 to 10: 12.00 USD each; 11 to 50: 9.00 USD each and 50.00 USD in all; from 51 on: 0.005 USD each"
    )
    assert price_sentences(volume) == (
        f"All seats cost the price of the tier that their number is in (volume): {steps}.",
    )


def test_graduated_tiers_are_the_price_of_each_seat():
    graduated = price(billing_scheme="tiered", tiers_mode="graduated", tiers=TIERS[:1] + TIERS[2:], **WITHOUT)
    assert kind_of_price(graduated) == "tiered (graduated)"
    assert price_sentences(graduated)[0].startswith(
        "Each seat costs the price of its tier (graduated): 1 to 10: 12.00 USD each; from 11 on: 0.005 USD"
    )


def test_tiers_that_were_not_read_are_not_made_up():
    unread = price(billing_scheme="tiered", tiers_mode="volume", **WITHOUT)
    assert price_sentences(unread) == ("The price is volume; to read its tiers: seatctl sync --full",)


def test_an_amount_for_a_pack_is_none_for_a_seat():
    packs = price(transform_quantity={"divide_by": 10, "round": "up"})
    assert (packs.unit_amount, kind_of_price(packs)) == (None, "for packs of 10")
    assert price_sentences(packs) == ("12.00 USD for each 10 seats, rounded up.",)


def test_a_fraction_is_shown_whole():
    fraction = price(unit_amount=None, unit_amount_decimal="1200.5")
    assert (fraction.unit_amount, price_sentences(fraction)) == (None, ("12.005 USD per seat.",))


@pytest.mark.parametrize(("currency", "amount"), [("usd", 1200), ("eur", 1100), ("gbp", None)])
def test_a_price_is_billed_in_the_currency_of_the_subscription(currency, amount):
    options = {"usd": {"unit_amount": 1200}, "eur": {"unit_amount": 1100}}
    billed = in_currency(price(currency_options=options), currency)
    assert (billed.currency, billed.unit_amount) == (currency, amount)
    assert price_sentences(price(currency_options=options)) == ("It is also sold at 11.00 EUR per seat.",)
