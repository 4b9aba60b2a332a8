"""A profile on a test clock: its customers are on the clock, and the clock's time is now."""

from __future__ import annotations

import json
from unittest import mock

import pytest

from seatctl.app.connections import on_test_clock
from seatctl.config.settings import Mode, Profile
from seatctl.errors import BadInput
from seatctl.sandbox.clock import HOUR, add_months
from tests.support.both_sides import objects, twin

START = 2222222222  # 2040-06-02
BUY = "subs buy --plan pro --seats 2 --name {} --owner ann@example.com --billing-email {}@example.com"
CARD = "--payment-method pm_card_visa --yes -o json"
CLOCKS = "/v1/test_helpers/test_clocks"
HEADERS = {"Authorization": "Bearer sk_test_story"}


def call(seatctl, method, path, form=None):
    with twin(seatctl) as stripe:
        answer = stripe.handle(method, path, HEADERS, form)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.fixture
def clock(sandbox, pro):
    """A clock that is the profile's; another customer is on another clock, and one on none."""
    assert sandbox(*BUY.format("own", "own").split(), *CARD.split()).code == 0
    other, clock = (call(sandbox, "POST", CLOCKS, f"frozen_time={START}")["id"] for _ in range(2))
    assert sandbox("config", "set", "stripe.test_clock", other).code == 0
    assert sandbox(*BUY.format("other", "other").split(), *CARD.split()).code == 0
    assert sandbox("config", "set", "stripe.test_clock", clock).code == 0
    return clock


def test_purchases_are_on_the_clock_and_have_its_time(sandbox, clock):
    bought = sandbox.rows(*BUY.format("design", "pay").split(), *CARD.split()[:-2])
    assert bought[0]["status"] == "active"
    customer = next(one for one in objects(sandbox, "customer") if one["email"] == "pay@example.com")
    assert (customer["test_clock"], customer["created"]) == (clock, START)
    row = next(one for one in sandbox.rows("subs", "list") if one["name"] == "design")
    assert row["term_end"] == "2040-07-02T03:57:02Z"
    assert sandbox("status", "-o", "json").code == 0


def test_sync_reads_what_happened_on_the_clock_by_events_and_by_lists(sandbox, clock):
    assert sandbox(*BUY.format("design", "pay").split(), *CARD.split()).code == 0
    assert sandbox("sync").code == 0
    end = add_months(START, 1)
    for moment, full in ((end + 2 * HOUR, ()), (add_months(START, 2) + 2 * HOUR, ("--full",))):
        call(sandbox, "POST", f"{CLOCKS}/{clock}/advance", f"frozen_time={moment}")
        assert call(sandbox, "GET", f"{CLOCKS}/{clock}")["status"] == "advancing"
        changed = sandbox.rows("sync", *full)
        assert "design" in [row.get("name") for row in changed]
        assert sandbox.rows("sync", *full) == []
    invoices = [one for one in sandbox.rows("invoices", "list") if one["subscription"] == "design"]
    assert [one["status"] for one in invoices] == ["paid"] * 3
    assert sandbox.rows("runs", "list")[0]["started_at"].startswith("2040-08")


def test_the_setting_is_hidden_checked_and_refused_in_live_mode(sandbox):
    assert "test_clock" not in sandbox("help", "settings").out + sandbox("config", "show").out
    refused = sandbox("config", "set", "stripe.test_clock", "cus_1", "-o", "json")
    assert (refused.code, "clock_1AbC" in refused.error["message"]) == (3, True)
    live = Profile("live", Mode.LIVE, {"stripe.test_clock": "clock_1"})
    with pytest.raises(BadInput, match="no test clocks in live mode"):
        on_test_clock(mock.Mock(), live)
