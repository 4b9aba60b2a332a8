"""Random histories of a subscription and of a customer: the sums are right whatever happens."""

import random
from collections import Counter
from fractions import Fraction

import pytest

DAY = 86400


def billed(stripe):
    """Return every amount on an invoice or waiting for one, less the discounts."""
    amounts = [item["amount"] for item in stripe.everything("invoiceitems", {"pending": True})]
    for invoice in stripe.everything("invoices"):
        for line in stripe.everything(f"invoices/{invoice['id']}/lines"):
            amounts += [line["amount"], *(-part["amount"] for part in line["discount_amounts"])]
    return amounts


@pytest.mark.parametrize("seed", range(8))
def test_seats_are_billed_by_time_whenever_they_change_or_end(stripe, seed):
    chance = random.Random(seed)
    percent = 25 * (seed % 2)
    discounts = [{"coupon": stripe.coupon(percent_off=percent)}] if percent else []
    mode = {"type": "classic" if seed % 4 > 1 else "flexible"}  # they agree if every change is prorated
    terms = {"discounts": discounts, "billing_mode": mode}
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 2, **terms)
    item, path = subscription["items"]["data"][0], f"subscriptions/{subscription['id']}"
    now = start = item["current_period_start"]
    stop = end = item["current_period_end"]
    seats = [(start, 2)]
    for _ in range(8):
        now += chance.randint(60, max(61, (stop - now) // 4))
        if now >= stop:
            break
        stripe.at(now)
        how = {"proration_behavior": chance.choice(["always_invoice", "create_prorations"])}
        if chance.random() < 0.6:
            seats.append((now, chance.randint(1, 9)))
            stripe.post(path, {"items": [{"id": item["id"], "quantity": seats[-1][1]}], **how})
        elif chance.random() < 0.7:
            stop = chance.randint(now + 1, end)
            stripe.post(path, {"cancel_at": stop, **how})
        else:
            stop = end
            stripe.post(path, {"cancel_at": "", **how})
    stripe.at(stop - 1 if stop == end else stop + 1)
    spans = zip(seats, [*seats[1:], (stop, 0)], strict=True)
    worth = sum(Fraction(1000 * count * (until - since), end - start) for (since, count), (until, _) in spans)
    amounts = billed(stripe)
    # Each line is rounded once, by half a cent at most.
    assert abs(sum(amounts) - worth * (100 - percent) / 100) <= len(amounts)


def step(stripe, chance, customer, price):
    """Send one random request about a customer's bills; it may be refused."""
    invoices = stripe.get("invoices", {"customer": customer, "limit": 9})["data"]
    invoice = chance.choice(invoices)["id"] if invoices else "in_none"
    subscriptions = stripe.get("subscriptions", {"customer": customer})["data"]
    request = {"customer": customer, "items": [{"price": price, "quantity": chance.randint(1, 5)}]}
    own = {"customer": customer, "currency": "usd"}
    waiting = chance.choice(["include", "exclude"])
    requests = [
        ("POST", "subscriptions", request),
        ("POST", "invoices", {**own, "pending_invoice_items_behavior": waiting}),
        ("POST", "invoiceitems", {**own, "amount": chance.choice([20, 700, 2500, -600])}),
        ("POST", "invoiceitems", {**own, "amount": 900, "invoice": invoice}),
        ("POST", f"customers/{customer}/balance_transactions", {"amount": -777, "currency": "usd"}),
        ("DELETE", f"invoices/{invoice}", {}),
        ("POST", f"invoices/{invoice}/pay", {"paid_out_of_band": True}),
        ("POST", f"invoices/{invoice}/pay", {"payment_method": "pm_card_chargeCustomerFail"}),
        ("POST", "credit_notes", {"invoice": invoice, "amount": 300, "credit_amount": 300}),
        ("POST", "credit_notes", {"invoice": invoice, "amount": 300}),
        *(
            ("POST", f"invoices/{invoice}/{name}", {})
            for name in ("finalize", "pay", "void", "mark_uncollectible")
        ),
    ]
    for obj in subscriptions:
        item = {"id": obj["items"]["data"][0]["id"], "quantity": chance.randint(1, 9)}
        how = chance.choice(["always_invoice", "create_prorations", "none"])
        requests += [
            ("POST", f"subscriptions/{obj['id']}", {"items": [item], "proration_behavior": how}),
            ("DELETE", f"subscriptions/{obj['id']}", {"prorate": True, "invoice_now": how != "none"}),
        ]
    method, path, params = chance.choice(requests)
    stripe.send(method, f"/v1/{path}", params)


def check_books(stripe, customer):
    """Check the sums: of the balance's transactions, of each invoice; and that no item is billed twice."""
    transactions = stripe.everything(f"customers/{customer}/balance_transactions")
    holder = stripe.get(f"customers/{customer}")
    assert sum(transaction["amount"] for transaction in transactions) == holder["balance"]
    placed = Counter()
    invoices = stripe.everything("invoices", {"customer": customer})
    for invoice in invoices:
        lines = stripe.everything(f"invoices/{invoice['id']}/lines")
        assert invoice["subtotal"] == invoice["total"] == sum(line["amount"] for line in lines)
        for line in lines:
            parent = line["parent"]["invoice_item_details"] or line["parent"]["subscription_item_details"]
            placed.update([parent["invoice_item"]] if parent["invoice_item"] else [])
        if invoice["status"] != "draft":
            assert invoice["amount_remaining"] == invoice["amount_due"] - invoice["amount_paid"]
            noted = invoice["pre_payment_credit_notes_amount"]
            settled = invoice["amount_due"] + noted + invoice["ending_balance"]
            assert invoice["total"] + invoice["starting_balance"] == settled
    assert set(placed.values()) <= {1}
    final = [invoice for invoice in invoices if invoice["status"] != "draft"]
    assert holder["next_invoice_sequence"] == 1 + len(final)
    paid = [payment["amount_paid"] or 0 for payment in stripe.everything("invoice_payments")]
    charged = [charge["amount"] for charge in stripe.everything("charges") if charge["paid"]]
    assert sum(charged) == sum(paid)


@pytest.mark.parametrize("seed", range(4))
def test_a_customers_books_add_up_whatever_is_done(stripe, seed):
    chance = random.Random(seed)
    customer, price = stripe.customer(), stripe.price(1000)
    for _ in range(80):
        if chance.random() < 0.12:
            stripe.advance(days=chance.choice([1, 4, 16]))
        else:
            step(stripe, chance, customer, price)
    check_books(stripe, customer)
    assert len(stripe.everything("invoices", {"status": "paid"})) > 3
