"""contract.json is that of the installed SDK, and every answer fits the SDK's resources."""

import json
import subprocess
import sys

import pytest

from seatctl.sandbox.api import control, generate, routes
from seatctl.sandbox.api.twin import TimedOut, Twin
from tests.sandbox.replay import Replay, read_recording
from tests.support.warm import python

CONTRACT = json.loads(generate.CONTRACT.read_text("utf-8"))
RENAMED = {"line_item": "invoice_line_item", "invoiceitem": "invoice_item"}
# If a recording differs from the SDK's types, the recording wins (docs/sandbox.md).
RECORDED = {
    ("product", "attributes"), ("product", "tax_code"), ("invoice_item", "proration_details"),
    ("subscription", "plan"), ("subscription", "quantity"),
}  # fmt: skip


def test_the_contract_is_the_installed_sdks():
    assert generate.contract() == generate.CONTRACT.read_text("utf-8")


def test_every_endpoint_has_a_function_and_parameters():
    for route in routes.ROUTES:
        assert callable(route.handler()), route
        assert route.params in CONTRACT["params"]


def differences(value, spec, path):
    """Return where a value does not fit its type in the SDK."""
    if value is None:
        nullable = spec.startswith("?") if isinstance(spec, str) else "?" in spec
        return [] if nullable else [(*path, "null")]
    if isinstance(spec, str):
        return _scalar(value, spec.lstrip("?"), path)
    if "r" in spec:
        return [] if isinstance(value, str) else differences(value, spec["r"], path)
    if "a" in spec:
        return [problem for entry in value for problem in differences(entry, spec["a"], path)]
    if "l" in spec:
        return [problem for entry in value["data"] for problem in differences(entry, spec["l"], path)]
    if "f" in spec:
        return fields(value, spec["f"], path) + missing_of(value, spec["f"], path)
    return []


def _scalar(value, spec, path):
    if spec.startswith("@"):
        return whole(value) if isinstance(value, dict) and "object" in value else []
    if spec.startswith("e:"):
        return [] if str(value) in spec[2:].split("|") else [(*path, f"not one of {spec[2:]}: {value}")]
    types = {"s": str, "i": int, "n": (int, float, str), "b": bool}.get(spec, object)
    fits = isinstance(value, types) and (spec == "b" or not isinstance(value, bool))
    return [] if fits else [(*path, f"not {spec}: {value!r}")]


def fields(value, specs, path):
    problems = []
    for name, below in value.items():
        field_path = (*path, name)
        if field_path[:2] in RECORDED:
            continue
        problems += (
            differences(below, specs[name], field_path)
            if name in specs
            else [(*field_path, "unknown to the SDK")]
        )
    return problems


def whole(body):
    """Return where the objects in an answer do not fit their resources."""
    kind = body.get("object", "").replace(".", "_")
    if kind == "list":
        return [problem for entry in body["data"] for problem in whole(entry)]
    if body.get("deleted"):
        return []
    name = RENAMED.get(kind, kind)
    return fields(body, CONTRACT["resources"][name], (name,))


def missing_of(value, specs, path):
    """Return the fields that are always present according to the SDK, but are absent."""
    always = {
        n for n, spec in specs.items() if not (spec.startswith("?") if isinstance(spec, str) else "?" in spec)
    }
    return [(*path, name, "missing") for name in sorted(always - set(value))]


def missing(body):
    """Return the fields that are absent in the object of an answer; `whole` checks the embedded objects."""
    kind = body.get("object", "").replace(".", "_")
    if kind == "list" or body.get("deleted"):
        return []
    kind = RENAMED.get(kind, kind)
    return missing_of(body, CONTRACT["resources"][kind], (kind,))


def test_every_answer_of_a_replay_fits_the_sdks_types(recording, tmp_path):
    from tests.sandbox.replay import in_process

    twin, problems = Twin(tmp_path / "sandbox.db"), set()
    send = in_process(twin)

    def checked(method, url, headers, form):
        status, body = send(method, url, headers, form)
        if status == 200:
            problems.update(whole(body))
            problems.update(missing(body))
        return status, body

    Replay(checked).run(read_recording(recording))
    twin.close()
    assert sorted(map(str, problems)) == []


class InProcess:
    """The real SDK with the twin as its HTTP client, as in the billing port."""

    def __new__(cls, twin):
        import stripe

        class Client(stripe.HTTPClient):
            name = "sandbox"

            def request(self, method, url, headers, post_data=None):
                path = "/" + url.split("/", 3)[3]
                answer = twin.handle(method, path, headers or {}, post_data)
                return answer.body, answer.status, answer.headers

            def close(self):
                pass

        return stripe.StripeClient("sk_test_sdk", http_client=Client(), max_network_retries=0)


def test_the_sdk_itself_is_the_client(tmp_path):
    import stripe

    twin = Twin(tmp_path / "sandbox.db")
    client = InProcess(twin)
    customer = client.v1.customers.create(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    product = client.v1.products.create({"name": "Pro"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1200, "recurring": {"interval": "month"}}
    )
    subscription = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id, "quantity": 25}],
            "expand": ["latest_invoice"],
        }
    )
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("active", 30000)
    assert [obj.id for obj in client.v1.invoices.list({"customer": customer.id}).auto_paging_iter()] == [
        subscription.latest_invoice.id
    ]
    with pytest.raises(stripe.CardError, match="declined"):
        client.v1.customers.create({"payment_method": "pm_card_chargeDeclined"})
    client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"name": "b"}, {"idempotency_key": "k"})
    control.fail(twin, "429", retry_after=1)
    with pytest.raises(stripe.RateLimitError) as limited:
        client.v1.customers.list()
    assert limited.value.headers["Retry-After"] == "1"
    control.fail(twin, "lost")
    with pytest.raises(TimedOut):
        client.v1.customers.create({})
    twin.close()


WRITER = """
import sys
from pathlib import Path
from seatctl.sandbox.api.twin import Twin
twin = Twin(Path(sys.argv[1]))
for n in range(40):
    headers = {"Authorization": "Bearer sk_test_x"}
    answer = twin.handle("POST", "/v1/customers", headers, f"name={sys.argv[2]}-{n}")
    assert answer.status == 200, answer
"""


def test_two_processes_on_one_file_take_turns_and_lose_nothing(tmp_path):
    path = tmp_path / "sandbox.db"
    started = [python(WRITER, str(path), name, stdout=None, stderr=None) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    twin = Twin(path)
    counts = control.status(twin).counts
    twin.close()
    assert (counts["customer"], counts["event"]) == (120, 120)


def test_importing_the_twin_loads_nothing_heavy():
    code = "import sys, seatctl.sandbox.api.twin; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"stripe", "http.server", "hashlib", "fractions", "decimal", "random", "ssl"} & set(loaded)


LISTS = (
    *("customers", "products", "prices", "coupons", "promotion_codes", "subscriptions", "invoices", "events"),
    *("invoiceitems", "invoice_payments", "payment_intents", "charges", "refunds", "credit_notes"),
    "disputes",
    *("checkout/sessions", "billing_portal/configurations"),
)
OF_A_CUSTOMER = ("payment_methods", "balance_transactions", "tax_ids")


def test_every_kind_of_object_fits_the_sdks_types(stripe):
    customer = stripe.customer(balance=-100)
    stripe.post(f"customers/{customer}/tax_ids", {"type": "eu_vat", "value": "DE123456789"})
    bought = stripe.subscribe(customer, stripe.price(), 3)
    stripe.post("credit_notes", {"invoice": bought["latest_invoice"], "amount": 500, "refund_amount": 500})
    features = {"invoice_history": {"enabled": True}}
    configuration = stripe.post("billing_portal/configurations", {"features": features})["id"]
    portal = stripe.post("billing_portal/sessions", {"customer": customer, "configuration": configuration})
    page = {"mode": "setup", "currency": "usd", "customer": customer, "success_url": "https://example.com/"}
    session = stripe.post("checkout/sessions", page)["id"]
    control.complete_checkout(stripe.twin, session)
    setup = stripe.get(f"setup_intents/{stripe.get(f'checkout/sessions/{session}')['setup_intent']}")
    coupon = stripe.post("coupons", {"percent_off": 10})["id"]
    stripe.post("promotion_codes", {"promotion": {"type": "coupon", "coupon": coupon}})
    stripe.subscribe(customer, stripe.price(), discounts=[{"coupon": coupon}])
    stripe.item(customer, 700)
    for card in ("pm_card_chargeCustomerFail", "pm_card_threeDSecure2Required", "pm_card_createDispute"):
        payment = {"amount": 900, "currency": "usd", "payment_method": card, "confirm": True}
        stripe.send("POST", "/v1/payment_intents", {**payment, "off_session": True})
        stripe.replace_card(customer, card)
        how = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
        stripe.change(bought, quantity=9, **how)
    preview = stripe.post("invoices/create_preview", {"subscription": bought["id"]})
    stripe.advance(days=40)
    bodies = [stripe.get("account"), portal, setup, preview]
    for path in (*LISTS, *(f"customers/{customer}/{obj}" for obj in OF_A_CUSTOMER)):
        listed = stripe.get(path, {"limit": 100})["data"]
        assert listed, path
        bodies += listed
    bodies += [event["data"]["object"] for event in stripe.get("events", {"limit": 100})["data"]]
    assert sorted({str(obj) for body in bodies for obj in (*whole(body), *missing(body))}) == []
