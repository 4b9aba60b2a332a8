"""A group is the same in any spelling: for filters, files, rules and existing users."""

from __future__ import annotations

import pytest

from tests.support.subscriptions import add_subscription, ledger_place

ANN, BOB = "ann@x.com", "bob@x.com"


@pytest.fixture
def sales(sandbox):
    sandbox("users", "add", ANN, "--group", "Sales  Öst")
    sandbox("users", "add", BOB, "--group", "Saless Öst")
    return sandbox


def group_of(seatctl, email):
    return seatctl("users", "show", email, "-o", "json").json["group"]


def test_a_filter_finds_every_spelling(sales):
    assert sales("users", "list", "--group", " sales ÖST", "-q").out.split() == [ANN]
    assert sales("users", "list", "x.com", "--group", "SALES öst", "-q").out.split() == [ANN]


def test_another_spelling_in_a_file_changes_nothing(sales, file):
    path = file("email,group,name", f"{ANN},sales öst,Ann")
    assert sales("users", "import", path).code == 0
    assert group_of(sales, ANN) == "Sales  Öst"
    again = sales("users", "import", path, "-o", "json")
    assert (again.code, again.rows[0]["result"]) == (0, "unchanged")


def test_two_spellings_in_a_file_are_not_a_conflict(sandbox, file):
    path = file("email,group", "cy@x.com,Ops", "cy@x.com,OPS", "di@x.com,Ops", "di@x.com,Sales")
    refused = sandbox("users", "import", path, "-o", "json")
    assert (refused.code, [row["line"] for row in refused.error["rows"]]) == (3, [4, 5])
    assert sandbox("users", "import", path, "--skip-bad").code == 6
    assert group_of(sandbox, "cy@x.com") == "Ops"


def test_another_spelling_in_a_desired_state_is_not_a_difference(sales, file):
    add_subscription(ledger_place(sales))
    add_subscription(ledger_place(sales), "video")
    path = file(
        "email,subscription,group",
        f"{ANN},design,SALES öst",
        f"{ANN},video,sales öst",
        f"{BOB},video,saless öst",
    )
    assert sales("seats", "apply", path).code == 0
    assert group_of(sales, ANN) == "Sales  Öst"
    assert sales("seats", "apply", path, "--check").code == 0


def test_adding_an_existing_user_with_another_spelling_changes_nothing(sales):
    assert sales("users", "add", ANN, "--group", "sales öst").code == 0
    assert sales("users", "add", ANN, "--group", "ops").code == 4
    sales("users", "remove", ANN, "--yes")
    assert sales("users", "add", ANN, "--group", "sales öst").code == 0
    assert group_of(sales, ANN) == "Sales  Öst"
    assert sales("users", "edit", ANN, "--group", "sales öst").code == 0  # this says how to spell it
    assert group_of(sales, ANN) == "sales öst"


def test_a_rule_applies_to_every_spelling_and_is_shown_in_the_first(sales, team):
    set_ = sales("config", "auto-approve", team, "on", "--group", "SALES öst", "--group", "sales ÖST")
    assert set_.code == 0
    assert sales("config", "auto-approve", team, "-o", "json").json["groups"] == ["SALES öst"]
    for email, outcome in ((ANN, "seat"), (BOB, "ask")):
        tried = sales("config", "auto-approve", team, "--test", email, "-o", "json")
        assert tried.json["outcome"] == outcome
