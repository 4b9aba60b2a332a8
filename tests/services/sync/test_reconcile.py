"""`reconcile`: what is paid for, what the ledger says, who sits there, and what repairs a drift."""

from __future__ import annotations

from tests.sandbox.seed import send
from tests.services.sync.test_foreign_objects import customer, product, subscribe
from tests.support.both_sides import fail, live_subscriptions, objects, sandbox_path, twin
from tests.support.subscriptions import ledger_place, query


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
    ledger = ledger_place(sandbox)
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


STRANGE = "UPDATE objects SET body = json_set(body, '$.status', 'hibernating') WHERE kind = ?"


def test_what_cannot_be_read_is_not_called_missing_and_agrees_with_nothing(sandbox, team):
    query(sandbox_path(sandbox), STRANGE, "subscription")
    for words in ((), ("--check",), ("--fix",), ("--fix",)):
        code, found, whole = drifts(sandbox, *words)
        assert (code, found) == (7, {"design": "unreadable"})
        assert (whole.json["unreadable"], whole.json["fixed"]) == (1, 0)
        assert "1 object in Stripe could not be read" in whole.json["summary"]
        (row,) = whole.rows
        assert "hibernating" in row["reason"]
        assert "--fix" not in row["repair"]
    assert sandbox.rows("subs", "list")[0]["seats"] == 5


def test_a_subscription_made_elsewhere_that_cannot_be_read_is_named(sandbox, team):
    with twin(sandbox) as stripe:
        foreign = subscribe(stripe, customer(stripe, "Globex"), product(stripe, "Other"))
    strange = STRANGE.replace("kind", "id")
    query(sandbox_path(sandbox), strange, foreign)
    for words in ((), ("--fix",)):
        code, found, whole = drifts(sandbox, *words)
        assert (code, found) == (7, {foreign: "unreadable"})
        assert "agree" not in whole.json["summary"].replace("everything else agrees", "")
    query(sandbox_path(sandbox), strange.replace("hibernating", "active"), foreign)
    assert drifts(sandbox)[1] == {foreign: "unknown"}
    assert drifts(sandbox, "--fix", "--check")[:2] == (0, {})


def test_an_invoice_that_a_sync_could_not_read_is_named_until_it_is_read(sandbox, team):
    query(sandbox_path(sandbox), STRANGE, "invoice")
    assert sandbox("sync").code == 0
    (invoice,) = [one["id"] for one in objects(sandbox, "invoice")]
    assert drifts(sandbox)[:2] == drifts(sandbox, "--fix")[:2] == (7, {invoice: "unreadable"})
    query(sandbox_path(sandbox), STRANGE.replace("hibernating", "paid"), "invoice")
    code, found, _ = drifts(sandbox)
    assert (code, found) == (0, {invoice: "not_mirrored"})
    assert drifts(sandbox, "--fix", "--check")[:2] == (0, {})
    assert sandbox("status", "-o", "json").json["unreadable"] == 0


def test_a_price_that_makes_no_plan_is_told_with_its_reason_and_not_to_be_fixed_again(sandbox, team):
    with twin(sandbox) as stripe:
        foreign = subscribe(stripe, customer(stripe, "Globex"), product(stripe, "Other"))
    (price,) = [one["id"] for one in objects(sandbox, "price") if one["unit_amount"] == 1000]
    for where, wanted in (("recurring", price), ("price.recurring", item_of(sandbox, foreign))):
        once = f"UPDATE objects SET body = json_set(body, '$.{where}', json('null')) WHERE id = ?"
        query(sandbox_path(sandbox), once, wanted)
    code, found, _ = drifts(sandbox, "--fix")
    assert (code, found) == (7, {foreign: "unreadable"})
    code, found, whole = drifts(sandbox)
    assert (code, found) == (7, {foreign: "unreadable"})
    (row,) = [row for row in whole.rows if row["drift"]]
    assert "recurring" in row["reason"]


BUY = (
    "subs buy --plan pro --seats 2 --name acme --billing-email p@example.com"
    " --payment-method pm_card_visa --yes"
)


def test_what_an_unfinished_purchase_made_is_left_to_the_sync_that_finishes_it(sandbox, pro):
    fail(sandbox, "lost", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY.split()).code == 75
    query(sandbox_path(sandbox), "DELETE FROM faults")
    (made,) = live_subscriptions(sandbox)
    for words in ((), ("--fix",), ("--fix",)):
        code, found, whole = drifts(sandbox, *words)
        assert (code, found, whole.json["fixed"]) == (0, {made["id"]: "unknown"}, 0)
        assert [row["repair"] for row in whole.rows] == ["seatctl sync"]
    assert sandbox("sync").code == 0
    assert drifts(sandbox, "--check")[:2] == (0, {})


def test_what_a_failed_purchase_left_running_is_billed_and_taken_over(sandbox, pro):
    fail(sandbox, "lost", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY.split()).code == 75
    query(sandbox_path(sandbox), "DELETE FROM faults")
    query(ledger_place(sandbox), "UPDATE operations SET state = 'failed', finished_at = created_at")
    (made,) = live_subscriptions(sandbox)
    assert drifts(sandbox)[1] == {made["id"]: "unknown"}
    assert drifts(sandbox, "--fix", "--check")[:2] == (0, {})
    assert [(row["name"], row["seats"]) for row in sandbox.rows("subs", "list")] == [("acme", 2)]


def test_who_sits_where_nothing_is_left_in_stripe_is_not_told_to_add_seats(sandbox, team):
    subscription = objects(sandbox, "subscription")[0]["id"]
    with twin(sandbox) as stripe:
        other = {"subscription": subscription, "price": product(stripe, "Other"), "quantity": 2}
        send(stripe, "subscription_items", other)
    assert sandbox("sync").code == 0
    assert sandbox("seats", "assign", team, "ann@example.com").code == 0
    headers = {"Authorization": "Bearer sk_test_x"}
    with twin(sandbox) as stripe:
        item = next(one["id"] for one in stripe.store.walk("subscription_item") if one["quantity"] == 5)
        stripe.handle("DELETE", f"/v1/subscription_items/{item}", headers, None)
    assert drifts(sandbox, "--check")[1] == {"design": "item_gone"}
    code, found, whole = drifts(sandbox, "--fix")
    assert (code, found) == (0, {"design": "over_assigned"})
    (row,) = [row for row in whole.rows if row["drift"]]
    assert row["repair"] == "seatctl seats revoke design ann@example.com"
    assert "taken off" in row["reason"]
    assert sandbox(*row["repair"].split()[1:]).code == 0
    assert drifts(sandbox, "--check")[:2] == (0, {})


def item_of(seatctl, subscription):
    """The one item of a subscription."""
    (item,) = [one for one in objects(seatctl, "subscription_item") if one["subscription"] == subscription]
    return item["id"]


def lose(seatctl, identifier):
    """Delete an object as Stripe's dashboard deletes test data: without an event."""
    query(sandbox_path(seatctl), "DELETE FROM objects WHERE id = ?", identifier)
