"""Functions of PostgreSQL's schema give the results of SQLite's and Python's."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatctl.ledger import hashes
from seatctl.ledger.schema.postgres.case_folding import folded_letters
from tests.support import postgres
from tests.support.engines import ENGINES, committed, database, empty, new_ledger, query

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ODD = st.text(st.sampled_from("\"\\/'\b\t\n\f\r\x01\x1f\x7f é\u2028ß李🙂%:?"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | ODD
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
PATHS = ("$", "$.a", "$.a.b", "$.b", "$.c[0]", "$.c[1].a", "$[0]")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One ledger of each kind, for many questions."""
    folder = tmp_path_factory.mktemp("ledgers")
    with new_ledger("sqlite", folder) as first, new_ledger("postgres", folder) as second:
        yield first(), second()


def answers(both, sql, *params):
    """What each engine answers."""
    return [query(engine, sql, *params) for engine in both]


def text_of(document) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@settings(max_examples=60)
@given(DOCUMENTS)
def test_json_is_read_alike(both, document):
    text = text_of(document)
    for path in PATHS:
        read = "CAST(json_extract(?, ?) AS TEXT), json_type(?, ?), json_array_length(?, ?)"
        first, second = answers(both, f"SELECT {read}", *(text, path) * 3)
        assert first == second, (text, path)
        each = "SELECT CAST(key AS TEXT), CAST(value AS TEXT) FROM json_each(?, ?)"
        if isinstance(document, list | dict):
            first, second = answers(both, each, text, path)
            assert first == second or not is_container(document, path), (text, path)
    assert answers(both, "SELECT json_valid(?), json_valid(?)", text, f"{text}]") == [[(1, 0)]] * 2


def is_container(document, path) -> bool:
    """Whether the path leads to a list or an object: SQLite also iterates over a single value."""
    with closing(sqlite3.connect(":memory:")) as db:
        (kind,) = db.execute("SELECT json_type(?, ?)", (text_of(document), path)).fetchone()
    return kind in {"array", "object"}


@settings(max_examples=60)
@given(TEXTS | ODD, st.integers(-(2**62), 2**62))
def test_values_are_quoted_byte_for_byte(both, text, number):
    expected = (json.dumps(text, ensure_ascii=False), str(number), "null")
    quoted = "SELECT json_quote(?), json_quote(?), json_quote(NULL)"
    assert answers(both, quoted, text, number) == [[expected]] * 2


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("abcd"), SCALARS, min_size=1))
def test_a_key_is_removed_and_the_others_keep_their_order(both, document):
    first, second = answers(both, "SELECT json_remove(?, '$.b')", text_of(document))
    assert first == second


TIMES = {
    "2026-11-21T12:00:00Z": True,
    "2028-02-29T23:59:59Z": True,
    "2026-02-29T00:00:00Z": False,
    "2026-02-30T00:00:00Z": False,
    "2026-13-01T00:00:00Z": False,
    "2026-11-21T24:00:00Z": False,
    "2026-11-21T12:60:00Z": False,
    "2026-11-21 12:00:00": False,
    "yesterday": False,
    "": False,
}


@pytest.mark.parametrize("text", TIMES)
def test_what_is_a_time(both, text):
    for engine in both:
        condition = engine.not_a_time("content")
        given = "(SELECT CAST(? AS TEXT) AS content) AS given"
        rows = query(engine, f"SELECT 1 FROM {given} WHERE {condition}", text)
        assert (rows == []) is TIMES[text]


# -- hashes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell():
    with database(empty()) as url:
        name = url.secret.partition("@/")[2].partition("?")[0]
        with closing(postgres.server().connect(name)) as connection:
            connection.execute("SET search_path TO seatctl")
            yield connection


@settings(max_examples=80)
@given(TEXTS | ODD, st.none() | TEXTS | ODD, st.none() | ODD, st.integers(0, 2**62))
def test_hashes_are_those_of_python(shell, text, before, after, number):
    (change,) = shell.execute(
        "SELECT hash_of_change(%s, %s, %s, %s, 'salt')", (text, number, before, after)
    ).fetchone()
    assert change == hashes.change_hash(text, number, before, after, "salt")
    fields = (number, 7, "2026-11-21T12:00:00Z", text, before or "", "c", "d", hashes.NO_HASH)
    origins = () if after is None else (after,)
    (entry,) = shell.execute(f"SELECT hash_of_entry({', '.join(['%s'] * 9)})", (*fields, after)).fetchone()
    assert entry == hashes.entry_hash(*fields, *origins)


# -- case ---------------------------------------------------------------------------------------


def test_letters_are_folded_as_by_the_full_text_index(shell):
    """Every character: FTS5's vocabulary shows what it makes of each."""
    characters = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE letters USING fts5(letter, tokenize='trigram')")
        db.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(letters, 'instance')")
        rows = ((ord(character), f"_{character}_") for character in characters)
        db.executemany("INSERT INTO letters (rowid, letter) VALUES (?, ?)", rows)
        folded = {chr(code): term[1] for term, code in db.execute("SELECT term, doc FROM terms")}
    capitals, small = folded_letters()
    ours = dict(zip(capitals, small, strict=True))
    assert {one: made for one, made in folded.items() if made != one and not one.isascii()} == ours
    text = "".join(characters)
    (answer,) = shell.execute("SELECT folded(%s)", (text,)).fetchone()
    assert answer == "".join(folded[character] for character in characters)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_new_ledger_has_the_tables_of_the_other_engine(both, kind):
    """The columns of each table, in order; the search index and the server's own tables apart."""
    columns = {
        "sqlite": "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'users_search%' AND m.name NOT LIKE '%sqlite%'",
        "postgres": "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'seatctl' AND table_name IN (SELECT tablename FROM pg_tables"
        " WHERE schemaname = 'seatctl' AND tablename NOT LIKE 'staged%'"
        " AND tablename NOT IN ('locks', 'leases', 'commits', 'chain', 'pace',"
        " 'database_grants'))",
    }
    found = {name: set(query(engine, columns[name])) for name, engine in zip(ENGINES, both, strict=True)}
    other = next(name for name in ENGINES if name != kind)
    assert found[kind] - found[other] == set()


def test_a_text_in_another_collation_is_compared_byte_by_byte(both):
    for engine in both:
        committed(
            engine,
            "DELETE FROM sync_state",
            *(
                ("INSERT INTO sync_state VALUES (?, 'x', '2026-11-21T12:00:00Z')", (key,))
                for key in ("b", "B", "a", "Ä", "_", "é", "z")
            ),
        )
    first, second = answers(both, "SELECT key FROM sync_state ORDER BY key")
    assert first == second
