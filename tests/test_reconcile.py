"""`reconcile`: what is paid for, what the ledger says, who sits there, and what repairs a drift."""

from __future__ import annotations

from tests.pools import query
from tests.sandbox.seed import send
from tests.support.both_sides import objects, twin
from tests.test_foreign_objects import customer, product, subscribe


def drifts(seatctl, *words):
    found = seatctl("reconcile", *words, "-o", "json")
    return found.code, {row["name"]: row["drift"] for row in found.rows if row["drift"]}, found


def test_nothing_to_reconcile(sandbox, team):
    assert drifts(sandbox, "--check")[:2] == (0, {})


def test_what_the_dashboard_changed_is_found_and_fixed(sandbox, team):
    with twin(sandbox) as stripe:
        item = objects(sandbox, "subscription_item")[0]["id"]
        send(stripe, f"subscription_items/{item}", {"quantity": 8})
        foreign = subscribe(stripe, customer(stripe, "Globex"), product(stripe, "Other"))
    code, found, whole = drifts(sandbox, "--check")
    assert (code, found) == (7, {"design": "capacity", foreign: "unknown"})
    assert {row["repair"] for row in whole.rows} == {"seatctl sync"}
    code, found, whole = drifts(sandbox, "--fix", "--check")
    assert (code, found, whole.json["fixed"]) == (0, {}, 2)
    assert {row["name"]: row["seats"] for row in sandbox.rows("subs", "list")} == {"design": 8, "globex": 3}


def test_an_over_assigned_subscription_names_who_was_assigned_last(sandbox, team):
    for name in ("bob", "carl", "dora"):
        assert sandbox("users", "add", f"{name}@example.com").code == 0
        assert sandbox("seats", "assign", team, f"{name}@example.com").code == 0
    with twin(sandbox) as stripe:
        item = objects(sandbox, "subscription_item")[0]["id"]
        send(stripe, f"subscription_items/{item}", {"quantity": 2})
    assert sandbox("sync").code == 0
    code, found, whole = drifts(sandbox, "--check", "--fix")
    assert (code, found) == (7, {"design": "over_assigned"})
    (row,) = whole.rows
    assert row["last_assigned"] == ["dora@example.com"]
    assert "seatctl seats revoke design dora@example.com" in row["repair"]
    assert len(sandbox.rows("seats", "list", team)) == 3  # nobody was thrown out


def test_a_ledger_written_by_hand_is_found(sandbox, team):
    ledger = sandbox.home / "default" / "ledger.db"
    query(ledger, "UPDATE subscriptions SET capacity = 50")
    assert drifts(sandbox)[:2] == (0, {"design": "capacity"})
    assert drifts(sandbox, "--fix", "--check")[:2] == (0, {})
    assert query(ledger, "SELECT capacity FROM subscriptions") == [(5,)]
