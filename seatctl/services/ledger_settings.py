"""`config set` and `config unset` of a setting that the ledger stores."""

from __future__ import annotations

from seatctl.ledger import stored_settings
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.role import Action
from seatctl.services.users.permissions import allow


def change_setting(ledger: Ledger, call: Call, key: str, value: str | None) -> int | None:
    """Store a setting in the ledger, or remove it with None; return the run, None if nothing changed.

    Raises RoleRequired.
    """
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_LEDGER)
        stored_settings.change(tx, key, value)
        tx.summarise(f"removed {key}" if value is None else f"set {key} to {value}")
        run = tx.run
    ledger.forget_meta()
    return run
