"""Policies as values: presets, fields, the forms they are kept in, and what cannot be sold."""

from __future__ import annotations

import string
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from seatctl.models.plan import (
    Decrease,
    Discounts,
    Increase,
    Interval,
    OnAccount,
    PlanChange,
    Policy,
    Renewal,
    TrialWithoutCard,
)
from seatctl.rules.policies import (
    FIELDS,
    FLEXIBLE,
    TERM,
    BadPolicy,
    as_fields,
    as_metadata,
    check,
    from_fields,
    from_metadata,
    preset,
    sentences,
    with_fields,
)

FEATURE = st.text(alphabet=string.ascii_lowercase + string.digits + "-_ .", min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and text != "none"
)


@st.composite
def policies(draw) -> Policy:
    """Any policy that can be sold."""
    pack = draw(st.integers(1, 50))
    least = pack * draw(st.integers(1, 20))
    increase = draw(st.sampled_from(Increase))
    full = increase is Increase.FULL_PRICE
    renewal = draw(st.sampled_from(Renewal))
    trial = 0 if full or renewal is Renewal.MANUAL else draw(st.integers(0, 730))
    return Policy(
        pack_size=pack,
        min_seats=least,
        max_seats=draw(st.none() | st.integers(least, 100_000)),
        increase=increase,
        decrease=draw(st.sampled_from([one for one in Decrease if not (full and one is Decrease.NOW)])),
        plan_change=PlanChange.RENEWAL_WINDOW if full else draw(st.sampled_from(PlanChange)),
        renewal=renewal,
        renewal_window_days=draw(st.integers(0, 365)),
        addon_cutoff_days=draw(st.integers(0, 365)),
        lock_price=draw(st.booleans()),
        discounts=draw(st.sampled_from(Discounts)),
        on_account=draw(st.sampled_from(OnAccount)),
        trial_days=trial,
        trial_without_card=draw(st.sampled_from(TrialWithoutCard)) if trial else TrialWithoutCard.NO,
        grace_days=draw(st.integers(0, 90)),
        features=tuple(draw(st.lists(FEATURE, max_size=5))),
        sign_in_url=draw(st.none() | st.just("https://example.com/login?a=b&c=d")),
        support_contact=draw(st.none() | st.just("Help <help@example.com>, +1 555")),
    )


@given(policies())
def test_a_policy_survives_every_form_it_is_kept_in(policy):
    assert check(policy) == policy
    assert from_fields(as_fields(policy)) == policy
    assert from_metadata(as_metadata(policy)) == policy
    written = {name: "none" if value is None else value for name, value in as_fields(policy).items()}
    assert from_fields(tomllib.loads(tomli_w.dumps(written))) == policy


@given(policies())
def test_a_policy_fits_into_stripes_metadata_and_into_sentences(policy):
    assert all(len(text) <= 500 for text in as_metadata(policy).values())
    assert len(as_metadata(policy)) == len(FIELDS) == 20
    assert all(sentence.endswith(".") and "None" not in sentence for sentence in sentences(policy))


def test_the_presets_are_those_of_the_design():
    assert as_fields(FLEXIBLE) == {
        "pack_size": 1,
        "min_seats": 1,
        "max_seats": None,
        "increase": "prorate_now",
        "decrease": "at_renewal",
        "plan_change": "anytime",
        "renewal": "automatic",
        "renewal_window_days": 30,
        "addon_cutoff_days": 0,
        "lock_price": False,
        "discounts": "anytime",
        "on_account": "yes",
        "payment_methods": ["any"],
        "seats_while_processing": False,
        "trial_days": 0,
        "trial_without_card": "no",
        "grace_days": 7,
        "features": [],
        "sign_in_url": None,
        "support_contact": None,
    }
    assert as_fields(TERM) == {
        **as_fields(FLEXIBLE),
        "pack_size": 5,
        "min_seats": 5,
        "increase": "full_price",
        "decrease": "renewal_window",
        "plan_change": "renewal_window",
        "renewal": "manual",
        "addon_cutoff_days": 30,
        "lock_price": True,
        "discounts": "purchase_and_renewal",
        "on_account": "purchase_and_renewal",
        "grace_days": 0,
    }


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(BadPolicy) as refused:
        preset("strict", Interval.YEAR, 1)
    assert refused.value.data["allowed"] == ["flexible", "term"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"increase": "full_price"}, "plan_change"),
        ({"increase": "full_price", "plan_change": "renewal_window", "decrease": "now"}, "decrease"),
        ({"pack_size": 0}, "pack_size"),
        ({"min_seats": 0}, "min_seats"),
        ({"pack_size": 5, "min_seats": 7}, "min_seats"),
        ({"min_seats": 5, "max_seats": 4}, "max_seats"),
        ({"grace_days": -1}, "grace_days"),
        ({"features": ["x" * 501]}, "features"),
    ],
)
def test_what_would_charge_twice_or_cannot_be_sold_is_refused(changes, field):
    with pytest.raises(BadPolicy) as refused:
        with_fields(FLEXIBLE, changes)
    assert refused.value.data["field"] == field
    assert refused.value.hint


def test_the_hint_for_a_wrong_least_quantity_is_one_that_works():
    with pytest.raises(BadPolicy) as refused:
        with_fields(FLEXIBLE, {"pack_size": 5, "min_seats": 7})
    name, _, value = refused.value.hint.removeprefix("use --set ").partition("=")
    assert with_fields(FLEXIBLE, {"pack_size": 5, name: value}).min_seats == 10


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_seats", "none", None),
        ("max_seats", "", None),
        ("max_seats", "50", 50),
        ("lock_price", "yes", True),
        ("lock_price", "True", True),
        ("lock_price", "no", False),
        ("lock_price", False, False),
        ("features", "meetings, recordings", ("meetings", "recordings")),
        ("features", "none", ()),
        ("features", "", ()),
        ("sign_in_url", "none", None),
        ("sign_in_url", "https://example.com", "https://example.com"),
        ("grace_days", " 14 ", 14),
        ("increase", "prorate_next_invoice", Increase.PRORATE_NEXT_INVOICE),
    ],
)
def test_a_field_is_read_from_text(name, text, value):
    assert getattr(with_fields(FLEXIBLE, {name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pack_size", "many"),
        ("pack_size", "1.5"),
        ("pack_size", "٥"),
        ("pack_size", True),
        ("pack_size", "9" * 5000),
        ("grace_days", "1000000"),
        ("lock_price", "maybe"),
        ("increase", "later"),
        ("sign_in_url", "javascript:alert(1)"),
        ("sign_in_url", "https://example.com/a b"),
        ("support_contact", "help@example.com\r\nBcc: all@example.com"),
        ("support_contact", "9" * 201),
        ("sign_in_url", "https://example.com\r\nX: y"),
        ("grace_day", "3"),
    ],
)
def test_a_field_that_cannot_be_names_itself(name, text):
    with pytest.raises(BadPolicy) as refused:
        with_fields(FLEXIBLE, {name: text})
    assert refused.value.data["field"] == name


def test_an_unknown_field_offers_the_nearest():
    with pytest.raises(BadPolicy) as refused:
        with_fields(FLEXIBLE, {"grace_day": "3"})
    assert "grace_days" in refused.value.hint


def test_metadata_without_a_policy_is_no_policy():
    assert from_metadata({}) is None
    assert from_metadata({"seatctl_plan": "pro"}) is None
    assert from_metadata({"seatctl_policy_grace_days": "3"}) == with_fields(FLEXIBLE, {"grace_days": 3})


def test_the_sentences_tell_the_term_contract():
    told = " ".join(sentences(TERM))
    for part in (
        "in packs of 5",
        "full price of the term",
        "last 30 days",
        "It ends unless it is renewed by hand",
    ):
        assert part in told, part
    assert "added seats are paid by card" in told
    assert "stop being usable at once" in told
