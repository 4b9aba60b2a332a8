"""The engine for PostgreSQL: how few round trips it takes, and what it does if the server goes away."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest

from seatctl.errors import Code, SeatctlError
from seatctl.ledger import hashes
from seatctl.ledger.checks import server_structure
from seatctl.ledger.creation import create_ledger
from seatctl.ledger.engines import postgres_leases, postgres_session
from seatctl.ledger.engines.port import EntryValues, Scope
from seatctl.ledger.engines.postgres import PostgresEngine, connect
from seatctl.ledger.failures import LedgerBusy, LedgerConflict, LedgerLost, LedgerUnreachable, NoLedger
from seatctl.ledger.schema.staged import DESIRED_SUBSCRIPTIONS, INCOMING
from seatctl.models.ledger_url import ServerUrl
from tests.support import postgres
from tests.support.engines import (
    NOW,
    T,
    add_subscription,
    committed,
    database,
    empty,
    query,
    server_url,
)
from tests.support.fault_relay import FAULTS, fault_relay
from tests.support.refusals import refuses
from tests.support.relay import relayed

KEEP = "INSERT INTO sync_state (key, value, updated_at) VALUES (?, ?, ?)"
KEPT = "SELECT key FROM sync_state ORDER BY key"


@pytest.fixture
def server():
    return postgres.server()


@pytest.fixture
def ledger():
    """The URL of a new ledger."""
    with database(empty()) as url:
        yield url


@pytest.fixture
def engine(ledger):
    with closing(connect(ledger, wait=0.2)) as opened:
        yield opened


@pytest.fixture
def shell(server, ledger):
    """The ledger as an administrator's psql sees it."""
    with closing(server.connect(name_of(ledger))) as connection:
        connection.execute("SET search_path TO seatctl")
        yield connection


def name_of(url: ServerUrl) -> str:
    return url.secret.partition("@/")[2].partition("?")[0]


def trips(engine: PostgresEngine) -> int:
    return engine.link.round_trips


def kept(engine):
    return [row[0] for row in query(engine, KEPT)]


# -- round trips --------------------------------------------------------------------------------


def test_opening_and_closing_send_nothing():
    engine = connect(ServerUrl("postgresql://127.0.0.1:1/nothing"))
    engine.begin_reading()
    engine.end_reading()
    engine.begin_writing()
    engine.rollback()
    engine.close()
    assert trips(engine) == 0


def test_a_question_takes_one_round_trip_with_everything_that_opening_asks(engine):
    seen = []
    engine.when_opened(seen.append)
    engine.begin_reading()
    assert [row[0] for row in engine.rows("SELECT count(*) FROM users")] == [0]
    assert (trips(engine), seen[0]["mode"]) == (1, "sandbox")
    assert abs((engine.now() - NOW.now(NOW.tzinfo)).total_seconds()) < 60
    assert engine.facts.user == "postgres"
    engine.end_reading()
    engine.begin_reading()
    assert [row[0] for row in engine.rows("SELECT count(*) FROM users")] == [0]
    engine.end_reading()
    assert trips(engine) == 2


def test_a_check_that_fails_when_the_ledger_is_opened_lets_no_answer_pass(engine):
    def fail(_meta):
        raise LedgerUnreachable("no")

    engine.when_opened(fail)
    engine.begin_reading()
    with pytest.raises(LedgerUnreachable):
        next(engine.rows("SELECT 1"))
    engine.end_reading()


def test_a_change_without_questions_is_one_round_trip(engine):
    engine.meta()
    before = trips(engine)
    engine.begin_writing(Scope.SHARED)
    for number in range(20):
        engine.execute(KEEP, (f"k{number:02}", "x", T))
    engine.commit()
    assert trips(engine) == before + 1
    assert len(kept(engine)) == 20


def test_an_audited_change_is_two_round_trips(engine):
    engine.meta()
    before = trips(engine)
    append(engine)
    assert trips(engine) == before + 2
    ((place, hashed),) = query(engine, "SELECT place, hash FROM audit")
    assert (place, len(hashed)) == (1, 64)


def append(engine, n=1, scope=Scope.SHARED):
    """Commit a change with `n` change rows."""
    engine.begin_writing(scope)
    engine.reserve_entry()
    run = engine.insert_run({"command": "seatctl x", "actor": "a", "os_user": "b", "started_at": T})
    for number in range(1, n + 1):
        engine.insert_change(number, "user", number, None, "{}")
    engine.append_entry(EntryValues(run, T, "a", "b", None))
    engine.commit()
    return engine.entry


def test_a_snapshot_is_closed_in_a_pause_or_with_the_next_statement(engine, shell):
    def states():
        return shell.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()

    query(engine, "SELECT 1")
    assert states() == [("idle in transaction",)]
    before = trips(engine)
    engine.pause()
    time.sleep(0.1)
    assert (states(), trips(engine)) == ([("idle",)], before)
    query(engine, "SELECT 1")
    committed(engine, (KEEP, ("a", "x", T)))
    assert (states(), trips(engine)) == ([("idle",)], before + 2)


def test_the_server_logs_no_error_when_a_client_is_done(engine, server):
    log = server.folder / "log"
    before = log.stat().st_size
    query(engine, "SELECT 1")
    engine.close()
    engine.begin_writing()
    assert list(engine.rows("SELECT count(*) FROM sync_state"))
    engine.rollback()
    engine.close()
    with engine.hold("money", 0):
        pass
    engine.close()
    time.sleep(0.2)
    logged = log.read_bytes()[before:].decode()
    assert "client" not in logged
    assert "FATAL" not in logged


def test_an_empty_change_is_no_round_trip(engine):
    engine.meta()
    before = trips(engine)
    engine.begin_staging()
    engine.commit()
    assert trips(engine) == before


# -- the server goes away -----------------------------------------------------------------------


def terminate(shell):
    """End all other sessions of this database, as an administrator or a maintenance does."""
    shell.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_a_connection_that_was_ended_while_idle_is_opened_again(engine, shell):
    committed(engine, (KEEP, ("a", "x", T)))
    terminate(shell)
    assert kept(engine) == ["a"]
    terminate(shell)
    committed(engine, (KEEP, ("b", "x", T)))
    terminate(shell)
    with engine.hold("money", 0) as held:
        assert held
    assert kept(engine) == ["a", "b"]


def test_a_connection_lost_within_a_change_changes_nothing(engine, shell):
    engine.begin_writing()
    assert engine.changed(KEEP, ("a", "x", T)) == 1
    terminate(shell)
    with pytest.raises(LedgerLost):
        engine.changed(KEEP, ("b", "x", T))
    engine.rollback()
    assert kept(engine) == []
    engine.begin_writing()
    assert engine.changed(KEEP, ("a", "x", T)) == 1
    terminate(shell)
    with pytest.raises(LedgerLost):
        engine.commit()
    engine.rollback()
    assert kept(engine) == []
    committed(engine, (KEEP, ("c", "x", T)))
    assert kept(engine) == ["c"]


def test_nobody_goes_on_with_the_rest_of_a_change_that_was_lost(engine, shell):
    """Who catches the error of a statement must not commit what comes after it."""
    engine.begin_writing()
    assert engine.changed(KEEP, ("a", "x", T)) == 1
    terminate(shell)
    with pytest.raises(LedgerLost):
        engine.changed(KEEP, ("b", "x", T))
    with pytest.raises(LedgerLost):
        engine.changed(KEEP, ("c", "x", T))
    with pytest.raises(LedgerLost):
        engine.commit()
    engine.rollback()
    assert kept(engine) == []
    committed(engine, (KEEP, ("d", "x", T)))
    assert kept(engine) == ["d"]


def test_what_is_said_of_a_lost_connection_is_true(engine, shell):
    for said in ("nothing was changed", "the rest was not done"):
        engine.begin_writing()
        assert engine.changed(KEEP, (said, "x", T)) == 1
        terminate(shell)
        with pytest.raises(LedgerLost, match=said):
            engine.changed(KEEP, ("b", "x", T))
        engine.rollback()
        committed(engine, (KEEP, (f"{said} now", "x", T)))


def test_a_client_that_has_vanished_does_not_hold_its_locks_for_long(engine, ledger, monkeypatch):
    """Its connection is still there for the server: no packet says that it has ended."""
    monkeypatch.setattr(postgres_session, "_IDLE_SECONDS", 0.3)
    engine.begin_writing()
    assert engine.changed(KEEP, ("a", "x", T)) == 1
    with closing(connect(ledger, wait=20)) as other:
        committed(other, (KEEP, ("b", "x", T)))
    with pytest.raises(LedgerLost):
        engine.commit()
    engine.rollback()
    assert kept(engine) == ["b"]


@pytest.fixture
def relay(server):
    with relayed(server.port) as opened:
        yield opened


@pytest.fixture
def far(server, ledger, relay):
    """An engine behind the relay."""
    url = ServerUrl(server.tcp_url(name_of(ledger), port=relay.port))
    with closing(connect(url, wait=5)) as opened:
        opened.meta()
        yield opened


def test_a_commit_without_an_answer_was_carried_out(far, relay):
    relay.lose_answer_to = b"COMMIT"
    committed(far, (KEEP, ("a", "x", T)))
    assert (kept(far), far.committed) == (["a"], True)
    far.begin_writing()
    assert far.changed(KEEP, ("b", "x", T)) == 1
    relay.lose_answer_to = b"COMMIT"
    far.commit()
    assert kept(far) == ["a", "b"]


def test_a_change_that_never_arrived_is_sent_again(far, relay):
    relay.hold_back = b"COMMIT"
    committed(far, (KEEP, ("a", "x", T)))
    assert kept(far) == ["a"]
    relay.release()
    time.sleep(0.2)
    assert kept(far) == ["a"]


def test_a_commit_that_arrives_after_it_was_given_up_fails(far, relay, shell):
    far.begin_writing(Scope.SHARED)
    assert far.changed(KEEP, ("late", "x", T)) == 1
    relay.hold_back = b"COMMIT"
    with pytest.raises(LedgerLost):
        far.commit()
    far.rollback()
    relay.release()
    time.sleep(0.2)
    assert kept(far) == []
    assert shell.execute("SELECT count(*) FROM commits").fetchone()[0] == 1


def test_an_audited_change_without_an_answer_keeps_its_number(far, relay):
    relay.lose_answer_to = b"COMMIT"
    number = append(far)
    assert query(far, "SELECT seq, run FROM audit") == [(number, 1)]
    far.link_entries()
    assert query(far, "SELECT place FROM audit") == [(1,)]


def test_a_lost_answer_to_a_question_is_asked_again(far, relay):
    relay.lose_answer_to = b"count"
    assert query(far, "SELECT count(*) FROM users") == [(0,)]


@pytest.mark.parametrize("is_open", [True, False])
def test_nobody_goes_on_with_the_rest_of_a_change_that_could_not_begin(server, ledger, monkeypatch, is_open):
    """What was queued for the server is gone, also if the server can be reached again later."""
    monkeypatch.setattr(postgres_session, "_PATIENCE_SECONDS", 0.3)
    with fault_relay(server.port) as relay:
        url = ServerUrl(server.tcp_url(name_of(ledger), port=relay.port))
        with closing(connect(url, wait=5)) as engine:
            if is_open:
                engine.meta()
            engine.begin_writing()
            engine.execute(KEEP, ("a", "x", T))
            relay.break_now(FAULTS["stopped before it arrives"])
            with pytest.raises(LedgerUnreachable):
                engine.changed(KEEP, ("b", "x", T))
            relay.reach()
            with pytest.raises(LedgerLost):
                engine.changed(KEEP, ("c", "x", T))
            with pytest.raises(LedgerLost):
                engine.commit()
            engine.rollback()
            assert kept(engine) == []
            committed(engine, (KEEP, ("d", "x", T)))
            assert kept(engine) == ["d"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restart_of_the_server_loses_nothing_that_was_committed(how, monkeypatch):
    monkeypatch.setattr(postgres_session, "_PATIENCE_SECONDS", 0.5)
    own = postgres.Server()
    try:
        url = ServerUrl(own.url("postgres"))
        create_ledger(url, mode="sandbox", stripe_account=None, now=NOW).close()
        with closing(connect(url, wait=5)) as engine:
            committed(engine, (KEEP, ("a", "x", T)))
            engine.begin_writing()
            assert engine.changed(KEEP, ("b", "x", T)) == 1
            own.stop(how)
            with refuses(Code.LEDGER_UNREACHABLE, match="is not known") as lost:
                engine.commit()
            assert not isinstance(lost.value, LedgerConflict)  # which would be done again
            engine.rollback()
            own.start()
            assert kept(engine) == ["a"]
    finally:
        own.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_nobody_goes_on_without_the_staged_rows_that_a_crash_has_taken(how):
    """They were in unlogged tables. An import of nobody would succeed, a list of nobody remove everybody."""
    own = postgres.Server()
    try:
        url = ServerUrl(own.url("postgres"))
        create_ledger(url, mode="sandbox", stripe_account=None, now=NOW).close()
        with closing(connect(url, wait=5)) as engine:
            engine.begin_staging()
            engine.stage(DESIRED_SUBSCRIPTIONS)
            handles = ((n, f"s{n}") for n in range(300))
            assert engine.load("desired_subscriptions", ("n", "handle"), handles) == 300
            engine.commit()
            own.stop(how)
            own.start()
            for begin in (engine.begin_reading, engine.begin_writing):
                begin()
                if how is signal.SIGINT:
                    (counted,) = engine.rows("SELECT count(*) FROM desired_subscriptions")
                    assert counted[0] == 300
                else:
                    with pytest.raises(LedgerLost, match="the rows that this command had sent are gone"):
                        next(engine.rows("SELECT count(*) FROM desired_subscriptions"))
                engine.rollback()
    finally:
        own.close()


def test_a_commit_outlives_a_restart():
    """The server stops before its answer arrives, and is back while the client asks for its token."""
    own = postgres.Server()
    try:
        create_ledger(ServerUrl(own.url("postgres")), mode="sandbox", stripe_account=None, now=NOW).close()
        with relayed(own.port) as relay:
            url = ServerUrl(own.tcp_url("postgres", port=relay.port))
            with closing(connect(url, wait=5)) as engine:
                engine.meta()
                relay.lose_answer_to = b"COMMIT"
                with ThreadPoolExecutor(1) as thread:
                    done = thread.submit(committed, engine, (KEEP, ("a", "x", T)))
                    time.sleep(0.05)
                    own.stop()
                    own.start()
                    done.result()
                assert kept(engine) == ["a"]
    finally:
        own.close()


# -- what cannot be done ------------------------------------------------------------------------


def fails(url, code, **settings):
    with closing(connect(url, **settings)) as engine, refuses(code) as refused:
        engine.meta()
    return refused.value


def test_no_database_and_no_ledger_are_no_ledger(server):
    refused = fails(server_url("nowhere"), Code.NO_LEDGER)
    assert refused.message.startswith("there is no ledger at postgresql://")
    assert "createdb" in refused.hint  # `seatctl init` would end with the same refusal
    with database() as url:
        assert fails(url, Code.NO_LEDGER).hint == "seatctl init"


@pytest.mark.parametrize("option", ["nonsense=1", "work_mem=1", "statement_timeout=soon"])
def test_an_option_that_the_server_refuses_is_not_worth_another_try(server, option):
    with database() as url:
        place = ServerUrl(f"{url.secret}&options=-c{option.replace('=', '%3D')}")
        assert option.partition("=")[0] in fails(place, Code.BAD_LEDGER_URL).message


def test_a_server_that_does_not_answer_is_unreachable_and_no_password_is_shown():
    with relayed(1) as relay:
        port = relay.port
    refused = fails(ServerUrl(f"postgresql://ann:secret@127.0.0.1:{port}/x"), Code.LEDGER_UNREACHABLE)
    assert (refused.exit_code, "secret" in refused.message) == (75, False)


def test_a_user_that_the_server_does_not_know_is_refused(ledger):
    refused = fails(server_url(name_of(ledger), user="nobody_knows"), Code.LEDGER_REFUSED)
    assert refused.exit_code == 8


@pytest.fixture
def stranger(shell, ledger):
    """A database user without any right in the ledger."""
    shell.execute("DROP ROLE IF EXISTS stranger")
    shell.execute("CREATE ROLE stranger LOGIN")
    yield server_url(name_of(ledger), user="stranger")
    shell.execute("DROP OWNED BY stranger")
    shell.execute("DROP ROLE stranger")


def test_a_user_without_rights_may_neither_read_nor_write(stranger, shell):
    assert fails(stranger, Code.NOT_ALLOWED).exit_code == 8
    shell.execute("GRANT USAGE ON SCHEMA seatctl TO stranger")
    shell.execute("GRANT SELECT ON ALL TABLES IN SCHEMA seatctl TO stranger")
    shell.execute("GRANT EXECUTE ON FUNCTION seatctl.own_grants() TO stranger")
    with closing(connect(stranger, wait=1)) as engine:
        assert kept(engine) == []
        engine.begin_writing()
        with refuses(Code.NOT_ALLOWED):
            engine.changed(KEEP, ("a", "x", T))
        engine.rollback()
        assert kept(engine) == []


def test_a_server_that_is_read_only_is_named_so(ledger, shell):
    shell.execute(f"ALTER DATABASE {name_of(ledger)} SET default_transaction_read_only = on")
    with closing(connect(ledger)) as engine:
        assert kept(engine) == []
        engine.begin_writing()
        with refuses(Code.LEDGER_READ_ONLY):
            engine.changed(KEEP, ("a", "x", T))
        engine.rollback()


def test_a_deadlock_is_a_conflict_for_one_of_two(ledger):
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(connect(ledger, wait=10))) for _ in range(2)]
        committed(engines[0], (KEEP, ("a", "x", T)), (KEEP, ("b", "x", T)))
        both = threading.Barrier(2)

        def cross(number):
            engine, order = engines[number], ("ab", "ba")[number]
            engine.begin_writing(Scope.SHARED)
            try:
                engine.changed("UPDATE sync_state SET value = ? WHERE key = ?", (str(number), order[0]))
                both.wait()
                engine.changed("UPDATE sync_state SET value = ? WHERE key = ?", (str(number), order[1]))
                engine.commit()
            except LedgerConflict:
                return 1
            finally:
                engine.rollback()
            return 0

        with ThreadPoolExecutor(2) as threads:
            assert sum(threads.map(cross, range(2))) == 1


def test_a_row_that_another_client_inserted_first_is_a_conflict(engine, ledger):
    with closing(connect(ledger)) as other:
        committed(other, (KEEP, ("a", "x", T)))
    engine.begin_writing()
    with pytest.raises(LedgerConflict):
        engine.changed(KEEP, ("a", "x", T))
    engine.rollback()


def test_another_schema_is_another_ledger(server, ledger):
    other = ServerUrl(f"{ledger.secret}&options=-csearch_path%3Dacme")
    fails(other, Code.NO_LEDGER)
    create_ledger(other, mode="test", stripe_account=None, now=NOW).close()
    with closing(connect(other)) as engine, closing(connect(ledger)) as first:
        assert (engine.meta()["mode"], first.meta()["mode"]) == ("test", "sandbox")
        committed(engine, (KEEP, ("a", "x", T)))
        append(engine)
        assert (kept(engine), kept(first)) == (["a"], [])


def test_many_clients_that_create_the_same_ledger_open_one(server):
    with database() as url, ThreadPoolExecutor(6) as threads:

        def create(_number):
            with closing(create_ledger(url, mode="sandbox", stripe_account=None, now=NOW)) as ledger:
                return ledger.id

        assert len(set(threads.map(create, range(6)))) == 1


def test_a_ledger_is_created_by_whom_the_server_allows_it(server):
    with database() as url, closing(server.connect(name_of(url))) as shell:
        shell.execute("CREATE ROLE owner_only LOGIN")
        try:
            own = server_url(name_of(url), user="owner_only")
            with refuses(Code.NOT_ALLOWED) as refused:
                create_ledger(own, mode="sandbox", stripe_account=None, now=NOW)
            assert "CREATE SCHEMA seatctl AUTHORIZATION owner_only" in refused.value.hint
            shell.execute("CREATE SCHEMA seatctl AUTHORIZATION owner_only")
            create_ledger(own, mode="sandbox", stripe_account=None, now=NOW).close()
            with closing(connect(own)) as engine:
                append(engine)
                assert add_subscription(engine) == 1
        finally:
            shell.execute("DROP OWNED BY owner_only CASCADE")
            shell.execute("DROP ROLE owner_only")


# -- leases -------------------------------------------------------------------------------------


@pytest.fixture
def quick_leases(monkeypatch):
    monkeypatch.setattr(postgres_leases, "LEASE_SECONDS", 0.8)
    monkeypatch.setattr(postgres_leases, "RENEW_SECONDS", 0.2)


def test_a_lease_is_renewed_while_it_is_held(engine, ledger, quick_leases):
    with closing(connect(ledger)) as other, engine.hold("money", 0):
        time.sleep(1.2)
        engine.require_held("money")
        with other.hold("money", 0.5) as taken:
            assert not taken
    with closing(connect(ledger)) as other, other.hold("money", 0.5) as taken:
        assert taken


def test_a_lease_of_a_killed_process_expires(engine, ledger, quick_leases, monkeypatch):
    monkeypatch.setattr(postgres_leases._Lease, "keep", lambda lease: None)
    monkeypatch.setattr(postgres_leases._Lease, "release", lambda lease: None)
    with engine.hold("money", 0) as held:
        assert held
    with closing(connect(ledger)) as other, other.hold("money", 3) as taken:
        assert taken


def test_who_lost_a_lease_is_stopped(engine, shell, quick_leases):
    with engine.hold("money", 0):
        engine.require_held("money")
        shell.execute("UPDATE leases SET holder = 'somebody else'")
        time.sleep(0.5)
        with refuses(Code.BUSY) as refused:
            engine.require_held("money")
        assert refused.value.exit_code == 75
    assert shell.execute("SELECT holder FROM leases").fetchone() == ("somebody else",)


# -- the chain ----------------------------------------------------------------------------------


def chain_problems(shell):
    """Entries that do not follow the one before, and places that are missing."""
    before, problems = hashes.NO_HASH, []
    rows = shell.execute(
        "SELECT seq, run, at, actor, os_user, command_hash, digest, prev_hash, hash, place, origin"
        " FROM audit WHERE place IS NOT NULL ORDER BY place"
    ).fetchall()
    for expected, row in enumerate(rows, start=1):
        *fields, previous, hashed, place, origin = row
        origins = () if origin is None else (origin,)
        if (place, previous) != (expected, before) or hashed != hashes.entry_hash(
            *fields, previous, *origins
        ):
            problems.append(row)
        before = hashed
    return len(rows), problems


def test_entries_of_many_clients_become_one_chain(ledger, shell):
    def write(_number):
        with closing(connect(ledger, wait=30)) as engine:
            for n in range(10):
                append(engine, n=n % 3 + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    with closing(connect(ledger)) as engine:
        engine.link_entries()
        committed(engine, (KEEP, ("a", "x", T)))
    assert chain_problems(shell) == (80, [])
    assert (
        shell.execute("SELECT place, hash FROM chain").fetchone()
        == shell.execute("SELECT place, hash FROM audit ORDER BY place DESC LIMIT 1").fetchone()
    )


def test_an_entry_that_is_committed_later_is_linked_later(engine, ledger, shell):
    with closing(connect(ledger, wait=5)) as slow:
        slow.begin_writing(Scope.SHARED)
        slow.reserve_entry()
        early = slow.entry
        late = append(engine)
        assert late > early
        run = slow.insert_run({"command": "x", "actor": "a", "os_user": "b", "started_at": T})
        slow.append_entry(EntryValues(run, T, 'é"\x7f\n🙂', "b", '{"host":"ü"}'))
        slow.commit()
    assert shell.execute("SELECT seq, place FROM audit ORDER BY seq").fetchall() == [(early, 2), (late, 1)]
    assert chain_problems(shell) == (2, [])


def test_a_client_that_links_keeps_nobody_waiting(engine, ledger, server, shell):
    with closing(server.connect(name_of(ledger))) as other, other.transaction():
        other.execute("SELECT * FROM seatctl.chain FOR UPDATE")
        before = time.monotonic()
        append(engine)
        assert time.monotonic() - before < 1
    assert shell.execute("SELECT place FROM audit").fetchall() == [(None,)]
    append(engine)
    assert chain_problems(shell) == (2, [])


def test_old_tokens_are_forgotten(engine, shell):
    append(engine)
    shell.execute("UPDATE commits SET at = now() - interval '2 days'")
    append(engine)
    assert shell.execute("SELECT count(*) FROM commits").fetchone() == (1,)


# -- locks --------------------------------------------------------------------------------------


def test_changes_of_two_subscriptions_do_not_wait_for_each_other(engine, ledger):
    with closing(connect(ledger, wait=0.5)) as other:
        for number, one in enumerate((engine, other)):
            one.begin_writing(Scope.SHARED)
            assert one.changed(KEEP, (f"k{number}", "x", T)) == 1
        engine.commit()
        other.commit()
        assert kept(engine) == ["k0", "k1"]


def test_a_change_of_the_whole_ledger_waits_for_those_that_share_it(engine, ledger):
    with closing(connect(ledger, wait=0.3)) as whole:
        engine.begin_writing(Scope.SHARED)
        assert engine.changed(KEEP, ("a", "x", T)) == 1
        whole.begin_writing(Scope.WHOLE)
        with pytest.raises(LedgerBusy):
            next(whole.rows("SELECT 1"))
        whole.rollback()
        engine.commit()
        committed(whole, (KEEP, ("b", "x", T)))
        assert kept(whole) == ["a", "b"]


def test_errors_are_refusals_of_the_catalogue_or_bugs(engine):
    with pytest.raises(psycopg.errors.SyntaxError):
        engine.changed("SELEC 1")
    assert issubclass(LedgerConflict, SeatctlError)
    assert issubclass(NoLedger, SeatctlError)
    assert kept(engine) == []


def test_a_check_knows_every_object_of_the_schema(engine, shell):
    existing = {tuple(row) for row in shell.execute(server_structure._EXISTING).fetchall()}
    others = {(kind, name) for kind, name in existing - server_structure.expected() if kind != "index"}
    assert (others, server_structure.expected() - existing) == (set(), set())
    shell.execute("ALTER TABLE users DROP COLUMN group_key CASCADE")
    shell.execute("ALTER TABLE seats DISABLE TRIGGER seats_taken")
    assert list(server_structure.differences(engine)) == [
        ("users.group_key", "this column is missing"),
        ("users_by_group", "this index is missing"),
        ("seats_taken", "this trigger is missing or disabled"),
    ]


def test_the_planner_expects_what_is_set_after_the_rows_were_analysed(engine):
    """If it believed that no row is of a known user, it would read all of them again for each seat."""
    engine.begin_staging()
    engine.stage(INCOMING)
    rows = ((n, f"u{n}@example.com", f"u{n}@example.com", "unknown") for n in range(2000))
    engine.load("incoming", ("line", "email", "email_key", "verdict"), rows)
    engine.index_staged(INCOMING)
    engine.commit()
    engine.begin_writing(Scope.SHARED)
    engine.execute("UPDATE incoming SET user_id = line, verdict = 'known'")
    known = "SELECT user_id FROM incoming WHERE user_id IS NOT NULL AND verdict <> 'bad'"
    (text,) = next(engine.rows(f"EXPLAIN (FORMAT JSON) {known}"))
    engine.rollback()
    assert (text if isinstance(text, list) else json.loads(text))[0]["Plan"]["Plan Rows"] > 500
