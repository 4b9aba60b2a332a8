"""A ledger that is lost: what Stripe alone gives back is the same in every command that shows it."""

from __future__ import annotations

import pytest

from tests.support.office import done, freeze, until
from tests.support.second_ledger import SecondLedger

PAID = "--billing-email p@example.com --payment-method pm_card_visa --yes"
LIFE = (
    "plans add pro --price 12 --currency usd",
    "plans add plus --price 20 --currency usd",
    "plans add team --price 5 --currency usd --interval year --policy term --set grace_days=3",
    "plans add gone --price 900 --currency jpy",
    *(f"subs buy --plan pro --seats 5 --name {name} --owner {name}@example.com {PAID}" for name in "abcd"),
    f"subs buy --plan team --seats 10 --name first {PAID}",
    f"subs buy --plan team --seats 10 --name second {PAID}",
    "subs set-seats a 3 --yes",
    "subs change-plan b plus --at-renewal --yes",
    "subs cancel c --yes",
    "subs cancel d --now --refund --yes",
    "config auto-approve a on --domain example.com --daily-limit 3",
    "plans edit pro --price 15",
    "plans archive gone --yes",
    "sandbox advance 20d",
    "subs add-seats first 5 --yes",
)
A_YEAR_ON = (
    "sandbox advance 320d",
    "sync",
    "subs renew first --seats 20 --yes",
    "subs rename first contract",
)
SHOWN = (
    "plans list",
    *(f"plans show {plan}" for plan in ("pro", "plus", "team", "gone")),
    "subs list",
    *(f"subs show {name}" for name in ("a", "b", "c", "d", "second")),
    "invoices list",
    "invoices list --unpaid",
)


@pytest.mark.parametrize(
    ("life", "shown"),
    [(LIFE, (*SHOWN, "subs show first")), ((*LIFE, *A_YEAR_ON), (*SHOWN, "subs show contract"))],
    ids=["while changes wait", "a year on"],
)
def test_a_rebuilt_ledger_shows_what_the_lost_one_showed(sandbox, life, shown):
    for command in life:
        done = sandbox(*command.split())
        assert done.code == 0, (command, done.err)
    assert sandbox("sync", "--full").code == 0
    rebuilt = SecondLedger(sandbox)
    assert rebuilt("sync").code == 0
    for command in shown:
        lost, found = (ledger(*command.split(), "-o", "json") for ledger in (sandbox, rebuilt))
        assert found.json == lost.json, command
    assert rebuilt("reconcile", "--check").code == 0
    assert rebuilt("sync", "-o", "json").rows == []


def test_seats_added_by_a_rebuilt_ledger_cost_what_the_running_term_does(sandbox):
    """The next term is paid at 9.00 already; twelve days of this one at 6.00 are left."""
    freeze(sandbox, "2041-01-01T00:00:00Z")
    term = "--interval year --policy term --set increase=prorate_now"
    done(sandbox, f"plans add beta --price 6.00 --currency usd {term}")
    done(
        sandbox,
        f"subs buy --plan beta --seats 10 --name b --owner b@example.com {PAID}".removesuffix(" --yes"),
    )
    until(sandbox, "2041-12-20T00:00:00Z")
    done(sandbox, "plans edit beta --price 9.00")
    done(sandbox, "subs renew b")
    rebuilt = SecondLedger(sandbox)
    assert rebuilt("sync").code == rebuilt("ledger", "adopt", "--yes").code == 0
    for ledger in (sandbox, rebuilt):
        assert ledger("subs", "show", "b", "-o", "json").json["unit_amount"] == 600
    added = rebuilt("subs", "add-seats", "b", "5", "--dry-run", "-o", "json").rows[0]
    assert added["due_now"] == 5 * 900 + 99
