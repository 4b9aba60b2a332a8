"""`python -m bench [NAME…] [--whole]`: measure the budgets, print the ratios, exit 1 where one is exceeded.

    import    users import of 100,000 users        ≤ 2.5 × the floor (bench/floors.py)
    assign    seats assign --from of 100,000       ≤ 2.5 × the floor, known users and new ones
    apply     seats apply of 100,000               ≤ 2.5 × the floor, known users, new ones, again
    batch     a batch of 2,000 lines               ≤ 1/20 of as many processes (a sample of them)
    start-up  check, a one-row seats list          ≤ 1.3 × a bare Typer command (bench/bare.py)
    search    part of a name among 1,000,000       ≤ 1.5 × the one-row seats list
              two letters of it                ≤ 3 × the same
    questions undo of one of 1.2 million       ≤ 1.5 × making the one change
              invoices of one, unpaid ones     ≤ 1.5 × those among a tenth of the invoices (SQL alone)
    backfill  a first sync 200 ms from Stripe      ≤ 1/6 of auto-paging, memory ≤ 1.2 × a quarter
    memory    1,000,000 rows against 100,000       ≤ 1.2 ×
    shared    100 clients of a server, 2 ms away   ≤ 1/3 of one lock for the ledger, 50 subscriptions

The ledger on a server, which the bench starts; processor time of client and server together:

    server-import  users import of 100,000         ≤ 2.5 × that into a file, without the search index
                   with it                         ≤ 5 × the same
    server-assign  seats assign --from of 100,000  ≤ 2 × that in a file
    server-check   check                           ≤ 1.3 × a bare script with the same driver
    server-lists   search and lists of 1,000,000 users and 10,000 subscriptions
                                                   ≤ 1.5 × those of a tenth of both

Without --whole, search and server-lists look among 200,000 users, questions asks a tenth of a ledger of
1,000,000 users, 200,000 invoices and 1.2 million changes, and memory compares 200,000 rows with 20,000;
with it, batch does 10,000 lines, and each load of shared lasts a minute, not ten seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import engines
from bench.backfill import backfill
from bench.batch import batch
from bench.bulk import apply_state, assign_seats, import_users
from bench.large_ledger import large_ledger
from bench.measure import Figure, WrongResult
from bench.memory import memory
from bench.questions import questions
from bench.shared import shared
from bench.startup import search, start_up

Bench = Callable[[Path, bool], list[Figure]]

BENCHES: dict[str, Bench] = {
    "import": lambda work, _: [import_users(work, 100_000, 5)],
    "assign": lambda work, _: assign_seats(work, 100_000, 5),
    "apply": lambda work, _: apply_state(work, 100_000, 5),
    "batch": lambda work, whole: [batch(work, 10_000 if whole else 2_000, 40)],
    "start-up": lambda work, _: start_up(work, 100_000, 21),
    "search": lambda work, whole: search(work, 1_000_000 if whole else 200_000, 15),
    "questions": lambda work, whole: questions(work, 1_000_000 if whole else 100_000, 15),
    "backfill": lambda work, whole: backfill(work, 5000 if whole else 1500),
    "memory": lambda work, whole: memory(work, *((100_000, 1_000_000) if whole else (20_000, 200_000))),
    "server-import": lambda work, _: engines.import_users(work, 100_000, 3),
    "server-assign": lambda work, _: engines.assign_seats(work, 100_000, 3),
    "server-check": lambda work, _: engines.check(work, 100_000, 21),
    "server-lists": lambda work, whole: large_ledger(work, 1_000_000 if whole else 200_000, 7),
    "shared": lambda work, whole: shared(work, 100, 50, 60 if whole else 10),
}


def main(arguments: list[str]) -> int:
    """Run the benches named, or all; 0 if every budget was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--whole", action="store_true", help="the whole sizes: some minutes and 2 GB of disk")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]}; there are {', '.join(BENCHES)}")
    print(f"{'':<46} {'ours':>11} {'floor':>11} {'ratio':>9}")
    kept = True
    for name in options.names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="seatctl-bench-") as work:
            try:
                figures = BENCHES[name](Path(work), options.whole)
            except WrongResult as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
        for figure in figures:
            print(figure.line(), flush=True)
            kept &= figure.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
