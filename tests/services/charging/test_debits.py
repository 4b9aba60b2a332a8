"""Bank debits from beginning to end: bought, added, renewed by hand and paid later, with a kill on each day.

A debit is processed for days, then paid or failed. Until then nothing is voided, canceled, charged again or
usable; afterwards seats, charges and ledger agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from seatctl.sandbox.api import control
from tests.conftest import Seatctl
from tests.support import ledgers
from tests.support.both_sides import ENDED, advance, charges, live_subscriptions, objects, twin
from tests.support.kill_at import run_jobs
from tests.support.killing import Killing
from tests.support.office import done, freeze, is_sound
from tests.support.scenes import Scene, made_once
from tests.support.subscriptions import ledger_place, query

START = "2040-06-01T00:00:00Z"
PAID, FAILED = "pm_sepaDebit_success_at", "pm_sepaDebit_failed_at"
DAYS = {PAID: 5, FAILED: 6}
CARD = "--payment-method pm_card_visa"
BUY = "subs buy --plan {} --seats 5 --name acme --owner lee@example.com --billing-email pay@example.com"


def _plans(seatctl: Seatctl, more: str = "") -> None:
    freeze(seatctl, START)
    done(seatctl, f"plans add pro --price 12.00 --currency eur --policy flexible{more}")
    term = "--interval year --policy term --set pack_size=1 --set min_seats=1"
    done(seatctl, f"plans add team --price 10.00 --currency eur {term}{more}")


@made_once
def shop(seatctl: Seatctl) -> None:
    """Two plans in euros: `pro` is flexible and monthly, `team` a term that is renewed by hand."""
    _plans(seatctl)


@made_once
def flexible(seatctl: Seatctl) -> None:
    """`acme`: five seats of 12.00 a month, bought by card; ten days of June are left."""
    _plans(seatctl)
    done(seatctl, f"{BUY.format('pro')} {CARD}")
    advance(seatctl, 20 * 24)


@made_once
def term(seatctl: Seatctl) -> None:
    """`acme`: five seats of 10.00 for a year, bought by card."""
    _plans(seatctl)
    done(seatctl, f"{BUY.format('team')} {CARD}")


@made_once
def ending(seatctl: Seatctl) -> None:
    """`acme`, three days before its term ends."""
    term.__wrapped__(seatctl)
    advance(seatctl, 362 * 24)
    done(seatctl, "sync")


@made_once
def invoiced(seatctl: Seatctl) -> None:
    """`acme`: five seats of 12.00 a month, on account."""
    _plans(seatctl)
    done(seatctl, f"{BUY.format('pro')} --on-account")


@dataclass(frozen=True)
class Story:
    """What is paid by debit; seats and charges before it, and once it is paid."""

    scene: Scene
    command: str
    seats: tuple[int | None, int]
    charged: tuple[list[int], list[int]]
    status: str = "active"
    """Stripe's status of `acme` after a failure; None: it has ended."""
    prepares: bool = True
    """Whether `acme` pays by debit from now on."""


STORIES = {
    "bought": Story(shop, BUY.format("pro") + " --payment-method {}", (None, 5), ([], [6000]), "", False),
    "bought for a term": Story(
        shop, BUY.format("team") + " --payment-method {}", (None, 5), ([], [5000]), "", False
    ),
    "added, prorated": Story(flexible, "subs add-seats acme 3", (5, 8), ([6000], [6000, 1200]), "past_due"),
    "added in full": Story(term, "subs add-seats acme 3", (5, 8), ([5000], [5000, 3000])),
    "renewed by hand": Story(ending, "subs renew acme --seats 7", (5, 7), ([5000], [5000, 7000]), ""),
    "paid later": Story(
        invoiced, "invoices pay {number} --payment-method {}", (5, 5), ([], [6000]), "active", False
    ),
}


def _begin(seatctl: Seatctl, story: Story, method: str) -> str:
    """Prepare the payer; return the command."""
    if story.prepares:
        done(seatctl, f"subs billing acme --payment-method {method}")
    number = next((one["number"] for one in objects(seatctl, "invoice") if one["status"] == "open"), "")
    return story.command.format(method, number=number)


def _seats(seatctl: Seatctl) -> int | None:
    """How many seats of `acme` are paid for, as the ledger has them; None if there is no `acme`."""
    rows = [row for row in seatctl.rows("subs", "list") if row["name"] == "acme"]
    return rows[0]["seats"] if rows else None


def _open_invoices(seatctl: Seatctl) -> set[str]:
    return {one["id"] for one in objects(seatctl, "invoice") if one["status"] == "open"}


def _pending(seatctl: Seatctl) -> int:
    """How many debits are under way or were: more than one would be a second charge."""
    return sum("sepa_debit" in charge["payment_method_details"] for charge in objects(seatctl, "charge"))


def _is_processing(seatctl: Seatctl) -> bool:
    return any(one["status"] == "processing" for one in objects(seatctl, "payment_intent"))


def _waits(seatctl: Seatctl, command: str, story: Story) -> None:
    """Everything that could void, cancel or charge leaves what is under way alone."""
    begun = seatctl(*command.split(), "--yes", "-o", "json")
    assert begun.code == 10, begun
    before = _open_invoices(seatctl), _pending(seatctl), charges(seatctl), live_ids(seatctl)
    for words in (command, f"runs undo {begun.error['run']}"):
        answer = seatctl(*words.split(), "--yes", "-o", "json")
        assert (answer.code, answer.error["code"]) == (10, "payment_processing"), (words, answer)
        assert answer.error["processing_until"] > START
        assert "processing until about 204" in answer.error["message"]
    assert (_open_invoices(seatctl), _pending(seatctl), charges(seatctl), live_ids(seatctl)) == before


def live_ids(seatctl: Seatctl) -> set[str]:
    return {one["id"] for one in live_subscriptions(seatctl)}


def _end(seatctl: Seatctl, story: Story, method: str) -> None:
    """Seats, charges and ledger agree, and nothing is open."""
    assert (
        query(ledger_place(seatctl), "SELECT run FROM operations WHERE state IN ('pending', 'waiting')") == []
    )
    assert _pending(seatctl) == 1
    is_paid = method == PAID
    assert charges(seatctl) == story.charged[is_paid]
    assert seatctl("sync").code == 0
    if is_paid:
        assert _seats(seatctl) == story.seats[1]
        assert _open_invoices(seatctl) == set()
        assert [one["status"] for one in objects(seatctl, "invoice") if one["total"]].count("void") == 0
    elif story.status:
        assert _seats(seatctl) == story.seats[0]
        assert {one["status"] for one in live_subscriptions(seatctl)} == {story.status}
    else:
        assert live_subscriptions(seatctl) == []
        assert all(row["status"] in ENDED for row in seatctl.rows("subs", "list"))
    for one in live_subscriptions(seatctl):
        (item,) = (
            item for item in objects(seatctl, "subscription_item") if item["subscription"] == one["id"]
        )
        assert item["quantity"] == _seats(seatctl)
    is_sound(seatctl)


def _days(seatctl: Seatctl, method: str) -> Iterator[int]:
    """Let the days pass until the bank has decided; yield each while it has not."""
    for day in range(1, DAYS[method] + 1):
        advance(seatctl, 24)
        assert _is_processing(seatctl) is (day < DAYS[method])
        yield day


@pytest.mark.parametrize("method", [PAID, FAILED])
@pytest.mark.parametrize("name", STORIES)
def test_a_debit_waits_for_days_and_ends_well(sandbox: Seatctl, name: str, method: str) -> None:
    story = STORIES[name]
    story.scene(sandbox)
    command = _begin(sandbox, story, method)
    _waits(sandbox, command, story)
    for day in _days(sandbox, method):
        if day == DAYS[method]:
            break
        assert sandbox("sync").code == 10
        if live_subscriptions(sandbox) or name != "renewed by hand":
            assert _seats(sandbox) == story.seats[0]
    _waits_no_more = sandbox("sync")
    assert _waits_no_more.code == 0, _waits_no_more
    _end(sandbox, story, method)


@pytest.fixture
def killing(tmp_path, request) -> Killing:
    return Killing(tmp_path / "copies", request.config.getoption("--whole-proofs"))


@pytest.mark.parametrize("method", [PAID, FAILED])
@pytest.mark.parametrize("name", STORIES)
def test_a_kill_on_each_day_changes_nothing(
    sandbox: Seatctl, killing: Killing, name: str, method: str
) -> None:
    """Each day's `sync` is killed: on one day in every point with `--whole-proofs`, else in one of them."""
    story = STORIES[name]
    story.scene(sandbox)
    command = _begin(sandbox, story, method)
    killed = sandbox
    _, ended = killing.undisturbed(killed, (*command.split(), "--yes"))
    assert ended.code == 10, ended.err
    points = len(ended.points)
    middle = [points * 2 // 3] if not killing.whole else range(1, points + 1)
    for first in killing.at(killed, (*command.split(), "--yes"), list(middle)):
        profile = first.seatctl
        if profile("sync").code == 0:  # nothing of it had reached Stripe
            assert _pending(profile) == 0
            assert profile(*command.split(), "--yes").code == 10
        for _ in _days(profile, method):
            _, day = killing.undisturbed(profile, ("sync",))
            _kill_sync(profile, len(day.points) // 2)
        assert profile("sync").code == 0
        _end(profile, story, method)


def _kill_sync(seatctl: Seatctl, point: int) -> None:
    """Kill a `sync` there; the next one continues."""
    (ended,) = run_jobs([(seatctl, ("sync",), point)])
    assert ended.killed, ended.err
    ledgers.expire_leases(seatctl.home)
    assert seatctl("sync").code in {0, 10}


# Seats that are usable while a bank processes their payment -------------------------------------------


TRUST = " --set seats_while_processing=yes"


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans of every scene give seats while a bank processes their payment."""
    plans = _plans
    monkeypatch.setitem(globals(), "_plans", lambda seatctl, more="": plans(seatctl, more + TRUST))


AFTER_FAILURE = {
    "bought": (5, {"past_due"}, {"open"}),
    "bought for a term": (5, {"past_due"}, {"open"}),
    "added, prorated": (8, {"past_due"}, {"open"}),
    "added in full": (5, {"active"}, {"void"}),
    "renewed by hand": (7, set(), {"void"}),
    "paid later": (5, {"active"}, {"open"}),
}
"""Seats, statuses of live subscriptions, and what became of the invoice. Stripe goes on collecting its own:
the subscription is past due, with its grace. Our own invoices are void, and what they gave is taken back."""


@pytest.mark.parametrize("method", [PAID, FAILED])
@pytest.mark.parametrize("name", STORIES)
def test_seats_can_be_used_while_the_payment_is_processed(
    sandbox: Seatctl, trusting: None, name: str, method: str
) -> None:
    story = STORIES[name]
    story.scene.__wrapped__(sandbox)
    command = _begin(sandbox, story, method)
    begun = sandbox(*command.split(), "--yes", "-o", "json")
    is_own = name in {"added in full", "renewed by hand", "paid later"}
    assert begun.code == (10 if is_own else 0), begun
    assert "processing until about 204" in begun.out + begun.err
    next_term = 5 if name == "renewed by hand" else story.seats[1]
    assert _seats(sandbox) == next_term
    for day in _days(sandbox, method):
        assert sandbox("sync").code in {0, 10}
        if _is_processing(sandbox):
            begun_since = name == "renewed by hand" and day >= 3
            assert _seats(sandbox) == (story.seats[1] if begun_since else next_term)
            assert sandbox("subs", "cancel", "acme", "--now", "--yes").code == 10
    assert sandbox("sync").code == 0
    assert (
        query(ledger_place(sandbox), "SELECT run FROM operations WHERE state IN ('pending', 'waiting')") == []
    )
    assert _pending(sandbox) == 1
    assert charges(sandbox) == story.charged[method == PAID]
    if method == PAID:
        assert _seats(sandbox) == story.seats[1]
        assert _open_invoices(sandbox) == set()
    else:
        seats, statuses, invoice = AFTER_FAILURE[name]
        assert {one["status"] for one in live_subscriptions(sandbox)} == statuses
        assert _seats(sandbox) == seats
        unpaid = [one for one in objects(sandbox, "invoice") if one["total"] and one["status"] != "paid"]
        assert {one["status"] for one in unpaid} == invoice
    is_sound(sandbox)


def test_after_a_failed_addition_nothing_is_credited_that_was_never_paid_for(sandbox: Seatctl) -> None:
    story = STORIES["added, prorated"]
    story.scene(sandbox)
    assert sandbox(*_begin(sandbox, story, FAILED).split(), "--yes").code == 10
    for _ in _days(sandbox, FAILED):
        sandbox("sync")
    assert _seats(sandbox) == 5
    done(sandbox, "subs billing acme --payment-method pm_card_visa")
    before = charges(sandbox)
    for words in ("subs add-seats acme 1", "subs set-seats acme 7", "subs add-seats acme 1 --dry-run"):
        refused = sandbox(*words.split(), "--yes", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "unpaid_credit"), refused
    advance(sandbox, 31 * 24)
    done(sandbox, "sync")
    done(sandbox, "subs add-seats acme 1")
    assert _seats(sandbox) == 6
    assert [amount for amount in charges(sandbox)[len(before) :] if amount] != []
    is_sound(sandbox)


def test_a_next_term_on_trust_is_taken_back_while_the_old_one_runs(sandbox: Seatctl, trusting: None) -> None:
    term.__wrapped__(sandbox)
    advance(sandbox, 350 * 24)
    done(sandbox, f"subs billing acme --payment-method {FAILED}")
    before = live_subscriptions(sandbox)[0]
    assert sandbox("subs", "renew", "acme", "--seats", "7", "--yes").code == 10
    row = sandbox.rows("subs", "list")[0]
    assert (row["seats"], row["ends_at"]) == (5, "2042-06-01T00:00:00Z")
    advance(sandbox, 6 * 24)
    assert sandbox("sync").code == 0
    (now,) = live_subscriptions(sandbox)
    assert (now["cancel_at"], now["trial_end"]) == (before["cancel_at"], before["cancel_at"])
    kept = {name: text for name, text in now["metadata"].items() if name != "seatctl_operation"}
    assert kept == {name: text for name, text in before["metadata"].items() if name != "seatctl_operation"}
    row = sandbox.rows("subs", "list")[0]
    assert (row["seats"], row["ends_at"]) == (5, "2041-06-01T00:00:00Z")
    assert sandbox("subs", "renew", "acme", "--seats", "7", "--yes").code == 10
    advance(sandbox, 15 * 24)
    assert sandbox("sync").code == 0
    assert live_subscriptions(sandbox) == []
    assert charges(sandbox) == [5000]


# What is shown ----------------------------------------------------------------------------------------


def shown(seatctl: Seatctl, *words: str) -> dict:
    return seatctl(*words, "-o", "json").json


@pytest.fixture
def renewing(sandbox: Seatctl) -> str:
    """A renewal that a bank is processing: the number of its invoice."""
    flexible(sandbox)
    done(sandbox, f"subs billing acme --payment-method {PAID}")
    advance(sandbox, 11 * 24)
    done(sandbox, "sync")
    (number,) = (one["number"] for one in objects(sandbox, "invoice") if one["status"] == "open")
    return number


def test_a_renewal_is_shown_as_processing_and_people_keep_their_seats(
    sandbox: Seatctl, renewing: str
) -> None:
    done(sandbox, "users add ann@example.org")
    done(sandbox, "seats assign acme ann@example.org")
    until = "processing until about 2040-07-10"
    assert sandbox("check", "ann@example.org").code == 0
    assert (
        f"60.00 EUR (invoice {renewing}) is {until}: seatctl invoices show {renewing}"
        in sandbox("status").err
    )
    row = sandbox.rows("subs", "list")[0]
    assert row["attention"] == [f"acme: 60.00 EUR (invoice {renewing}) is {until}"]
    assert row["ways_out"] == [f"seatctl invoices show {renewing}"]
    invoice = shown(sandbox, "invoices", "show", renewing)
    assert (invoice["note"], invoice["processing_until"]) == (until, "2040-07-10T01:00:00Z")
    assert invoice["days_late"] is None
    assert sandbox.rows("invoices", "list", "--overdue") == []
    assert sandbox.rows("invoices", "list", "--unpaid")[0]["note"] == until
    advance(sandbox, 5 * 24)
    done(sandbox, "sync")
    assert sandbox.rows("subs", "list")[0]["attention"] == []
    assert shown(sandbox, "invoices", "show", renewing)["note"] is None


def test_a_renewal_that_fails_after_days_is_past_due_with_its_grace(sandbox: Seatctl, renewing: str) -> None:
    done(sandbox, "users add ann@example.org")
    done(sandbox, "seats assign acme ann@example.org")
    with twin(sandbox) as stripe:
        control.settle(stripe, objects(sandbox, "invoice")[-1]["id"], succeeds=False)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["status"] == "past_due"
    assert sandbox("check", "ann@example.org", "-o", "json").json["reason"] == "in_grace"
    assert f"seatctl invoices pay {renewing}" in sandbox.rows("subs", "list")[0]["ways_out"]
    assert sandbox("invoices", "pay", renewing, "--payment-method", "pm_card_visa", "--yes").code == 0
    assert charges(sandbox) == [6000, 6000]


def test_a_full_sync_and_another_ledger_see_it_too(sandbox: Seatctl, renewing: str) -> None:
    done(sandbox, "sync --full")
    assert shown(sandbox, "invoices", "show", renewing)["processing_until"] == "2040-07-10T01:00:00Z"


def test_while_a_bank_works_the_mirror_does_not_become_old(sandbox: Seatctl) -> None:
    shop(sandbox)
    assert sandbox(*f"{BUY.format('pro')} --payment-method {PAID}".split(), "--yes").code == 10
    advance(sandbox, 48)
    assert sandbox("sync").code == 10
    assert shown(sandbox, "status")["sync_lag"] == 0


def test_a_debit_on_a_page_is_bought_once_it_is_paid(sandbox: Seatctl) -> None:
    shop(sandbox)
    for name, plan in (("page", "pro"), ("setup", "team")):
        asked = sandbox(*BUY.format(plan).replace("acme", name).split(), "--checkout", "--yes", "-o", "json")
        assert asked.code == 10
        with twin(sandbox) as stripe:
            control.complete_checkout(stripe, asked.error["checkout_session"], PAID)
        assert sandbox("sync", "-o", "json").rows[-1]["error"] == "payment_processing"
    assert sandbox.rows("subs", "list") == []
    advance(sandbox, 24)
    assert sandbox("sync").code == 10
    advance(sandbox, 4 * 24)
    assert sandbox("sync").code == 0
    assert charges(sandbox) == [6000, 5000]
    assert [row["seats"] for row in sandbox.rows("subs", "list")] == [5, 5]


def test_a_failed_debit_of_a_page_leaves_nothing(sandbox: Seatctl) -> None:
    shop(sandbox)
    asked = sandbox(*BUY.format("pro").split(), "--checkout", "--yes", "-o", "json")
    with twin(sandbox) as stripe:
        control.complete_checkout(stripe, asked.error["checkout_session"], FAILED)
    assert sandbox("sync").code == 10
    advance(sandbox, 6 * 24)
    assert sandbox("sync").code == 0
    assert (charges(sandbox), live_subscriptions(sandbox), sandbox.rows("subs", "list")) == ([], [], [])


def test_a_renewal_that_is_paid_after_its_term_is_refunded(sandbox: Seatctl) -> None:
    """A week is shorter than the two weeks that a bank may take."""
    freeze(sandbox, START)
    term = "--interval week --policy term --set pack_size=1 --set min_seats=1"
    done(sandbox, f"plans add team --price 10.00 --currency eur {term}")
    done(sandbox, f"{BUY.format('team')} {CARD}")
    done(sandbox, "subs billing acme --payment-method pm_sepaDebit_successDelayed_at")
    advance(sandbox, 6 * 24)
    assert sandbox("subs", "renew", "acme", "--yes").code == 10
    for _ in range(14):
        advance(sandbox, 24)
        sandbox("sync")
    assert charges(sandbox) == [5000, 5000]
    assert [refund["amount"] for refund in objects(sandbox, "refund")] == [5000]
    assert live_subscriptions(sandbox) == []
    assert sandbox("sync").code == 0
