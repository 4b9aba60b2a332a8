"""One input after another: none may end in a bug, and what is refused has written nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from traceback import format_exception

from seatctl.errors import ExitCode
from tests.fuzz.mutations import mutated
from tests.fuzz.parsers import Given, Parser
from tests.fuzz.world import World

REFUSALS = frozenset(
    (
        ExitCode.USAGE,
        ExitCode.BAD_INPUT,
        ExitCode.REFUSED,
        ExitCode.NO,
        ExitCode.NOT_ALLOWED,
        ExitCode.NOT_FOUND,
    )
)
_AFRESH = 100
"""Inputs until the profile is made new: what one of them changed must not hide the next one's fault."""


@dataclass(frozen=True)
class Fault:
    """An input that broke a promise."""

    parser: str
    number: int
    given: Given
    what: str

    def __str__(self) -> str:
        argv = " ".join(
            word if len(word) < 200 else f"{word[:200]}…({len(word)})" for word in self.given.argv
        )
        read = (self.given.stdin or self.given.content)[:400]
        return f"{self.parser} #{self.number}: {self.what}\n    seatctl {argv!a}\n    reads {read!r}"


@dataclass
class Found:
    """What a run of inputs came to."""

    codes: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    @property
    def inputs(self) -> int:
        return sum(self.codes.values())


def inputs(parser: Parser, numbers: range) -> Iterator[tuple[int, Given]]:
    """The inputs of these numbers: the same ones each time."""
    for number in numbers:
        data = mutated(Random(f"{parser.name}:{number}"), parser.seeds, parser.most)
        yield number, parser.given(data)


def fuzz(world: World, parser: Parser, numbers: range, found: Found) -> None:
    """Give a parser the inputs of these numbers."""
    for number, given in inputs(parser, numbers):
        if (number - numbers.start) % _AFRESH == 0:
            world.begin()
        what = _try(world, parser, number, given, found)
        if what is not None:
            found.faults.append(Fault(parser.name, number, given, what))
            world.begin()


def _try(world: World, parser: Parser, number: int, given: Given, found: Found) -> str | None:
    """What is wrong, if anything."""
    if given.file:
        (world.folder / given.file).write_bytes(given.content)
    before, began = world.state(), time.perf_counter()
    try:
        done = world.run(given.argv, given.stdin)
    except Exception as error:  # noqa: BLE001  # whatever gets past main() is what is looked for
        found.codes[-1] += 1
        return "".join(format_exception(error))[-1500:]
    found.slowest = max(found.slowest, (time.perf_counter() - began, f"{parser.name} #{number}"))
    found.codes[done.code] += 1
    if done.code == ExitCode.UNEXPECTED or "Traceback" in done.err:
        return f"exit {done.code}: {done.err[:300]}\n{world.log()}"
    if done.code not in set(ExitCode):
        return f"exit {done.code}"
    after = world.state() if done.code in REFUSALS else before
    if after != before:
        names = [name for name in after if after[name] != before[name]]
        return f"exit {done.code}, but {', '.join(names)} was written to: {done.err[:300]}"
    if done.code and not (done.err + done.out).strip():
        return f"exit {done.code} without a word"
    return None
