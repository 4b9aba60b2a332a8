"""`subs pause` and `subs resume`: nothing is collected meanwhile, and both ways end well."""

from __future__ import annotations

import pytest

from tests.services.subscriptions.test_classic_billing import schedule
from tests.services.subscriptions.test_payment_states import (
    attention,
    carry_out,
    check,
    design,
    said,
    stripe_subscription,
    tell_stripe,
)
from tests.support.both_sides import charges, contents, fail, objects
from tests.support.office import clear_faults, done, is_sound, refused, until

__all__ = ["design"]

PAUSE = "subs pause design"


@pytest.mark.parametrize(
    ("behavior", "status", "told"),
    [
        ("keep_as_draft", "draft", "its invoices stay drafts"),
        ("void", "void", "its invoices are voided"),
        ("mark_uncollectible", "uncollectible", "its invoices are written off"),
    ],
)
def test_nothing_is_charged_until_it_is_resumed(design, behavior, status, told):
    words = PAUSE.split() if behavior == "keep_as_draft" else [*PAUSE.split(), "--behavior", behavior]
    before = contents(design)
    shown = design(*words, "--dry-run", "-o", "json")
    assert (shown.rows[0]["pause_collection"], shown.rows[0]["resumes_at"]) == (behavior, None)
    assert contents(design) == before
    paused = design(*words, "--yes", "-o", "json")
    assert (paused.code, told in paused.json["summary"]) == (0, True), paused
    assert stripe_subscription(design)["pause_collection"] == {"behavior": behavior, "resumes_at": None}
    assert said(design)["pause"] == {"behavior": behavior, "resumes_at": None}
    assert check(design)["entitled"] is True
    until(design, "32d")
    newest = design.rows("invoices", "list")[0]
    assert (newest["status"], charges(design)) == (status, [6000])
    assert refused(design, "subs add-seats design 1")["code"] == "collection_paused"
    carry_out(design, said(design)["ways_out"][0])
    assert (said(design)["pause"], stripe_subscription(design)["pause_collection"]) == (None, None)
    until(design, "31d")
    assert charges(design) == [6000, 6000]
    is_sound(design)


def test_it_ends_by_itself_at_the_moment_that_was_given(design):
    done(design, f"{PAUSE} --behavior void --until 40d")
    assert "is paused until 20" in attention(design)[0]
    until(design, "63d")
    assert [row["status"] for row in design.rows("invoices", "list")] == ["paid", "void", "paid"]
    assert (said(design)["pause"], attention(design), charges(design)) == (None, [], [6000, 6000])


def test_the_same_pause_again_changes_nothing_and_another_one_replaces_it(design):
    done(design, f"{PAUSE} --behavior void")
    before = contents(design)
    again = design(*PAUSE.split(), "--behavior", "void", "--yes", "-o", "json")
    assert "design is unchanged" in again.json["summary"]
    assert contents(design)["sandbox.db:objects"] == before["sandbox.db:objects"]
    done(design, PAUSE)
    assert stripe_subscription(design)["pause_collection"]["behavior"] == "keep_as_draft"


def test_what_is_not_possible_is_refused_before_anything_is_written(design):
    before = contents(design)
    assert refused(design, f"{PAUSE} --until 2001-01-01", 3)["code"] == "bad_time"
    assert refused(design, f"{PAUSE} --until never", 3)["code"] == "bad_time"
    assert refused(design, f"{PAUSE} --behavior forget", 2)["code"] == "usage"
    assert contents(design) == before


def test_a_term_that_is_renewed_by_hand_collects_nothing(sandbox):
    words = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*words.split()).code == 0
    buy = "subs buy --plan team --seats 5 --name design --payment-method pm_card_visa --yes"
    assert sandbox(*buy.split()).code == 0
    assert refused(sandbox, PAUSE)["code"] == "ends_by_itself"


def test_resume_asks_which_of_the_two_is_meant(design):
    done(design, PAUSE)
    canceled = design("subs", "cancel", "design", "--yes", "-o", "json").json
    assert canceled["undo"] == "seatctl subs resume design --cancellation"
    error = refused(design, "subs resume design", 2)
    resume = "seatctl subs resume design"
    collection, cancellation = f"{resume} --collection", f"{resume} --cancellation"
    assert error["hint"] == f"{collection}, or {cancellation}"
    assert said(design)["ways_out"][0] == collection
    assert refused(design, "subs resume design --collection --cancellation", 2)["code"] == "usage"
    carry_out(design, cancellation)
    now = stripe_subscription(design)
    assert (now["cancel_at"], now["pause_collection"]["behavior"]) == (None, "keep_as_draft")
    again = design("subs", "resume", "design", "--cancellation", "--yes", "-o", "json")
    assert "is not canceled" in again.json["summary"]
    done(design, "subs resume design")
    assert attention(design) == []
    again = design("subs", "resume", "design", "--collection", "--yes", "-o", "json")
    assert "is not paused" in again.json["summary"]


def test_resuming_the_collection_leaves_the_cancellation(design):
    done(design, "subs cancel design")
    tell_stripe(design, **{"pause_collection[behavior]": "void"})
    told = design("subs", "resume", "design", "--collection", "--yes", "-o", "json").json
    assert "it is still canceled" in told["summary"]
    assert told["undo"] == "seatctl subs pause design --behavior void"
    assert stripe_subscription(design)["cancel_at"] is not None


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_a_pause_whose_answer_is_lost_is_finished_by_a_sync(design, fault):
    fail(design, fault, times=9, method="POST", path="/v1/subscriptions/")
    assert design(*PAUSE.split(), "--yes").code == 75
    clear_faults(design)
    assert design("sync").code == 0
    assert said(design)["pause"]["behavior"] == "keep_as_draft"
    is_sound(design)


def test_a_schedule_does_not_stand_in_the_way_of_a_pause(sandbox, team):
    schedule(sandbox, 5, 8)
    done(sandbox, PAUSE)
    until(sandbox, "32d")
    assert charges(sandbox) == [6000]
    done(sandbox, "subs resume design --collection")
    until(sandbox, "31d")
    assert (charges(sandbox), said(sandbox)["seats"]) == ([6000, 9600], 8)
    assert [one["status"] for one in objects(sandbox, "subscription_schedule")] == ["active"]
