"""Bank debits from beginning to end: bought, added, renewed by hand and paid later, with a kill on each day.

A debit is processed for days, then paid or failed. Until then nothing is voided, canceled, charged again or
usable; afterwards seats, charges and ledger agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import Seatctl
from tests.support import ledgers
from tests.support.both_sides import ENDED, advance, charges, live_subscriptions, objects
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
