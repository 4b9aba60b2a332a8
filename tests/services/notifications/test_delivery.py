"""Messages through a real SMTP server that is down, refuses or hangs up: no message is lost."""

from __future__ import annotations

import json
import signal
import time
from email.headerregistry import Address

import pytest

from tests.support import ledgers
from tests.support.postbox import code_in, html, later, plain, use
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DOT = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dot"))


@pytest.fixture
def design(sandbox, postbox):
    """Thirty seats with a sign-in address; ann is the admin, bob, cyd and dot are users; mail goes out."""
    use(sandbox, postbox)
    policy = json.dumps({"features": ["reports"], "sign_in_url": "https://app.example.com/?a=1&b=2"})
    add_subscription(ledger_place(sandbox), seats=30, policy=policy)
    assert sandbox("users", "import", "-", stdin=f"email,name\n{BOB},Bob\n{CYD},\n{DOT},\n").code == 0
    return "design"


def states(sandbox) -> list[str]:
    return [row["state"] for row in reversed(sandbox.rows("notify", "list"))]


def test_who_gets_a_seat_is_told_where_to_sign_in_and_how(sandbox, design, postbox):
    assert sandbox("seats", "assign", design, BOB).code == 0
    (letter,) = postbox.letters
    assert (letter.to, letter["From"], letter["Subject"]) == (
        BOB,
        "Seats <seats@example.com>",
        "Your seat in design",
    )
    assert letter["To"].addresses == (Address("Bob", addr_spec=BOB),)
    assert letter["Auto-Submitted"] == "auto-generated"
    text = plain(letter)
    assert "https://app.example.com/?a=1&b=2" in text
    assert "reports" in text
    assert code_in(letter) in html(letter)
    assert 'href="https://app.example.com/?a=1&amp;b=2"' in html(letter)
    assert states(sandbox) == ["sent"]


def test_each_step_of_a_request_is_told_to_whom_it_concerns(sandbox, design, postbox):
    sandbox("requests", "create", BOB, "-s", design, "--note", "new in the team")
    sandbox("requests", "approve", "1")
    sandbox("requests", "create", CYD, "-s", design)
    sandbox("requests", "deny", "2", "--reason", "use the shared account")
    sandbox("seats", "revoke", design, BOB)
    query(ledger_place(sandbox), "UPDATE subscriptions SET capacity = 0")
    sandbox("requests", "create", DOT, "-s", design)
    sandbox("requests", "approve", "3")
    assert postbox.subjects() == [
        (ANN, "Bob requests a seat in design"),
        (BOB, "Your seat in design is approved"),
        (ANN, "cyd@example.com requests a seat in design"),
        (CYD, "Your request for a seat in design was denied"),
        (BOB, "Your seat in design has ended"),
        (ANN, "dot@example.com requests a seat in design"),
        (DOT, "You are on the waitlist for design"),
    ]
    asked, approved, _, denied, *_, waits = postbox.letters
    assert "new in the team" in plain(asked)
    assert "seatctl requests approve 1" in plain(asked)
    assert code_in(approved)
    assert "use the shared account" in plain(denied)
    assert "number 1 on the waitlist" in plain(waits)


def test_a_name_cannot_add_a_header_nor_markup(sandbox, design, postbox):
    evil = 'Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>"'
    query(ledger_place(sandbox), "UPDATE users SET name = ? WHERE email = ?", evil, BOB)
    query(ledger_place(sandbox), "UPDATE subscriptions SET name = ?", "design\r\nBcc: all@example.com")
    sandbox("requests", "create", BOB, "-s", "design", "--note", "<b>now</b>")
    sandbox("requests", "approve", "1")
    asked, approved = postbox.letters
    for letter in (asked, approved):
        assert letter["Bcc"] is None
        assert set(letter.keys()) == {
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type")
        }
        assert len(letter["To"].addresses) == 1
        assert "<script>" not in html(letter)
    assert "Bcc: all@example.com" in asked["Subject"]
    assert "&lt;b&gt;now&lt;/b&gt;" in html(asked)


def test_a_server_that_is_down_fails_nothing_and_gets_everything_later(sandbox, design, postbox):
    postbox.close()
    for email in (BOB, CYD):
        done = sandbox("seats", "assign", design, email)
        assert (done.code, done.err.count("mail")) == (0, 0)
    assert states(sandbox) == ["waiting", "waiting"]
    refused = sandbox("notify", "send", "-o", "json")  # the first is put off, the second was never tried
    assert (refused.code, refused.error["code"]) == (75, "mail_server")
    assert sandbox("status", "-o", "json").json["waiting_messages"] == 2
    postbox.open()
    later(sandbox)
    assert sandbox("notify", "send").code == 0
    assert sorted(letter.to for letter in postbox.letters) == [BOB, CYD]
    assert states(sandbox) == ["sent", "sent"]


def test_while_the_server_is_known_to_be_down_commands_do_not_wait_for_it(sandbox, design, postbox):
    postbox.close()
    sandbox("seats", "assign", design, BOB)
    before = query(ledger_place(sandbox), "SELECT sum(attempts) FROM outbox")
    sandbox("seats", "assign", design, CYD)
    assert query(ledger_place(sandbox), "SELECT sum(attempts) FROM outbox") == before == [(1,)]


def test_a_server_that_does_not_answer_holds_a_command_up_for_five_seconds_at_most(sandbox, design, postbox):
    import socket

    postbox.close()
    with socket.create_server(("127.0.0.1", postbox.port)):  # it accepts the connection, and never replies
        started = time.monotonic()
        assert sandbox("seats", "assign", design, BOB).code == 0
        assert 4 < time.monotonic() - started < 8
    assert states(sandbox) == ["waiting"]


def test_one_address_refused_for_now_keeps_nobody_else_waiting_and_gets_its_message_later(
    sandbox, design, postbox
):
    postbox.refused[CYD] = "451 try again"
    sandbox("seats", "assign", design, BOB, CYD, DOT)
    assert sorted(letter.to for letter in postbox.letters) == [BOB, DOT]
    (waiting,) = sandbox.rows("notify", "list", "--waiting")
    assert (waiting["recipient"], waiting["attempts"], waiting["error"]) == (CYD, 1, "451 try again")
    told = sandbox("notify", "send")
    assert told.err.startswith(f"no message is due; 1 waits until {waiting['next_attempt']}")
    postbox.refused.clear()
    assert sandbox("notify", "send", "--now").code == 0
    assert len(postbox.to(CYD)) == 1


def test_one_address_refused_for_good_waits_for_a_person(sandbox, design, postbox):
    postbox.refused[CYD] = "550 no such user"
    sandbox("seats", "assign", design, CYD)
    (failed,) = sandbox.rows("notify", "list", "--failed")
    assert (failed["recipient"], failed["error"]) == (CYD, "550 no such user")
    status = sandbox("status")
    assert "1 message could not be delivered: seatctl notify list --failed" in status.err
    later(sandbox)
    assert sandbox("notify", "send").code == 0
    assert postbox.letters == []
    postbox.refused.clear()
    assert sandbox("notify", "send", "--failed").code == 0
    assert len(postbox.to(CYD)) == 1


def test_a_server_that_dies_in_the_middle_gets_every_message_in_the_end(sandbox, design, postbox):
    postbox.dies_after = 3
    people = [f"p{number:02}@example.com" for number in range(12)]
    rows = "\n".join(["email", *people])
    assert sandbox("seats", "assign", design, "--from", "-", "--create-users", stdin=rows).code == 0
    taken = len(postbox.letters)
    assert taken == 4  # the server accepted the fourth, but died before it replied
    postbox.dies_after = None
    later(sandbox)
    assert sandbox("notify", "send").code == 0
    assert {letter.to for letter in postbox.letters} == set(people)
    assert len(postbox.letters) == len(people) + 1
    twice = [letter for letter in postbox.letters if len(postbox.to(letter.to)) == 2]
    assert len({letter["Message-ID"] for letter in twice}) == 1
    ids = {letter["Message-ID"] for letter in postbox.letters}
    assert len(ids) == len(people)
    first, second = map(code_in, twice)
    assert first != second
    assert sandbox("seats", "claim", "--code", "-", stdin=first).code == 0  # the earlier code is still valid


def test_a_sender_that_is_killed_loses_nothing(sandbox, design, postbox):
    sandbox("config", "unset", "mail.host")
    people = [f"p{number:02}@example.com" for number in range(30)]
    rows = "\n".join(["email", *people])
    sandbox("seats", "assign", design, "--from", "-", "--create-users", stdin=rows)
    use(sandbox, postbox)
    sender = sandbox.process("notify", "send")
    deadline = time.monotonic() + 20
    while not postbox.letters and time.monotonic() < deadline:
        time.sleep(0.005)
    sender.send_signal(signal.SIGKILL)
    sender.communicate()
    ledgers.expire_leases(sandbox.home)
    later(sandbox)
    assert sandbox("notify", "send").code == 0
    assert {letter.to for letter in postbox.letters} == set(people)
    by_person = {email: {letter["Message-ID"] for letter in postbox.to(email)} for email in people}
    assert all(len(ids) == 1 for ids in by_person.values())


def test_a_command_sends_twenty_and_leaves_the_rest(sandbox, design, postbox):
    rows = "\n".join(["email", *(f"p{number:02}@example.com" for number in range(30))])
    sandbox("seats", "assign", design, "--from", "-", "--create-users", stdin=rows)
    assert len(postbox.letters) == 20
    assert sandbox("status", "-o", "json").json["waiting_messages"] == 10
    sandbox("seats", "revoke", design, "p29@example.com")
    assert postbox.letters[20]["Subject"] == "Your seat in design has ended"  # its own message first
    assert sandbox("notify", "send").code == 0
    held = [row for row in sandbox.rows("notify", "list") if row["state"] == "held"]
    assert [(row["recipient"], row["error"]) for row in held] in (
        [],
        [("p29@example.com", "the seat has been revoked since")],
    )


def test_without_a_mail_server_messages_wait_and_nothing_fails(sandbox, design, postbox):
    sandbox("config", "unset", "mail.host")
    assert sandbox("seats", "assign", design, BOB).code == 0
    assert sandbox("status", "-o", "json").json["waiting_messages"] == 1
    refused = sandbox("notify", "send", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "mail_not_configured")
    assert refused.error["hint"] == "seatctl config set mail.host smtp.example.com"


def test_no_notify_and_a_dry_run_tell_nobody(sandbox, design, postbox):
    sandbox("seats", "assign", design, BOB, "--no-notify")
    sandbox("seats", "assign", design, CYD, "--dry-run")
    assert (postbox.letters, sandbox.rows("notify", "list")) == ([], [])


def test_a_message_that_is_not_true_any_more_is_not_sent(sandbox, design, postbox):
    sandbox("config", "unset", "mail.host")
    sandbox("seats", "assign", design, BOB)
    sandbox("seats", "revoke", design, BOB)
    use(sandbox, postbox)
    sent = sandbox("notify", "send", "-o", "json")
    assert [row["result"] for row in sent.rows] == ["held", "sent"]
    assert [subject for _, subject in postbox.subjects()] == ["Your seat in design has ended"]


def test_a_profile_has_texts_of_its_own(sandbox, design, postbox):
    own = sandbox.home / "templates" / "default"
    own.mkdir(parents=True)
    (own / "seat_assigned.txt").write_text(
        "{% set subject = 'Willkommen' %}\nHallo {{ recipient.name }}, dein Code: {{ code }}\n"
    )
    sandbox("seats", "assign", design, BOB)
    (letter,) = postbox.letters
    assert letter["Subject"] == "Willkommen"
    assert plain(letter).startswith("Hallo Bob, dein Code: seat-")
    assert "you have a seat in" in html(letter)
    (own / "seat_assigned.txt").write_text("{{ nothing_of_this_name }}")
    assert sandbox("seats", "assign", design, CYD).code == 0
    (failed,) = sandbox.rows("notify", "list", "--failed")
    assert "the template seat_assigned cannot be rendered" in failed["error"]


def test_show_is_the_message_without_a_code(sandbox, design, postbox):
    sandbox("seats", "assign", design, BOB)
    number = sandbox.rows("notify", "list")[0]["id"]
    shown = sandbox("notify", "show", number, "-o", "json").json
    assert (shown["recipient"], shown["subject"], shown["state"]) == (BOB, "Your seat in design", "sent")
    assert code_in(postbox.letters[0]) not in shown["text"] + shown["html"]
    assert "(made when the message is sent)" in shown["text"]
    (until,) = (line for line in plain(postbox.letters[0]).splitlines() if "until 20" in line)
    assert until in shown["text"], "a code that is made now can be used as long as the one that was sent"
    missing = sandbox("notify", "show", "99", "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "unknown_message")
