"""Claiming a seat with the activation code that its user was sent."""

from __future__ import annotations

from seatctl.errors import Code, refuse
from seatctl.ledger import activation, subscriptions
from seatctl.ledger.activation import Activation
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.users import quoted
from seatctl.models.call import Call, format_time
from seatctl.models.report import Report
from seatctl.rules.activation import code_hash, read_code
from seatctl.rules.assignment import require_home

COLUMNS = ("email", "subscription", "claimed_at", "result")


def claim_seat(ledger: Ledger, call: Call, typed: str) -> Report:
    """Claim the seat of a code. Whoever has the code may: it was sent to the seat's own address.

    Raises `bad_code`, `unknown_code`, `code_not_usable`, ForeignLedger. No message ever repeats the code.
    """
    code = read_code(typed)
    if code is None:
        raise refuse(
            Code.BAD_CODE, "that is not an activation code", hint="it looks like seat-XXXXX-XXXXX-XXXXX-XXXXX"
        )
    with ledger.change(call) as tx:
        found = activation.find(tx, code_hash(code))
        if found is None:
            raise refuse(
                Code.UNKNOWN_CODE,
                "there is no such activation code",
                hint="for a new one: seatctl notify send --again EMAIL",
            )
        require_home(subscriptions.find(tx, found.subscription), ledger.id)
        _require_usable(found, call)
        activation.claim(tx, found)
        summary = f"{found.email} has claimed the seat in {found.subscription}"
        tx.summarise(summary)
        row = {
            "email": found.email,
            "subscription": found.subscription,
            "claimed_at": format_time(call.now),
            "result": "claimed",
        }
        return Report(tx.run, call.dry_run, summary, (row,), columns=COLUMNS)


def _require_usable(found: Activation, call: Call) -> None:
    again = f"seatctl notify send --again {quoted(found.email)}"
    why, hint = None, None
    if found.revoked_at is not None:
        why = f"the seat of {found.email} in {found.subscription} was given back"
        hint = f"seatctl requests create {quoted(found.email)}"
    elif found.claimed_at is not None:
        how = "this code" if found.used_at else "another code"
        why = f"the seat was claimed with {how} on {found.claimed_at:%Y-%m-%d}"
        hint = f"seatctl seats list --user {quoted(found.email)}"
    elif found.expires_at <= call.now:
        why, hint = f"the code expired on {found.expires_at:%Y-%m-%d}", f"{again} sends a new one"
    if why is not None:
        raise refuse(
            Code.CODE_NOT_USABLE,
            why,
            hint=hint,
            data={"email": found.email, "subscription": found.subscription},
        )
