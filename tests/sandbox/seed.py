"""Fills a large Stripe account in seconds: one customer is created through the twin and its rows are copied.

`seed(twin, customers=5000, months=1)` makes that many customers, each with a card, one subscription and
`months + 1` paid invoices with their payments and charges. 5,000 customers with 10,000 invoices take about
four seconds. Every copy has its own ids, invoice prefix, e-mail address and invoice URLs; its times are the
original's. With `events=True` the events are copied too.
"""

import json
import re

from seatctl.sandbox.api import control
from seatctl.sandbox.session import Session
from tests.sandbox.replay import encode

DAY = 86400
KINDS = ("customer", "payment_method", "subscription_item", "invoice", "payment_intent", "charge",
         "invoice_payment", "subscription")  # fmt: skip
PREFIXES = "cus|pm|si|in|il|pi|ch|inpay|sub|evt"
NAMES = ("seed-0", "Seed 0", "0@seed")  # texts with the number of the copy


def send(twin, path, params):
    """Send a POST that must succeed. Return its body."""
    headers = {"Authorization": "Bearer sk_test_seed"}
    url, form = encode("POST", f"/v1/{path}", params)
    answer = twin.handle("POST", url, headers, form)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def seed(twin, *, customers, months=1, quantity=5, amount=1000, currency="usd", events=False):
    """Fill a twin. Return the ids of the product, of the price, and of the customers, oldest first."""
    product = send(twin, "products", {"name": "Pro"})["id"]
    recurring = {"interval": "month"}
    price_data = {"product": product, "currency": currency, "unit_amount": amount, "recurring": recurring}
    price = send(twin, "prices", price_data)["id"]
    last_seq = twin.store.last_seq()
    card = "pm_card_visa"
    paying = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
    first = send(twin, "customers", {"email": "0@seed.example", "name": "Seed 0", **paying})
    items = [{"price": price, "quantity": quantity}]
    metadata = {"name": "seed-0"}
    send(twin, "subscriptions", {"customer": first["id"], "items": items, "metadata": metadata})
    for _ in range(months):
        # Two hours after the longest month: until an hour after a renewal its invoice is a draft.
        control.advance(twin, seconds=31 * DAY + 2 * 3600)
    template = [
        json.dumps(obj)
        for kind in (*KINDS, *(["event"] if events else []))
        for obj in twin.store.walk(kind, after=last_seq, oldest_first=True)
    ]
    return product, price, [first["id"], *_copies(twin, template, first, customers)]


def _copies(twin, template, first, customers):
    prefix = first["invoice_prefix"]
    names = re.compile(
        rf"\b(?:{PREFIXES})_[A-Za-z0-9]{{14,}}\b|\b{prefix}\b|test_[A-Za-z0-9]{{32}}|{'|'.join(NAMES)}"
    )
    parts = [(names.split(text), names.findall(text)) for text in template]
    originals = sorted({name for _, matches in parts for name in matches})
    ids = []
    with twin.store.transaction():
        session = Session(twin.store, twin.now())
        for number in range(1, customers):
            new = {name: _renamed(name, prefix, number) for name in originals}
            ids.append(new[first["id"]])
            for texts, matches in parts:
                joined = [texts[0]]
                for name, text in zip(matches, texts[1:], strict=True):
                    joined += (new[name], text)
                session.save(json.loads("".join(joined)))
    return ids


def _renamed(name, prefix, number):
    """Return a name of the original with the number of the copy at its end; the length stays."""
    if name == prefix:
        return f"{number:08X}"
    if name in NAMES:
        return name.replace("0", str(number))
    return f"{name[:-6]}{number:06d}"
