"""Commands on a server's ledger that are disturbed at a chosen round trip, and what is true afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from seatctl.ledger.engines import postgres_session
from tests.conftest import Result, Seatctl
from tests.support.fault_relay import FAULTS, Fault, FaultRelay
from tests.support.postgres import server
from tests.support.server_state import end_sessions

KILLS = {
    "killed before it arrives": Fault(arrives=False),
    "killed before its answer": Fault(arrives=True),
}
"""The client is killed with SIGKILL."""

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
STOPS = {
    "fast stop before it arrives": (Fault(arrives=False, ended=True), FAST, False),
    "immediate stop before its answer": (Fault(arrives=True), IMMEDIATE, False),
    "fast restart while it is executed": (Fault(arrives=True, answered=False), FAST, True),
    "immediate restart before its answer": (Fault(arrives=True), IMMEDIATE, True),
}
"""The server itself stops: how, and whether it starts again at once."""

NAMES = (*FAULTS, *KILLS)

_MORE_PATIENT_THAN_A_RESTART = 1.0
KILLED = -signal.SIGKILL


@cache
def _hands() -> ThreadPoolExecutor:
    """One thread that lives as long as this process: a server ends with the thread that started it."""
    return ThreadPoolExecutor(1, "server")


@contextmanager
def less_patience() -> Iterator[None]:
    """Let a client try for a second, not for half a minute, to reach a server that is away."""
    before = postgres_session._PATIENCE_SECONDS
    postgres_session._PATIENCE_SECONDS = _MORE_PATIENT_THAN_A_RESTART
    try:
        yield
    finally:
        postgres_session._PATIENCE_SECONDS = before


@dataclass(frozen=True)
class Disturbed:
    """A command of a client on the other side of the relay."""

    seatctl: Seatctl
    argv: tuple[str, ...]
    env: Mapping[str, str]
    database: str
    relay: FaultRelay
    stdin: str = ""

    def calm(self) -> Result:
        """Run it undisturbed. The relay then has its queries."""
        self.relay.break_at(0, Fault(arrives=True))
        return self._run()

    def at(self, number: int, name: str) -> Result:
        """Run it with a fault of this name at this query; the code of a killed one is negative."""
        if name in KILLS:
            return self._killed(number, KILLS[name])
        if name in STOPS:
            return self._stopped(number, *STOPS[name])
        fault = FAULTS[name]
        act: Callable[[], object] = (lambda: end_sessions(self.database)) if fault.ended else bool
        self.relay.break_at(number, fault, act)
        with less_patience():
            result = self._run()
        self.relay.reach()
        return result

    def _run(self) -> Result:
        return self.seatctl(*self.argv, stdin=self.stdin, env=self.env)

    def _killed(self, number: int, fault: Fault) -> Result:
        pids: list[int] = []

        def kill() -> None:
            while not pids:
                time.sleep(0.001)
            os.kill(pids[0], signal.SIGKILL)

        self.relay.break_at(number, fault, kill)
        process = self.seatctl.process(*self.argv, env=self.env, stdin=subprocess.PIPE)
        pids.append(process.pid)
        out, err = process.finish(self.stdin)
        return Result(process.returncode, out, err)

    def _stopped(self, number: int, fault: Fault, how: signal.Signals, again: bool) -> Result:
        def stop() -> None:
            server().stop(how)
            if again:
                server().start()

        self.relay.break_at(number, fault, lambda: _hands().submit(stop).result())
        with less_patience():
            result = self._run()
        if server().process.poll() is not None:
            _hands().submit(server().start).result()
        return result
