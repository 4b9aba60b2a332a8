"""How a trial ends, in words. Pure; times are aware UTC."""

from __future__ import annotations

from typing import Final

from seatctl.models.collection import Trial
from seatctl.rules import hints

_THEN: Final = {
    "charge": "its first term is charged then",
    "invoice": "its first term is invoiced then",
    "end": "it is canceled, and ends then",
    "pause": "it is paused then unless a payment method is given",
    "cancel": "it is canceled then unless a payment method is given",
    "unpaid": "its first invoice cannot be collected then unless a payment method is given",
}


def ending(trial: Trial) -> str:
    """Return when a trial ends and what happens then, as the end of a sentence."""
    return f"its trial ends on {trial.ends:%Y-%m-%d}: {_THEN.get(trial.then, _THEN['charge'])}"


def ways_out(name: str, trial: Trial) -> tuple[str, ...]:
    """Return the command that gives the missing payment method; nothing if there is one."""
    if trial.then in {"charge", "invoice", "end"}:
        return ()
    return (hints.command("subs", "billing", name, "--payment-method", "PM"),)
