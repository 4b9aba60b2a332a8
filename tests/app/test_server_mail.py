"""Messages of a ledger on a server: several processes send them at the same time, each message once."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from seatctl.ledger.ledger import open_ledger
from seatctl.models.ledger_url import ServerUrl
from seatctl.services.notifications import delivery
from seatctl.services.notifications.delivery import DeliveryLimit
from tests.app.test_server_ledger import Machine, with_subscription
from tests.conftest import Seatctl
from tests.support import postbox
from tests.support.postgres import server

PEOPLE = [f"p{number}@example.com" for number in range(24)]
_TOGETHER_WITHIN = 25.0


class SlowPostbox(postbox.Postbox):
    """A mail server that keeps each letter until a second sender is there, too."""

    def __init__(self) -> None:
        super().__init__()
        self.senders: set[object] = set()
        self.met = asyncio.Event()

    async def handle_DATA(self, server, session, envelope):
        self.senders.add(session.peer)
        if len(self.senders) > 1:
            self.met.set()
        await asyncio.wait_for(self.met.wait(), _TOGETHER_WITHIN)
        return await super().handle_DATA(server, session, envelope)


@pytest.fixture
def office(seatctl, tmp_path) -> Iterator[Machine]:
    """A ledger on a server with many messages that nobody has sent."""
    database = server().create()
    variables = {
        "SEATCTL_LEDGER": server().tcp_url(database),
        "SEATCTL_SANDBOX": str(tmp_path / "sandbox.db"),
    }
    made = seatctl("init", "--no-input", "--actor", "ann@example.com", env=variables)
    assert made.code == 0, made.err
    machine = Machine(Seatctl(tmp_path / "runner"), **variables, SEATCTL_ACTOR="ann@example.com")
    with_subscription(machine)
    assert machine("subs", "add-seats", "design", str(len(PEOPLE)), "--yes").code == 0
    assigned = machine("seats", "assign", "design", *PEOPLE, "--create-users")
    assert assigned.code == 0, assigned.err
    yield machine
    server().drop(database)


def use(machine: Machine, box: postbox.Postbox) -> None:
    for setting in (
        *("mail.host 127.0.0.1", "mail.security none", "mail.from seats@example.com"),
        f"mail.port {box.port}",
    ):
        done = machine("config", "set", *setting.split(), "--no-notify")
        assert done.code == 0, done.err


def test_several_processes_send_and_each_message_is_sent_once(office):
    box = SlowPostbox().open()
    try:
        use(office, box)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        senders = [office.process("notify", "send", "-o", "json", **streams) for _ in range(3)]
        results = [(sender.finish(timeout=180), sender.returncode) for sender in senders]
    finally:
        box.close()
    assert {code for _, code in results} <= {0, 75}, results
    assert len(box.senders) > 1
    assert sorted(letter.to for letter in box.letters if letter.to in PEOPLE) == sorted(PEOPLE)
    assert office.rows("notify", "list", "--waiting") == []


def test_one_process_sends_all_shares(office, postbox):
    use(office, postbox)
    done = office("notify", "send", "-o", "json")
    assert done.code == 0, done.err
    assert sorted(letter.to for letter in postbox.letters if letter.to in PEOPLE) == sorted(PEOPLE)
    assert office("notify", "send").err.startswith("no message is due")


def test_one_person_gets_messages_in_the_order_of_what_happened(office, postbox):
    names = ("lab", "field", "studio")
    for more, name in enumerate(names, 1):  # one message more each time, so that their numbers shift
        buy = f"subs buy --plan pro --seats {len(PEOPLE) + 1} --name {name} --owner ann@example.com"
        paid = "--billing-email pay@example.com --payment-method pm_card_visa --yes"
        assert office(*f"{buy} {paid}".split()).code == 0
        assert office("users", "add", f"new{more}@example.com").code == 0
        assert office("seats", "assign", name, f"new{more}@example.com", *PEOPLE).code == 0
    use(office, postbox)
    assert office("notify", "send").code == 0
    for person in PEOPLE:
        subjects = [letter["Subject"] for letter in postbox.letters if letter.to == person]
        assert subjects == [f"Your seat in {name}" for name in ("design", *names)]


def test_a_move_waits_for_all_senders(office):
    ledger = open_ledger(ServerUrl(office.variables["SEATCTL_LEDGER"]))
    try:
        with ledger.mail_lock(2) as held, ledger.all_mail_locked(0) as all_held:
            assert (held, all_held) == (True, False)
        with ledger.all_mail_locked(0) as all_held:
            assert all_held
    finally:
        ledger.close()


def test_a_message_to_many_is_expanded_once_if_several_processes_meet_it(office):
    place = ServerUrl(office.variables["SEATCTL_LEDGER"])
    now, few = datetime.now(UTC), DeliveryLimit(messages=2)

    def expand(_: int) -> None:
        with closing(open_ledger(place)) as ledger:
            for _ in PEOPLE:
                delivery._due(ledger, now, few, 0, None)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(expand, range(4)))
    waiting = [row["recipient"] for row in office.rows("notify", "list", "--waiting")]
    assert sorted(who for who in waiting if who in PEOPLE) == sorted(PEOPLE)
