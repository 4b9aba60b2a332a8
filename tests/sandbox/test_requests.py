"""Stripe accepts what seatctl sends: each endpoint exists, and each request has only its parameters."""

import importlib
import inspect
import pkgutil

import pytest

from seatctl import billing
from seatctl.models.stripe_objects import Kind, Span
from seatctl.sandbox.api import check, routes
from seatctl.sandbox.api.check import decode
from seatctl.sandbox.api.twin import Twin
from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import ENDIVE

BUY = "subs buy --plan pro --seats 5 --owner ann@example.com --billing-email pay@example.com --yes"
JOURNEY = (
    ("plans add pro --price 12.00 --currency usd --interval month --policy flexible", 0),
    ("plans edit pro --name Professional", None),
    (f"{BUY} --name none --payment-method pm_card_chargeDeclined", 5),
    (f"{BUY} --name design --payment-method pm_card_visa", 0),
    (f"{BUY} --name bank --payment-method pm_card_threeDSecure2Required", 10),
    ("sandbox authenticate", 0),
    ("sync", 0),
    ("subs rename design studio", None),
    ("subs add-seats studio 2 --yes", None),
    ("subs remove-seats studio 1 --yes", None),
    ("invoices list", 0),
    ("plans archive pro", None),
    ("subs cancel studio --yes", None),
    ("doctor", None),
)


def calls():
    """Yield each function of the billing port that makes a call, with a call of invented ids."""
    for info in pkgutil.iter_modules(billing.__path__, "seatctl.billing."):
        module = importlib.import_module(info.name)
        for name, function in vars(module).items():
            own = inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_"
            if own and inspect.signature(function).return_annotation in ("Read", "Write"):
                examples = {"form": {}, "created_since": 1, "kind": Kind.INVOICE, "span": Span(0, 1)}
                names = inspect.signature(function).parameters
                yield (
                    name,
                    function(**{argument: examples.get(argument, f"{argument}_x") for argument in names}),
                )


CALLS = dict(calls())


def test_the_billing_port_has_calls():
    assert len(CALLS) > 30


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_sandbox_has_every_endpoint_of_the_billing_port(name):
    call = CALLS[name]
    match = routes.find(getattr(call, "method", "get").upper(), call.path)
    assert match is not None, call
    sent = {name for name, value in call.form.items() if value}
    route, _ = match
    assert sent <= {name.removesuffix("!") for name in check.fields(route.params, ENDIVE)}


@pytest.fixture
def sent(monkeypatch):
    """The requests that have reached the sandbox."""
    requests = []
    handle = Twin.handle

    def recorded(self, method, url, headers, form):
        requests.append((method.upper(), url, {name.lower(): v for name, v in headers.items()}, form))
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", recorded)
    return requests


def test_every_request_of_a_journey_is_within_the_parameters_of_its_version(sandbox, sent, capsys):
    for command, code in JOURNEY:
        result = sandbox(*command.split())
        assert code in (None, result.code), (command, result)
    used = set()
    for method, url, headers, form in sent:
        path, _, query = url.partition("?")
        route, _ = routes.find(method, path)
        assert headers["stripe-version"] == ENDIVE
        try:
            check.check(route.params, {**decode(query), **decode(form)}, ENDIVE)
        except ApiError as error:
            pytest.fail(f"{method} {url} {form}: {error.message}")
        used.add(f"{route.method} {route.path}")
    with capsys.disabled():
        print(f"\n{len(sent)} requests to {len(used)} endpoints, all within the contract")
    assert len(used) >= 10
    assert {"POST /v1/customers", "POST /v1/subscriptions", "POST /v1/invoices/create_preview"} <= used
