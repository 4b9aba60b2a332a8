"""`python -m tests.simulator`: histories, one after another, until the steps or the seconds are used up."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulator.faults import DISTURBANCES
from tests.simulator.history import Ended, replay, roll
from tests.simulator.sabotage import ALL, sabotaged
from tests.simulator.shrink import shrunk
from tests.simulator.weather import ON_SERVER, THEMES
from tests.simulator.world import LEDGERS, Worlds, worlds


def main(argv: list[str]) -> int:
    """0 if nothing was found, 1 if an invariant was broken."""
    wanted = _parsed(argv)
    gc.set_threshold(50_000)
    with worlds(wanted.ledger) as made:
        if wanted.twice:
            return _twice(made, wanted.seed or "1", wanted.length)
        if wanted.sabotage:
            if made.are_on_server:
                from tests.simulator import server_sabotage  # noqa: F401 - it registers its faults
            names = [name for name, one in ALL.items() if one.server == made.are_on_server]
            names = names if wanted.sabotage == "all" else [wanted.sabotage]
            return max([_sabotage(made, wanted, name) for name in names])
        return _run(made, wanted)


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000, help="steps in all")
    parser.add_argument("--length", type=int, default=300, help="steps of a history")
    parser.add_argument("--seed", help="play this history only")
    parser.add_argument("--first", type=int, default=1, help="the number of the first history")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no history after that")
    parser.add_argument("--shrink", type=float, default=120.0, help="seconds for the shortest history")
    parser.add_argument("--keep-going", action="store_true", help="tell every violation, not only the first")
    parser.add_argument("--twice", action="store_true", help="play a seed twice and compare the traces")
    parser.add_argument(
        "--leave-out",
        nargs="*",
        default=[],
        metavar="NAME",
        help="faults and kinds of steps that do not happen",
    )
    parser.add_argument("--sabotage", metavar="NAME", help="put a mended fault back, or `all`: is it found?")
    parser.add_argument(
        "--theme", default="", choices=["", *THEMES, *ON_SERVER], help="histories about one thing only"
    )
    parser.add_argument("--ledger", default="file", choices=LEDGERS, help="where the ledgers are")
    parser.add_argument("--census", action="store_true", help="count how the commands ended")
    parser.add_argument("--show", action="store_true", help="print every step")
    return parser.parse_args(argv)


def _run(made: Worlds, wanted: argparse.Namespace) -> int:
    began, steps, number, failed = time.perf_counter(), 0, wanted.first, 0
    found: dict[str, int] = {}
    census: Counter[str] = Counter()
    while steps < wanted.steps and time.perf_counter() - began < wanted.seconds:
        seed = wanted.seed or str(number)
        ended = roll(made, seed, wanted.length, wanted.leave_out, wanted.theme)
        steps += len(ended.steps)
        number += 1
        census.update(_counted(ended))
        if wanted.show:
            tell(ended)
        if ended.violation is not None:
            failed += 1
            found[ended.violation.name] = found.get(ended.violation.name, 0) + 1
            if found[ended.violation.name] == 1:
                print(f"\nseed {seed}, step {len(ended.steps)}: {ended.violation}", flush=True)
                tell(shrunk(made, ended, wanted.shrink))
            if not wanted.keep_going:
                return 1
        if wanted.seed:
            break
    seconds = time.perf_counter() - began
    print(f"{steps} steps of {number - wanted.first} histories in {seconds:.0f} s, {failed} with a violation")
    for name, times in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"  {times} × {name}")
    if wanted.census:
        print("\n".join(f"{times:7} {what}" for what, times in sorted(census.items())))
    return 1 if failed else 0


def _sabotage(made: Worlds, wanted: argparse.Namespace, name: str) -> int:
    """0 if the fault is found: a history that breaks an invariant with it, and none without it."""
    began, steps, number = time.perf_counter(), 0, wanted.first
    # What is wrong without any fault is looked for without any.
    leave_out = wanted.leave_out or (DISTURBANCES if ALL[name].calm else [])
    while steps < wanted.steps and time.perf_counter() - began < wanted.seconds:
        seed = wanted.seed or str(number)
        number += 1
        with sabotaged(name):
            ended = roll(made, seed, wanted.length, leave_out, wanted.theme or ALL[name].theme)
        steps += len(ended.steps)
        if ended.violation is None:
            continue
        if replay(made, seed, ended.steps).violation is not None:
            continue  # a fault of the program itself
        found = f"found after {steps} steps, seed {seed}: {ended.violation.name}"
        print(f"{name} (point {ALL[name].point}): {found}")
        if wanted.show:
            with sabotaged(name):
                tell(shrunk(made, ended, wanted.shrink))
        sys.stdout.flush()
        return 0
    print(f"{name} (point {ALL[name].point}): not found in {steps} steps", flush=True)
    return 1


def _counted(ended: Ended) -> Iterator[str]:
    """What happened, as kinds of things to count."""
    for step, outcome in zip(ended.steps, ended.outcomes, strict=True):
        words = [word for word in step.words[:2] if word.isalpha() or "-" in word[1:]]
        dry = " --dry-run" if "--dry-run" in step.words else ""
        how = " ".join(outcome.split(" ")[:3]).partition("(")[0] if step.kind == "command" else outcome[:3]
        yield f"{' '.join(words)}{dry}: {how}" if step.kind == "command" else f"{step.kind}: {how}"


def _twice(made: Worlds, seed: str, length: int) -> int:
    first, second = roll(made, seed, length), roll(made, seed, length)
    print(first.digest, second.digest, len(first.steps))
    return 0 if first.digest == second.digest else 1


def tell(ended: Ended) -> None:
    """Print a history, a step a line."""
    for step, outcome in zip(ended.steps, ended.outcomes, strict=True):
        print(f"  {step.index:3} {step}{f'  → {outcome}' if outcome else ''}")
    print(f"  {ended.violation or 'nothing found'}", flush=True)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of texts
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulator", *sys.argv[1:]],
                  {**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
    sys.exit(main(sys.argv[1:]))
