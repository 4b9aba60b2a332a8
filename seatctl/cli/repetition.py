"""Runs a command again if another client of the ledger's server got in its way, or the connection was lost.

It must look as if the command had run once: nothing of it is committed, printed or asked yet, and it reads no
input that cannot be read again. Otherwise the error is reported, with exit code 75.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from seatctl.app.context import Context
from seatctl.errors import TryAgain
from seatctl.ledger.failures import LedgerConflict, LedgerLost
from seatctl.output.emit import Output

if TYPE_CHECKING:
    from seatctl.ledger.ledger import Ledger

_MOST_CONFLICTS = 12
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
"""Seconds. The pause doubles and is random, so that two clients do not meet again."""


def begins_again(ctx: Context, error: TryAgain) -> bool:
    """Pause and prepare the context for another run of the command; return False if it must not run again."""
    if Output.begun or ctx.asked or _reads_stdin(ctx):
        return False
    opened: Ledger | None = ctx.__dict__.get("ledger")
    if not may_repeat(opened, error, ctx.repetitions):
        return False
    ctx.begin_again()
    return True


def may_repeat(ledger: Ledger | None, error: TryAgain, repetitions: list[TryAgain]) -> bool:
    """Return whether what raised the error may be repeated, after a pause; then add it to `repetitions`.

    A conflict is repeated some times, a lost connection once. Nothing may have been committed. `ledger` is
    None if it is not open yet.
    """
    if not isinstance(error, LedgerConflict) or (ledger is not None and ledger.engine.committed):
        return False
    lost = isinstance(error, LedgerLost)
    earlier = sum(isinstance(other, LedgerLost) == lost for other in repetitions)
    if earlier >= (1 if lost else _MOST_CONFLICTS):
        return False
    repetitions.append(error)
    jitter = random.uniform(0.5, 1)  # noqa: S311 - not a secret
    time.sleep(jitter * min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2**earlier))
    return True


def _reads_stdin(ctx: Context) -> bool:
    return any(word.endswith(("-", "-stdin")) and word != "--" for word in ctx.argv)
