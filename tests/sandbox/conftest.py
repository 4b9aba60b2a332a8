"""Fixtures of the sandbox's tests: calls in one line, answers as dicts, a clock that moves."""

import json

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.sandbox.replay import encode, recordings, request, serving

DAY = 86400


class Sandbox:
    """A twin, and what many tests begin with: customers, cards, prices, subscriptions."""

    def __init__(self, path):
        self.twin = Twin(path)

    def send(self, method, path, params=None, **headers):
        """Send a request. Return status, body and headers."""
        url, form = encode(method, path, params)
        sent = {"Authorization": "Bearer sk_test_story"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.exchange(method, url, sent, form)

    def exchange(self, *call):
        answer = self.twin.handle(*call)
        return answer.status, json.loads(answer.body), answer.headers

    def card(self, token="tok_visa"):
        return self.post("payment_methods", {"type": "card", "card": {"token": token}})["id"]

    def post(self, path, params=None, **headers):
        return self._require_success(*self.send("POST", f"/v1/{path}", params, **headers))

    def get(self, path, params=None):
        return self._require_success(*self.send("GET", f"/v1/{path}", params))

    def delete(self, path, params=None):
        return self._require_success(*self.send("DELETE", f"/v1/{path}", params))

    def _require_success(self, status, body, _):
        assert status == 200, body
        return body

    def refused(self, method, path, params=None, **headers):
        """Send a request that must be refused. Return the error, with its status."""
        status, body, _ = self.send(method, f"/v1/{path}", params, **headers)
        assert status >= 400, body
        return {"status": status, **body["error"]}

    def at(self, epoch):
        """Set the clock and stop it."""
        self.send("GET", "/v1/account", Sandbox_Time=str(epoch))

    def advance(self, days=0, seconds=0):
        return control.advance(self.twin, seconds=days * DAY + seconds)

    def price(self, amount=1000, currency="usd", interval="month", **more):
        product = self.post("products", {"name": "Pro"})["id"]
        params = {"product": product, "currency": currency, "unit_amount": amount, **more}
        return self.post("prices", {**params, "recurring": {"interval": interval}})["id"]

    def customer(self, card="pm_card_visa", **more):
        paying = (
            {"payment_method": card, "invoice_settings": {"default_payment_method": card}} if card else {}
        )
        return self.post("customers", {"email": "pay@example.com", **paying, **more})["id"]

    def replace_card(self, customer, card="pm_card_visa"):
        method = self.post(f"payment_methods/{card}/attach", {"customer": customer})["id"]
        self.post(f"customers/{customer}", {"invoice_settings": {"default_payment_method": method}})

    def subscribe(self, customer, price, quantity=1, **more):
        params = {"customer": customer, "items": [{"price": price, "quantity": quantity}], **more}
        return self.post("subscriptions", params)

    def change_of(self, subscription, *, quantity=None, price=None, **more):
        """Return the request that changes the only item of a subscription."""
        (item,) = subscription["items"]["data"]
        fields = {"quantity": quantity, "price": price}
        changed = {name: value for name, value in fields.items() if value is not None}
        return {"items": [{"id": item["id"], **changed}], **more}

    def change(self, subscription, **change):
        """Change the only item of a subscription; the changes are given as to `change_of`."""
        return self.post(f"subscriptions/{subscription['id']}", self.change_of(subscription, **change))

    def preview(self, subscription, change, **more):
        params = {"subscription": subscription["id"], "subscription_details": change, **more}
        return self.post("invoices/create_preview", params)

    def coupon(self, **terms):
        return self.post("coupons", {"duration": "forever", **terms})["id"]

    def item(self, customer, amount, currency="usd", **more):
        """Create an invoice item."""
        params = {"customer": customer, "amount": amount, "currency": currency, **more}
        return self.post("invoiceitems", params)

    def draft(self, customer, amount=2500, currency="usd", **more):
        """Create a draft with one item. Return its id."""
        invoice = self.post("invoices", {"customer": customer, "currency": currency, **more})["id"]
        self.item(customer, amount, currency, invoice=invoice)
        return invoice

    def default_card(self, customer):
        return self.get(f"customers/{customer}")["invoice_settings"]["default_payment_method"]

    def invoice(self, subscription):
        latest = self.get(f"subscriptions/{subscription}")["latest_invoice"]
        return self.get(f"invoices/{latest}")

    def everything(self, path, params=None):
        """Return the entries of all pages of a list."""
        entries, has_more, after = [], True, {}
        while has_more:
            page = self.get(path, {"limit": 100, **(params or {}), **after})
            entries, has_more = entries + page["data"], page["has_more"]
            after = {"starting_after": entries[-1]["id"]} if entries else {}
        return entries

    def events(self):
        return [event["type"] for event in reversed(self.get("events", {"limit": 100})["data"])]


@pytest.fixture(params=recordings(), ids=lambda path: path.stem if path else "missing")
def recording(request):
    """The path of each shared recording in turn; `read_recording` reads it, or skips the test."""
    return request.param


@pytest.fixture
def stripe(tmp_path):
    sandbox = Sandbox(tmp_path / "sandbox.db")
    sandbox.at(1790000000)  # 2026-09-21 14:13:20 UTC; a month is 30 days
    yield sandbox
    sandbox.twin.close()


@pytest.fixture
def customer(stripe):
    """A customer whose card is the default."""
    identifier = stripe.post("customers", {"email": "pay@example.com"})["id"]
    stripe.replace_card(identifier, stripe.card())
    return identifier


@pytest.fixture
def product(stripe):
    return stripe.post("products", {"name": "Pro"})["id"]


@pytest.fixture
def draft(stripe):
    """A draft of 25.00 USD for a customer with a card."""
    return stripe.draft(stripe.customer())


class Served(Sandbox):
    """The same over HTTP, as for a client of `sandbox serve`."""

    def __init__(self, server):
        self.server = server

    def exchange(self, *call):
        return request(self.server, *call)


@pytest.fixture
def wire(tmp_path):
    with serving(tmp_path / "served.db", empty=True) as server:
        served = Served(server)
        served.at(1790000000)
        yield served
