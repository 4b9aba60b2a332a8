"""Purchases that begin with a trial: nothing is charged before its end, which is the one that was told."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.services.subscriptions.test_payment_states import attention, carry_out
from tests.support.both_sides import charges, contents, fail, live_subscriptions, objects, twin
from tests.support.office import clear_faults, done, freeze, is_sound, refused, until
from tests.support.postbox import plain, use

ZOE = "zoe@example.com"
BUY = "subs buy --plan try --seats 5 --name lab --owner lee@example.com --billing-email pay@example.com"
CARD = "--payment-method pm_card_visa"
WAY = "seatctl subs billing lab --payment-method PM"
END, AFTER = "2040-06-15", "2040-06-15T02:00:00Z"
NEXT_DAY = "2040-06-16T00:00:00Z"


@pytest.fixture
def shop(sandbox):
    """`try`: 12.00 a seat and month, with 14 free days, which need no card and are paused without one."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(
        sandbox,
        "plans add try --price 12.00 --currency usd --trial-days 14 --trial-without-card pause"
        " --set grace_days=0",
    )
    return sandbox


def check(seatctl):
    return seatctl("check", ZOE, "-o", "json").json


def seat_zoe(seatctl):
    assert seatctl("seats", "assign", "lab", ZOE, "--create-users").code == 0


def shown(seatctl):
    return seatctl("subs", "show", "lab", "-o", "json").json


def test_the_first_term_is_charged_when_the_trial_ends(shop):
    before = contents(shop)
    preview = shop(*BUY.split(), *CARD.split(), "--dry-run", "-o", "json").rows[0]
    assert (preview["due_now"], preview["first_charge"], preview["unit_amount"]) == (0, 6000, 1200)
    assert preview["renews_at"].startswith(END)
    assert contents(shop) == before
    bought = shop(*BUY.split(), *CARD.split(), "--yes", "-o", "json", "--max-spend", "0")
    assert (bought.code, f"its trial ends on {END}" in bought.json["summary"]) == (0, True), bought
    assert (charges(shop), "warnings" in bought.json) == ([], False)
    seat_zoe(shop)
    page = shown(shop)
    assert (page["status"], page["trial"]) == ("trialing", {"ends_at": f"{END}T00:00:00Z", "then": "charge"})
    assert f"its trial ends on {END}: its first term is charged then" in page["calendar"][0]
    assert not any("renews on" in line for line in page["calendar"])
    answer = check(shop)
    assert (answer["entitled"], answer["until"], answer["ways_out"]) == (True, None, [])
    assert f"its trial ends on {END}" in answer["message"]
    until(shop, AFTER)
    assert (charges(shop), shown(shop)["status"], shown(shop)["trial"]) == ([6000], "active", None)
    assert "trial" not in check(shop)["message"]
    is_sound(shop)


@pytest.mark.parametrize(
    ("ending", "status", "reason"), [("pause", "paused", "paused"), ("cancel", "canceled", "ended")]
)
def test_without_a_card_it_stops_at_its_end(shop, ending, status, reason):
    done(shop, f"plans edit try --trial-without-card {ending}")
    done(shop, f"{BUY} --no-card")
    seat_zoe(shop)
    page = shown(shop)
    assert page["trial"]["then"] == ending
    assert f"unless a payment method is given ({WAY})" in page["calendar"][0]
    answer = check(shop)
    assert (answer["entitled"], answer["until"]) == (True, f"{END}T00:00:00Z")
    assert answer["ways_out"] == [WAY]
    assert shop("sandbox", "advance", NEXT_DAY).code == 0
    answer = check(shop)  # by the clock, without a sync
    assert (answer["entitled"], answer["reason"], answer["ways_out"][0]) == (False, reason, "seatctl sync")
    assert shop("sync").code == 0
    assert (shown(shop)["status"], charges(shop)) == (status, [])
    assert check(shop)["reason"] == reason
    if ending == "pause":
        card, resume = shown(shop)["ways_out"]
        carry_out(shop, card)
        carry_out(shop, resume)
        assert (charges(shop), check(shop)["entitled"], attention(shop)) == ([6000], True, [])
    is_sound(shop)


def test_a_card_given_in_time_lets_it_go_on(shop):
    done(shop, f"{BUY} --no-card")
    done(shop, "subs billing lab --payment-method pm_card_visa")
    assert shown(shop)["trial"]["then"] == "charge"
    until(shop, AFTER)
    assert (charges(shop), shown(shop)["status"]) == ([6000], "active")


def test_a_card_given_on_the_portal_counts_after_the_next_sync(shop):
    done(shop, f"{BUY} --no-card")
    (customer,) = objects(shop, "customer")
    with twin(shop) as stripe:
        method = send(stripe, "payment_methods/pm_card_visa/attach", {"customer": customer["id"]})["id"]
        settings = {"invoice_settings": {"default_payment_method": method}}
        send(stripe, f"customers/{customer['id']}", settings)
    assert shop("sync").code == 0
    assert shown(shop)["trial"]["then"] == "charge"


def test_status_tells_of_a_trial_that_soon_stops(shop):
    done(shop, f"{BUY} --no-card")
    assert attention(shop) == []
    until(shop, "2040-06-09T00:00:00Z")
    (line,) = attention(shop)
    assert line == f"lab: its trial ends on {END}: it is paused then unless a payment method is given: {WAY}"
    carry_out(shop, WAY)
    assert attention(shop) == []


def test_it_may_be_left_out(shop):
    done(shop, f"{BUY} {CARD} --no-trial")
    assert (charges(shop), shown(shop)["status"], shown(shop)["trial"]) == ([6000], "active", None)


@pytest.mark.parametrize(
    ("options", "why"),
    [("--no-card --no-trial", "without the trial"), ("--no-card", "needs a card")],
)
def test_a_card_is_required_unless_the_trial_needs_none(shop, options, why):
    if options == "--no-card":
        done(shop, "plans edit try --trial-without-card no")
    error = refused(shop, f"{BUY} {options}")
    assert (error["code"], why in error["message"]) == ("card_required", True)
    assert refused(shop, f"{BUY} --no-card {CARD}", 2)["code"] == "usage"
    assert objects(shop, "subscription") == []


def test_a_plan_without_a_trial_needs_a_card(sandbox, pro):
    error = refused(sandbox, f"subs buy --plan {pro} --seats 1 --name lab --no-card")
    assert (error["code"], "has no trial" in error["message"]) == ("card_required", True)


def test_on_account_it_is_invoiced_when_the_trial_ends(shop):
    done(shop, f"{BUY} --on-account --due-in 10d")
    assert shown(shop)["trial"]["then"] == "invoice"
    until(shop, AFTER)
    newest = shop.rows("invoices", "list")[0]
    assert (newest["status"], newest["total"], shown(shop)["status"]) == ("open", 6000, "active")
    assert charges(shop) == []


def test_a_page_begins_it_with_or_without_a_card(shop):
    for name, card in (("lab", "pm_card_visa"), ("den", "none")):
        command = BUY.replace("--name lab", f"--name {name}")
        assert shop(*command.split(), "--checkout", "--yes").code == 10
        page = next(one for one in objects(shop, "checkout.session") if one["status"] == "open")
        assert (page["payment_method_collection"], page["amount_total"]) == ("if_required", 0)
        with twin(shop) as stripe:
            control.complete_checkout(stripe, page["id"], card)
        assert shop("sync").code == 0
        trial = shop("subs", "show", name, "-o", "json").json["trial"]
        assert trial["then"] == ("charge" if name == "lab" else "pause")
    until(shop, NEXT_DAY)
    assert charges(shop) == [6000]
    assert sorted(one["status"] for one in live_subscriptions(shop)) == ["active", "paused"]


def test_what_waits_for_the_customer_is_billed_at_once_and_shown(shop):
    done(shop, f"{BUY} {CARD} --no-trial")
    (customer,) = objects(shop, "customer")
    with twin(shop) as stripe:
        item = {"customer": customer["id"], "amount": 700, "currency": "usd"}
        send(stripe, "invoiceitems", item)
    second = "subs buy --plan try --seats 2 --name den --bill-to lab"
    preview = shop(*second.split(), "--dry-run", "-o", "json").rows[0]
    assert (preview["due_now"], preview["first_charge"]) == (700, 2400)
    assert refused(shop, f"{second} --max-spend 6.99")["code"] == "max_spend_exceeded"
    row = done(shop, f"{second} --max-spend 7")
    assert (row["amount_paid"], charges(shop)) == (700, [6000, 700])
    until(shop, AFTER)
    assert charges(shop) == [6000, 700, 2400]


def test_seats_are_free_until_its_end_and_a_canceled_one_is_never_charged(shop):
    done(shop, f"{BUY} {CARD}")
    assert done(shop, "subs add-seats lab 3 --max-spend 0")["amount_paid"] == 0
    done(shop, "subs cancel lab")
    assert shown(shop)["trial"]["then"] == "end"
    assert f"It is canceled and ends on {END}." in shown(shop)["calendar"]
    until(shop, NEXT_DAY)
    assert (charges(shop), shown(shop)["status"]) == ([], "canceled")


def test_a_card_that_is_declined_at_its_end_is_past_due(shop):
    done(shop, f"{BUY} --payment-method pm_card_chargeCustomerFail")
    seat_zoe(shop)
    until(shop, AFTER)
    assert (shown(shop)["status"], check(shop)["reason"]) == ("past_due", "past_due")
    assert charges(shop) == []


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_a_lost_answer_begins_one_trial(shop, fault):
    fail(shop, fault, times=9, method="POST", path="/v1/subscriptions")
    assert shop(*BUY.split(), "--no-card", "--yes").code == 75
    clear_faults(shop)
    assert shop("sync").code == 0
    (one,) = live_subscriptions(shop)
    assert (one["status"], charges(shop)) == ("trialing", [])
    is_sound(shop)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("--policy term --trial-days 14", "trial_days"),
        ("--set trial_without_card=pause", "trial_without_card"),
        ("--trial-days 14 --set increase=full_price --set plan_change=renewal_window", "trial_days"),
    ],
)
def test_what_cannot_be_sold_with_a_trial_is_refused(sandbox, fields, field):
    error = refused(sandbox, f"plans add try --price 9 --currency usd {fields}", 3)
    assert (error["code"], error["field"]) == ("bad_policy", field)


def test_a_trial_is_part_of_the_policy(shop):
    page = shop("plans", "show", "try", "-o", "json").json
    assert (page["policy"]["trial_days"], page["policy"]["trial_without_card"]) == (14, "pause")
    assert any("free trial of 14 days; without a card it is paused" in line for line in page["rules"])
    error = refused(shop, "plans edit try --trial-days 7 --set trial_days=8", 2)
    assert "give the same field" in error["message"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (CARD, ["On that day its first term is charged.", "seatctl subs cancel lab"]),
        ("--no-card", ["Without one, it is paused on that day.", "seatctl subs billing lab --portal"]),
    ],
)
def test_its_end_is_told_by_mail_before(shop, postbox, options, told):
    use(shop, postbox)
    done(shop, f"{BUY} {options}")
    until(shop, "2040-06-02T00:00:00Z")
    assert ends_told(postbox) == []
    until(shop, "2040-06-10T00:00:00Z")
    assert sorted(letter.to for letter in ends_told(postbox)) == ["lee@example.com", "pay@example.com"]
    text = plain(ends_told(postbox)[0])
    assert "The trial of lab" in text
    assert [line for line in told if line not in text] == []


def ends_told(postbox):
    return [letter for letter in postbox.letters if letter["Subject"] == f"lab: the trial ends on {END}"]


def test_the_first_charge_is_told_with_its_tax(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    assert sandbox("sandbox", "tax", "19").code == 0
    assert sandbox("config", "set", "stripe.automatic_tax", "on").code == 0
    done(sandbox, "plans add try --price 12.00 --currency usd --trial-days 14 --tax-behavior exclusive")
    command = f"{BUY} {CARD} --address country=DE --address postal_code=53111"
    preview = sandbox(*command.split(), "--dry-run", "-o", "json").rows[0]
    assert (preview["due_now"], preview["first_charge"]) == (0, 7140)
    done(sandbox, f"{command} --max-spend 0")
    until(sandbox, AFTER)
    assert charges(sandbox) == [7140]


@pytest.mark.parametrize(
    ("account", "status", "paid"),
    [("pm_usBankAccount_success", "active", [6000]), ("pm_usBankAccount_insufficientFunds", "paused", [])],
)
def test_a_paused_one_is_resumed_once_a_bank_has_paid(shop, account, status, paid):
    done(shop, f"{BUY} --no-card")
    seat_zoe(shop)
    until(shop, AFTER)
    done(shop, f"subs billing lab --payment-method {account}")
    assert refused(shop, "subs resume lab --max-spend 60", 10)["code"] == "payment_processing"
    for day in ("2040-06-16T02:00:00Z", "2040-06-17T12:00:00Z"):  # longer than a card may take
        done(shop, f"sandbox advance {day}")
        assert shop("sync").code == 10
        error = refused(shop, "subs cancel lab --now", 10)
        assert (error["code"], check(shop)["entitled"]) == ("payment_processing", False)
        assert [one["status"] for one in objects(shop, "invoice")] == ["paid", "open"]
    until(shop, "2040-06-20T02:00:00Z")
    assert (shown(shop)["status"], charges(shop)) == (status, paid)
    assert check(shop)["entitled"] is (status == "active")
    done(shop, "subs cancel lab --now")
    is_sound(shop)
