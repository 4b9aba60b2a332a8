"""`runs undo` and the steps of `runs show`: what waits is abandoned, what is done names its opposite."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.support.both_sides import charges, fail, objects, twin
from tests.support.office import (
    TEN_DAYS_LEFT,
    change_card,
    clear_faults,
    done,
    is_sound,
    item,
    open_office,
    refused,
    subs_row,
    until,
)

ASKS_THE_BANK = "pm_card_threeDSecure2Required"


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


def last_run(seatctl) -> dict:
    return seatctl.rows("runs", "list")[0]


def wait_for_the_bank(seatctl, command: str) -> int:
    """Run a command whose payment the bank wants to be authenticated; the run's number."""
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert result.code == 10, result.err
    assert result.error["url"].startswith("https://")
    return result.error["run"]


def test_an_increase_that_waits_is_abandoned(office):
    change_card(office, "pay-lab@example.com", ASKS_THE_BANK)
    until(office, TEN_DAYS_LEFT)
    number = wait_for_the_bank(office, "subs add-seats lab 3")
    assert done(office, f"runs undo {number} --dry-run")["result"] == "abandoned"
    assert done(office, f"runs undo {number}")["result"] == "abandoned"
    assert (subs_row(office, "lab")["seats"], item(office, "lab")["quantity"]) == (10, 10)
    assert charges(office) == [2000, 10000, 3000]
    assert [one["status"] for one in objects(office, "invoice")][-1] == "void"
    assert objects(office, "subscription")[1]["pending_update"] is None
    run = office("runs", "show", number, "-o", "json").json
    assert (run["state"], run["summary"].startswith("abandoned by ann@example.com")) == ("failed", True)
    # Nothing stands in the way of another change, and nothing is left for sync.
    change_card(office, "pay-lab@example.com", "pm_card_visa")
    assert done(office, "subs add-seats lab 3")["seats"] == 13
    assert office("sync").code == 0
    assert "nothing to undo" in office("runs", "undo", number).err
    is_sound(office)


def test_what_waits_stands_in_the_way_and_the_way_out_is_named(office):
    change_card(office, "pay-lab@example.com", ASKS_THE_BANK)
    number = wait_for_the_bank(office, "subs add-seats lab 3")
    other = refused(office, "subs cancel lab --now", 75)
    assert (other["code"], other["run"]) == ("operation_pending", number)
    assert f"seatctl runs undo {number}" in other["hint"]
    done(office, f"runs undo {number}")
    assert done(office, "subs cancel lab --now")["status"] == "canceled"


def test_a_purchase_that_waits_is_abandoned(office):
    number = wait_for_the_bank(
        office,
        "subs buy --plan basic --seats 2 --name hall --owner hal@example.com"
        f" --billing-email hal@example.com --payment-method {ASKS_THE_BANK}",
    )
    assert done(office, f"runs undo {number}")["result"] == "abandoned"
    assert [row["name"] for row in office.rows("subs", "list")] == ["design", "field", "lab"]
    assert "hal@example.com" not in {one["email"] for one in objects(office, "customer")}
    assert charges(office) == [2000, 10000, 3000]
    unpaid = {one["status"] for one in objects(office, "invoice") if one["customer"]} - {"paid"}
    assert unpaid == {"void"}, "its page takes no money any more"


def test_what_was_authenticated_meanwhile_is_not_abandoned(office):
    change_card(office, "pay-lab@example.com", ASKS_THE_BANK)
    until(office, TEN_DAYS_LEFT)
    number = wait_for_the_bank(office, "subs add-seats lab 3")
    (opened,) = [one["id"] for one in objects(office, "invoice") if one["status"] == "open"]
    with twin(office) as stripe:
        assert control.authenticate(stripe, opened) == "paid"
    error = refused(office, f"runs undo {number}")
    assert (error["code"], error["hint"]) == ("cannot_undo", "to finish it: seatctl sync")
    assert office("sync").code == 0
    assert subs_row(office, "lab")["seats"] == 13
    assert len(charges(office)) == 4


def test_what_nobody_authenticates_is_undone_after_23_hours(office):
    change_card(office, "pay-lab@example.com", ASKS_THE_BANK)
    until(office, TEN_DAYS_LEFT)
    wait_for_the_bank(office, "subs add-seats lab 3")
    assert office("sync").code == 10
    assert office("sandbox", "advance", "24h").code == 0
    assert office("sync").code == 0
    assert (subs_row(office, "lab")["seats"], len(charges(office))) == (10, 3)
    assert last_run(office)["state"] == "failed"
    is_sound(office)


def test_an_increase_a_day_old_that_never_reached_stripe_is_not_charged_late(office):
    until(office, TEN_DAYS_LEFT)
    fail(office, "timeout", times=9, path="/v1/subscriptions", method="POST")
    assert office("subs", "add-seats", "lab", "3", "--yes").code == 75
    clear_faults(office)
    assert office("sandbox", "advance", "24h").code == 0
    assert office("sync").code == 0
    assert (subs_row(office, "lab")["seats"], len(charges(office))) == (10, 3)


@pytest.mark.parametrize(
    ("command", "opposite"),
    [
        ("subs add-seats lab 2", "seatctl subs set-seats lab 10"),
        ("subs set-seats lab 12", "seatctl subs set-seats lab 10"),
        ("subs set-seats lab 7", "seatctl subs set-seats lab 10"),
        ("subs change-plan lab team", "seatctl subs change-plan lab basic"),
        ("subs change-plan lab team --at-renewal", "seatctl subs change-plan lab basic --at-renewal"),
        ("subs cancel lab", "seatctl subs resume lab"),
        ("subs rename lab attic", "seatctl subs rename attic lab"),
        (
            "subs buy --plan basic --seats 1 --name den --bill-to lab",
            "seatctl subs cancel den --now --refund",
        ),
        ("config auto-approve lab on --domain example.com", "seatctl config auto-approve lab off --reset"),
        (
            "plans edit basic --price 99 --name Other --set grace_days=3",
            "seatctl plans edit basic --name basic --price 10.00 --set grace_days=7",
        ),
        ("plans archive team", "seatctl plans archive team --undo"),
        ("subs cancel lab --now", None),
    ],
)
def test_what_is_done_names_the_command_that_reverses_it(office, command, opposite):
    done(office, command)
    number = last_run(office)["number"]
    error = refused(office, f"runs undo {number}")
    assert (error["code"], error["command"]) == ("cannot_undo", opposite)
    assert error["hint"] == (opposite or f"to see what it changed: seatctl runs show {number}")
    if opposite:
        done(office, opposite.removeprefix("seatctl "))


def test_rules_and_owners_are_named_as_they_were(office):
    done(office, "users add ada@example.com bob@example.com")
    done(office, "subs transfer lab ada@example.com")
    done(office, "subs transfer lab bob@example.com")
    run = last_run(office)["number"]
    assert refused(office, f"runs undo {run}")["command"] == "seatctl subs transfer lab ada@example.com"
    rules = "on --reset --domain example.com --group art --daily-limit 0 --keep-free 2"
    done(office, f"config auto-approve lab {rules}")
    done(office, "config auto-approve lab off --reset")
    run = last_run(office)["number"]
    assert refused(office, f"runs undo {run}")["command"] == f"seatctl config auto-approve lab {rules}"


def test_an_interrupted_run_is_for_sync(office):
    fail(office, "timeout", times=9, path="/v1/subscriptions", method="POST")
    assert office("subs", "cancel", "lab", "--yes").code == 75
    clear_faults(office)
    error = refused(office, f"runs undo {last_run(office)['number']}")
    assert (error["code"], error["hint"]) == ("cannot_undo", "to finish or undo it: seatctl sync")
    assert office("runs", "undo", "999").code == 9


def test_runs_show_tells_every_call_to_stripe(office):
    change_card(office, "pay-lab@example.com", "pm_card_chargeCustomerFail")
    until(office, TEN_DAYS_LEFT)
    assert office("subs", "add-seats", "lab", "3", "--yes").code == 5
    number = last_run(office)["number"]
    (step,) = office("runs", "show", number, "-o", "json").json["steps"]
    assert (step["step"], step["attempt"]) == ("charge", 1)
    assert "Your card was declined" in step["refused"]
    assert step["call"].startswith("POST /v1/subscriptions/sub_")
    assert (step["sent_at"], step["answered_at"]) == (TEN_DAYS_LEFT, TEN_DAYS_LEFT)
    shown = office("runs", "show", number, "-o", "table").out
    assert "charge" in shown
    assert "was declined" in shown
    # A run without Stripe has none.
    assert office("users", "add", "zoe@example.org").code == 0
    assert office("runs", "show", last_run(office)["number"], "-o", "json").json["steps"] == []


def test_only_who_may_add_seats_may_give_up_adding_them(office):
    change_card(office, "pay-lab@example.com", ASKS_THE_BANK)
    number = wait_for_the_bank(office, "subs add-seats lab 3")
    assert office("--as", "nobody@example.org", "runs", "undo", number).code == 8
    assert office("--as", "lab@example.com", "runs", "undo", number).code == 0


def test_what_the_policy_refuses_is_not_named_as_the_way_back(sandbox):
    """An add-on of a contract is given back by the renewal only, or by who sells it."""
    contact = "--set support_contact=help@seller.example"
    done(sandbox, f"plans add year --price 5 --currency usd --interval year --policy term {contact}")
    who = "--owner lee@example.com --billing-email pay@example.com --payment-method pm_card_visa"
    done(sandbox, f"subs buy --plan year --seats 5 --name acme {who}")
    done(sandbox, "subs add-seats acme 5")
    added = last_run(sandbox)["number"]
    error = refused(sandbox, f"runs undo {added}")
    assert (error["code"], error["command"], error["hint"]) == ("cannot_undo", None, "seatctl subs show acme")
    assert "seats are removed only by renewing" in error["message"]
    assert error["message"].endswith("before that ask help@seller.example")
    assert sandbox("sandbox", "advance", "345d").code == 0
    error = refused(sandbox, f"runs undo {added}")
    assert error["hint"] == "seatctl subs renew acme --seats 5"
    assert done(sandbox, error["hint"].removeprefix("seatctl "))["next_seats"] == 5


def test_a_run_that_was_done_again_is_undone_by_its_first_number_and_the_ledger_is_sound(sandbox):
    """What is taken back is the run that did it again; the check took that for a damaged ledger."""
    first = sandbox("users", "add", "eva@example.com", "-o", "json").json["run"]
    undo = sandbox("runs", "undo", str(first), "--yes", "-o", "json").json["run"]
    assert sandbox("runs", "undo", str(undo), "--yes").code == 0
    assert sandbox("runs", "undo", str(first), "--yes").code == 0
    checked = sandbox("ledger", "check")
    assert checked.code == 0, checked.out


def test_an_undo_that_finds_nothing_leaves_what_fell_due_to_the_next_change(sandbox, team):
    """What time had brought was recorded as a run that undoes none: the ledger was called damaged."""
    assert sandbox("subs", "set-seats", team, "4", "--yes").code == 0
    batch = sandbox("batch", "-", "--yes", "-o", "json", stdin="subs rename design lab\n")
    assert sandbox("sandbox", "advance", "32d").code == 0
    undone = sandbox("runs", "undo", str(batch.json["run"]), "--yes")
    assert (undone.code, "is left to undo" in undone.err) == (0, True), undone.out + undone.err
    assert sandbox("ledger", "check").code == 0
    assert sandbox("sync").code == sandbox("ledger", "check").code == 0
