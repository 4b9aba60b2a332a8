"""Whether profile, ledger and Stripe account belong together (design rule 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from seatctl.billing.port import Billing
    from seatctl.config.settings import Profile
    from seatctl.ledger.ledger import Ledger


def require_same(ledger: Ledger, profile: Profile) -> None:
    """Live money must never meet a ledger of play money, nor one of another account.

    Raises `mode_mismatch`.
    """
    account = profile.values.get("stripe_account")
    pairs = [("mode", ledger.mode, profile.mode.value)]
    if account and ledger.stripe_account:
        pairs.append(("stripe_account", ledger.stripe_account, str(account)))
    for what, kept, wanted in pairs:
        if kept != wanted:
            raise refuse(
                Code.MODE_MISMATCH,
                f"the ledger {ledger.path} belongs to {kept}, but profile {profile.name} to {wanted}",
                hint="-p PROFILE picks another; for what each belongs to: seatctl config profiles",
                data={f"ledger_{what}": kept, f"profile_{what}": wanted},
            )


def require_account(ledger: Ledger, profile: Profile, billing: Billing) -> str:
    """The account that the key, the profile and the ledger share; the ledger keeps it once it is known.

    Raises `other_account` naming both, `account_unknown` if Stripe does not tell this key and the profile has
    no `stripe_account` either.
    """
    from seatctl.billing.account import account_id

    named = profile.values.get("stripe_account")
    found = account_id(billing)
    if found is None:
        if not named:
            raise refuse(
                Code.ACCOUNT_UNKNOWN,
                "Stripe does not tell this key which account it belongs to, and the profile does not say",
                hint="seatctl config set stripe_account acct_…, or give the key the permission: account read",
                data={"permission": "account read"},
            )
        found = str(named)
    kept = ledger.stripe_account or (str(named) if named else None)
    if kept and kept != found:
        raise refuse(
            Code.OTHER_ACCOUNT,
            f"the key belongs to account {found}, the ledger {ledger.path} to {kept}",
            hint="give the key of that account, or another profile with -p: seatctl config profiles",
            data={"key_account": found, "ledger_account": kept},
        )
    return found
