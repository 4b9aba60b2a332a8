"""What may be changed and when, how a subscription stands, and terms on the calendar: on literals."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatctl.errors import Code
from seatctl.models.plan import Decrease, Interval, OnAccount, PlanChange, Policy
from seatctl.models.stripe_objects import StripeItem, StripePrice, StripeSubscription
from seatctl.models.subscription import SubscriptionState, TermContent
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import subscription_changes
from seatctl.rules.dates import add_interval
from seatctl.rules.policies import FLEXIBLE, TERM
from seatctl.rules.refunds import CreditShare, PaidInvoice, allocate, total, unused_share
from seatctl.rules.run_changes import ChangedFact, reversal
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import LedgerFacts, read_state, replaced_change, waiting_metadata
from tests.support.refusals import refuses

START = datetime(2040, 6, 1, tzinfo=UTC)
END = datetime(2040, 7, 1, tzinfo=UTC)
MIDDLE = datetime(2040, 6, 16, tzinfo=UTC)
BASIC, TEAM = ("price_basic", "basic"), ("price_team", "team")


def stands(policy: Policy = FLEXIBLE, now=(BASIC, 10), after=None, **fields) -> SubscriptionState:
    (price, plan), seats = now
    (next_price, next_plan), next_seats = after or now
    made = SubscriptionState(
        name="lab",
        status=SubscriptionStatus.ACTIVE,
        policy=policy,
        now=TermContent(price, plan, seats),
        next=TermContent(next_price, next_plan, next_seats),
        term_start=START,
        term_end=END,
        period_end=END,
        renewed=False,
        ends_at=None,
        assigned=0,
    )
    return replace(made, **fields)


def days_before_end(days: float) -> datetime:
    return END - timedelta(days=days)


# Increase, decrease, plan ------------------------------------------------------------------------------


def test_an_increase_raises_both_sides():
    """What waits for the renewal is kept: nobody who adds seats takes a decrease back."""
    target = subscription_changes.increase(stands(after=(TEAM, 4)), 5, MIDDLE)
    assert target == Target(TermContent(*BASIC, 15), TermContent(*TEAM, 9))


def test_no_seats_in_the_last_days_of_a_term_that_is_not_renewed():
    term = stands(TERM)
    assert subscription_changes.increase(term, 5, days_before_end(30.001)).now.seats == 15
    with refuses(Code.ADDON_WINDOW_CLOSED) as refused:
        subscription_changes.increase(term, 5, days_before_end(30))
    assert refused.value.data["allowed_from"] is None, "it can be renewed with more today"
    assert refused.value.hint == "renew first: seatctl subs renew lab --seats 15"
    renewed = replace(term, renewed=True, period_end=datetime(2041, 7, 1, tzinfo=UTC))
    assert subscription_changes.increase(renewed, 5, days_before_end(1)).now.seats == 15


def test_a_decrease_waits_unless_the_policy_gives_back_at_once():
    assert subscription_changes.decrease(stands(), 4, MIDDLE) == Target(
        TermContent(*BASIC, 10), TermContent(*BASIC, 4)
    )
    at_once = replace(FLEXIBLE, decrease=Decrease.NOW)
    assert subscription_changes.decrease(stands(at_once), 4, MIDDLE) == Target(
        TermContent(*BASIC, 4), TermContent(*BASIC, 4)
    )


def test_a_cut_off_that_begins_before_the_window_names_the_day_of_the_window():
    term = stands(replace(TERM, renewal_window_days=10))
    with refuses(Code.ADDON_WINDOW_CLOSED) as refused:
        subscription_changes.increase(term, 5, days_before_end(20))
    assert refused.value.data["allowed_from"] == "2040-06-21T00:00:00Z"
    assert refused.value.hint == "seatctl subs show lab"


def test_a_cut_off_of_what_renews_by_itself_ends_with_the_term():
    policy = replace(FLEXIBLE, addon_cutoff_days=7)
    with refuses(Code.ADDON_WINDOW_CLOSED) as refused:
        subscription_changes.increase(stands(policy), 5, days_before_end(3))
    assert refused.value.data["allowed_from"] == "2040-07-01T00:00:00Z"
    assert refused.value.hint == "seatctl subs show lab", "it cannot be renewed by hand"
    with refuses(Code.ADDON_WINDOW_CLOSED, match="it ends on 2040-07-01") as refused:
        subscription_changes.increase(stands(policy, ends_at=END), 5, days_before_end(3))
    assert refused.value.data["allowed_from"] is None, "nothing is left of it on that day"


def test_what_renews_by_itself_gives_seats_back_in_its_window():
    policy = replace(FLEXIBLE, decrease=Decrease.RENEWAL_WINDOW, renewal_window_days=7)
    with refuses(Code.NOT_IN_RENEWAL_WINDOW) as refused:
        subscription_changes.decrease(stands(policy), 5, days_before_end(8))
    assert refused.value.data["allowed_from"] == "2040-06-24T00:00:00Z"
    target = subscription_changes.decrease(stands(policy), 5, days_before_end(7))
    assert target == Target(TermContent(*BASIC, 10), TermContent(*BASIC, 5))


@pytest.mark.parametrize(
    ("moment", "hint", "since"),
    [
        (31, "seatctl subs show lab", "2040-06-01T00:00:00Z"),
        (29, "seatctl subs renew lab --seats 5", None),
    ],
)
def test_a_contract_gives_seats_back_only_by_a_renewal(moment, hint, since):
    with refuses(Code.NOT_IN_RENEWAL_WINDOW) as refused:
        subscription_changes.decrease(stands(TERM), 5, days_before_end(moment))
    assert refused.value.hint == hint
    assert refused.value.data["allowed_from"] == since
    assert ("allowed from" in refused.value.message) == (since is not None)


def test_what_the_policy_leaves_to_the_seller_names_whom_to_ask():
    policy = replace(TERM, support_contact="help@seller.example")
    with refuses(Code.NOT_IN_RENEWAL_WINDOW) as refused:
        subscription_changes.decrease(stands(policy), 5, days_before_end(31))
    assert refused.value.message.endswith("allowed from 2040-06-01; before that ask help@seller.example")
    assert refused.value.data["support_contact"] == "help@seller.example"
    with refuses(Code.NOT_IN_RENEWAL_WINDOW) as refused:
        subscription_changes.decrease(stands(policy), 5, days_before_end(29))
    assert "help@" not in refused.value.message, "the renewal does it now"


def test_a_paid_renewal_closes_its_window_until_the_next():
    renewed = stands(TERM, renewed=True, period_end=datetime(2041, 7, 1, tzinfo=UTC))
    for decide in (
        lambda: subscription_changes.decrease(renewed, 5, days_before_end(1)),
        lambda: subscription_changes.change_plan(renewed, *TEAM, days_before_end(1), at_renewal=True),
        lambda: subscription_changes.check_renewal(renewed, days_before_end(1)),
    ):
        with refuses(Code.ALREADY_RENEWED) as refused:
            decide()
        assert refused.value.data["allowed_from"] == "2041-06-01T00:00:00Z"


def test_a_plan_changes_now_or_at_the_renewal():
    now = subscription_changes.change_plan(stands(after=(BASIC, 4)), *TEAM, MIDDLE, at_renewal=False)
    assert now == Target(TermContent(*TEAM, 10), TermContent(*TEAM, 4))
    later = subscription_changes.change_plan(stands(after=(BASIC, 4)), *TEAM, MIDDLE, at_renewal=True)
    assert later == Target(TermContent(*BASIC, 10), TermContent(*TEAM, 4))


def test_a_plan_that_changes_in_the_window_only_changes_with_the_renewal():
    policy = replace(FLEXIBLE, plan_change=PlanChange.RENEWAL_WINDOW, renewal_window_days=7)
    with refuses(Code.PLAN_LOCKED) as refused:
        subscription_changes.change_plan(stands(policy), *TEAM, days_before_end(8), at_renewal=True)
    assert refused.value.data["allowed_from"] == "2040-06-24T00:00:00Z"
    inside = subscription_changes.change_plan(stands(policy), *TEAM, days_before_end(6), at_renewal=False)
    assert inside == Target(TermContent(*BASIC, 10), TermContent(*TEAM, 10))


def test_the_same_plan_change_is_not_billed_while_it_waits():
    with refuses(Code.CHANGE_WAITS) as refused:
        subscription_changes.check_plan_waits(stands(after=(TEAM, 10)), "team")
    assert "change-plan lab basic --at-renewal" in str(refused.value.hint)
    assert subscription_changes.check_plan_waits(stands(after=(TEAM, 10)), "basic") is None
    assert subscription_changes.check_plan_waits(stands(now=(TEAM, 10)), "team") is None


def test_what_renews_by_itself_is_not_renewed_by_hand():
    with refuses(Code.RENEWS_BY_ITSELF):
        subscription_changes.check_renewal(stands(), days_before_end(1))
    with refuses(Code.RENEWS_BY_ITSELF, match="is canceled and ends on") as refused:
        subscription_changes.check_renewal(stands(ends_at=END), days_before_end(1))
    assert "subs resume lab" in str(refused.value.hint)
    with refuses(Code.NOT_IN_RENEWAL_WINDOW):
        subscription_changes.check_renewal(
            stands(TERM, term_start=END - timedelta(days=365)), days_before_end(31)
        )
    assert subscription_changes.check_renewal(stands(TERM), days_before_end(30)) is None


def test_on_account_and_discounts_follow_the_policy():
    subscription_changes.check_addon_on_account(stands(), MIDDLE)
    subscription_changes.check_on_account(TERM, "lab")
    early, late = days_before_end(31), days_before_end(29)
    never = replace(FLEXIBLE, on_account=OnAccount.NO)
    for refuse in (
        lambda: subscription_changes.check_on_account(never, "lab"),
        lambda: subscription_changes.check_addon_on_account(stands(never), MIDDLE),
    ):
        with refuses(Code.CARD_REQUIRED) as refused:
            refuse()
        assert refused.value.data["allowed_from"] is None
    subscription_changes.check_discount(stands(), MIDDLE, given=True)
    subscription_changes.check_discount(stands(TERM), early, given=False)
    for refusal, check in (
        (Code.CARD_REQUIRED, subscription_changes.check_addon_on_account),
        (Code.DISCOUNT_NOT_ALLOWED, partial(subscription_changes.check_discount, given=True)),
    ):
        with refuses(refusal) as refused:
            check(stands(TERM), early)
        assert refused.value.data["allowed_from"] == "2040-06-01T00:00:00Z", "its window, not its end"
        assert "allowed from 2040-06-01" in refused.value.message
        with refuses(refusal) as refused:
            check(stands(TERM), late)
        assert refused.value.data["allowed_from"] is None


@pytest.mark.parametrize("status", SubscriptionStatus)
def test_only_what_runs_is_changed(status):
    runs = {SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE}
    refuses = nullcontext() if status in runs else pytest.raises(subscription_changes.NotRunning)
    with refuses:
        subscription_changes.require_running(stands(status=status))


def test_who_stays_must_fit():
    assert subscription_changes.check_room(stands(assigned=10), 10, 0) is None
    assert subscription_changes.check_room(stands(assigned=10), 8, 2) is None
    with refuses(Code.BELOW_ASSIGNED) as refused:
        subscription_changes.check_room(stands(assigned=10), 8, 1)
    assert refused.value.data["too_many"] == 1


# How it stands: what metadata and item say --------------------------------------------------------------


def of_stripe(
    seats: int, plan=BASIC, metadata=None, *, start=START, end=END, **more
) -> tuple[StripeSubscription, StripeItem]:
    price = StripePrice(plan[0], f"prod_{plan[1]}", "usd", 1000, Interval.MONTH, 1, "licensed", None, True)
    item = StripeItem("si_1", price, seats, start, end)
    held = StripeSubscription(
        id="sub_1",
        customer_id="cus_1",
        status=SubscriptionStatus.ACTIVE,
        items=(item,),
        metadata={key: str(value) for key, value in (metadata or {}).items() if value},
        cancel_at=None,
        cancel_at_period_end=False,
        collection_method="charge_automatically",
        latest_invoice=None,
        created_at=START,
        billing_cycle_anchor=START,
        default_payment_method=None,
        **more,
    )
    return held, item


def seen(seats: int, plan=BASIC, metadata=None, *, at=MIDDLE, **fields) -> SubscriptionState:
    held, item = of_stripe(seats, plan, metadata, **fields)
    return read_state(LedgerFacts("lab", FLEXIBLE, plan[1], 0), held, item, at)


def waiting(before: TermContent, after: TermContent, **fields) -> dict[str, object]:
    return dict(waiting_metadata(before, after, "si_1", start=START, until=END, **fields))


def test_without_metadata_the_item_says_all():
    found = seen(10)
    assert (found.now, found.next, found.pending) == (TermContent(*BASIC, 10), TermContent(*BASIC, 10), False)
    assert (found.term_start, found.term_end, found.renewed) == (START, END, False)


def test_what_is_paid_for_holds_until_its_end():
    metadata = waiting(TermContent(*BASIC, 10), TermContent(*TEAM, 4))
    before = seen(4, TEAM, metadata, at=END - timedelta(seconds=1))
    assert (before.now, before.next) == (TermContent(*BASIC, 10), TermContent(*TEAM, 4))
    after = seen(4, TEAM, metadata, at=END, start=END, end=END + timedelta(days=31))
    assert (after.now, after.next) == (TermContent(*TEAM, 4), TermContent(*TEAM, 4))


def test_a_quantity_that_somebody_else_set_counts_at_once():
    """The dashboard knows nothing of our metadata: it is stale, and Stripe's item is the truth."""
    found = seen(7, BASIC, waiting(TermContent(*BASIC, 10), TermContent(*BASIC, 4)))
    assert (found.now.seats, found.next.seats) == (7, 7)


@pytest.mark.parametrize(
    ("seats", "plan", "at", "is_replaced"),
    [
        (7, BASIC, MIDDLE, True),
        (10, TEAM, MIDDLE, True),
        (4, TEAM, MIDDLE, False),
        (10, BASIC, MIDDLE, False),
        (7, BASIC, END, False),
    ],
    ids=["other seats", "the paid seats of another plan", "it waits", "put back", "after the term"],
)
def test_a_change_that_waited_was_replaced_in_stripe(seats, plan, at, is_replaced):
    paid = TermContent(*BASIC, 10)
    held, item = of_stripe(seats, plan, waiting(paid, TermContent(*TEAM, 4)))
    assert replaced_change(held, item, at) == ((paid, END) if is_replaced else None)
    other = replace(item, id="si_2")  # what was paid for was bought on the item before
    assert replaced_change(replace(held, items=(other,)), other, at) is None


def test_metadata_written_by_hand_does_not_break_it():
    broken = {**waiting(TermContent(*BASIC, 10), TermContent(*BASIC, 4)), "seatctl_paid_until": "next summer"}
    assert seen(4, BASIC, broken).now.seats == 4


def test_a_paid_renewal_is_the_period_s_end_and_the_old_term_s_seats():
    metadata = waiting(TermContent(*BASIC, 10), TermContent(*TEAM, 20), renewed_by="in_1")
    later = datetime(2041, 7, 1, tzinfo=UTC)
    before = seen(20, TEAM, metadata, end=later)
    assert (before.renewed, before.term_end, before.current_end) == (True, END, later)
    assert before.now == TermContent(*BASIC, 10)
    after = seen(20, TEAM, metadata, end=later, at=END + timedelta(days=1))
    assert (after.renewed, after.term_start, after.term_end) == (False, END, later)
    assert after.now == TermContent(*TEAM, 20)


def test_nothing_waits_any_more_is_written_as_empty_values():
    same = TermContent(*BASIC, 10)
    assert set(waiting(same, same).values()) == {""}


# No change is lost, whatever the order ------------------------------------------------------------------

steps = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 50)),
    st.tuples(st.just("set"), st.integers(1, 200)),
    st.tuples(st.just("plan"), st.sampled_from([BASIC, TEAM]), st.booleans()),
)


@given(st.lists(steps, max_size=12))
def test_changes_compose_and_none_is_lost(sequence):
    """A model of what an administrator means, beside the rules, each read back through the metadata."""
    now, after = 10, 10
    plan_now, plan_after = BASIC, BASIC
    at = MIDDLE
    current = seen(10)
    for step in sequence:
        if step[0] == "add":
            target = subscription_changes.increase(current, step[1], at)
            now, after = now + step[1], after + step[1]
        elif step[0] == "set" and step[1] > now:
            target = subscription_changes.increase(current, step[1] - now, at)
            now, after = step[1], after + step[1] - now
        elif step[0] == "set":
            target = subscription_changes.decrease(current, step[1], at)
            after = step[1]
        else:
            target = subscription_changes.change_plan(current, *step[1], at, at_renewal=step[2])
            plan_after = step[1]
            plan_now = plan_now if step[2] else step[1]
        metadata = waiting(target.now, target.next)
        current = seen(target.next.seats, (target.next.price_id, target.next.plan), metadata, at=at)
        assert (current.now, current.next) == (TermContent(*plan_now, now), TermContent(*plan_after, after))
        at += timedelta(hours=1)
    ended = seen(after, plan_after, metadata if sequence else {}, at=END, start=END, end=END + timedelta(31))
    assert (ended.now, ended.next) == (TermContent(*plan_after, after), TermContent(*plan_after, after))


# The calendar -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "interval", "count", "end"),
    [
        ("2040-01-31", Interval.MONTH, 1, "2040-02-29"),
        ("2041-01-31", Interval.MONTH, 1, "2041-02-28"),
        ("2040-01-31", Interval.MONTH, 2, "2040-03-31"),
        ("2040-11-30", Interval.MONTH, 3, "2041-02-28"),
        ("2040-02-29", Interval.YEAR, 1, "2041-02-28"),
        ("2040-02-29", Interval.YEAR, 4, "2044-02-29"),
        ("2040-12-31", Interval.MONTH, 12, "2041-12-31"),
        ("2040-06-01", Interval.WEEK, 2, "2040-06-15"),
        ("2040-02-28", Interval.DAY, 2, "2040-03-01"),
    ],
)
def test_terms_end_on_the_calendar(start, interval, count, end):
    begun = datetime.fromisoformat(f"{start}T09:30:15+00:00")
    assert add_interval(begun, interval, count) == datetime.fromisoformat(f"{end}T09:30:15+00:00")


@given(
    st.integers(946684800, 3786912000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(list(Interval)),
    st.integers(1, 36),
)
def test_a_longer_term_never_ends_earlier(start, interval, count):
    assert start < add_interval(start, interval, count) < add_interval(start, interval, count + 1)


# What is given back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "at", "share"),
    [
        (3000, datetime(2040, 6, 21, tzinfo=UTC), 1000),  # ten days of thirty
        (2000, datetime(2040, 6, 21, tzinfo=UTC), 667),  # 666.67
        (1000, datetime(2040, 6, 30, 22, 12, tzinfo=UTC), 3),  # 2.5: halves go to the customer
        (3000, START - timedelta(days=9), 3000),  # not begun
        (3000, END, 0),
        (3000, END + timedelta(days=1), 0),
    ],
)
def test_the_unused_share_of_a_term(amount, at, share):
    assert unused_share(amount, START, END, at) == share


def test_the_newest_invoice_gives_back_first_and_the_card_before_the_balance():
    paid = [
        PaidInvoice("in_2", "B-2", by_card=1667, refundable=1667),
        PaidInvoice("in_1", "B-1", by_card=8000, refundable=10000),
    ]
    assert allocate(5000, paid) == (CreditShare("in_2", "B-2", 1667, 0), CreditShare("in_1", "B-1", 3333, 0))
    assert allocate(11000, paid) == (
        CreditShare("in_2", "B-2", 1667, 0),
        CreditShare("in_1", "B-1", 8000, 1333),
    )
    assert allocate(0, paid) == allocate(100, []) == ()


invoices = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)).map(
        lambda pair: PaidInvoice("in", "N", by_card=min(pair), refundable=max(pair))
    ),
    max_size=6,
)


@given(st.integers(0, 10**8), invoices)
def test_no_invoice_gives_back_more_than_it_took(amount, paid):
    named = [replace(one, invoice=f"in_{number}") for number, one in enumerate(paid)]
    shares = allocate(amount, named)
    by_id = {one.invoice: one for one in named}
    for share in shares:
        took = by_id[share.invoice]
        assert 0 <= share.refund <= took.by_card
        assert 0 <= share.credit <= took.refundable - took.by_card
    assert total(shares) == min(amount, sum(one.refundable for one in named))


def test_what_many_things_have_changed_no_single_command_reverses():
    person = ChangedFact("user", "a@example.com", None, {"status": "active"})
    assert reversal(None, None, [person]) == "seatctl users remove a@example.com"
    assert reversal(None, None, [person, person]) is None
    assert reversal(None, None, []) is None
