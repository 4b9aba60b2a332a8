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
            "--inactive takes a whole number of at least 0; not '90d'",
            "seatctl seats reclaim --help",
        ),
        (
            "sandbox serve --port 70000",
            "--port takes a whole number from 0 to 65535; not '70000'",
            "seatctl sandbox serve --help",
        ),
        ("requests approve abc", "NUMBER takes a whole number; not 'abc'", "seatctl requests approve --help"),
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
