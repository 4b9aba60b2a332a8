"""Subscriptions that Stripe treats in another way than those bought here: classic billing, schedules."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import charges, contents, live_subscriptions, objects, sandbox_path, twin
from tests.support.subscriptions import ledger_place, query

BUY = "subs buy --plan {} --seats 10 --name acme --billing-email pay@example.com --yes"
CARD = ("--payment-method", "pm_card_visa")


def edit(seatctl, **fields) -> None:
    """Set fields of the subscription as Stripe has it; the sandbox itself makes no such ones."""
    (subscription,) = live_subscriptions(seatctl)
    for name, value in fields.items():
        query(
            sandbox_path(seatctl),
            "UPDATE objects SET body = json_set(body, ?, json(?)) WHERE id = ?",
            f"$.{name}",
            json.dumps(value),
            subscription["id"],
        )


def schedule(seatctl, *seats: int) -> None:
    """A schedule manages the subscription: after the running period it has these seats, one phase each."""
    (subscription,) = live_subscriptions(seatctl)
    with twin(seatctl) as stripe:
        made = send(stripe, "subscription_schedules", {"from_subscription": subscription["id"]})
        (first,) = made["phases"]
        price = first["items"][0]["price"]
        phases = [{"items": [{"price": price, "quantity": count}]} for count in seats]
        running = {
            "items": [{"price": price, "quantity": first["items"][0]["quantity"]}],
            "start_date": first["start_date"],
            "end_date": first["end_date"],
        }
        send(stripe, f"subscription_schedules/{made['id']}", {"phases": [running, *phases]})


def refused(seatctl, code: str, command: str) -> dict:
    """The error of a command that is refused before anything is written, here or there."""
    before = contents(seatctl)
    for how in (("--dry-run",), ("--yes",)):
        answer = seatctl(*command.split(), *how, "-o", "json")
        assert (answer.code, answer.error["code"]) == (4, code), answer
    assert contents(seatctl) == before
    return answer.error


# Schedules --------------------------------------------------------------------------------------------


@pytest.fixture
def scheduled(sandbox, pro):
    """A subscription whose seats a schedule sets at the beginning of its next phase."""
    assert sandbox("plans", "add", "plus", "--price", "20.00", "--currency", "usd").code == 0
    assert sandbox(*BUY.format(pro).split(), *CARD).code == 0
    schedule(sandbox, 8)
    return sandbox


@pytest.mark.parametrize(
    "command",
    [
        "add-seats acme 1",
        "set-seats acme 5",
        "change-plan acme plus",
        "change-plan acme plus --at-renewal",
        "cancel acme",
        "cancel acme --now --refund",
        "resume acme",
    ],
)
def test_no_command_of_money_goes_past_a_schedule(scheduled, command):
    error = refused(scheduled, "managed_by_schedule", f"subs {command}")
    (made,) = objects(scheduled, "subscription_schedule")
    assert made["id"] in error["message"]
    assert "release the schedule" in error["hint"]
    assert "its next phase sets 8 seats" in error["message"]
    assert error["next_seats"] == 8
    with twin(scheduled) as stripe:
        send(stripe, f"subscription_schedules/{made['id']}/release", {})
    assert scheduled("subs", *command.split(), "--yes").code == 0


def test_a_renewal_by_hand_does_not_either(sandbox):
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    assert sandbox(*BUY.format("team").split(), *CARD).code == 0
    assert sandbox("sandbox", "advance", "350d").code == 0
    schedule(sandbox)
    refused(sandbox, "managed_by_schedule", "subs renew acme")
    refused(sandbox, "managed_by_schedule", "subs add-seats acme 5")


def test_who_pays_can_be_changed_and_another_subscription_bought(scheduled):
    assert scheduled("subs", "billing", "acme", "--email", "new@example.com", "--yes").code == 0
    assert scheduled("subs", "billing", "acme", "--payment-method", "pm_card_mastercard", "--yes").code == 0
    second = "subs buy --plan pro --seats 1 --name second --bill-to acme --yes"
    assert scheduled(*second.split()).code == 0


def test_a_shortfall_is_not_bought_past_a_schedule(scheduled, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(12)))
    words = f"seats apply {people} --subscription acme --create-users --buy-shortfall --max-spend 100"
    answer = scheduled(*words.split(), "--yes", "-o", "json")
    assert (answer.code, answer.error["code"]) == (4, "managed_by_schedule"), answer
    assert charges(scheduled) == [12000]


# Classic billing --------------------------------------------------------------------------------------


@pytest.fixture
def classic(sandbox, pro):
    """Ten seats of a subscription that credits by what its item holds."""
    assert sandbox("plans", "add", "plus", "--price", "20.00", "--currency", "usd").code == 0
    assert sandbox(*BUY.format(pro).split(), *CARD).code == 0
    edit(sandbox, billing_mode={"type": "classic"})
    return sandbox


@pytest.mark.parametrize(
    "command", ["add-seats acme 1", "change-plan acme plus", "cancel acme --now --refund"]
)
def test_after_a_decrease_that_waits_nothing_is_prorated(classic, command):
    assert classic("subs", "set-seats", "acme", "4", "--yes").code == 0
    error = refused(classic, "classic_billing", f"subs {command}")
    assert "4 seats of pro of the next term" in error["message"]
    assert error["hint"].startswith("to take the waiting change back: seatctl subs set-seats acme 10;")
    assert classic("subs", "set-seats", "acme", "10", "--yes").code == 0
    assert classic("subs", *command.split(), "--yes").code == 0


def test_after_a_plan_change_that_waits_the_hint_takes_it_back(classic):
    assert classic("subs", "change-plan", "acme", "plus", "--at-renewal", "--yes").code == 0
    error = refused(classic, "classic_billing", "subs add-seats acme 1")
    assert error["hint"].startswith("to take the waiting change back: seatctl subs change-plan acme pro;")
    assert classic("subs", "change-plan", "acme", "pro", "--yes").code == 0
    assert classic("subs", "add-seats", "acme", "1", "--yes").code == 0


@pytest.mark.parametrize("command", ["add-seats acme 1", "cancel acme --now --refund"])
@pytest.mark.parametrize("proration_behavior", ["none", "create_prorations"])
def test_after_a_waiting_decrease_was_changed_in_stripe_nothing_is_prorated(
    classic, command, proration_behavior
):
    """The item holds 6 seats, Stripe has billed 10 of them: classic billing would credit 6."""
    assert classic("subs", "set-seats", "acme", "4", "--yes").code == 0

    def in_the_dashboard(quantity: int) -> None:
        (item,) = objects(classic, "subscription_item")
        change = {"quantity": quantity, "proration_behavior": proration_behavior}
        with twin(classic) as stripe:
            send(stripe, f"subscription_items/{item['id']}", change)

    in_the_dashboard(6)
    error = refused(classic, "classic_billing", f"subs {command}")
    assert "changed in Stripe, while 10 seats of pro are paid for until" in error["message"]
    assert error["hint"].startswith("to put 10 seats of pro back, without proration: Stripe's dashboard;")
    in_the_dashboard(10)
    assert classic("subs", *command.split(), "--yes").code == 0


def test_what_needs_no_credit_is_done(classic):
    assert classic("subs", "set-seats", "acme", "4", "--yes").code == 0
    assert classic("subs", "set-seats", "acme", "3", "--yes").code == 0
    assert classic("subs", "cancel", "acme", "--now", "--yes").code == 0


def test_a_classic_subscription_of_which_nothing_waits_is_changed_and_refunded(classic):
    assert classic("subs", "add-seats", "acme", "1", "--yes").code == 0
    assert classic("subs", "cancel", "acme", "--now", "--refund", "--yes").code == 0


def test_seats_at_full_price_are_not_credited_twice(sandbox):
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    assert sandbox(*BUY.format("team").split(), *CARD).code == 0
    edit(sandbox, billing_mode={"type": "classic"})
    assert sandbox("subs", "add-seats", "acme", "5", "--yes").code == 0
    number = objects(sandbox, "invoice")[-1]["number"]
    error = refused(sandbox, "classic_billing", "subs cancel acme --now --refund")
    assert number in error["message"]
    assert query(ledger_place(sandbox), "SELECT run FROM operations WHERE state <> 'done'") == []


def test_flexible_billing_credits_what_was_billed_whatever_waits(sandbox, team):
    assert sandbox("subs", "set-seats", team, "3", "--yes").code == 0
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 0
