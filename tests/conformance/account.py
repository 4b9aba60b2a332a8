"""The account that the suite runs on: Stripe's test mode with the key of the environment, else a sandbox.

Whatever the suite makes there has a name that begins with `seatctl conformance`, so that what an interrupted
run has left is found and removed.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from seatctl.billing.stripe import API_VERSION
from seatctl.sandbox.api.control import authenticate, complete_checkout, restricted_key, set_tax
from seatctl.sandbox.api.twin import Twin
from tests.conformance.relay import Relay
from tests.sandbox.replay import encode

KEY = "SEATCTL_CONFORMANCE_KEY"
URL = "SEATCTL_CONFORMANCE_URL"
PAGES = "SEATCTL_CONFORMANCE_PAGES"
RESTRICTED = "SEATCTL_CONFORMANCE_RK_"
RECORD = "SEATCTL_CONFORMANCE_RECORD"
STRIPE = "https://api.stripe.com"
PER_SECOND = 10
NAME = "seatctl conformance"

_READY_WITHIN = 600
"""Seconds: a clock that advances by a year does the work of a year."""

Body = dict[str, Any]


def key_of(environment: dict[str, str]) -> str | None:
    """Return the key of a test mode, or None. Raises ValueError for any other key."""
    key = environment.get(KEY, "")
    if key and not key.startswith("sk_test_"):
        raise ValueError(f"{KEY} takes a secret key of Stripe's test mode (sk_test_…), and no other")
    return key or None


class Refused(Exception):
    """Stripe has refused a request of the suite itself."""

    def __init__(self, call: str, status: int, error: Body) -> None:
        super().__init__(f"{call}: {status}: {error.get('message')}")
        self.status, self.error = status, error


class Account:
    """An account, behind a relay. `sandbox` is the file of the sandbox, if it is one that we serve."""

    def __init__(self, key: str, url: str, sandbox: Path | None) -> None:
        self.key = key
        self.is_stripe = url == STRIPE
        self.relay = Relay(url, per_second=PER_SECOND if self.is_stripe else None)
        self._sandbox = sandbox

    def call(self, method: str, path: str, params: Body | None = None, **headers: str) -> Body:
        """Send a request. Raises Refused."""
        url, form = encode(method, f"/v1/{path}", params)
        sent = {"Authorization": f"Bearer {self.key}", "Stripe-Version": API_VERSION, **headers}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        relay = urlsplit(self.relay.url)
        connection = http.client.HTTPConnection(str(relay.hostname), relay.port, timeout=90)
        connection.request(method, url, body=form, headers=sent)
        answer = connection.getresponse()
        body: Body = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise Refused(f"{method} {path}", answer.status, body["error"])
        return body

    def get(self, path: str, **params: Any) -> Body:
        """Read an object or a page of a list."""
        return self.call("GET", path, params)

    def post(self, path: str, **params: Any) -> Body:
        """Create or change an object."""
        return self.call("POST", path, params)

    def every(self, path: str, **params: Any) -> list[Body]:
        """Read every page of a list, newest first."""
        entries: list[Body] = []
        while True:
            page = self.get(path, limit=100, **params)
            entries += page["data"]
            if not page["has_more"]:
                return entries
            params["starting_after"] = entries[-1]["id"]

    # What only a person can do on Stripe.

    def open_page(self, url: str, what: str) -> None:
        """Have a person do something on a page of Stripe, or skip the rest of the story aloud."""
        if not os.environ.get(PAGES):
            pytest.skip(f"NOT PROVED: {what} needs a person at Stripe's page; set {PAGES}=1 to be asked")
        sys.__stderr__.write(f"\n{what}: {url}\n")
        sys.__stderr__.flush()

    def authenticate(self, invoice: Body) -> None:
        """Answer the bank's question about an open invoice as the cardholder would."""
        if self._sandbox is None:
            self.open_page(invoice["hosted_invoice_url"], "authenticate the payment")
            self.wait_until(lambda: self.get(f"invoices/{invoice['id']}")["status"] == "paid")
            return
        with opened(self._sandbox) as twin:
            authenticate(twin, invoice["id"])

    def complete(self, session: str, url: str, card: str = "pm_card_visa") -> None:
        """Complete a Checkout page with a card, or with `none` if it asks for none."""
        if self._sandbox is None:
            pays = "with 4242 4242 4242 4242" if card == "pm_card_visa" else "without a card"
            self.open_page(url, f"complete the page {pays}")
            self.wait_until(lambda: self.get(f"checkout/sessions/{session}")["status"] == "complete")
            return
        with opened(self._sandbox) as twin:
            complete_checkout(twin, session, card)

    def debit(self) -> tuple[str, str, str]:
        """Return the currency of the account's debits, and test accounts that pay and that fail."""
        if self.get("account")["country"] == "US":
            return "usd", "pm_usBankAccount_success", "pm_usBankAccount_insufficientFunds"
        return "eur", "pm_sepaDebit_success_at", "pm_sepaDebit_failed_at"

    def collect_tax(self, percent: int) -> None:
        """Have the sandbox collect tax; on Stripe, skip the story aloud unless the account does."""
        if self._sandbox is not None:
            with opened(self._sandbox) as twin:
                set_tax(twin, Fraction(percent, 100))
        elif not self.is_stripe or self.get("tax/settings")["status"] != "active":
            pytest.skip("NOT PROVED: the account collects no tax; turn on Stripe Tax in the dashboard")

    def restricted_key(self, permission: str) -> str:
        """Return a key that has one permission, or skip the story aloud."""
        if self._sandbox is not None:
            with opened(self._sandbox) as twin:
                return restricted_key(twin, [permission])
        variable = f"{RESTRICTED}{permission.upper()}"
        if variable not in os.environ:
            pytest.skip(f"NOT PROVED: Stripe's API makes no restricted keys; set {variable} to one")
        if not os.environ[variable].startswith("rk_test_"):
            raise ValueError(f"{variable} takes a restricted key of Stripe's test mode (rk_test_…)")
        return os.environ[variable]

    def wait_until(self, is_done: Any, seconds: float = _READY_WITHIN) -> None:
        """Wait until something is so. Raises AssertionError after so many seconds."""
        deadline = time.monotonic() + seconds
        while not is_done():
            assert time.monotonic() < deadline, "Stripe did not come to an end"
            time.sleep(1.0 if self.is_stripe else 0.01)

    # What the suite makes for a story, and what it leaves.

    def new_clock(self, name: str, moment: int) -> str:
        """Create a test clock for a story. Return its id."""
        return str(
            self.post("test_helpers/test_clocks", frozen_time=moment, name=f"{NAME}: {name}"[:300])["id"]
        )

    def clean(self) -> None:
        """Remove what this run or an earlier one has made: clocks with their customers, products, prices."""
        for clock in self.every("test_helpers/test_clocks"):
            if str(clock["name"]).startswith(NAME):
                self.wait_until(lambda clock=clock: self._is_ready(clock["id"]))
                self.call("DELETE", f"test_helpers/test_clocks/{clock['id']}")
        for product in self.every("products", active="true"):
            if str(product["name"]).startswith(NAME):
                self.clean_product(product["id"])

    def clean_product(self, product: str) -> None:
        """Take a product and its prices out of sale; Stripe deletes no product that has a price."""
        for price in self.every("prices", product=product, active="true"):
            self.post(f"prices/{price['id']}", active="false")
        self.post(f"products/{product}", active="false")

    def _is_ready(self, clock: str) -> bool:
        return bool(self.get(f"test_helpers/test_clocks/{clock}")["status"] != "advancing")

    def advance(self, clock: str, moment: int) -> None:
        """Advance a clock, and wait until all work is done and told by its event."""
        self.post(f"test_helpers/test_clocks/{clock}/advance", frozen_time=moment)
        self.wait_until(lambda: self._is_ready(clock))
        assert self.get(f"test_helpers/test_clocks/{clock}")["frozen_time"] == moment
        self.wait_until(lambda: self._was_told(clock, moment))

    def _was_told(self, clock: str, moment: int) -> bool:
        """Whether the event of a clock's arrival is there: those of its work are older."""
        events = self.get("events", type="test_helpers.test_clock.ready", limit=10)["data"]
        objects = [event["data"]["object"] for event in events]
        return any(one["id"] == clock and one["frozen_time"] == moment for one in objects)


@contextmanager
def opened(path: Path) -> Iterator[Twin]:
    """The sandbox in a file that another process serves."""
    twin = Twin(path)
    try:
        yield twin
    finally:
        twin.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Path]]:
    """`seatctl sandbox serve` in a process of its own. Yields its base URL and its file."""
    home = folder / f"served-{secrets.token_hex(4)}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATCTL_")}
    environment = {
        **kept,
        "SEATCTL_CONFIG": str(home),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    command = [sys.executable, "-m", "seatctl"]
    subprocess.run([*command, "init", "--no-input"], env=environment, check=True, capture_output=True)
    server = subprocess.Popen(
        [*command, "sandbox", "serve", "--for", "3600"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), home / "default" / "sandbox.db"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
        if server.stdout is not None:
            server.stdout.close()


@contextmanager
def account(folder: Path) -> Iterator[Account]:
    """The account of a run, empty of what earlier runs have left, and emptied again in the end."""
    key, url = key_of(dict(os.environ)), os.environ.get(URL)
    if key is None:
        with served(folder) as (served_url, file):
            yield from _kept_clean(Account("sk_test_conformance", served_url, file))
    else:
        yield from _kept_clean(Account(key, url or STRIPE, None))


def _kept_clean(account: Account) -> Iterator[Account]:
    account.clean()
    try:
        yield account
    finally:
        account.clean()
        account.relay.close()
