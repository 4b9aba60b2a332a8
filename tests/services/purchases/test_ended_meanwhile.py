"""A customer is deleted, or a subscription canceled, in Stripe while a purchase is unfinished."""

from __future__ import annotations

import pytest

from tests.services.purchases.test_crash import ORDER
from tests.services.subscriptions.test_ended_meanwhile import end, still_open
from tests.support.both_sides import advance, charges
from tests.support.killing import Killing
from tests.support.state import assert_sound

pytestmark = pytest.mark.slow

ORDERS = {
    "by card": f"{ORDER} --payment-method pm_card_visa",
    "with a card that is declined": f"{ORDER} --payment-method pm_card_chargeCustomerFail",
    "that waits for the bank": f"{ORDER} --payment-method pm_card_threeDSecure2Required",
    "on another's card": "subs buy --plan pro --seats 3 --name lab --bill-to design --yes",
    "on account": f"{ORDER} --on-account",
    "by Checkout": f"{ORDER} --checkout",
}


@pytest.mark.parametrize("hours", [0, 25])
@pytest.mark.parametrize("what", ["customer", "subscription"])
@pytest.mark.parametrize("order", ORDERS)
def test_killed_anywhere_and_ended_then_sync(sandbox, team, tmp_path, whole, order, what, hours):
    """The next sync ends the purchase, or it waits for the cardholder; a day later nothing is left of it."""
    killing, argv = Killing(tmp_path, whole), tuple(ORDERS[order].split())
    _, ended = killing.undisturbed(sandbox, argv)
    for way in killing.each(sandbox, argv, ended, first=5 if hours else 14, step=17):
        seatctl = way.seatctl
        end(seatctl, what)
        advance(seatctl, hours)
        synced = seatctl("sync", "-o", "json")
        # What was not made yet is made: another customer's end is not its business.
        assert synced.code in {0, 0 if hours else 10}, (way.where, synced.out, synced.err)
        advance(seatctl, 25)
        assert (seatctl("sync").code, still_open(seatctl)) == (0, []), way.where
        assert charges(seatctl) in ([6000], [6000, 3600]), way.where
        assert_sound(seatctl)
