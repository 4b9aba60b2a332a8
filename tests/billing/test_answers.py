"""Which answer each call must get, and that anything else is as good as none."""

from __future__ import annotations

import json

import pytest

from seatctl.billing import endpoints, listings
from seatctl.billing.answers import ExpectedAnswer, expected, problem
from seatctl.billing.objects import UnreadableObject, read_invoice, read_page, read_subscription
from seatctl.billing.port import MissingInStripe, Read, UnreadableAnswer
from seatctl.billing.stripe import connect_sandbox
from seatctl.models.stripe_objects import Kind
from seatctl.sandbox.api.twin import Answer, Twin
from tests.support.both_sides import objects, sandbox_path
from tests.support.damage import KINDS, STILL_VALID, damaged
from tests.support.front import Front


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (endpoints.account(), ExpectedAnswer("account")),
        (endpoints.create_customer({}), ExpectedAnswer("customer")),
        (endpoints.update_customer("cus_1", {}), ExpectedAnswer("customer", "cus_1")),
        (endpoints.customers(created_since=0), ExpectedAnswer("customer", is_list=True)),
        (endpoints.attach_payment_method("pm_1", "cus_1"), ExpectedAnswer("payment_method", "pm_1")),
        (endpoints.attach_payment_method("pm_card_visa", "cus_1"), ExpectedAnswer("payment_method")),
        (endpoints.coupon("50% off/a"), ExpectedAnswer("coupon", "50% off/a")),
        (endpoints.pay_invoice("in_1", {}), ExpectedAnswer("invoice", "in_1")),
        (endpoints.preview_invoice({}), ExpectedAnswer("invoice")),
        (endpoints.preview_credit_note({}), ExpectedAnswer("credit_note")),
        (endpoints.create_invoice_item({}), ExpectedAnswer("invoiceitem")),
        (endpoints.create_tax_id("cus_1", {}), ExpectedAnswer("tax_id")),
        (endpoints.tax_ids("cus_1"), ExpectedAnswer("tax_id", is_list=True)),
        (endpoints.delete_tax_id("cus_1", "txi_1"), ExpectedAnswer("tax_id", "txi_1")),
        (endpoints.cancel_subscription("sub_1"), ExpectedAnswer("subscription", "sub_1")),
        (Read("/v1/invoices/in_1/lines", {}), ExpectedAnswer("line_item", is_list=True)),
        (Read("/v1/subscription_items", {}), ExpectedAnswer("subscription_item", is_list=True)),
        (Read("/v1/customers/cus_1/subscriptions", {}), ExpectedAnswer("subscription", is_list=True)),
        (listings.newest_events(), ExpectedAnswer("event", is_list=True)),
        (listings.one(Kind.CUSTOMER, "cus_1"), ExpectedAnswer("customer", "cus_1")),
        (endpoints.create_checkout({}), ExpectedAnswer("checkout.session")),
        (endpoints.expire_checkout("cs_1"), ExpectedAnswer("checkout.session", "cs_1")),
        (endpoints.portal_configurations(), ExpectedAnswer("billing_portal.configuration", is_list=True)),
        (endpoints.create_portal({}), ExpectedAnswer("billing_portal.session")),
        (endpoints.setup_intent("seti_1"), ExpectedAnswer("setup_intent", "seti_1")),
    ],
)
def test_what_a_call_is_answered_with_follows_from_its_path(call, wanted):
    assert expected(call.method, call.path) == wanted


CUSTOMER = {"id": "cus_1", "object": "customer"}
PAGE = {"object": "list", "data": [CUSTOMER], "has_more": False}


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("get", "/v1/customers/cus_1", CUSTOMER),
        ("get", "/v1/customers", PAGE),
        ("get", "/v1/customers", {**PAGE, "data": []}),
        ("delete", "/v1/customers/cus_1", {**CUSTOMER, "deleted": True}),
        ("delete", "/v1/subscriptions/sub_1", {"id": "sub_1", "object": "subscription"}),
        ("post", "/v1/invoices/create_preview", {"object": "invoice"}),
    ],
)
def test_the_answer_to_a_call(method, path, answer):
    assert problem(method, path, answer) is None


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        *(("get", "/v1/customers/cus_1", wrong) for wrong in (None, [], {}, "ok", 7, True, PAGE)),
        ("get", "/v1/customers/cus_1", {**CUSTOMER, "id": "cus_2"}),
        ("get", "/v1/customers/cus_1", {**CUSTOMER, "id": ["cus_1"]}),
        ("get", "/v1/customers/cus_1", {**CUSTOMER, "object": "account"}),
        ("post", "/v1/customers", {**CUSTOMER, "id": None}),
        ("post", "/v1/customers", {**CUSTOMER, "id": ""}),
        ("delete", "/v1/customers/cus_1", CUSTOMER),
        ("get", "/v1/customers", CUSTOMER),
        ("get", "/v1/customers", {**PAGE, "data": None}),
        ("get", "/v1/customers", {**PAGE, "data": [None]}),
        ("get", "/v1/customers", {**PAGE, "data": [{**CUSTOMER, "object": "price"}]}),
        ("get", "/v1/customers", {**PAGE, "data": [{"object": "customer"}]}),
        ("get", "/v1/customers", {**PAGE, "has_more": None}),
    ],
)
def test_what_is_not_the_answer_to_a_call(method, path, answer):
    assert problem(method, path, answer) is not None


# The port ---------------------------------------------------------------------------------------------


@pytest.fixture
def billing(sandbox, team):
    return connect_sandbox(sandbox_path(sandbox), read_only=False, sleep=lambda _: None)


def answer_with(monkeypatch, change) -> list[str]:
    """Every answer is what `change(method, url, answer)` makes of it; the bodies that arrive."""
    handle, bodies = Twin.handle, []

    def changed(self, method, url, headers, form):
        answer = change(method, url, handle(self, method, url, headers, form))
        bodies.append(answer.body)
        return answer

    monkeypatch.setattr(Twin, "handle", changed)
    return bodies


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STILL_VALID])
def test_a_damaged_answer_raises_and_names_the_call(sandbox, billing, monkeypatch, kind):
    (subscription,) = (one["id"] for one in objects(sandbox, "subscription"))
    product = billing.write(endpoints.create_product({"name": "Extra"}), "key-0")["id"]

    def damage(method, url, answer):
        status, body = damaged(kind, method, url, answer.status, answer.body)
        return Answer(status, answer.headers, body)

    bodies = answer_with(monkeypatch, damage)
    calls = {
        f"GET /v1/subscriptions/{subscription}": lambda: billing.read(endpoints.subscription(subscription)),
        f"POST /v1/subscriptions/{subscription}": lambda: billing.write(
            endpoints.update_subscription(subscription, {"metadata": {"a": "b"}}), "key-1"
        ),
        f"DELETE /v1/products/{product}": lambda: billing.write(endpoints.delete_product(product), "key-2"),
    }
    for name, call in calls.items():
        if kind in {"null fields", "odd fields"} and name.startswith("DELETE"):
            continue  # what is deleted has no other fields
        if name.startswith("DELETE") and kind in {"wrong type", "wrong id"}:
            with pytest.raises(MissingInStripe):
                call()  # asked for again it is gone, and Stripe says so
            continue
        with pytest.raises(UnreadableAnswer) as refused:
            call()
        assert refused.value.exit_code == 75
        assert name in refused.value.message
        assert all(body not in refused.value.message for body in bodies if len(body) > 8)


ERRORS = ("null", "[]", "7", '"text"', '{"message":"no type"}', '{"type":7}')


@pytest.mark.parametrize("inner", ERRORS)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500])
def test_an_error_that_is_not_stripes_proves_nothing(billing, monkeypatch, status, inner):
    answer_with(monkeypatch, lambda _, __, answer: Answer(status, answer.headers, f'{{"error":{inner}}}'))
    with pytest.raises(UnreadableAnswer) as refused:
        billing.read(endpoints.account())
    assert refused.value.data["stripe_status"] == status


@pytest.mark.parametrize("body", ["[" * 100_000, "9" * 5_000, "\ufeff{}", '{"object":'])
def test_a_body_that_json_trips_over_proves_nothing(billing, monkeypatch, body):
    answer_with(monkeypatch, lambda _, __, answer: Answer(200, answer.headers, body))
    with pytest.raises(UnreadableAnswer):
        billing.read(endpoints.account())


def test_a_list_that_gives_the_same_page_again_comes_to_an_end(billing, monkeypatch):
    page = json.dumps({**PAGE, "has_more": True})
    answer_with(monkeypatch, lambda _, __, answer: Answer(200, answer.headers, page))
    with pytest.raises(UnreadableObject):
        list(billing.every(endpoints.customers(created_since=0)))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_followed_elsewhere(seatctl, tmp_path, status):
    """A redirect would repeat the form, and a POST as a GET, at an address that is not Stripe's."""
    front = Front(tmp_path / "stripe.db")
    handle = front.twin.handle
    elsewhere = {"Location": f"{front.url}/elsewhere"}
    front.twin.handle = lambda *args: Answer(status, elsewhere, handle(*args).body)
    env = {"SEATCTL_STRIPE_API_BASE": front.url, "SEATCTL_STRIPE_KEY": "sk_test_abcdefgh12345678"}
    try:
        refused = seatctl("init", "--mode", "test", "--no-input", "-o", "json", env=env)
        assert (refused.code, refused.error["code"]) == (75, "stripe_answer_unreadable")
        assert refused.error["call"] == "GET /v1/account"
        assert {path for _, _, path in front.requests} == {"/v1/account"}
    finally:
        front.close()


# What is relied on in an object -----------------------------------------------------------------------


@pytest.fixture
def whole_objects(sandbox, team) -> dict[str, dict]:
    """A subscription and its invoice as the sandbox gives them out."""
    billing = connect_sandbox(sandbox_path(sandbox), read_only=True, sleep=lambda _: None)
    (subscription,) = (one["id"] for one in objects(sandbox, "subscription"))
    found = billing.read(endpoints.subscription(subscription))
    return {"subscription": found, "invoice": billing.read(endpoints.invoice(found["latest_invoice"]))}


RELIED_ON = {
    "subscription": (
        *("id", "customer", "status", "items", "metadata", "collection_method", "created", "discounts"),
        *("billing_cycle_anchor", "automatic_tax", "cancel_at_period_end"),
    ),
    "invoice": (
        *("id", "status", "currency", "total", "subtotal", "amount_due", "amount_paid", "created"),
        *("amount_remaining", "lines", "metadata", "status_transitions"),
    ),
}


@pytest.mark.parametrize(("kind", "field"), [(kind, name) for kind in RELIED_ON for name in RELIED_ON[kind]])
@pytest.mark.parametrize("other", [None, 10**30, True])
def test_an_object_without_what_is_relied_on_is_not_read(whole_objects, kind, field, other):
    read = {"subscription": read_subscription, "invoice": read_invoice}[kind]
    read(whole_objects[kind])
    if (field, other) == ("cancel_at_period_end", True):
        return
    with pytest.raises(UnreadableObject):
        read({**whole_objects[kind], field: other})


@pytest.mark.parametrize(("kind", "field"), [("subscription", "items"), ("invoice", "lines")])
@pytest.mark.parametrize("data", [None, {}, [None], "ok"])
def test_a_list_inside_an_object_is_there_or_the_object_is_not_read(whole_objects, kind, field, data):
    with pytest.raises(UnreadableObject):
        {"subscription": read_subscription, "invoice": read_invoice}[kind](
            {**whole_objects[kind], field: {"object": "list", "data": data}}
        )


def test_a_page_of_checkout_names_what_it_has_led_to():
    page = {"id": "cs_1", "object": "checkout.session", "status": "complete", "mode": "subscription"}
    assert read_page({**page, "subscription": "sub_1"}).created_id == "sub_1"
    assert read_page({**page, "subscription": {"id": "sub_1"}}).created_id == "sub_1"
    assert read_page({**page, "mode": "setup", "setup_intent": "seti_1"}).created_id == "seti_1"
    assert read_page({**page, "status": "open"}).created_id is None
    for wrong in ({"subscription": None}, {"status": None}, {"mode": None}, {"mode": "payment"}):
        with pytest.raises(UnreadableObject):
            read_page({**page, "subscription": "sub_1", **wrong})
