"""Who did it, and what was erased: runs compared with their entries, blank rows with erasures.

A run is opened before its entry is written and holds what the chain does not; here is what must agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from seatctl.ledger.transaction import Reader
from seatctl.rules.whole_numbers import MOST, whole_number

Problem = tuple[str, str]
"""(subject, detail)"""

_PLAIN = "r.number NOT IN (SELECT run FROM operations) AND r.number NOT IN (SELECT run FROM batch_rows)"
"""A run that was opened by the very transaction that ended it."""

_UNLIKE = """SELECT r.number, r.actor, r.os_user, min(a.actor) AS told, min(a.os_user) AS os_told
    FROM audit a JOIN runs r ON r.number = a.run
    WHERE r.number NOT IN (SELECT run FROM operations)
    GROUP BY a.run HAVING NOT max(a.actor = r.actor AND a.os_user = r.os_user) ORDER BY r.number"""
"""The lines of a batch may be done by several; one of them has begun it."""

_OF_OPERATIONS = """SELECT r.number, r.actor, r.os_user, o.actor AS operator, c.after,
    r.started_at IS o.created_at AND r.finished_at IS o.finished_at AND r.state
        = CASE o.state WHEN 'waiting' THEN 'pending' ELSE o.state END
        AND (o.state <> 'done' OR o.finished_at IS (SELECT at FROM audit WHERE seq = c.entry)) AS agrees
    FROM operations o JOIN runs r ON r.number = o.run
    LEFT JOIN changes c ON c.entity = 'operation' AND c.entity_id = o.id ORDER BY r.number"""

_OTHER_TIMES = f"""SELECT r.number FROM audit a JOIN runs r ON r.number = a.run
    WHERE (r.state <> 'done' OR r.started_at <> a.at OR r.finished_at IS NOT a.at) AND {_PLAIN}
    ORDER BY r.number"""  # noqa: S608 - conditions of ours

_WITHOUT_ENTRY = f"""SELECT r.number FROM runs r WHERE {_PLAIN}
    AND r.number NOT IN (SELECT run FROM audit)"""  # noqa: S608 - conditions of ours

_PLAIN_RUNS = f"""SELECT r.number, r.undo_of, r.command FROM runs r
    WHERE (r.undo_of IS NOT NULL OR r.command LIKE '% undo %') AND r.command <> '' AND {_PLAIN}
    ORDER BY r.number"""  # noqa: S608 - conditions of ours

_UNDOING = "SELECT undo_of, number FROM runs WHERE undo_of IS NOT NULL ORDER BY number"

_LAST_NUMBER = """SELECT s.seq, (SELECT max(number) FROM runs) AS last FROM sqlite_sequence s
    WHERE s.name = 'runs' AND s.seq <> coalesce((SELECT max(number) FROM runs), 0)"""


def runs(reader: Reader) -> Iterator[Problem]:
    """Runs that say something else of who did it, and when, than their entries."""
    for row in reader.rows(_UNLIKE):
        here, there = f"{row['actor']} ({row['os_user']})", f"{row['told']} ({row['os_told']})"
        yield _run(row["number"]), f"{here} did it by the run, {there} by the audit"
    yield from _of_operations(reader)
    for row in reader.rows(_OTHER_TIMES):
        yield _run(row["number"]), "its state and times are not those of its entry"
    for row in reader.rows(_WITHOUT_ENTRY):
        yield _run(row["number"]), "it changed something, but the audit does not know it"
    undone = [(row["number"], row["undo_of"]) for row in reader.rows(_UNDOING)][::-1]
    by: dict[int, int] = {}
    for row in reader.rows(_PLAIN_RUNS):
        while undone and undone[-1][0] < row["number"]:
            run, taken = undone.pop()
            by[taken] = run
        if row["undo_of"] != _run_in_effect(_undone(row["command"]), by):
            yield _run(row["number"]), f"it undoes run {row['undo_of']}, which its command does not say"
    for row in reader.rows(_LAST_NUMBER):
        yield "runs", f"the last one is {row['last']}, but the next would come after {row['seq']}"


def _of_operations(reader: Reader) -> Iterator[Problem]:
    """Who asked for an operation stands in its change row; older ones have no such row to compare with."""
    for row in reader.rows(_OF_OPERATIONS):
        told = None if row["after"] is None else json.loads(row["after"])
        asked = (row["actor"], row["os_user"])
        if row["operator"] != row["actor"]:
            yield _run(row["number"]), f"{row['actor']} did it by the run, {row['operator']} by its operation"
        elif told is not None and "actor" in told and (told["actor"], told["os_user"]) != asked:
            yield _run(row["number"]), f"{row['actor']} did it by the run, {told['actor']} by the audit"
        if not row["agrees"]:
            yield _run(row["number"]), "its state and times are not those of its operation"


def _undone(command: str) -> int | None:
    """The run that a command line undoes."""
    words = command.split()
    if "undo" not in words[1:]:
        return None
    found = (whole_number(word, MOST) for word in words)
    return next((number for number in found if number is not None), None)


def _run_in_effect(number: int | None, by: dict[int, int]) -> int | None:
    """What `runs undo` of a number takes back: the run itself, or the one that had done it again by then.

    `by` says of each run that was undone before which one has undone it.
    """
    while number in by and by[number] in by:
        number = by[by[number]]
    return number


_BLANKS = """SELECT entry, n, entity, entity_id, erased_at FROM changes WHERE erased_at IS NOT NULL
    ORDER BY entry, n"""

_ERASURES = """SELECT a.seq, a.at, c.entity_id, c.after FROM changes c JOIN audit a ON a.seq = c.entry
    WHERE c.entity = 'user' AND c.before = '{"erased":false}'"""

_BY_NAME = ("role", "request")
"""Change rows that an erasure blanks because they name the person, not for being theirs."""


def erasures(reader: Reader) -> Iterator[Problem]:
    """Change rows and commands that are blank as if erased, without an erasure that has blanked them."""
    erasures = [
        (row["seq"], row["at"], row["entity_id"], json.loads(row["after"])) for row in reader.rows(_ERASURES)
    ]
    blanked: dict[str, int] = {}
    for row in reader.rows(_BLANKS):
        moment = row["erased_at"]
        blanked[moment] = blanked.get(moment, 0) + 1
        if not any(
            at == moment
            and seq >= row["entry"]
            and (row["entity"] in _BY_NAME or (row["entity"], row["entity_id"]) == ("user", user))
            for seq, at, user, _ in erasures
        ):
            yield f"change {row['n']} of entry {row['entry']}", "it is blank, but no erasure has blanked it"
    # Older erasures do not say how much they have blanked.
    for moment in sorted({at for _, at, _, _ in erasures}):
        told = [after.get("changes") for _, at, _, after in erasures if at == moment]
        wanted = [count for count in told if isinstance(count, int)]
        if len(wanted) == len(told) and sum(wanted) != blanked.get(moment, 0):
            yield (
                f"erasure of {moment}",
                f"it blanked {sum(wanted)} changes; {blanked.get(moment, 0)} are blank",
            )
    yield from _commands(reader, [after for _, _, _, after in erasures])


def _commands(reader: Reader, erasures: list[dict[str, object]]) -> Iterator[Problem]:
    """Commands without their text: as many as erasures have blanked, none where there was no erasure."""
    blank = reader.count("SELECT count(*) FROM runs WHERE command = ''")
    told = [after.get("commands") for after in erasures]
    known = [count for count in told if isinstance(count, int)]
    if blank and not erasures:
        yield "runs", f"{blank} have no command, but nobody was erased"
    elif len(known) == len(told) and sum(known) != blank:
        yield "runs", f"{blank} have no command; erasures have blanked {sum(known)}"


def _run(number: int) -> str:
    return f"run {number}"
