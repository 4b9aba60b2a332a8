"""Running whole processes against each other: paired, interleaved, the least of each, and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished process: wall-clock seconds, greatest resident memory in bytes, what it printed."""

    seconds: float
    resident: int
    """0 where it was not asked for."""
    output: str
    """Empty where only the lines were counted."""
    lines: int
    cpu: float
    """Seconds of processor time."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured against what, and how much of it is allowed. `unit` is s, ms, µs or MB."""

    name: str
    ours: float
    floor: float
    budget: float | None
    """None: told for comparison, nothing was promised."""
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.floor

    @property
    def kept(self) -> bool:
        return self.budget is None or self.ratio <= self.budget

    def line(self) -> str:
        scale, digits = {"s": (1.0, 2), "ms": (1000.0, 1), "µs": (1e6, 0), "MB": (1e-6, 1)}[self.unit]
        ours, floor = (f"{value * scale:,.{digits}f} {self.unit}" for value in (self.ours, self.floor))
        measured = f"{self.name:<46} {ours:>11} {floor:>11} {self.ratio:>7.2f} ×"
        if self.budget is None:
            return measured
        return f"{measured} (≤ {self.budget:.3g} ×)  {'ok' if self.kept else 'OVER BUDGET'}"


class WrongResult(Exception):
    """A measured run did not do its work, so its time means nothing."""


def expect(found: object, wanted: object, what: str) -> None:
    """Raise WrongResult unless what was measured did what it should."""
    if found != wanted:
        raise WrongResult(f"{what}: {found!r}, not {wanted!r}")


_WATCHER = """
import os, sys
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
sys.stderr.write(f"\\n{usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
"""Tells the memory of a process. A process that a large one starts counts the memory of that one, too."""


def run(
    arguments: Sequence[str], env: Mapping[str, str], *, keep: bool = False, memory: bool = False
) -> Sample:
    """Run a Python of this environment to its end. Raises WrongResult.

    `keep`: its stdout is wanted. `memory`: its memory is, too, which costs a start more.
    """
    watcher = [sys.executable, "-S", "-c", _WATCHER] if memory else []
    read, write = os.pipe()
    started = time.perf_counter()
    process = subprocess.Popen(
        [*watcher, sys.executable, *arguments],
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    kept, lines = [], 0
    with os.fdopen(read, "rb") as stream:
        while chunk := stream.read1(1 << 16):
            lines += chunk.count(b"\n")
            if keep:
                kept.append(chunk)
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise WrongResult(
            f"{' '.join(arguments)}: exit {process.returncode}: {errors.decode(errors='replace')}"
        )
    unit = 1 if sys.platform == "darwin" else 1024
    resident = int(errors.split()[-1]) * unit if memory else 0
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(seconds, resident, b"".join(kept).decode(), lines, cpu)


def paired(
    ours: Callable[[], Sample], floor: Callable[[], Sample], rounds: int, *, warm: bool = False
) -> tuple[float, float]:
    """Least seconds of both, run in turns: whatever else the machine does can only add to a run.

    The median of three was once 2.5 times what the same command takes alone, on a machine with more to do
    than it has processors.
    """
    if warm:
        ours(), floor()
    pairs = [(ours().seconds, floor().seconds) for _ in range(rounds)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def least_cpu(runs: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, float]:
    """Least processor time of each of these runs by name; they are run in turns."""
    used: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, once in runs.items():
            used[name].append(once().cpu)
    return {name: min(seconds) for name, seconds in used.items()}
