"""What all endpoints have in common: keys, versions, parameters, idempotency, faults, lists, events."""

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import TimedOut, Twin


def test_without_a_key_the_answer_is_401(stripe):
    answer = stripe.twin.handle("GET", "/v1/customers", {}, None)
    assert answer.status == 401
    assert stripe.refused("GET", "customers", Authorization="Bearer sk_live_x")["status"] == 401


def test_only_its_owner_can_read_the_file(tmp_path):
    Twin(tmp_path / "new.db").close()
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_a_key_replays_a_declined_card_even_after_another_card_would_pay(stripe):
    customer = stripe.customer("pm_card_chargeCustomerFail")
    params = {
        "customer": customer,
        "items": [{"price": stripe.price()}],
        "payment_behavior": "error_if_incomplete",
    }
    assert stripe.refused("POST", "subscriptions", params, Idempotency_Key="buy")["code"] == "card_declined"
    stripe.replace_card(customer)
    status, _, headers = stripe.send("POST", "/v1/subscriptions", params, Idempotency_Key="buy")
    assert (status, headers["Idempotent-Replayed"]) == (402, "true")
    assert stripe.post("subscriptions", params, Idempotency_Key="buy-again")["status"] == "active"


def test_a_malformed_request_does_not_use_up_its_key(stripe):
    stripe.refused("POST", "customers", {"wat": 1}, Idempotency_Key="k")
    assert stripe.post("customers", {"name": "A"}, Idempotency_Key="k")["name"] == "A"


def test_a_key_is_forgotten_after_a_day(stripe):
    first = stripe.post("customers", {"name": "A"}, Idempotency_Key="k")
    stripe.advance(days=1, seconds=1)
    assert stripe.post("customers", {"name": "A"}, Idempotency_Key="k")["id"] != first["id"]


def test_an_armed_rate_limit_says_when_to_try_again(stripe):
    control.fail(stripe.twin, "429", 2, method="POST", path="/v1/customers", retry_after=3)
    assert stripe.get("customers")["data"] == []
    for _ in range(2):
        status, body, headers = stripe.send("POST", "/v1/customers", {})
        assert (status, headers["Retry-After"], body["error"]["code"]) == (429, "3", "rate_limit")
    assert stripe.post("customers")["object"] == "customer"


def test_an_armed_500_is_kept_for_its_key(stripe):
    control.fail(stripe.twin, "500")
    for replayed in (None, "true"):
        status, body, headers = stripe.send("POST", "/v1/customers", {}, Idempotency_Key="k")
        assert (status, body["error"]["type"], headers.get("Idempotent-Replayed")) == (
            500,
            "api_error",
            replayed,
        )


@pytest.mark.parametrize(("kind", "count"), [("timeout", 0), ("lost", 1)])
def test_a_time_out_comes_before_the_work_or_after_it(stripe, kind, count):
    control.fail(stripe.twin, kind)
    with pytest.raises(TimedOut) as caught:
        stripe.send("POST", "/v1/customers", {}, Idempotency_Key="k")
    assert caught.value.worked is bool(count)
    assert len(stripe.get("customers")["data"]) == count
    stripe.post("customers", {}, Idempotency_Key="k")
    assert len(stripe.get("customers")["data"]) == 1


def test_created_filters_by_second(stripe):
    old = stripe.post("customers")["created"]
    stripe.advance(seconds=10)
    new = stripe.post("customers")["created"]
    assert [obj["created"] for obj in stripe.get("customers", {"created": {"gt": old}})["data"]] == [new]
    assert [obj["created"] for obj in stripe.get("customers", {"created": {"lte": old}})["data"]] == [old]


def test_an_event_holds_the_old_values_of_exactly_what_changed(stripe):
    customer = stripe.post("customers", {"name": "A", "metadata": {"a": "1", "b": "2"}})["id"]
    stripe.post(f"customers/{customer}", {"name": "B", "metadata": {"a": "3"}}, Idempotency_Key="k")
    event = stripe.get("events", {"type": "customer.updated"})["data"][0]
    assert event["data"]["previous_attributes"] == {"name": "A", "metadata": {"a": "1"}}
    assert event["request"]["idempotency_key"] == "k"
    stripe.delete(f"customers/{customer}")
    event = stripe.get("events", {"types": ["customer.deleted"]})["data"][0]
    assert (event["data"]["object"]["name"], event["request"]["idempotency_key"]) == ("B", None)


def test_an_update_that_changes_nothing_leaves_no_event(stripe):
    customer = stripe.post("customers", {"name": "A"})["id"]
    stripe.post(f"customers/{customer}", {"name": "A"})
    assert stripe.events().count("customer.updated") == 0


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"wat": "x"}, "parameter_unknown", "wat"),
        ({"items": [{"price": "p", "wat": 1}]}, "parameter_unknown", "items[0][wat]"),
        ({"items": [{"price": "p", "quantity": "many"}]}, "parameter_invalid_integer", "items[0][quantity]"),
        ({"items": "x"}, None, "items"),
        ({"cancel_at_period_end": "perhaps"}, None, "cancel_at_period_end"),
        ({"proration_behavior": "some"}, None, "proration_behavior"),
    ],
)
def test_wrong_parameters_are_named(stripe, params, code, param):
    error = stripe.refused("POST", "subscriptions", {"customer": "cus_x", **params})
    assert (error["status"], error.get("code"), error["param"]) == (400, code, param)
    assert ("doc_url" in error) is (code is not None)


def test_the_anchor_of_an_update_is_an_object_from_endive_on(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())["id"]
    path, word = f"subscriptions/{subscription}", {"billing_cycle_anchor": "unchanged"}
    thing = {"billing_cycle_anchor": {"type": "unchanged"}}
    endive = {"Stripe_Version": "2026-10-28.endive"}
    assert stripe.post(path, word)["id"] == stripe.post(path, thing, **endive)["id"] == subscription
    assert stripe.refused("POST", path, thing)["status"] == 400
    assert stripe.refused("POST", path, word, **endive)["status"] == 400


def test_expand_puts_objects_in_place_of_ids(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    paths = ["latest_invoice.payments.data.payment", "customer", "items.data.price.product"]
    shown = stripe.get(f"subscriptions/{subscription['id']}", {"expand": paths})
    payment = shown["latest_invoice"]["payments"]["data"][0]
    assert (payment["status"], payment["amount_paid"]) == ("paid", 1000)
    assert shown["customer"]["email"] == "pay@example.com"
    assert shown["items"]["data"][0]["price"]["product"]["name"] == "Pro"
    listed = stripe.get("invoices", {"expand": ["data.customer", "data.payments"]})["data"][0]
    assert (listed["customer"]["object"], len(listed["payments"]["data"])) == ("customer", 1)
    assert (
        stripe.refused("GET", f"customers/{subscription['customer']}", {"expand": ["wat"]})["status"] == 400
    )
    deep = {"expand": ["latest_invoice.payments.data.payment.payment_intent"]}
    assert "4 levels" in stripe.refused("GET", f"subscriptions/{subscription['id']}", deep)["message"]


def test_reset_deletes_everything(stripe):
    stripe.post("customers")
    control.fail(stripe.twin, "500")
    assert control.reset(stripe.twin).objects > 0
    assert control.status(stripe.twin).counts == {}
    assert stripe.get("customers")["data"] == []


def test_the_clock_does_not_move_backwards(stripe):
    with pytest.raises(ValueError, match="forward"):
        control.advance(stripe.twin, to=5)


def test_a_parameter_that_endive_renamed_is_known_by_the_name_of_its_version(stripe):
    old, new = {"payment_method_types": ["card"]}, {"allowed_payment_method_types": ["card"]}
    base, endive = {"amount": 500, "currency": "usd"}, {"Stripe_Version": "2026-10-28.endive"}
    assert stripe.post("payment_intents", {**base, **old})["payment_method_types"] == ["card"]
    assert stripe.post("payment_intents", {**base, **new}, **endive)["status"] == "requires_payment_method"
    assert stripe.refused("POST", "payment_intents", {**base, **old}, **endive)["code"] == "parameter_unknown"


def test_lists_filter_by_nested_fields_several_values_ranges_and_in_any_case(stripe):
    def listed(path, **params):
        return [obj["id"] for obj in stripe.get(path, params)["data"]]

    customer, month = stripe.customer(), stripe.price()
    year = stripe.price(interval="year", lookup_key="yearly")
    assert (
        listed("prices", recurring={"interval": "year"}) == listed("prices", lookup_keys=["yearly"]) == [year]
    )
    code = stripe.post(
        "promotion_codes",
        {"promotion": {"type": "coupon", "coupon": stripe.coupon(percent_off=5)}, "code": "Abc"},
    )
    assert listed("promotion_codes", code="aBC", coupon=code["promotion"]["coupon"]) == [code["id"]]
    assert listed("promotion_codes", coupon="other") == []
    sent = {"collection_method": "send_invoice", "days_until_due": 5}
    bought = stripe.subscribe(customer, month, **sent)
    stripe.subscribe(customer, year)
    due = stripe.invoice(bought["id"])
    assert listed("invoices", due_date={"lte": due["due_date"]}) == [due["id"]]
    assert listed("invoices", due_date={"lt": due["due_date"]}) == []
    assert listed("invoices", subscription=bought["id"], status="draft") == [due["id"]]
    assert stripe.refused("GET", "invoices", {"subscription": "sub_no"})["param"] == "subscription"
    intent = stripe.get("payment_intents")["data"][0]["id"]
    paying = {"type": "payment_intent", "payment_intent": intent}
    assert (
        len(listed("invoice_payments", payment=paying)) == len(listed("charges", payment_intent=intent)) == 1
    )
