"""Whatever a run changed of people, seats and requests: its undo gives back every column of them."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Seatctl
from tests.support.scenes import initialised, made_once
from tests.support.subscriptions import add_subscription, ledger_place, query

KNOWN = [f"p{n}@example.com" for n in range(5)]
PEOPLE = [*KNOWN, "new1@example.com", "new2@example.com"]
SUBSCRIPTIONS = {"design": 5, "video": 2}

people = st.sampled_from(PEOPLE)
known = st.sampled_from(KNOWN)
subscriptions = st.sampled_from(list(SUBSCRIPTIONS))
names = st.sampled_from(["", "Zoe Zhang", "Bob Börner"])
groups = st.sampled_from(["", "lab", "office"])
days = st.sampled_from(["", "2026-01-31", "2026-05-01T12:00:00Z"])
ends = st.sampled_from(["", "never", "2031-01-31", "2032-01-31T12:00:00Z"])
numbers = st.sampled_from(["1", "2", "3"])


def table(*columns: st.SearchStrategy[str], header: str) -> st.SearchStrategy[str]:
    """The text of a CSV file with a row for some of the people."""

    def text(rows: list[tuple[str, ...]]) -> str:
        out = io.StringIO()
        csv.writer(out).writerows([header.split(","), *{row[0]: row for row in rows}.values()])
        return out.getvalue()

    return st.lists(st.tuples(people, *columns), min_size=1, max_size=5).map(text)


commands = st.one_of(
    st.tuples(
        st.just(("users", "import")), table(names, groups, days, header="email,name,group,last_active")
    ),
    st.tuples(
        st.just(("seats", "apply", "--create-users", "--prune", "--max-revoke", "100%")),
        table(names, groups, subscriptions, ends, header="email,name,group,subscription,until"),
    ),
    st.tuples(
        subscriptions.map(
            lambda subscription: ("seats", "assign", subscription, "--create-users", "--fill", "--from")
        ),
        table(names, groups, header="email,name,group"),
    ),
    st.tuples(
        subscriptions.map(lambda subscription: ("seats", "revoke", subscription, "--from")),
        table(header="email"),
    ),
    *(
        st.tuples(words, st.none())
        for words in (
            st.tuples(st.just("users"), st.just("edit"), known, st.just("--name"), names),
            st.tuples(st.just("users"), st.just("edit"), known, st.sampled_from(["--exempt", "--no-exempt"])),
            st.tuples(st.just("users"), st.just("edit"), known, st.just("--email"), people),
            st.tuples(st.just("users"), st.sampled_from(["suspend", "reactivate", "add"]), known),
            st.tuples(st.just("users"), st.just("remove"), known, st.just("--yes")),
            st.tuples(
                st.just("seats"),
                st.just("assign"),
                subscriptions,
                known,
                st.just("--until"),
                ends.filter(bool),
            ),
            st.tuples(st.just("seats"), st.just("move"), st.just("design"), st.just("video"), known),
            st.tuples(
                st.just("requests"),
                st.just("create"),
                known,
                st.just("-s"),
                subscriptions,
                st.just("--note=please"),
            ),
            st.tuples(st.just("requests"), st.just("approve"), numbers),
            st.tuples(st.just("requests"), st.just("deny"), numbers, st.just("--reason"), st.just("full")),
            st.tuples(st.just("requests"), st.just("cancel"), numbers),
        )
    ),
)


@made_once
def staffed(seatctl: Seatctl) -> None:
    """People with a name, a group, a last activity and an exemption, some seated, some who asked."""
    # An hour passes before each undo: for a day the waitlist leaves alone what is given back.
    assert seatctl("config", "set", "undo_window", "1440").code == 0
    for name, seats in SUBSCRIPTIONS.items():
        add_subscription(ledger_place(seatctl), name, seats=seats)
    people = "".join(f"{email},Person,staff,2026-01-01\n" for email in KNOWN)
    assert seatctl("users", "import", "-", stdin=f"email,name,group,last_active\n{people}").code == 0
    assert seatctl("users", "edit", KNOWN[0], "--exempt").code == 0
    assert seatctl("seats", "assign", "design", *KNOWN[:2], "--until", "2033-01-31").code == 0
    assert seatctl("seats", "assign", "video", *KNOWN[:2]).code == 0
    assert seatctl("requests", "create", KNOWN[2], "-s", "video").code == 0
    assert seatctl("requests", "approve", "1", "--yes").code == 10, "it waits for a seat"
    assert seatctl("requests", "create", KNOWN[3], "-s", "design", "--priority", "3").code == 0


@contextmanager
def organisation() -> Iterator[Seatctl]:
    """A profile in a folder of its own, as `staffed` leaves it."""
    with tempfile.TemporaryDirectory() as home:
        yield staffed(initialised(Seatctl(Path(home) / "seatctl")))


def facts(seatctl: Seatctl) -> dict[tuple[str, object], tuple]:
    """Every column of every user and request, and of every seat that somebody has."""
    ledger = ledger_place(seatctl)
    found = {("user", row[0]): row[1:] for row in query(ledger, "SELECT * FROM users")}
    found |= {("request", row[0]): row[1:] for row in query(ledger, "SELECT * FROM requests")}
    # The seat that an undo gives back is a new one, since a revoked one is never reopened.
    seats = "SELECT subscription_id, user_id, until, claimed_at FROM seats WHERE revoked_at IS NULL"
    return found | {("seat", row[:2]): row[2:] for row in query(ledger, seats)}


def made_by_the_run(key: tuple[str, object], row: tuple) -> bool:
    """A user or a request that there was not before, which an undo leaves as removed or canceled."""
    return (key[0] == "user" and "removed" in row) or (key[0] == "request" and "canceled" in row)


def moved_up(before: dict, after: dict) -> bool:
    """Whether somebody on a waitlist took a seat that the undo set free, as with any change."""
    waited = {key for key, row in before.items() if key[0] == "request" and "waitlisted" in row}
    return any("approved" in after[key] for key in waited)


@settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=st.lists(commands, min_size=1, max_size=6))
def test_an_undo_gives_back_every_column_of_what_there_was(history):
    with organisation() as seatctl:
        for words, text in history:
            before = facts(seatctl)
            result = seatctl(*words, *([] if text is None else ["-"]), "-o", "json", stdin=text or "")
            if result.code not in {0, 6, 10} or not result.json["undo"]:
                assert facts(seatctl) == before, "a command that failed changed something"
                continue
            became = facts(seatctl)
            assert seatctl("sandbox", "advance", "1h").code == 0
            undone = seatctl(*result.json["undo"].split()[1:], "-o", "json")
            assert undone.code == 0, (words, text, undone.err)
            after = facts(seatctl)
            if moved_up(before, after):
                continue
            assert {key: after.get(key) for key in before} == before, (words, text)
            assert all(made_by_the_run(key, after[key]) for key in after.keys() - before.keys())
            # And to undo that does it again, so that the next command meets other facts.
            again = seatctl("runs", "undo", undone.json["run"], "-o", "json")
            assert again.code == 0, again.err
            assert {key: facts(seatctl).get(key) for key in became} == became, (words, text)
        assert seatctl("ledger", "check").code == 0
