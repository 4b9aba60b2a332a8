"""Wrong usage: a sentence in our words, with what can be typed instead."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (
            "users list --status foo",
            "--status takes active, suspended, removed; not 'foo'",
            "seatctl users list --help",
        ),
        (
            "plans add x --price 1 --currency usd --interval mont",
            "--interval takes day, week, month, year; not 'mont'",
            "did you mean month?",
        ),
        (
            "seats reclaim x --inactive 90d",
            "--inactive takes a whole number from 0 to 36500; not '90d'",
            "seatctl seats reclaim --help",
        ),
        (
            "sandbox serve --port 70000",
            "--port takes a whole number from 0 to 65535; not '70000'",
            "seatctl sandbox serve --help",
        ),
        ("requests approve abc", "NUMBER takes a whole number; not 'abc'", "seatctl requests list"),
        ("runs show abc", "RUN takes a whole number; not 'abc'", "seatctl runs show --help"),
        (
            "subs add-seats x 0",
            "N takes a whole number of at least 1; not '0'",
            "seatctl subs add-seats --help",
        ),
        ("user list --status", "option '--status' requires an argument", "seatctl users list --help"),
    ],
)
def test_a_wrong_value_is_told_what_would_be_right(seatctl, argv, message, hint):
    refused = seatctl(*argv.split())
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert hint in refused.err


@pytest.mark.parametrize("command", ["seats list", "requests list", "invoices list", "roles list"])
@pytest.mark.parametrize("option", ["-s", "--subscription"])
def test_who_writes_the_subscription_as_an_option_is_told_where_it_goes(seatctl, command, option):
    refused = seatctl(*command.split(), option, "design")
    assert refused.code == 2
    assert f"hint: seatctl {command} SUBSCRIPTION, without an option" in refused.err


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("version", "did you mean: seatctl --version"),
        ("verify", "did you mean: seatctl audit verify"),
        ("asign", "did you mean: seatctl seats assign"),
        ("xyzzy", "to list the commands: seatctl --help"),
    ],
)
def test_an_unknown_word_offers_what_it_may_be_a_slip_of_and_nothing_else(seatctl, word, hint):
    refused = seatctl(word, "-o", "json")
    assert (refused.code, refused.error["hint"]) == (2, hint)
    assert seatctl(*hint.partition("seatctl ")[2].split(), *(["--help"] if "did" in hint else [])).code == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("users rename a", "did you mean: seatctl users edit"),
        ("users restore a", "did you mean: seatctl users reactivate"),
        ("plans remove pro", "did you mean: seatctl plans archive"),
        ("seats remove design", "did you mean: seatctl seats revoke"),
        ("seats transfer design", "to list the commands: seatctl seats --help"),
        ("config list", "to list the commands: seatctl config --help"),
    ],
)
def test_a_word_of_another_program_never_offers_what_does_something_else(seatctl, words, hint):
    assert seatctl(*words.split(), "-o", "json").error["hint"] == hint


def test_nobody_is_led_to_what_throws_the_sandbox_away(seatctl):
    assert "sandbox" not in seatctl("reset").err


def test_everything_that_a_purchase_lacks_is_named_at_once_and_the_hint_can_be_filled_in(sandbox, pro):
    refused = sandbox("subs", "buy", "--seats", "2", "-o", "json")
    assert (refused.code, refused.error["flags"]) == (2, ["--plan", "--name", "--payment-method"])
    filled = refused.error["hint"].removeprefix("seatctl ")
    for sample, value in (("PLAN", pro), ("NAME", "lab"), ("ID", "pm_card_visa")):
        filled = filled.replace(f" {sample}", f" {value}")
    unconfirmed = sandbox(*filled.split())
    assert (unconfirmed.code, unconfirmed.error["flag"]) == (2, "--yes")
    assert sandbox(*unconfirmed.error["hint"].split()[1:]).code == 0
    assert sandbox("subs", "list", "-q").out == "lab\n"


@pytest.mark.parametrize("changes", [["add-seats", "3"], ["set-seats", "12"]])
def test_a_number_of_seats_that_cannot_be_is_refused_with_a_command_that_works(sandbox, changes):
    plan = "plans add packs --price 5.00 --currency usd --set pack_size=5 --set min_seats=5"
    buy = "subs buy --plan packs --seats 5 --name lab --billing-email a@example.com"
    assert sandbox(*plan.split()).code == 0
    assert sandbox(*buy.split(), "--payment-method", "pm_card_visa", "--yes").code == 0
    verb, seats = changes
    refused = sandbox("subs", verb, "lab", seats, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "pack_size")
    assert sandbox(*refused.error["hint"].split()[1:], "--yes").code == 0
