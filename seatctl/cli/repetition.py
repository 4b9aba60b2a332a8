"""Runs a command again if another client of the ledger's server got in its way, or the connection was lost.

It must look as if the command had run once: nothing of it is committed, printed or asked yet, and it reads no
input that cannot be read again. Otherwise the error is reported, with exit code 75.
"""

from __future__ import annotations

import random
import time

from seatctl.app.context import Context
from seatctl.errors import TryAgain
from seatctl.ledger.failures import LedgerConflict, LedgerLost
from seatctl.output.emit import Output

_MOST_CONFLICTS = 12
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
"""Seconds. The pause doubles and is random, so that two clients do not meet again."""


def begins_again(ctx: Context, error: TryAgain) -> bool:
    """Pause and prepare the context for another run of the command; return False if it must not run again."""
    if Output.begun or ctx.asked or _reads_stdin(ctx) or not may_repeat(ctx, error, ctx.repetitions):
        return False
    ctx.begin_again()
    return True


def may_repeat(ctx: Context, error: TryAgain, repetitions: list[TryAgain]) -> bool:
    """Return whether what raised the error may be repeated, after a pause; then add it to `repetitions`.

    A conflict is repeated some times, a lost connection once. Nothing may have been committed.
    """
    ledger = ctx.__dict__.get("ledger")
    if not isinstance(error, LedgerConflict) or (ledger is not None and ledger.engine.committed):
        return False
    lost = isinstance(error, LedgerLost)
    earlier = sum(isinstance(other, LedgerLost) == lost for other in repetitions)
    if earlier >= (1 if lost else _MOST_CONFLICTS):
        return False
    repetitions.append(error)
    time.sleep(random.uniform(0.5, 1) * min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2**earlier))  # noqa: S311
    return True


def _reads_stdin(ctx: Context) -> bool:
    return any(word.endswith(("-", "-stdin")) and word != "--" for word in ctx.argv)
