"""A seeded account answers, and renews its subscriptions, like one that the twin has made."""

import json

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.sandbox.conftest import Sandbox
from tests.sandbox.seed import seed


def test_a_seeded_account_answers_and_renews_like_any_other(tmp_path):
    stripe = Sandbox(tmp_path / "sandbox.db")
    stripe.at(1790000000)
    product, price, customers = seed(stripe.twin, customers=40, events=True)
    counts = control.status(stripe.twin).counts
    assert (counts["customer"], counts["subscription"], counts["invoice"]) == (40, 40, 80)
    assert counts["event"] % 40 == 2  # those of the product and the price, and each customer's own
    invoices = stripe.everything("invoices", {"limit": 30, "expand": ["data.payments"]})
    assert len({obj["id"] for obj in invoices}) == len({obj["number"] for obj in invoices}) == 80
    for obj in invoices:
        payment = obj["payments"]["data"][0]["payment"]["payment_intent"]
        assert stripe.get(f"payment_intents/{payment}")["customer"] == obj["customer"]
    customer = customers[17]
    (subscription,) = stripe.get("subscriptions", {"customer": customer})["data"]
    assert subscription["items"]["data"][0]["price"]["id"] == price
    assert len(stripe.get("invoices", {"subscription": subscription["id"]})["data"]) == 2
    assert stripe.get(f"customers/{customer}")["email"] == "17@seed.example"
    stripe.advance(days=31)
    # 5 x 10.00 a month, on the card of each customer's own.
    assert [obj["amount_paid"] for obj in stripe.get("invoices", {"customer": customer})["data"]] == [
        5000
    ] * 3
    card = stripe.default_card(customer)
    assert stripe.get("charges", {"customer": customer})["data"][0]["payment_method"] == card
    assert product == stripe.get("products")["data"][0]["id"]
    stripe.twin.close()


def test_the_file_opens_again(tmp_path):
    twin = Twin(tmp_path / "sandbox.db")
    seed(twin, customers=3, months=0)
    twin.close()
    again = Twin(tmp_path / "sandbox.db")
    answer = again.handle("GET", "/v1/customers", {"Authorization": "Bearer sk_test_x"}, None)
    assert len(json.loads(answer.body)["data"]) == 3
    again.close()
