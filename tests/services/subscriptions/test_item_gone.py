"""An item is removed from its Stripe subscription while an operation of our subscription is unfinished."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.seed import send
from tests.services.operations.test_recovery import IN_WINDOW, of_subscription, refuse
from tests.services.sync.test_foreign_objects import product
from tests.support.both_sides import charges, fail, objects, sandbox_path, twin
from tests.support.office import open_contract, until
from tests.support.subscriptions import ledger_place, query

HEADERS = {"Authorization": "Bearer sk_test_x"}
ASKS_THE_BANK = ("subs", "billing", "design", "--payment-method", "pm_card_threeDSecure2Required", "--yes")


@pytest.fixture
def shared(sandbox, team):
    """`design` shares its subscription in Stripe with an item of another plan."""
    with twin(sandbox) as stripe:
        other = {"subscription": objects(sandbox, "subscription")[0]["id"], "quantity": 2}
        send(stripe, "subscription_items", {**other, "price": product(stripe, "Other")})
    assert sandbox("sync").code == 0
    return sandbox


def take_off(seatctl, amount=1200):
    """Delete the item of `design` as the dashboard does."""
    with twin(seatctl) as stripe:
        items = stripe.store.walk("subscription_item")
        (item,) = [one["id"] for one in items if one["price"]["unit_amount"] == amount]
        stripe.handle("DELETE", f"/v1/subscription_items/{item}", HEADERS, None)


def interrupted(seatctl, *words, path="/v1/subscriptions/", kind="timeout"):
    """Run a command whose calls to `path` fail until it gives up."""
    fail(seatctl, kind, times=1000, method="POST", path=path)
    stopped = seatctl(*words, "--yes", "-o", "json")
    query(sandbox_path(seatctl), "DELETE FROM faults")
    return stopped


def settled(seatctl, name="design", seats=0):
    """The end that the next sync gives to the operation; after it nothing is left open."""
    first = seatctl("sync", "-o", "json")
    assert first.code == 0, first.out + first.err
    assert (
        query(ledger_place(seatctl), "SELECT run FROM operations WHERE state IN ('pending', 'waiting')") == []
    )
    assert {row["name"]: row["seats"] for row in seatctl.rows("subs", "list")}[name] == seats
    assert seatctl("reconcile", "--check").code == 0
    return first.rows[0]


def test_an_increase_that_waits_for_the_bank_is_given_up(shared):
    assert shared(*ASKS_THE_BANK).code == 0
    paid = charges(shared)
    assert shared("subs", "add-seats", "design", "2", "--yes").code == 10
    take_off(shared)
    row = settled(shared)
    assert (row["result"], row["error"]) == ("failed", "item_gone")
    assert "nothing was charged" in row["summary"]
    assert charges(shared) == paid
    assert [one["id"] for one in objects(shared, "invoice") if one["status"] == "open"] == []


def test_an_increase_that_the_bank_has_agreed_to_is_told_as_charged(shared):
    assert shared(*ASKS_THE_BANK).code == 0
    before = len(charges(shared))
    assert shared("subs", "add-seats", "design", "2", "--yes").code == 10
    assert shared("sandbox", "authenticate").code == 0
    take_off(shared)
    row = settled(shared)
    assert row["result"] == "finished"
    assert "its item was removed in Stripe: nothing is paid for any more" in row["summary"]
    assert len(charges(shared)) == before + 1
    assert len(shared.rows("invoices", "list", "design")) >= 2


def test_an_increase_whose_answer_was_lost_ends(shared):
    stopped = interrupted(shared, "subs", "add-seats", "design", "2", kind="lost")
    assert stopped.code == 75
    paid = charges(shared)
    take_off(shared)
    assert "its item was removed in Stripe" in settled(shared)["summary"]
    assert charges(shared) == paid


def test_an_increase_that_never_arrived_comes_to_nothing(shared):
    paid = charges(shared)
    assert interrupted(shared, "subs", "add-seats", "design", "2").code == 75
    take_off(shared)
    assert settled(shared)["result"] == "failed"
    assert charges(shared) == paid


def test_a_change_of_which_only_the_next_term_is_missing_ends(shared, monkeypatch):
    """The added seats are charged, and the decrease that waited cannot be set again."""
    assert shared("subs", "set-seats", "design", "3", "--yes").code == 0
    sent = []

    def second(url):
        sent.extend([url] if of_subscription(url) else [])
        return of_subscription(url) and len(sent) == 2

    before = len(charges(shared))
    with monkeypatch.context() as patch:
        refuse(patch, 403, "POST", second)
        assert shared("subs", "add-seats", "design", "2", "--yes").code == 8
    take_off(shared)
    row = settled(shared)
    assert (row["result"], "its item was removed in Stripe" in row["summary"]) == ("finished", True)
    assert len(charges(shared)) == before + 1


def test_seats_that_were_paid_in_full_are_paid_back(sandbox):
    contract = open_contract(sandbox)
    with twin(contract) as stripe:
        other = {"subscription": objects(contract, "subscription")[0]["id"], "quantity": 2}
        send(stripe, "subscription_items", {**other, "price": product(stripe, "Other")})
    assert contract("sync").code == 0
    assert interrupted(contract, "subs", "add-seats", "acme", "5").code == 75
    take_off(contract, 600)
    row = settled(contract, "acme")
    assert (row["result"], row["error"]) == ("failed", "item_gone")
    assert "is refunded in full" in row["summary"]
    assert [note["amount"] for note in objects(contract, "credit_note")] == [3000]


def test_a_renewal_whose_item_was_replaced_is_paid_back(sandbox):
    contract = open_contract(sandbox)
    until(contract, IN_WINDOW)
    assert interrupted(contract, "subs", "renew", "acme").code == 75
    with twin(contract) as stripe:
        other = {"subscription": objects(contract, "subscription")[0]["id"], "quantity": 7}
        send(stripe, "subscription_items", {**other, "price": product(stripe, "Other")})
    take_off(contract, 600)
    row = settled(contract, "acme", seats=7)
    assert (row["result"], "is refunded in full" in row["summary"]) == ("failed", True)


@pytest.mark.parametrize(
    "words",
    [
        "subs add-seats design 2",
        "subs set-seats design 9",
        "subs change-plan design other",
        "subs cancel design",
        "subs cancel design --now --refund",
        "subs billing design --email new@example.com",
    ],
)
def test_every_change_says_what_happened_and_the_way_out(shared, words):
    assert shared("plans", "edit", "other", "--policy", "flexible").code == 0
    take_off(shared)
    again = "to buy seats again: seatctl subs buy --plan pro --seats N --name NAME --payment-method ID"
    for hint in ("seatctl sync", again):
        refused = shared(*words.split(), "--yes", "-o", "json")
        assert (refused.code, refused.error["code"], refused.error["hint"]) == (4, "item_gone", hint)
        synced = shared("sync", "-o", "json")
        if hint == "seatctl sync":
            assert "design" in synced.rows[0]["name"]
            assert synced.rows[0]["summary"] == "taken off its subscription in Stripe: seats 5 → 0"


def test_an_item_that_is_replaced_by_one_just_like_it_is_followed(team, sandbox):
    """Nothing else of the subscription changes then: the sync learned of it, and forgot it again."""
    columns = "SELECT stripe_item, stripe_subscription, price_id FROM subscriptions WHERE name = 'design'"
    ((item, subscription, price),) = query(ledger_place(sandbox), columns)
    with twin(sandbox) as stripe:
        other = {"subscription": subscription, "price": product(stripe, "Rooms"), "quantity": 1}
        send(stripe, "subscription_items", other)
    assert sandbox("sync").code == 0
    for _ in range(3):
        with twin(sandbox) as stripe:
            headers = {"Authorization": "Bearer sk_test_x"}
            stripe.handle("DELETE", f"/v1/subscription_items/{item}", headers, None)
            like = {"subscription": subscription, "price": price, "quantity": 5}
            made = send(stripe, "subscription_items", like)["id"]
        assert sandbox("sync").code == 0
        ((item, _, _),) = query(ledger_place(sandbox), columns)
        assert item == made
    assert sandbox("subs", "add-seats", "design", "1", "--yes").code == 0
    assert sandbox("ledger", "check").code == 0


def test_a_change_that_meets_a_replaced_item_before_a_sync_does_records_it(team, sandbox):
    """A sync did, but a change stored the new item without a change row."""
    columns = "SELECT id, stripe_item, stripe_subscription, price_id FROM subscriptions WHERE name = 'design'"
    ((number, item, subscription, price),) = query(ledger_place(sandbox), columns)
    with twin(sandbox) as stripe:
        other = {"subscription": subscription, "price": product(stripe, "Rooms"), "quantity": 1}
        send(stripe, "subscription_items", other)
    assert sandbox("sync").code == 0
    with twin(sandbox) as stripe:
        stripe.handle("DELETE", f"/v1/subscription_items/{item}", {"Authorization": "Bearer sk_test_x"}, None)
        like = {"subscription": subscription, "price": price, "quantity": 5}
        made = send(stripe, "subscription_items", like)["id"]
    assert sandbox("subs", "add-seats", "design", "1", "--yes").code == 0
    changes = query(
        ledger_place(sandbox),
        f"SELECT before, after FROM changes WHERE entity = 'subscription' AND entity_id = {number}"
        " AND after LIKE '%stripe_item%'",
    )
    assert [(json.loads(was), json.loads(became)) for was, became in changes] == [
        ({"stripe_item": item}, {"stripe_item": made})
    ]


def test_a_plan_that_waited_on_an_item_that_was_replaced_is_no_longer_next(team, sandbox):
    assert sandbox("plans", "add", "later", "--price", "7.00", "--currency", "usd").code == 0
    assert sandbox("subs", "change-plan", "design", "later", "--at-renewal", "--yes").code == 0
    assert shown(sandbox)["next_plan"] == "later"
    columns = "SELECT stripe_item, stripe_subscription, price_id FROM subscriptions WHERE name = 'design'"
    ((item, subscription, price),) = query(ledger_place(sandbox), columns)
    with twin(sandbox) as stripe:
        like = {"subscription": subscription, "price": price, "quantity": 5}
        send(stripe, "subscription_items", {**like, "price": product(stripe, "Rooms")})
    assert sandbox("sync").code == 0
    with twin(sandbox) as stripe:
        headers = {"Authorization": "Bearer sk_test_x"}
        stripe.handle("DELETE", f"/v1/subscription_items/{item}", headers, None)
        send(stripe, "subscription_items", like)
    assert sandbox("sync").code == 0
    row = shown(sandbox)
    assert row["next_plan"] == row["plan"]


def shown(seatctl) -> dict:
    return seatctl("subs", "show", "design", "-o", "json").json
