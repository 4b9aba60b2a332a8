"""Checks that the profile, the ledger and the Stripe account belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from seatctl.billing.port import Billing
    from seatctl.config.settings import Profile
    from seatctl.ledger.ledger import Ledger


def require_same(ledger: Ledger, profile: Profile) -> None:
    """Raise `mode_mismatch` if the ledger was made for another mode or Stripe account than the profile.

    Real money must never be recorded in a ledger of test money.
    """
    account = profile.values.get("stripe_account")
    pairs = [("mode", ledger.mode, profile.mode.value)]
    if account and ledger.stripe_account:
        pairs.append(("stripe_account", ledger.stripe_account, str(account)))
    for what, actual, wanted in pairs:
        if actual != wanted:
            raise refuse(
                Code.MODE_MISMATCH,
                f"the ledger {ledger.path} belongs to {actual}, but profile {profile.name} to {wanted}",
                hint="choose another profile with -p; to list them: seatctl config profiles",
                data={f"ledger_{what}": actual, f"profile_{what}": wanted},
            )


def require_account(ledger: Ledger, profile: Profile, billing: Billing) -> str:
    """Return the Stripe account that the key, the profile and the ledger share.

    Raises `other_account`, and `account_unknown` if Stripe does not tell this key its account and the profile
    has no `stripe_account`.
    """
    from seatctl.billing.account import account_id

    named = profile.values.get("stripe_account")
    account = account_id(billing)
    if account is None:
        if not named:
            raise refuse(
                Code.ACCOUNT_UNKNOWN,
                "Stripe does not tell this key its account, and the profile does not name it",
                hint="seatctl config set stripe_account acct_…, or give the key the permission account read",
                data={"permission": "account read"},
            )
        account = str(named)
    actual = ledger.stripe_account or (str(named) if named else None)
    if actual and actual != account:
        raise refuse(
            Code.OTHER_ACCOUNT,
            f"the key belongs to account {account}, but the ledger {ledger.path} to {actual}",
            hint="use the key of that account, or another profile with -p: seatctl config profiles",
            data={"key_account": account, "ledger_account": actual},
        )
    return account
