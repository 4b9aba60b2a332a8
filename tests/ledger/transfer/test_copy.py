"""A ledger that is copied to a server and back is the same, and is used in one place only."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatctl.errors import SeatctlError
from seatctl.ledger.engines.postgres import PostgresEngine
from seatctl.ledger.failures import LedgerBusy
from seatctl.ledger.ledger import Ledger, Scope, open_ledger
from seatctl.ledger.transfer.tables import TABLES
from seatctl.models.call import Call
from seatctl.models.ledger_url import ServerUrl
from seatctl.services import ledger_copy
from tests.sandbox.seed import send
from tests.support import postgres
from tests.support.both_sides import charges, twin
from tests.support.engines import ENGINES, new_ledger
from tests.support.open_operations import kinds_left_open, load
from tests.support.places import At, database, expire_leases
from tests.support.standby import servers
from tests.support.subscriptions import ledger_place, query
from tests.support.warm import PROGRAM, python

ANN, BOB = "ann@example.com", "bob@example.com"
OPEN_OPERATIONS = Path(__file__).parents[2] / "fixtures" / "open_operations"
CALL = Call(ANN, "ann", "seatctl ledger copy", datetime(2026, 11, 21, 12, tzinfo=UTC))
KILLED_AFTER_PAYING = f"""
import os, signal
from seatctl.sandbox.api.twin import Twin
handle = Twin.handle
def killed(self, method, url, headers, form):
    answer = handle(self, method, url, headers, form)
    if method == "POST" and url.startswith("/v1/subscriptions"):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
Twin.handle = killed
{PROGRAM}
"""


@pytest.fixture
def url():
    with database() as made:
        yield made


@pytest.fixture
def home(sandbox, team) -> At:
    """A ledger in a file: two seats, one of which was revoked, and a request."""
    at = At(sandbox, ledger_place(sandbox))
    at.done(f"seats assign {team} {ANN} {BOB} --create-users")
    at.done(f"seats revoke {team} {BOB}")
    at.done("requests create cy@example.com --create-users")
    return at


def refusal(at: At, *argv: str) -> tuple[int, str]:
    refused = at(*argv, "-o", "json")
    return refused.code, refused.error["code"]


def opened(place: str | Path) -> Ledger:
    """The ledger, whatever its state; the caller closes it."""
    return open_ledger(ServerUrl(place) if "://" in str(place) else Path(place), wait=0.2, in_use=False)


def meta(place: str | Path) -> dict[str, str]:
    with closing(opened(place)) as ledger:
        return dict(ledger.engine.meta())


# -- the same ledger ----------------------------------------------------------------------------


def test_what_was_begun_in_a_file_is_finished_on_a_server(tmp_path, url):
    """An operation of every kind. Exports and lists are the same there and back."""
    left, moved = (load(OPEN_OPERATIONS, tmp_path / name / "seatctl") for name in ("left", "moved"))
    assert left("sync").code == 10
    file = At(moved, ledger_place(moved))
    head, before = file.head(), file.contents(tmp_path / "before")
    server = file.move(url)
    assert server.contents(tmp_path / "there") == before
    server.assert_sound(head)
    back = server.move(tmp_path / "back.db")
    assert back.contents(tmp_path / "back") == before
    back.assert_sound(head)
    with database() as another:
        there = back.move(another)
        assert there("sync").code == 10
        assert charges(moved) == charges(left)
        there.assert_sound(head)
        end = there.move(tmp_path / "end.db")
    assert kinds_left_open(left) == ["checkout", "checkout"]
    states = "SELECT id, kind, state FROM operations ORDER BY id"
    assert query(Path(end.place), states) == query(ledger_place(left), states)


@pytest.mark.parametrize(
    "command",
    [
        "subs add-seats design 2",
        "subs buy --plan pro --seats 3 --name lab --bill-to design",
    ],
)
@pytest.mark.parametrize("begun", ENGINES)
def test_a_purchase_that_was_killed_is_finished_at_the_other_place(home, url, tmp_path, begun, command):
    """Stripe has charged, and nobody has read its answer."""
    here = home if begun == "sqlite" else home.move(url)
    before = charges(home.seatctl)
    environment = home.seatctl.environment(here.variables)
    process = python(KILLED_AFTER_PAYING, *command.split(), "--yes", env=environment, stdout=subprocess.PIPE)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(charges(home.seatctl)) == len(before) + 1
    if begun == "postgres":
        expire_leases(url)
    there = here.move(url if begun == "sqlite" else tmp_path / "file.db")
    assert there("sync").code == 0
    seats = {row["name"]: row["seats"] for row in there.rows("subs", "list")}
    assert seats == ({"design": 7} if "add-seats" in command else {"design": 5, "lab": 3})
    assert refusal(here, "sync") == (74, "ledger_moved")
    assert len(charges(home.seatctl)) == len(before) + 1
    there.assert_sound(there.head())


def test_every_table_and_column_is_copied(tmp_path):
    """What a server has besides belongs to the server: locks, leases, tokens, staged rows, grants."""
    columns = {}
    for kind in ENGINES:
        with new_ledger(kind, tmp_path) as connection:
            engine = connection()
            engine.begin_reading()
            columns[kind] = {table: sorted(engine.columns(f"SELECT * FROM {table}")) for table in TABLES}
            if kind == "sqlite":
                named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT%'"
            else:
                named = (
                    "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename"
                    " NOT LIKE 'staged%' AND tablename NOT IN"
                    " ('locks', 'leases', 'commits', 'chain', 'pace', 'database_grants')"
                )
            assert {row[0] for row in engine.rows(named)} == set(TABLES)
            engine.end_reading()
    assert columns["sqlite"] == columns["postgres"]


def test_commands_go_on_at_the_new_place(home, team, url, tmp_path):
    """New rows get new ids, entries follow the last one, the search finds everybody."""
    server = home.move(url)
    server.done(f"seats assign {team} dee@example.com --create-users")
    server.done("requests approve 1 --subscription design")
    server.done(f"runs undo {server.rows('runs', 'list')[0]['number']}")
    head = server.head()
    assert server.rows("users", "list", "dee")[0]["email"] == "dee@example.com"
    file = server.move(tmp_path / "file.db")
    file.done(f"seats assign {team} eve@example.com --create-users")
    assert file.rows("users", "list", "eve")[0]["email"] == "eve@example.com"
    file.assert_sound(head)
    numbers = [run["number"] for run in file.rows("runs", "list")]
    assert sorted(numbers) == sorted(set(numbers))


@contextmanager
def recorded(ledger: Ledger, value: str):
    """An open transaction that has reserved its entry."""
    with ledger.change(CALL, Scope.SHARED) as tx:
        tx.execute("INSERT INTO meta (key, value) VALUES (?, '1')", (f"setting.{value}",))
        tx.record("setting", 0, {value: None}, {value: "1"})
        assert tx.entry
        yield


def test_a_chain_with_another_order_than_its_numbers_is_continued(home, url, tmp_path):
    """The entry that was begun first was committed last, and one was rolled back: its number is missing."""
    server = home.move(url)
    with closing(opened(url)) as first, closing(opened(url)) as second:
        with pytest.raises(ZeroDivisionError), recorded(first, "rolled_back"):
            _ = 1 / 0
        with recorded(first, "last"), recorded(second, "first"):
            pass
    head = server.head()
    file = server.move(tmp_path / "file.db")
    places = query(Path(file.place), "SELECT seq, place FROM audit ORDER BY place")
    assert places != sorted(places)
    assert places[-1][0] < max(places)[0]
    file.done("users add new@example.com")
    file.assert_sound(head)
    with database() as another:
        file.move(another).assert_sound(head)


@pytest.mark.parametrize("keep", [False, True])
def test_an_entry_that_is_not_linked_is_linked_first(home, url, tmp_path, keep):
    server = home.move(url)
    with closing(opened(url)) as linking, closing(opened(url)) as writing:
        linking.engine.begin_writing(Scope.SHARED)
        next(linking.engine.rows("SELECT place FROM chain FOR UPDATE"))
        with recorded(writing, "not_linked"):
            pass
        linking.engine.rollback()
        linking.engine.begin_reading()
        unlinked = next(linking.engine.rows("SELECT count(*) FROM audit WHERE place IS NULL"))[0]
        assert unlinked == 1
    file = tmp_path / "file.db"
    assert server("ledger", "copy", url, file, *(["--keep"] if keep else ["--yes"])).code == 0
    assert query(file, "SELECT count(*) FROM audit WHERE place IS NULL OR hash IS NULL") == [(0,)]
    assert At(home.seatctl, file)("ledger", "check").code == 0


def test_more_people_than_seats_are_copied(home, team, url, tmp_path):
    """Stripe may lower a quantity; nobody loses a seat by that, but no seat can be assigned any more."""
    home.done(f"seats assign {team} {BOB}")
    ((item,),) = query(Path(home.place), "SELECT stripe_item FROM subscriptions")
    with twin(home.seatctl) as stripe:
        send(stripe, f"subscription_items/{item}", {"quantity": 1, "proration_behavior": "none"})
    home.done("sync")
    there = home.move(url)
    assert refusal(there, "seats", "assign", team, "cy@example.com") == (4, "over_assigned")
    assert [row["assigned"] for row in there.move(tmp_path / "file.db").rows("subs", "list")] == [2]


@pytest.mark.parametrize("kept", [(), ("--keep",)])
def test_two_places_of_a_kind(home, url, tmp_path, kept):
    """From a file to a file, and from a server to a server."""
    before = home.contents(tmp_path / "before")
    lists = ["users.json", "seats.json", "requests.json", "invoices.json", "roles.json"]
    here = home
    with database() as another:
        for first, second in ((home.place, tmp_path / "file.db"), (url, another)):
            if here.place != first:
                here = here.move(first)
            done = here("ledger", "copy", first, second, "--yes", *kept)
            assert done.code == 0, done.err
            there = At(home.seatctl, second)
            contents = there.contents(tmp_path / f"export-{there.database}")
            assert [contents[name] for name in lists] == [before[name] for name in lists]
            there.assert_sound(there.head())
            here = here if kept else there


def test_a_login_without_other_rights_than_its_own_schema(home, url, tmp_path):
    """No superuser, and no extension: what managed servers give."""
    name = At(home.seatctl, url).database
    with postgres.server().connect(name) as connection:
        connection.execute("CREATE ROLE plain LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO plain")
    try:
        there = home.move(url.replace("postgres@", "plain@"))
        there.done("users add new@example.com")
        head = there.head()
        there.move(tmp_path / "file.db").assert_sound(head)
    finally:
        with postgres.server().connect(name) as connection:
            connection.execute("DROP OWNED BY plain")
            connection.execute("DROP ROLE plain")


def test_a_standby_is_checked_verified_and_copied(home, tmp_path):
    """It takes no writes: nothing is linked there, and a copy that is kept needs no lock."""
    with servers() as (primary, standby):
        server = home.move(primary.url(primary.create()))
        standby.follow()
        replica = At(home.seatctl, standby.url(server.database))
        replica.assert_sound(server.head())
        copied = replica("ledger", "copy", replica.place, tmp_path / "file.db", "--keep")
        assert copied.code == 0, copied.err
        moved = refusal(replica, "ledger", "copy", replica.place, str(tmp_path / "x.db"), "--yes")
        assert moved == (74, "ledger_read_only")
        head = server.head()
    At(home.seatctl, tmp_path / "file.db").assert_sound(head)


# -- one place ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_ledger_that_was_moved_is_refused(home, url, tmp_path, engine):
    here, there = (home, url) if engine == "sqlite" else (home.move(url), tmp_path / "file.db")
    with closing(opened(here.place)) as before:
        assert before.id == meta(here.place)["ledger_id"]
        moved = here.move(there)
        with pytest.raises(SeatctlError) as stopped, before.change(CALL) as tx:
            tx.record("setting", 0, None, {"test": 1})
    assert stopped.value.code == "ledger_replaced"
    for command in ("seats list", "users add new@example.com", "ledger check", "ledger export x", "sync"):
        refused = here(*command.split(), "-o", "json")
        assert (refused.code, refused.error["code"]) == (74, "ledger_moved"), command
        assert refused.error["moved_to"] == str(there)
        assert str(there) in refused.error["hint"]
    again = here("ledger", "copy", here.place, there, "--yes")
    assert (again.code, "already moved" in again.err) == (0, True)
    assert refusal(here, "ledger", "copy", here.place, str(tmp_path / "x.db"), "--yes") == (
        74,
        "ledger_moved",
    )
    assert meta(here.place)["ledger_id"] != meta(moved.place)["ledger_id"]
    moved.done("users add new@example.com")


def test_a_ledger_that_was_moved_can_be_used_again_with_a_new_id(home, team, url):
    """The way back if the server is lost: a ledger of its own, which must adopt what it changes."""
    home.move(url)
    given = home("ledger", "new-id", "--yes", "-o", "json")
    assert given.code == 0, given.err
    assert given.json["rows"][0]["ledger_id"] == meta(home.place)["ledger_id"]
    home.assert_sound(home.head())
    assert refusal(home, "seats", "revoke", team, ANN) == (8, "foreign_ledger")
    home.done("ledger adopt design --yes")
    home.done(f"seats revoke {team} {ANN}")


@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_changes_the_ledger_while_it_is_moved(home, url, tmp_path, engine):
    here, there = (home, url) if engine == "sqlite" else (home.move(url), str(tmp_path / "file.db"))
    refused = []

    def change(_: str) -> None:
        with closing(opened(here.place)) as other, pytest.raises(LedgerBusy), other.journal():
            pass
        refused.append(1)

    place = ServerUrl(there) if "://" in there else Path(there)
    with closing(opened(here.place)) as source:
        ledger_copy.move(source, place, CALL, change)
    assert len(refused) == len(TABLES) + 1


def test_a_copy_that_is_kept_is_a_ledger_of_its_own(home, team, url):
    process = python(
        KILLED_AFTER_PAYING,
        *("subs", "add-seats", team, "2", "--yes"),
        env=home.seatctl.environment(home.variables),
        stdout=subprocess.PIPE,
    )
    process.communicate()
    before = home.contents(Path(home.place).parent / "before")
    copied = home("ledger", "copy", home.place, url, "--keep", "-o", "json")
    assert copied.code == 0, copied.err
    copy = At(home.seatctl, url)
    assert home.contents(Path(home.place).parent / "after") == before
    assert copied.json["ledger_id"] == meta(url)["ledger_id"] != meta(home.place)["ledger_id"]
    assert copied.json["place"] == url
    paid = charges(home.seatctl)
    assert (copy("sync").code, home("sync").code) == (0, 0)
    assert charges(home.seatctl) == paid
    assert refusal(copy, "seats", "revoke", team, ANN) == (8, "foreign_ledger")
    home.done(f"seats revoke {team} {ANN}")
    copy.assert_sound(copy.head())
    (run,) = [run for run in copy.rows("runs", "list") if run["state"] == "failed"]
    assert "unfinished when this copy of the ledger was made" in run["summary"]


def test_a_copy_to_be_kept_that_is_interrupted_is_made_again(home, url, monkeypatch):
    """Its hint has --keep, and nobody is moved."""

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ledger_copy, "give_new_id", interrupted)
        assert home("ledger", "copy", home.place, url, "--keep").code == 130
    home.done("users add new@example.com")
    refused = At(home.seatctl, url)("seats", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "copy_unfinished")
    hinted = shlex.split(refused.error["hint"].partition(": seatctl ")[2])
    assert home(*hinted).code == 0
    assert len(At(home.seatctl, url).rows("users", "list")) == 4
    home.done("users add more@example.com")


# -- refusals -----------------------------------------------------------------------------------


def test_a_place_with_a_ledger_is_not_overwritten(home, url, tmp_path):
    other = tmp_path / "other.db"
    made = home.seatctl("init", "--no-input", "--actor", ANN, "--ledger", other)
    assert made.code == 0, made.err
    notes = tmp_path / "notes.db"
    notes.write_text("not a ledger")
    before = other.read_bytes()
    for place, wanted in (
        (other, (4, "ledger_not_empty")),
        (home.place, (4, "same_ledger")),
        (notes, (74, "ledger_corrupt")),
        (home.seatctl.home / "config.toml", (4, "own_file")),
        ("postgresql://postgres@127.0.0.1:1/none", (75, "ledger_unreachable")),
    ):
        for way in ("--dry-run", "--yes"):
            assert refusal(home, "ledger", "copy", home.place, str(place), way) == wanted
        hint = home("ledger", "copy", home.place, notes, way, "-o", "json").error["hint"]
        assert hint == "name another file or database"
    assert (other.read_bytes(), notes.read_text()) == (before, "not a ledger")
    for words in (("", url), (home.place, "")):
        assert refusal(home, "ledger", "copy", *words, "--yes") == (2, "usage")
    assert refusal(home, "ledger", "copy", str(tmp_path / "none.db"), url, "--yes") == (9, "no_ledger")
    home.move(url)


def test_it_asks_first_and_a_dry_run_creates_nothing(home, url, tmp_path):
    asked = home("ledger", "copy", home.place, url)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    for place in (url, tmp_path / "file.db"):
        dry = home("ledger", "copy", home.place, place, "--dry-run", "-o", "json")
        assert dry.code == 0, dry.err
        counts = {row["table"]: row["rows"] for row in dry.rows}
        assert (list(counts), counts["users"], counts["seats"]) == (list(TABLES), 3, 2)
        assert dry.json["summary"].startswith("would have moved")
        assert refusal(At(home.seatctl, place), "seats", "list") == (9, "no_ledger")
    home.done("users add new@example.com")


def test_a_copy_that_differs_is_not_used(home, url, monkeypatch):
    """The ledger stays in use, and the same command copies it again."""
    load = PostgresEngine.load

    def lose_one(engine, table, columns, given):
        loaded = list(given)
        return load(engine, table, columns, loaded[1:] if table == "seats" else loaded)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresEngine, "load", lose_one)
        refused = home("ledger", "copy", home.place, url, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "copy_differs")
    assert (refused.error["table"], refused.error["rows"], refused.error["copied"]) == ("seats", 2, 1)
    there = At(home.seatctl, url)
    assert refusal(there, "seats", "list") == (74, "copy_unfinished")
    home.done("users add new@example.com")
    assert len(home.move(url).rows("users", "list")) == 4


def test_a_damaged_ledger_is_not_moved(home, url):
    with closing(sqlite3.connect(home.place)) as db, db:
        named = "SELECT sql FROM sqlite_schema WHERE name = 'audit_is_append_only_update'"
        ((trigger,),) = db.execute(named).fetchall()
        db.execute("DROP TRIGGER audit_is_append_only_update")
        db.execute("UPDATE audit SET actor = 'eve@example.com' WHERE seq = 2")
        db.execute(trigger)
    refused = home("ledger", "copy", home.place, url, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_corrupt")
    assert "audit: entry 2" in refused.error["message"]
    assert home("seats", "list").code == 0


def test_rows_that_no_server_accepts_are_named(home, url):
    with closing(sqlite3.connect(home.place)) as db, db:
        db.execute("UPDATE outbox SET recipient_id = 99")
    refused = home("ledger", "copy", home.place, url, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_corrupt")
    assert "refers to a missing row of users" in refused.error["message"]


def test_a_text_that_no_server_can_store_is_named(home, url):
    with closing(sqlite3.connect(home.place)) as db, db:
        db.execute("UPDATE users SET name = 'a' || char(0) || 'b' WHERE email = ?", (BOB,))
    refused = home("ledger", "copy", home.place, url, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"], refused.error["table"]) == (74, "ledger_damaged", "users")


def test_settings_that_would_not_count_on_a_server_are_named(home, url):
    path = home.seatctl.home / "config.toml"
    path.write_text(path.read_text() + "\n[profiles.default.stripe]\nautomatic_tax = 'on'\n")
    moved = home("ledger", "copy", home.place, url, "--yes")
    assert moved.code == 0, moved.err
    assert "to store it: seatctl config set stripe.automatic_tax on" in moved.err


def test_the_password_of_a_url_is_shown_nowhere(home, url):
    secret = f"{url}&password=hunter2"
    moved = home("ledger", "copy", home.place, secret, "--yes", "-v", "-o", "json")
    assert moved.code == 0, moved.err
    told = moved.out + moved.err + json.dumps([meta(home.place), meta(url)])
    assert "hunter2" not in told + (home.seatctl.home / "log" / "seatctl.log").read_text()
    again = home("seats", "list")
    assert (again.code, "hunter2" in again.err) == (74, False)


def test_only_who_may_manage_the_ledger_moves_it(home, url):
    assert refusal(home, "ledger", "copy", home.place, url, "--yes", "--as", BOB) == (8, "not_allowed")
    assert home("ledger", "copy", home.place, url, "--keep", "--as", BOB).code == 0
