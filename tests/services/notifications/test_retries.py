"""Messages that are sent later: what counts as an attempt, what --now sends, and what must not be sent."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime

import pytest

from tests.support.postbox import later, plain, use
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD = (f"{name}@example.com" for name in ("ann", "bob", "cyd"))


@pytest.fixture
def design(sandbox, postbox):
    """Three seats; ann is the admin, bob and cyd are users; mail goes out."""
    use(sandbox, postbox)
    add_subscription(ledger_place(sandbox), seats=3)
    assert sandbox("users", "add", BOB, CYD).code == 0
    return "design"


def test_a_server_that_was_down_for_days_uses_up_no_tries_of_a_message(sandbox, design, postbox):
    postbox.close()
    sandbox("seats", "assign", design, CYD)
    for _ in range(17):
        later(sandbox)
        assert sandbox("notify", "send").code == 75
    postbox.refused[CYD] = "451 greylisted, try again"
    postbox.open()
    assert sandbox("notify", "send", "--now").code == 6
    (waiting,) = sandbox.rows("notify", "list")
    assert (waiting["state"], waiting["attempts"]) == ("waiting", 1)
    for tries in range(2, 17):
        later(sandbox)
        sandbox("notify", "send")
        (waiting,) = sandbox.rows("notify", "list")
        assert (waiting["state"], waiting["attempts"]) == ("waiting" if tries < 16 else "failed", tries)


def test_now_sends_nothing_that_the_undo_window_holds(sandbox, design, postbox):
    sandbox("seats", "assign", design, BOB, CYD)
    sandbox("seats", "revoke", design, BOB, CYD)
    assert sandbox("notify", "send", "--now").code == 0
    assert [subject for _, subject in postbox.subjects() if "ended" in subject] == []


def test_the_command_in_a_reminder_can_be_typed_whatever_the_name(sandbox, design, postbox):
    name = "x; rm -rf ~ $(id)"
    query(
        ledger_place(sandbox), 'UPDATE subscriptions SET name = ?, policy = \'{"renewal": "manual"}\'', name
    )
    sandbox("requests", "create", BOB, "-s", name)
    ids = {"subscription": 1, "term_end": int(datetime(2036, 1, 1, tzinfo=UTC).timestamp())}
    query(
        ledger_place(sandbox),
        "INSERT INTO outbox (entry_id, n, template, ids, recipient_actor)"
        " SELECT max(seq), 99, 'renewal_reminder', CAST(? AS TEXT), CAST(? AS TEXT) FROM audit",
        *(json.dumps(ids), ANN),
    )
    assert sandbox("notify", "send").code == 0
    letter = postbox.letters[-1]
    (typed,) = [line for line in plain(letter).splitlines() if "subs renew" in line]
    assert shlex.split(typed)[-1] == name


def test_no_code_is_promised_that_nobody_is_sent(sandbox, design, postbox):
    sandbox("seats", "assign", design, BOB)
    refused = sandbox("notify", "send", "--again", BOB, "--no-notify", "-o", "json")
    assert (refused.code, len(postbox.letters)) == (2, 1)


def test_a_message_that_waits_is_shown_as_it_would_be_sent(sandbox, design, postbox):
    sandbox("config", "unset", "mail.host")
    sandbox("seats", "assign", design, BOB)
    sandbox("seats", "assign", design, ANN, CYD, "--create-users")
    sandbox("seats", "revoke", design, BOB)
    listed = [(row["template"], row["recipient"]) for row in reversed(sandbox.rows("notify", "list"))]
    assert listed == [("seat_assigned", BOB), ("seat_assigned", "2 people"), ("seat_revoked", BOB)]
    one, many, _ = (
        sandbox("notify", "show", row["id"], "-o", "json").json
        for row in reversed(sandbox.rows("notify", "list"))
    )
    assert (one["recipient"], one["subject"]) == (BOB, "Your seat in design")
    assert (many["recipient"], many["subject"]) == ("2 people", None)
    use(sandbox, postbox)
    assert sandbox("notify", "send").code == 0
    assert sorted(postbox.subjects()) == [
        (ANN, "Your seat in design"),
        (BOB, "Your seat in design has ended"),
        (CYD, "Your seat in design"),
    ]
