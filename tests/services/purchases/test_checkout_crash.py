"""Purchases by page and on account, and changes of billing details, killed at every point.

Afterwards `sync`: charged once or not at all, nothing half-made, and the command can be repeated. By
default every third point, all of them with --whole-proofs.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, assert_agree, charges, objects, twin
from tests.support.killing import Killing

pytestmark = pytest.mark.slow

ORDER = "subs buy --plan {} --seats 5 --name lab --billing-email pay@example.com --yes"
CARD = "subs billing design --email new@example.com --tax-id eu_vat:DE1 --payment-method {} --yes"


@pytest.fixture
def killed(sandbox, tmp_path, whole):
    """Copies of the prepared profile, in each of which a command was killed at another point."""

    killing = Killing(tmp_path / "copies", whole)

    def points(command: str, code: int, first: int = 1):
        words = tuple(command.split())
        _, undisturbed = killing.undisturbed(sandbox, words)
        assert undisturbed.code == code, undisturbed.err
        assert len(undisturbed.points) >= 12
        for way in killing.each(sandbox, words, undisturbed, first=first, step=3):
            yield way.where, way.seatctl

    return points


def seats_of_lab(seatctl) -> list[int]:
    return [row["seats"] for row in seatctl.rows("subs", "list") if row["name"] == "lab"]


@pytest.fixture
def yearly(sandbox, team) -> str:
    words = "plans add yearly --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*words.split()).code == 0
    return "yearly"


@pytest.mark.parametrize("hours", [0, 25])
def test_on_account(sandbox, yearly, killed, hours):
    command = ORDER.format(yearly) + " --on-account"
    for where, seatctl in killed(command, 0, first=1 + hours % 3):
        advance(seatctl, hours=hours)
        assert seatctl("sync").code == 0, where
        assert_agree(seatctl)
        assert seatctl(*command.split()).code in {0, 4}, where
        assert seats_of_lab(seatctl) == [5], where
        own = [one for one in seatctl.rows("invoices", "list", "lab") if one["status"] == "open"]
        assert [one["total"] for one in own] == [2500], where
        assert charges(seatctl) == [6000], where
        assert_agree(seatctl)


def complete_the_page(seatctl) -> None:
    with twin(seatctl) as stripe:
        for page in [one["id"] for one in stripe.store.walk("checkout.session") if one["status"] == "open"]:
            control.complete_checkout(stripe, page)


@pytest.mark.parametrize(("plan", "amount"), [("pro", 6000), ("yearly", 2500)])
def test_a_page_that_is_opened(sandbox, yearly, killed, plan, amount):
    command = f"{ORDER.format(plan)} --checkout"
    for where, seatctl in killed(command, 10):
        assert seatctl(*command.split()).code == 10, where
        assert len(objects(seatctl, "checkout.session")) == 1, where
        complete_the_page(seatctl)
        assert seatctl("sync").code == 0, where
        assert seats_of_lab(seatctl) == [5], where
        assert charges(seatctl) == [6000, amount], where
        assert_agree(seatctl)


@pytest.mark.parametrize(("plan", "amount"), [("pro", 6000), ("yearly", 2500)])
def test_a_page_that_is_completed(sandbox, yearly, killed, plan, amount):
    command = f"{ORDER.format(plan)} --checkout"
    assert sandbox(*command.split()).code == 10
    complete_the_page(sandbox)
    for where, seatctl in killed(command, 0, first=2):
        assert seatctl("sync").code == 0, where
        assert seats_of_lab(seatctl) == [5], where
        assert charges(seatctl) == [6000, amount], where
        assert_agree(seatctl)


@pytest.fixture
def overdue(sandbox, team):
    customer = objects(sandbox, "customer")[0]["id"]
    card = change(sandbox, "payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)["id"]
    change(sandbox, f"customers/{customer}", **{"invoice_settings[default_payment_method]": card})
    advance(sandbox, hours=24 * 32)
    assert sandbox("sync").code == 0
    return sandbox


@pytest.mark.parametrize(
    ("card", "code", "paid"), [("pm_card_visa", 0, True), ("pm_card_chargeCustomerFail", 5, False)]
)
def test_a_card_that_pays_what_is_owed(overdue, killed, card, code, paid):
    command = CARD.format(card)
    for where, seatctl in killed(command, code):
        assert seatctl("sync").code == 0, where
        assert charges(seatctl) in ([6000], [6000, 6000]), where
        assert_agree(seatctl)
        assert seatctl(*command.split()).code in {0, code}, where
        assert charges(seatctl) == ([6000, 6000] if paid else [6000]), where
        shown = seatctl("subs", "billing", "design", "-o", "json").json
        assert shown["billing_email"] == ("new@example.com" if paid else "pay@example.com"), where
        assert set(shown["tax_ids"]) == ({"eu_vat:DE1"} if paid else set()), where
        assert_agree(seatctl)
