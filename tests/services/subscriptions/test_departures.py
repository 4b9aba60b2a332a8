"""Fewer seats than people: who goes is said, and they keep their seats as long as those are paid for."""

from __future__ import annotations

import pytest

from tests.services.sync.test_foreign_objects import customer, product, subscribe
from tests.support.both_sides import charges, fail, objects
from tests.support.front import account
from tests.support.office import (
    RENEWED,
    TEN_DAYS_LEFT,
    TERM_END,
    clear_faults,
    done,
    entitled,
    freeze,
    is_sound,
    item,
    open_office,
    refused,
    subs_row,
    until,
)

VISA = " --payment-method pm_card_visa"

PEOPLE = ("ada", "bob", "cleo", "dan", "eve")


@pytest.fixture
def office(sandbox):
    """`lab` with ten seats, five of them taken, one after the other; Bob is suspended."""
    seated(open_office(sandbox))
    return sandbox


def seated(seatctl, name="lab"):
    for number, person in enumerate(PEOPLE, 2):
        freeze(seatctl, f"2040-06-{number:02}T00:00:00Z")
        assert seatctl("users", "add", f"{person}@example.com").code == 0
        assert seatctl("seats", "assign", name, f"{person}@example.com").code == 0
    assert seatctl("users", "suspend", "bob@example.com").code == 0


def leaving(seatctl) -> dict[str, str]:
    """Who leaves `lab`, and when."""
    rows = seatctl.rows("seats", "list", "lab")
    return {row["email"].split("@")[0]: row["until"] for row in rows if row["until"]}


def people(seatctl) -> list[str]:
    return [row["email"].split("@")[0] for row in seatctl.rows("seats", "list", "lab")]


def test_fewer_seats_than_people_are_refused_without_a_word_on_who_goes(office):
    error = refused(office, "subs set-seats lab 3")
    assert (error["code"], error["assigned"], error["too_many"]) == ("below_assigned", 5, 2)
    assert "--revoke" in error["hint"]
    assert refused(office, "subs set-seats lab 3 --revoke suspended")["code"] == "below_assigned"
    assert done(office, "subs set-seats lab 5")["next_seats"] == 5


@pytest.mark.parametrize(
    ("seats", "how", "who"),
    [
        (3, "newest", {"dan", "eve"}),
        (3, "oldest", {"ada", "bob"}),
        (4, "suspended", {"bob"}),
    ],
)
def test_who_goes_keeps_the_seat_until_the_renewal(office, seats, how, who):
    row = done(office, f"subs set-seats lab {seats} --revoke {how}")
    assert (row["seats"], row["next_seats"], row["leaving"]) == (10, seats, len(who))
    assert leaving(office) == dict.fromkeys(who, TERM_END)
    assert subs_row(office, "lab")["assigned"] == 5
    until(office, RENEWED)
    assert set(people(office)) == set(PEOPLE) - who
    assert (subs_row(office, "lab")["seats"], subs_row(office, "lab")["assigned"]) == (seats, 5 - len(who))
    goer = next(iter(who - {"bob"}), "bob")
    assert entitled(office, f"{goer}@example.com")[0] == 7
    is_sound(office)


def test_who_goes_is_named_in_a_file(office, tmp_path):
    leavers = tmp_path / "leavers.csv"
    leavers.write_text("email\ncleo@example.com\nada@example.com\n")
    assert refused(office, f"subs set-seats lab 2 --revoke-from {leavers}")["too_many"] == 1
    done(office, f"subs set-seats lab 3 --revoke-from {leavers}")
    assert leaving(office) == {"ada": TERM_END, "cleo": TERM_END}
    leavers.write_text("email\ncleo@example.com\ncloe@example.com\n")
    error = refused(office, f"subs set-seats lab 2 --revoke-from {leavers}", 3)
    assert [(row["line"], row["email"]) for row in error["rows"]] == [(3, "cloe@example.com")]
    both = office(
        "subs", "set-seats", "lab", "3", "--revoke", "newest", "--revoke-from", str(leavers), "--yes"
    )
    assert both.code == 2


def test_who_leaves_anyway_counts_and_goes_first(office):
    done(office, "subs set-seats lab 3 --revoke newest")
    assert done(office, "subs set-seats lab 4")["next_seats"] == 4
    assert refused(office, "subs set-seats lab 2")["too_many"] == 2
    done(office, "subs set-seats lab 2 --revoke oldest")
    assert leaving(office) == dict.fromkeys(("ada", "bob", "eve"), TERM_END)


def test_who_was_to_leave_stays_when_there_is_room_again(office):
    done(office, "subs set-seats lab 3 --revoke newest")
    assert leaving(office) == {"dan": TERM_END, "eve": TERM_END}
    assert done(office, "subs set-seats lab 4")["staying"] == 1
    assert leaving(office) == {"eve": TERM_END}
    done(office, "subs set-seats lab 10")
    assert leaving(office) == {}


def test_a_dry_run_ends_nobody_s_seat(office):
    done(office, "subs set-seats lab 3 --revoke newest --dry-run")
    assert (leaving(office), subs_row(office, "lab")["seats"]) == ({}, 10)


def test_seats_given_back_at_once_end_at_once(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add quick --price 10.00 --currency usd --policy flexible --set decrease=now")
    done(sandbox, "subs buy --plan quick --seats 6 --name lab --payment-method pm_card_visa")
    seated(sandbox)
    until(sandbox, TEN_DAYS_LEFT)
    row = done(sandbox, "subs set-seats lab 3 --revoke newest")
    # Three of six for a third of the month go back to the balance: -20.00 + 10.00.
    assert (row["seats"], row["revoked"], row["amount_paid"]) == (3, 2, 0)
    assert (row["assigned"], row["free"], row["over_assigned"]) == (3, 0, 0)
    assert people(sandbox) == ["ada", "bob", "cleo"]
    assert [one["balance"] for one in objects(sandbox, "customer")] == [-1000]
    is_sound(sandbox)


# Two administrators at once ---------------------------------------------------------------------------


def race(seatctl, *commands: str) -> list[tuple[int, str]]:
    """Run commands as processes at the same time; exit code and stderr of each."""
    started = [seatctl.process(*command.split(), "--yes") for command in commands]
    ended = [process.communicate(timeout=60) for process in started]
    return [(process.returncode, err) for process, (_, err) in zip(started, ended, strict=True)]


@pytest.mark.slow
def test_two_administrators_add_seats_at_once(office):
    """Each adds what was asked for exactly once, or is told to try again: never one for both."""
    before = subs_row(office, "lab")["seats"]
    results = race(office, "subs add-seats lab 2", "subs add-seats lab 3")
    codes = sorted(code for code, _ in results)
    added = sum(seats for (code, _), seats in zip(results, (2, 3), strict=True) if code == 0)
    assert codes in ([0, 0], [0, 75]), results
    assert office("sync").code == 0
    assert subs_row(office, "lab")["seats"] == before + added
    assert len(charges(office)) == 3 + codes.count(0)
    assert office.rows("runs", "list", "--state", "pending") == []
    is_sound(office)


@pytest.mark.slow
def test_a_decrease_and_an_increase_at_once_lose_neither(office):
    results = race(office, "subs set-seats lab 6", "subs add-seats lab 2")
    codes = [code for code, _ in results]
    assert codes in ([0, 0], [0, 75], [75, 0]), results
    office("sync")
    # Whoever came first is seen by the other one: 10 → (6 next), then both with two more; or two more
    # first, then (6 next) of twelve.
    expected = {(0, 75): {(10, 6)}, (75, 0): {(12, 12)}, (0, 0): {(12, 8), (12, 6)}}
    assert (subs_row(office, "lab")["seats"], item(office, "lab")["quantity"]) in expected[tuple(codes)]


def test_an_increase_decided_before_another_process_finished_a_decrease_does_not_undo_it(seatctl, tmp_path):
    with account(seatctl, tmp_path / "stripe.db") as office:
        done(office, "plans add basic --price 10.00 --currency usd --policy flexible")
        done(office, "subs buy --plan basic --seats 10 --name lab --billing-email p@example.com" + VISA)
        office.front.refuse = lambda _number, method, path: 500 if is_change(method, path) else None
        assert office("subs", "set-seats", "lab", "6", "--yes").code == 75

        def finish(_number: int, _method: str, path: str) -> None:
            if path.endswith("/create_preview"):  # the increase has read the subscription and is decided
                office.front.refuse = lambda *_: None
                office.process("sync").communicate(timeout=30)

        office.front.refuse = finish
        late = office("subs", "add-seats", "lab", "2", "--yes", "-o", "json")
        assert (late.code, late.error["code"]) == (75, "subscription_changed")
        row = done(office, "subs add-seats lab 2")
        assert (row["seats"], row["next_seats"]) == (12, 8)


def test_a_change_decided_before_another_of_the_same_stripe_subscription_is_not_made(seatctl, tmp_path):
    """Stripe would bill what waits for the next invoice with it: more than was shown."""
    with account(seatctl, tmp_path / "stripe.db") as office:
        stripe = office.front.twin
        subscribe(
            stripe, customer(stripe, "Globex"), product(stripe, "Meetings"), product(stripe, "Webinars")
        )
        done(office, "sync")
        done(office, "ledger adopt")
        done(office, "plans edit meetings --policy flexible")
        done(office, "plans edit webinars --policy flexible --set increase=prorate_next_invoice")
        (billed,) = stripe.store.walk("invoice")

        def meanwhile(_number: int, _method: str, path: str) -> None:
            if path.startswith("/v1/customers/"):  # what is due now has been shown: 10.00
                office.front.refuse = lambda *_: None
                other = office.process("subs", "add-seats", "globex/webinars", "5", "--yes")
                other.communicate(timeout=30)
                assert other.returncode == 0

        office.front.refuse = meanwhile
        late = office("subs", "add-seats", "globex/meetings", "1", "--yes", "-o", "json")
        assert (late.code, late.error["code"]) == (75, "subscription_changed")
        assert [one["id"] for one in stripe.store.walk("invoice")] == [billed["id"]]
        row = done(office, "subs add-seats globex/meetings 1")
        assert row["seats"] == 4


def is_change(method: str, path: str) -> bool:
    return method == "POST" and path.startswith("/v1/subscriptions/")


def test_who_decided_on_what_is_past_is_told_to_try_again(office):
    """A command that meets an unfinished one finishes that and stops: it was decided on what is past."""
    fail(office, "timeout", times=9, method="POST", path="/v1/subscriptions")
    assert office("subs", "set-seats", "lab", "6", "--yes").code == 75
    clear_faults(office)
    other = office("subs", "add-seats", "lab", "2", "--yes", "-o", "json")
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert "was unfinished and is finished now" in other.error["message"]
    row = done(office, "subs add-seats lab 2")
    assert (row["seats"], row["next_seats"]) == (12, 8)
