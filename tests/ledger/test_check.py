"""Damage that SQLite does not see, and tampering by the owner of the file.

The check finds it, no command takes it for a bug, and a restore repairs it.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from seatctl.ledger.engines import sqlite as engine
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.schema import migrate
from seatctl.models.call import Call
from tests.conftest import Seatctl
from tests.support import ledgers
from tests.support.both_sides import fail
from tests.support.subscriptions import ledger_place, queries, query

ANN, BOB, ZOE = "ann@example.com", "bob@example.com", "zoe@example.com"

CALL = Call(ANN, "ann", "seatctl users add older@example.com", datetime(2026, 11, 21, 12, tzinfo=UTC))

BUY = (
    f"subs buy --plan pro --seats 5 --name design --owner {ANN} --billing-email pay@example.com"
    " --payment-method pm_card_visa --yes"
)
HISTORY = (
    "plans add pro --price 12.00 --currency usd",
    BUY,
    f"users add {BOB} --name Bob",
    f"users add {ZOE} old@example.com late@example.com",
    f"seats assign design {BOB} old@example.com",
    f"roles grant {BOB} assignor -s design",
    f"requests create {ZOE} -s design",
    "users remove old@example.com --erase --yes",
    "users remove late@example.com",
    "sync",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A ledger with history, its backup, and the ledger's triggers."""
    seatctl = Seatctl(tmp_path_factory.mktemp("made") / "seatctl")
    lines = seatctl.home.parent / "lines.txt"
    lines.write_text("users add b1@example.com\nseats revoke design nobody@example.com\n")
    assert seatctl("init", "--no-input", "--actor", ANN).code == 0
    for words in HISTORY:
        done = seatctl(*words.split())
        assert done.code in {0, 10}, done.err
    assert seatctl("batch", lines).code == 6
    removal = seatctl("runs", "list", "-o", "json").rows
    number = next(
        row["number"] for row in removal if "late@" in row["command"] and "remove" in row["command"]
    )
    assert seatctl("runs", "undo", number).code == 0
    if not ledgers.on_server():
        assert seatctl("ledger", "backup", seatctl.home.parent / "good.db").code == 0
        with closing(sqlite3.connect(ledger_place(seatctl))) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return seatctl


@pytest.fixture
def ledger(made, tmp_path):
    """A copy of it: what is damaged here is whole again for the next test."""
    ledgers.copy(made.home, tmp_path / "seatctl")
    return Seatctl(tmp_path / "seatctl")


def damage(seatctl, sql, *, guarded=False):
    """Write into the ledger past everything that guards it; the guards are there again afterwards."""
    if ledgers.on_server():
        with ledgers.unguarded(ledger_place(seatctl)) as server:
            server.execute(sql)
        return
    with closing(sqlite3.connect(ledger_place(seatctl), isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in () if guarded else triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.executescript(sql)
        for _, again in () if guarded else triggers:
            db.execute(again)


BLIND = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; "
NOT_UTF8 = "CAST(x'626f62ff' AS TEXT)"
SCHEMA = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "

# What is done, and a command that meets it.
STRUCTURE = {
    "a missing table": ("DROP TABLE outbox", f"seats assign design {ZOE}"),
    "a missing audit": ("DROP TABLE changes", "runs show {purchase}"),
    "a renamed table": ("ALTER TABLE requests RENAME TO asked", "requests list"),
    "a missing column": ("ALTER TABLE users DROP COLUMN group_name", "users list"),
    "a renamed column": ("ALTER TABLE seats RENAME COLUMN until TO ending", "seats list design"),
    "an added column": ("ALTER TABLE users ADD COLUMN shoe TEXT", None),
    "a missing trigger": ("DROP TRIGGER no_seats_left", f"seats assign design {ZOE}"),
    "a missing guard of the audit": ("DROP TRIGGER audit_is_append_only_update", "users add new@example.com"),
    "another trigger under its name": (
        "DROP TRIGGER seat_taken; CREATE TRIGGER seat_taken AFTER INSERT ON seats BEGIN SELECT 1; END",
        f"seats assign design {ZOE}",
    ),
    "a trigger of somebody's own": (
        "CREATE TRIGGER mine AFTER INSERT ON seats BEGIN UPDATE subscriptions SET name = 'mine'; END",
        f"seats assign design {ZOE}",
    ),
    "a missing unique index": ("DROP INDEX one_active_seat_per_user", f"seats assign design {ZOE}"),
    "a missing index": ("DROP INDEX seats_by_user", None),
    "a missing search index": ("DROP TABLE users_search", "users list zoe"),
    "half a search index": ("DROP TABLE users_search_docsize", "users add new@example.com"),
    "a constraint written away": (
        f"{SCHEMA}replace(sql, 'CHECK (seats >= 0)', '') WHERE name = 'capacity_changes'",
        None,
    ),
    "no version": ("PRAGMA user_version = 0", "status"),
    "an impossible version": ("PRAGMA user_version = -1", "status"),
    "a later version": ("PRAGMA user_version = 99", "status"),
    "another program's mark": ("PRAGMA application_id = 7", "status"),
}
CONTENTS = {
    "an empty meta": ("DELETE FROM meta", "status"),
    "no mode": ("DELETE FROM meta WHERE key = 'mode'", "status"),
    "an unknown mode": ("UPDATE meta SET value = 'play' WHERE key = 'mode'", "status"),
    "an id that is none": ("UPDATE meta SET value = '' WHERE key = 'ledger_id'", "ledger path"),
    "files that described a list cut short": ("INSERT INTO meta VALUES ('applied', '[1,')", None),
    "files that described no list": ("INSERT INTO meta VALUES ('applied', 'null')", None),
    "a migration of nobody knows when": (
        "INSERT INTO meta VALUES ('last_entry_of_former_email_keys', 'x')",
        None,
    ),
    "a policy cut short": ("UPDATE subscriptions SET policy = '{'", "subs show design"),
    "a policy of another shape": ("UPDATE subscriptions SET policy = '[]'", "subs show design"),
    "a policy that nobody knows": ("""UPDATE plans SET policy = '{"renewal":"never"}'""", "plans list"),
    "rules that are none": ("UPDATE subscriptions SET auto_approval = 'no'", "status"),
    "features that are no list": ("UPDATE requests SET features = 'all'", "requests list"),
    "an invoice cut short": ("UPDATE invoices SET data = 'xx'", "invoices list -o json"),
    "an operation cut short": ("UPDATE operations SET payload = '{'", "runs show {purchase}"),
    "a step cut short": ("UPDATE steps SET form = 'x'", "runs show {purchase}"),
    "a change cut short": ("UPDATE changes SET after = '{' WHERE entity = 'role'", "runs show {grant}"),
    "a message cut short": ("UPDATE outbox SET ids = 'x'", "notify list"),
    "a failure cut short": (
        "UPDATE batch_rows SET error = 'x' WHERE state = 'failed'",
        "runs failures {batch}",
    ),
    "a customer cut short": ("UPDATE customers SET data = 'x'", None),
    "a sync in words": ("UPDATE sync_state SET value = 'now' WHERE key = 'last_success'", "status"),
    "a cursor in words": ("UPDATE sync_state SET value = 'now' WHERE key = 'events_cursor'", "sync"),
    "an unknown message": ("UPDATE outbox SET template = 'spam'", None),
    "an unknown kind of object": ("UPDATE stripe_objects SET kind = 'cat'", None),
    "users that are gone": ("DELETE FROM users WHERE id > 1", None),
    "a counter too high": ("UPDATE subscriptions SET assigned = 4", None),
    "a counter too low": ("UPDATE subscriptions SET assigned = 0", f"seats revoke design {BOB}"),
    "seats to come that nobody bought": (
        """INSERT INTO capacity_changes (subscription_id, effective_at, seats)
        VALUES (1, '2026-01-01T00:00:00Z', 500)""",
        None,
    ),
    "a person under another's key": ("UPDATE users SET email_key = 'eve@example.com' WHERE id = 2", None),
}  # fmt: skip
# What PostgreSQL never stores, or keeps in another way.
CONTENTS_OF_A_FILE = {
    "a name that is not UTF-8": (f"UPDATE users SET name = {NOT_UTF8}", "users list"),
    "a summary that is not UTF-8": (f"UPDATE runs SET summary = {NOT_UTF8}", "runs list"),
    "an entry that is not UTF-8": (f"UPDATE audit SET actor = {NOT_UTF8}", "audit log"),
    "a day that is none": ("UPDATE users SET created_at = '2026-02-30T00:00:00Z'", f"users show {BOB}"),
    "an hour that is none": ("UPDATE runs SET started_at = '2026-01-01T25:00:00Z'", "runs list"),
    "a time in words": (f"{BLIND}UPDATE subscriptions SET term_end = 'soon'", "subs list"),
    "an unknown status": (f"{BLIND}UPDATE subscriptions SET status = 'odd'", "subs list"),
    "an unknown state": (f"{BLIND}UPDATE runs SET state = 'odd'", "runs list"),
    "an unknown role": (f"{BLIND}UPDATE roles SET role = 'king'", "roles list"),
    "fewer seats than none": (f"{BLIND}UPDATE subscriptions SET quantity = -1", None),
    "an empty search index": ("INSERT INTO users_search (users_search) VALUES ('delete-all')", None),
    "a search index of somebody else": (
        """INSERT INTO users_search (users_search, rowid, name, email)
        SELECT 'delete', id, name, email FROM users WHERE id = 2;
        INSERT INTO users_search (rowid, name, email) VALUES (2, 'Eve', 'eve@example.com')""",
        None,
    ),
    "seats held for nobody": ("INSERT INTO held_seats VALUES (1, 99, '2026-01-01T00:00:00Z', 1)", None),
    "customers that are gone": (f"{BLIND}DELETE FROM customers", "subs add-seats design 1 --yes"),
    "a number that is the last": ("UPDATE sqlite_sequence SET seq = 9223372036854775807", None),
}
DAMAGED_FILES = STRUCTURE | CONTENTS_OF_A_FILE

COMMANDS = (
    "status",
    "subs list",
    "users list",
    "seats list design",
    "requests list",
    "runs list",
    "audit verify",
    f"check {BOB}",
    "doctor",
    f"seats assign design {ZOE}",
)


@pytest.mark.parametrize("name", DAMAGED_FILES)
def test_a_damaged_file_is_found_and_no_command_takes_it_for_a_bug(ledger, made, tmp_path, name):
    sql, meets = DAMAGED_FILES[name]
    meets = with_numbers(ledger, meets)
    damage(ledger, sql, guarded=name in STRUCTURE)
    is_found(ledger, meets, tmp_path)
    if name != "a later version":  # which a later seatctl may read
        is_replaced_by_a_backup(ledger, made)


@pytest.mark.parametrize("name", CONTENTS)
def test_damaged_contents_are_found_and_no_command_takes_them_for_a_bug(ledger, made, tmp_path, name):
    sql, meets = CONTENTS[name]
    meets = with_numbers(ledger, meets)
    damage(ledger, sql)
    is_found(ledger, meets, tmp_path)
    is_replaced_by_a_backup(ledger, made)


def with_numbers(ledger, meets: str | None) -> str | None:
    """A command with the numbers of the runs that it names; those of a server may have gaps."""
    if meets is None or "{" not in meets:
        return meets
    with queries(ledger_place(ledger)) as rows:
        return meets.format(
            purchase=rows("SELECT max(run) FROM operations")[0][0],
            grant=rows("SELECT max(number) FROM runs WHERE command LIKE '%roles grant%'")[0][0],
            batch=rows("SELECT max(run) FROM batch_rows")[0][0],
        )


def is_replaced_by_a_backup(ledger, made) -> None:
    """A server restores its own backups."""
    if not ledgers.on_server():
        assert ledger("ledger", "restore", made.home.parent / "good.db", "--yes").code == 0
        assert ledger("ledger", "check").code == 0


def is_not_backed_up(ledger, tmp_path, code: str | None = None) -> None:
    """A backup of what is damaged is refused; a server makes its own, of what there is."""
    if not ledgers.on_server():
        refused = ledger("ledger", "backup", tmp_path / "b.db", "-o", "json")
        assert refused.code == 74
        assert code is None or refused.error["code"] == code
        assert not (tmp_path / "b.db").exists()


def is_found(ledger, meets: str | None, tmp_path) -> None:
    """By the check, and by the command that meets it; no other takes it for a bug."""
    assert ledger("ledger", "check").code in {7, 74}
    is_not_backed_up(ledger, tmp_path)
    if meets is not None:
        met = ledger(*meets.split(), "-o", "json")
        assert (met.code, meets) == (74, meets), met.out + met.err
        # Of an empty `meta` a server's ledger has no version; a file has its version elsewhere.
        ways = {
            "ledger_newer": "upgrade",
            "ledger_corrupt": "ledger",
            "ledger_older": "seatctl ledger migrate",
        }
        repair = "pg_restore" if ledgers.on_server() else "seatctl ledger restore FILE"
        assert ways.get(met.error["code"], repair) in met.error["hint"]
    for words in COMMANDS:
        done = ledger(*words.split())
        assert done.code != 1, (words, done.err)
        assert "this is a bug" not in done.out + done.err, words


BLANK = "UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at ="
AN_ERASURE = "(SELECT max(erased_at) FROM changes)"
PLAIN = "(SELECT max(number) FROM runs WHERE command LIKE '%users add%')"

INDEXED = """; INSERT INTO users_search (rowid, name, email)
    SELECT id, name, email FROM users ORDER BY id DESC LIMIT 1"""

TAMPERING = {
    "a seat without an entry": (
        "INSERT INTO seats (subscription_id, user_id, assigned_at) VALUES (1, 3, '2026-01-01T00:00:00Z')"
    ),
    "a seat under another's entry": (
        "INSERT INTO seats (subscription_id, user_id, assigned_at, assigned_entry)"
        " VALUES (1, 3, '2026-01-01T00:00:00Z', 4)"
    ),
    "a seat that lasts longer": "UPDATE seats SET until = '2036-01-01T00:00:00Z'",
    "a seat that was taken away": (
        "UPDATE seats SET revoked_at = '2036-01-01T00:00:00Z', revoked_entry = 5 WHERE revoked_at IS NULL;"
        " UPDATE subscriptions SET assigned = 0"
    ),
    "a seat of somebody else": "UPDATE seats SET user_id = 3 WHERE revoked_at IS NULL",
    "a seat that is gone": (
        "DELETE FROM activation_codes; DELETE FROM seats WHERE revoked_at IS NULL;"
        " UPDATE subscriptions SET assigned = 0"
    ),
    "a role without a change row": "INSERT INTO roles (actor, role) VALUES ('eve@example.com', 'admin')",
    "a role of somebody else": "UPDATE roles SET actor = 'eve@example.com' WHERE role = 'admin'",
    "a role that reaches further": "UPDATE roles SET subscription_id = NULL WHERE role = 'assignor'",
    "a role that is gone": "DELETE FROM roles WHERE role = 'admin'",
    "a user of another name": "UPDATE users SET name = 'Eve' WHERE id = 2",
    "a user of another status": "UPDATE users SET status = 'suspended' WHERE id = 2",
    "a user whom nobody added": (
        "INSERT INTO users (email, email_key, created_at)"
        " VALUES ('eve@example.com', 'eve@example.com', '2026-01-01T00:00:00Z')"
        + ("" if ledgers.on_server() else INDEXED)
    ),
    "a request that was decided": f"UPDATE requests SET status = 'approved', decided_by = '{ANN}'",
    "a request that goes first": "UPDATE requests SET priority = 9",
    "seats that nobody bought": "UPDATE subscriptions SET capacity = 500",
    "another owner": "UPDATE subscriptions SET owner_id = 2",
    "rules that nobody made": """UPDATE subscriptions SET auto_approval = '{"enabled":true}'""",
    "a longer term": "UPDATE subscriptions SET term_end = '2036-01-01T00:00:00Z'",
    "another policy": """UPDATE subscriptions SET policy = '{"max_seats":1}'""",
    "another price": "UPDATE plans SET unit_amount = 1",
    "another actor of a run": f"UPDATE runs SET actor = 'eve@example.com' WHERE number = {PLAIN}",
    "another user of the machine": f"UPDATE runs SET os_user = 'eve' WHERE number = {PLAIN}",
    "another time of a run": f"UPDATE runs SET started_at = '2020-01-01T00:00:00Z' WHERE number = {PLAIN}",
    "a run without its command": f"UPDATE runs SET command = '' WHERE number = {PLAIN}",
    "a run that undid nothing": "UPDATE runs SET undo_of = NULL",
    "another actor of a purchase": (
        "UPDATE runs SET actor = 'eve@example.com' WHERE number IN (SELECT run FROM operations);"
        " UPDATE operations SET actor = 'eve@example.com'"
    ),
    "another purchase": """UPDATE operations SET payload = replace(payload, '"seats":5', '"seats":1')""",
    "another actor of a batch": (
        "UPDATE runs SET actor = 'eve@example.com' WHERE number IN (SELECT run FROM batch_rows)"
    ),
    "an entry and its run of another actor": (
        f"UPDATE audit SET actor = 'eve@example.com' WHERE run = {PLAIN};"
        f" UPDATE runs SET actor = 'eve@example.com' WHERE number = {PLAIN}"
    ),
    "a change blanked without an erasure": f"{BLANK} '2026-12-01T00:00:00Z' WHERE entity = 'seat'",
    "somebody blanked under an erasure": f"{BLANK} {AN_ERASURE} WHERE entity = 'user' AND entity_id = 2",
    "a role blanked under an erasure": f"{BLANK} {AN_ERASURE} WHERE entity = 'role'",
    "a change of another value": "UPDATE changes SET after = replace(after, 'Bob', 'Eve')",
    "a change that is gone": "DELETE FROM changes WHERE entity = 'role'",
    "a tail cut off with its runs": (
        "DELETE FROM changes WHERE entry = (SELECT max(seq) FROM audit);"
        " DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found_although_all_guards_are_restored(ledger, made, tmp_path, name):
    damage(ledger, TAMPERING[name])
    found = ledger("ledger", "check", "-o", "json")
    assert found.code == 7
    assert "structure" not in {row["check"] for row in found.json if not row["ok"]}
    is_not_backed_up(ledger, tmp_path, "ledger_corrupt")
    for words in COMMANDS:
        assert ledger(*words.split()).code != 1, words
    is_replaced_by_a_backup(ledger, made)


@pytest.mark.parametrize("held", ["[1,", "null", "[[]]", "[1, {}]"])
def test_an_unreadable_list_of_described_subscriptions_is_found(ledger, held):
    damage(ledger, f"INSERT INTO meta VALUES ('applied', '{held}')")
    row = f"email,subscription\n{BOB},design\n"
    met = ledger("seats", "apply", "-", "--prune", "--dry-run", "-o", "json", stdin=row)
    assert (met.code, met.error["code"]) == (74, "ledger_damaged")


def test_the_refusal_of_a_backup_says_how_to_copy_the_ledger_as_it_is(ledger, tmp_path):
    damage(ledger, CONTENTS["an invoice cut short"][0])
    refused = ledger("ledger", "backup", tmp_path / "b.db", "-o", "json").error
    assert f"a check of {ledger_place(ledger)} found a problem" in refused["message"]
    assert f"cp {ledger_place(ledger)}*" in refused["hint"]


# A purchase that was cut short is read again by whoever finishes it, outside of any transaction.
HALF_DONE = {
    "no payload": "UPDATE operations SET payload = '{}' WHERE state = 'pending'",
    "half a payload": """UPDATE operations SET payload = '{"asked":{}}' WHERE state = 'pending'""",
    "a payload cut short": "UPDATE operations SET payload = '{' WHERE state = 'pending'",
    "a form of nothing": "UPDATE steps SET form = '{}'",
    "a kind that nobody knows": "UPDATE operations SET kind = 'odd' WHERE state = 'pending'",
}


@pytest.mark.parametrize("name", HALF_DONE)
def test_an_operation_that_cannot_be_loaded_is_damage_not_a_bug(ledger, name):
    fail(ledger, "timeout", times=4, method="POST", path="/v1/subscriptions/")
    assert ledger("subs", "add-seats", "design", "1", "--yes").code == 75
    number = query(ledger_place(ledger), "SELECT run FROM operations WHERE state = 'pending'")[0][0]
    damage(ledger, HALF_DONE[name])
    assert ledger("sync").code in {74, 75}
    assert ledger("subs", "add-seats", "design", "1", "--yes").code == 74
    assert ledger("runs", "undo", number).code in {4, 74}


def test_an_older_ledger_with_smaller_change_rows_has_no_problem(ledger):
    """As earlier versions wrote them: without a user's exemption, and without the actor of an operation."""
    less = ("$.reclaim_exempt", "$.actor", "$.os_user", "$.created_at", "$.payload_hash", "$.commands")
    with closing(open_ledger(ledger_place(ledger))) as opened, opened.change(CALL) as tx:
        email = "older@example.com"
        older = tx.insert_row(
            "users", {"email": email, "email_key": email, "reclaim_exempt": 1, "created_at": tx.now}
        )
        tx.engine.users.insert("SELECT :id", {"id": older})
        told = {"email": email, "group": None, "last_active": None, "name": None}
        tx.record("user", older, None, {**told, "status": "active"})
    assert ledger("ledger", "check").code == 0
    after = "after"
    for path in less:
        after = f"json_remove({after}, '{path}')"
    damage(ledger, f"UPDATE changes SET after = {after} WHERE entity IN ('user', 'operation')")
    found = {row["check"] for row in ledger("ledger", "check", "-o", "json").json if not row["ok"]}
    assert found == {"audit"}  # whose hashes are not those of the shortened rows


def test_a_ledger_with_history_has_no_problem(ledger):
    assert [row for row in ledger("ledger", "check", "-o", "json").json if not row["ok"]] == []


def test_a_view_of_a_user_is_not_damage(ledger):
    damage(ledger, "CREATE VIEW seated AS SELECT * FROM seats WHERE revoked_at IS NULL", guarded=True)
    assert ledger("ledger", "check").code == 0


def test_an_error_in_an_undamaged_ledger_is_still_a_bug(ledger, monkeypatch):
    from seatctl.ledger import users

    monkeypatch.setattr(users, "records", lambda *_, **__: {}["no such key"])
    assert ledger("users", "list").code == 1
    damage(ledger, "UPDATE invoices SET data = 'xx'")
    assert ledger("users", "list").code == 74


def test_the_required_guards_are_those_of_this_version():
    guards = [
        sql
        for kind, name, sql in migrate.new_schema()
        if kind == "trigger" or (kind == "index" and name.startswith("one_"))
    ]
    assert (len(guards), sum(map(len, guards))) == engine.GUARDS
