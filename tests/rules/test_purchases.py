"""What may be bought, on literals: quantities, limits, ways to pay, names."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatctl.errors import Code, SeatctlError
from seatctl.models.plan import Interval, Policy
from seatctl.rules.names import BadName, check_name, check_plan_name, check_request_id, check_slug, name_key
from seatctl.rules.purchases import (
    MOST_SEATS,
    amount_of,
    check_currency,
    check_interval_count,
    check_payment_method,
    check_quantity,
    check_spend,
    fit,
)
from seatctl.rules.typed_values import did_you_mean, nearest
from tests.support.refusals import refuses

PACKS = Policy(pack_size=5, min_seats=10, max_seats=33)


@pytest.mark.parametrize("seats", [10, 15, 30])
def test_whole_packs_within_the_limits_can_be_bought(seats):
    assert check_quantity("team", PACKS, seats) == seats


@pytest.mark.parametrize(
    ("seats", "code", "possible"),
    [
        (5, "too_few_seats", 10),
        (12, "pack_size", 15),
        (33, "pack_size", 30),
        (35, "too_many_seats", 30),
        (MOST_SEATS + 1, "too_many_seats", 30),
    ],
)
def test_other_quantities_name_the_nearest_that_can_be(seats, code, possible):
    with pytest.raises(SeatctlError) as refused:
        check_quantity("team", PACKS, seats)
    assert (refused.value.code, refused.value.data["possible"]) == (code, possible)
    assert check_quantity("team", PACKS, possible) == possible


def test_a_policy_without_a_limit_still_has_one():
    assert check_quantity("pro", Policy(), MOST_SEATS) == MOST_SEATS
    with pytest.raises(SeatctlError, match="at most"):
        check_quantity("pro", Policy(), MOST_SEATS + 1)


@given(st.integers(1, 20), st.integers(1, 20), st.none() | st.integers(0, 200), st.integers(1, 5000))
def test_what_is_offered_can_always_be_bought(pack, packs, room, seats):
    least = pack * packs
    policy = Policy(pack_size=pack, min_seats=least, max_seats=None if room is None else least + room)
    offered = fit(policy, seats)
    assert check_quantity("pro", policy, offered) == offered
    assert offered >= seats or (policy.max_seats is not None and offered + pack > policy.max_seats)


def test_a_limit_is_a_limit():
    check_spend(3600, "usd", None)
    check_spend(3600, "usd", "36.00")
    check_spend(0, "usd", "0")
    check_spend(36, "jpy", "36")
    with refuses(Code.MAX_SPEND_EXCEEDED) as refused:
        check_spend(3601, "usd", "36.00")
    assert refused.value.data == {"due_now": 3601, "max_spend": 3600, "currency": "usd"}
    with refuses(Code.BAD_AMOUNT):
        check_spend(1, "jpy", "36.50")


@pytest.mark.parametrize("given", ["pm_card_visa", "pm_1Nx", "tok_visa", "card_1Nx", "src_1Nx"])
def test_ids_of_saved_cards_pay(given):
    assert check_payment_method(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "4242424242424242",
        "4242-4242-4242-4242",
        "visa",
        "",
        "pm_x/../customers",
        "pm_x\n",
        "cus_1",
        "tok_a b",
    ],
)
def test_nothing_else_pays_and_it_is_not_repeated(given):
    with refuses(Code.BAD_PAYMENT_METHOD) as refused:
        check_payment_method(given)
    assert not given.strip() or given not in refused.value.message


def test_currencies_and_intervals_are_those_that_stripe_could_have():
    assert check_currency(" EUR ") == "eur"
    for wrong in ("", "eu", "euro", "€€€", "us1"):
        with refuses(Code.BAD_CURRENCY):
            check_currency(wrong)
    assert check_interval_count(Interval.MONTH, 36) == 36
    for interval, count in (
        (Interval.MONTH, 0),
        (Interval.MONTH, 37),
        (Interval.YEAR, 4),
        (Interval.DAY, -1),
    ):
        with refuses(Code.BAD_INTERVAL):
            check_interval_count(interval, count)
    assert amount_of("9.90", "eur") == 990


# Names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["design", "Sales EU", "営業", "a" * 80, "o'neill & co", "1"])
def test_a_subscription_can_be_called_so(name):
    assert check_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "  ", "-design", "a" * 81, "a\nb", "a\x1b[2Jb", "a\u202eb", "sub_1", "si_1", "a\x00"]
)
def test_a_subscription_cannot_be_called_so(name):
    with pytest.raises(BadName):
        check_name(name)


def test_names_that_look_the_same_are_the_same():
    assert name_key("Café") == name_key("cafe\u0301") == name_key(" CAFÉ ")
    assert check_name("cafe\u0301") == "café"
    assert name_key("Straße") == name_key("STRASSE")


@given(st.text(max_size=40))
def test_a_key_of_a_key_is_the_key(text):
    assert name_key(name_key(text)) == name_key(text)
    assert name_key(unicodedata.normalize("NFD", text)) == name_key(text)


@pytest.mark.parametrize("slug", ["pro", "team-plus", "a.b_c-1", "9", "a" * 60])
def test_a_slug(slug):
    assert check_slug(slug) == slug


@pytest.mark.parametrize("slug", ["", "Pro", "-pro", "pro-", "a--b", "a b", "prö", "pro\n", "a" * 61, "../x"])
def test_no_slug(slug):
    with pytest.raises(BadName):
        check_slug(slug)


def test_plan_names_and_request_ids_are_one_line():
    assert check_plan_name(" Team Plus ") == "Team Plus"
    assert check_request_id("po-7 / 2026") == "po-7 / 2026"
    for wrong in ("", " ", "a\nb", "x" * 251):
        with pytest.raises(BadName):
            check_plan_name(wrong)
        with pytest.raises(BadName):
            check_request_id(wrong)


def test_the_nearest_names_come_best_first():
    known = ["design", "Sales-EU", "sales-us", "support"]
    assert nearest("desing", known) == ["design"]
    assert set(nearest("SALES", known)) == {"Sales-EU", "sales-us"}
    assert nearest("zzz", known) == []
    assert nearest("", known) == []
    assert did_you_mean("zzz", known, "seatctl subs list") == "seatctl subs list"
    assert did_you_mean("desing", known, "-") == "did you mean design?"


@pytest.mark.parametrize(
    ("typed", "currency", "form"),
    [
        ("1,000.00", "usd", "at most 2 decimals"),
        ("1.000,00", "eur", "at most 2 decimals"),
        ("1.255", "kwd", "at most 2 decimals"),
        ("500.5", "jpy", "a whole number"),
        ("7.5", "isk", "a whole number"),
    ],
)
def test_a_mistyped_amount_is_told_its_form_and_no_other_amount(typed, currency, form):
    with refuses(Code.BAD_AMOUNT) as refused:
        amount_of(typed, currency)
    assert typed in refused.value.message
    assert form in (refused.value.hint or "")
    assert not re.search(r"\d[.,]?\d", refused.value.hint or "")
