"""`python -m tests.fuzz`: 20,000 inputs, spread over all parsers. Exit 1 if one of them broke a promise."""

from __future__ import annotations

import argparse
import gc
import sys
import time

from tests.fuzz.parsers import parsers
from tests.fuzz.run import Found, fuzz
from tests.fuzz.world import world


def main(argv: list[str]) -> int:
    """0 if nothing was found, 1 if a promise was broken."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--inputs", type=int, default=20_000, help="inputs in all")
    asked.add_argument("--first", type=int, default=0, help="the number of the first input of each parser")
    asked.add_argument("--only", default="", metavar="TEXT", help="parsers whose name has TEXT in it")
    wanted = asked.parse_args(argv)
    gc.set_threshold(50_000)
    found, began = Found(), time.perf_counter()
    with world() as made:
        chosen = [parser for parser in parsers(made) if wanted.only in parser.name]
        each = -(-wanted.inputs // len(chosen))
        for parser in chosen:
            told = len(found.faults)
            fuzz(made, parser, range(wanted.first, wanted.first + each), found)
            for fault in found.faults[told : told + 3]:
                sys.stdout.write(f"{fault}\n")
            sys.stdout.flush()
    codes = ", ".join(f"{code}: {count:,}" for code, count in sorted(found.codes.items()))
    sys.stdout.write(
        f"{found.inputs:,} inputs of {len(chosen)} parsers in {time.perf_counter() - began:.0f} s;"
        f" {len(found.faults)} faults; exit codes {codes};"
        f" slowest {found.slowest[0]:.2f} s ({found.slowest[1]})\n"
    )
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
