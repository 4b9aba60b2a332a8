"""Stripe puts the first ten entries of a list into the object that holds it: sums read it to its end."""

from __future__ import annotations

import pytest

from seatctl.billing import endpoints
from seatctl.billing.answers import UnreadableList, complete
from seatctl.billing.port import MissingInStripe, Read
from seatctl.billing.stripe import connect_sandbox
from tests.sandbox.seed import send
from tests.services.subscriptions.test_cancel import balances, refunds, shown_then_given
from tests.support.both_sides import charges, objects, sandbox_path, twin
from tests.support.office import (
    TEN_DAYS_LEFT,
    done,
    freeze,
    is_sound,
    open_office,
    refused,
    subs_row,
    until,
)

BUYER = "--owner ann@example.com --billing-email pay@example.com --payment-method pm_card_visa"


def asked(seatctl, path: str, form: dict) -> dict:
    """What Stripe answers somebody else, who is shown the beginning of each list."""
    return stripe(seatctl).read(Read(path, form, "post"))


def stripe(seatctl):
    return connect_sandbox(sandbox_path(seatctl), read_only=False, sleep=lambda _: None)


def unused(seatctl, name: str) -> int:
    ends = {"cancel_now": True, "proration_behavior": "create_prorations"}
    form = {"subscription": subs_row(seatctl, name)["stripe_subscription"], "subscription_details": ends}
    return -asked(seatctl, "/v1/invoices/create_preview", form)["total"]


@pytest.fixture
def eleven(sandbox):
    """`lab` was renewed with the prorations of five seats before its own line, the eleventh."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    later = "--policy flexible --set increase=prorate_next_invoice"
    done(sandbox, f"plans add basic --price 12.00 --currency usd {later}")
    done(sandbox, f"subs buy --plan basic --seats 1 --name lab {BUYER}")
    for day in range(2, 7):
        until(sandbox, f"2040-06-0{day}T00:00:00Z")
        done(sandbox, "subs add-seats lab 1")
    until(sandbox, "2040-07-11T00:00:00Z")
    (renewal, _) = objects(sandbox, "invoice")[::-1]
    assert [len(renewal["lines"]["data"]), renewal["lines"]["data"][-1]["quantity"]] == [11, 6]
    return sandbox


def test_all_that_is_unused_is_given_back_though_the_line_that_paid_for_it_is_on_the_next_page(eleven):
    left = unused(eleven, "lab")
    assert left == 4877  # 21 of 31 days of 72.00
    shown, given = shown_then_given(eleven, "lab")
    assert shown["given_back"] == given["given_back"] == left
    assert refunds(eleven) == [left]
    is_sound(eleven)


def test_no_command_cuts_the_lines_that_the_ledger_holds(eleven):
    (number,) = [one["number"] for one in eleven.rows("invoices", "list", "lab") if one["total"] > 1200]
    for command in ("subs add-seats lab 1", f"invoices pay {number}", "subs cancel lab --now --refund"):
        done(eleven, command)
        page = eleven("invoices", "show", number, "-o", "json").json
        assert len(page["lines"]) == 11, command


def test_what_somebody_has_given_back_by_hand_is_not_missing(eleven):
    """A credit note of the dashboard: the rest is given back, and both together are what was unused."""
    newest = objects(eleven, "invoice")[-1]["id"]
    with twin(eleven) as dashboard:
        send(dashboard, "credit_notes", {"invoice": newest, "amount": 5000, "refund_amount": 5000})
    paid = charges(eleven)[-1]
    _, given = shown_then_given(eleven, "lab")
    assert given["given_back"] == min(4877, paid - 5000)


@pytest.mark.parametrize("by_hand", [1000, 6000, 11600])
def test_what_was_refunded_in_the_dashboard_is_given_back_already(sandbox, by_hand):
    """Of 120.00 a third is unused: 40.00, of which the card gets what it has not got by hand."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add basic --price 12.00 --currency usd --policy flexible")
    done(sandbox, f"subs buy --plan basic --seats 10 --name lab {BUYER}")
    until(sandbox, TEN_DAYS_LEFT)
    (charge,) = objects(sandbox, "charge")
    with twin(sandbox) as dashboard:
        send(dashboard, "refunds", {"charge": charge["id"], "amount": by_hand})
    _, given = shown_then_given(sandbox, "lab")
    assert given["given_back"] == min(4000, 12000 - by_hand)
    assert refunds(sandbox) == [by_hand, given["given_back"]]


def test_a_refund_of_a_period_that_is_not_charged_yet_waits_until_it_is(sandbox):
    """Within the hour after a renewal its invoice is a draft: Stripe counts it, and nobody has paid it."""
    office = open_office(sandbox)
    until(office, "2040-07-01T00:10:00Z")
    error = refused(office, "subs cancel lab --now --refund")
    assert error["code"] == "refund_falls_short"
    assert "is a draft; Stripe charges a renewal after about an hour" in error["message"]
    assert done(office, "subs cancel design --now --dry-run")["billed_within_the_hour"] == 2000
    until(office, "2040-07-01T03:00:00Z")
    assert done(office, "subs cancel lab --now --refund")["given_back"] == unused_of(10000, 0.125)


def unused_of(paid: int, days: float) -> int:
    """What a July leaves of `paid` after so many days."""
    return round(paid * (31 - days) / 31)


def test_nothing_is_canceled_where_less_would_be_given_back_than_is_unused(sandbox):
    """On account, and its invoice made void in the dashboard: Stripe counts it as billed all the same."""
    office = open_office(sandbox)
    done(
        office, f"subs buy --plan basic --seats 10 --name acc {BUYER.partition('--payment')[0]} --on-account"
    )
    (bill,) = [one for one in objects(office, "invoice") if one["status"] == "open"]
    with twin(office) as dashboard:
        send(dashboard, f"invoices/{bill['id']}/void", {})
    until(office, TEN_DAYS_LEFT)
    error = refused(office, "subs cancel acc --now --refund")
    assert (error["code"], error["unused"], error["given_back"]) == ("refund_falls_short", 3333, 0)
    assert bill["number"] in error["message"]
    assert error["hint"].startswith("to end it and give nothing back: seatctl subs cancel acc --now;")
    assert subs_row(office, "acc")["status"] == "active"
    done(office, "subs cancel acc --now")
    assert (subs_row(office, "acc")["status"], refunds(office)) == ("canceled", [])


def test_a_debt_too_small_to_charge_is_set_off_before_the_card_gets_anything_back(sandbox):
    """60 paid for a seat of which half is left; the second seat's 30 were never paid, and are owed."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add cheap --price 0.60 --currency usd --policy flexible")
    done(sandbox, f"subs buy --plan cheap --seats 1 --name lab {BUYER}")
    until(sandbox, "2040-06-16T00:00:00Z")
    done(sandbox, "subs add-seats lab 1")
    assert (charges(sandbox), balances(sandbox)) == ([60], {"pay@example.com": 30})
    shown, given = shown_then_given(sandbox, "lab")
    assert (
        (shown["given_back"], shown["to_balance"]) == (given["given_back"], given["to_balance"]) == (30, 30)
    )
    assert (refunds(sandbox), balances(sandbox)) == ([30], {"pay@example.com": 0})


def test_a_debt_that_was_paid_since_is_money_that_was_paid(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add cheap --price 0.60 --currency usd --policy flexible")
    done(sandbox, f"subs buy --plan cheap --seats 1 --name lab {BUYER}")
    until(sandbox, "2040-06-16T00:00:00Z")
    done(sandbox, "subs add-seats lab 1")
    done(sandbox, "subs buy --plan cheap --seats 1 --name other --bill-to lab")
    assert charges(sandbox) == [60, 90]
    _, given = shown_then_given(sandbox, "lab")
    assert (given["given_back"], given["to_balance"]) == (60, 0)
    assert (refunds(sandbox), balances(sandbox)) == ([60], {"pay@example.com": 0})


# The port ---------------------------------------------------------------------------------------------


@pytest.fixture
def long_lists(sandbox):
    """A customer with a subscription of 12 items, an invoice of 230 lines and a charge with 11 refunds."""
    with twin(sandbox) as dashboard:
        paying = {"payment_method": "pm_card_visa"}
        paying |= {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
        customer = send(dashboard, "customers", paying)["id"]
        product = send(dashboard, "products", {"name": "Room"})["id"]
        priced = {"currency": "usd", "product": product, "recurring": {"interval": "month"}}
        prices = [send(dashboard, "prices", {**priced, "unit_amount": 100 + n})["id"] for n in range(12)]
        for n in range(218):
            waiting = {"customer": customer, "currency": "usd", "amount": n, "description": f"extra {n}"}
            send(dashboard, "invoiceitems", waiting)
        items = [{"price": price} for price in prices]
        made = send(dashboard, "subscriptions", {"customer": customer, "items": items})
        (charge,) = dashboard.store.walk("charge")
        for n in range(11):
            send(dashboard, "refunds", {"charge": charge["id"], "amount": 1 + n})
    return sandbox, customer, made, charge


def test_the_port_reads_lines_items_and_refunds_to_their_end(long_lists):
    seatctl, customer, made, charge = long_lists
    whole = stripe(seatctl)
    for read, name, count in (
        (endpoints.invoice(made["latest_invoice"]), "lines", 230),
        (endpoints.subscription(made["id"]), "items", 12),
        (Read(f"/v1/charges/{charge['id']}", {"expand": ["refunds"]}), "refunds", 11),
    ):
        cut = whole._send(read)[name]
        assert (len(cut["data"]), cut["has_more"]) == (10, True)
        found = whole.read(read)[name]
        assert (len(found["data"]), found["has_more"]) == (count, False)
        assert len({one["id"] for one in found["data"]}) == count == found["total_count"]
    (invoice,) = whole.every(endpoints.invoices_of_customer(customer))
    assert sum(line["amount"] for line in invoice["lines"]["data"]) == invoice["total"]
    (listed,) = whole.read(Read("/v1/subscriptions", {"customer": customer}))["data"]
    assert len(listed["items"]["data"]) == 12
    expand = {"expand": ["latest_invoice"]}
    (inside,) = whole.read(Read("/v1/subscriptions", {"expand": ["data.latest_invoice"]}))["data"]
    for one in (whole.read(Read(f"/v1/subscriptions/{made['id']}", expand)), inside):
        assert len(one["latest_invoice"]["lines"]["data"]) == 230


class Stubborn:
    """Gives out an invoice with a cut list, and `rest` for what is on the list's other pages."""

    def __init__(self, url: str, rest, data=({"id": "il_1"},)) -> None:
        self.url, self.rest, self.data = url, rest, [*data] if isinstance(data, tuple) else data

    def invoice(self):
        lines = {"object": "list", "data": self.data, "has_more": True, "url": self.url}
        invoice = {"id": "in_1", "object": "invoice", "lines": lines}
        complete(invoice, self.read)
        return invoice

    def read(self, _call):
        if isinstance(self.rest, Exception):
            raise self.rest
        return self.rest


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("/v1/invoices/in_1/lines", MissingInStripe("no such invoice")),
        ("/v1/invoices/in_1/lines", {"object": "list", "data": [{"id": "il_1"}], "has_more": True}),
        ("/v1/invoices/in_1/lines", {"object": "list"}),
        ("https://elsewhere.example/v1/lines", {"object": "list", "data": [], "has_more": False}),
        (None, {"object": "list", "data": [], "has_more": False}),
    ],
)
def test_a_list_that_cannot_be_read_to_its_end_is_no_answer(url, rest):
    with pytest.raises(UnreadableList) as caught:
        Stubborn(url, rest).invoice()
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("data", [None, "il_1", ["il_1"]])
def test_a_list_without_its_beginning_is_no_answer(data):
    with pytest.raises(UnreadableList):
        Stubborn("/v1/invoices/in_1/lines", {"data": []}, data).invoice()


def test_a_list_that_came_empty_is_read_from_its_beginning():
    rest = {"object": "list", "data": [{"id": "il_1"}], "has_more": False}
    found = Stubborn("/v1/invoices/in_1/lines", rest, []).invoice()
    assert (found["lines"]["data"], found["lines"]["has_more"]) == ([{"id": "il_1"}], False)
