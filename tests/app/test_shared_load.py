"""Many clients of one ledger at the same time: `python -m bench shared`, bounded, and with whole commands.

Seats are never given twice, every change is in the audit once, and nobody sees that others were there.
"""

from __future__ import annotations

import pytest

from bench.load import ALLOWED
from bench.shared import FAR, ground
from seatctl.models.ledger_url import ServerUrl
from tests.support.pgbouncer import pooled_port
from tests.support.postgres import server


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    whole = request.config.getoption("--whole-proofs")
    with ground(tmp_path_factory.mktemp("load"), 100 if whole else 6, 50 if whole else 3) as ground_:
        yield ground_


@pytest.fixture
def seconds(whole) -> float:
    return 60.0 if whole else 1.5


@pytest.mark.parametrize("delay", [0, FAR])
@pytest.mark.parametrize("subscriptions", ["few", "many"])
def test_nothing_is_given_twice(made, seconds, subscriptions, delay):
    handles = made.few if subscriptions == "few" else made.many
    assert made.on_server(handles, seconds, delay=delay, least=5).changes


@pytest.mark.parametrize("subscriptions", ["few", "many"])
def test_nor_behind_pgbouncer(made, seconds, subscriptions):
    handles = made.few if subscriptions == "few" else made.many
    port, name = pooled_port(), server().create(made.template)
    try:
        url = ServerUrl(server().tcp_url(name, port=port))
        assert made.through(url, name, handles, seconds, least=5).changes
    finally:
        server().drop(name)


def test_whole_commands_at_the_same_time(made, seatctl, tmp_path):
    """Each one is a process with a connection of its own."""
    name = server().create(made.template)
    try:
        place = {"SEATCTL_LEDGER": server().url(name), "SEATCTL_ACTOR": "ann@example.com"}
        place["SEATCTL_SANDBOX"] = str(made.file.home / "default" / "sandbox.db")
        people = tmp_path / "people.csv"
        people.write_text("email,group\n" + "".join(f"p{n}-of0@example.com,team\n" for n in range(10)))
        mine = [f"p{n}-of1@example.com" for n in range(10)]
        rounds = (
            [("seats", "assign", "s1", person) for person in mine]
            + [("requests", "create", f"p{n}-of2@example.com", "-s", "s1") for n in range(4)],
            [("requests", "approve", "--all", "-s", "s1"), ("users", "import", people)]
            + [("seats", "revoke", "s1", person) for person in mine[:5]],
            [("seats", "assign", "s1", person) for person in mine]
            + [("requests", "approve", "--all", "-s", "s1"), ("users", "import", people)],
        )
        for commands in rounds:
            started = [seatctl.process(*command, env=place) for command in commands]
            for process in started:
                _, err = process.finish()
                assert process.returncode in ALLOWED, err
        listed = seatctl("subs", "show", "s1", "-o", "json", env=place)
        assert listed.json["assigned"] <= listed.json["seats"]
        for command in (("audit", "verify"), ("ledger", "check")):
            checked = seatctl(*command, env=place)
            assert checked.code == 0, checked.out + checked.err
    finally:
        server().drop(name)
