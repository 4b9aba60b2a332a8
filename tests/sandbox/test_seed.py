"""A seeded account is one that the twin could have made: what it answers and what falls due."""

import json

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.sandbox.conftest import Sandbox
from tests.sandbox.seed import seed


def test_a_seeded_account_answers_and_renews_like_one_that_was_lived(tmp_path):
    stripe = Sandbox(tmp_path / "sandbox.db")
    stripe.at(1790000000)
    product, price, customers = seed(stripe.twin, customers=40, events=True)
    counts = control.status(stripe.twin).counts
    assert (counts["customer"], counts["subscription"], counts["invoice"]) == (40, 40, 80)
    assert counts["event"] % 40 == 2  # those of the product and the price, and each customer's own
    found, after = [], {}
    while True:
        listed = stripe.get("invoices", {"limit": 30, "expand": ["data.payments"], **after})
        found += listed["data"]
        if not listed["has_more"]:
            break
        after = {"starting_after": found[-1]["id"]}
    assert len({each["id"] for each in found}) == len({each["number"] for each in found}) == 80
    for each in found:
        payment = each["payments"]["data"][0]["payment"]["payment_intent"]
        assert stripe.get(f"payment_intents/{payment}")["customer"] == each["customer"]
    customer = customers[17]
    (subscription,) = stripe.get("subscriptions", {"customer": customer})["data"]
    assert subscription["items"]["data"][0]["price"]["id"] == price
    assert len(stripe.get("invoices", {"subscription": subscription["id"]})["data"]) == 2
    assert stripe.get(f"customers/{customer}")["email"] == "17@seed.example"
    stripe.advance(days=31)
    # 5 x 10.00 a month, on the card of each customer's own.
    assert [each["amount_paid"] for each in stripe.get("invoices", {"customer": customer})["data"]] == [
        5000
    ] * 3
    card = stripe.get(f"customers/{customer}")["invoice_settings"]["default_payment_method"]
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
