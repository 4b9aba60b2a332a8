"""The Stripe client: what is retried and what never is, what a dry run may send, and the key's secrecy."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatctl.billing import endpoints
from seatctl.billing.answers import Failure, as_error, pause_before_retry
from seatctl.billing.objects import UnreadableObject, read_customer, read_subscription
from seatctl.billing.port import (
    CardDeclined,
    InvalidRequest,
    KeyRejected,
    MissingInStripe,
    RateLimited,
    StripeFault,
    StripeUnreachable,
)
from seatctl.billing.stripe import API_VERSION, connect, connect_sandbox
from seatctl.errors import Code
from seatctl.sandbox.api import generate
from seatctl.sandbox.api.twin import Twin
from tests.sandbox.replay import serving
from tests.support import ledgers
from tests.support.both_sides import fail, faults_left, objects, sandbox_path
from tests.support.refusals import refuses
from tests.support.words import instead


def failure(status: int | None = None, **fields) -> Failure:
    empty = dict.fromkeys(("type", "code", "param", "decline_code", "request_id", "retry_after"))
    return Failure(**{**empty, "status": status, "message": "said Stripe.", **fields})


# What a failure means ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_an_answer_is_never_asked_for_again(status):
    assert pause_before_retry(failure(status), 1, 1.0) is None


def test_a_certificate_that_is_not_trusted_is_the_same_the_next_time():
    assert pause_before_retry(failure(None, untrusted=True), 1, 1.0) is None
    assert "stripe.ca_bundle" in as_error(failure(None, untrusted=True)).hint


def test_a_key_that_clashes_is_never_sent_again():
    assert pause_before_retry(failure(400, type="idempotency_error"), 1, 1.0) is None
    assert pause_before_retry(failure(409, type="idempotency_error"), 1, 1.0) is None


@pytest.mark.parametrize("status", [None, 409, 429, 500, 502, 503])
def test_what_passes_is_tried_again_later_and_later(status):
    pauses = [pause_before_retry(failure(status), attempt, 1.0) for attempt in range(1, 9)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == 20.0


@pytest.mark.parametrize(("asked", "pause"), [(3.0, 3.0), (0.0, 0.5), (500.0, 20.0), (None, 0.5)])
def test_retry_after_is_honoured_within_reason(asked, pause):
    assert pause_before_retry(failure(429, retry_after=asked), 1, 1.0) == pause


@given(st.integers(1, 30), st.floats(0.5, 1.0))
def test_a_pause_is_never_none_and_never_endless(attempt, jitter):
    assert 0.25 <= pause_before_retry(failure(503), attempt, jitter) <= 20.0


@pytest.mark.parametrize(
    ("found", "error", "exit_code"),
    [
        (failure(None), StripeUnreachable, 75),
        (failure(429), RateLimited, 75),
        (failure(409), StripeUnreachable, 75),
        (failure(500), StripeFault, 75),
        (failure(400, type="idempotency_error"), StripeFault, 75),
        (failure(401), KeyRejected, 8),
        (failure(402, type="card_error", code="card_declined"), CardDeclined, 5),
        (failure(402, type="card_error", code="expired_card"), CardDeclined, 5),
        (failure(404, code="resource_missing"), MissingInStripe, 5),
        (failure(400, code="resource_missing"), MissingInStripe, 5),
        (failure(400, code="parameter_unknown"), InvalidRequest, 5),
    ],
)
def test_a_failure_becomes_one_error(found, error, exit_code):
    made = as_error(found)
    assert (type(made), int(made.exit_code)) == (error, exit_code)
    assert made.data.get("stripe_status") == found.status


# The client over the sandbox --------------------------------------------------------------------------


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def billing(sandbox, naps):
    return connect_sandbox(sandbox_path(sandbox), read_only=False, sleep=naps.append)


def test_a_declined_card_is_asked_once(sandbox, billing, naps):
    call = endpoints.create_customer({"payment_method": "pm_card_chargeDeclined"})
    with pytest.raises(CardDeclined) as refused:
        billing.write(call, "key-1")
    assert naps == []
    assert refused.value.data["decline_code"] == "generic_decline"
    assert refused.value.data["stripe_request_id"].startswith("req_")


def test_bursts_are_waited_for_as_stripe_asks(sandbox, naps):
    from seatctl.billing.stripe import StripeBilling

    quick = connect_sandbox(sandbox_path(sandbox), read_only=False, sleep=naps.append)
    patient = StripeBilling(quick._client, read_only=False, sleep=naps.append)
    fail(sandbox, "429", times=2, retry_after=7)
    assert patient.write(endpoints.create_customer({"name": "Acme"}), "key-1")["name"] == "Acme"
    assert naps == [7.0, 7.0]


@pytest.mark.parametrize("kind", ["429", "500", "timeout", "lost"])
def test_four_tries_and_no_more(sandbox, billing, naps, kind):
    fail(sandbox, kind, times=10)
    with pytest.raises((RateLimited, StripeFault, StripeUnreachable)):
        billing.write(endpoints.create_customer({"name": "Acme"}), "key-1")
    assert (len(naps), faults_left(sandbox)) == (3, 6)


def test_a_lost_answer_is_asked_for_again_under_the_same_key(sandbox, billing):
    fail(sandbox, "lost", times=2)
    made = billing.write(endpoints.create_customer({"name": "Acme"}), "key-1")
    assert [one["id"] for one in objects(sandbox, "customer")] == [made["id"]]


def test_a_dry_run_previews_and_never_writes(sandbox, pro, naps):
    dry = connect_sandbox(sandbox_path(sandbox), read_only=True, sleep=naps.append)
    price = objects(sandbox, "price")[0]["id"]
    form = {
        "currency": "usd",
        "customer_details": {"tax_exempt": "none"},
        "subscription_details": {"items": [{"price": price, "quantity": 2}]},
    }
    assert dry.read(endpoints.preview_invoice(form))["amount_due"] == 2400
    for call in (
        endpoints.create_customer({}),
        endpoints.delete_product("prod_1"),
        endpoints.update_product("prod_1", {}),
    ):
        with refuses(Code.WRITE_IN_DRY_RUN):
            dry.write(call, "key-1")
    assert objects(sandbox, "customer") == []


def test_lists_are_paged_to_their_end(sandbox, billing):
    made = [billing.write(endpoints.create_customer({"name": str(n)}), f"key-{n}")["id"] for n in range(205)]
    assert [one["id"] for one in billing.every(endpoints.customers(created_since=0))] == made[::-1]


def test_an_id_that_was_typed_cannot_reach_another_endpoint():
    assert endpoints.customer("../products?x=1").path == "/v1/customers/..%2Fproducts%3Fx%3D1"


def test_an_object_that_is_not_understood_concludes_nothing():
    assert read_customer({"id": "cus_1", "object": "customer", "deleted": True}).deleted
    for wrong in ({}, {"id": "sub_1", "status": "on_holiday", "items": {"data": []}}):
        with pytest.raises(UnreadableObject) as refused:
            read_subscription(wrong)
        assert refused.value.exit_code == 75


def test_every_request_names_the_version_for_which_the_sandbox_was_generated(
    sandbox, billing, tmp_path, monkeypatch
):
    """Neither the account's default nor an update of the SDK may change what the answers look like."""
    assert json.loads(generate.CONTRACT.read_text("utf-8"))["api_version"] == API_VERSION
    handle, sent = Twin.handle, []

    def noting(self, method, url, headers, form):
        sent.append({name.lower(): value for name, value in headers.items()}["stripe-version"])
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", noting)
    monkeypatch.setattr("stripe._api_version._ApiVersion.CURRENT", "1999-01-01")
    with serving(tmp_path / "other.db") as server:
        base = f"http://127.0.0.1:{server.port}"
        for client in (billing, connect("sk_test_x", api_base=base, read_only=False, sleep=lambda _: None)):
            client.write(endpoints.create_customer({"name": "Acme"}), "key-1")
            assert client.read(endpoints.account())["object"] == "account"
            assert len([*client.every(endpoints.customers(created_since=0))]) == 1
    assert sent == [API_VERSION] * 6


# The wire ---------------------------------------------------------------------------------------------

KEY = "sk_test_51NeverToBeSeenAnywhere"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(seatctl, tmp_path) -> Iterator[str]:
    """A sandbox behind a loopback port, as another program would run it; its base URL."""
    words = ["sandbox", "serve", "--empty", "--for", "60"]
    own = {"SEATCTL_LEDGER": str(ledgers.new_place(seatctl.home, "play"))}
    assert seatctl("init", "play", "--no-input", env=own).code == 0
    server = subprocess.Popen(
        [sys.executable, "-m", "seatctl", *words, "-p", "play"],
        env={
            **seatctl.environment(own),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        yield server.stdout.readline().strip()
        server.terminate()
        server.communicate(timeout=20)


@pytest.fixture
def wire(seatctl, served):
    """A test profile whose Stripe is the served sandbox; commands are run with its key and address."""
    env = {"SEATCTL_STRIPE_API_BASE": served, "SEATCTL_STRIPE_KEY": KEY, "SEATCTL_PROFILE": "stage"}
    made = seatctl("init", "stage", "--mode", "test", "--no-input", "--actor", "ann@example.com", env=env)
    assert made.code == 0, made.err

    def run(*argv, **more):
        return seatctl(*argv, env={**env, **more})

    return run


BUY = "subs buy --plan pro --seats 3 --name lab --billing-email pay@example.com"


def test_the_main_job_over_the_wire(wire):
    assert wire("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    unconfirmed = wire(*BUY.split(), "--payment-method", "pm_card_visa", "-o", "json")
    assert (unconfirmed.code, unconfirmed.error["flag"]) == (2, "--yes")
    declined = wire(*BUY.split(), "--payment-method", "pm_card_chargeDeclined", "--yes", "-o", "json")
    assert (declined.code, declined.error["code"]) == (5, "card_declined")
    bought = wire(*BUY.split(), "--payment-method", "pm_card_visa", "--yes", "-o", "json")
    assert (bought.code, bought.rows[0]["amount_paid"]) == (0, 3600)
    assert wire("subs", "rename", "lab", "studio").code == 0
    assert wire("sync").code == 0
    assert json.loads(wire("subs", "list", "-o", "json").out)[0]["name"] == "studio"


def test_the_key_is_nowhere(wire, seatctl):
    assert wire("plans", "add", "pro", "--price", "12", "--currency", "usd", "--verbose").code == 0
    results = [
        wire(*BUY.split(), "--payment-method", "pm_card_visa", "--yes", "--verbose", "-o", "json"),
        wire(
            *instead(BUY.split(), "--name", "b"), "--payment-method", "pm_card_nobody", "--yes", "--verbose"
        ),
        wire("doctor", "--verbose"),
        wire("config", "show"),
        wire("sync", "--verbose", SEATCTL_STRIPE_API_BASE="http://127.0.0.1:9"),
        wire("plans", "add", "x", "--price", "1", "--currency", "usd", "-v", SEATCTL_STRIPE_KEY=f"{KEY}_2"),
        wire("plans", "add", KEY, "--price", "1", "--currency", "usd"),
    ]
    assert [result.code for result in results[:2]] == [0, 5]
    for result in results:
        assert KEY not in result.out + result.err
    files = [path for path in seatctl.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_a_server_that_does_not_answer_is_tried_again_later(wire):
    assert wire("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    gone = {"SEATCTL_STRIPE_API_BASE": "http://127.0.0.1:9"}
    lost = wire(*BUY.split(), "--payment-method", "pm_card_visa", "--yes", "-o", "json", **gone)
    assert (lost.code, lost.error["code"]) == (75, "stripe_unreachable")
    assert wire("subs", "list", "-o", "json").json == []


@pytest.mark.parametrize(
    ("key", "code", "error"),
    [
        ("sk_live_51Nope", 8, "wrong_key"),
        ("pk_test_51Nope", 8, "wrong_key"),
        ("", 8, "no_key"),
    ],
)
def test_a_key_of_another_mode_never_leaves(wire, key, code, error):
    refused = wire(
        "plans", "add", "pro", "--price", "12", "--currency", "usd", "-o", "json", SEATCTL_STRIPE_KEY=key
    )
    assert (refused.code, refused.error["code"]) == (code, error)


def test_live_money_is_not_reached_by_accident(seatctl, served):
    """A live profile wants a live key; without a terminal a purchase also wants --max-spend."""
    env = {"SEATCTL_STRIPE_API_BASE": served, "SEATCTL_STRIPE_KEY": KEY}
    refused = seatctl(
        "init", "real", "--mode", "live", "--no-input", "--actor", "ann@example.com", "-o", "json", env=env
    )
    assert (refused.code, refused.error["code"]) == (8, "wrong_key")


def test_plain_http_is_for_loopback_only(seatctl):
    env = {"SEATCTL_STRIPE_API_BASE": "http://stripe.example.com", "SEATCTL_STRIPE_KEY": KEY}
    refused = seatctl("init", "stage", "--mode", "test", "--no-input", "--actor", "ann@example.com", env=env)
    assert refused.code in {2, 3}
    assert KEY not in refused.err


def test_a_sandbox_profile_ignores_keys_in_the_environment(sandbox):
    added = sandbox(
        "plans", "add", "pro", "--price", "12", "--currency", "usd", env={"STRIPE_API_KEY": "sk_live_51X"}
    )
    assert added.code == 0
    assert len(objects(sandbox, "product")) == 1


def test_in_live_mode_a_limit_is_wanted_where_nobody_reads_the_preview(monkeypatch):
    from seatctl.app.context import Context
    from seatctl.cli.confirm import require_max_spend
    from seatctl.config.settings import Mode, Profile
    from seatctl.errors import UsageError

    here = Context(["subs", "buy"], {})
    here.profile = Profile("real", Mode.LIVE, {})
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match="--max-spend"):
        require_max_spend(here, None)
    require_max_spend(here, "36.00")


def test_the_client_uses_the_address_it_is_given_and_no_retries_of_its_own():
    billing = connect(KEY, api_base="http://127.0.0.1:9", read_only=False, sleep=lambda _: None)
    with pytest.raises(StripeUnreachable):
        billing.read(endpoints.account())


def test_why_stripe_cannot_be_reached_is_one_line():
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
        billing = connect("sk_test_x", api_base=base, read_only=True, sleep=lambda _: None)
        with pytest.raises(StripeUnreachable) as refused:
            billing.read(endpoints.account())
    assert refused.value.message == "no answer from Stripe: Connection refused"
