"""Events come in the version of the account or of a webhook: only the id of their object is taken over."""

from __future__ import annotations

import json

import pytest

from seatctl.sandbox.api.twin import Twin
from tests.sandbox.seed import send
from tests.support.both_sides import objects, twin
from tests.support.subscriptions import ledger_place, query

OLD = "2014-09-08"


def changed_in_an_old_version(seatctl) -> dict:
    """Three seats more, made in the dashboard of an account whose default version is old; the event."""
    (subscription,) = objects(seatctl, "subscription")
    (item,) = objects(seatctl, "subscription_item")
    with twin(seatctl) as stripe:
        change = {"items": [{"id": item["id"], "quantity": 8}], "proration_behavior": "none"}
        send(stripe, f"subscriptions/{subscription['id']}", change)
        events = [one for one in stripe.store.walk("event") if one["type"] == "customer.subscription.updated"]
        # So a subscription looked then: one plan, its period, no items.
        inner = {
            "id": subscription["id"],
            "object": "subscription",
            "customer": subscription["customer"],
            "plan": {"id": "gold", "object": "plan", "amount": 1},
            "quantity": 99,
            "status": "active",
            "current_period_end": 1,
        }
        old = {**events[0], "api_version": OLD, "data": {"object": inner}}
        stripe.store.put(old)
    return old


@pytest.mark.parametrize("way", ["sync", "a stream"])
def test_the_object_of_an_event_of_another_version_is_read_in_our_own(sandbox, team, way, monkeypatch):
    assert sandbox("sync").code == 0
    event, handle, read = changed_in_an_old_version(sandbox), Twin.handle, []

    def noting(self, method, url, headers, form):
        read.append(f"{method} {url.partition('?')[0]}")
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", noting)
    argv = ("sync",) if way == "sync" else ("sync", "--events", "-")
    assert sandbox(*argv, stdin=json.dumps(event)).code == 0
    assert f"GET /v1/subscriptions/{event['data']['object']['id']}" in read
    assert query(ledger_place(sandbox), "SELECT quantity, capacity, status FROM subscriptions") == [
        (8, 8, "active")
    ]
