"""Copies of a prepared profile, in each of which a command was killed at another point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.conftest import Seatctl
from tests.support import ledgers
from tests.support.kill_at import Ended, run_jobs


@dataclass(frozen=True)
class Killed:
    """A copy of the profile in which the command was killed, and where."""

    where: str
    seatctl: Seatctl


@dataclass
class Killing:
    """Runs commands on copies of a profile, kept under `directory`; `whole` leaves no point out."""

    directory: Path
    whole: bool
    numbers: Iterator[int] = field(default_factory=count)

    def copy(self, seatctl: Seatctl) -> Seatctl:
        """A copy of the profile, to do with as one likes."""
        home = self.directory / str(next(self.numbers))
        ledgers.copy(seatctl.home, home, brief=True)
        return Seatctl(home)

    def undisturbed(self, seatctl: Seatctl, argv: tuple[str, ...]) -> tuple[Seatctl, Ended]:
        """A copy in which the command ran to its end, in a process of its own, and the points it passed."""
        done = self.copy(seatctl)
        (ended,) = run_jobs([(done, argv, None)])
        return done, ended

    def each(
        self, seatctl: Seatctl, argv: tuple[str, ...], ended: Ended, *, first: int = 1, step: int = 1
    ) -> Iterator[Killed]:
        """Every `step`th point from `first` on, each in a copy that lasts until the next is asked for."""
        total = len(ended.points)
        numbers = range(1, total + 1) if self.whole else range(first, total + 1, step)
        return self.at(seatctl, argv, list(numbers), lambda number: f"{number} of {total}: ")

    def at(
        self,
        seatctl: Seatctl,
        argv: tuple[str, ...],
        numbers: list[int],
        label: Callable[[int], str] = lambda number: f"{number}: ",
    ) -> Iterator[Killed]:
        """These points, the first being 1."""
        copies = [self.copy(seatctl) for _ in numbers]
        ends = run_jobs((one, argv, number) for one, number in zip(copies, numbers, strict=True))
        for one, number, ended in zip(copies, numbers, ends, strict=True):
            assert ended.killed, ended.err
            assert len(ended.points) == number
            ledgers.expire_leases(one.home)
            yield Killed(label(number) + ended.points[-1], one)
            ledgers.delete(one.home)
