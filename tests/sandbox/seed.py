"""A large Stripe account in seconds: one customer's life is told through the twin, then its rows are copied.

`seed(twin, customers=5000, months=1)` leaves that many customers, each with a card, one subscription and
`months + 1` paid invoices, their payments and charges: 5,000 customers with 10,000 invoices take about four
seconds. Every copy has ids, an invoice prefix, an e-mail address and invoice addresses of its own, all its
times are the original's. With `events=True` the history is copied too.
"""

import json
import re
from urllib.parse import urlencode

from seatctl.sandbox.api import control
from seatctl.sandbox.billing.subscription_states import save_subscription
from seatctl.sandbox.session import Session
from tests.sandbox.replay import flat

DAY = 86400
KINDS = ("customer", "payment_method", "subscription_item", "invoice", "payment_intent", "charge",
         "invoice_payment", "subscription")  # fmt: skip
PREFIXES = "cus|pm|si|in|il|pi|ch|inpay|sub|evt"
SAID = ("seed-0", "Seed 0", "0@seed")  # in words, with the copy's number
PARENTS = {"subscription_item": "subscription", "charge": "payment_intent", "invoice_payment": "invoice"}


def send(twin, path, params):
    """One POST that must succeed."""
    headers = {"Authorization": "Bearer sk_test_seed"}
    answer = twin.handle("POST", f"/v1/{path}", headers, urlencode(list(flat(params))))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def seed(twin, *, customers, months=1, quantity=5, amount=1000, currency="usd", events=False):
    """Fill a twin; returns the ids of the product and the price, and the customers' ids, oldest first."""
    product = send(twin, "products", {"name": "Pro"})["id"]
    recurring = {"interval": "month"}
    priced = {"product": product, "currency": currency, "unit_amount": amount, "recurring": recurring}
    price = send(twin, "prices", priced)["id"]
    known = twin.store.last_seq()
    card = "pm_card_visa"
    paying = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
    first = send(twin, "customers", {"email": "0@seed.example", "name": "Seed 0", **paying})
    items = [{"price": price, "quantity": quantity}]
    metadata = {"name": "seed-0"}
    send(twin, "subscriptions", {"customer": first["id"], "items": items, "metadata": metadata})
    for _ in range(months):
        control.advance(twin, seconds=31 * DAY)
    template = [
        json.dumps(each)
        for kind in (*KINDS, *(["event"] if events else []))
        for each in twin.store.walk(kind, after=known, oldest_first=True)
    ]
    return product, price, [first["id"], *_copies(twin, template, first, customers)]


def _copies(twin, template, first, customers):
    prefix = first["invoice_prefix"]
    names = re.compile(
        rf"\b(?:{PREFIXES})_[A-Za-z0-9]{{14,}}\b|\b{prefix}\b|test_[A-Za-z0-9]{{32}}|{'|'.join(SAID)}"
    )
    parts = [(names.split(text), names.findall(text)) for text in template]
    known = sorted({name for _, found in parts for name in found})
    ids = []
    with twin.store.transaction():
        session = Session(twin.store, twin.now())
        for number in range(1, customers):
            new = {name: _renamed(name, prefix, number) for name in known}
            ids.append(new[first["id"]])
            for texts, found in parts:
                joined = [texts[0]]
                for name, text in zip(found, texts[1:], strict=True):
                    joined += (new[name], text)
                _write(session, json.loads("".join(joined)))
    return ids


def _renamed(name, prefix, number):
    """The name of the original with the copy's number at its end, the length kept."""
    if name == prefix:
        return f"{number:08X}"
    if name in SAID:
        return name.replace("0", str(number))
    return f"{name[:-6]}{number:06d}"


def _write(session, obj):
    kind = obj["object"]
    if kind == "subscription":
        save_subscription(session, obj)
        return
    parent = obj["parent"]["subscription_details"]["subscription"] if kind == "invoice" else None
    session.save(obj, parent=obj[PARENTS[kind]] if kind in PARENTS else parent)
