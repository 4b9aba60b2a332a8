"""Random requests to every endpoint, made from the parameters' types: each answer fits the SDK's types.

A request may be refused, but never by an error of the sandbox.
"""

import random

import pytest

from seatctl.sandbox.api import check
from seatctl.sandbox.api.routes import _PLACE, ROUTES
from seatctl.sandbox.objects import ENDIVE
from tests.sandbox import test_contract as contract

_DAY = 86400
_NOW = 1790000000
_NUMBERS = (0, 1, 2, 5, 100, 1500, -3, _NOW + 5 * _DAY, _NOW + 40 * _DAY)
_WORDS = ("abc", "now", "pm_card_visa", "tok_visa")
_UNTYPED = {"customers": "customer", "payment_methods": "payment_method", "invoiceitems": "invoiceitem"}
_NOT_SENT = ("expand", "limit", "starting_after", "ending_before")


class Requests:
    """Makes requests; their ids are those of the objects that a sandbox has."""

    def __init__(self, store, seed):
        self.store, self.chance = store, random.Random(seed)

    def any_id(self, kind):
        """Return the id of an object of a kind, or one that does not exist."""
        found = [obj["id"] for obj in self.store.walk(kind)]
        return self.chance.choice(found) if found and self.chance.random() < 0.95 else f"{kind}_no"

    def request(self):
        """Return method, path and parameters of a request."""
        route = self.chance.choice(ROUTES)
        required = check.REQUIRED.get(route.params, ())
        params = {}
        for field, spec in check.fields(route.params, ENDIVE).items():
            name = field.rstrip("!")
            is_required = field != name or name in required
            if name not in _NOT_SENT and (is_required or self.chance.random() < 0.15):
                params[name] = self.value(spec, name, 0)
        untyped = _UNTYPED.get(route.path.split("/")[2], "invoice")
        path = _PLACE.sub(lambda match: self.any_id(match[1] or untyped), route.path)
        return route.method, path, params

    def value(self, spec, name, depth):
        """Return a value of the type `spec` (sandbox/api/generate.py has the notation)."""
        if isinstance(spec, str):
            return self.scalar(spec, name)
        if "u" in spec:
            return self.value(self.chance.choice(spec["u"]), name, depth)
        if "a" in spec:
            return [self.value(spec["a"], name, depth + 1) for _ in range(self.chance.choice((1, 1, 2)))]
        if "f" in spec:
            often = 0.25 if depth < 2 else 0.12
            return {
                field.rstrip("!"): self.value(below, field.rstrip("!"), depth + 1)
                for field, below in spec["f"].items()
                if field.endswith("!") or self.chance.random() < often
            }
        return {"k": "v"} if "m" in spec else "x"

    def scalar(self, spec, name):
        kind = spec.lstrip("?")
        if spec != kind and self.chance.random() < 0.15:
            return ""
        if kind.startswith("e:"):
            return self.chance.choice(kind[2:].split("|"))
        if kind in ("b", "i", "n"):
            return self.chance.choice({"b": (True, False), "i": _NUMBERS, "n": ("1", "2.5", "1500")}[kind])
        of_kind = {"default_payment_method": "payment_method", "invoice_item": "invoiceitem"}.get(name, name)
        if name == "id":
            return self.any_id(self.chance.choice(("subscription_item", "invoiceitem")))
        if next(self.store.walk(of_kind), None) is not None:
            return self.any_id(of_kind)
        if name == "currency":
            return self.chance.choice(("usd", "usd", "cad", "eur"))
        return "ann@example.com" if "email" in name else self.chance.choice(_WORDS)


def problems_of(body):
    """Return where an answer does not fit. What a method other than a card shows is not known in full."""
    problems = [*contract.whole(body), *contract.missing(body)]
    return [str(p) for p in problems if p[0] != "payment_method" or len(p) < 3 or p[1] == "card"]


@pytest.mark.parametrize("seed", range(3))
def test_every_answer_fits_whatever_was_sent(stripe, whole, seed):
    customer = stripe.customer()
    stripe.subscribe(customer, stripe.price(), discounts=[{"coupon": stripe.coupon(percent_off=10)}])
    stripe.post(f"invoices/{stripe.draft(customer)}/pay")
    stripe.draft(customer)
    requests = Requests(stripe.twin.store, seed)
    answered, found = 0, set()
    for _ in range(8000 if whole else 300):
        method, path, params = requests.request()
        if method == "DELETE" and requests.chance.random() < 0.8:
            continue  # or little would be left
        status, body, _ = stripe.send(method, path, params)
        assert status < 500, (method, path, params, body)
        if status == 200:
            answered += 1
            found |= {f"{method} {path}: {problem}" for problem in problems_of(body)}
    assert sorted(found) == []
    assert answered > 100
