"""A machine whose clock is hours off: what is compared with Stripe's times goes by Stripe's `Date`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from seatctl.billing.stripe import _moment
from seatctl.sandbox import clock
from seatctl.sandbox.api import control
from seatctl.sandbox.clock import http_date
from tests.support.front import account

HOUR = 3600
BUY = "subs buy --plan pro --seats 5 --name design --billing-email pay@example.com --yes -o json"
CARD = ("--payment-method", "pm_card_visa")


@contextmanager
def hours_off(seatctl, tmp_path, hours: float):
    """A test-mode profile with a plan; Stripe's clock is so many hours ahead of the machine's."""
    with account(seatctl, tmp_path / "stripe.db") as made:
        with made.front.twin.store.transaction():
            clock.move(made.front.twin.store, int(time.time() + hours * HOUR))
        assert made("plans", "add", "pro", "--price", "12.00", "--currency", "usd").code == 0
        yield made


def charges(made) -> list[int]:
    return [one["amount"] for one in made.front.twin.store.walk("charge", oldest_first=True) if one["paid"]]


@pytest.mark.parametrize("text", ["Sun, 29 Feb 2032 23:59:07 GMT", "Mon, 30 Nov 2026 11:00:00 GMT"])
def test_the_date_of_an_answer_is_read_as_it_is_written(text):
    moment = _moment(text)
    assert moment is not None
    assert http_date(int(moment.timestamp())) == text


@pytest.mark.parametrize("text", ["", "yesterday", "Mon, 30 Nov 2026 11:00:61 GMT", "1 2 3 4 5:6:7 8"])
def test_what_is_no_date_tells_no_time(text):
    assert _moment(text) is None


@pytest.mark.parametrize("hours", [-7, 7])
def test_every_answer_of_the_sandbox_tells_its_own_time(seatctl, tmp_path, hours):
    with hours_off(seatctl, tmp_path, hours) as made:
        refused = made.front.twin.handle("GET", "/v1/nothing", {"Authorization": "Bearer sk_test_x"}, None)
        told = _moment(refused.headers["Date"])
        ahead = told - datetime.now(UTC)
        assert abs(ahead.total_seconds() - hours * HOUR) < 60


@pytest.mark.parametrize("hours", [-7, 7])
def test_seats_are_added_right_after_a_purchase_whatever_the_machines_clock_says(seatctl, tmp_path, hours):
    """By a clock that is behind, the moment of the proration would lie before the period."""
    with hours_off(seatctl, tmp_path, hours) as made:
        assert made(*BUY.split(), *CARD).code == 0
        added = made("subs", "add-seats", "design", "1", "--yes", "-o", "json")
        assert added.code == 0, added.err
        assert charges(made) == [6000, 1200]


@pytest.mark.parametrize("hours", [-7, 7])
@pytest.mark.parametrize("left", [HOUR, -HOUR])
def test_seats_are_added_around_a_renewal(seatctl, tmp_path, hours, left):
    """An hour before and after the end of a day's period; the machine's clock is on the other side of it."""
    with hours_off(seatctl, tmp_path, hours + left / HOUR - 24) as made:
        daily = "plans add daily --price 12.00 --currency usd --interval day"
        assert made(*daily.split()).code == 0
        assert made(*BUY.replace("pro", "daily").split(), *CARD).code == 0
        twin = made.front.twin
        (item,) = twin.store.walk("subscription_item")
        control.advance(twin, seconds=item["current_period_end"] - left - twin.now())
        asked = made("subs", "add-seats", "design", "5", "--dry-run", "-o", "json").rows[0]
        added = made("subs", "add-seats", "design", "5", "--yes", "-o", "json")
        assert added.code == 0, added.err
        charged = charges(made)[-1]
        assert (added.rows[0]["seats"], added.rows[0]["amount_paid"]) == (10, charged)
        assert abs(charged - asked["due_now"]) < 10  # the seconds between the two commands
        assert abs(charged - (250 if left > 0 else 5750)) < 50


@pytest.mark.parametrize("hours", [-20, -7, 7, 20])
def test_a_page_is_open_for_as_long_as_stripe_allows(seatctl, tmp_path, hours):
    with hours_off(seatctl, tmp_path, hours) as made:
        waiting = made(*BUY.split(), "--checkout")
        assert (waiting.code, waiting.error["code"]) == (10, "waiting_for_checkout"), waiting.err
        (page,) = made.front.twin.store.walk("checkout.session")
        assert 22 * HOUR < page["expires_at"] - page["created"] < 24 * HOUR


@pytest.mark.parametrize("hours", [-7, 7])
@pytest.mark.parametrize("later", [0, 25])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/subscriptions"])
def test_an_answer_that_was_lost_is_found_again(seatctl, tmp_path, monkeypatch, hours, later, path):
    """Stripe forgets a key by its own clock, and lists what was made by its own clock."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with hours_off(seatctl, tmp_path, hours) as made:
        twin = made.front.twin
        control.fail(twin, "lost", method="POST", path=path, times=4)
        assert made(*BUY.split(), *CARD).code == 75
        if later:
            control.advance(twin, seconds=later * HOUR)
        assert made("sync").code in {0, 75}
        assert made("sync").code == 0
        assert len(list(twin.store.walk("customer"))) == 1
        assert charges(made) == [6000]


@pytest.mark.parametrize("hours", [-7, 7])
def test_a_sync_sees_what_comes_after_it(seatctl, tmp_path, hours):
    with hours_off(seatctl, tmp_path, hours) as made:
        with made.front.twin.store.transaction():
            made.front.twin.store._db.execute("DELETE FROM objects WHERE kind = 'event'")
        assert made("sync", "--full").code == 0
        assert made(*BUY.split(), *CARD).code == 0
        (subscription,) = made.front.twin.store.walk("subscription")
        made.front.twin.handle(
            "POST",
            f"/v1/subscriptions/{subscription['id']}",
            {"Authorization": "Bearer sk_test_x"},
            "cancel_at_period_end=true",
        )
        assert made("sync").code == 0
        assert made.rows("subs", "list")[0]["ends"] is True


def test_a_decrease_that_falls_due_between_the_two_clocks_changes_nothing_under_a_command(seatctl, tmp_path):
    """For Stripe the next term runs, for the machine the last one does: that is nobody's change."""
    with hours_off(seatctl, tmp_path, 7 - 24) as made:
        daily = "plans add daily --price 12.00 --currency usd --interval day --policy flexible"
        assert made(*daily.split()).code == 0
        assert made(*BUY.replace("pro", "daily").split(), *CARD).code == 0
        assert made("subs", "set-seats", "design", "3", "--yes").code == 0
        twin = made.front.twin
        (item,) = twin.store.walk("subscription_item")
        control.advance(twin, seconds=item["current_period_end"] + HOUR - twin.now())
        added = made("subs", "add-seats", "design", "1", "--yes", "-o", "json")
        assert added.code == 0, added.err
        assert added.rows[0]["seats"] == 4
