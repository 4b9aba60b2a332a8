"""A ledger on a PostgreSQL server: how it is named, opened and checked, and what a machine needs for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from seatctl.app.context import Context
from seatctl.ledger.engines.postgres_link import Link
from seatctl.sandbox.api.server import SandboxServer
from tests.conftest import Seatctl
from tests.support.front import KEY, Front
from tests.support.postgres import server
from tests.support.relay import relayed

PASSWORD = "hunter2-of-the-server"


class Machine:
    """A machine without config.toml: what it knows is in its environment."""

    def __init__(self, seatctl: Seatctl, **variables: str) -> None:
        self.seatctl, self.variables = seatctl, variables

    def __call__(self, *argv, env=None, **options):
        return self.seatctl(*argv, env={**self.variables, **(env or {})}, **options)

    def rows(self, *argv):
        result = self(*argv, "-o", "json")
        assert result.code == 0, result.err
        return result.rows

    def process(self, *argv, **streams):
        return self.seatctl.process(*argv, env=self.variables, **streams)


@pytest.fixture
def database() -> Iterator[str]:
    name = server().create()
    yield name
    server().drop(name)


@pytest.fixture
def url(database) -> str:
    """With a password, which the server does not ask for."""
    return server().tcp_url(database).replace("postgres@", f"postgres:{PASSWORD}@")


@pytest.fixture
def shared(seatctl, url, tmp_path) -> Machine:
    """A sandbox ledger on the server, made by a machine with a profile; its sandbox is a file."""
    variables = {"SEATCTL_LEDGER": url, "SEATCTL_SANDBOX": str(tmp_path / "sandbox.db")}
    made = seatctl("init", "--no-input", "--actor", "ann@example.com", env=variables)
    assert made.code == 0, made.err
    return Machine(seatctl, **variables)


@pytest.fixture
def runner(shared, tmp_path) -> Machine:
    """Another machine, on which nothing is set up."""
    return Machine(Seatctl(tmp_path / "runner"), **shared.variables, SEATCTL_ACTOR="ann@example.com")


@pytest.fixture
def two_secrets(seatctl, database, tmp_path) -> Iterator[Machine]:
    """A runner that knows the URL of a ledger in test mode, and the Stripe key, and nothing else."""
    front = Front(tmp_path / "stripe.db")
    secrets = {"SEATCTL_LEDGER": server().tcp_url(database), "SEATCTL_STRIPE_KEY": KEY}
    others = {"SEATCTL_STRIPE_API_BASE": front.url, "SEATCTL_ACTOR": "ann@example.com"}
    administrator = Machine(seatctl, **secrets, **others)
    made = administrator("init", "--mode", "test", "--no-input", "--actor", "ann@example.com")
    assert made.code == 0, made.err
    yield Machine(Seatctl(tmp_path / "runner"), **secrets, **others)
    front.close()


def with_subscription(machine: Machine, seats: int = 5) -> None:
    """`design`: free seats of `pro`."""
    words = f"subs buy --plan pro --seats {seats} --name design --owner ann@example.com"
    paid = "--billing-email pay@example.com --payment-method pm_card_visa --yes"
    for command in ("plans add pro --price 12.00 --currency usd", f"{words} {paid}"):
        done = machine(*command.split())
        assert done.code == 0, done.err


def test_two_secrets_are_the_whole_set_up_of_a_runner(two_secrets):
    with_subscription(two_secrets)
    seated = two_secrets("seats", "assign", "design", "zoe@example.com", "--create-users")
    assert seated.code == 0, seated.err
    assert two_secrets("check", "zoe@example.com").code == 0
    assert not (two_secrets.seatctl.home / "config.toml").exists()
    assert two_secrets("check", "zoe@example.com", env={"SEATCTL_MODE": "live"}).code == 8


def everything(url: str) -> str:
    """All texts of all tables."""
    name = url.rpartition("/")[2]
    with server().connect(name) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'seatctl'").fetchall()
        return "".join(
            str(connection.execute(f"SELECT * FROM seatctl.{table}").fetchall()) for (table,) in tables
        )


def test_a_machine_needs_nothing_but_the_url(runner):
    assert runner("users", "add", "zoe@example.com").code == 0
    assert [user["email"] for user in runner.rows("users", "list")] == ["zoe@example.com"]
    assert not (runner.seatctl.home / "config.toml").exists()
    assert runner("status", "-o", "json").json["mode"] == "sandbox"


def test_a_terminal_gets_a_page_and_not_the_whole_list(shared, tmp_path, monkeypatch):
    people = tmp_path / "people.csv"
    people.write_text("email\n" + "".join(f"p{n:03}@example.com\n" for n in range(400)))
    assert shared("users", "import", people).code == 0
    sent: list[int] = []
    exchange = Link.exchange

    def counted(link: Link, texts):
        results = exchange(link, texts)
        sent.extend(len(result.rows) for result in results)
        return results

    monkeypatch.setattr(Link, "exchange", counted)
    shown = shared("users", "list", tty=True)
    assert "p049@example.com" in shown.out
    assert "p050@example.com" not in shown.out
    assert "the first 50 of 400" in shown.out + shown.err
    assert max(sent) == 100
    assert [user["email"][:4] for user in shared.rows("users", "list")] == [f"p{n:03}" for n in range(400)]
    assert max(sent) == 400


def test_the_mode_of_the_environment_must_be_the_ledgers(runner):
    assert runner("users", "list", env={"SEATCTL_MODE": "sandbox"}).code == 0
    for command in (("users", "list"), ("users", "add", "bob@example.com"), ("check", "bob@example.com")):
        refused = runner(*command, "-o", "json", env={"SEATCTL_MODE": "live"})
        assert (refused.code, refused.error["code"]) == (8, "mode_mismatch")
        assert refused.error["ledger_mode"] == "sandbox"
    assert runner.rows("users", "list") == []


def test_a_profile_of_another_mode_is_refused(shared):
    (shared.seatctl.home / "config.toml").write_text("[profiles.default]\nmode = 'test'\n")
    refused = shared("users", "add", "bob@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "mode_mismatch")


def test_a_sandbox_of_this_machine_alone_is_refused(runner, shared):
    del runner.variables["SEATCTL_SANDBOX"], shared.variables["SEATCTL_SANDBOX"]
    refused = runner("status", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "sandbox_not_shared")
    assert "SEATCTL_STRIPE_API_BASE" in refused.error["hint"]
    refused = shared("status", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "sandbox_not_shared")
    assert "seatctl config set stripe.api_base" in refused.error["hint"]


def test_a_served_sandbox_is_shared(runner, tmp_path):
    import threading

    sandbox = SandboxServer(tmp_path / "served.db")
    thread = threading.Thread(target=sandbox.run, daemon=True)
    thread.start()
    try:
        del runner.variables["SEATCTL_SANDBOX"]
        runner.variables["SEATCTL_STRIPE_API_BASE"] = sandbox.url
        added = runner("plans", "add", "pro", "--price", "12.00", "--currency", "usd")
        assert added.code == 0, added.err
        assert runner.rows("plans", "list")[0]["slug"] == "pro"
    finally:
        sandbox.stop()
        thread.join()


def test_a_ledger_begins_with_a_served_sandbox(seatctl, url, tmp_path):
    """As the refusal of `init` says: the sandbox is served before there is a ledger."""
    place = {"SEATCTL_LEDGER": url}
    refused = seatctl("init", "--no-input", "--actor", "ann@example.com", "-o", "json", env=place)
    assert (refused.code, refused.error["code"]) == (4, "sandbox_not_shared")
    assert (
        "seatctl sandbox serve --empty, and name its URL in SEATCTL_STRIPE_API_BASE" in refused.error["hint"]
    )
    served = seatctl.process("sandbox", "serve", "--empty", env=place)
    try:
        place["SEATCTL_STRIPE_API_BASE"] = served.stdout.readline().strip()
        made = seatctl("init", "--no-input", "--actor", "ann@example.com", env=place)
        assert made.code == 0, made.err
        with_subscription(Machine(seatctl, **place))
        another = Machine(Seatctl(tmp_path / "another"), **place, SEATCTL_ACTOR="ann@example.com")
        assert another.rows("subs", "list")[0]["name"] == "design"
        assert not list(tmp_path.rglob("sandbox.db"))
    finally:
        served.terminate()
        served.finish()


def test_the_password_is_shown_and_stored_nowhere(shared, runner, url, tmp_path):
    shown = url.replace(f":{PASSWORD}", "")
    outputs = []

    def told(machine, *argv, **options):
        result = machine(*argv, **options)
        outputs.append(result.out + result.err)
        return result

    bare = Machine(runner.seatctl, SEATCTL_SANDBOX=runner.variables["SEATCTL_SANDBOX"])
    options = ("--ledger", url, "--as", "ann@example.com")
    assert told(bare, "users", "add", "zoe@example.com", *options).code == 0
    assert (
        told(bare, "users", "add", "bob@example.com", f"--ledger={url}", "--as", "ann@example.com").code == 0
    )
    runs = told(bare, "runs", "list", "-o", "json", *options).json
    assert f"seatctl users add zoe@example.com --ledger {shown} --as ann@example.com" in [
        run["command"] for run in runs
    ]
    assert told(bare, "ledger", "path", *options).out.strip() == shown
    assert told(bare, "status", "-o", "json", *options).json["ledger"] == shown
    for command in (
        "audit log",
        "doctor",
        "ledger check",
        "ledger backup x",
        "ledger restore x",
        "config show",
    ):
        told(bare, *command.split(), *options, "-o", "json", "-v")
    told(bare, "users", "add", "--nonsense", *options)
    told(bare, "users", "list", "--ledger", url, "--ledger", f"{url}2")
    told(bare, "users", "list", "--ledger", f"{url}?sslmode=nonsense", "-v")
    told(bare, "users", "list", "--ledger", url.replace(str(server().port), "1"), "-v")
    told(bare, "users", "list", "--ledger", url.replace("@", "@@"), "-v")
    lines = tmp_path / "lines"
    lines.write_text(f"users list --ledger {url}\n")
    assert told(bare, "batch", lines, *options).code == 3
    stored = told(shared, "config", "set", "ledger.url", url, "-o", "json")
    assert (stored.code, stored.json["value"]) == (0, shown)
    assert told(shared, "config", "get", "ledger.url").out.strip() == shown
    told(shared, "config", "profiles")
    told(shared, "config", "unset", "ledger.url", "-o", "json")
    assert PASSWORD not in "".join(outputs)
    assert PASSWORD not in everything(url)
    for log in (shared.seatctl.home, runner.seatctl.home):
        for path in log.rglob("*.log"):
            assert PASSWORD not in path.read_text()


def test_a_profile_names_the_server(shared, url):
    profile = Machine(shared.seatctl, SEATCTL_SANDBOX=shared.variables["SEATCTL_SANDBOX"])
    assert profile("config", "set", "ledger.url", url).code == 0
    assert profile("users", "add", "zoe@example.com").code == 0
    assert len(shared.rows("users", "list")) == 1
    assert profile("config", "set", "ledger", "here.db").code == 0
    assert profile("config", "get", "ledger.url").code == 9
    text = (shared.seatctl.home / "config.toml").read_text()
    (shared.seatctl.home / "config.toml").write_text(text.replace("here.db", url))
    assert len(profile.rows("users", "list")) == 1


def test_the_actors_machine_and_job_are_part_of_the_audit(runner):
    job = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/seats", "GITHUB_RUN_ID": "42"}
    assert runner("users", "add", "zoe@example.com", env=job).code == 0
    with server().connect(runner.variables["SEATCTL_LEDGER"].rpartition("/")[2]) as connection:
        (origin,) = connection.execute(
            "SELECT origin FROM seatctl.audit ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    assert json.loads(origin)["repository"] == "acme/seats"
    assert json.loads(origin)["run_url"] == "https://github.com/acme/seats/actions/runs/42"
    assert runner("audit", "verify").code == 0


def test_policy_is_the_ledgers(shared, runner):
    text = (shared.seatctl.home / "config.toml").read_text()
    (shared.seatctl.home / "config.toml").write_text(f"{text}undo_window = 7\n")
    assert shared("config", "get", "undo_window").out == "10\n"
    found = {row["check"]: row for row in shared("doctor", "-o", "json").json}
    assert found["settings"]["result"] == "warning"
    assert "undo_window" in found["settings"]["detail"]
    assert runner("config", "set", "undo_window", "8").code == 0
    assert shared("config", "get", "undo_window").out == "8\n"
    assert shared("config", "set", "undo_window", "9").code == 0
    assert "undo_window" not in (shared.seatctl.home / "config.toml").read_text()
    assert runner("config", "get", "undo_window").out == "9\n"


def test_files_cannot_be_made_of_it(shared, tmp_path):
    refused = shared("ledger", "backup", tmp_path / "backup.db", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "server_ledger")
    assert "pg_dump" in refused.error["hint"]
    assert shared("ledger", "backup", "-", "--dry-run").code == 4
    (tmp_path / "backup.db").write_bytes(b"")
    refused = shared("ledger", "restore", tmp_path / "backup.db", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "server_ledger")
    assert "pg_restore" in refused.error["hint"]
    refused = shared("sandbox", "reset", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "server_ledger")
    assert shared("sandbox", "reset", "--yes", "--keep-ledger").code == 0
    assert shared("ledger", "check").code == 0


def test_doctor_says_what_each_finding_costs(shared, url):
    found = {row["check"]: row for row in shared("doctor", "-o", "json").json}
    assert found["server"]["detail"].startswith("PostgreSQL ")
    assert found["encryption"] == {
        "check": "encryption",
        "result": "ok",
        "detail": "not encrypted, but it does not leave this machine",
        "repair": None,
    }
    assert "superuser" in found["database user"]["detail"]
    assert found["clock"]["result"] == "ok"
    assert found["round trip"]["detail"].partition(":")[0].endswith(" ms")
    assert "fsync is off" in found["durability"]["detail"]


_GRANTS = "CREATE OR REPLACE FUNCTION own_grants() RETURNS text LANGUAGE sql RETURN"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP FUNCTION own_grants CASCADE",
        f"{_GRANTS} 'nonsense'",
        f"""{_GRANTS} '[["king", null, null, null]]'""",
        "ALTER TABLE meta RENAME COLUMN value TO other",
        "UPDATE meta SET value = 'x' WHERE key = 'schema_version'",
    ],
)
def test_a_first_answer_that_makes_no_sense_is_damage_and_no_bug(runner, database, statement):
    """Whatever a command asks for first: the contents, the clock of the server, or its own rights."""
    with server().connect(database) as connection:
        connection.execute("SET search_path TO seatctl")
        connection.execute(statement)
    for words in (
        "users list",
        "users add new@example.com",
        "requests create a@example.com",
        "ledger check",
        "sync",
    ):
        refused = runner(*words.split(), "-o", "json")
        assert (refused.code, refused.error["code"]) == (74, "ledger_damaged"), words
        assert "pg_restore" in refused.error["hint"]


@pytest.mark.parametrize("tilt", [timedelta(hours=2), timedelta(hours=-2)])
def test_the_clock_of_the_server_counts(two_secrets, database, monkeypatch, tilt):
    """In test mode; a sandbox has a clock of its own."""
    honest = Context._machine_now
    monkeypatch.setattr(Context, "_machine_now", lambda self: honest(self) + tilt)
    added = two_secrets("users", "add", "zoe@example.com")
    assert added.code == 0, added.err
    side = "ahead of" if tilt > timedelta() else "behind"
    assert f"this machine's clock is 120 minutes {side}" in added.err
    with server().connect(database) as connection:
        (apart,) = connection.execute(
            "SELECT abs(extract(epoch FROM now() - at::timestamptz)) FROM seatctl.audit ORDER BY seq DESC"
        ).fetchone()
    assert apart < 60
    with_subscription(two_secrets)
    seated = two_secrets("seats", "assign", "design", "zoe@example.com", "--until", "1h")
    assert seated.code == 0, seated.err
    assert two_secrets("check", "zoe@example.com").code == 0
    assert two_secrets("sandbox", "status").code == 4


@pytest.fixture
def round_trips(monkeypatch):
    """Count the answers that a command waits for, without those of connecting."""
    from seatctl.ledger.engines.postgres_link import Link

    counted = []
    exchange, copy = Link.exchange, Link.copy

    def counting(link, texts):
        counted.append(texts)
        return exchange(link, texts)

    def copying(link, statement, rows):
        counted.extend([statement] * 2)  # the server answers that it is ready, and that it has read them
        return copy(link, statement, rows)

    monkeypatch.setattr(Link, "exchange", counting)
    monkeypatch.setattr(Link, "copy", copying)

    def run(machine, *argv, code: int = 0) -> int:
        counted.clear()
        done = machine(*argv)
        assert done.code == code, done.err
        return len(counted)

    return run


def test_a_batch_is_rehearsed_in_a_copy(runner, file):
    assert runner("users", "add", "zoe@example.com").code == 0
    lines = file(
        "users add bob@example.com", "users edit bob@example.com --name Bob", "users add zoe@example.com"
    )
    tried = runner("batch", lines, "--dry-run", "-o", "json")
    assert (tried.code, tried.json["done"]) == (0, 3), tried.err
    assert len(runner.rows("users", "list")) == 1
    assert runner("batch", lines).code == 0
    assert len(runner.rows("users", "list")) == 2


def test_answers_take_few_round_trips(two_secrets, round_trips):
    with_subscription(two_secrets)
    assert two_secrets("seats", "assign", "design", "zoe@example.com", "--create-users").code == 0
    assert round_trips(two_secrets, "check", "zoe@example.com") == 1
    assert round_trips(two_secrets, "check", "zoe@example.com", "-s", "design", "-o", "json") == 1
    assert round_trips(two_secrets, "users", "add", "bob@example.com") <= 6
    for person in ("bob@example.com", "nobody@example.com"):
        assert round_trips(two_secrets, "check", person, code=7) == 1
        assert round_trips(two_secrets, "check", person, "-s", "design", code=7) == 1
    assert round_trips(two_secrets, "seats", "assign", "design", "bob@example.com") <= 6
    assert round_trips(two_secrets, "seats", "revoke", "design", "bob@example.com") <= 6
    assert round_trips(two_secrets, "requests", "create", "bob@example.com", "-s", "design") <= 8


@pytest.mark.parametrize("creates", [False, True])
def test_many_seats_take_few_round_trips(two_secrets, round_trips, whole, tmp_path, creates):
    people, count = tmp_path / "people.csv", 100_000 if whole else 1200
    rows = (f"u{n}@example.com,First Last{n},group{n % 20}\n" for n in range(count))
    people.write_text("email,name,group\n" + "".join(rows))
    with_subscription(two_secrets, seats=count)
    if not creates:
        assert two_secrets("users", "import", people).code == 0
    words = ("seats", "assign", "design", "--from", people, *(["--create-users"] if creates else []))
    assert round_trips(two_secrets, *words) <= 20
    assert two_secrets("subs", "show", "design", "-o", "json").json["assigned"] == count


def test_a_runner_far_away_assigns_in_half_a_second(two_secrets, database):
    """Beyond its start-up: this process has loaded everything.

    A busy machine says nothing about it. So the time is that of the answers and of this process, and a tenth
    of a second remains for the server.
    """
    with_subscription(two_secrets)
    people = [f"u{n}@example.com" for n in range(3)]
    seconds = []
    for person in people:
        assert two_secrets("users", "add", person).code == 0
    with relayed(server().port, delay=0.03) as relay:
        far = {"SEATCTL_LEDGER": server().tcp_url(database, port=relay.port)}
        for person in people:
            relay.answers, used = 0, time.process_time()
            seated = two_secrets("seats", "assign", "design", person, env=far)
            assert seated.code == 0, seated.err
            # Two belong to connecting; the last one follows the result: staged rows are deleted.
            assert relay.answers <= 9
            seconds.append(relay.answers * relay.delay + time.process_time() - used)
    assert min(seconds) < 0.4


def conflict(monkeypatch, times: int, error=None):
    """Let the first changes of the process meet another client."""
    from seatctl.ledger.engines.postgres import PostgresEngine
    from seatctl.ledger.failures import LedgerConflict

    begun = []
    commit = PostgresEngine.commit

    def meeting(engine):
        begun.append(engine)
        if len(begun) <= times:
            raise (error or LedgerConflict)("another client was first", hint="run the same command again")
        return commit(engine)

    monkeypatch.setattr(PostgresEngine, "commit", meeting)
    return begun


def test_a_conflict_with_another_client_is_repeated(runner, monkeypatch):
    begun = conflict(monkeypatch, 3)
    added = runner("users", "add", "zoe@example.com")
    assert (added.code, added.err.count("added zoe")) == (0, 1), added.err
    assert len(begun) == 4
    assert len(runner.rows("users", "list")) == 1


def test_a_lost_connection_is_repeated_once(runner, monkeypatch):
    from seatctl.ledger.failures import LedgerLost

    conflict(monkeypatch, 1, LedgerLost)
    assert runner("users", "add", "zoe@example.com").code == 0
    monkeypatch.undo()
    begun = conflict(monkeypatch, 9, LedgerLost)
    lost = runner("users", "add", "bob@example.com", "-o", "json")
    assert (lost.code, lost.error["code"], len(begun)) == (75, "ledger_unreachable", 2)


def test_what_was_read_from_stdin_is_not_read_again(runner, monkeypatch):
    begun = conflict(monkeypatch, 1)
    lost = runner("users", "import", "-", "-o", "json", stdin="email\nzoe@example.com\n")
    assert (lost.code, len(begun)) == (75, 1)
    assert runner("users", "import", "-", stdin="email\nzoe@example.com\n").code == 0


def test_each_line_of_a_batch_is_repeated_for_itself(runner, monkeypatch, file):
    from seatctl.ledger.engines.postgres import PostgresEngine
    from seatctl.ledger.failures import LedgerConflict

    commit, met = PostgresEngine.commit, []

    def meeting(engine):
        met.append(engine)
        if len(met) in {2, 5}:  # the first is the batch's own, and each line is marked after its change
            raise LedgerConflict("another client was first", hint="run the same command again")
        return commit(engine)

    monkeypatch.setattr(PostgresEngine, "commit", meeting)
    done = runner("batch", file("users add b@example.com", "users add c@example.com"), "-o", "json")
    assert (done.code, done.json["done"]) == (0, 2), done.err
    assert len(runner.rows("users", "list")) == 2
