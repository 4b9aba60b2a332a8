"""Database roles: what PostgreSQL itself allows each of them, and the commands under them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from seatctl.cli.role_table import CHANGES, READS, may_use
from seatctl.models.role import Action, Role
from seatctl.rules.permissions import MATRIX
from tests.conftest import Result
from tests.services.users.test_roles import CALLS, OF_WHAT
from tests.support.database_roles import (
    ANN,
    ASH,
    CI,
    GRANTS,
    OLGA,
    YAN,
    ZOE,
    Office,
    copied,
    give,
    new_office,
    pooled,
)
from tests.support.postgres import server

DENIED = "42501"
NOW = "2026-11-21T12:00:00Z"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    with new_office(tmp_path_factory.mktemp("roles") / "office") as office:
        yield office


@pytest.fixture
def office(furnished, tmp_path) -> Office:
    with copied(furnished, tmp_path / "office") as copy:
        yield copy


def made_by(office: Office, *commands: str) -> None:
    """Run commands with the owner's login, as the admin."""
    for command in commands:
        office.done("led", command, SEATCTL_ACTOR=ANN)


# -- every command of a role is allowed by its grants -------------------------------------------

LOGINS = {"adm": Role.ADMIN, "own": Role.OWNER, "ash": Role.ASSIGNOR}


OF_THE_OWNER = {"ledger copy", "ledger new-id"}
"""They replace a whole ledger."""


@pytest.mark.parametrize("command", sorted(CHANGES.keys() - OF_THE_OWNER))
def test_the_grants_of_a_role_allow_every_command_that_the_table_allows_it(furnished, tmp_path, command):
    for login, role in LOGINS.items():
        with copied(furnished, tmp_path / login) as office:
            if command == "seats move":  # the other subscription is olga's too
                give(office, "own", "owner", "--subscription", "other", "--as", OLGA)
            result = office.run(login, CALLS[command])
            if may_use(command, {role}):
                assert result.code not in {1, 2, 8, 9, 74, 75}, (login, result)
            else:
                assert (result.code, result.error["code"]) == (8, "not_allowed"), (login, result)


@pytest.mark.parametrize("login", ["adm", "ash", "vic"])
def test_only_the_owner_replaces_a_ledger(office, tmp_path, login):
    for command in (
        f"ledger new-id --as {ANN}",
        f"ledger copy {office.url(login)} {tmp_path}/moved.db --as {ANN}",
    ):
        before = office.everything()
        assert office.run(login, command).code == 8, command
        assert office.everything() == before
        assert not list(tmp_path.glob("moved.db*"))


OF_ONE = [command for command in CHANGES if may_use(command, {Role.ASSIGNOR})]


@pytest.mark.parametrize("command", OF_ONE)
def test_an_assignor_of_one_subscription_may_do_everything_there(office, command):
    result = office.run("one", CALLS[command])
    there = {"seats move"}  # to another subscription
    for_all = {"subs buy", "notify send", "notify test", "sync", "runs undo"}
    if command.startswith("users ") or command in for_all | there:
        assert (result.code, result.error["code"]) == (8, "not_allowed"), result
    else:
        assert result.code not in {1, 2, 8, 9, 74, 75}, result


CHANGES_NOTHING = {
    "notify test",  # it sends a message that is in no ledger
    "subs renew",  # design renews by itself
}
MORE = {"seats claim": "seats claim", "batch": "batch {lines}", "config set": "config set undo_window 5"}
MAIL = (
    "INSERT INTO meta (key, value) VALUES ('setting.mail.host', '127.0.0.1'), ('setting.mail.from', 'a@b.c')"
)
ON_ACCOUNT = (
    "subs buy --plan pro --seats 1 --name account --on-account --due-in 30d --billing-email x@example.com"
)


def prepare(office: Office, command: str) -> None:
    """Let there be something to change."""
    if command.startswith("invoices "):
        made_by(office, ON_ACCOUNT)
        office.words["invoice"] = office.done("led", "invoices list account").rows[0]["number"]
    elif command == "notify send":
        office.sql("led", MAIL)
    elif command == "ledger adopt":
        office.sql("led", "UPDATE subscriptions SET home_ledger = NULL")
    elif command == "plans import":
        made_by(office, "plans edit pro --name Other")
    elif command == "subs resume":
        made_by(office, "subs cancel design")


@pytest.mark.parametrize("command", [*sorted(CHANGES.keys() - CHANGES_NOTHING - OF_THE_OWNER), *MORE])
def test_with_the_viewers_login_every_change_fails_in_postgres(office, command, tmp_path):
    """As an admin: so the program lets it through, and only PostgreSQL refuses."""
    office.words["lines"] = str(tmp_path / "lines.txt")
    (tmp_path / "lines.txt").write_text(f"users add {ZOE}\nusers add new@example.com\n")
    prepare(office, command)
    before = office.everything()
    code = "seat-00000-00000-00000-00000"
    error = office.refused("vic", {**CALLS, **MORE}[command], "--as", ANN, stdin=code)
    assert "permission denied" in error["message"], error
    assert office.everything() == before


OF_THE_FILE = {"ledger backup"}


@pytest.mark.parametrize("command", sorted(READS - OF_THE_FILE))
@pytest.mark.parametrize("login", ["vic", "one"])
def test_every_read_is_allowed(office, tmp_path, login, command):
    words = {**office.words, "folder": tmp_path}
    argv = f"{command} {OF_WHAT.get(command, '')}".format(**words).split()
    result = office.seatctl(*argv, env=office.env(login))
    answers = {
        "doctor": {0, 7},
        "reconcile": {0, 7},
        "runs failures": {9},
        "invoices download": {4},
        "config get": {0, 4, 9},
        "config path": {0, 4, 9},
        "config profiles": {0, 4, 9},
        "config show": {0, 4, 9},
    }
    assert result.code in answers.get(command, {0}), (argv, result.err)


@pytest.mark.parametrize("people", [2, 300])
def test_a_viewer_compares_a_file_with_the_ledger(office, tmp_path, people):
    """As a job for a pull request does. So many rows are copied, and committed before they are compared."""
    file = tmp_path / "seats.csv"
    rows = "".join(f"p{number}@example.com,design\n" for number in range(people))
    file.write_text(f"email,subscription\n{rows}")
    before = office.everything()
    compare = f"seats apply {file} --create-users --buy-shortfall --max-spend 9000 --check"
    compared = office.done("vic", compare, code=7)  # there is something to do
    assert compared.json["summary"].startswith(f"would have seated {people}"), compared.out
    assert office.everything() == before
    applied = office.run("vic", f"seats apply {file} --create-users", "--as", ANN)
    assert (applied.code, applied.error["code"]) == (8, "not_allowed")
    assert office.everything() == before


# -- what PostgreSQL refuses --------------------------------------------------------------------

SEAT = "INSERT INTO seats (subscription_id, user_id, assigned_at) VALUES ({0}, {1}, '2026-11-21T12:00:00Z')"
RUN = (
    "INSERT INTO runs (command, actor, os_user, started_at) VALUES ('x', '{0}', 'x', '2026-11-21T12:00:00Z')"
)
EVERYBODY = tuple(GRANTS)
WRITERS = ("adm", "own", "ash", "one")


@pytest.mark.parametrize("login", EVERYBODY)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit SET place = 9, prev_hash = 'x', hash = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at = '2026-11-21T12:00:00Z'",
        "UPDATE changes SET after = '{}'",
        "DELETE FROM changes",
        "TRUNCATE changes",
        "UPDATE subscriptions SET assigned = 0",
        "UPDATE subscriptions SET last_counted = last_counted + 1",
        "INSERT INTO subscriptions (assigned) VALUES (0)",
        "DELETE FROM seats",
        "DELETE FROM users",
        "UPDATE seats SET user_id = 1",
        "UPDATE chain SET place = 0",
        "UPDATE meta SET value = 'live' WHERE key = 'mode'",
        "UPDATE locks SET name = 'x'",
        "SELECT * FROM database_grants",
        "INSERT INTO database_grants (db_role, role) VALUES (session_user, 'admin')",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_user ON users",
        "CREATE TABLE seatctl.mine (x int)",
        "SELECT * FROM staged_incoming",
        "SELECT * FROM staged_loads",
    ],
)
def test_nobody_changes_the_record_the_counters_or_the_rights(furnished, login, statement):
    assert furnished.state(login, statement) == DENIED


@pytest.mark.parametrize(
    ("logins", "statement"),
    [
        (("vic", "req", "chk"), SEAT.format(1, 1)),
        (("own", "one", "vic", "req", "chk"), SEAT.format(2, 2)),
        (("vic", "req", "chk"), "UPDATE seats SET revoked_at = assigned_at"),
        (("vic", "req", "chk"), "UPDATE users SET name = 'x'"),
        (("own", "one"), "UPDATE users SET name = 'x'"),
        (("own", "one"), "UPDATE subscriptions SET quantity = 9 WHERE id = 2"),
        (("one",), "UPDATE subscriptions SET owner_id = 2 WHERE id = 1"),
        (("one",), "UPDATE subscriptions SET name = 'x', name_key = 'x' WHERE id = 1"),
        (("own", "one"), "UPDATE requests SET status = 'denied', subscription_id = 2"),
        (("own", "one"), "INSERT INTO roles (actor, role) VALUES ('x', 'admin')"),
        (("ash",), "INSERT INTO roles (actor, role) VALUES ('x', 'admin')"),
        (("ash",), "UPDATE roles SET actor = 'ash@example.com' WHERE role = 'admin'"),
        (("ash",), "DELETE FROM roles"),
        (("ash", "own", "one"), "INSERT INTO meta (key, value) VALUES ('setting.undo_window', '0')"),
        (("ash", "own", "one", "vic"), "SELECT blank_change(1, 1, '2026-11-21T12:00:00Z')"),
        (("own", "one"), "INSERT INTO plans (slug) VALUES ('x')"),
        (("vic", "req", "chk"), "SELECT lock_ledger(true)"),
        (("req", "chk"), "SELECT begin_load(NULL)"),
        (("vic", "adm", "chk"), "SELECT request_seat(1, '[]', NULL, NULL, 'x', 'x', NULL, 'x')"),
        (("chk",), "SELECT link_audit()"),
        (WRITERS, RUN.format("somebody@example.com")),
    ],
)
def test_a_role_cannot_do_what_it_was_not_given(furnished, logins, statement):
    states = {login: furnished.state(login, statement) for login in logins}
    assert states == dict.fromkeys(logins, DENIED)


def test_what_a_role_was_given_it_can_do(office):
    assert office.state("one", SEAT.format(1, 2)) is None
    assert office.state("one", "UPDATE seats SET revoked_at = assigned_at WHERE subscription_id = 1") is None
    assert office.state("one", RUN.format(CI)) is None
    assert office.state("own", "UPDATE subscriptions SET owner_id = 2 WHERE id = 1") is None
    assert office.state("vic", "SELECT link_audit()") is None
    assert office.state("adm", "INSERT INTO roles (actor, role) VALUES ('x', 'viewer')") is None


def test_a_change_row_or_an_entry_with_other_hashes_is_never_written(office):
    """It could not be corrected, and `audit verify` would report it for ever."""
    columns = "(entry, n, entity, entity_id, after, salt, hash)"
    row = f"INSERT INTO changes {columns} VALUES (99, 1, 'user', 1, '{{}}', 's', %s)"
    assert office.state("ash", row.replace("%s", "'x'")) == DENIED
    right = "hash_of_change('user', 1, NULL, '{}', 's')"
    with office.connect("ash") as connection, connection.transaction():
        connection.execute(RUN.format(ASH))
        connection.execute(row.replace("%s", right))
        connection.execute(
            "INSERT INTO audit (seq, run, at, actor, os_user, command_hash, digest)"
            f" VALUES (99, (SELECT max(number) FROM runs), '{NOW}', '{ASH}', 'x', 'wrong', 'wrong')"
        )
    assert office.done("vic", "audit verify").code == 0


def test_the_functions_with_the_owners_rights_have_a_fixed_search_path_and_are_closed(furnished):
    functions = furnished.sql(
        "led",
        "SELECT proname, proconfig, has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'seatctl'::regnamespace",
    )
    assert len(functions) > 20
    for name, settings, is_open in functions:
        assert any(setting.startswith("search_path=seatctl, pg_temp") for setting in settings or ()), name
        assert not is_open, name


def test_the_server_has_the_matrix_of_the_program(furnished):
    actions = ", ".join(f"('{action}')" for action in Action)
    for login, role in LOGINS.items():
        answers = furnished.sql(
            login,
            "SELECT wanted, permitted(wanted, 1), permitted(wanted, NULL)"
            f" FROM (VALUES {actions}) AS a (wanted)",
        )
        everywhere = role is not Role.OWNER
        assert answers == [
            (action.value, role in MATRIX[action], everywhere and role in MATRIX[action]) for action in Action
        ]


# -- one subscription ---------------------------------------------------------------------------


def test_an_assignor_of_one_subscription_seats_and_revokes_there_and_fails_in_another(office):
    office.done("one", f"seats assign design {ZOE}")
    office.done("one", f"seats revoke design {ZOE}")
    made_by(office, f"roles grant {CI} assignor", "seats revoke other olga@example.com")
    for command in (f"seats assign other {ZOE}", "subs add-seats other 1"):
        before = office.everything()
        assert "permission denied" in office.refused("one", command)["message"]
        assert office.everything() == before
    made_by(office, f"seats assign other {YAN}")
    assert "for other" in office.refused("one", f"seats revoke other {YAN}")["message"]
    office.done("vic", "audit verify")
    office.done("led", "ledger check")


def test_what_is_due_elsewhere_waits_for_somebody_who_may_record_it(office):
    made_by(
        office,
        f"seats assign design {ZOE} --for 1d",
        f"seats assign other {YAN} --for 1d",
        f"requests create {OLGA} --subscription other --expires 1d",
        "sandbox advance 2d",
    )
    office.done("one", f"seats assign design {YAN}")
    open_seats = "SELECT subscription_id, user_id FROM seats WHERE revoked_at IS NULL ORDER BY 1, 2"
    olga, zoe, yan = (
        office.sql("led", f"SELECT id FROM users WHERE email = '{who}'")[0][0] for who in (OLGA, ZOE, YAN)
    )
    assert office.sql("led", open_seats) == [(1, olga), (1, yan), (2, yan)]
    office.done("ash", f"seats revoke design {YAN}")
    assert office.sql("led", open_seats) == [(1, olga)]
    assert zoe
    office.done("vic", "audit verify")


def test_a_seat_that_becomes_free_goes_to_the_waitlist(office):
    made_by(office, "config auto-approve design on")
    for person in ("a", "b", "c", "d"):
        made_by(office, f"seats assign design {person}@example.com --create-users")
    waits = office.run("led", f"requests create {ZOE} --subscription design", SEATCTL_ACTOR=ANN)
    assert waits.code == 10
    freed = office.done("one", "seats revoke design a@example.com").json
    assert "seated 1 from the waitlist" in freed["summary"]


# -- actors -------------------------------------------------------------------------------------


def test_a_role_that_is_mapped_to_an_actor_is_nobody_else(office):
    for option in (("--as", ANN), ("--as", "ci:other")):
        error = office.refused("one", f"seats assign design {ZOE}", *option)
        assert error["allowed"] == [CI]
    assert office.run("one", f"seats assign design {ZOE}", SEATCTL_ACTOR=ANN).code == 8
    office.done("one", f"seats assign design {ZOE} --as {CI}")
    office.done("adm", f"users suspend {YAN} --as ANN@example.com")
    actors = office.sql("led", "SELECT actor FROM audit ORDER BY seq DESC LIMIT 2")
    assert actors == [(ANN,), (CI,)]


def payload(office: Office, subscription: int) -> str:
    """What an operation on a subscription names."""
    query = f"SELECT stripe_subscription FROM subscriptions WHERE id = {subscription}"
    return json.dumps({"subscription": subscription, "stripe_id": office.sql("led", query)[0][0]})


def test_an_operation_of_a_login_of_one_subscription_is_about_that_subscription(office):
    """A sync of somebody else would perform it, with their Stripe key."""
    mine, others = payload(office, 1), payload(office, 2)
    for kind, subscription, content in (
        ("change", "1", others),
        ("change", "2", others),
        ("change", "NULL", mine),
        ("cancel", "1", mine),  # for its owner
        ("buy", "1", mine),
        ("plan_edit", "1", mine),
        ("change", "1", "{}"),
    ):
        values = f"1, '{kind}', '{content}', '{CI}', '{NOW}', {subscription}"
        columns = "run, kind, payload, actor, created_at, subscription_id"
        assert office.state("one", f"INSERT INTO operations ({columns}) VALUES ({values})") == DENIED
    steps = (
        "INSERT INTO steps (operation_id, name, form, sent_at) VALUES ({}, 'x', '', '2026-11-21T12:00:00Z')"
    )
    for number in office.sql("led", "SELECT id FROM operations WHERE subscription_id IS DISTINCT FROM 1"):
        assert office.state("one", steps.format(*number)) == DENIED
    assert office.state("one", "UPDATE operations SET payload = '{}'") == DENIED


@pytest.mark.parametrize("table", ["runs", "audit", "operations"])
def test_postgres_refuses_another_actor_in(office, table):
    columns = {
        "runs": f"(command, actor, os_user, started_at) VALUES ('x', '{ANN}', 'x', '{NOW}')",
        "audit": "(seq, run, at, actor, os_user, command_hash, digest)"
        f" VALUES (999, 1, '{NOW}', '{ANN}', 'x', '', '')",
        "operations": "(run, kind, payload, actor, created_at, subscription_id)"
        f" VALUES (1, 'change', '{payload(office, 1)}', '{ANN}', '{NOW}', 1)",
    }
    assert office.state("one", f"INSERT INTO {table} {columns[table]}") == DENIED
    mine = columns[table].replace(ANN, CI)
    assert office.state("one", f"INSERT INTO {table} {mine}") is None


# -- erasure ------------------------------------------------------------------------------------


def test_only_an_admin_erases_and_only_by_blanking(office):
    made_by(office, f"seats assign design {ZOE}")
    before = office.everything()
    error = office.refused("ash", f"users remove {ZOE} --erase")
    assert "blank_change" in error["message"]
    assert office.everything() == before
    erased = office.done("adm", f"users remove {ZOE} --erase").json
    assert erased["rows"][0]["result"] == "erased"
    assert not office.sql("led", f"SELECT 1 FROM changes WHERE before LIKE '%{ZOE}%' OR after LIKE '%{ZOE}%'")
    office.done("vic", "audit verify")
    office.done("led", "ledger check")


# -- requesters ---------------------------------------------------------------------------------


def test_a_requester_requests_cancels_and_reads_for_themselves(office):
    made = office.done("req", f"requests create {ZOE} --subscription design --note please").json
    number = made["rows"][0]["number"]
    assert (made["rows"][0]["status"], made["undo"]) == ("pending", f"seatctl requests cancel {number}")
    again = office.done("req", f"requests create {ZOE} --subscription design").json
    assert (again["run"], again["rows"][0]["result"]) == (None, "already requested")
    assert [row["email"] for row in office.done("req", "requests list").rows] == [ZOE]
    assert office.done("req", f"requests show {number}").json["note"] == "please"
    answer = office.run("req", f"check {ZOE} -s design")
    assert (answer.code, answer.json["reason"]) == (7, "unseated")
    assert f"request {number} awaits approval" in answer.json["message"]
    assert office.done("req", f"requests cancel {number}").json["rows"][0]["status"] == "canceled"
    assert office.run("req", f"requests cancel {number}").json["rows"][0]["result"] == "already canceled"
    assert office.sql("led", "SELECT actor FROM audit ORDER BY seq DESC LIMIT 2") == [(ZOE,), (ZOE,)]
    office.done("vic", "audit verify")
    office.done("led", "ledger check")


def test_a_requester_with_a_seat_is_entitled(office):
    made_by(office, f"seats assign design {ZOE}")
    assert office.done("req", f"check {ZOE}").json["subscription"] == "design"
    seated = office.done("req", f"requests create {ZOE} --subscription design").json
    assert seated["rows"][0]["result"] == "already seated"


@pytest.mark.parametrize(
    "command",
    [
        f"requests create {YAN} --subscription design",
        f"requests create {ZOE} --subscription design --priority 5",
        f"requests create {ZOE} --create-users",
        f"check {YAN}",
        "users list",
        "seats list design",
        "subs list",
        "subs show design",
        "invoices list",
        "plans list",
        "status",
        "audit log",
        "runs list",
        "roles list",
        "notify list",
        f"users show {ZOE}",
        "ledger export {prefix}",
        f"seats assign design {ZOE}",
        "requests approve 1",
        "requests deny 1",
        "users add x@example.com",
        "sync",
        "config set undo_window 5",
    ],
)
def test_a_requester_can_do_nothing_else(office, command):
    before = office.everything()
    assert office.run("req", command).code == 8, command
    assert office.everything() == before


def test_a_requester_cancels_only_their_own(office):
    assert office.run("req", "requests cancel 1").code == 9
    assert office.run("req", "requests show 1").code == 9
    assert office.done("req", "requests list --all").rows == []
    assert office.done("vic", "requests list").rows[0]["status"] == "pending"


def test_a_requester_sees_one_person_in_postgres_too(office):
    made_by(office, f"seats assign design {ZOE} {YAN}", f"requests create {OLGA} --subscription other")
    office.done("req", f"requests create {ZOE} --subscription other")
    zoe = office.sql("led", f"SELECT id FROM users WHERE email = '{ZOE}'")[0][0]
    assert office.sql("req", "SELECT email FROM users") == [(ZOE,)]
    assert office.sql("req", "SELECT DISTINCT user_id FROM seats") == [(zoe,)]
    assert office.sql("req", "SELECT DISTINCT user_id FROM requests") == [(zoe,)]
    assert office.sql("req", "SELECT * FROM invoices") == []
    assert office.sql("req", "SELECT name FROM subscriptions ORDER BY 1") == [("design",), ("other",)]
    for column in ("unit_amount", "assigned", "quantity", "metadata", "owner_id", "customer_id"):
        assert office.state("req", f"SELECT {column} FROM subscriptions") == DENIED
    for table in ("audit", "changes", "runs", "customers", "operations", "outbox", "roles", "steps"):
        assert office.state("req", f"SELECT 1 FROM {table}") == DENIED
    assert office.state("req", "SELECT unit_amount FROM plans") == DENIED
    assert (
        office.state(
            "req", f"INSERT INTO requests (user_id, status, created_at) VALUES ({zoe}, 'approved', '{NOW}')"
        )
        == DENIED
    )
    assert office.state("req", "UPDATE requests SET priority = 9") == DENIED


def test_a_request_for_a_subscription_that_does_not_fit_is_refused(office):
    unknown = office.run("req", f"requests create {ZOE} --subscription nothing")
    assert (unknown.code, unknown.error["hint"]) == (9, "the names are design, other")  # it may not list them
    refused = office.run("req", f"requests create {ZOE} --subscription design --feature reports")
    assert (refused.code, refused.error["code"]) == (3, "bad_request")
    made_by(office, f"users suspend {ZOE}")
    refused = office.run("req", f"requests create {ZOE}")
    assert (refused.code, refused.error["code"]) == (4, "user_not_active")
    dry = office.run("req", f"requests create {ZOE} --subscription other --dry-run")
    assert dry.code == 4


def test_a_dry_run_of_a_requester_leaves_nothing(office):
    before = office.everything()
    dry = office.done("req", f"requests create {ZOE} --subscription design --dry-run").json
    assert dry["summary"].startswith("would have made request")
    assert office.everything() == before


def test_an_expired_request_is_made_again(office):
    office.done("req", f"requests create {ZOE} --subscription design --expires 1d")
    made_by(office, "sandbox advance 2d")
    again = office.done("req", f"requests create {ZOE} --subscription design").json
    assert again["rows"][0]["result"] == "pending"
    listed = [(row["status"]) for row in office.done("req", "requests list --all").rows]
    assert listed == ["expired", "pending"]
    office.done("vic", "audit verify")


def test_the_same_request_at_the_same_time_is_made_once(office):
    words = f"requests create {ZOE} --subscription design -o json".split()
    started = [office.seatctl.process(*words, env=office.env("req")) for _ in range(6)]
    ends = [process.finish() for process in started]
    assert [process.returncode for process in started] == [0] * 6, ends
    assert len(office.done("req", "requests list --all").rows) == 1
    office.done("vic", "audit verify")


def test_the_rules_decide_when_somebody_with_the_right_comes_by(office):
    made_by(office, "config auto-approve design on")
    office.done("req", f"requests create {ZOE} --subscription design")
    assert office.run("req", f"check {ZOE}").code == 7
    made_by(office, f"users suspend {YAN}")
    assert office.done("req", f"check {ZOE}").json["subscription"] == "design"
    assert office.done("req", "requests list --all").rows[0]["decided_by"] == "auto"
    office.done("vic", "audit verify")


def test_the_deciders_of_a_requesters_request_get_a_message(office):
    office.done("req", f"requests create {ZOE} --subscription design")
    before = "SELECT count(*) FROM outbox WHERE template = 'request_received'"
    ((earlier,),) = office.sql("led", before)
    office.done("one", f"seats assign design {YAN}")
    ((later,),) = office.sql("led", before)
    assert later - earlier == 2  # olga, who owns it, and ann


def test_a_place_on_the_waitlist_counts_the_others(office):
    made_by(office, "config auto-approve other on", f"seats assign other {OLGA}")
    for person in ("a", "b"):
        made_by(office, f"users add {person}@example.com")
        assert (
            office.run(
                "led", f"requests create {person}@example.com --subscription other", SEATCTL_ACTOR=ANN
            ).code
            == 10
        )
    office.done("req", f"requests create {ZOE} --subscription other")
    made_by(office, f"users suspend {YAN}")
    assert office.done("req", "requests list").rows[0]["place"] == 3
    assert office.run("req", f"check {ZOE} -s other").json["message"].count("number 3 on the waitlist") == 1


# -- check-only ---------------------------------------------------------------------------------


def test_check_only_can_ask_about_anybody_and_do_nothing_else(office):
    made_by(office, f"seats assign design {ZOE}")
    assert office.done("chk", f"check {ZOE} -s design").json["reason"] == "entitled"
    office.sql("led", "UPDATE subscriptions SET status = 'trialing'")  # they may not read when a trial ends
    assert office.done("chk", f"check {ZOE} -s design").json["reason"] == "entitled"
    office.sql("led", "UPDATE subscriptions SET status = 'active'")
    assert office.run("chk", f"check {YAN} -s design").json["reason"] == "unseated"
    assert "request 1 awaits approval" in office.run("chk", f"check {YAN}").json["message"]
    assert office.run("chk", "check nobody@example.com").json["reason"] == "unknown_user"
    assert office.run("chk", f"check {ZOE} -s nothing").code == 9
    assert office.run("chk", f"check {ZOE} --plan nothing").code == 9
    for command in ("users list", "requests list", f"requests create {ZOE}", "status", f"users add {ZOE}"):
        office.refused("chk", command)


def test_check_only_lists_nobody_in_postgres(office):
    made_by(office, f"seats assign design {ZOE}")
    assert office.sql("chk", "SELECT id FROM users") == []
    assert office.sql("chk", "SELECT id FROM seats") == []
    assert office.sql("chk", "SELECT number FROM requests") == []
    for column in ("email", "name", "group_name"):
        assert office.state("chk", f"SELECT {column} FROM users") == DENIED
    assert office.state("chk", "SELECT note FROM requests") == DENIED


def test_check_takes_one_round_trip_for_a_limited_role_too(office):
    from seatctl.ledger.engines.postgres import connect
    from seatctl.ledger.ledger import Ledger
    from seatctl.models.ledger_url import ServerUrl
    from seatctl.services.seats.entitlement import check

    made_by(office, f"seats assign design {ZOE}")
    for login in ("chk", "req", "vic", "led"):
        engine = connect(ServerUrl(office.url(login)))
        ledger = Ledger(engine)
        with ledger.reading() as reader:
            assert check(reader, ZOE, datetime.now(UTC) + timedelta(seconds=5))["entitled"]
        assert engine.link.round_trips == 1
        ledger.close()


# -- granting -----------------------------------------------------------------------------------


def test_without_a_grant_nothing_works(office):
    assert office.state("nob", "SELECT 1 FROM seatctl.users") == DENIED
    assert office.run("nob", f"check {ZOE}").code == 8


def test_a_viewer_sees_no_code(furnished):
    assert furnished.state("vic", "SELECT code_hash FROM activation_codes") == DENIED
    assert furnished.state("vic", "SELECT used_at FROM activation_codes") is None


def test_rights_are_taken_again(office):
    for name in ("vic", "req", "one"):
        printed = office.seatctl(
            "ledger", "grants", "viewer", office.login(name), "--revoke", env=office.env("led")
        )
        with office.connect("led") as connection:
            connection.execute(printed.out)
        assert office.run(name, f"check {ZOE}").code == 8
        assert office.state(name, "SELECT 1 FROM seatctl.users") == DENIED
    give(office, "vic", "viewer")
    assert office.done("vic", "users list").rows


def test_the_printed_sql_says_nothing_of_what_is_not_there(furnished):
    name = f"{furnished.words['prefix']}_new"
    printed = [
        furnished.seatctl("ledger", "grants", "viewer", name, *more, env=furnished.env("led")).out
        for more in ([], ["--revoke"], ["--revoke"])
    ]
    with server().connect() as connection:
        connection.execute(f"CREATE ROLE {name}")
    notices: list[str | None] = []
    with furnished.connect("led") as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        for sql in printed:
            connection.execute(sql)
    assert not notices
    with server().connect() as connection:
        connection.execute(f"DROP ROLE {name}")


def test_a_login_can_have_several_rights(office):
    give(office, "vic", "requester", "--as", ZOE)
    assert len(office.done("vic", "users list").rows) > 1
    office.done("vic", f"requests create {ZOE} --subscription other")
    give(office, "one", "assignor", "--subscription", "other", "--as", CI)
    made_by(office, f"roles grant {CI} assignor --subscription other")
    office.done("one", f"seats assign other {ZOE}")


@pytest.mark.parametrize(
    "words",
    [
        "owner x",
        "viewer x --subscription design",
        "requester x --subscription design --as zoe@example.com",
        "requester x",
        "requester x --as ci:x",
    ],
)
def test_a_grant_without_a_meaning_is_refused(furnished, words):
    refused = furnished.seatctl("ledger", "grants", *words.split(), env=furnished.env("led"))
    assert refused.code == 2, refused


def test_a_grant_says_what_the_ledger_lacks(furnished):
    def notes(*words: str) -> str:
        return furnished.seatctl("ledger", "grants", *words, env=furnished.env("led")).err

    assert "seatctl users add new@example.com" in notes("requester", "x", "--as", "new@example.com")
    assert "seatctl roles grant ci:x assignor --subscription design" in notes(
        "assignor", "x", "-s", "design", "--as", "ci:x"
    )
    assert notes("assignor", "x", "--as", ASH) == ""


def test_a_name_is_quoted(furnished):
    name = "o\"; DROP TABLE users; --'"
    printed = furnished.seatctl("ledger", "grants", "viewer", name, env=furnished.env("led")).out
    with server().connect() as connection:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"CREATE ROLE {quoted}")
    with furnished.connect("led") as connection:
        connection.execute(printed)
        connection.execute(
            furnished.seatctl("ledger", "grants", "viewer", name, "--revoke", env=furnished.env("led")).out
        )
    with server().connect() as connection:
        connection.execute(f"DROP ROLE {quoted}")


def test_a_file_has_no_database_roles(sandbox):
    refused = sandbox("ledger", "grants", "viewer", "x", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "file_ledger")


def test_the_search_of_a_viewer_uses_the_index(furnished):
    with furnished.connect("vic") as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT 1 FROM users u WHERE user_trigrams(u.name, u.email) @> trigrams(folded('zoe'))"
        ).fetchall()
    assert "users_search" in str(plan)


def test_behind_pgbouncer_every_login_keeps_its_own_rights(office):
    """Two sessions of each login serve all of its transactions; nothing of one client stays for the next."""
    with pooled(office) as port:

        def through(name: str, command: str) -> Result:
            url = server().tcp_url(office.database, office.login(name), port)
            return office.run(name, command, SEATCTL_LEDGER=url)

        for _ in range(3):
            assert through("one", f"seats assign design {ZOE}").code == 0
            assert through("chk", f"check {ZOE}").code == 0
            assert through("chk", "check nobody@example.com").json["reason"] == "unknown_user"
            assert through("req", f"check {ZOE}").code == 0
            assert through("req", f"check {YAN}").code == 8
            assert through("req", f"requests create {ZOE} --subscription other").code == 0
            assert through("one", f"seats revoke design {ZOE}").code == 0
            assert through("vic", f"seats assign design {ZOE} --as {ANN}").code == 8
            assert through("one", f"seats assign design {YAN} --as {ANN}").code == 8
        url = server().tcp_url(office.database, office.login("chk"), port)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            assert connection.execute("SELECT count(*) FROM seatctl.users").fetchone() == (0,)
    office.done("led", "ledger check")


def test_the_rights_are_those_of_the_login_whatever_the_role_is_set_to(office):
    """PgBouncer may keep what an earlier client has set; the login of its connection stays."""
    with office.connect("vic") as connection:
        connection.execute("SET SESSION ROLE NONE")
        assert connection.execute("SELECT own_grants()").fetchone()[0].startswith('[["viewer"')
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SET ROLE {office.login('adm')}")
