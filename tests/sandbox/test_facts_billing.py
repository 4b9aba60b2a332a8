"""Facts about proration, balances, invoices and subscriptions, checked over HTTP."""

import pytest

HOUR = 3600


@pytest.fixture
def customer(wire):
    return wire.customer()


def moves(wire, customer):
    transactions = wire.get(f"customers/{customer}/balance_transactions")["data"]
    return [(obj["type"], obj["amount"], obj["ending_balance"], obj["invoice"]) for obj in transactions]


def test_a_line_that_is_not_a_proration_shows_quantity_name_and_price(wire, customer):
    for currency in ("usd", "cad"):
        subscription = wire.subscribe(wire.customer(), wire.price(1999, currency), 3)
        (line,) = wire.invoice(subscription["id"])["lines"]["data"]
        assert line["description"] == "3 × Pro (at $19.99 / month)"


def test_a_charge_above_the_smallest_is_collected_in_the_call(wire, customer):
    subscription = wire.subscribe(customer, wire.price(1000))
    changed = wire.change(subscription, quantity=4, proration_behavior="always_invoice")
    invoice = wire.get(f"invoices/{changed['latest_invoice']}")
    # At once, so the whole period: -10.00 and +40.00.
    assert (invoice["total"], invoice["amount_paid"], invoice["attempt_count"]) == (3000, 3000, 1)
    assert (invoice["attempted"], invoice["auto_advance"], invoice["status"]) == (True, False, "paid")


def test_each_change_of_the_balance_is_a_transaction_that_names_its_invoice(wire, customer):
    subscription = wire.subscribe(customer, wire.price(2000))
    end = subscription["items"]["data"][0]["current_period_end"]
    at = end - 864000  # a third of 30 days
    down = wire.change(
        subscription, price=wire.price(1000), proration_behavior="always_invoice", proration_date=at
    )
    credit = down["latest_invoice"]
    assert moves(wire, customer) == [("applied_to_invoice", -334, -334, credit)]
    again = wire.subscribe(customer, wire.price(1000))
    invoice = wire.invoice(again["id"])
    # 10.00 less 3.34 of credit; the total stays.
    assert (invoice["total"], invoice["starting_balance"], invoice["amount_due"]) == (1000, -334, 666)
    assert (invoice["ending_balance"], invoice["amount_paid"]) == (0, 666)
    assert moves(wire, customer)[0] == ("applied_to_invoice", 334, 0, invoice["id"])


def test_a_sum_below_the_smallest_charge_is_due_with_the_next_invoice(wire, customer):
    small = wire.post(f"invoices/{wire.draft(customer, 30)}/pay")
    assert (small["status"], small["amount_due"], small["ending_balance"]) == ("paid", 0, 30)
    assert (small["attempted"], small["attempt_count"]) == (True, 0)
    paid = wire.post(f"invoices/{wire.draft(customer, 1000)}/pay")
    assert (paid["total"], paid["starting_balance"], paid["amount_paid"]) == (1000, 30, 1030)
    assert (paid["amount_due"], paid["attempt_count"]) == (1030, 1)
    assert wire.get(f"customers/{customer}")["balance"] == 0
    assert [move[:3] for move in moves(wire, customer)] == [
        ("applied_to_invoice", -30, 0),
        ("applied_to_invoice", 30, 30),
    ]


def test_the_credit_of_a_cancel_reaches_the_balance_when_its_draft_is_finalized(wire, customer):
    subscription = wire.subscribe(customer, wire.price(1000))
    ended = wire.delete(f"subscriptions/{subscription['id']}", {"prorate": True, "invoice_now": True})
    draft = wire.get(f"invoices/{ended['latest_invoice']}")
    assert (draft["status"], draft["number"], draft["billing_reason"]) == (
        "draft",
        None,
        "subscription_cycle",
    )
    assert draft["next_payment_attempt"] == draft["created"] + HOUR
    assert wire.get(f"customers/{customer}")["balance"] == 0
    final = wire.post(f"invoices/{draft['id']}/finalize")
    assert (final["status"], final["amount_due"], final["ending_balance"]) == ("paid", 0, -1000)
    assert wire.get(f"customers/{customer}")["balance"] == -1000
    assert moves(wire, customer) == [("applied_to_invoice", -1000, -1000, draft["id"])]


def test_a_new_anchor_leaves_the_time_from_the_old_end_to_the_new_one(wire, customer):
    subscription = wire.subscribe(customer, wire.price(3000))
    old = subscription["items"]["data"][0]["current_period_end"]
    wire.at(subscription["created"] + 10 * 86400)
    moved = wire.post(f"subscriptions/{subscription['id']}", {"billing_cycle_anchor": "now"})
    (item,) = wire.get("invoiceitems", {"customer": customer, "pending": True})["data"]
    new = moved["items"]["data"][0]["current_period_end"]
    assert (item["period"]["start"], item["period"]["end"], item["proration"]) == (old, new, True)
    # 2026-10-01 .. 11-01 has 31 days; ten of them lie after the old end of 10-21, and 24 hours more.
    assert item["amount"] == round(3000 * (new - old) / (new - moved["billing_cycle_anchor"]))
    assert item["description"].startswith("Remaining time on Pro after ")
    assert moved["latest_invoice"] == subscription["latest_invoice"]


def test_auto_advance_finalizes_an_hour_on_and_false_clears_it(wire, customer):
    invoice = wire.post("invoices", {"customer": customer, "auto_advance": True})
    assert invoice["automatically_finalizes_at"] - invoice["created"] in (HOUR, HOUR + 1)
    assert invoice["next_payment_attempt"] == invoice["created"] + HOUR
    off = wire.post(f"invoices/{invoice['id']}", {"auto_advance": False})
    assert (off["automatically_finalizes_at"], off["next_payment_attempt"]) == (None, None)


def test_a_draft_lacks_what_finalizing_sets(wire, customer):
    draft = wire.get(f"invoices/{wire.draft(customer)}")
    given = ("number", "effective_at", "ending_balance", "hosted_invoice_url", "invoice_pdf")
    assert [draft[name] for name in given] == [None] * 5
    prefix = wire.get(f"customers/{customer}")["invoice_prefix"]
    final = wire.post(f"invoices/{draft['id']}/finalize")
    assert (final["status"], final["number"]) == ("open", f"{prefix}-0001")
    assert (final["amount_due"], final["amount_remaining"]) == (2500, 2500)
    assert None not in [final[name] for name in given]
    assert wire.get(f"customers/{customer}")["next_invoice_sequence"] == 2
    absent = {"subscription", "charge", "payment_intent", "paid", "tax", "discount", "payments"}
    assert not absent & set(final)


def test_paying_moves_what_is_paid_and_what_remains_but_not_what_is_due(wire, customer):
    for out_of_band, attempts in ((False, 1), (True, 0)):
        params = {"paid_out_of_band": True} if out_of_band else {}
        paid = wire.post(f"invoices/{wire.draft(customer)}/pay", params)
        assert (paid["status"], paid["amount_due"], paid["attempt_count"]) == ("paid", 2500, attempts)
        assert (paid["amount_paid"], paid["amount_remaining"]) == (2500, 0)


def test_void_and_uncollectible_keep_their_amounts_and_sending_finalizes(wire, customer):
    sent = {"collection_method": "send_invoice", "days_until_due": 30}
    for step, status, stamp in (
        ("void", "void", "voided_at"),
        ("mark_uncollectible", "uncollectible", "marked_uncollectible_at"),
    ):
        invoice = wire.draft(customer, **sent)
        assert wire.post(f"invoices/{invoice}/send")["status"] == "open"
        after = wire.post(f"invoices/{invoice}/{step}")
        assert (after["status"], after["amount_due"], after["amount_remaining"]) == (status, 2500, 2500)
        assert after["status_transitions"][stamp] == after["status_transitions"]["finalized_at"]


def test_nothing_due_is_paid_by_finalizing(wire, customer):
    invoice = wire.post("invoices", {"customer": customer})["id"]
    final = wire.post(f"invoices/{invoice}/finalize")
    assert (final["status"], final["amount_due"], final["attempt_count"]) == ("paid", 0, 0)


@pytest.mark.parametrize(
    ("before", "method", "step"),
    [
        ("pay", "POST", "/pay"),
        ("", "POST", "/void"),
        ("", "POST", "/mark_uncollectible"),
        ("finalize", "POST", "/finalize"),
        ("finalize", "DELETE", ""),
        ("pay", "POST", "/finalize"),
        ("pay", "DELETE", ""),
        ("pay", "POST", "/void"),
        ("pay", "POST", "/mark_uncollectible"),
        ("void", "POST", "/pay"),
    ],
)
def test_a_step_in_the_wrong_state_has_neither_code_nor_param(wire, customer, before, method, step):
    invoice = wire.draft(customer)
    for obj in (["finalize"] if before == "void" else []) + ([before] if before else []):
        wire.post(f"invoices/{invoice}/{obj}")
    error = wire.refused(method, f"invoices/{invoice}{step}")
    assert (error["status"], error["type"]) == (400, "invalid_request_error")
    assert not {"code", "param", "doc_url"} & set(error)


def test_deleting_a_draft_deletes_its_items(wire, customer):
    wire.item(customer, 700)
    include = {"customer": customer, "pending_invoice_items_behavior": "include"}
    invoice = wire.post("invoices", include)["id"]
    gone = {"id": invoice, "object": "invoice", "deleted": True}
    assert wire.delete(f"invoices/{invoice}") == gone
    assert wire.get("invoiceitems", {"customer": customer})["data"] == []
    assert wire.refused("GET", f"invoices/{invoice}")["status"] == 404


def test_out_of_band_amounts_are_shown_if_expanded(wire, customer):
    path = f"invoices/{wire.draft(customer)}"
    assert "amount_paid_off_stripe" not in wire.post(f"{path}/pay", {"paid_out_of_band": True})
    assert wire.get(path, {"expand": ["amount_paid_off_stripe"]})["amount_paid_off_stripe"] == 2500
