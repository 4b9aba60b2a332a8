"""What every engine does alike: statements, values, transactions, errors, guards and the audit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatctl.ledger import hashes
from seatctl.ledger.engines.port import EntryValues, Scope, StagedTable
from seatctl.ledger.failures import LedgerBusy
from seatctl.ledger.schema.staged import DESIRED_SUBSCRIPTIONS, INCOMING
from tests.support.engines import CONNECTIONS, T, add_subscription, committed, new_ledger, query

ODD = "a'b\"c\\d%e%%f:g::h?i$$j --k\n🙂ß\u2028\x7f"


@pytest.fixture(params=CONNECTIONS)
def open_engine(request, tmp_path):
    with new_ledger(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
def engine(open_engine):
    return open_engine()


# -- statements and values ----------------------------------------------------------------------


def test_rows_have_their_columns_by_name_and_position(engine):
    (row,) = engine.rows("SELECT 1 AS one, 'x' AS two, NULL AS three, 2 AS one")
    assert (row["one"], row[0], row[1], row["two"], row["three"], row[-1]) == (1, 1, "x", "x", None, 2)
    assert list(row.keys()) == ["one", "two", "three", "one"]
    assert tuple(row) == (1, "x", None, 2)
    assert engine.columns("SELECT id, email FROM users") == ["id", "email"]


@pytest.mark.parametrize("value", [ODD, "", 0, -1, 2**62, -(2**62), 1.5, None, True])
def test_values_go_in_and_come_out_as_they_are(engine, value):
    named = "SELECT :value AS a, :value AS b, ':value ? %s' AS c"
    assert [tuple(row) for row in engine.rows(named, {"value": value})] == [(value, value, ":value ? %s")]
    assert [tuple(row) for row in engine.rows("SELECT ?, ':x?', ?", (value, 7))] == [(value, ":x?", 7)]


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_is_stored_as_it_is(shared, text):
    for engine in shared:
        committed(engine, "DELETE FROM sync_state", (_KEEP, {"value": text, "now": T}))
        assert query(engine, "SELECT value, value = ? FROM sync_state", text) == [(text, 1)]


_KEEP = "INSERT INTO sync_state (key, value, updated_at) VALUES ('x', :value, :now)"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One ledger of each kind, for many examples."""
    folder = tmp_path_factory.mktemp("ledgers")
    with new_ledger("sqlite", folder) as first, new_ledger("postgres", folder) as second:
        yield first(), second()


def test_conditions_and_sums_are_numbers(engine):
    add_subscription(engine, users=3)
    assert query(engine, "SELECT count(*), sum(id), max(id) > 2 FROM users") == [(3, 6, 1)]
    (row,) = engine.rows("SELECT sum(id) AS total FROM users")
    assert type(row["total"]) is int


def test_a_nul_in_a_text_is_refused_by_a_server(engine):
    engine.begin_writing()
    engine.execute(_KEEP, {"value": "a\0b", "now": T})
    if type(engine).__name__ == "SqliteEngine":
        engine.commit()
    else:
        with pytest.raises(ValueError, match="NUL"):
            engine.commit()
    engine.rollback()


def test_a_parameter_too_many_or_too_few_is_a_bug(engine):
    with pytest.raises(Exception):  # noqa: B017 - each driver has its own
        list(engine.rows("SELECT ?, ?", (1,)))
    with pytest.raises(Exception):  # noqa: B017
        list(engine.rows("SELECT :missing", {"other": 1}))


def test_inserted_rows_are_known_by_their_keys(engine):
    engine.begin_writing()
    later = []
    first = engine.insert("users", {"email": "a", "email_key": "a", "created_at": T})
    engine.insert_later("users", {"email": "b", "email_key": "b", "created_at": T}, later.append)
    asked = []
    engine.ask("SELECT count(*) AS n FROM users", (), asked.append)
    engine.ask("SELECT 1 FROM users WHERE id = 0", (), asked.append)
    assert engine.changed("UPDATE users SET name = 'x' WHERE id > ?", (0,)) == 2
    assert (first, later, asked[0]["n"], asked[1]) == (1, [2], 2, None)
    engine.commit()


def test_many_rows_are_loaded_and_streamed(engine):
    engine.begin_writing()
    rows = ((f"k{n:05}", ODD, T) for n in range(12_345))
    assert engine.load("sync_state", ("key", "value", "updated_at"), rows) == 12_345
    assert engine.load("sync_state", ("key", "value", "updated_at"), [("a", "b", T), ("c", "d", T)]) == 2
    assert engine.load("sync_state", ("key", "value", "updated_at"), []) == 0
    engine.commit()
    engine.begin_reading()
    streamed = [row["key"] for row in engine.stream("SELECT key FROM sync_state ORDER BY key")]
    assert (len(streamed), streamed[:2], streamed[-1]) == (12_347, ["a", "c"], "k12344")
    inner = engine.stream("SELECT key FROM sync_state WHERE key > ? ORDER BY key", ("b",))
    assert next(inner)["key"] == "c"
    assert [row[0] for row in engine.rows("SELECT value FROM sync_state WHERE key = 'k00001'")] == [ODD]
    assert next(inner)["key"] == "k00000"
    engine.end_reading()


# -- staged rows --------------------------------------------------------------------------------


def staged(engine, *names, table: StagedTable = DESIRED_SUBSCRIPTIONS):
    engine.begin_staging()
    engine.stage(table)
    engine.load(table.name, ("n", "handle"), enumerate(names, start=1))
    engine.index_staged(table)
    engine.commit()


def handles(engine):
    return [row[0] for row in engine.rows("SELECT handle FROM desired_subscriptions ORDER BY n")]


def test_staged_rows_belong_to_one_connection_and_survive_its_transactions(open_engine):
    first, second = open_engine(), open_engine()
    staged(first, "a", "b")
    staged(second, *"wxyz")
    first.begin_writing()
    assert handles(first) == ["a", "b"]
    assert first.changed("UPDATE desired_subscriptions SET handle = 'c' WHERE n = 2") == 1
    first.commit()
    second.begin_reading()
    assert handles(second) == [*"wxyz"]
    second.end_reading()
    first.begin_reading()
    assert handles(first) == ["a", "c"]
    first.end_reading()
    staged(first, "again")
    first.begin_writing()
    assert handles(first) == ["again"]
    first.rollback()


def test_a_rollback_undoes_staged_rows(engine):
    staged(engine, "a")
    engine.begin_scratch()
    engine.execute("INSERT INTO desired_subscriptions (n, handle) VALUES (2, 'b')")
    assert handles(engine) == ["a", "b"]
    engine.rollback()
    engine.begin_writing()
    assert handles(engine) == ["a"]
    engine.rollback()


def test_thousands_of_staged_rows(engine):
    engine.begin_staging()
    engine.stage(INCOMING)
    columns = ("line", "email", "email_key", "verdict")
    rows = ((n, f"u{n}@x", f"u{n}@x", "unknown") for n in range(1, 3001))
    assert engine.load("incoming", columns, rows) == 3000
    engine.index_staged(INCOMING)
    engine.commit()
    engine.begin_writing()
    assert engine.changed("UPDATE incoming SET result = 'x' WHERE line > 10") == 2990
    assert [row[0] for row in engine.rows("SELECT count(*) FROM incoming WHERE result IS NULL")] == [10]
    engine.rollback()


# -- transactions -------------------------------------------------------------------------------


def test_a_rollback_leaves_nothing_and_a_commit_everything(open_engine):
    engine, other = open_engine(), open_engine()
    engine.begin_writing()
    assert engine.in_transaction
    engine.execute(_KEEP, {"value": "1", "now": T})
    engine.rollback()
    engine.rollback()
    assert (query(other, "SELECT * FROM sync_state"), engine.in_transaction) == ([], False)
    assert not engine.committed
    committed(engine, (_KEEP, {"value": "2", "now": T}))
    assert query(other, "SELECT value FROM sync_state") == [("2",)]
    assert engine.committed


def test_a_snapshot_does_not_change_and_cannot_write(open_engine):
    engine, other = open_engine(), open_engine()
    engine.begin_reading()
    assert list(engine.rows("SELECT 1 FROM sync_state")) == []
    committed(other, (_KEEP, {"value": "1", "now": T}))
    assert list(engine.rows("SELECT 1 FROM sync_state")) == []
    with pytest.raises(Exception) as refused:
        engine.changed(_KEEP, {"value": "2", "now": T})
    assert getattr(refused.value, "code", "") == "ledger_read_only"
    engine.end_reading()
    assert query(engine, "SELECT value FROM sync_state") == [("1",)]


def test_two_changes_of_the_whole_ledger_exclude_each_other(open_engine):
    engine, other = open_engine(), open_engine()
    other.meta()
    engine.begin_writing()
    assert engine.changed(_KEEP, {"value": "1", "now": T}) == 1
    with pytest.raises(LedgerBusy):
        committed(other, (_KEEP, {"value": "2", "now": T}))
    engine.commit()
    committed(other, ("UPDATE sync_state SET value = ?", ("2",)))
    assert query(engine, "SELECT value FROM sync_state") == [("2",)]


def test_an_error_in_the_queue_is_raised_by_the_commit_at_the_latest(engine):
    engine.begin_writing()
    with pytest.raises(Exception, match=r"(?i)is_a_time|sync_state"):  # noqa: PT012
        engine.execute(_KEEP, {"value": "1", "now": "yesterday"})
        engine.commit()
    engine.rollback()
    assert query(engine, "SELECT * FROM sync_state") == []
    committed(engine, (_KEEP, {"value": "1", "now": T}))


def test_meta_is_known_when_the_ledger_is_opened(engine):
    seen = []
    engine.when_opened(seen.append)
    meta = engine.meta()
    assert (meta["mode"], meta["ledger_id"][:4]) == ("sandbox", "led_")
    assert seen[0]["mode"] == "sandbox"
    committed(engine, "INSERT INTO meta (key, value) VALUES ('x', 'y')")
    assert engine.meta()["x"] == "y"


def test_a_lock_across_transactions_has_one_holder(open_engine):
    engine, other = open_engine(), open_engine()
    with engine.hold("money", 0) as held, other.hold("money", 0.1) as taken, other.hold("mail", 0) as mail:
        assert (held, taken, mail) == (True, False, True)
        engine.require_held("money")
        with engine.hold("batch:1", 0) as one, engine.hold("batch:2", 0) as two:
            assert (one, two) == (True, True)
    with other.hold("money", 1) as held:
        assert held


# -- guards -------------------------------------------------------------------------------------

SEAT = "INSERT INTO seats (subscription_id, user_id, assigned_at) VALUES (?, ?, ?)"


def refused(engine, statement, params=()):
    """The message with which a change by hand is refused."""
    engine.begin_writing()
    try:
        with pytest.raises(Exception) as error:
            engine.changed(statement, params)
    finally:
        engine.rollback()
    return str(error.value.__cause__ or error.value)


def counts(engine):
    return query(engine, "SELECT capacity, assigned FROM subscriptions")[0]


def test_seats_are_counted_and_never_more_than_paid_for(engine):
    design = add_subscription(engine, seats=2, users=3)
    committed(engine, (SEAT, (design, 1, T)), (SEAT, (design, 2, T)))
    assert counts(engine) == (2, 2)
    assert "no_seats_left" in refused(engine, SEAT, (design, 3, T))
    committed(engine, ("UPDATE seats SET revoked_at = ? WHERE user_id = 1", (T,)))
    assert counts(engine) == (2, 1)
    committed(engine, (SEAT, (design, 3, T)), "DELETE FROM seats WHERE user_id = 2")
    assert counts(engine) == (2, 1)


def test_many_seats_are_counted_at_once(engine):
    design = add_subscription(engine, seats=500, users=0)
    engine.begin_writing()
    engine.load(
        "users", ("email", "email_key", "created_at"), ((f"u{n}@x", f"u{n}@x", T) for n in range(600))
    )
    engine.commit()
    many = (
        "INSERT INTO seats (subscription_id, user_id, assigned_at)"
        " SELECT ?, id, ? FROM users ORDER BY id LIMIT ?"
    )
    assert "no_seats_left" in refused(engine, many, (design, T, 501))
    committed(engine, (many, (design, T, 500)))
    assert counts(engine) == (500, 500)
    committed(engine, ("UPDATE seats SET revoked_at = ? WHERE id % 2 = 0", (T,)))
    assert counts(engine) == (500, 250)


def test_the_capacity_holds_against_many_at_once(open_engine):
    first = open_engine()
    design = add_subscription(first, seats=5, users=12)
    engines = [open_engine() for _ in range(4)]

    def take(numbered):
        number, user = numbered
        engine = engines[number]
        for _ in range(200):
            try:
                engine.begin_writing(Scope.SHARED)
                engine.changed(SEAT, (design, user, T))
                engine.commit()
            except LedgerBusy:
                engine.rollback()
                if counts(engine)[1] == 5:
                    return False
            finally:
                engine.rollback()
                engine.pause()  # else a snapshot would keep one of the few sessions of a pool
            if taken(engine, user):
                return True
        return False

    if type(first).__name__ == "SqliteEngine":
        pytest.skip(
            "connections of SQLite belong to one thread; tests/services/seats/test_races.py has races"
        )
    with ThreadPoolExecutor(4) as pool:
        results = [list(pool.map(take, [(n, 4 * turn + n + 1) for n in range(4)])) for turn in range(3)]
    assert sum(map(sum, results)) == 5
    assert counts(first) == (5, 5)
    assert query(first, "SELECT count(*) FROM seats WHERE revoked_at IS NULL") == [(5,)]


def taken(engine, user):
    found = query(engine, "SELECT 1 FROM seats WHERE user_id = ?", user)
    engine.pause()
    return bool(found)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE subscriptions SET assigned = 0", "kept by the seats"),
        ("UPDATE subscriptions SET assigned = 2", "kept by the seats"),
        ("UPDATE subscriptions SET last_counted = 99", "kept by the seats"),
        ("UPDATE seats SET user_id = 3", "keeps its user"),
        ("UPDATE seats SET id = 9", "keeps its user"),
    ],
)
def test_what_no_hand_may_change(engine, change, why):
    design = add_subscription(engine)
    committed(engine, (SEAT, (design, 1, T)))
    assert why in refused(engine, change)
    assert counts(engine) == (2, 1)


def test_a_revoked_seat_is_never_reopened(engine):
    design = add_subscription(engine)
    committed(engine, (SEAT, (design, 1, T)), ("UPDATE seats SET revoked_at = ?", (T,)))
    assert "never reopened" in refused(engine, "UPDATE seats SET revoked_at = NULL")
    assert "never reopened" in refused(engine, "UPDATE seats SET revoked_at = '2027-01-01T00:00:00Z'")


@pytest.mark.parametrize(("subscription", "user"), [(99, 1), (1, 99)])
def test_a_seat_has_a_user_and_a_subscription(engine, subscription, user):
    add_subscription(engine)

    def insert():
        committed(engine, (SEAT, (subscription, user, T)))

    with pytest.raises(Exception, match=r"(?i)foreign key|a seat has a user"):
        insert()


# -- audit --------------------------------------------------------------------------------------

VALUES = EntryValues(run=0, at=T, actor="ann@example.com", os_user='a"n\\n\té🙂', origin=None)


def entry(engine, **values):
    """Append an entry with three changes: one recorded, two selected."""
    engine.begin_writing()
    run = engine.insert_run(
        {"command": f"seatctl {ODD}", "actor": "ann@example.com", "os_user": "ann", "started_at": T}
    )
    engine.insert_change(1, "user", 7, None, '{"email":"é"}')
    many = "SELECT 8 AS entity_id, NULL AS before, :after AS after UNION ALL SELECT 9, :after, NULL"
    assert engine.insert_changes(1, "seat", many, {"after": f'{{"x":"{ODD[:3]}"}}'}) == 2
    engine.append_entry(VALUES._replace(run=run, **values))
    engine.commit()
    return engine.entry


def test_changes_and_entries_have_the_hashes_of_python(engine):
    first, second = entry(engine), entry(engine, actor="bob 🙂")
    assert second > first
    changes = query(
        engine, "SELECT entity, entity_id, before, after, salt, hash, entry FROM changes ORDER BY entry, n"
    )
    assert len(changes) == 6
    assert len({salt for *_, salt, _, _ in changes}) == 6
    digests = {first: hashes.sha256(), second: hashes.sha256()}
    for *content, hashed, number in changes:
        assert hashes.change_hash(*content) == hashed
        digests[number].update(hashed.encode())
    rows = query(
        engine,
        "SELECT seq, run, at, actor, os_user, command_hash, digest, prev_hash, hash FROM audit ORDER BY seq",
    )
    assert [row[0] for row in rows] == [first, second]
    before = hashes.NO_HASH
    for *fields, previous, hashed in rows:
        assert fields[5] == hashes.text_hash(f"seatctl {ODD}")
        assert fields[6] == digests[fields[0]].hexdigest()
        assert (previous, hashed) == (before, hashes.entry_hash(*fields, previous))
        before = hashed


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit SET hash = 'x'",
        "DELETE FROM audit",
        "DELETE FROM changes",
        "UPDATE changes SET after = 'x'",
        "UPDATE changes SET erased_at = '2026-01-01T00:00:00Z'",
    ],
)
def test_the_audit_is_append_only(engine, change):
    entry(engine)
    assert "append-only" in refused(engine, change)


def test_no_change_is_added_to_a_written_entry(engine):
    number = entry(engine)
    added = "INSERT INTO changes (entry, n, entity, entity_id, hash) VALUES (?, 9, 'user', 1, 'x')"
    assert "append-only" in refused(engine, added, (number,))


def test_an_erasure_blanks_the_contents_of_a_change(engine):
    entry(engine)
    erased = "UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at = ?"
    committed(engine, (erased, (T,)))
    assert query(engine, "SELECT count(*) FROM changes WHERE salt IS NULL AND length(hash) = 64") == [(3,)]
    assert "append-only" in refused(engine, erased, ("2027-01-01T00:00:00Z",))


def test_nothing_is_wrong_with_a_new_ledger(engine):
    assert engine.is_guarded
    assert (list(engine.integrity_problems()), engine.search_problem()) == ([], None)
    engine.begin_reading()
    assert list(engine.reference_problems()) == []
    assert engine.undecodable("users", "id", ("email", "name")) == []
    engine.end_reading()
