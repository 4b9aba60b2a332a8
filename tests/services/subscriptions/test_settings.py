"""`subs list`, `show` and `rename`, and `config auto-approve`."""

from __future__ import annotations

import pytest

from tests.support.both_sides import assert_agree, contents, objects


def test_a_list_has_what_a_table_shows_and_more(sandbox, team):
    (row,) = sandbox.rows("subs", "list")
    assert {
        key: row[key] for key in ("name", "plan", "status", "seats", "assigned", "free", "owner", "currency")
    } == {
        "name": "design",
        "plan": "pro",
        "status": "active",
        "seats": 5,
        "assigned": 0,
        "free": 5,
        "owner": "ann@example.com",
        "currency": "usd",
    }
    assert row["stripe_subscription"].startswith("sub_")
    assert row["term_end"] > row["term_start"]
    assert sandbox.rows("subs", "list", "--plan", "pro") == [row]
    assert sandbox("subs", "list", "--plan", "nope").code == 9


def test_an_empty_list_is_empty(sandbox):
    assert sandbox("subs", "list", "-o", "json").json == []
    assert sandbox("invoices", "list", "-o", "json").json == []
    assert sandbox("plans", "list", "-o", "json").json == []
    at_a_terminal = sandbox("subs", "list", tty=True)
    assert (at_a_terminal.out, at_a_terminal.err) == ("", "nothing to show\n")
    assert sandbox("subs", "list", "-o", "table").err == sandbox("subs", "list", "-q", tty=True).err == ""


def test_everything_about_a_subscription_is_on_one_page(sandbox, team):
    shown = sandbox("subs", "show", team, "-o", "json").json
    assert shown["billing_email"] == "pay@example.com"
    assert "Seats are sold one by one, at least 1." in shown["rules"]
    assert any(line.startswith("It renews on ") for line in shown["calendar"])
    page = sandbox("subs", "show", team, tty=True, env={"COLUMNS": "200"}).out
    for text in ("Billed to", "pay@example.com", "Calendar", "It renews on", "Stripe id"):
        assert text in page


@pytest.mark.parametrize("handle", ["design", "DESIGN", " Design "])
def test_a_name_is_found_however_it_is_written(sandbox, team, handle):
    assert sandbox("subs", "show", handle, "-q").out == "design\n"


def test_the_stripe_ids_name_a_subscription_too(sandbox, team):
    shown = sandbox("subs", "show", team, "-o", "json").json
    for handle in (shown["stripe_subscription"], shown["stripe_item"]):
        assert sandbox("subs", "show", handle, "-q").out == "design\n"


def test_an_unknown_name_offers_the_nearest(sandbox, team):
    for argv in (
        ("subs", "show", "desing"),
        ("subs", "rename", "desing", "x"),
        ("config", "auto-approve", "desing"),
    ):
        refused = sandbox(*argv, "-o", "json")
        assert (refused.code, refused.error["code"]) == (9, "unknown_subscription"), argv
        assert refused.error["hint"] == "did you mean design?"


# Renaming ---------------------------------------------------------------------------------------------


def test_a_new_name_counts_here_and_in_stripe(sandbox, team):
    renamed = sandbox("subs", "rename", team, "  Studio EU ", "-o", "json")
    assert (renamed.code, renamed.json["summary"]) == (0, "renamed design to Studio EU")
    assert objects(sandbox, "subscription")[0]["metadata"]["seatctl_name"] == "Studio EU"
    assert sandbox("subs", "show", "studio eu").code == 0
    assert sandbox("subs", "show", "design").code == 9
    assert_agree(sandbox)


def test_the_rest_of_stripes_metadata_stays(sandbox, team):
    before = objects(sandbox, "subscription")[0]["metadata"]
    assert sandbox("subs", "rename", team, "studio").code == 0
    after = objects(sandbox, "subscription")[0]["metadata"]
    assert {key for key in after if after[key] != before.get(key)} == {"seatctl_name", "seatctl_operation"}
    assert set(after) == set(before)


def test_the_case_of_a_name_can_be_changed(sandbox, team):
    assert sandbox("subs", "rename", "design", "Design").code == 0
    assert sandbox.rows("subs", "list")[0]["name"] == "Design"


def test_the_same_name_is_no_change(sandbox, team):
    before = contents(sandbox)
    same = sandbox("subs", "rename", team, "design", "-o", "json")
    assert (same.code, same.json["run"]) == (0, None)
    assert contents(sandbox) == before


def test_names_go_round_and_round(sandbox, team):
    for name in ("a", "b", "a", "b"):
        current = sandbox.rows("subs", "list")[0]["name"]
        assert sandbox("subs", "rename", current, name).code == 0, name
        assert sandbox.rows("subs", "list")[0]["name"] == name


def test_a_taken_name_is_refused(sandbox, team):
    assert (
        sandbox("subs", "buy", "--plan=pro", "--seats=1", "--name=lab", "--bill-to=design", "--yes").code == 0
    )
    before = contents(sandbox)
    refused = sandbox("subs", "rename", "lab", "DESIGN", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "name_taken")
    assert sandbox("subs", "rename", "lab", "a\nb", "-o", "json").error["code"] == "bad_name"
    assert sandbox("subs", "rename", "lab", "x", "--dry-run").code == 0
    assert contents(sandbox) == before


def test_who_does_not_own_it_may_not_rename_it(sandbox, team):
    assert sandbox("users", "add", "kim@example.com").code == 0
    refused = sandbox("subs", "rename", team, "x", "--as", "kim@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")


# Automatic approval -----------------------------------------------------------------------------------


def test_automatic_approval_is_kept_in_stripe_too(sandbox, team):
    assert sandbox("config", "auto-approve", team, "-q").out == "false\n"
    assert sandbox("config", "auto-approve", team, "on").code == 0
    assert '"enabled":true' in objects(sandbox, "subscription")[0]["metadata"]["seatctl_auto_approval"]
    shown = sandbox("config", "auto-approve", team, "-o", "json").json
    assert (shown["auto_approve"], shown["rules"]["enabled"]) == (True, True)
    again = sandbox("config", "auto-approve", team, "on", "-o", "json")
    assert (again.code, again.json["run"]) == (0, None)
    assert sandbox("config", "auto-approve", team, "off").code == 0
    assert sandbox.rows("subs", "list")[0]["auto_approve"] is False
    assert sandbox("config", "auto-approve", team, "perhaps").code == 2
