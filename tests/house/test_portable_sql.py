"""One SQL for all engines: the ledger's statements use only what SQLite and PostgreSQL both understand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import seatctl

LEDGER = Path(seatctl.__file__).parent / "ledger"

OF_ONE_ENGINE = {
    "copies.py": "backup and restore of a file",
    "checks/structure.py": "the schema of a file",
    "checks/server_structure.py": "the schema of a server",
}
"""Modules that each engine has of its own, besides `engines/` and `schema/`, and what is special in them."""

_FLAG = r"(?:\w+\.)?(?:reclaim_exempt|active|deleted|proration|differs|same|cancel_at_period_end)"

REFUSED = {
    "`IS` between values: IS [NOT] DISTINCT FROM": r"\bIS (?!NULL\b|NOT NULL\b|(NOT )?DISTINCT FROM\b)",
    "iif, ifnull: CASE, coalesce": r"\b(iif|ifnull)\(",
    "two-argument max and min: CASE": r"(?<![\w.])(max|min)\((?:[^(),]|\([^()]*\))*,",
    "a flag as a condition: compare it with 1": rf"\b(WHERE|AND|OR|NOT|WHEN) {_FLAG}(?=\W|$)(?! (=|<>|IN))",
    "a parameter as a condition: compare it with 1": r"\b(WHERE|AND|OR|NOT|WHEN) :\w+ (AND|OR|THEN)\b",
    "LIMIT -1: conditions.ALL_ROWS": r"LIMIT -1",
    "LIKE without lower(): SQLite ignores the case": r"(?<!\)) (NOT )?LIKE\b",
    "GLOB, MATCH, REGEXP": r"\b(GLOB|MATCH|REGEXP)\b",
    "rowid": r"\browid\b",
    "numbered parameters": r"\?\d",
    "INSERT OR, UPDATE OR, REPLACE": r"\b(INSERT|UPDATE) OR\b|\bREPLACE INTO\b",
    "tables of one's own: staged tables": r"\b(CREATE|DROP|TEMP|temp\.)",
    "PRAGMA and SQLite's own tables": r"\bPRAGMA\b|\bsqlite_",
    "JSON that differs by a byte: json_text.py": r"\bjson(_object|_array|_group_array|_set)?\(",
    "functions that PostgreSQL lacks": r"\b(strftime|datetime|total|char|hex|randomblob|instr|printf)\(",
    "functions written in Python": r"\b(group_key|actor_key|email_key|name_key)\(",
    "CROSS JOIN … ON": r"CROSS JOIN (?:\w+(?: AS)? \w+|\w+) ON\b",
    "the key of json_each is a text: CAST": r"ORDER BY \w+\.key\b",
    "my rows by their ids: other clients insert too": r"\bid > :(last|after)\b",
    "double quotes for a text": r"= \"",
}


def statements(source: str) -> Iterator[tuple[int, str]]:
    """Every text of a module with its line, except docstrings."""
    tree = ast.parse(source)
    notes = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.lineno, node.value


def refused(source: str) -> list[str]:
    return [
        f"{line}: {what}"
        for line, text in statements(source)
        for what, pattern in REFUSED.items()
        if re.search(pattern, text)
    ]


def modules() -> list[Path]:
    paths = sorted(path for path in LEDGER.rglob("*.py"))
    return [path for path in paths if path.relative_to(LEDGER).parts[0] not in {"engines", "schema"}]


def test_no_statement_uses_what_one_engine_lacks():
    found = {
        name: problems
        for path in modules()
        if (name := path.relative_to(LEDGER).as_posix()) not in OF_ONE_ENGINE
        and (problems := refused(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_each_exception_is_still_needed():
    assert [name for name in OF_ONE_ENGINE if not refused((LEDGER / name).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t WHERE a IS b",
        "SELECT 1 FROM t WHERE a IS NOT :b",
        "SELECT iif(a, 1, 2)",
        "SELECT max(:now, assigned_at)",
        "SELECT max(a, coalesce(b, ''))",
        "SELECT 1 FROM users u WHERE NOT u.reclaim_exempt",
        "SELECT CASE WHEN :waiting THEN 1 END",
        "SELECT 1 LIMIT -1 OFFSET 3",
        "SELECT 1 FROM t WHERE name LIKE :part",
        "SELECT rowid FROM t",
        "SELECT ?1",
        "INSERT OR IGNORE INTO t VALUES (1)",
        "CREATE TEMP TABLE t (a)",
        "SELECT json_object('a', 1)",
        "SELECT json(features)",
        "SELECT strftime('%Y', at)",
        "SELECT 1 FROM a CROSS JOIN b c ON c.n = a.n",
        "SELECT value FROM json_each(:ids) AS w ORDER BY w.key",
        "SELECT id FROM users WHERE id > :last",
        "SELECT group_key(group_name) FROM users",
    ],
)
def test_it_is_refused(sql):
    assert refused(f"sql = {sql!r}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t WHERE a IS NOT DISTINCT FROM b AND c IS NOT NULL AND d IS NULL",
        "SELECT max(a), min(coalesce(a, '')) FROM t WHERE reclaim_exempt = 1",
        "SELECT 1 FROM t WHERE lower(name) LIKE lower(:part)",
        "SELECT count(DISTINCT a) FROM t GROUP BY b, c",
        "SELECT active, deleted FROM t WHERE active = 1 AND d.differs = 0",
        "SELECT json_quote(a) || json_extract(b, '$.c') FROM t JOIN json_each(:x) AS w ON w.value = t.a",
        "SELECT a FROM t CROSS JOIN json_each(t.b) AS c JOIN d ON d.e = c.value",
    ],
)
def test_it_is_allowed(sql):
    assert refused(f"sql = {sql!r}") == []
