"""`seatctl users`: add, show, edit, suspend, reactivate, remove, list and search."""

from __future__ import annotations

import sqlite3

import pytest

from tests.support import ledgers
from tests.support.subscriptions import add_subscription, ledger_place

ADMIN = "ann@example.com"


@pytest.fixture
def people(sandbox):
    """A sandbox in which Zoe, Jörg and Bob are users."""
    for email, name in (
        ("zoe@example.com", "Zoe Zhang"),
        ("joerg@example.org", "Jörg Öztürk"),
        ("bob@example.com", "Bob"),
    ):
        assert sandbox("users", "add", email, "--name", name).code == 0
    return sandbox


def emails(seatctl, *argv):
    return [row["email"] for row in seatctl.rows("users", "list", *argv)]


def test_a_user_is_added_listed_and_shown(people):
    assert emails(people) == ["bob@example.com", "joerg@example.org", "zoe@example.com"]
    shown = people("users", "show", "ZOE@Example.COM", "-o", "json").json
    assert (shown["email"], shown["name"], shown["status"], shown["seats"]) == (
        "zoe@example.com", "Zoe Zhang", "active", [],
    )  # fmt: skip


def test_adding_whom_is_there_already_changes_nothing(people):
    again = people("users", "add", "Zoe@example.com", "-o", "json")
    assert (again.code, again.json["run"], again.rows[0]["result"]) == (0, None, "already_there")


def test_adding_with_another_name_points_to_edit(people):
    refused = people("users", "add", "zoe@example.com", "--name", "Zoë O'Hara", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "user_exists")
    assert refused.error["hint"] == """seatctl users edit zoe@example.com --name 'Zoë O'"'"'Hara'"""


@pytest.mark.parametrize("email", ["zoe", "zoe@", "a b@x.org", "a@x.org\r\nBcc: b@x.org"])
def test_what_is_no_address_is_bad_input(sandbox, email):
    refused = sandbox("users", "add", email, "-o", "json")
    assert (refused.code, refused.error["code"], refused.out) == (3, "bad_email", "")


def test_a_name_that_would_forge_a_line_is_bad_input(sandbox):
    refused = sandbox("users", "add", "zoe@example.com", "--name", "Zoe\nadmin", "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "bad_text")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("zhan", ["zoe@example.com"]),
        ("ZHANG", ["zoe@example.com"]),
        ("öztürk", ["joerg@example.org"]),
        ("ÖZTÜRK", ["joerg@example.org"]),
        ("example.org", ["joerg@example.org"]),
        ("zhang zoe", ["zoe@example.com"]),
        ("zhang zo", ["zoe@example.com"]),
        ("zhang xx", []),
        ("zo", ["zoe@example.com"]),
        ("oe", []),
        ('"zoe', []),
        ("zoe OR bob", []),
        ("100%", []),
        ("%", []),
    ],
)
def test_search_finds_parts_of_names_and_addresses(people, text, found):
    assert emails(people, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Li", ["bo@example.com", "li.wu@example.com", "lisa@example.com"]),
        ("李明", ["hua@example.com", "ming@example.com"]),
        ("明华", ["hua@example.com"]),
        ("bo li", ["bo@example.com"]),
        ("B Li", ["bo@example.com"]),
        ("öz", ["joerg@example.org", "oez@example.com"]),
        ("Bo", ["bo@example.com", "bob@example.com"]),
        ("is", []),
    ],
)
def test_two_letters_find_names_that_begin_with_them_and_whole_ones(people, text, found):
    for email, name in (
        ("bo@example.com", "Bo Li"),
        ("lisa@example.com", "Anna Lisa"),
        ("li.wu@example.com", "W"),
        ("ming@example.com", "李明"),
        ("hua@example.com", "李明华"),
        ("oez@example.com", "Öz"),
    ):
        assert people("users", "add", email, "--name", name).code == 0
    assert sorted(emails(people, text)) == found
    assert index_is_whole(people)


def test_search_follows_every_change(people):
    people("users", "edit", "zoe@example.com", "--name", "Zoe Adler", "--email", "zoe.adler@example.net")
    people("users", "remove", "bob@example.com")
    assert emails(people, "zhang") == emails(people, "bob") == []
    assert emails(people, "adler") == emails(people, "example.net") == ["zoe.adler@example.net"]
    assert index_is_whole(people)


def index_is_whole(seatctl) -> bool:
    """Let the engine compare the search index with the table; SQLite itself fails if they differ."""
    if ledgers.on_server():
        return seatctl("ledger", "check").code == 0
    path = seatctl("ledger", "path").out.strip()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO users_search (users_search, rank) VALUES ('integrity-check', 1)")
        connection.rollback()
    connection.close()
    return True


def test_lists_are_filtered_by_status_and_group(people):
    people("users", "edit", "bob@example.com", "--group", "sales")
    people("users", "suspend", "zoe@example.com")
    people("users", "remove", "joerg@example.org")
    assert emails(people, "--group", "sales") == ["bob@example.com"]
    assert emails(people, "--status", "suspended") == ["zoe@example.com"]
    assert emails(people, "--status", "removed") == ["joerg@example.org"]
    assert emails(people) == ["bob@example.com", "zoe@example.com"]


def test_edit_says_how_to_take_it_back(people):
    edited = people("users", "edit", "zoe@example.com", "--name", "", "--group", "x", "-o", "json")
    assert edited.json["undo"] == f"seatctl runs undo {edited.json['run']}"
    assert people("runs", "undo", edited.json["run"]).code == 0
    assert people("users", "edit", "zoe@example.com").code == 2


def test_an_address_belongs_to_one_user(people):
    refused = people("users", "edit", "zoe@example.com", "--email", "BOB@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "email_taken")
    assert people("users", "edit", "zoe@example.com", "--email", "Zoe@Example.com").code == 0


def test_an_unknown_user_is_not_found_and_the_nearest_is_named(people):
    missing = people("users", "show", "zoey@example.com", "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "unknown_user")
    assert "zoe@example.com" in missing.error["hint"]
    assert (
        people("users", "suspend", "nobody@x.org", "-o", "json").error["hint"]
        == "seatctl users add nobody@x.org"
    )


def test_suspending_is_undone_by_reactivating_and_each_is_idempotent(people):
    assert people("users", "suspend", "zoe@example.com", "bob@example.com", "-o", "json").json["run"]
    again = people("users", "suspend", "zoe@example.com", "-o", "json")
    assert (again.code, again.json["run"], again.rows[0]["result"]) == (0, None, "unchanged")
    people("users", "reactivate", "zoe@example.com", "zoe@example.com")
    assert people("users", "show", "zoe@example.com", "-o", "json").json["status"] == "active"


def test_a_removed_user_is_history_until_added_again(people):
    assert people("users", "remove", "zoe@example.com").code == 0
    refused = people("users", "suspend", "zoe@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "user_removed")
    back = people("users", "add", "zoe@example.com", "-o", "json")
    assert back.rows[0]["result"] == "brought_back"
    assert people("users", "show", "zoe@example.com", "-o", "json").json["name"] == "Zoe Zhang"


def test_a_dry_run_says_the_same_and_changes_nothing(people):
    dry = people("users", "remove", "zoe@example.com", "-n", "-o", "json")
    assert (dry.code, dry.json["run"], dry.json["dry_run"], dry.rows[0]["result"]) == (
        0,
        None,
        True,
        "removed",
    )
    assert "zoe@example.com" in emails(people)


def test_one_unknown_among_several_changes_nobody(people):
    assert people("users", "suspend", "zoe@example.com", "nobody@x.org").code == 9
    assert people("users", "show", "zoe@example.com", "-o", "json").json["status"] == "active"


def test_who_has_no_role_may_look_but_not_change(people):
    assert people("users", "list", "--as", "bob@example.com").code == 0
    refused = people("users", "remove", "zoe@example.com", "--as", "bob@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")


@pytest.fixture
def owner(people):
    """Zoe owns `design` and has a seat in it; Bob has requested one."""
    people(
        "plans",
        "add",
        "pro",
        "--price",
        "12.00",
        "--currency",
        "usd",
        "--interval",
        "month",
        "--policy",
        "flexible",
    )
    bought = people(
        "subs", "buy", "--plan", "pro", "--seats", "5", "--name", "design", "--owner", "zoe@example.com",
        "--billing-email", "pay@example.com", "--payment-method", "pm_card_visa", "--yes",
    )  # fmt: skip
    assert bought.code == 0, bought.err
    assert people("seats", "assign", "design", "zoe@example.com", "bob@example.com").code == 0
    return people


def test_removing_gives_seats_back_and_says_what_is_billed(owner):
    removed = owner("users", "remove", "bob@example.com", "-o", "json")
    assert removed.rows == [
        {"email": "bob@example.com", "result": "removed", "error": None, "seats": ["design"], "requests": []}
    ]
    assert "revoked 1 seat; what is billed does not change" in removed.json["summary"]
    assert [row["email"] for row in owner.rows("seats", "list", "design")] == ["zoe@example.com"]
    assert owner.rows("users", "list", "bob", "--status", "removed")[0]["seats"] == 0


def test_a_seat_given_back_by_a_removal_goes_to_who_waits(owner):
    for n in range(3):
        owner("seats", "assign", "design", f"p{n}@x.org", "--create-users")
    assert owner("requests", "create", "joerg@example.org", "--subscription", "design").code == 0
    assert owner("requests", "approve", "1").code == 10
    assert owner("users", "remove", "bob@example.com").code == 0
    seated = [row["email"] for row in owner.rows("seats", "list", "design")]
    assert "joerg@example.org" in seated
    assert owner("audit", "verify").code == 0


def test_removing_cancels_open_requests(owner):
    assert owner("requests", "create", "joerg@example.org", "--subscription", "design").code == 0
    assert owner("users", "show", "joerg@example.org", "-o", "json").json["open_requests"] == [1]
    assert owner("users", "remove", "joerg@example.org", "-o", "json").rows[0]["requests"] == [1]


def test_an_owner_is_not_removed_before_somebody_else_owns(owner):
    refused = owner("users", "remove", "zoe@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "owner_needs_successor")
    assert refused.error["subscriptions"] == ["design"]
    assert owner("users", "remove", "zoe@example.com", "--new-owner", "bob@example.com", "-n").code == 0
    assert owner("users", "show", "zoe@example.com", "-o", "json").json["owns"] == ["design"]
    assert owner("users", "remove", "zoe@example.com", "--new-owner", "bob@example.com").code == 0
    assert owner("users", "show", "bob@example.com", "-o", "json").json["owns"] == ["design"]


def test_a_suspended_user_keeps_the_seat(owner):
    assert owner("users", "suspend", "bob@example.com").code == 0
    assert owner("users", "show", "bob@example.com", "-o", "json").json["subscriptions"] == ["design"]


def test_a_list_counts_the_seats_of_each(sandbox):
    for name in ("design", "sales"):
        add_subscription(ledger_place(sandbox), name)
        sandbox("seats", "assign", name, "bob@example.com", "--create-users")
    sandbox("users", "add", "zoe@example.com")
    sandbox("users", "edit", "zoe@example.com", "--exempt")
    assert [row["seats"] for row in sandbox.rows("users", "list")] == [2, 0]
