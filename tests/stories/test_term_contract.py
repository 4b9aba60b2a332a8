"""The term contract, whole, on the sandbox's clock: packs of 5, 5.00 a seat and year, renewed by hand."""

from __future__ import annotations

import json

import pytest

from tests.support.both_sides import charges, fail, live_subscriptions, objects

BUY = (
    "subs buy --plan team --seats 20 --name acme --owner ann@example.com"
    " --billing-email pay@example.com --payment-method pm_card_visa --yes"
)


@pytest.fixture
def acme(sandbox):
    """A contract of 20 seats for a year, bought just now; 100.00 was charged."""
    plan = "plans add {} --price {} --currency usd --interval year --policy term"
    for slug, price in (("team", "5.00"), ("team-plus", "7.00")):
        assert sandbox(*plan.format(slug, price).split()).code == 0
    assert sandbox(*BUY.split()).code == 0
    assert charges(sandbox) == [10000]
    return sandbox


def subs_row(seatctl) -> dict:
    return next(row for row in seatctl.rows("subs", "list") if row["name"] == "acme")


def pass_days(seatctl, days: int) -> None:
    assert seatctl("sandbox", "advance", f"{days}d").code == 0


def refused(seatctl, command: str) -> dict:
    """The error of a command that the policy refuses, and that charges nothing."""
    before = charges(seatctl)
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert (result.code, result.out) == (4, ""), result
    assert charges(seatctl) == before
    return json.loads(result.err)["error"]


def done(seatctl, command: str) -> dict:
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert result.code == 0, result.err
    return result.json["rows"][0] if result.json["rows"] else {}


def day(seatctl, days_before_end: int = 0) -> str:
    """The date so many days before the present term's end."""
    from datetime import date, timedelta

    end = date.fromisoformat(subs_row(seatctl)["term_end"][:10])
    return str(end - timedelta(days=days_before_end))


def test_the_term_contract(acme):
    first_end = subs_row(acme)["term_end"]

    # Inside the term: packs of five, at the price it began with, usable at once.
    assert refused(acme, "subs add-seats acme 3")["code"] == "pack_size"
    pass_days(acme, 100)
    added = done(acme, "subs add-seats acme 5")
    assert (added["seats"], added["amount_paid"]) == (25, 2500)
    assert charges(acme) == [10000, 2500]
    assert (subs_row(acme)["seats"], subs_row(acme)["term_end"]) == (25, first_end)
    assert done(acme, "plans edit team --price 6.00") is not None
    assert done(acme, "subs add-seats acme 5")["amount_paid"] == 2500
    assert charges(acme) == [10000, 2500, 2500]
    assert [line["proration"] for line in invoice_lines(acme)] == [False] * 3

    # What the contract does not allow inside the term, each with the date from which it does.
    window = day(acme, 30)
    for command, code, since in (
        ("subs add-seats acme 5 --coupon any", "discount_not_allowed", window),
        ("subs add-seats acme 5 --on-account", "card_required", window),
        ("subs change-plan acme team-plus", "plan_locked", window),
        ("subs set-seats acme 20", "not_in_renewal_window", window),
        ("subs renew acme", "not_in_renewal_window", window),
    ):
        error = refused(acme, command)
        assert (command, error["code"], error["allowed_from"][:10]) == (command, code, since)
        assert since in error["message"]
        assert subs_row(acme)["seats"] == 30

    # In the last thirty days no seats are added; the renewal is named, and made.
    pass_days(acme, 240)
    error = refused(acme, "subs add-seats acme 5")
    assert error["code"] == "addon_window_closed"
    assert "seatctl subs renew acme --seats 35" in error["hint"]
    renewed = done(acme, "subs renew acme --seats 40 --plan team-plus")
    assert renewed["amount_paid"] == 28000
    assert charges(acme) == [10000, 2500, 2500, 28000]
    assert (subs_row(acme)["seats"], subs_row(acme)["plan"], subs_row(acme)["status"]) == (30, "team", "paid")
    assert subs_row(acme)["term_end"] == first_end

    # The renewal is paid: what it decided stays decided until the next window.
    next_window = f"{int(window[:4]) + 1}"
    for command in ("subs renew acme --seats 20", "subs set-seats acme 20", "subs change-plan acme team"):
        error = refused(acme, command)
        assert (error["code"], error["allowed_from"][:4]) == ("already_renewed", next_window)

    # Seats added now are usable now, and are paid once, for the new term at its price.
    added = done(acme, "subs add-seats acme 5")
    assert (added["seats"], added["next_seats"], added["amount_paid"]) == (35, 45, 3500)
    assert (subs_row(acme)["seats"], subs_row(acme)["plan"]) == (35, "team")

    # The old term's seats hold until its end; then the new term runs, without another charge.
    paid = [10000, 2500, 2500, 28000, 3500]
    for days, seats, plan in ((20, 35, "team"), (6, 45, "team-plus")):
        pass_days(acme, days)
        assert acme("sync").code == 0
        assert (subs_row(acme)["seats"], subs_row(acme)["plan"], subs_row(acme)["status"]) == (
            seats,
            plan,
            "paid",
        )
        assert charges(acme) == paid
    assert subs_row(acme)["term_end"][:4] == f"{int(first_end[:4]) + 1}"
    assert subs_row(acme)["term_start"] == first_end
    assert done(acme, "subs add-seats acme 5")["amount_paid"] == 3500
    assert charges(acme) == [*paid, 3500]
    assert acme("audit", "verify").code == acme("ledger", "check").code == 0


def invoice_lines(seatctl) -> list[dict]:
    numbers = [row["number"] for row in seatctl.rows("invoices", "list", "acme")]
    return [
        line for number in numbers for line in seatctl("invoices", "show", number, "-o", "json").json["lines"]
    ]


def test_seats_added_to_a_renewed_contract_fall_to_the_next_term_by_themselves(acme):
    """No sync, no change: the ledger alone knows what begins with the new term."""
    pass_days(acme, 340)
    done(acme, "subs renew acme --seats 40")
    pass_days(acme, 26)
    assert subs_row(acme)["seats"] == 40


def test_a_second_renewal_takes_place_in_the_next_window(acme):
    for year, seats in ((1, 20), (2, 15)):
        pass_days(acme, 340 if year == 1 else 365)
        assert acme("sync").code == 0
        done(acme, f"subs renew acme --seats {seats}")
    assert charges(acme) == [10000, 10000, 7500]


@pytest.mark.parametrize("synced", [True, False])
def test_a_contract_that_nobody_renews_ends_and_check_says_so(acme, synced):
    assert acme("seats", "assign", "acme", "ann@example.com").code == 0
    yes = acme("check", "ann@example.com", "-o", "json")
    assert (yes.code, yes.json["entitled"], yes.json["until"]) == (0, True, subs_row(acme)["term_end"])
    pass_days(acme, 366)
    if synced:
        assert acme("sync").code == 0
        assert subs_row(acme)["status"] == "canceled"
    no = acme("check", "ann@example.com", "-o", "json")
    assert (no.code, no.json["entitled"], no.json["reason"]) == (7, False, "ended")
    assert charges(acme) == [10000]
    assert refused(acme, "subs renew acme")["code"] == "subscription_not_running"
    assert refused(acme, "subs add-seats acme 5")["code"] == "subscription_not_running"
    assert [one["status"] for one in objects(acme, "subscription")] == ["canceled"]


def test_a_renewal_that_was_paid_but_never_recorded_begins_the_contract_anew(acme):
    """The answers of Stripe were lost until the contract had ended: what was paid for is still given."""
    pass_days(acme, 364)
    fail(acme, "timeout", times=8, method="POST", path="/v1/subscriptions/")
    assert acme("subs", "renew", "acme", "--seats", "25", "--yes").code == 75
    assert charges(acme) == [10000, 12500]
    pass_days(acme, 2)
    assert acme("sync").code == 0
    assert charges(acme) == [10000, 12500]
    (running,) = live_subscriptions(acme)
    found = subs_row(acme)
    assert (found["stripe_subscription"], found["seats"], found["status"]) == (running["id"], 25, "paid")
    assert acme("audit", "verify").code == acme("ledger", "check").code == 0


def test_the_invoice_of_a_renewed_term_over_nothing_says_what_has_paid_for_it(acme):
    pass_days(acme, 350)
    assert acme("subs", "renew", "acme", "--yes").code == 0
    for _ in ("as the renewal left it", "as a sync reads it"):
        rows = acme.rows("invoices", "list")
        paid = next(row["number"] for row in rows if row["billing_reason"] == "manual")
        notes = {row["total"]: row["note"] for row in rows}
        assert notes == {0: f"this term was paid by {paid}", 10000: None}
        assert acme("sync", "--full").code == 0
