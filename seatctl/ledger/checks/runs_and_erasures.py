"""The checks that runs agree with their audit entries, and blank change rows with erasures.

A run is opened before its entry is written and is not part of the hash chain; these checks compare the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from seatctl.ledger.conditions import flag
from seatctl.ledger.transaction import Reader
from seatctl.rules.typed_values import MOST, whole_number

Problem = tuple[str, str]
"""(subject, detail)"""

_PLAIN = "r.number NOT IN (SELECT run FROM operations) AND r.number NOT IN (SELECT run FROM batch_rows)"
"""A run that was opened and ended by one transaction."""

_UNLIKE = """SELECT r.number, r.actor, r.os_user, min(a.actor) AS told, min(a.os_user) AS os_told
    FROM audit a JOIN runs r ON r.number = a.run
    WHERE r.number NOT IN (SELECT run FROM operations)
    GROUP BY r.number, r.actor, r.os_user
    HAVING max(CASE WHEN a.actor = r.actor AND a.os_user = r.os_user THEN 1 ELSE 0 END) = 0
    ORDER BY r.number"""
"""The lines of a batch may be done by several people; the run names the one who began it."""

_AGREES = """r.started_at = o.created_at AND r.finished_at IS NOT DISTINCT FROM o.finished_at
    AND r.state = CASE o.state WHEN 'waiting' THEN 'pending' ELSE o.state END
    AND (o.state <> 'done'
        OR o.finished_at IS NOT DISTINCT FROM (SELECT at FROM audit WHERE seq = c.entry))"""

_OF_OPERATIONS = f"""SELECT r.number, r.actor, r.os_user, o.actor AS operator, c.after,
    {flag(_AGREES)} AS agrees
    FROM operations o JOIN runs r ON r.number = o.run
    LEFT JOIN changes c ON c.entity = 'operation' AND c.entity_id = o.id ORDER BY r.number"""

_OTHER_TIMES = f"""SELECT r.number FROM audit a JOIN runs r ON r.number = a.run
    WHERE (r.state <> 'done' OR r.started_at <> a.at OR r.finished_at IS DISTINCT FROM a.at) AND {_PLAIN}
    ORDER BY r.number"""

_WITHOUT_ENTRY = f"""SELECT r.number FROM runs r WHERE {_PLAIN}
    AND r.number NOT IN (SELECT run FROM audit)"""

_PLAIN_RUNS = f"""SELECT r.number, r.undo_of, r.command FROM runs r
    WHERE (r.undo_of IS NOT NULL OR lower(r.command) LIKE '% undo %') AND r.command <> '' AND {_PLAIN}
    ORDER BY r.number"""

_UNDOING = "SELECT undo_of, number FROM runs WHERE undo_of IS NOT NULL ORDER BY number"


def runs(reader: Reader) -> Iterator[Problem]:
    """Yield runs that do not agree with their audit entries about who did them and when."""
    for row in reader.rows(_UNLIKE):
        by_run, by_audit = f"{row['actor']} ({row['os_user']})", f"{row['told']} ({row['os_told']})"
        yield _run(row["number"]), f"was done by {by_run}, but by {by_audit} in the audit"
    yield from _of_operations(reader)
    for row in reader.rows(_OTHER_TIMES):
        yield _run(row["number"]), "has another state or other times than its entry"
    for row in reader.rows(_WITHOUT_ENTRY):
        yield _run(row["number"]), "is done, but not in the audit"
    undone = [(row["number"], row["undo_of"]) for row in reader.rows(_UNDOING)][::-1]
    undone_by: dict[int, int] = {}
    for row in reader.rows(_PLAIN_RUNS):
        while undone and undone[-1][0] < row["number"]:
            run, undone_run = undone.pop()
            undone_by[undone_run] = run
        if row["undo_of"] != _run_in_effect(_undone(row["command"]), undone_by):
            yield _run(row["number"]), f"undoes run {row['undo_of']}, which its command does not name"
    last, given = reader.number("SELECT max(number) FROM runs"), reader.engine.last_run_number()
    if given is not None and given != (last or 0):
        yield "runs", f"the last run is {last}, but the next one would come after {given}"


def _of_operations(reader: Reader) -> Iterator[Problem]:
    """Check who requested each operation. Its change row says so; those of earlier versions do not."""
    for row in reader.rows(_OF_OPERATIONS):
        audited = None if row["after"] is None else json.loads(row["after"])
        by_run = (row["actor"], row["os_user"])
        if row["operator"] != row["actor"]:
            yield _run(row["number"]), f"was done by {row['actor']}, but its operation by {row['operator']}"
        elif audited is not None and "actor" in audited and (audited["actor"], audited["os_user"]) != by_run:
            yield _run(row["number"]), f"was done by {row['actor']}, but by {audited['actor']} in the audit"
        if not row["agrees"]:
            yield _run(row["number"]), "has another state or other times than its operation"


def _undone(command: str) -> int | None:
    """Return the number of the run that a command line undoes."""
    words = command.split()
    if "undo" not in words[1:]:
        return None
    numbers = (whole_number(word, MOST) for word in words)
    return next((number for number in numbers if number is not None), None)


def _run_in_effect(number: int | None, undone_by: dict[int, int]) -> int | None:
    """Return the run that `runs undo NUMBER` undid: that run, or the later one that had repeated it by then.

    `undone_by` maps each run that was undone before to the run that undid it.
    """
    while number in undone_by and undone_by[number] in undone_by:
        number = undone_by[undone_by[number]]
    return number


_BLANKS = """SELECT entry, n, entity, entity_id, erased_at FROM changes WHERE erased_at IS NOT NULL
    ORDER BY entry, n"""

_ERASURES = """SELECT a.seq, a.at, c.entity_id, c.after FROM changes c JOIN audit a ON a.seq = c.entry
    WHERE c.entity = 'user' AND c.before = '{"erased":false}'"""

_NAMING_A_PERSON = ("role", "request")
"""Change rows of these are blanked by an erasure if they name the person."""


def erasures(reader: Reader) -> Iterator[Problem]:
    """Yield change rows and commands that are blank although no erasure blanked them."""
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
            and (row["entity"] in _NAMING_A_PERSON or (row["entity"], row["entity_id"]) == ("user", user))
            for seq, at, user, _ in erasures
        ):
            yield f"change {row['n']} of entry {row['entry']}", "is blank, but no erasure blanked it"
    # Erasures by earlier versions do not say how much they blanked.
    for moment in sorted({at for _, at, _, _ in erasures}):
        counts = [after.get("changes") for _, at, _, after in erasures if at == moment]
        known = [count for count in counts if isinstance(count, int)]
        if len(known) == len(counts) and sum(known) != blanked.get(moment, 0):
            yield (
                f"erasure of {moment}",
                f"blanked {sum(known)} changes, but {blanked.get(moment, 0)} are blank",
            )
    yield from _commands(reader, [after for _, _, _, after in erasures])


def _commands(reader: Reader, erasures: list[dict[str, object]]) -> Iterator[Problem]:
    """Check that as many commands are blank as erasures blanked."""
    blank = reader.count("SELECT count(*) FROM runs WHERE command = ''")
    counts = [after.get("commands") for after in erasures]
    known = [count for count in counts if isinstance(count, int)]
    if blank and not erasures:
        yield "runs", f"{blank} commands are blank, but nobody was erased"
    elif len(known) == len(counts) and sum(known) != blank:
        yield "runs", f"{blank} commands are blank, but erasures blanked {sum(known)}"


def _run(number: int) -> str:
    return f"run {number}"
