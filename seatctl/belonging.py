"""Whether profile, ledger and Stripe account belong together (design rule 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import NotAllowed

if TYPE_CHECKING:
    from seatctl.ledger.ledger import Ledger
    from seatctl.settings import Profile


class ModeMismatch(NotAllowed):
    """The profile, the ledger and the Stripe account do not belong together."""

    code = "mode_mismatch"


def require_same(ledger: Ledger, profile: Profile) -> None:
    """Live money must never meet a ledger of play money, nor one of another account. Raises ModeMismatch."""
    account = profile.values.get("stripe_account")
    pairs = [("mode", ledger.mode, profile.mode.value)]
    if account and ledger.stripe_account:
        pairs.append(("stripe_account", ledger.stripe_account, str(account)))
    for what, kept, wanted in pairs:
        if kept != wanted:
            raise ModeMismatch(
                f"the ledger {ledger.path} belongs to {kept}, but profile {profile.name} to {wanted}",
                hint="seatctl config profiles shows what each profile belongs to; -p PROFILE picks one",
                data={f"ledger_{what}": kept, f"profile_{what}": wanted},
            )
