"""Several subscriptions in one Stripe subscription: the metadata of one never applies to another."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import send
from tests.services.sync.test_foreign_objects import customer, product, subscribe
from tests.support.both_sides import charges, fail, objects, sandbox_path, twin
from tests.support.second_ledger import SecondLedger
from tests.support.subscriptions import query


@pytest.fixture
def globex(sandbox):
    """Subscriptions of 3 and 4 seats in one Stripe subscription made elsewhere, adopted, with a policy."""
    with twin(sandbox) as stripe:
        subscribe(
            stripe, customer(stripe, "Globex"), product(stripe, "Meetings"), product(stripe, "Webinars")
        )
    assert sandbox("sync").code == sandbox("ledger", "adopt", "--yes").code == 0
    for plan in ("meetings", "webinars"):
        assert sandbox("plans", "edit", plan, "--policy", "flexible").code == 0
    return sandbox


def seats(seatctl) -> dict[str, int]:
    return {row["name"]: row["seats"] for row in seatctl.rows("subs", "list")}


def take_off(stripe, quantity):
    item = next(one for one in stripe.store.walk("subscription_item") if one["quantity"] == quantity)
    headers = {"Authorization": "Bearer sk_test_x"}
    answer = stripe.handle("DELETE", f"/v1/subscription_items/{item['id']}", headers, None)
    assert answer.status == 200, answer.body


def settings(seatctl):
    """The settings of a subscription, wherever they came from."""
    rows = seatctl.rows("subs", "list")
    return {row["name"]: (row["plan"], row["owner"], row["auto_approve"]) for row in rows}


def test_settings_of_one_subscription_come_back_for_that_subscription_alone(globex):
    assert globex("users", "add", "bob@example.com").code == 0
    for command in (
        "subs rename globex/meetings talks",
        "subs transfer talks bob@example.com --yes",
        "config auto-approve globex/webinars on",
    ):
        assert globex(*command.split()).code == 0
    expected = {"globex/webinars": ("webinars", None, True), "talks": ("meetings", "bob@example.com", False)}
    assert settings(globex) == expected
    rebuilt = SecondLedger(globex)
    assert rebuilt("sync").code == 0
    assert settings(rebuilt) == expected
    assert globex("sync", "--full").code == 0
    assert settings(globex) == expected


def test_fewer_seats_at_renewal_wait_for_each_subscription_by_itself(globex):
    """4 webinars become 3, just as many as there are meetings: these do not get the fourth seat."""
    assert globex("subs", "set-seats", "globex/webinars", "3", "--yes").code == 0
    assert seats(globex) == {"globex/meetings": 3, "globex/webinars": 4}
    assert globex("subs", "set-seats", "globex/meetings", "2", "--yes").code == 0
    for _ in ("as the changes left it", "as a sync reads it"):
        assert seats(globex) == {"globex/meetings": 3, "globex/webinars": 4}
        assert globex("sync", "--full").code == 0
    assert globex("reconcile", "--check").code == 0
    rebuilt = SecondLedger(globex)
    assert rebuilt("sync").code == 0
    assert seats(rebuilt) == seats(globex)
    assert globex("sandbox", "advance", "32d").code == 0
    assert globex("sync").code == 0
    assert seats(globex) == {"globex/meetings": 2, "globex/webinars": 3}


def test_one_subscription_is_not_ended_or_renewed_with_another(globex):
    for command in ("cancel globex/meetings", "cancel globex/meetings --now", "resume globex/meetings"):
        refused = globex("subs", *command.split(), "--yes", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "shared_subscription"), command
        assert "globex/webinars" in refused.error["message"]
    assert {one["status"] for one in objects(globex, "subscription")} == {"active"}


def test_an_item_added_in_the_dashboard_leaves_what_was_said_of_the_first(sandbox, team):
    assert sandbox("subs", "set-seats", team, "4", "--yes").code == 0
    with twin(sandbox) as stripe:
        (bought,) = stripe.store.walk("subscription")
        added = {"subscription": bought["id"], "price": product(stripe, "Rooms"), "quantity": 4}
        send(stripe, "subscription_items", {**added, "proration_behavior": "none"})
    assert sandbox("sync").code == 0
    assert seats(sandbox) == {"design": 5, "design/rooms": 4}
    rebuilt = SecondLedger(sandbox)
    assert rebuilt("sync").code == 0
    assert seats(rebuilt) == {"design": 5, "design/rooms": 4}
    assert settings(rebuilt) == settings(sandbox)


def test_what_waited_for_the_renewal_of_an_item_that_is_gone_gives_no_seats(globex):
    assert globex("subs", "set-seats", "globex/webinars", "2", "--yes").code == 0
    with twin(globex) as stripe:
        take_off(stripe, 2)
    assert globex("sync").code == 0
    assert globex("sandbox", "advance", "40d").code == 0
    for _ in ("before it is synced", "and after"):
        assert seats(globex) == {"globex/meetings": 3, "globex/webinars": 0}
        assert globex("sync").code == 0


def test_who_sat_in_a_product_that_was_taken_off_does_not_sit_in_the_next_one(globex):
    assert globex("users", "add", "bob@example.com").code == 0
    assert globex("seats", "assign", "globex/webinars", "bob@example.com").code == 0
    with twin(globex) as stripe:
        take_off(stripe, 4)
    assert globex("sync").code == 0
    with twin(globex) as stripe:
        (shared,) = stripe.store.walk("subscription")
        added = {"subscription": shared["id"], "price": product(stripe, "Rooms"), "quantity": 9}
        send(stripe, "subscription_items", added)
    assert globex("sync").code == 0
    assert seats(globex) == {"globex/meetings": 3, "globex/webinars": 0, "globex/rooms": 9}


def test_an_adoption_takes_what_is_left_of_a_subscription_too(globex):
    other = SecondLedger(globex)
    assert globex("users", "add", "bob@example.com").code == 0
    assert globex("seats", "assign", "globex/webinars", "bob@example.com").code == 0
    assert other("sync").code == other("ledger", "adopt", "--yes").code == 0
    with twin(globex) as stripe:
        take_off(stripe, 4)
    assert globex("sync").code == 0
    assert globex("seats", "revoke", "globex/webinars", "bob@example.com").code == 8
    assert globex("ledger", "adopt", "--yes").code == 0
    assert globex("seats", "revoke", "globex/webinars", "bob@example.com").code == 0
    assert "already" in globex("ledger", "adopt", "--yes").err
    assert globex("audit", "verify").code == globex("ledger", "check").code == 0


def test_items_that_are_made_anew_stay_with_their_product(globex):
    with twin(globex) as stripe:
        (shared,) = stripe.store.walk("subscription")
        old = list(stripe.store.walk("subscription_item", oldest_first=True))
        extra = {"subscription": shared["id"], "price": product(stripe, "Extra"), "quantity": 1}
        send(stripe, "subscription_items", extra)
        for item in old:
            take_off(stripe, item["quantity"])
        for item in reversed(old):
            again = {"subscription": shared["id"], "price": item["price"]["id"]}
            send(stripe, "subscription_items", {**again, "quantity": item["quantity"] + 10})
    assert globex("sync").code == 0
    assert seats(globex) == {"globex/extra": 1, "globex/meetings": 13, "globex/webinars": 14}


def test_a_subscription_whose_item_is_gone_changes_no_other_subscription_item(globex):
    with twin(globex) as stripe:
        take_off(stripe, 4)
    before = charges(globex)
    refused = globex("subs", "add-seats", "globex/webinars", "2", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "item_gone")
    assert [one["quantity"] for one in objects(globex, "subscription_item")] == [3]
    assert charges(globex) == before
    metadata = [one["metadata"] for one in objects(globex, "subscription")]
    assert globex("subs", "rename", "globex/webinars", "closed").code == 0
    assert [one["metadata"] for one in objects(globex, "subscription")] == metadata
    assert globex("sync", "--full").code == 0
    assert seats(globex) == {"closed": 0, "globex/meetings": 3}
    with twin(globex) as stripe:
        (shared,) = stripe.store.walk("subscription")
        stripe.handle(
            "DELETE", f"/v1/subscriptions/{shared['id']}", {"Authorization": "Bearer sk_test_x"}, None
        )
    assert globex("sync").code == 0
    assert {row["status"] for row in globex.rows("subs", "list")} == {"canceled"}
    assert globex("reconcile", "--check").code == 0


def test_a_subscription_waits_for_what_is_unfinished_of_the_other(globex):
    """Its mark on the subscription would wipe out the only trace of a charge whose answer was lost."""
    fail(globex, "lost", times=1000, method="POST", path="/v1/subscriptions/")
    assert globex("subs", "add-seats", "globex/meetings", "2", "--yes").code == 75
    query(sandbox_path(globex), "DELETE FROM faults")
    before = charges(globex)
    other = globex("subs", "add-seats", "globex/webinars", "2", "--yes", "-o", "json")
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert (seats(globex), charges(globex)) == ({"globex/meetings": 5, "globex/webinars": 4}, before)
    assert globex("subs", "add-seats", "globex/webinars", "2", "--yes").code == 0
    assert globex("sandbox", "advance", "25h").code == globex("sync").code == 0
    assert seats(globex) == {"globex/meetings": 5, "globex/webinars": 6}
    assert len(charges(globex)) == len(before) + 1


def test_a_pause_is_known_of_a_subscription_whose_item_is_gone(globex):
    with twin(globex) as stripe:
        take_off(stripe, 4)
        (shared,) = stripe.store.walk("subscription")
        send(stripe, f"subscriptions/{shared['id']}", {"pause_collection": {"behavior": "void"}})
    assert globex("sync").code == 0
    assert globex("reconcile", "--check").code == 0
    with twin(globex) as stripe:
        send(stripe, f"subscriptions/{shared['id']}", {"pause_collection": ""})
    assert globex("sync").code == 0
    assert globex("reconcile", "--check").code == 0


def test_an_item_that_takes_the_place_of_another_has_the_seats_that_it_pays_for(sandbox, team):
    """As many as were to begin with the next term: what waited was said of the one that is gone."""
    assert sandbox("subs", "set-seats", team, "4", "--yes").code == 0
    assert seats(sandbox) == {"design": 5}
    with twin(sandbox) as stripe:
        (bought,) = stripe.store.walk("subscription")
        (item,) = stripe.store.walk("subscription_item")
        added = {"subscription": bought["id"], "price": product(stripe, "Rooms"), "quantity": 4}
        send(stripe, "subscription_items", {**added, "proration_behavior": "none"})
        headers = {"Authorization": "Bearer sk_test_x"}
        gone = stripe.handle("DELETE", f"/v1/subscription_items/{item['id']}", headers, None)
        assert gone.status == 200
    assert sandbox("sync").code == 0
    assert seats(sandbox) == {"design": 4}
    assert sandbox("reconcile", "--check").code == 0


def test_what_was_said_of_an_item_that_is_gone_is_believed_of_no_other(sandbox, team):
    """The remaining subscription does not get its name, owner and automatic approval either."""
    assert sandbox("config", "auto-approve", team, "on").code == 0
    before = settings(sandbox)[team]
    with twin(sandbox) as stripe:
        (bought,) = stripe.store.walk("subscription")
        added = {"subscription": bought["id"], "price": product(stripe, "Rooms"), "quantity": 3}
        send(stripe, "subscription_items", added)
    assert sandbox("sync").code == 0
    with twin(sandbox) as stripe:
        take_off(stripe, 5)
    for command in ("sync", "sync --full"):
        assert sandbox(*command.split()).code == 0
        assert seats(sandbox) == {"design": 0, "design/rooms": 3}
        assert settings(sandbox) == {"design": before, "design/rooms": ("rooms", None, False)}
    assert sandbox("subs", "rename", "design/rooms", "rooms").code == 0
    assert sandbox("sync", "--full").code == 0
    assert settings(sandbox) == {"design": before, "rooms": ("rooms", None, False)}


def test_an_item_that_replaces_one_of_several_keeps_what_was_said_of_it(sandbox, team):
    before = settings(sandbox)[team]
    with twin(sandbox) as stripe:
        (bought,) = stripe.store.walk("subscription")
        (item,) = stripe.store.walk("subscription_item")
        for price, quantity in ((product(stripe, "Rooms"), 3), (item["price"]["id"], 7)):
            if quantity == 7:
                take_off(stripe, 5)
            added = {"subscription": bought["id"], "price": price, "quantity": quantity}
            send(stripe, "subscription_items", added)
            assert sandbox("sync").code == 0
    assert seats(sandbox) == {"design": 7, "design/rooms": 3}
    assert settings(sandbox) == {"design": before, "design/rooms": ("rooms", None, False)}
