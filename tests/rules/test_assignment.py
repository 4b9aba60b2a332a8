"""Assignment and approval decided on literals: no ledger, no files."""

from datetime import UTC, datetime

import pytest

from seatctl.errors import Code
from seatctl.models.plan import Policy
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.approval import ApprovalOutcome, Requester, choose, decide_automatically
from seatctl.rules.assignment import NoSeatsLeft, seats_to_take, shortage
from seatctl.rules.dates import moment_after
from tests.support.refusals import refuses

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def make_subscription(capacity=5, assigned=3, **fields) -> Subscription:
    known = {
        "id": 1, "name": "design", "plan_id": 1, "plan_slug": "pro", "customer_id": 1,
        "stripe_subscription": "sub_1", "stripe_item": "si_1", "status": SubscriptionStatus.ACTIVE,
        "policy": Policy(), "currency": "usd", "unit_amount": 1200, "term_start": NOW, "term_end": NOW,
        "owner_id": None, "owner_email": None, "auto_approval": AutoApproval(), "cancel_at": None,
        "unpaid_since": None, "home_ledger": "led_1",
    }  # fmt: skip
    return Subscription(**{**known, "capacity": capacity, "assigned": assigned, **fields})


@pytest.mark.parametrize(
    ("needed", "fill", "taken"), [(0, False, 0), (2, False, 2), (2, True, 2), (9, True, 2), (0, True, 0)]
)
def test_as_many_are_seated_as_asked_or_as_fit(needed, fill, taken):
    assert seats_to_take(make_subscription(), needed, fill=fill) == taken


def test_one_too_many_is_refused():
    with pytest.raises(NoSeatsLeft) as refused:
        seats_to_take(make_subscription(), 3, fill=False)
    assert (refused.value.data["free"], refused.value.data["missing"]) == (2, 1)


@pytest.mark.parametrize("fill", [False, True])
def test_an_over_assigned_subscription_takes_nobody_but_needs_nobody_either(fill):
    with refuses(Code.OVER_ASSIGNED):
        seats_to_take(make_subscription(capacity=2), 1, fill=fill)
    assert seats_to_take(make_subscription(capacity=2), 0, fill=fill) == 0


@pytest.mark.parametrize(("missing", "bought"), [(1, 5), (5, 5), (6, 10)])
def test_what_is_missing_is_bought_in_packs(missing, bought):
    assert make_subscription(policy=Policy(pack_size=5, min_seats=10)).in_packs(missing) == bought


def test_the_shortage_names_who_goes_without_and_quotes_what_is_typed():
    rows = [{"line": n, "email": f"p{n}@example.com"} for n in range(1, 6)]
    said = shortage(make_subscription(name="my design"), 7, rows)
    assert said.message == (
        "my design has 2 seats free, 7 are needed; p1@example.com, p2@example.com, p3@example.com"
        " and 2 more would not get a seat"
    )
    assert said.hint == "seatctl subs add-seats 'my design' 5, or --fill assigns the free seats"


@pytest.mark.parametrize(
    ("rules", "free", "outcome"),
    [
        (AutoApproval(), 3, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True), 3, ApprovalOutcome.SEAT),
        (AutoApproval(enabled=True), 0, ApprovalOutcome.WAIT),
        (AutoApproval(enabled=True, keep_free=2), 2, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True, keep_free=2), 3, ApprovalOutcome.SEAT),
        (AutoApproval(enabled=True, keep_free=2), 0, ApprovalOutcome.WAIT),
        (AutoApproval(enabled=True, domains=("@Example.com",)), 1, ApprovalOutcome.SEAT),
        (AutoApproval(enabled=True, domains=("other.com",)), 1, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True, domains=("other.com",)), 0, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True, groups=("ops",)), 1, ApprovalOutcome.SEAT),
        (AutoApproval(enabled=True, groups=("art",)), 1, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True, daily_limit=2), 1, ApprovalOutcome.SEAT),
        (AutoApproval(enabled=True, daily_limit=1), 1, ApprovalOutcome.ASK),
        (AutoApproval(enabled=True, until=NOW), 1, ApprovalOutcome.ASK),
    ],
)
def test_automatic_approval(rules, free, outcome):
    asking = Requester("zoe@example.com", "ops", NOW, approved_today=1)
    assert decide_automatically(rules, asking, free)[0] is outcome


def test_a_request_for_any_goes_to_the_features_then_to_the_most_free_seats():
    few, many = make_subscription(id=1, assigned=4), make_subscription(id=2, assigned=1)
    full = make_subscription(id=3, assigned=5, policy=Policy(features=("reports",)))
    reports = make_subscription(id=4, assigned=4, policy=Policy(features=("reports", "media")))
    stopped = make_subscription(id=5, assigned=0, status=SubscriptionStatus.CANCELED)
    assert choose([few, many, full, reports, stopped]) == many
    assert choose([few, many, full, reports, stopped], ["reports"]) == reports
    assert choose([full, stopped]) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("14d", datetime(2026, 12, 5, 12, tzinfo=UTC)),
        ("12h", datetime(2026, 11, 22, 0, tzinfo=UTC)),
        ("2w", datetime(2026, 12, 5, 12, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2027-01-31T10:00:00+02:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_a_span_or_a_date_is_a_moment(text, moment):
    assert moment_after(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "d", "-3d", "1.5d", "3 months", "99999w99", "2027-13-01"])
def test_anything_else_is_no_moment(text):
    with refuses(Code.BAD_TIME):
        moment_after(text, NOW)
