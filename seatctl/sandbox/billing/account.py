"""The account that the key belongs to; each sandbox file is an account of its own."""

from __future__ import annotations

from seatctl.sandbox.objects import Obj, new_object, nulls, token
from seatctl.sandbox.session import Session

COUNTRY = "CA"  # as the account of the recordings
CURRENCY = "cad"
NAME = "Sandbox"


def own_account(session: Session) -> Obj:
    """Return the account; it is made when it is first read."""
    for account in session.store.walk("account"):
        return account
    account = new_object(
        "account",
        f"acct_{token(16)}",
        business_profile={
            **nulls("annual_revenue estimated_worker_count mcc support_address support_email support_phone"),
            **nulls("support_url url"),
            "name": NAME,
        },
        capabilities={"card_payments": "active", "transfers": "active"},
        charges_enabled=True,
        country=COUNTRY,
        created=session.now,
        default_currency=CURRENCY,
        details_submitted=True,
        email="sandbox@example.com",
        payouts_enabled=True,
        settings={
            "branding": nulls("icon logo primary_color secondary_color"),
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": False},
                "statement_descriptor_prefix": None,
            },
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "SANDBOX"},
        },
        type="standard",
    )
    session.save(account)
    return account
