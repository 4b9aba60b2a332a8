"""A subscription made elsewhere need not hold whole packs: the next change makes it whole."""

from __future__ import annotations

import shlex

import pytest

from tests.sandbox.seed import send
from tests.services.sync.test_foreign_objects import customer
from tests.support.both_sides import objects, twin
from tests.support.office import done, freeze, is_sound, refused, subs_row


@pytest.fixture
def odd(sandbox):
    """`acme`: seven seats, made elsewhere and adopted, of a plan that is sold in packs of five."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add packs --price 10.00 --currency usd --set pack_size=5 --set min_seats=5")
    with twin(sandbox) as stripe:
        items = [{"price": objects(sandbox, "price")[0]["id"], "quantity": 7}]
        send(stripe, "subscriptions", {"customer": customer(stripe, "Acme"), "items": items})
    assert sandbox("sync").code == sandbox("ledger", "adopt", "--yes").code == 0
    return sandbox


@pytest.mark.parametrize(
    ("command", "seats"), [("add-seats acme 3", 10), ("add-seats acme 8", 15), ("set-seats acme 10", 10)]
)
def test_seats_that_make_whole_packs_of_it_are_added(odd, command, seats):
    done(odd, f"subs {command}")
    assert subs_row(odd, "acme")["seats"] == seats
    assert refused(odd, "subs add-seats acme 3")["code"] == "pack_size"
    is_sound(odd)


@pytest.mark.parametrize("command", ["add-seats acme 5", "add-seats acme 1", "set-seats acme 12"])
def test_what_is_refused_is_done_by_the_command_that_the_refusal_names(odd, command):
    error = refused(odd, f"subs {command}")
    assert error["code"] == "pack_size"
    done(odd, error["hint"].removeprefix("seatctl "))
    assert subs_row(odd, "acme")["seats"] % 5 == 0


def test_where_fewer_wait_for_the_renewal_whole_packs_are_added(odd):
    done(odd, "subs set-seats acme 5")
    error = refused(odd, "subs add-seats acme 3")
    added = done(odd, shlex.join(shlex.split(error["hint"])[1:]))
    assert (added["seats"], added["next_seats"]) == (12, 10)
