"""Erasure of a person: nothing of them is left, and the audit still verifies."""

import pytest

from tests.support import ledgers
from tests.support.subscriptions import add_subscription, ledger_place, query

BOB, OLD = "bob@example.com", "robert@example.com"
TRACES = (b"bob@example", b"robert@example", b"Bob Builder", b"my secret note")


@pytest.fixture
def bob(seatctl, sandbox):
    """A user with history: another e-mail, a seat, a request with a note, decisions of an assignor."""
    add_subscription(ledger_place(sandbox), seats=1)
    add_subscription(ledger_place(sandbox), "video", seats=0)
    assert seatctl("users", "add", OLD, "--name", "Bob Builder").code == 0
    assert seatctl("users", "edit", OLD, "--email", BOB).code == 0
    assert seatctl("seats", "assign", "design", BOB).code == 0
    asked = seatctl("requests", "create", BOB, "-s", "video", "--note", "my secret note", "--as", BOB)
    assert asked.code in (0, 10), asked.err
    return BOB


def traces(seatctl):
    data = ledgers.stored(seatctl.home)
    return [trace for trace in TRACES if trace.lower() in data.lower()]


def test_an_erasure_leaves_no_byte_of_the_person_and_keeps_the_hashes(seatctl, bob):
    query(ledger_place(seatctl), "UPDATE outbox SET last_error = NULL")
    head = seatctl("audit", "verify", "-o", "json").json["head"]
    assert traces(seatctl) == list(TRACES)
    erased = seatctl("users", "remove", bob, "--erase", "--yes", "-o", "json")
    assert (erased.code, erased.rows[0]["result"]) == (0, "erased")
    found = seatctl("audit", "verify", "--expect", head, "-o", "json")
    assert (found.code, found.json["ok"]) == (0, True)
    assert found.json["erased"] == erased.rows[0]["changes"] > 0
    assert seatctl("ledger", "check").code == 0
    assert query(ledger_place(seatctl), "SELECT count(*) FROM seats WHERE revoked_at IS NULL") == [(0,)]
    assert [trace for trace in traces(seatctl) if trace not in acted(seatctl)] == []


def acted(seatctl):
    """Bob's own request names him as the actor, which is part of the chain and said so."""
    actors = query(ledger_place(seatctl), "SELECT DISTINCT actor FROM audit")
    return [trace for trace in TRACES if any(trace.decode() in actor for (actor,) in actors)]


def test_a_removed_user_can_be_erased_once(seatctl, bob):
    assert seatctl("users", "remove", bob).code == 0
    assert seatctl("users", "remove", bob, "--erase", "--yes").code == 0
    assert seatctl("users", "remove", bob, "--erase", "--yes").code == 9
    assert [row["status"] for row in seatctl.rows("users", "list", "--status", "removed")] == ["removed"]


def test_an_erasure_asks_first_and_a_dry_run_erases_nobody(seatctl, bob):
    assert seatctl("users", "remove", bob, "--erase").code == 2
    assert seatctl("users", "remove", bob, "--erase", "--dry-run").code == 0
    assert seatctl("users", "show", bob, "-o", "json").json["name"] == "Bob Builder"


def test_a_user_with_a_role_cannot_be_erased(seatctl, bob):
    assert seatctl("roles", "grant", bob, "assignor").code == 0
    refused = seatctl("users", "remove", bob, "--erase", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "holds_roles")
    revoked = seatctl("roles", "revoke", bob, "assignor", "-o", "json").json["run"]
    assert seatctl("users", "remove", bob, "--erase", "--yes").code == 0
    assert [trace for trace in traces(seatctl) if trace not in acted(seatctl)] == []
    assert seatctl("runs", "undo", revoked).code == 4
    assert seatctl("audit", "verify").code == 0


def test_a_run_that_names_an_erased_person_cannot_be_undone(seatctl, bob):
    run = query(ledger_place(seatctl), "SELECT max(number) FROM runs WHERE command LIKE '%users edit%'")[0][0]
    assert seatctl("users", "remove", bob, "--erase", "--yes").code == 0
    assert seatctl("runs", "undo", run).code == 4
    erasing = query(ledger_place(seatctl), "SELECT max(number) FROM runs")[0][0]
    assert seatctl("runs", "undo", erasing).code == 4
    assert seatctl("audit", "verify").code == 0


def test_a_failed_line_of_a_batch_that_named_the_person_is_blanked(seatctl, bob, file):
    lines = file(f"seats assign design {bob}", f"seats assign nowhere {bob}")
    assert seatctl("batch", lines).code == 6
    assert seatctl("users", "remove", bob, "--erase", "--yes").code == 0
    ((run,),) = query(ledger_place(seatctl), "SELECT DISTINCT run FROM batch_rows")
    (failed,) = seatctl.rows("runs", "failures", run)
    assert (failed["line"], failed["code"]) == (2, "erased")
    assert seatctl("ledger", "check").code == 0


def test_an_erasure_cannot_be_undone(seatctl, bob):
    """The change row has nothing to restore: this was an unexpected KeyError."""
    erased = seatctl("users", "remove", bob, "--erase", "--yes", "-o", "json").json["run"]
    for words in ((), ("--dry-run",)):
        refused = seatctl("runs", "undo", erased, *words, "-o", "json")
        assert refused.code == 4, refused.err


def test_the_command_that_erases_a_removed_user_is_blanked_too(seatctl, sandbox):
    seatctl("users", "add", "eve@example.com")
    seatctl("users", "remove", "eve@example.com", "--yes")
    assert seatctl("users", "remove", "eve@example.com", "--erase", "--yes").code == 0
    assert b"eve@example.com" not in ledgers.stored(seatctl.home)
    assert seatctl("ledger", "check").code == 0


def test_decisions_of_the_person_are_blanked_in_any_spelling(seatctl, sandbox):
    add_subscription(ledger_place(sandbox), "video", seats=0)
    seatctl("users", "add", "jörg@bücher.example", "eve@example.com")
    seatctl("roles", "grant", "jörg@bücher.example", "assignor")
    seatctl("requests", "create", "eve@example.com", "-s", "video")
    denied = seatctl("requests", "deny", "1", "--reason", "no", "--as", "JÖRG@xn--bcher-kva.example")
    assert denied.code == 0, denied.err
    seatctl("roles", "revoke", "jörg@bücher.example", "assignor")
    erased = seatctl("users", "remove", "jörg@bücher.example", "--erase", "--yes")
    assert "1 audit entry with their address as the actor kept" in erased.err
    assert query(ledger_place(sandbox), "SELECT decided_by FROM requests") == [("(erased)",)]
    assert seatctl("ledger", "check").code == 0
