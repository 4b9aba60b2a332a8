"""Stripe's test bank accounts: which one `pm_sepaDebit_…` and `pm_usBankAccount_…` name, and how debits end.

The names are Stripe's. On Stripe a test debit ends after minutes; here it takes as many days of the sandbox's
clock as a real one, so that what happens meanwhile can be played.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.sandbox.clock import DAY
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session

CURRENCIES = {"sepa_debit": "eur", "us_bank_account": "usd", "bacs_debit": "gbp", "au_becs_debit": "aud",
              "acss_debit": "cad"}  # fmt: skip
"""The types whose payments are processed for days, and the currency in which each debits."""


@dataclass(frozen=True, slots=True)
class Account:
    """A test bank account. `days`: how long a debit is processed, None for ever; `failure`: why it fails."""

    type: str
    last4: str
    days: int | None
    failure: str | None = None


_SEPA, _ACH = "sepa_debit", "us_bank_account"
_ACCOUNTS = {
    "pm_sepaDebit_success_at": Account(_SEPA, "3201", 5),
    "pm_sepaDebit_successDelayed_at": Account(_SEPA, "3204", 14),
    "pm_sepaDebit_failed_at": Account(_SEPA, "3202", 6, "insufficient_funds"),
    "pm_sepaDebit_failedDelayed_at": Account(_SEPA, "3205", 14, "insufficient_funds"),
    "pm_usBankAccount_success": Account(_ACH, "6789", 4),
    "pm_usBankAccount_insufficientFunds": Account(_ACH, "2227", 4, "insufficient_funds"),
    "pm_usBankAccount_accountClosed": Account(_ACH, "1113", 4, "account_closed"),
    "pm_usBankAccount_noAccount": Account(_ACH, "1116", 4, "no_account"),
    "pm_usBankAccount_debitNotAuthorized": Account(_ACH, "3335", 4, "debit_not_authorized"),
    "pm_usBankAccount_processing": Account(_ACH, "0009", None),
}
_MESSAGES = {
    "insufficient_funds": "The customer's account has insufficient funds to cover this payment.",
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The bank account could not be located.",
    "debit_not_authorized": "The customer has notified their bank that this payment was unauthorized.",
}


def by_test_id(identifier: str) -> Account | None:
    """Return the test bank account that a test id names, or None."""
    return _ACCOUNTS.get(identifier)


def account_of(method: Obj) -> Account:
    """Return the bank account of a payment method; one that was typed in pays like the first one."""
    return _ACCOUNTS.get(method.get("_account", "")) or Account(method["type"], "", 5)


def details(account: Account) -> Obj:
    """Return what a payment method shows of its bank account."""
    shared = {"fingerprint": f"SandboxDebit{account.last4}", "last4": account.last4}
    if account.type == _SEPA:
        generated: Obj = {"charge": None, "setup_attempt": None}
        return {
            **shared,
            "bank_code": "19043",
            "branch_code": "",
            "country": "AT",
            "generated_from": generated,
        }
    return {
        **shared,
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def offered(currency: str | None) -> list[str]:
    """Return the types that a page offers in a currency: cards, and the debits of the sandbox's account."""
    return ["card", *(kind for kind in (_ACH, _SEPA) if CURRENCIES[kind] == currency)]


def refusal(kind: str, currency: str) -> ApiError | None:
    """Return the refusal of a type that cannot pay in this currency, None if it can."""
    if CURRENCIES.get(kind, currency) == currency:
        return None
    message = f"The currency provided ({currency}) is invalid for the payment method type {kind}."
    return invalid(message, code="payment_intent_invalid_currency")


def outcome(session: Session, method: Obj) -> Obj:
    """Return the internal fields of an intent whose debit begins now: when the clock ends it, and how."""
    account = account_of(method)
    ends = None if account.days is None else session.now + account.days * DAY
    return {"_settles_at": ends, "_failure": account.failure}


def failure(intent: Obj) -> tuple[str, str]:
    """Return why the debit of an intent fails: the code and the message."""
    code = intent.get("_failure") or "insufficient_funds"
    return code, _MESSAGES[code]


def mandate_of(session: Session, method: Obj) -> str | None:
    """Return the id of the mandate under which a bank account is debited: made once, None for a card."""
    if method["type"] not in CURRENCIES:
        return None
    if "_mandate" not in method:
        reference = {"reference": new_id("ref"), "url": "https://sandbox.invalid/mandate"}
        mandate = session.new(
            "mandate",
            new_id("mandate"),
            customer_acceptance={"accepted_at": session.now, "offline": {}, "type": "offline"},
            multi_use={},
            payment_method=method["id"],
            payment_method_details={
                method["type"]: reference if method["type"] == _SEPA else {},
                "type": method["type"],
            },
            status="active",
            type="multi_use",
        )
        session.save(mandate)
        method["_mandate"] = mandate["id"]
        session.save(method)
    return str(method["_mandate"])
