"""Changes whose card is refused, or whose bank wants the cardholder: nothing changes until it is paid."""

from __future__ import annotations

import json

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, assert_agree, charges, objects, twin
from tests.support.office import is_sound
from tests.support.subscriptions import ledger_place, query

HEADERS = {"Authorization": "Bearer sk_test_x"}
FLEXIBLE, TERM = "flexible", "term"

COMMANDS = {
    "add-seats, prorated": (FLEXIBLE, 0, "subs add-seats acme 5"),
    "change-plan": (FLEXIBLE, 0, "subs change-plan acme team-plus"),
    "add-seats, at full price": (TERM, 0, "subs add-seats acme 5"),
    "renew": (TERM, 340, "subs renew acme --seats 25"),
}


@pytest.fixture(params=COMMANDS)
def changing(sandbox, request):
    """The sandbox with a contract of 20 seats, a day or more old, and the command that changes it."""
    policy, days, command = COMMANDS[request.param]
    for slug, price in (("team", "5.00"), ("team-plus", "7.00")):
        words = f"plans add {slug} --price {price} --currency usd --interval year --policy {policy}"
        assert sandbox(*words.split()).code == 0
    words = "subs buy --plan team --seats 20 --name acme --billing-email pay@example.com --yes"
    bought = sandbox(*words.split(), "--payment-method", "pm_card_visa")
    assert bought.code == 0, bought.err
    advance(sandbox, hours=24 * days + 24)
    return sandbox, command.split()


def use_card(seatctl, card: str) -> None:
    customer = objects(seatctl, "customer")[0]["id"]
    method = change(seatctl, f"payment_methods/{card}/attach", customer=customer)["id"]
    change(seatctl, f"customers/{customer}", **{"invoice_settings[default_payment_method]": method})


def state(seatctl) -> tuple:
    (row,) = seatctl.rows("subs", "list")
    (item,) = objects(seatctl, "subscription_item")
    return row["seats"], row["plan"], row["status"], row["term_end"], item["quantity"], item["price"]


def open_invoices(seatctl) -> list[str]:
    return [one["id"] for one in objects(seatctl, "invoice") if one["status"] in {"open", "draft"}]


def test_a_declined_card_changes_nothing(changing):
    seatctl, command = changing
    use_card(seatctl, "pm_card_chargeCustomerFail")
    before = state(seatctl)
    declined = seatctl(*command, "--yes", "-o", "json")
    assert (declined.code, declined.error["code"], declined.out) == (5, "card_declined", "")
    assert "seatctl subs billing acme --payment-method" in declined.error["hint"]
    assert state(seatctl) == before
    assert charges(seatctl) == [10000]
    assert open_invoices(seatctl) == []
    assert {one["status"] for one in objects(seatctl, "invoice")} <= {"paid", "void"}
    assert seatctl("sync").code == 0
    assert state(seatctl) == before
    assert_agree(seatctl)
    use_card(seatctl, "pm_card_visa")
    assert seatctl(*command, "--yes").code == 0
    assert len(charges(seatctl)) == 2
    assert state(seatctl) != before
    assert seatctl("audit", "verify").code == seatctl("ledger", "check").code == 0


@pytest.fixture
def waiting(changing):
    """The bank wants the cardholder: exit 10 with the page, nothing charged, nothing changed."""
    seatctl, command = changing
    use_card(seatctl, "pm_card_threeDSecure2Required")
    before = state(seatctl)
    asked = seatctl(*command, "--yes", "-o", "json")
    assert (asked.code, asked.error["code"], asked.out) == (10, "authentication_required", "")
    assert asked.error["url"].startswith("https://")
    assert asked.error["url"] in asked.error["message"]
    assert state(seatctl)[:4] == before[:4]
    assert charges(seatctl) == [10000]
    assert seatctl("sync").code == 10
    return seatctl, command, before


def answer_the_bank(seatctl) -> None:
    (invoice,) = open_invoices(seatctl)
    with twin(seatctl) as stripe:
        control.authenticate(stripe, invoice)


def test_sync_completes_what_was_authenticated(waiting):
    seatctl, _, before = waiting
    answer_the_bank(seatctl)
    assert seatctl("sync").code == 0
    assert len(charges(seatctl)) == 2
    assert state(seatctl) != before
    assert seatctl("audit", "verify").code == seatctl("ledger", "check").code == 0
    again = charges(seatctl)
    assert seatctl("sync").code == 0
    assert charges(seatctl) == again


def test_the_same_command_completes_it_too(waiting):
    seatctl, command, before = waiting
    assert seatctl(*command, "--yes").code in {10, 75}
    answer_the_bank(seatctl)
    seatctl(*command, "--yes")
    assert len(charges(seatctl)) == 2
    assert state(seatctl) != before


def test_sync_undoes_what_nobody_authenticated_in_23_hours(waiting):
    seatctl, _, before = waiting
    advance(seatctl, hours=24)
    assert seatctl("sync").code == 0
    assert state(seatctl) == before
    assert charges(seatctl) == [10000]
    assert open_invoices(seatctl) == []
    assert_agree(seatctl)


# The bank is asked, and the subscription ends before it answers ---------------------------------------


@pytest.fixture
def design(sandbox, pro):
    """`design`, five seats of a month; its card needs the cardholder."""
    buy = f"subs buy --plan {pro} --seats 5 --name design --billing-email pay@example.com --yes"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_visa").code == 0
    use_card(sandbox, "pm_card_threeDSecure2Required")
    advance(sandbox, hours=24)
    return sandbox


def in_the_dashboard(seatctl, path: str, **form) -> None:
    """Somebody changes what `path` names, or deletes it if nothing is given."""
    (subscription,) = objects(seatctl, "subscription")
    with twin(seatctl) as stripe:
        if form:
            send(stripe, path.format(**subscription), form)
        else:
            deleted = stripe.handle("DELETE", f"/v1/{path.format(**subscription)}", HEADERS, None)
            assert deleted.status == 200, deleted.body


ENDS = {
    "in the dashboard": lambda seatctl: in_the_dashboard(seatctl, "subscriptions/{id}"),
    "with its customer": lambda seatctl: in_the_dashboard(seatctl, "customers/{customer}"),
    "as scheduled": lambda seatctl: advance(seatctl, hours=4),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("hours", [0, 24])
@pytest.mark.parametrize("answer", ["answered", "lost"])
def test_what_waits_when_the_subscription_ends_is_not_asked_for_any_more(design, end, hours, answer):
    if end == "as scheduled":
        with twin(design) as stripe:
            soon = stripe.now() + 3 * 3600
        in_the_dashboard(design, "subscriptions/{id}", cancel_at=soon, proration_behavior="none")
    assert design("subs", "add-seats", "design", "5", "--yes").code == 10
    if answer == "lost":
        lose_the_answer(design)
    ENDS[end](design)
    advance(design, hours)
    assert design("sync").code == 0
    assert (charges(design), open_invoices(design)) == ([6000], [])
    is_sound(design)


def test_an_increase_waits_no_longer_than_its_period(design):
    (item,) = objects(design, "subscription_item")
    with twin(design) as stripe:
        control.advance(stripe, seconds=item["current_period_end"] - 12 * 3600 - stripe.now())
    assert design("subs", "add-seats", "design", "5", "--yes").code == 10
    advance(design, hours=12)
    assert design("sync").code == 0
    assert (charges(design), open_invoices(design)[:-1]) == ([6000], [])  # the renewal is a draft
    assert [row["seats"] for row in design.rows("subs", "list")] == [5]


def lose_the_answer(seatctl) -> None:
    """As if the process had been killed before it stored the answer to the call that asked the bank."""
    lost = "UPDATE steps SET answer = NULL, answered_at = NULL WHERE name = 'charge-to-authenticate'"
    query(ledger_place(seatctl), lost)


@pytest.mark.parametrize("answer", ["answered", "lost"])
@pytest.mark.parametrize("undo", [True, False])
def test_an_invoice_that_the_dashboard_made_meanwhile_is_not_voided(design, undo, answer):
    asked = design("subs", "add-seats", "design", "5", "--yes", "-o", "json")
    assert asked.code == 10
    if answer == "lost":
        lose_the_answer(design)
    advance(design, hours=1)
    use_card(design, "pm_card_chargeCustomerFail")
    (item,) = objects(design, "subscription_item")
    change = {"quantity": 7, "proration_behavior": "always_invoice"}
    in_the_dashboard(design, f"subscription_items/{item['id']}", **change)
    waiting, by_hand = open_invoices(design)
    if undo:
        assert design("runs", "undo", str(asked.error["run"]), "--yes").code == 0
    else:
        advance(design, hours=24)
        assert design("sync").code == 0
    assert open_invoices(design) == [by_hand]
    assert {one["id"]: one["status"] for one in objects(design, "invoice")}[waiting] == "void"


@pytest.mark.parametrize("undo", [True, False])
def test_what_was_paid_is_not_taken_back_if_the_dashboard_has_changed_it_since(design, undo):
    asked = design("subs", "add-seats", "design", "5", "--yes", "-o", "json")
    assert (asked.code, design("sandbox", "authenticate").code) == (10, 0)
    paid = charges(design)
    (item,) = objects(design, "subscription_item")
    in_the_dashboard(design, f"subscription_items/{item['id']}", quantity=7, proration_behavior="none")
    if undo:
        refused = design("runs", "undo", str(asked.error["run"]), "--yes")
        assert (refused.code, "has gone through" in refused.err) == (4, True)
    else:
        advance(design, hours=24)
    assert design("sync").code == 0
    assert query(ledger_place(design), "SELECT state FROM operations ORDER BY id DESC LIMIT 1") == [("done",)]
    assert (charges(design), len(paid)) == (paid, 2)


def test_the_same_quantity_set_in_the_dashboard_is_not_the_payment(design):
    """The invoice of the update that waits would stay to be paid: twice for the same seats."""
    assert design("subs", "add-seats", "design", "5", "--yes").code == 10
    (item,) = objects(design, "subscription_item")
    in_the_dashboard(design, f"subscription_items/{item['id']}", quantity=10, proration_behavior="none")
    assert design("sync").code == 10
    advance(design, hours=24)
    assert design("sync").code == 0
    assert (charges(design), open_invoices(design)) == ([6000], [])


@pytest.mark.parametrize("undo", [True, False])
def test_what_the_dashboard_wrote_off_meanwhile_can_not_be_paid_any_more(waiting, undo):
    """A written-off invoice keeps its page, and takes money for what was taken back."""
    seatctl, _, before = waiting
    (invoice,) = open_invoices(seatctl)
    change(seatctl, f"invoices/{invoice}/mark_uncollectible")
    if undo:
        (run,) = [row["number"] for row in seatctl.rows("runs", "list") if row["state"] == "pending"]
        assert seatctl("runs", "undo", str(run), "--yes").code == 0
    else:
        advance(seatctl, hours=24)
        assert seatctl("sync").code == 0
    assert {one["id"]: one["status"] for one in objects(seatctl, "invoice")}[invoice] == "void"
    assert (state(seatctl), charges(seatctl)) == (before, [10000])
    assert_agree(seatctl)


def test_another_change_is_told_who_waits(waiting):
    seatctl, _, before = waiting
    other = seatctl("subs", "rename", "acme", "studio", "-o", "json")
    assert other.code == 75
    assert json.loads(other.err)["error"]["url"].startswith("https://")
    assert state(seatctl)[:4] == before[:4]
