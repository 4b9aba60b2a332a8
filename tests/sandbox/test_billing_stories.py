"""A story for each billing rule: renewals, prorations, discounts, credit. Comments calculate the amounts."""

import pytest

from seatctl.sandbox.api import control

DAY = 86400
HOUR = 3600


def test_a_year_of_renewals_with_a_card_that_fails_in_month_7_and_is_replaced(stripe):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price(1000), 5)["id"]
    # Month 1 is paid at once; renewals 2 to 6 are paid an hour after each 21st: 6 x 5 x 10.00.
    stripe.at(1790000000 + 160 * DAY)  # 2027-02-28: five renewals have passed
    assert _paid(stripe) == [5000] * 6
    # The card fails in month 7 (renewal of 2027-03-21): past due, tried again 3 days later, in vain.
    stripe.replace_card(customer, "pm_card_chargeCustomerFail")
    stripe.at(1790000000 + 186 * DAY)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "past_due"
    owed = stripe.invoice(subscription)
    assert (owed["status"], owed["attempt_count"], owed["amount_remaining"]) == ("open", 2, 5000)
    # The card is replaced; the next try, 5 days after the second, goes through.
    stripe.replace_card(customer)
    stripe.at(1790000000 + 190 * DAY)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "active"
    # Months 8 to 12 are paid: 12 x 50.00 in a year, none twice.
    stripe.at(1790000000 + 364 * DAY)
    assert _paid(stripe) == [5000] * 12
    numbers = [obj["number"][-4:] for obj in stripe.get("invoices", {"limit": 100})["data"]]
    assert numbers == [f"{n:04d}" for n in range(12, 0, -1)]


def _paid(stripe):
    return [obj["amount_paid"] for obj in stripe.get("invoices", {"status": "paid", "limit": 100})["data"]]


@pytest.mark.parametrize(
    ("outcome", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_after_the_last_retry_the_accounts_setting_applies(stripe, outcome, status):
    control.after_retries(stripe.twin, outcome)
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price())["id"]
    stripe.replace_card(customer, "pm_card_chargeCustomerFail")
    # Fails on the 30th day and 3, 5 and 7 days after each other: the last on day 45.
    stripe.advance(days=46)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == status
    assert stripe.invoice(subscription)["attempt_count"] == 4


def test_a_renewal_is_a_draft_for_an_hour_then_paid(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(), 2)["id"]
    stripe.advance(days=30, seconds=60)
    draft = stripe.invoice(subscription)
    assert (draft["status"], draft["billing_reason"], draft["number"]) == (
        "draft",
        "subscription_cycle",
        None,
    )
    assert draft["automatically_finalizes_at"] == draft["created"] + HOUR
    stripe.advance(seconds=HOUR)
    assert stripe.invoice(subscription)["amount_paid"] == 2000


def test_an_upgrade_in_the_middle_of_the_month_costs_half_the_difference(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1200), 25)
    stripe.advance(days=15)
    change = stripe.change_of(subscription, quantity=30, proration_behavior="always_invoice")
    preview = stripe.preview(subscription, change)
    changed = stripe.post(f"subscriptions/{subscription['id']}", change)
    # 15 of 30 days are left: -25 x 12.00 / 2 = -150.00 and +30 x 12.00 / 2 = +180.00.
    invoice = stripe.invoice(subscription["id"])
    assert [line["amount"] for line in invoice["lines"]["data"]] == [-15000, 18000]
    assert (invoice["amount_paid"], invoice["attempt_count"], changed["quantity"]) == (3000, 1, 30)
    assert (preview["total"], preview["amount_due"]) == (3000, 3000)


def test_a_preview_changes_nothing(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(), 3)
    before = stripe.get(f"subscriptions/{subscription['id']}"), len(stripe.events())
    shown = stripe.preview(subscription, stripe.change_of(subscription, quantity=9))
    # The renewal: 9 x 10.00, with -3 x 10.00 and +9 x 10.00 for the whole month that is still ahead.
    assert (shown["total"], shown["id"][:12]) == (15000, "upcoming_in_")
    assert (stripe.get(f"subscriptions/{subscription['id']}"), len(stripe.events())) == before


def test_a_credit_is_used_up_over_two_invoices(stripe):
    customer = stripe.customer()
    stripe.post(f"customers/{customer}/balance_transactions", {"amount": -1500, "currency": "usd"})
    subscription = stripe.subscribe(customer, stripe.price(1000))["id"]
    # 10.00 of the 15.00 credit pay the first month; 5.00 and the card pay the second.
    first = stripe.invoice(subscription)
    assert (first["starting_balance"], first["ending_balance"], first["amount_due"]) == (-1500, -500, 0)
    assert (first["status"], first["attempt_count"]) == ("paid", 0)
    stripe.advance(days=31)
    second = stripe.invoice(subscription)
    assert (second["starting_balance"], second["ending_balance"]) == (-500, 0)
    assert (second["amount_due"], second["amount_paid"], second["total"]) == (500, 500, 1000)
    moves = stripe.get(f"customers/{customer}/balance_transactions")["data"]
    assert [(obj["amount"], obj["ending_balance"], obj["type"]) for obj in moves] == [
        (500, 0, "applied_to_invoice"),
        (1000, -500, "applied_to_invoice"),
        (-1500, -1500, "adjustment"),
    ]
    assert moves[0]["invoice"] == second["id"]


def test_an_anchor_on_the_31st_comes_back_after_february(stripe):
    stripe.at(1801396800)  # 2027-01-31 12:00:00 UTC
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    ends = [subscription["items"]["data"][0]["current_period_end"]]
    for _ in range(2):
        stripe.advance(days=31)
        ends.append(
            stripe.get(f"subscriptions/{subscription['id']}")["items"]["data"][0]["current_period_end"]
        )
    # 28 February, 31 March, 30 April, all at noon.
    assert ends == [1803816000, 1806494400, 1809086400]


def test_a_once_coupon_takes_off_the_first_invoice_only(stripe):
    coupon = stripe.coupon(percent_off=25, duration="once")
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 3, discounts=[{"coupon": coupon}])
    invoice = stripe.invoice(subscription["id"])
    assert (invoice["subtotal"], invoice["total"], invoice["amount_paid"]) == (3000, 2250, 2250)
    stripe.advance(days=31)
    assert stripe.invoice(subscription["id"])["total"] == 3000


def test_yen_have_no_decimals_and_dinars_three(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1200, "jpy"), 2)
    assert (
        stripe.invoice(subscription["id"])["lines"]["data"][0]["description"] == "2 × Pro (at ¥1,200 / month)"
    )
    subscription = stripe.subscribe(stripe.customer(), stripe.price(12340, "kwd"))
    assert stripe.invoice(subscription["id"])["total"] == 12340


def test_a_running_discount_is_part_of_each_proration(stripe):
    coupon = stripe.coupon(percent_off=20)
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 4, discounts=[{"coupon": coupon}])
    assert stripe.invoice(subscription["id"])["total"] == 3200
    stripe.advance(days=15)
    for quantity in (6, 2):
        stripe.change(subscription, quantity=quantity, proration_behavior="always_invoice")
    # Half a month is left, at 8.00 a seat: -4 x 4.00 + 6 x 4.00, then -6 x 4.00 + 2 x 4.00.
    totals = [obj["total"] for obj in stripe.get("invoices")["data"]]
    assert totals == [-1600, 800, 3200]


def test_a_discount_of_a_change_lowers_what_waits_for_its_invoice_as_the_preview_says(stripe):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price(1000), 2)
    stripe.item(customer, 300)
    tenth = [{"coupon": stripe.coupon(percent_off=10)}]
    change = stripe.change_of(subscription, quantity=3, proration_behavior="always_invoice")
    preview = stripe.preview(subscription, change, discounts=tenth)
    stripe.post(f"subscriptions/{subscription['id']}", {**change, "discounts": tenth})
    invoice = stripe.invoice(subscription["id"])
    assert [one["amount"] for one in invoice["total_discount_amounts"]] == [30]
    assert invoice["total"] == preview["total"]


def test_a_full_price_change_without_proration_bills_at_the_renewal(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 2)
    assert stripe.change(subscription, quantity=5, proration_behavior="none")["quantity"] == 5
    assert stripe.get("invoiceitems", {"pending": True})["data"] == []
    stripe.advance(days=31)
    assert stripe.invoice(subscription["id"])["amount_paid"] == 5000


def test_a_pending_proration_is_on_the_next_renewal(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 2)
    stripe.advance(days=15)
    stripe.change(subscription, quantity=4)
    stripe.advance(days=16)
    # -2 x 5.00 + 4 x 5.00 for the half month, and 4 x 10.00 for the new one.
    invoice = stripe.invoice(subscription["id"])
    assert sorted(line["amount"] for line in invoice["lines"]["data"]) == [-1000, 2000, 4000]
    assert invoice["amount_paid"] == 5000


def test_a_first_period_cut_short_by_its_anchor_costs_its_share(stripe):
    anchor = 1790000000 + 10 * DAY
    subscription = stripe.subscribe(stripe.customer(), stripe.price(3100), billing_cycle_anchor=anchor)
    # The whole month would be 1 September to 1 October, 30 days; 10 of them are left: 31.00 / 3.
    assert stripe.invoice(subscription["id"])["amount_paid"] == 1033
    stripe.advance(days=11)
    assert stripe.invoice(subscription["id"])["amount_paid"] == 3100


def test_a_fixed_amount_off_is_shared_by_the_prorations(stripe):
    coupon = stripe.coupon(amount_off=500, currency="usd")
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 4, discounts=[{"coupon": coupon}])
    stripe.advance(days=15)
    stripe.change(subscription, quantity=6, proration_behavior="always_invoice")
    # Half a month: -(40.00 - 5.00) / 2 = -17.50 and +(60.00 - 5.00) / 2 = +27.50.
    lines = stripe.invoice(subscription["id"])["lines"]["data"]
    assert [line["amount"] for line in lines] == [-1750, 2750]


def test_a_cancel_credits_no_more_than_was_billed_after_a_change_that_lies_ahead(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(3000))
    small = stripe.price(1000)
    ahead = {"proration_behavior": "always_invoice", "proration_date": 1790000000 + 15 * DAY}
    stripe.change(subscription, price=small, quantity=12, **ahead)
    # Half a month lies behind that day: -30.00 / 2 = -15.00 and +12 x 10.00 / 2 = +60.00.
    assert stripe.invoice(subscription["id"])["total"] == 4500
    stripe.delete(f"subscriptions/{subscription['id']}", {"prorate": True})
    # Nothing was used: the first half of 30.00 and the second half of 120.00 come back, 15.00 + 60.00.
    pending = stripe.get("invoiceitems", {"pending": True})["data"]
    assert sorted(obj["amount"] for obj in pending) == [-6000, -1500]
    assert 3000 + 4500 - 6000 - 1500 == 0


def test_a_charge_credited_on_its_own_invoice_is_named_as_its_line(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 2)
    stripe.advance(days=15)
    stripe.change(subscription, quantity=4)
    stripe.change(subscription, quantity=6, proration_behavior="always_invoice")
    invoice = stripe.invoice(subscription["id"])
    # Half a month, newest first: -4 x 5.00, +6 x 5.00, then -2 x 5.00, +4 x 5.00.
    lines = invoice["lines"]["data"]
    assert [obj["amount"] for obj in lines] == [-2000, 3000, -1000, 2000]
    details = lines[0]["parent"]["subscription_item_details"]["proration_details"]
    assert details["credited_items"] == {
        "invoice": invoice["id"],
        "invoice_line_items": [lines[3]["id"]],
    }
