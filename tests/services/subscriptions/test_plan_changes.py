"""What a change of plan brings: the features and rules of the new plan, when what was paid for begins."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.support.both_sides import objects, twin
from tests.support.office import (
    RENEWED,
    change_card,
    done,
    freeze,
    is_sound,
    refused,
    subs_row,
    until,
)

CARD = "--owner ann@example.com --billing-email pay@example.com --payment-method pm_card_visa"


@pytest.fixture
def granted(sandbox):
    """`d`: ten seats of `small`, which grants exports; `large` grants reports too, in packs of 5."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    for slug, price, more in (
        ("small", "10.00", "--set features=export"),
        ("large", "20.00", "--set features=export,reports --set pack_size=5 --set min_seats=5"),
        ("yearly", "10.00", "--interval year --policy term --set features=export"),
        ("yearly-large", "20.00", "--interval year --policy term --set features=export,reports"),
    ):
        done(sandbox, f"plans add {slug} --price {price} --currency usd {more}")
    done(sandbox, f"subs buy --plan small --seats 10 --name d {CARD}")
    done(sandbox, "seats assign d ann@example.com")
    return sandbox


def reports(seatctl) -> bool:
    code = seatctl("check", "ann@example.com", "--feature", "reports").code
    assert code in {0, 7}
    return code == 0


def test_an_upgrade_grants_what_was_paid_for_at_once(granted):
    done(granted, "subs change-plan d large")
    assert reports(granted)
    assert refused(granted, "subs add-seats d 1")["code"] == "pack_size"
    done(granted, "subs change-plan d small")
    assert not reports(granted)
    done(granted, "subs add-seats d 1")
    is_sound(granted)


def test_an_upgrade_after_the_bank_was_asked_grants_it_too(granted):
    change_card(granted, "pay@example.com", "pm_card_threeDSecure2Required")
    assert granted("subs", "change-plan", "d", "large", "--yes").code == 10
    assert not reports(granted)
    with twin(granted) as stripe:
        (invoice,) = [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]
        control.authenticate(stripe, invoice)
    assert granted("sync").code == 0
    assert reports(granted)


def test_a_plan_change_that_waits_brings_its_terms_with_its_term(granted):
    done(granted, "subs change-plan d large --at-renewal")
    assert not reports(granted)
    assert refused(granted, "subs add-seats d 1")["code"] == "pack_size"  # the next term would hold eleven
    done(granted, "subs set-seats d 5")
    assert not reports(granted)
    until(granted, RENEWED)
    assert (reports(granted), subs_row(granted, "d")["seats"]) == (True, 5)
    is_sound(granted)


def test_a_plan_change_taken_back_leaves_the_terms_that_were(granted):
    done(granted, "subs change-plan d large --at-renewal")
    done(granted, "subs change-plan d small --at-renewal")
    assert done(granted, "subs add-seats d 1")["seats"] == 11
    until(granted, RENEWED)
    assert not reports(granted)
    assert all(not text for key, text in kept(granted).items() if "paid" in key)


def kept(seatctl) -> dict[str, str]:
    return objects(seatctl, "subscription")[0]["metadata"]


@pytest.mark.parametrize(
    ("first", "then", "before", "after"),
    [("yearly", "yearly-large", False, True), ("yearly-large", "yearly", True, False)],
)
def test_a_paid_renewal_changes_what_seats_grant_when_its_term_begins(granted, first, then, before, after):
    done(granted, "seats revoke d ann@example.com")
    done(granted, f"subs buy --plan {first} --seats 10 --name y {CARD}")
    done(granted, "seats assign y ann@example.com")
    until(granted, "2041-05-10T00:00:00Z")
    done(granted, f"subs renew y --plan {then}")
    assert reports(granted) is before
    done(granted, "subs add-seats y 5")
    assert reports(granted) is before
    until(granted, "2041-06-02T00:00:00Z")
    assert reports(granted) is after


def test_a_decrease_brings_no_terms_back_that_have_ended(granted):
    """The plan changed with the renewal; what was kept of the old one until then is over."""
    done(granted, "subs change-plan d large --at-renewal")
    until(granted, RENEWED)
    assert reports(granted)
    done(granted, "subs set-seats d 5")
    assert reports(granted)
    assert granted("subs", "show", "d", "-o", "json").json["policy"]["pack_size"] == 5
    assert refused(granted, "subs add-seats d 1")["code"] == "pack_size"
    is_sound(granted)


def test_a_decrease_leaves_the_terms_that_still_hold(granted):
    done(granted, "subs change-plan d large --at-renewal")
    done(granted, "subs set-seats d 5")
    assert not reports(granted)
    done(granted, "subs set-seats d 10")
    assert not reports(granted)
