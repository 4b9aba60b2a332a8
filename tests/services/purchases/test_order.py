"""`subs buy`: what it asks, what it refuses, what it writes."""

from __future__ import annotations

import pytest

from tests.support.both_sides import assert_agree, charges, contents, live_subscriptions, objects
from tests.support.subscriptions import ledger_place, query
from tests.support.words import instead

ORDER = "subs buy --plan pro --seats 3 --name lab --owner lee@example.com --billing-email pay@example.com"
BUY = (*ORDER.split(), "--payment-method", "pm_card_visa")


def refused(seatctl, *argv) -> tuple[int, str]:
    result = seatctl(*argv, "-o", "json")
    assert result.out == ""
    return result.code, result.error["code"]


def test_a_purchase_can_be_used_at_once(sandbox, pro):
    bought = sandbox(*BUY, "--yes", "-o", "json")
    (row,) = bought.rows
    assert (row["name"], row["seats"], row["assigned"], row["status"]) == ("lab", 3, 0, "active")
    assert sandbox("seats", "assign", "lab", "lee@example.com").code == 0
    assert sandbox("check", "lee@example.com").code == 0
    assert charges(sandbox) == [3600]


def test_the_owner_becomes_a_user_and_owns(sandbox, pro):
    assert sandbox(*BUY, "--yes").code == 0
    assert sandbox.rows("subs", "list")[0]["owner"] == "lee@example.com"
    assert "lee@example.com" in [row["email"] for row in sandbox.rows("users", "list")]


def test_what_a_ledger_needs_to_be_rebuilt_stands_in_stripe(sandbox, pro):
    assert sandbox(*BUY, "--yes", "--request-id", "po-1", "--billing-name", "Acme GmbH").code == 0
    (subscription,) = objects(sandbox, "subscription")
    (customer,) = objects(sandbox, "customer")
    ((ledger_id,),) = query(ledger_place(sandbox), "SELECT value FROM meta WHERE key = 'ledger_id'")
    metadata = subscription["metadata"]
    assert {
        key: metadata[f"seatctl_{key}"] for key in ("name", "owner", "ledger", "request", "policy_grace_days")
    } == {
        "name": "lab",
        "owner": "lee@example.com",
        "ledger": ledger_id,
        "request": "po-1",
        "policy_grace_days": "7",
    }
    assert customer["metadata"]["seatctl_operation"] == metadata["seatctl_operation"]
    assert (customer["email"], customer["name"]) == ("pay@example.com", "Acme GmbH")


def test_a_term_that_is_renewed_by_hand_ends_by_itself(sandbox):
    terms = "--price 100 --currency eur --interval year --policy term"
    assert sandbox("plans", "add", "contract", *terms.split()).code == 0
    assert sandbox(*instead(BUY, "--plan", "contract", "--seats", "5"), "--yes").code == 0
    (subscription,) = objects(sandbox, "subscription")
    assert subscription["cancel_at_period_end"] is True
    (row,) = sandbox.rows("subs", "list")
    assert (row["ends"], charges(sandbox)) == (True, [50000])
    shown = sandbox("subs", "show", "lab").out
    assert "unless it is renewed" in shown


def test_several_subscriptions_of_one_payer(sandbox, team):
    bought = sandbox("subs", "buy", "--plan=pro", "--seats=2", "--name=lab", "--bill-to", "DESIGN", "--yes")
    assert bought.code == 0, bought.err
    assert len(objects(sandbox, "customer")) == 1
    assert {one["customer"] for one in objects(sandbox, "subscription")} == {
        objects(sandbox, "customer")[0]["id"]
    }
    assert charges(sandbox) == [6000, 2400]
    assert_agree(sandbox)


# Asking -----------------------------------------------------------------------------------------------


def test_on_a_terminal_four_steps_are_asked(sandbox, pro):
    answers = "pro\n4\natelier\npay@example.com\npm_card_visa\ny\n"
    bought = sandbox("subs", "buy", stdin=answers, tty=True)
    assert bought.code == 0, bought.err
    for question in (
        "Plan [",
        "Seats [",
        "Name of the subscription:",
        "E-mail for invoices:",
        "Card (pm_",
        "Buy 4 seats of pro as atelier?",
    ):
        assert question in bought.err, question
    assert "Stripe will charge 48.00 USD now" in bought.err
    assert charges(sandbox) == [4800]


def test_the_only_plan_and_its_least_quantity_are_offered(sandbox):
    added = sandbox(
        "plans",
        "add",
        "packs",
        "--price=1",
        "--currency=eur",
        "--set",
        "pack_size=5",
        "--set",
        "min_seats=10",
    )
    assert added.code == 0, added.err
    bought = sandbox("subs", "buy", stdin="\n\natelier\npay@example.com\npm_card_visa\nyes\n", tty=True)
    assert bought.code == 0, bought.err
    assert sandbox.rows("subs", "list")[0]["seats"] == 10


def test_a_wrong_answer_is_asked_for_again_and_no_other_is_lost(sandbox, team):
    answers = (
        "prp\npro\nmany\n4\ndesign\natelier\nnobody\npay@example.com\n4242424242424242\npm_card_visa\ny\n"
    )
    bought = sandbox("subs", "buy", stdin=answers, tty=True)
    assert bought.code == 0, bought.err
    for reason in (
        "there is no plan 'prp'",
        "'many' is not a number",
        "already a subscription design",
        "'nobody': ",
        "card numbers are not accepted",
    ):
        assert reason in bought.err, reason
    assert "4242" not in bought.err
    assert sorted(row["name"] for row in sandbox.rows("subs", "list")) == ["atelier", "design"]


def test_who_gives_up_after_a_wrong_answer_has_bought_nothing(sandbox, pro):
    left = sandbox("subs", "buy", stdin="pro\nmany\n", tty=True)
    assert (left.code, charges(sandbox)) == (130, [])


def test_with_no_plan_nothing_is_asked(sandbox):
    told = sandbox("subs", "buy", tty=True)
    assert (told.code, "seatctl plans add" in told.err) == (9, True)


def test_a_subscriptions_name_in_place_of_a_card_charges_its_card(sandbox, team):
    bought = sandbox("subs", "buy", stdin="pro\n1\nlab\npay@example.com\ndesign\ny\n", tty=True)
    assert bought.code == 0, bought.err
    assert len(objects(sandbox, "customer")) == 1


@pytest.mark.parametrize("answer", ["n", "", "no", "maybe"])
def test_anything_but_yes_buys_nothing(sandbox, pro, answer):
    before = contents(sandbox)
    told = sandbox(*BUY, stdin=f"{answer}\n", tty=True)
    assert (told.code, told.out) == (4, "")
    assert "not confirmed; nothing was changed" in told.err
    assert contents(sandbox) == before


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (("subs", "buy"), "--plan"),
        (("subs", "buy", "--plan", "pro"), "--seats"),
        (("subs", "buy", "--plan", "pro", "--seats", "3"), "--name"),
        (("subs", "buy", "--plan", "pro", "--seats", "3", "--name", "lab"), "--payment-method"),
        (BUY, "--yes"),
    ],
)
def test_without_a_terminal_the_missing_flag_is_named(sandbox, pro, argv, flag):
    missing = sandbox(*argv, "-o", "json")
    assert (missing.code, missing.error["flag"]) == (2, flag)
    assert flag in missing.error["message"]
    assert charges(sandbox) == []


def test_no_input_asks_nothing_on_a_terminal_either(sandbox, pro):
    told = sandbox("subs", "buy", "--no-input", tty=True)
    assert (told.code, "--plan, --seats, --name and --payment-method are required" in told.err) == (2, True)


# Limits -----------------------------------------------------------------------------------------------


def test_max_spend_is_what_stripe_would_charge_now(sandbox, pro):
    stopped = sandbox(*BUY, "--yes", "--max-spend", "35.99", "-o", "json")
    assert (stopped.code, stopped.error["code"]) == (4, "max_spend_exceeded")
    assert (stopped.error["due_now"], stopped.error["max_spend"], stopped.error["currency"]) == (
        3600,
        3599,
        "usd",
    )
    assert stopped.error["hint"] == "use --max-spend 36.00 to allow it"
    assert objects(sandbox, "customer") == charges(sandbox) == []
    assert sandbox(*BUY, "--yes", "--max-spend", "36").code == 0


def test_a_dry_run_writes_nothing_anywhere(sandbox, pro):
    before = contents(sandbox)
    for argv in (
        BUY,
        ("plans", "add", "eu", "--price", "9", "--currency", "eur"),
        ("plans", "edit", "pro", "--price", "14"),
        ("plans", "archive", "pro"),
        ("sync",),
    ):
        told = sandbox(*argv, "--dry-run", "-o", "json")
        assert (told.code, told.json["run"], told.json["dry_run"]) == (0, None, True), argv
        assert told.json["summary"].startswith("would "), argv
    assert contents(sandbox) == before


def test_a_dry_run_says_what_stripe_would_charge(sandbox, pro):
    (row,) = sandbox(*BUY, "--dry-run", "-o", "json").rows
    assert (row["name"], row["seats"], row["unit_amount"], row["due_now"], row["currency"]) == (
        "lab",
        3,
        1200,
        3600,
        "usd",
    )


def test_a_dry_run_of_what_would_be_refused_is_refused(sandbox, pro):
    assert refused(sandbox, *BUY, "--dry-run", "--max-spend", "1") == (4, "max_spend_exceeded")
    assert refused(sandbox, *instead(BUY, "--plan", "nope"), "--dry-run") == (9, "unknown_plan")


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (("--plan", "prp"), 9, "unknown_plan"),
        (("--name", "-lab"), 3, "bad_name"),
        (("--name", "l\x1bab"), 3, "bad_name"),
        (("--name", "sub_123"), 3, "bad_name"),
        (("--owner", "lee"), 2, "usage"),
        (("--billing-email", "pay@"), 2, "usage"),
        (("--payment-method", "4242 4242 4242 4242"), 2, "bad_payment_method"),
        (("--payment-method", "4242424242424242"), 2, "bad_payment_method"),
        (("--payment-method", "cus_1"), 2, "bad_payment_method"),
        (("--max-spend", "a lot"), 3, "bad_amount"),
        (("--request-id", "k" * 201), 3, "bad_name"),
        (("--seats", "99999999999999999999"), 4, "too_many_seats"),
        (("--seats", "0"), 2, "usage"),
        (("--bill-to", "nobody"), 2, "usage"),
    ],
)
def test_what_cannot_be_bought_is_refused_before_anything_is_written(sandbox, pro, options, code, error):
    before = contents(sandbox)
    assert refused(sandbox, *instead(BUY, *options), "--yes") == (code, error)
    assert contents(sandbox) == before


def test_a_card_number_is_never_repeated(sandbox, pro):
    told = sandbox(*ORDER.split(), "--yes", "--payment-method", "4242424242424242")
    assert "4242" not in told.out + told.err
    assert "card numbers are not accepted" in told.err
    assert query(ledger_place(sandbox), "SELECT count(*) FROM runs WHERE command LIKE '%4242%'") == [(0,)]


def test_bill_to_someone_unknown_names_the_nearest(sandbox, team):
    told = sandbox(
        "subs", "buy", "--plan=pro", "--seats=1", "--name=x", "--bill-to", "desing", "--yes", "-o", "json"
    )
    assert (told.code, told.error["code"]) == (9, "unknown_subscription")
    assert "design" in told.error["hint"]


@pytest.mark.parametrize(
    ("seats", "error", "possible"),
    [(3, "too_few_seats", 10), (12, "pack_size", 15), (40, "too_many_seats", 30), (1, "too_few_seats", 10)],
)
def test_the_policy_limits_quantities_and_names_the_nearest(sandbox, seats, error, possible):
    policy = ("--set=pack_size=5", "--set=min_seats=10", "--set=max_seats=33")
    assert sandbox("plans", "add", "packs", "--price=1", "--currency=eur", *policy).code == 0
    told = sandbox(*instead(BUY, "--plan", "packs", "--seats", str(seats)), "--yes", "-o", "json")
    assert (told.code, told.error["code"], told.error["possible"]) == (4, error, possible)
    assert told.error["hint"] == f"use --seats {possible}"
    assert charges(sandbox) == []


def test_an_archived_plan_is_not_sold(sandbox, pro):
    assert sandbox("plans", "archive", "pro").code == 0
    assert refused(sandbox, *BUY, "--yes") == (4, "plan_archived")


def test_who_may_not_buy_buys_nothing(sandbox, pro):
    assert sandbox("users", "add", "kim@example.com").code == 0
    assert refused(sandbox, *BUY, "--yes", "--as", "kim@example.com") == (8, "not_allowed")
    assert live_subscriptions(sandbox) == []


def test_typed_names_are_data(sandbox, pro):
    name = "=cmd|' /C calc'!A0 [red]x[/red]"
    assert sandbox(*instead(BUY, "--name", name), "--yes").code == 0
    assert sandbox("subs", "list", "-o", "csv").out.splitlines()[1].startswith("'=cmd")
    assert "[red]x[/red]" in sandbox("subs", "list", tty=True, env={"COLUMNS": "300"}).out
    assert sandbox("subs", "show", name, "-o", "json").json["name"] == name
