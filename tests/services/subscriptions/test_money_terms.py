"""What is asked for is what is charged: on account or by card, at which price, once."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import charges, objects, twin
from tests.support.office import (
    RENEWED,
    TEN_DAYS_LEFT,
    done,
    freeze,
    is_sound,
    open_office,
    refused,
    subs_row,
    until,
)

BEGIN, IN_WINDOW = "2041-01-01T00:00:00Z", "2041-12-10T00:00:00Z"
BUY = "--owner ann@example.com --billing-email pay@example.com"
CARD = f"{BUY} --payment-method pm_card_visa"


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


def contract(seatctl, *options: str, policy: str = "term"):
    """`acme`: 20 seats of 6.00 for a year of 365 days, 120.00 charged, under a policy with these fields."""
    freeze(seatctl, BEGIN)
    fields = " ".join(f"--set {option}" for option in options)
    done(seatctl, f"plans add pack --price 6.00 --currency usd --interval year --policy {policy} {fields}")
    done(seatctl, f"subs buy --plan pack --seats 20 --name acme {CARD}")
    return seatctl


def coupon(seatctl, **terms) -> None:
    with twin(seatctl) as stripe:
        send(stripe, "coupons", terms)


# By card or on account --------------------------------------------------------------------------------


def test_seats_wanted_on_account_are_never_charged_to_the_card(office):
    error = refused(office, "subs add-seats design 1 --on-account")
    assert (error["code"], subs_row(office)["seats"]) == ("card_required", 2)
    assert error["message"].startswith("design is paid by card")


def test_seats_added_on_account_are_invoiced_and_the_question_says_so(office):
    done(office, f"subs buy --plan basic --seats 4 --name acc {BUY} --on-account")
    asked = office("subs", "add-seats", "acc", "1", "--on-account", stdin="no\n", tty=True)
    assert "Stripe will invoice 10.00 USD, to be paid on account." in asked.err
    assert "charge" not in asked.err
    added = office("subs", "add-seats", "acc", "1", "--on-account", "--yes", "-o", "json").json
    assert "over 10.00 USD is due 2040-07-01" in added["summary"]
    assert (added["rows"][0]["amount_due"], added["rows"][0]["amount_paid"]) == (1000, 0)
    owed = [one["total"] for one in office.rows("invoices", "list", "acc") if one["status"] == "open"]
    assert (owed, charges(office)) == ([1000, 4000], [2000, 10000, 3000])


def test_a_renewal_on_account_asks_for_an_invoice_and_not_for_a_charge(sandbox):
    until(contract(sandbox), IN_WINDOW)
    asked = sandbox("subs", "renew", "acme", "--on-account", stdin="no\n", tty=True)
    assert "Stripe will invoice 120.00 USD, to be paid on account." in asked.err


def test_added_seats_stay_off_the_account_where_the_policy_wants_a_card(office):
    done(
        office,
        "plans add half --price 10.00 --currency usd --policy flexible --set on_account=purchase_and_renewal",
    )
    done(office, f"subs buy --plan half --seats 4 --name acc {BUY} --on-account")
    assert refused(office, "subs add-seats acc 1")["code"] == "card_required"
    assert [one["total"] for one in office.rows("invoices", "list", "acc")] == [4000]


def test_seats_at_full_price_can_be_on_account_where_the_policy_says_so(sandbox):
    contract(sandbox, "on_account=yes")
    row = done(sandbox, "subs add-seats acme 5 --on-account")
    assert (row["amount_paid"], row["seats"], charges(sandbox)) == (0, 25, [12000])
    assert [one["total"] for one in sandbox.rows("invoices", "list", "--unpaid")] == [3000]


# The same request -------------------------------------------------------------------------------------


def test_a_request_id_of_another_subscription_is_refused(office):
    done(office, "subs add-seats design 1 --request-id X")
    assert refused(office, "subs add-seats lab 1 --request-id X")["code"] == "request_id_reused"
    assert (subs_row(office)["seats"], subs_row(office, "lab")["seats"]) == (3, 10)


@pytest.mark.parametrize(
    "command", ["subs renew acme --seats 25", "subs set-seats acme 25", "subs add-seats acme 5"]
)
def test_a_request_that_was_done_is_answered_again_whatever_would_be_said_of_a_new_one(sandbox, command):
    """The window is closed, the most seats are there, the limit is used up: that is about a new one."""
    contract(sandbox, "max_seats=25", "addon_cutoff_days=0")
    until(sandbox, IN_WINDOW)
    done(sandbox, f"{command} --request-id X")
    paid = charges(sandbox)
    words = (*command.split(), "--request-id", "X", "--max-spend", "0.01", "-o", "json", "--yes")
    again = sandbox(*words)
    assert (again.code, again.json["summary"][:12]) == (0, "already done")
    shown = sandbox(*words, "--dry-run").json
    assert re.match(r"run \d+ has already done this: ", shown["summary"])
    assert (shown["dry_run"], [row["result"] for row in shown["rows"]]) == (True, ["unchanged"])
    assert charges(sandbox) == paid


def test_a_decrease_with_a_rule_is_the_same_request_once_its_people_have_gone(sandbox):
    freeze(sandbox, BEGIN)
    done(sandbox, "plans add loose --price 6.00 --currency usd --policy flexible --set decrease=now")
    done(sandbox, f"subs buy --plan loose --seats 4 --name acme {CARD}")
    for person in "abcd":
        done(sandbox, f"users add {person}@example.org")
        done(sandbox, f"seats assign acme {person}@example.org")
    done(sandbox, "subs set-seats acme 2 --revoke newest --request-id X")
    again = sandbox("subs", "set-seats", "acme", "2", "--revoke", "newest", "--request-id", "X", "--yes")
    assert (again.code, len(sandbox.rows("seats", "list", "acme"))) == (0, 2)


# A term that was renewed by hand ----------------------------------------------------------------------


@pytest.mark.parametrize("increase", ["prorate_now", "prorate_next_invoice"])
def test_seats_added_to_a_term_that_was_renewed_by_hand_are_paid_for(sandbox, increase):
    """To Stripe such a term is a trial, in which a proration comes to nothing."""
    contract(sandbox, f"increase={increase}", "pack_size=1", "addon_cutoff_days=0")
    until(sandbox, IN_WINDOW)
    done(sandbox, "subs renew acme")
    # 22 of 365 days of 30.00 are 1.808, and the next term whole.
    assert done(sandbox, "subs add-seats acme 5")["amount_paid"] == 181 + 3000
    until(sandbox, "2042-02-10T00:00:00Z")
    assert (subs_row(sandbox, "acme")["seats"], subs_row(sandbox, "acme")["term_start"]) == (
        25,
        "2042-01-01T00:00:00Z",
    )
    for _ in range(2):  # 325 of 365 days of 12.00 are 10.6849
        assert done(sandbox, "subs add-seats acme 2")["amount_paid"] == 1068
    assert subs_row(sandbox, "acme")["term_start"] == "2042-01-01T00:00:00Z"
    assert charges(sandbox) == [12000, 12000, 3181, 1068, 1068]
    is_sound(sandbox)


def test_the_term_that_runs_keeps_its_beginning_when_seats_are_added(sandbox):
    """A refund counts by it: begun when the renewal was paid, it would be three weeks too long."""
    contract(sandbox)
    until(sandbox, IN_WINDOW)
    done(sandbox, "subs renew acme")
    until(sandbox, "2042-03-01T00:00:00Z")
    done(sandbox, "subs add-seats acme 5")
    done(sandbox, "subs add-seats acme 5")
    assert subs_row(sandbox, "acme")["term_start"] == "2042-01-01T00:00:00Z"
    until(sandbox, "2042-07-02T12:00:00Z")  # the middle of the year
    assert done(sandbox, "subs cancel acme --now --refund")["given_back"] == 6000 + 2 * 1500


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ("--currency eur --policy term", "other_currency"),
        ("--currency usd --policy flexible", "plan_sold_otherwise"),
    ],
)
def test_a_contract_is_renewed_only_into_what_can_go_on(sandbox, plan, code):
    contract(sandbox)
    done(sandbox, f"plans add other --price 6.00 --interval year {plan}")
    until(sandbox, IN_WINDOW)
    assert refused(sandbox, "subs renew acme --plan other")["code"] == code
    assert refused(sandbox, "subs renew acme --plan other --dry-run")["code"] == code
    assert len(objects(sandbox, "invoice")) == 1


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ("--currency eur --policy flexible", "other_currency"),
        (
            "--currency usd --policy term --set addon_cutoff_days=7 --set renewal_window_days=7",
            "plan_sold_otherwise",
        ),
        (
            "--currency usd --policy flexible --set renewal=manual --set renewal_window_days=7",
            "plan_sold_otherwise",
        ),
    ],
)
@pytest.mark.parametrize("when", ["", "--at-renewal"])
def test_a_plan_is_changed_only_to_one_that_is_sold_alike(office, plan, code, when):
    """Else a contract would be had without its terms."""
    done(office, f"plans add other --price 30.00 {plan}")
    assert refused(office, f"subs change-plan lab other {when}")["code"] == code


def test_a_dry_run_of_a_renewal_says_when_the_new_term_ends(sandbox):
    until(contract(sandbox), IN_WINDOW)
    shown = sandbox("subs", "renew", "acme", "--dry-run", "-o", "json").json
    assert shown["summary"] == "would have renewed acme with 20 seats of pack until 2043-01-01"
    assert (shown["rows"][0]["ends_at"], shown["rows"][0]["due_now"]) == ("2043-01-01T00:00:00Z", 12000)
    assert (subs_row(sandbox, "acme")["term_end"], charges(sandbox)) == ("2042-01-01T00:00:00Z", [12000])


# Prices and limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lock", "charged"), [("yes", 3000), ("no", 3500)])
def test_added_seats_cost_what_the_policy_says_after_the_list_price_rose(sandbox, lock, charged):
    contract(sandbox, f"lock_price={lock}")
    done(sandbox, "plans edit pack --price 7.00")
    assert done(sandbox, "subs add-seats acme 5 --dry-run")["due_now"] == charged
    assert done(sandbox, "subs add-seats acme 5")["amount_paid"] == charged


def test_the_next_term_has_the_most_seats_too(sandbox):
    contract(sandbox, "max_seats=40")
    until(sandbox, IN_WINDOW)
    done(sandbox, "subs renew acme --seats 40")
    assert refused(sandbox, "subs add-seats acme 5")["code"] == "too_many_seats"


def test_a_price_without_an_amount_a_seat_is_never_billed_as_nothing(sandbox):
    """Tiered or fractional: the ledger holds 0, and an invoice of ours would ask for 0.00."""
    contract(sandbox)
    mirrored = subs_row(sandbox, "acme")["stripe_subscription"]
    (item,) = objects(sandbox, "subscription_item")
    with twin(sandbox) as stripe:
        product = item["price"]["product"]
        price = send(
            stripe,
            "prices",
            {
                "product": product,
                "currency": "usd",
                "unit_amount_decimal": "600.5",
                "recurring[interval]": "year",
                "lookup_key": "pack",
                "transfer_lookup_key": "true",
            },
        )
        form = {"items[0][id]": item["id"], "items[0][price]": price["id"], "proration_behavior": "none"}
        send(stripe, f"subscriptions/{mirrored}", form)
    assert sandbox("sync", "--full").code == 0
    assert refused(sandbox, "subs add-seats acme 5")["code"] == "no_unit_price"
    until(sandbox, IN_WINDOW)
    assert refused(sandbox, "subs renew acme")["code"] == "no_unit_price"


# What a dry run says of the next invoice --------------------------------------------------------------


def test_the_next_invoice_is_shown_with_the_discount_that_is_given(office):
    coupon(office, id="HALF", percent_off=50, duration="forever")
    until(office, TEN_DAYS_LEFT)
    shown = done(office, "subs add-seats design 1 --coupon HALF --dry-run")
    done(office, "subs add-seats design 1 --coupon HALF")
    until(office, RENEWED)
    assert office.rows("invoices", "list", "design")[0]["total"] == shown["next_invoice"] == 1500


def test_the_next_invoice_is_shown_with_what_is_prorated_until_then(office):
    done(office, "plans add later --price 10.00 --currency usd --set increase=prorate_next_invoice")
    done(office, f"subs buy --plan later --seats 4 --name late {CARD}")
    until(office, TEN_DAYS_LEFT)
    shown = done(office, "subs add-seats late 3 --dry-run")
    assert (shown["due_now"], shown["next_invoice"]) == (0, 8000)  # 70.00, and a third of 30.00
    done(office, "subs add-seats late 3")
    done(office, "subs set-seats late 6")
    shown = done(office, "subs add-seats late 3 --dry-run")
    done(office, "subs add-seats late 3")
    until(office, RENEWED)
    assert office.rows("invoices", "list", "late")[0]["total"] == shown["next_invoice"] == 9000 + 2000


# Who goes ---------------------------------------------------------------------------------------------


def test_people_of_the_file_who_do_not_sit_there_are_told(office, tmp_path):
    for person in "abcd":
        done(office, f"users add {person}@example.org")
    for person in "ab":
        done(office, f"seats assign lab {person}@example.org")
    leavers = tmp_path / "leavers.csv"
    leavers.write_text("email\nb@example.org\nc@example.org\nd@example.org\n")
    for more in (" --dry-run", ""):
        told = office(*f"subs set-seats lab 1 --revoke-from {leavers}{more} --yes -o json".split()).json
        assert told["summary"].endswith("; c@example.org, d@example.org have no seat in it")
        assert told["rows"][0]["not_seated"] == ["c@example.org", "d@example.org"]


def test_a_contract_of_the_31st_ends_with_every_month(sandbox):
    freeze(sandbox, "2041-01-31T00:00:00Z")
    days = "--set addon_cutoff_days=7 --set renewal_window_days=14"
    done(sandbox, f"plans add month --price 6.00 --currency usd --policy term {days}")
    done(sandbox, f"subs buy --plan month --seats 5 --name acme {CARD}")
    ends = []
    for day in ("2041-02-20", "2041-03-20", "2041-04-20"):
        until(sandbox, f"{day}T00:00:00Z")
        done(sandbox, "subs renew acme")
        ends.append(objects(sandbox, "subscription")[0]["trial_end"])
    assert [datetime.fromtimestamp(end, UTC).strftime("%m-%d") for end in ends] == ["03-31", "04-30", "05-31"]
