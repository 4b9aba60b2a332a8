"""`seats apply --buy-shortfall`: missing seats are shown, priced, bought in packs and reserved."""

import json
import re

import pytest


def seated(seatctl, name="design"):
    return sorted(row["email"] for row in seatctl.rows("seats", "list", name))


@pytest.fixture
def packs(sandbox, tmp_path):
    """A year's contract in packs of five at 5.00: 30 seats, nine taken, and a file of 37 people."""
    plan = "plans add yr --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    words = "subs buy --plan yr --seats 30 --name design --owner ann@example.com --yes"
    pay = ("--billing-email", "pay@example.com", "--payment-method", "pm_card_visa")
    assert sandbox(*words.split(), *pay).code == 0
    file = tmp_path / "people.csv"
    people = [f"p{n}@example.com\n" for n in range(37)]
    file.write_text("email\n" + "".join(people[:9]))
    assert sandbox("seats", "apply", file, "-s", "design", "--create-users").code == 0
    file.write_text("email\n" + "".join(people))
    return file


SENTENCE = "design: 37 rows: 9 seated, 28 new, 21 free, short 7 → 2 packs = 10 seats, 50.00 USD"


def test_what_is_short_is_bought_in_packs_after_it_was_shown(sandbox, packs):
    words = ("seats", "apply", packs, "-s", "design", "--create-users", "--buy-shortfall")
    assert SENTENCE in sandbox(*words, "--dry-run").err
    assert sandbox(*words, "--max-spend", "40.00", "--yes").code == 4
    assert sandbox.rows("subs", "list")[0]["seats"] == 30
    refused = sandbox(*words)
    assert (refused.code, "--yes is required" in refused.err) == (2, True)
    done = sandbox(*words, "--max-spend", "60.00", "--yes", "-o", "json")
    assert done.code == 0
    bought = done.json["purchases"][0]
    assert (bought["seats"], bought["due_now"], bought["currency"]) == (10, 5000, "usd")
    assert len(sandbox.rows("seats", "list", "design")) == 37
    again = sandbox(*words, "--max-spend", "60.00", "--yes", "-o", "json")
    assert (again.code, again.json["summary"]) == (0, "nothing to do")
    assert sandbox.rows("subs", "list")[0]["seats"] == 40


def test_seats_that_the_next_invoice_charges_are_not_told_as_free(sandbox, tmp_path):
    plan = "plans add later --price 5.00 --currency usd --set increase=prorate_next_invoice"
    assert sandbox(*plan.split()).code == 0
    words = "subs buy --plan later --seats 1 --name design --yes --billing-email pay@example.com"
    assert sandbox(*words.split(), "--payment-method", "pm_card_visa").code == 0
    apply = ("seats", "apply", "-", "-s", "design", "--create-users", "--buy-shortfall")
    shown = sandbox(*apply, "--dry-run", stdin="email\na@example.com\nb@example.com\n").err
    assert "short 1 → 1 seat, 0.00 USD now; the seats are charged with the next invoice, prorated" in shown


def test_a_plan_that_buys_is_saved_with_its_limit(sandbox, packs, tmp_path):
    plan = tmp_path / "plan.jsonl"
    words = ("seats", "apply", packs, "-s", "design", "--create-users", "--buy-shortfall")
    assert sandbox(*words, "--max-spend", "60.00", "--save", plan).code == 0
    assert json.loads(plan.read_text().splitlines()[0])["max_spend"] == "60.00"
    assert sandbox("seats", "apply", "--saved", plan, "--yes").code == 0
    assert len(sandbox.rows("seats", "list", "design")) == 37


def test_a_declined_card_seats_nobody(sandbox, packs):
    words = ("seats", "apply", packs, "-s", "design", "--create-users", "--buy-shortfall", "--yes")
    customer = ("subs", "billing", "design", "--payment-method", "pm_card_chargeCustomerFail", "--yes")
    assert sandbox(*customer).code == 0
    assert sandbox(*words, "-o", "json").code == 5
    assert len(sandbox.rows("seats", "list", "design")) == 9


def test_where_the_bank_asks_nobody_is_seated_until_it_is_paid(sandbox, packs):
    card = ("subs", "billing", "design", "--payment-method", "pm_card_authenticationRequired", "--yes")
    assert sandbox(*card).code == 0
    words = ("seats", "apply", packs, "-s", "design", "--create-users", "--buy-shortfall", "--yes")
    for _ in range(2):
        waiting = sandbox(*words, "-o", "json")
        assert (waiting.code, waiting.error["code"]) == (10, "authentication_required")
    assert len(sandbox.rows("seats", "list", "design")) == 9
    run = sandbox.rows("runs", "list", "--state", "pending")[0]
    assert run["summary"] == f"waits: {waiting.error['message']}"
    called = sandbox("runs", "show", run["number"], "-o", "tsv").out.splitlines()
    assert called[0].split("\t")[:3] == ["step", "attempt", "call"]
    assert len(called) > 1
    page = re.search(r"https://\S+", waiting.error["message"])
    assert sandbox("sandbox", "authenticate", page[0]).code == 0
    assert sandbox(*words).code == 0
    assert len(sandbox.rows("seats", "list", "design")) == 37
    assert sandbox.rows("subs", "list")[0]["seats"] == 40


def test_what_was_bought_for_a_file_does_not_go_to_the_waitlist(sandbox, team, tmp_path):
    """The purchase ends before the people of the file are seated: the waitlist must not get the seats."""
    words = ("users", "add", *(f"p{n}@example.com" for n in range(8)))
    assert sandbox(*words).code == 0
    assert sandbox("seats", "assign", team, *(f"p{n}@example.com" for n in range(5))).code == 0
    assert sandbox("config", "auto-approve", team, "on").code == 0
    assert sandbox("requests", "create", "p5@example.com", "-s", team).code == 10
    apply = ("seats", "apply", "-", "-s", team, "--buy-shortfall", "--max-spend", "50.00", "--yes")
    done = sandbox(*apply, "-o", "json", stdin="email\np6@example.com\np7@example.com\n")
    assert done.code == 0, done.err
    bought = done.json["purchases"][0]
    assert f"run {bought['run']} bought 2 seats of design" in done.json["summary"]
    assert {"p6@example.com", "p7@example.com"} <= set(seated(sandbox))
    assert sandbox.rows("requests", "list")[0]["status"] == "waitlisted"


def test_what_is_left_of_a_bought_pack_goes_to_the_waitlist(sandbox, packs):
    people = packs.read_text().split()
    assert sandbox("seats", "assign", "design", *people[10:31], "--create-users").code == 0
    assert sandbox("users", "add", "zoe@example.com").code == 0
    assert sandbox("config", "auto-approve", "design", "on").code == 0
    assert sandbox("requests", "create", "zoe@example.com", "-s", "design").code == 10
    words = ("seats", "apply", packs, "-s", "design", "--create-users", "--buy-shortfall", "--yes")
    assert sandbox(*words).code == 0
    assert {*people[1:], "zoe@example.com"} == set(seated(sandbox))


def test_who_may_not_bring_the_state_about_buys_nothing_for_it(sandbox, team, tmp_path):
    """An owner may buy and assign seats, but may not add users."""
    owner = ("subs", "transfer", team, "bob@example.com")
    assert sandbox("users", "add", "bob@example.com").code == 0
    assert sandbox(*owner, "--yes").code == 0
    rows = "email\n" + "".join(f"p{n}@example.com\n" for n in range(7))
    words = ("seats", "apply", "-", "-s", team, "--create-users", "--buy-shortfall", "--yes", "-o", "json")
    refused = sandbox("--as", "bob@example.com", *words, stdin=rows)
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")
    assert sandbox.rows("subs", "list")[0]["seats"] == 5
