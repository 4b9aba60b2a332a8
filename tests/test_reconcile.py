"""`reconcile`: what is paid for, what the ledger says, who sits there, and what repairs a drift."""

from __future__ import annotations

from tests.pools import query
from tests.sandbox.seed import send
from tests.support.both_sides import objects, sandbox_path, twin
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
    assert {row["repair"] for row in whole.rows} == {"seatctl reconcile --fix"}
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
    assert sandbox("sync").code == 0
    query(ledger, "UPDATE subscriptions SET capacity = 50")
    code, found, whole = drifts(sandbox)
    assert (code, found) == (0, {"design": "capacity"})
    assert sandbox("sync").code == 0  # no event tells of it, so this is not what repairs it
    assert drifts(sandbox)[1] == found
    assert [row["repair"] for row in whole.rows] == ["seatctl reconcile --fix"]
    assert drifts(sandbox, "--fix", "--check")[:2] == (0, {})
    assert query(ledger, "SELECT capacity FROM subscriptions") == [(5,)]


def test_what_stripe_no_longer_has_is_ended(sandbox, team):
    """Test data can be deleted in the dashboard, and no event tells of it."""
    assert sandbox("seats", "assign", team, "ann@example.com").code == 0
    lose(sandbox, objects(sandbox, "subscription")[0]["id"])
    code, found, whole = drifts(sandbox, "--check")
    assert (code, found) == (7, {"design": "missing"})
    assert [row["repair"] for row in whole.rows] == ["seatctl reconcile --fix"]
    assert drifts(sandbox, "--check", "--fix")[:2] == (0, {})
    assert sandbox.rows("subs", "list")[0]["status"] == "canceled"
    no = sandbox("check", "ann@example.com", "-o", "json")
    assert (no.code, no.json["reason"]) == (7, "ended")
    assert sandbox("audit", "verify").code == sandbox("ledger", "check").code == 0


def test_a_whole_sync_ends_what_stripe_no_longer_has(sandbox, team):
    assert sandbox("sync").code == 0
    lose(sandbox, objects(sandbox, "subscription")[0]["id"])
    assert sandbox("sync", "-o", "json").rows == []  # no event tells of it
    synced = sandbox("sync", "--full", "-o", "json")
    assert [row["summary"] for row in synced.rows] == ["ended: Stripe no longer has it"]
    assert sandbox("sync", "--full", "-o", "json").rows == []


def test_what_cannot_be_read_is_not_called_missing(sandbox, team):
    strange = (
        "UPDATE objects SET body = json_set(body, '$.status', 'hibernating') WHERE kind = 'subscription'"
    )
    query(sandbox_path(sandbox), strange)
    assert drifts(sandbox, "--fix")[:2] == (0, {"design": "unreadable"})
    assert sandbox.rows("subs", "list")[0]["seats"] == 5


def lose(seatctl, identifier):
    """Delete an object as Stripe's dashboard deletes test data: without an event."""
    query(sandbox_path(seatctl), "DELETE FROM objects WHERE id = ?", identifier)
