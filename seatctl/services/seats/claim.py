"""`seats claim`: claim a seat with the activation code that was sent to its user."""

from __future__ import annotations

from seatctl.errors import Code, refuse
from seatctl.ledger import activation, subscriptions
from seatctl.ledger.activation import Activation
from seatctl.ledger.ledger import Ledger, Scope
from seatctl.ledger.users import quoted
from seatctl.models.call import Call, format_time
from seatctl.models.report import Report
from seatctl.rules.activation import code_hash, read_code
from seatctl.rules.assignment import require_home

COLUMNS = ("email", "subscription", "claimed_at", "result")


def claim_seat(ledger: Ledger, call: Call, typed: str) -> Report:
    """Claim the seat of a code. Anybody who has the code may: it was sent to the address of the seat.

    Raises `bad_code`, `unknown_code`, `code_not_usable`, ForeignLedger. No message repeats the code.
    """
    code = read_code(typed)
    if code is None:
        raise refuse(
            Code.BAD_CODE, "that is not an activation code", hint="it looks like seat-XXXXX-XXXXX-XXXXX-XXXXX"
        )
    with ledger.change(call, Scope.SHARED) as tx:
        activation_code = activation.find(tx, code_hash(code))
        if activation_code is None:
            raise refuse(
                Code.UNKNOWN_CODE,
                "this activation code does not exist",
                hint="for a new one: seatctl notify send --again EMAIL",
            )
        require_home(subscriptions.find(tx, activation_code.subscription), ledger.id)
        # Again: its seat may have been revoked before the subscription was locked.
        activation_code = activation.find(tx, code_hash(code)) or activation_code
        _require_usable(activation_code, call)
        activation.claim(tx, activation_code)
        row = {
            "email": activation_code.email,
            "subscription": activation_code.subscription,
            "claimed_at": format_time(call.now),
            "result": "claimed",
        }
        summary = f"claimed the seat of {activation_code.email} in {activation_code.subscription}"
        return tx.report(summary, (row,), COLUMNS, undoable=False)


def _require_usable(code: Activation, call: Call) -> None:
    """Raise `code_not_usable` if the code or its seat was used, has expired or was revoked."""
    new_code = f"seatctl notify send --again {quoted(code.email)}"
    problem, hint = None, None
    if code.revoked_at is not None:
        problem = f"the seat of {code.email} in {code.subscription} was revoked"
        hint = f"seatctl requests create {quoted(code.email)}"
    elif code.claimed_at is not None:
        used = "this code" if code.used_at else "another code"
        problem = f"the seat was claimed with {used} on {code.claimed_at:%Y-%m-%d}"
        hint = f"seatctl seats list --user {quoted(code.email)}"
    elif code.expires_at <= call.now:
        problem, hint = f"the code expired on {code.expires_at:%Y-%m-%d}", f"{new_code} sends a new one"
    if problem is not None:
        raise refuse(
            Code.CODE_NOT_USABLE,
            problem,
            hint=hint,
            data={"email": code.email, "subscription": code.subscription},
        )
