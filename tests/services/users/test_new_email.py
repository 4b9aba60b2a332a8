"""A user's new e-mail: the user keeps subscriptions and roles; removed users keep none."""

from __future__ import annotations

import pytest

from tests.support.both_sides import objects
from tests.support.office import clear_faults
from tests.support.subscriptions import add_subscription, ledger_place

ANN, OLD, NEW = "ann@example.com", "olga@example.com", "olga.new@example.com"


@pytest.fixture
def owned(sandbox, pro):
    """design, owned by olga."""
    words = f"subs buy --plan {pro} --seats 5 --name design --owner {OLD} --billing-email pay@example.com"
    assert sandbox(*words.split(), "--payment-method", "pm_card_visa", "--yes").code == 0
    return sandbox


def owner(seatctl):
    return seatctl("subs", "show", "design", "-o", "json").json["owner"]


def at_stripe(seatctl):
    (found,) = objects(seatctl, "subscription")
    return found["metadata"]["seatctl_owner"]


def granted(seatctl):
    return [(row["actor"], row["role"], row["subscription"]) for row in seatctl.rows("roles", "list")]


def test_the_owner_stays_the_owner_here_and_in_stripe(owned):
    assert owned("users", "edit", OLD, "--email", NEW).code == 0
    assert (owner(owned), at_stripe(owned)) == (NEW, NEW)
    for command in (["sync"], ["sync", "--full"]):
        assert owned(*command).code == 0
        assert owner(owned) == NEW
    assert [row["email"] for row in owned.rows("users", "list")] == [NEW]
    assert owned("config", "auto-approve", "design", "on", "--as", NEW).code == 0
    assert owned("config", "auto-approve", "design", "off", "--as", OLD).code == 8


def test_stripe_out_of_reach_fails_no_edit_and_costs_nobody_the_subscription(owned):
    assert owned("sandbox", "fail", "500", "--times", "20", "--path", "/v1/subscriptions").code == 0
    edited = owned("users", "edit", OLD, "--email", NEW)
    assert edited.code == 0, edited.err
    assert at_stripe(owned) == OLD
    assert "Stripe still has the old e-mail of the owner" in edited.err
    clear_faults(owned)
    assert owned("sync").code == owned("sync", "--full").code == 0
    assert owner(owned) == NEW
    assert [row["email"] for row in owned.rows("users", "list")] == [NEW]
    again = edited.err.rpartition("seatctl ")[2].split()
    assert owned(*again).code == 0
    assert at_stripe(owned) == NEW


def test_an_undone_edit_gives_nothing_away_either(owned):
    edited = owned("users", "edit", OLD, "--email", NEW, "-o", "json")
    assert owned("runs", "undo", edited.json["run"]).code == 0
    owned("sync")
    assert owner(owned) == OLD
    assert owned("audit", "verify").code == 0


def test_roles_follow_and_an_undo_takes_them_back(sandbox):
    add_subscription(ledger_place(sandbox))
    sandbox("users", "add", "bob@example.com")
    sandbox("roles", "grant", "bob@example.com", "assignor", "-s", "design")
    sandbox("roles", "grant", "bob@example.com", "viewer")
    edited = sandbox("users", "edit", "bob@example.com", "--email", "rob@example.com", "-o", "json")
    assert "; still assignor of design and viewer" in edited.json["summary"]
    assert granted(sandbox)[1:] == [
        ("rob@example.com", "assignor", "design"),
        ("rob@example.com", "viewer", None),
    ]
    assert sandbox("seats", "assign", "design", "rob@example.com", "--as", "rob@example.com").code == 0
    assert sandbox("runs", "undo", edited.json["run"]).code == 0
    assert {actor for actor, _, _ in granted(sandbox)} == {ANN, "bob@example.com"}


def test_a_role_that_the_new_address_holds_already_is_one_role(sandbox):
    sandbox("users", "add", "bob@example.com")
    for actor in ("bob@example.com", "rob@example.com"):
        sandbox("roles", "grant", actor, "viewer")
    assert sandbox("users", "edit", "bob@example.com", "--email", "rob@example.com").code == 0
    assert granted(sandbox) == [(ANN, "admin", None), ("rob@example.com", "viewer", None)]


def test_who_grants_no_roles_moves_none_by_an_email(sandbox):
    sandbox("users", "add", ANN, "bob@example.com", "cyd@example.com")
    sandbox("roles", "grant", "ash@example.com", "assignor")
    sandbox("roles", "grant", "boss@example.com", "admin")
    for who, new in ((ANN, "mine@example.com"), ("bob@example.com", "boss@example.com")):
        refused = sandbox("users", "edit", who, "--email", new, "--as", "ash@example.com", "-o", "json")
        assert (refused.code, refused.error["action"]) == (8, "grant roles")
    assert sandbox("users", "edit", ANN, "--name", "Ann", "--as", "ash@example.com").code == 0
    moved = ["users", "edit", "cyd@example.com", "--email", "cyd.new@example.com", "--as", "ash@example.com"]
    assert sandbox(*moved).code == 0


def test_who_holds_a_role_is_not_removed_and_the_last_admin_never(sandbox):
    add_subscription(ledger_place(sandbox), "my design")
    sandbox("users", "add", ANN, "bob@example.com")
    sandbox("roles", "grant", "bob@example.com", "assignor", "-s", "my design")
    refused = sandbox("users", "remove", "bob@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "holds_roles")
    hint = "seatctl roles revoke bob@example.com assignor --subscription 'my design'"
    assert refused.error["hint"] == f"first: {hint}"
    sandbox("roles", "revoke", "bob@example.com", "assignor", "-s", "my design")
    assert sandbox("users", "remove", "bob@example.com").code == 0
    assert sandbox("users", "remove", ANN, "-o", "json").error["hint"] == (
        f"first: seatctl roles revoke {ANN} admin"
    )
    assert sandbox("roles", "revoke", ANN, "admin").code == 4
