"""Facts about errors, keys, lists, customers and cards, checked over HTTP."""

import pytest

from tests.sandbox.assertions import missing, refusal


def paying(wire):
    """Create a customer with a card. Return both ids."""
    customer, card = wire.post("customers", {"email": "pay@example.com"})["id"], wire.card()
    wire.post(f"payment_methods/{card}/attach", {"customer": customer})
    return customer, card


def test_every_error_has_a_log_except_one_of_a_malformed_version(wire):
    logged = [
        wire.refused("GET", "customers", {"limit": "abc"}),
        wire.refused("GET", "customers", {"wat": "x"}),
        wire.refused("POST", "products"),
        wire.refused("GET", "customers/cus_no"),
        wire.refused("POST", "payment_methods", {"type": "card", "card": {"token": "tok_no"}}),
    ]
    assert all(error["request_log_url"] for error in logged)
    assert set(wire.refused("GET", "customers", Stripe_Version="bad")) == {"status", "type", "message"}


def test_an_error_has_a_doc_url_if_and_only_if_it_has_a_code(wire):
    customer = wire.post("customers")["id"]
    errors = [
        wire.refused("GET", f"customers/{customer}", {"wat": "1"}),
        wire.refused("POST", "coupons", {"percent_off": 5, "amount_off": 5}),
        wire.refused("POST", "prices", {"currency": "usd", "unit_amount": 5}),
        wire.refused("GET", "charges/ch_no"),
    ]
    for error in errors:
        assert ("doc_url" in error) == ("code" in error)
        if "code" in error:
            end = error["code"].replace("_", "-")
            assert error["doc_url"] == f"https://stripe.com/docs/error-codes/{end}"


@pytest.mark.parametrize(
    ("method", "path", "noun", "param"),
    [
        ("GET", "customers/cus_no", "customer", "id"),
        ("POST", "customers/cus_no", "customer", "id"),
        ("GET", "customers/cus_no/payment_methods", "customer", "id"),
        ("GET", "products/prod_no", "product", "id"),
        ("GET", "prices/price_no", "price", "price"),
        ("GET", "coupons/NO", "coupon", "coupon"),
        ("GET", "promotion_codes/promo_no", "promotion code", "promotion_code"),
        ("GET", "tax_rates/txr_no", "tax rate", "tax_rate"),
        ("GET", "payment_methods/pm_no", "PaymentMethod", "payment_method"),
        ("GET", "payment_intents/pi_no", "payment_intent", "intent"),
        ("GET", "charges/ch_no", "charge", "id"),
        ("GET", "subscriptions/sub_no", "subscription", "id"),
        ("POST", "subscriptions/sub_no", "subscription", "id"),
        ("DELETE", "subscriptions/sub_no", "subscription", "id"),
        ("GET", "invoices/in_no", "invoice", "invoice"),
        ("POST", "invoices/in_no", "invoice", "id"),
        ("POST", "invoices/in_no/pay", "invoice", "id"),
        ("POST", "invoices/in_no/void", "invoice", "id"),
        ("POST", "invoices/in_no/finalize", "invoice", "id"),
        ("POST", "invoices/in_no/send", "invoice", "invoice"),
        ("DELETE", "invoices/in_no", "invoice", "invoice"),
    ],
)
def test_a_missing_id_in_the_path_is_404_and_named_as_stripe_names_it(wire, method, path, noun, param):
    error = wire.refused(method, path)
    assert missing(error, noun, path.split("/")[1], param)
    assert error["request_log_url"]


def test_a_method_that_the_url_does_not_have_is_an_unrecognized_url(wire):
    price = f"prices/{wire.price()}"
    for method, path in (
        ("DELETE", price),
        ("PUT", "customers"),
        ("PATCH", "customers/cus_no"),
        ("GET", "widgets"),
    ):
        error = wire.refused(method, path)
        message = (
            f"Unrecognized request URL ({method}: /v1/{path}). Please see https://stripe.com/docs "
            "or we can help at https://support.stripe.com/."
        )
        assert refusal(error, 404, message)
        assert set(error) == {"status", "type", "message"}


def test_a_key_gives_the_first_answer_again_and_refuses_other_parameters(wire):
    first = wire.send("POST", "/v1/customers", {"email": "a@e.example"}, Idempotency_Key="once")
    again = wire.send("POST", "/v1/customers", {"email": "a@e.example"}, Idempotency_Key="once")
    assert (again[0], again[1]) == (200, first[1])
    assert (first[2]["Idempotent-Replayed"], again[2]["Idempotent-Replayed"]) == (None, "true")
    assert len(wire.get("customers")["data"]) == 1
    error = wire.refused("POST", "customers", {"email": "b@e.example"}, Idempotency_Key="once")
    assert (error["status"], error["type"]) == (400, "idempotency_error")
    assert not {"code", "param"} & set(error)
    assert error["message"] == (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        "Try using a key other than 'once' if you meant to execute a different request."
    )


def test_limits_out_of_bounds_become_the_bounds(wire):
    for _ in range(3):
        wire.post("customers")
    assert [len(wire.get("customers", {"limit": n})["data"]) for n in (0, 1, 101)] == [1, 1, 3]
    assert not {"total_count"} & set(wire.get("customers", {"limit": 101}))


def test_both_cursors_page_through_a_list_newest_first(wire):
    a, b, c, d, e = (wire.post("customers")["id"] for _ in range(5))

    def page(**params):
        answer = wire.get("customers", params)
        return [obj["id"] for obj in answer["data"]], answer["has_more"]

    assert page(limit=2) == ([e, d], True)
    assert page(limit=2, starting_after=d) == ([c, b], True)
    assert page(limit=1, starting_after=b) == ([a], False)  # exactly filled by the last one
    assert page(limit=2, ending_before=a) == ([c, b], True)
    assert page(limit=2, ending_before=c) == ([e, d], False)
    wire.delete(f"customers/{c}")
    assert page(limit=5) == ([e, d, b, a], False)
    assert page(limit=1, starting_after=c) == ([b], True)
    assert page(limit=1, ending_before=c) == ([d], True)


def test_an_unknown_cursor_is_400_and_named(wire):
    for cursor in ("starting_after", "ending_before"):
        error = wire.refused("GET", "customers", {cursor: "cus_aaa"})
        assert (error["status"], error["code"], error["param"]) == (400, "resource_missing", cursor)
    customer, _ = paying(wire)
    error = wire.refused("GET", f"customers/{customer}/payment_methods", {"starting_after": "pm_no"})
    assert error["message"] == "No such PaymentMethod: 'pm_no'"


def test_emails_need_not_be_unique_and_an_update_changes_only_what_is_sent(wire):
    first, second = (wire.post("customers", {"email": "same@e.example", "name": "N"}) for _ in range(2))
    assert first["id"] != second["id"]
    assert len(wire.get("customers", {"email": "same@e.example"})["data"]) == 2
    updated = wire.post(f"customers/{first['id']}", {"description": "D"})
    assert updated == {**first, "description": "D"}


def test_a_deleted_customer_shows_only_that_it_is_deleted(wire):
    customer = wire.post("customers")["id"]
    gone = {"id": customer, "object": "customer", "deleted": True}
    assert wire.delete(f"customers/{customer}") == gone
    assert wire.get(f"customers/{customer}") == gone
    for method in ("POST", "DELETE"):
        error = wire.refused(method, f"customers/{customer}")
        assert (error["status"], error["param"]) == (404, "id")


def test_each_method_is_a_new_one_with_the_fingerprint_of_its_card(wire):
    first, second = (wire.get(f"payment_methods/{wire.card()}") for _ in range(2))
    other = wire.get(f"payment_methods/{wire.card('tok_visa_chargeDeclined')}")
    assert first["id"] != second["id"]
    assert first["card"]["fingerprint"] == second["card"]["fingerprint"] != other["card"]["fingerprint"]


def test_events_of_a_customer_and_its_card(wire):
    customer, card = paying(wire)
    wire.post(f"customers/{customer}", {"invoice_settings": {"default_payment_method": card}})
    wire.post(f"customers/{customer}", {"name": "New", "metadata": {"a": "1"}})
    wire.post(f"payment_methods/{card}", {"allow_redisplay": "always", "billing_details": {"name": "N"}})
    other = wire.card()
    wire.post(f"payment_methods/{other}/attach", {"customer": customer})
    wire.post(f"payment_methods/{other}/detach")
    wire.delete(f"customers/{customer}")
    events = list(reversed(wire.get("events")["data"]))
    assert [(event["type"], event["data"].get("previous_attributes")) for event in events] == [
        ("customer.created", None),
        ("payment_method.attached", None),
        ("customer.updated", {"invoice_settings": {"default_payment_method": None}}),
        ("customer.updated", {"name": None, "metadata": {"a": None}}),
        ("payment_method.updated", {"allow_redisplay": "unspecified", "billing_details": {"name": None}}),
        ("payment_method.attached", None),
        ("payment_method.detached", {"customer": customer}),
        ("customer.deleted", None),
    ]
    detached, deleted = events[-2]["data"]["object"], events[-1]["data"]["object"]
    assert (detached["customer"], deleted["name"], "deleted" in deleted) == (None, "New", False)
    assert [event["request"]["idempotency_key"] is None for event in events] == [False] * 7 + [True]
    assert set(events[0]) == {
        "id", "object", "api_version", "created", "data", "livemode", "pending_webhooks", "request", "type",
    }  # fmt: skip


def test_events_are_found_by_type_and_by_several(wire):
    customer, _ = paying(wire)
    wire.post(f"customers/{customer}", {"name": "N"})
    assert len(wire.get("events", {"type": "customer.*"})["data"]) == 2
    several = wire.get("events", {"types": ["customer.updated", "payment_method.attached"]})
    assert [event["type"] for event in several["data"]] == ["customer.updated", "payment_method.attached"]
    assert wire.get(f"events/{several['data'][0]['id']}") == several["data"][0]


@pytest.mark.parametrize(
    ("path", "param", "noun"),
    [
        ("prices", "product", "product"),
        ("refunds", "charge", "charge"),
        ("refunds", "payment_intent", "payment_intent"),
    ],
)
def test_a_list_by_an_unknown_object_is_refused(wire, path, param, noun):
    error = wire.refused("GET", path, {param: "xx_no"})
    assert refusal(error, 400, f"No such {noun}: 'xx_no'", code="resource_missing", param=param)
