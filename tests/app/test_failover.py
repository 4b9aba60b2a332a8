"""A synchronous standby takes over in the middle of things: no acknowledged change is lost.

The primary is stopped at once and the standby promoted, at a query of the client. One URL names both, with
`target_session_attrs=read-write`. By default at one query of each command; with --whole-proofs at many.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Result
from tests.support.both_sides import charges
from tests.support.fault_relay import Fault, FaultRelay, commits, fault_relay
from tests.support.places import At
from tests.support.postgres import Server
from tests.support.standby import Standby, servers
from tests.support.subscriptions import ledger_place

pytestmark = pytest.mark.slow

WRITABLE = "target_session_attrs=read-write"
BUY = (
    "subs buy --plan pro --seats 3 --name lab --owner lee@example.com --billing-email pay@example.com --yes"
    " --payment-method pm_card_visa"
)
PEOPLE = [f"u{n}@example.com" for n in range(250)]
LINES = [f"users add w{n}@example.com" for n in range(4)]


class Pair:
    """A primary behind a relay and its standby, with the ledger of a profile, and a URL that names both."""

    def __init__(self, seatctl, primary: Server, standby: Standby, relay: FaultRelay) -> None:
        self.primary, self.standby, self.relay = primary, standby, relay
        self.here = At(seatctl, ledger_place(seatctl)).move(primary.url(primary.create()))
        standby.follow()
        name = self.here.database
        hosts = f"host=127.0.0.1,{standby.folder}&port={relay.port},{primary.port}"
        self.both = At(seatctl, f"postgresql://postgres@/{name}?{hosts}&{WRITABLE}")
        self.promoted = At(seatctl, standby.url(name))

    def fail_over(self) -> None:
        """Stop the primary as a crash does, and promote the standby."""
        self.primary.stop(signal.SIGQUIT)
        self.standby.promote()


@contextmanager
def pair(seatctl) -> Iterator[Pair]:
    with servers(synchronous=True) as (primary, standby), fault_relay(primary.port) as relay:
        yield Pair(seatctl, primary, standby, relay)


def fails_over(pair: Pair, *argv: str, at: int, fault: Fault) -> Result:
    """Run a command during which the standby takes over, at this query."""
    pair.relay.break_at(at, fault, pair.fail_over)
    result = pair.both(*argv)
    assert pair.relay.broken.is_set(), result
    assert result.code in {0, 75}, result
    return result


def queries(seatctl, tmp_path, *argv: str) -> list[bytes]:
    """The queries of a command that nothing disturbs, on a copy of the profile."""
    from tests.support import postgres
    from tests.support.killing import Killing
    from tests.support.places import database

    folder = tmp_path / "calm"
    folder.mkdir()
    calm = Killing(folder, whole=True).copy(seatctl)
    with database() as url, fault_relay(postgres.server().port) as relay:
        place = At(calm, ledger_place(calm)).move(url)
        far = At(calm, postgres.server().tcp_url(place.database, port=relay.port))
        assert far(*argv).code == 0
        return list(relay.queries)


FAULTS = (Fault(arrives=True), Fault(arrives=False), Fault(arrives=True, answered=False))


def moments(found: list[bytes], whole: bool) -> list[tuple[int, Fault]]:
    """(query, fault): the last COMMIT by default, else each third query."""
    if whole:
        return [(at, FAULTS[at // 3 % len(FAULTS)]) for at in range(1, len(found) + 1, 3)]
    ends = commits(found)
    return [(ends[len(ends) // 2], FAULTS[0])]


def test_a_standby_is_promoted_in_the_middle_of_a_purchase(sandbox, team, tmp_path, whole):
    argv = BUY.split()
    before = charges(sandbox)
    for number, (at, fault) in enumerate(moments(queries(sandbox, tmp_path, *argv), whole)):
        with copied(sandbox, tmp_path / str(number)) as seatctl, pair(seatctl) as both:
            result = fails_over(both, *argv, at=at, fault=fault)
            if result.code == 75:
                assert "hint" in result.err
                expire_leases(both)
            assert both.both("sync").code == 0, at
            again = both.both(*argv)
            assert again.code in {0, 4}, again.err
            assert result.code == 75 or again.code == 4  # what was acknowledged is there
            assert charges(seatctl) == [*before, 3600], at
            seats = {row["name"]: row["seats"] for row in both.promoted.rows("subs", "list")}
            assert seats == {"design": 5, "lab": 3}
            assert_sound(both)


def test_a_standby_is_promoted_in_the_middle_of_an_import(sandbox, team, tmp_path, whole):
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"{who}\n" for who in PEOPLE))
    argv = ("users", "import", str(path))
    for number, (at, fault) in enumerate(moments(queries(sandbox, tmp_path, *argv), whole)):
        with copied(sandbox, tmp_path / str(number)) as seatctl, pair(seatctl) as both:
            result = fails_over(both, *argv, at=at, fault=fault)
            count = sum(who in PEOPLE for who in emails(both.promoted))
            assert count in ({len(PEOPLE)} if result.code == 0 else {0, len(PEOPLE)}), at
            assert both.both(*argv).code == 0
            assert sum(who in PEOPLE for who in emails(both.promoted)) == len(PEOPLE)
            assert_sound(both)


def test_a_standby_is_promoted_in_the_middle_of_a_batch(sandbox, team, tmp_path, whole):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join([*LINES, "subs add-seats design 1 --yes"]) + "\n")
    argv = ("batch", str(path))
    before = charges(sandbox)
    for number, (at, fault) in enumerate(moments(queries(sandbox, tmp_path, *argv), whole)):
        with copied(sandbox, tmp_path / str(number)) as seatctl, pair(seatctl) as both:
            result = fails_over(both, *argv, at=at, fault=fault)
            if result.code == 75:
                expire_leases(both)
                (run, *_) = [
                    one["number"]
                    for one in both.promoted.rows("runs", "list")
                    if one["command"].startswith("seatctl batch")
                ] or [0]
                resumed = both.both("runs", "resume", str(run)) if run else both.both(*argv)
                assert resumed.code in {0, 4}, (at, resumed.err)
            assert both.both("sync").code == 0
            assert {f"w{n}@example.com" for n in range(len(LINES))} <= emails(both.promoted), at
            assert both.promoted.rows("subs", "list")[0]["seats"] == 6, at
            assert len(charges(seatctl)) == len(before) + 1, at
            assert_sound(both)


def test_many_clients_go_on_and_nothing_that_was_acknowledged_is_lost(sandbox, team):
    """Processes add users one after another; each notes who was added before it adds the next."""
    with pair(sandbox) as both:
        acknowledged: set[str] = set()
        codes: list[int] = []
        ended = threading.Event()

        def add(client: int) -> None:
            number = 0
            while not ended.is_set():
                who = f"c{client}-{number}@example.com"
                number += 1
                process = both.both.seatctl.process("users", "add", who, env=both.both.variables)
                process.finish()
                codes.append(process.returncode)
                if process.returncode == 0:
                    acknowledged.add(who)

        threads = [threading.Thread(target=add, args=(client,)) for client in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(acknowledged) >= 6)
        both.relay.break_now(Fault(arrives=False))
        both.fail_over()
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) >= before + 6)
        ended.set()
        for thread in threads:
            thread.join()
        assert set(codes) <= {0, 75}, codes
        assert acknowledged <= emails(both.promoted)
        assert_sound(both)


def test_check_on_a_standby_says_how_far_behind_it_is(sandbox, team):
    assert sandbox("seats", "assign", team, "zoe@example.com", "--create-users").code == 0
    with pair(sandbox) as both:
        with both.standby.connect() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
        with both.primary.connect() as connection:  # else it would wait for the standby to apply nothing
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")
        time.sleep(1.1)
        assert both.here("seats", "revoke", team, "zoe@example.com").code == 0
        replica = both.promoted
        entitled = replica("check", "zoe@example.com", "-s", team, "-o", "json")
        assert (entitled.code, entitled.json["entitled"]) == (0, True)
        assert "the ledger's server is a standby: this is its state of " in entitled.err
        assert int(entitled.err.split("its state of ")[1].split(" s ago")[0]) >= 1
        with both.standby.connect() as connection:
            connection.execute("SELECT pg_wal_replay_resume()")
        both.standby.follow()
        refused = replica("check", "zoe@example.com", "-s", team, "-o", "json")
        assert (refused.code, refused.json["entitled"]) == (7, False)
        assert "is a standby" in refused.err
        written = replica("users", "add", "new@example.com", "-o", "json")
        assert (written.code, written.error["code"]) == (74, "ledger_read_only")
        assert "target_session_attrs=read-write" in written.error["hint"]


def emails(at: At) -> set[str]:
    return {row["email"] for row in at.rows("users", "list")}


def expire_leases(pair: Pair) -> None:
    """What half a minute does to a lease of a process that was cut off."""
    import psycopg

    with psycopg.connect(pair.promoted.place, autocommit=True) as connection:
        connection.execute("UPDATE seatctl.leases SET until = now() - interval '1 second'")


def assert_sound(pair: Pair) -> None:
    for command in ("ledger check", "audit verify"):
        checked = pair.both(*command.split())
        assert checked.code == 0, (command, checked.out, checked.err)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "nothing goes on"
        time.sleep(0.02)


@contextmanager
def copied(seatctl, folder) -> Iterator:
    import shutil

    folder.mkdir()
    shutil.copytree(seatctl.home, folder / "home")
    yield type(seatctl)(folder / "home")
