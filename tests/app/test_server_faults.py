"""Every kind of change, disturbed at its round trips: it is done or it is not, and the client says which.

The client is killed, the connection is cut before a statement arrives or before its answer does, the server
ends it, stops or restarts. By default one fault at a COMMIT of each kind of change, another one for each,
and for some kinds one elsewhere; with --whole-proofs every fault at every round trip, and every stop of the
server itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatctl.cli.role_table import BY_CODE, CHANGES, OF_ITS_LINES, OF_THE_MACHINE
from seatctl.ledger.engines.port import SCHEMA_VERSION
from seatctl.ledger.schema.postgres import create
from seatctl.rules.activation import code_hash
from seatctl.sandbox import clock
from seatctl.sandbox.api.twin import Twin
from tests.app.test_database_roles import made_by, prepare
from tests.conftest import Result, Seatctl
from tests.services.users.test_roles import CALLS
from tests.support.database_roles import ANN, YAN, ZOE, Office, copied, new_office
from tests.support.fault_relay import FaultRelay, commits, fault_relay
from tests.support.faults import KILLED, KILLS, NAMES, STOPS, Disturbed
from tests.support.pgbouncer import let_in, pooled_port
from tests.support.postbox import Postbox
from tests.support.postgres import server
from tests.support.server_state import KEPT, differences, expire_leases, state

pytestmark = pytest.mark.slow

CODE = "seat-00000-00000-00000-0000K"

KINDS = {
    **CALLS,
    "seats claim": "seats claim --code -",
    "batch": "batch {lines}",
    "runs resume": "runs resume {batch}",
    "config set": "config set undo_window 5",
    "config unset": "config unset undo_window",
    "seats assign from a file": "seats assign design --from {people} --create-users",
    "seats apply with a purchase": "seats apply {many_desired} --create-users --buy-shortfall",
    "users import of many": "users import {many}",
    "users remove and erase": "users remove zoe@example.com --erase",
    "runs undo of a change": "runs undo {assigned}",
}
"""An example of each command that changes a ledger, and of some other ways through the same commands."""

ELSEWHERE = {
    "ledger copy": "tests/ledger/transfer/test_interrupted.py",
    "notify test": "it writes to no ledger",
    "init": "test_a_ledger_is_created_once",
    "ledger migrate": "test_a_migration_is_done_or_not",
    "ledger restore": "a server's ledger is restored by pg_restore",
    "demo": "it works with a file of its own",
    "config use": "it writes to config.toml only",
    **{
        f"sandbox {verb}": "it writes to the sandbox only"
        for verb in ("reset", "advance", "fail", "complete", "authenticate", "retries", "tax", "serve")
    },
}

AGAIN = {0, 4, 9, 10}
"""How a command may end that is run again after it was done."""


def test_every_command_that_changes_something_is_disturbed():
    known = {*CHANGES, *BY_CODE, *OF_ITS_LINES, *OF_THE_MACHINE}
    assert known - set(KINDS) == set(ELSEWHERE) - set(KINDS)
    assert set(ELSEWHERE) <= known


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """The office, at a time that stands still: what Stripe prorates stays the same."""
    with new_office(tmp_path_factory.mktemp("faults") / "office") as office:
        with closing(Twin(office.seatctl.home.parent / "sandbox.db")) as stripe, stripe.store.transaction():
            clock.freeze(stripe.store, stripe.now())
        yield office


@dataclass
class Change:
    """A kind of change: what was before it, and what it leads to undisturbed."""

    kind: str
    office: Office
    folder: Path
    relay: FaultRelay
    postbox: Postbox
    copies: int = 0

    def __post_init__(self) -> None:
        prepared(self.kind, self.office, self.folder, self.postbox)
        if self.kind != "sync":
            self.office.run("led", "sync", SEATCTL_ACTOR=ANN)
        self.before = state(self.office.database, whole=True)
        with self.copy() as calm:
            ended = self.on(calm).calm()
            self.code, self.queries = ended.code, list(self.relay.queries)
            assert ended.code not in {1, 2, 8, 9, 74, 75}, ended.err
            self.after = state(calm.database, whole=True)
            self.synced = self._synced(calm, self.kind)
            """What an administrator would ask for, once `sync` has run after it."""
        self.commits = commits(self.queries)
        entries = self.after["rows of audit"][0][0] - self.before["rows of audit"][0][0]
        self.is_one = entries == 1 and not any(b"leases" in text for text in self.queries)
        """Whether all of it is one transaction, but for rows that are staged."""

    def copy(self):
        self.copies += 1
        return copied(self.office, self.folder / str(self.copies))

    def on(self, office: Office) -> Disturbed:
        """The command, on a copy of the office."""
        words = {**office.words, "home": str(office.seatctl.home)}
        argv = (*KINDS[self.kind].format(**words).split(), "--yes", "-o", "json")
        far = server().tcp_url(office.database, office.login("led"), self.relay.port)
        env = {**office.env("led"), "SEATCTL_LEDGER": far, "SEATCTL_ACTOR": ANN}
        stdin = CODE if "claim" in self.kind else ""
        return Disturbed(office.seatctl, argv, env, office.database, self.relay, stdin)

    def disturb(self, number: int, fault: str) -> None:
        """Run it with this fault at this round trip, and see what is there, and what was said."""
        where = f"{self.kind}: {fault}, {number} of {len(self.queries)}"
        with self.copy() as office:
            disturbed = self.on(office)
            result = disturbed.at(number, fault)
            assert self.relay.broken.wait(10), where
            error = None if result.code in {self.code, KILLED} else self._error_of(result)
            assert "Traceback" not in result.err, (where, result.err)
            assert result.code in {self.code, KILLED} or (result.code, error["code"]) in {
                (75, "ledger_unreachable"),
                (75, "ledger_busy"),
                (75, "busy"),
            }, (where, result)
            assert error is None or error["hint"], (where, error)
            expire_leases(office.database)
            found = state(office.database, whole=True)
            apart = [what for what, *_ in differences(self.after, found)]
            # Which subscriptions a file describes is stored after the change, and again by the next `apply`.
            is_done = apart == [] or (self.kind == "seats apply" and apart == ["rows of meta"])
            if self.is_one:
                assert is_done or differences(self.before, found) == [], (where, self._apart(found))
                assert is_done or result.code != self.code, where
            if error is not None and "nothing was changed" in error["message"]:
                assert differences(self.before, found) == [], (where, error, self._apart(found))
            if not self.is_one:
                is_done = self._recovered(office, where, must_be_done=result.code == self.code)
            again = office.seatctl(*disturbed.argv, stdin=disturbed.stdin, env=self._near(disturbed, office))
            codes = {self.code, *(AGAIN if is_done else ()), *(LINE_BY_LINE.get(self.kind, ()))}
            assert again.code in codes, (where, again.err)
            assert_sound(office, where)
            if not is_done:
                self._assert_done(office, where)
            if self.kind == "notify send":  # each message was sent, at least once
                messages = state(office.database, whole=True)["messages"]
                assert messages == self.after["messages"], where

    def _error_of(self, result: Result) -> dict[str, str]:
        """The error of a command. The report of a sync that leaves an operation open has it in a row."""
        if self.kind != "sync" or result.err:
            return result.error
        (row,) = (row for row in result.rows if row["error"])
        return {"code": row["error"], "message": row["summary"], "hint": "seatctl sync"}

    def _near(self, disturbed: Disturbed, office: Office) -> dict[str, str]:
        return {**disturbed.env, "SEATCTL_LEDGER": office.url("led")}

    def _apart(self, found: dict[str, list[tuple]]) -> list[tuple]:
        return min(differences(self.before, found), differences(self.after, found), key=len)

    def _synced(self, office: Office, where: str) -> dict[str, list[tuple]]:
        synced = office.run("led", "sync", SEATCTL_ACTOR=ANN)
        assert synced.code in {0, 10}, (where, synced.err)
        return shown(state(office.database))

    def _recovered(self, office: Office, where: str, *, must_be_done: bool) -> bool:
        """Let `sync` finish or undo what was interrupted; return whether it is done."""
        found = self._synced(office, where)
        is_done = differences(self.synced, found) == []
        is_not = differences(shown(self.before), found) == []
        assert is_done or not must_be_done, (where, differences(self.synced, found))
        assert is_done or is_not or self.kind in LINE_BY_LINE, (where, differences(self.synced, found))
        return is_done

    def _assert_done(self, office: Office, where: str) -> None:
        if self.is_one:
            assert differences(self.after, state(office.database, whole=True)) == [], where
        else:
            assert differences(self.synced, self._synced(office, where)) == [], where


LINE_BY_LINE = {
    "batch": (*AGAIN, 6),
    "runs resume": (*AGAIN, 6),
    "seats apply with a purchase": tuple(AGAIN),
}
"""What may be done in part, and how it may end that is run again: lines that were done may fail then. What
was bought for the people of a file is finished by `sync`; the same command again gives them its seats."""


def shown(found: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """What an administrator would ask for, without the record."""
    return {what: rows for what, rows in found.items() if what in KEPT}


def prepared(kind: str, office: Office, folder: Path, postbox: Postbox) -> None:
    """Let there be something to change."""
    if kind != "notify send":
        prepare(office, kind)
    many = "".join(f"u{n}@example.com\n" for n in range(300))
    texts = {
        "lines": f"users add new@example.com\nseats assign design {ZOE}\nusers edit {YAN} --name Yan\n",
        "many": f"email\n{many}",
        "many_desired": "subscription,email\n" + "".join(f"design,w{n}@example.com\n" for n in range(7)),
    }
    for name, text in texts.items():
        path = folder / f"{name}.csv"
        path.write_text(text)
        office.words[name] = str(path)
    if kind == "seats claim":
        now = datetime.now(UTC)
        office.sql(
            "led",
            "INSERT INTO activation_codes (seat_id, code_hash, created_at, expires_at)"
            f" SELECT min(id), '{code_hash(CODE)}', '{now:%Y-%m-%dT%H:%M:%SZ}', '2099-01-01T00:00:00Z'"
            " FROM seats",
        )
    elif kind == "runs resume":
        lines = folder / "failing.txt"
        lines.write_text(f"seats assign nothing {ZOE}\nusers edit {YAN} --name Yan\n")
        stopped = office.run("led", f"batch {lines} --stop-on-error", SEATCTL_ACTOR=ANN)
        office.words["batch"] = re.search(r"runs resume (\d+)", stopped.out + stopped.err)[1]
    elif kind == "config unset":
        made_by(office, "config set undo_window 5")
    elif kind == "runs undo of a change":
        done = office.done("led", f"seats assign design {ZOE}", SEATCTL_ACTOR=ANN)
        office.words["assigned"] = str(done.json["run"])
    elif kind == "notify send":
        for key, value in {
            "host": "127.0.0.1",
            "port": postbox.port,
            "security": "none",
            "from": "a@b.c",
        }.items():
            made_by(office, f"config set mail.{key} {value}")


def assert_sound(office: Office, where: str) -> None:
    """The checks find nothing, and the chain of the audit holds."""
    for command in ("ledger check", "audit verify"):
        checked = office.run("led", command, SEATCTL_ACTOR=ANN)
        assert checked.code == 0, (where, checked.out, checked.err)


@pytest.fixture(scope="module")
def relay() -> Iterator[FaultRelay]:
    with fault_relay(server().port) as opened:
        yield opened


def change(kind: str, furnished: Office, relay: FaultRelay, folder: Path, stack: ExitStack) -> Change:
    office = stack.enter_context(copied(furnished, folder / "office"))
    postbox = Postbox()
    if kind == "notify send":
        stack.enter_context(closing(postbox.open()))
    return Change(kind, office, folder, relay, postbox)


DISTURBED = [kind for kind in KINDS if kind not in ELSEWHERE]


def cases(change: Change, whole: bool) -> Iterator[tuple[int, str]]:
    """(round trip, fault): all of them, or one or two."""
    total, place = len(change.queries), DISTURBED.index(change.kind)
    if whole:
        for number in range(1, total + 1):
            yield from ((number, name) for name in NAMES)
        return
    at_commit = change.commits[place % len(change.commits)] if change.commits else total
    yield at_commit, NAMES[place % len(NAMES)]
    if place % 3 == 0:
        yield place * 5 % total + 1, NAMES[(place * 3 + 5) % len(NAMES)]


@pytest.mark.parametrize("kind", DISTURBED)
def test_a_disturbed_change_is_done_or_not(kind, furnished, relay, tmp_path, whole):
    with ExitStack() as stack:
        disturbed = change(kind, furnished, relay, tmp_path, stack)
        for number, name in cases(disturbed, whole):
            disturbed.disturb(number, name)


@pytest.mark.parametrize("kind", DISTURBED)
def test_a_server_that_stops_at_a_commit_has_done_the_change_or_not(kind, furnished, relay, tmp_path, whole):
    """The server itself: fast and immediate, for good and with a start at once."""
    names = tuple(STOPS)
    of_each = {DISTURBED[n * len(DISTURBED) // len(names)]: name for n, name in enumerate(names)}
    if kind not in of_each and not whole:
        pytest.skip("with --whole-proofs")
    with ExitStack() as stack:
        disturbed = change(kind, furnished, relay, tmp_path, stack)
        at = disturbed.commits[-1] if disturbed.commits else len(disturbed.queries)
        for name in names if whole else (of_each[kind],):
            disturbed.disturb(at, name)


POOLED = ("seats assign", "requests create", "users import of many", "subs add-seats", "batch")
POOLED_FAULTS = NAMES[:4] + NAMES[-2:]
"""Without those of a server that is away: PgBouncer itself waits for it."""


@pytest.mark.parametrize("kind", POOLED)
def test_behind_pgbouncer_a_disturbed_change_is_done_or_not(kind, furnished, tmp_path, whole):
    let_in(furnished.login("led"))
    with fault_relay(pooled_port()) as relay, ExitStack() as stack:
        disturbed = change(kind, furnished, relay, tmp_path, stack)
        place = POOLED.index(kind)
        for number in range(1, len(disturbed.queries) + 1) if whole else disturbed.commits[-1:]:
            for name in POOLED_FAULTS if whole else POOLED_FAULTS[place : place + 2]:
                disturbed.disturb(number, name)


# -- what makes a ledger -----------------------------------------------------------------------------------


def empty_office(seatctl, database: str, port: int) -> dict[str, str]:
    return {
        "SEATCTL_LEDGER": server().tcp_url(database, port=port),
        "SEATCTL_SANDBOX": str(seatctl.home.parent / "sandbox.db"),
    }


def until_calm(relay: FaultRelay, whole: bool, disturb: Callable[[int, str], None]) -> None:
    """Disturb round trip 1, 2, … until there are no more: with each fault, or another one each time."""
    for number in range(1, 30):
        for fault in NAMES if whole else (NAMES[number * 3 % len(NAMES)],):
            disturb(number, fault)
        if not relay.broken.is_set():
            assert number > 2, "it was never disturbed"
            return
    pytest.fail("it has too many round trips")


def test_a_ledger_is_created_once(relay, tmp_path, whole):
    """Whatever disturbs `init`, the next `init` leads to one ledger that works."""
    argv = ("init", "--no-input", "--actor", ANN)

    def disturb(number: int, fault: str) -> None:
        database = server().create()
        folder = tmp_path / database
        folder.mkdir()
        seatctl = Seatctl(folder / "home")
        env = empty_office(seatctl, database, relay.port)
        result = Disturbed(seatctl, argv, env, database, relay).at(number, fault)
        assert result.code in {0, 75, KILLED}, (number, fault, result.err)
        assert result.code != 75 or "hint" in result.err, result.err
        near = {**env, "SEATCTL_LEDGER": server().url(database)}
        assert seatctl(*argv, env=near).code in {0, 4}, (number, fault)
        for command in ("users add zoe@example.com", "ledger check", "audit verify"):
            done = seatctl(*command.split(), env=near)
            assert done.code == 0, (number, fault, command, done.err)
        server().drop(database)

    until_calm(relay, whole, disturb)


def test_a_migration_is_done_or_not(furnished, relay, tmp_path, monkeypatch, whole):
    later = SCHEMA_VERSION + 1
    monkeypatch.setattr(create, "SCHEMA_VERSION", later)
    monkeypatch.setattr(create, "MIGRATIONS", {later: ["ALTER TABLE plans ADD COLUMN color TEXT"]})
    monkeypatch.setattr("seatctl.ledger.creation.SCHEMA_VERSION", later)
    argv = ("ledger", "migrate", "-o", "json")

    def disturb(number: int, fault: str) -> None:
        if fault in KILLS:  # a process of its own has no later migration
            fault = NAMES[2]
        with copied(furnished, tmp_path / f"{number} {len(list(tmp_path.iterdir()))}") as office:
            far = server().tcp_url(office.database, office.login("led"), relay.port)
            env = {**office.env("led"), "SEATCTL_LEDGER": far, "SEATCTL_ACTOR": ANN}
            result = Disturbed(office.seatctl, argv, env, office.database, relay).at(number, fault)
            assert result.code in {0, 75}, (number, fault, result.err)
            has_color = office.state("led", "SELECT color FROM plans") is None
            assert has_color or result.code == 75, (number, fault)
            again = office.run("led", "ledger migrate", SEATCTL_ACTOR=ANN)
            assert again.code == 0, (number, fault, again.err)
            before = again.rows[0]["schema_before"]
            assert before == (later if has_color else SCHEMA_VERSION), (number, fault)
            office.done("led", "users list", SEATCTL_ACTOR=ANN)

    until_calm(relay, whole, disturb)
