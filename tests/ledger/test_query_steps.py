"""Queries for few rows of a large ledger read only those rows: counted in steps of SQLite, not timed."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import seatctl
from bench.questions import put_invoices
from seatctl.ledger.schema.migrate import INDEXES
from tests.support.steps import steps
from tests.support.subscriptions import ledger_place, query

FEW, MANY = 200, 2000


def grown(seatctl, first: int, last: int) -> None:
    put_invoices(ledger_place(seatctl), first, last)


def people(tmp_path: Path, first: int, last: int) -> Path:
    file = tmp_path / "people.csv"
    lines = (f"user{n}@example.com,User {n}\n" for n in range(first, last))
    file.write_text("email,name\n" + "".join(lines), encoding="utf-8")
    return file


def undone(seatctl, *argv) -> int:
    """Do something, and count what undoing it costs."""
    run = seatctl(*argv, "-o", "json").json["run"]
    return steps(seatctl, "runs", "undo", run)


@pytest.mark.parametrize(
    "argv",
    [
        ("users", "add", "eve@example.com"),
        ("users", "edit", "user1@example.com", "--name", "Other"),
        ("seats", "assign", "{team}", "user1@example.com"),
        ("requests", "create", "user1@example.com"),
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_undoing_one_change_costs_the_same_in_a_large_ledger(sandbox, team, tmp_path, argv):
    words = [word.format(team=team) for word in argv]
    assert sandbox("users", "import", people(tmp_path, 0, FEW)).code == 0
    small = undone(sandbox, *words)
    assert sandbox("users", "import", people(tmp_path, FEW, MANY)).code == 0
    for n in range(60):  # and in however many runs
        assert sandbox("users", "edit", "user0@example.com", "--name", f"User {n}").code == 0
    assert undone(sandbox, *words) <= 1.2 * small


@pytest.mark.parametrize(
    "argv",
    [
        ("invoices", "list", "{team}"),
        ("invoices", "list", "--unpaid"),
        ("invoices", "list", "--overdue"),
        ("invoices", "list", "--status", "draft"),
        ("invoices", "list", "--since", "2030-01-01"),
        ("subs", "list"),
        ("sync",),
    ],
    ids=" ".join,
)
def test_invoices_outside_of_a_filter_cost_nothing(sandbox, team, argv):
    words = [word.format(team=team) for word in argv]
    assert sandbox("sync").code == 0
    grown(sandbox, 1, FEW)
    small = steps(sandbox, *words)
    grown(sandbox, FEW + 1, MANY)
    assert steps(sandbox, *words) <= 1.2 * small


def test_paid_invoices_do_not_slow_down_the_list_of_subscriptions(sandbox, team):
    assert sandbox("sync").code == 0
    small = steps(sandbox, "subs", "list")
    grown(sandbox, 1, FEW)
    query(ledger_place(sandbox), "UPDATE invoices SET subscription_id = 1, status = 'paid'")
    assert steps(sandbox, "subs", "list") <= 1.2 * small


@pytest.mark.parametrize(
    "argv",
    [
        ("runs", "list", "--actor", "nobody"),
        ("runs", "list", "--state", "pending"),
        ("audit", "log", "--actor", "nobody"),
        ("audit", "log", "--since", "2099-01-01"),
        ("notify", "list", "--failed"),
    ],
    ids=" ".join,
)
def test_a_filter_without_results_reads_no_rows(sandbox, team, argv):
    small = steps(sandbox, *argv)
    for n in range(60):
        assert sandbox("seats", "assign", team, f"user{n}@example.com", "--create-users").code == 0
        assert sandbox("seats", "revoke", team, f"user{n}@example.com").code == 0
    assert steps(sandbox, *argv) <= 1.2 * small + 20


def test_no_statement_tests_a_parameter_for_null_instead_of_using_an_index():
    """`(:x IS NULL OR column = :x)` reads every row, even if there is an index."""
    bad = re.compile(r"(\(|WHERE |AND |OR |\")(:\w+|\?) IS NULL OR")
    package = Path(seatctl.__file__).parent
    texts = {file.name: file.read_text(encoding="utf-8") for file in package.rglob("*.py")}
    assert [name for name, text in texts.items() if bad.search(text)] == ["conditions.py"]  # which says why


def test_a_ledger_without_the_indexes_gets_them_when_it_is_opened(sandbox, team):
    assert sandbox("users", "add", "li@example.com", "--name", "Bo Li").code == 0
    path = ledger_place(sandbox)
    everything = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1, 2"
    made = query(path, everything)
    with closing(sqlite3.connect(path)) as db, db:
        for statement in INDEXES:
            db.execute(f"DROP INDEX {statement.split()[2]}")
        db.execute("DROP TABLE users_search")
        db.execute("DROP VIEW users_searched")
        db.execute(
            "CREATE VIRTUAL TABLE users_search USING"
            " fts5(name, email, content='users', content_rowid='id', tokenize='trigram')"
        )
        db.execute("INSERT INTO users_search (users_search) VALUES ('rebuild')")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'indexes_of_questions'")
        db.execute("PRAGMA user_version = 3")
    assert [row["email"] for row in sandbox.rows("users", "list", "Bo")] == ["li@example.com"]
    assert query(path, everything) == made
    assert sandbox("ledger", "check").code == 0
