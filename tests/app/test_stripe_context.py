"""The key of a Connect platform or of an organisation acts on the account that `stripe.context` names.

The sandbox is one account, which accepts a context that ends with its own id.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from seatctl.sandbox.billing.account import own_account
from seatctl.sandbox.session import Session
from tests.support.front import Account, Front
from tests.support.subscriptions import query

KEY = "sk_org_test_abcdefgh12345678"
BUY = "subs buy --plan pro --seats 3 --name lab --billing-email pay@example.com --payment-method pm_card_visa"


class Sent(list):
    """The context, the method and the idempotency key of each request."""

    def contexts(self) -> set[str | None]:
        return {context for context, _, _ in self}


@pytest.fixture
def sent(monkeypatch) -> Sent:
    handle, requests = Twin.handle, Sent()

    def noting(self, method, url, headers, form):
        lowered = {name.lower(): value for name, value in headers.items()}
        key = lowered.get("idempotency-key", "")
        requests.append((lowered.get("stripe-context"), method, key))
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", noting)
    return requests


@pytest.fixture
def front(tmp_path):
    made = Front(tmp_path / "stripe.db")
    yield made
    made.close()


@pytest.fixture
def account(front) -> str:
    """The id of the account behind the front."""
    with front.twin.store.transaction():
        return own_account(Session(front.twin.store, front.twin.now()))["id"]


class OfAnOrganisation(Account):
    """A profile with the key of an organisation."""

    @property
    def environment(self):
        return {"SEATCTL_STRIPE_KEY": KEY, "SEATCTL_STRIPE_API_BASE": self.front.url}


@pytest.fixture
def acme(seatctl, front, account, sent):
    """A profile that was set up with the account as its context."""
    env = {"SEATCTL_STRIPE_KEY": KEY, "SEATCTL_STRIPE_API_BASE": front.url}
    argv = ("init", "--mode", "test", "--no-input", "--actor", "ann@example.com", "--stripe-context", account)
    sent.clear()
    made = seatctl(*argv, "-o", "json", env=env)
    assert (made.code, made.json["stripe_account"]) == (0, account), made.err
    return OfAnOrganisation(seatctl, front)


def test_every_request_of_every_command_names_the_account(acme, account, sent):
    assert acme("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    assert acme(*BUY.split(), "--yes").code == 0
    assert acme("subs", "add-seats", "lab", "2", "--yes").code == 0
    assert acme("sync", "--full").code == 0
    assert acme("doctor").code == 0
    assert len(sent) > 30
    assert sent.contexts() == {account}


def test_another_account_is_refused_before_anything_is_sent(acme, sent):
    sent.clear()
    env = {"SEATCTL_STRIPE_CONTEXT": "acct_platform/acct_other"}
    refused = acme("plans", "add", "pro", "--price", "12", "--currency", "usd", "-o", "json", env=env)
    assert (refused.code, refused.error["code"]) == (8, "other_account")
    assert refused.error["key_account"] == "acct_other"
    assert sent == []


def test_an_account_that_the_key_may_not_use_is_not_set_up(seatctl, front):
    env = {"SEATCTL_STRIPE_KEY": "sk_test_abcdefgh12345678", "SEATCTL_STRIPE_API_BASE": front.url}
    argv = ("init", "--mode", "test", "--no-input", "--actor", "ann@example.com", "-o", "json")
    refused = seatctl(*argv, "--stripe-context", "acct_nobodys", env=env)
    assert (refused.code, refused.error["code"]) == (8, "key_lacks_permission")
    assert refused.error["stripe_code"] == "account_invalid"
    assert "does not have access to account 'acct_nobodys'" in refused.error["message"]
    assert not (seatctl.home / "config.toml").exists()
    assert seatctl(*argv, "--stripe-context", "nobody", env=env).code == 3


def test_a_key_of_one_context_is_never_sent_in_another(acme, account, sent):
    """The answer to the purchase was lost; then the same account is reached through a platform.

    Stripe may not know the key there, and would charge again: its objects tell what was done.
    """
    assert acme("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    control.fail(acme.front.twin, "lost", times=4, path="/v1/subscriptions", method="POST")
    assert acme(*BUY.split(), "--yes").code == 75
    through = f"acct_platform/{account}"
    assert acme("sync", env={"SEATCTL_STRIPE_CONTEXT": through}).code == 0
    assert sent.contexts() == {account, through}
    keys = {
        context: {key for of, _, key in sent if of == context and "seatctl:" in key}
        for context in (account, through)
    }
    assert keys[account] & keys[through] == set()
    assert len([*acme.front.twin.store.walk("charge")]) == 1
    assert query(acme.ledger, "SELECT name, capacity FROM subscriptions") == [("lab", 3)]
