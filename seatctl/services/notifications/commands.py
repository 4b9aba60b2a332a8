"""`notify send`, `test` and `show`, and the rows of `notify list`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from seatctl.errors import Code, ExitCode, JsonValue, UsageError, refuse
from seatctl.ledger import activation, message_facts, outbox, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.mail.email import Email, message_id
from seatctl.mail.rendering import Renderer
from seatctl.mail.setup import MailSetup
from seatctl.mail.smtp import Connection
from seatctl.models.call import Call, format_time
from seatctl.models.message import Message, MessageState, Template
from seatctl.models.report import Record, Report, counted, dry_run_report, record_of
from seatctl.models.role import Action
from seatctl.rules.emails import check_email
from seatctl.rules.notifications import carries_code
from seatctl.services.notifications.delivery import DeliveryLimit, Sent, send_due
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import allow

COLUMNS = ("id", "template", "recipient", "result", "error")

CODE_IN_PREVIEW = "(made when the message is sent)"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """Which messages to send besides those that are due."""

    failed: bool = False
    again: str | None = None
    """The e-mail of a user who is sent a new activation code."""
    now: bool = False
    """Also messages that were put off and are not due yet."""


def send_messages(
    ledger: Ledger, find_setup: Callable[[], MailSetup], call: Call, options: SendOptions
) -> Report:
    """Send all messages that are due.

    Exits with 6 if a message failed or was put off, with 75 if the server is down.
    Raises RoleRequired, `mail_not_configured`, `mail_busy`, `nothing_to_claim`.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.NOTIFY)
    if options.again and not call.notify:
        raise UsageError(
            "--no-notify does not let --again send a code",
            hint=f"seatctl notify send --again {options.again}",
        )
    run, codes = _queue_codes(ledger, call, options.again) if options.again else (None, 0)
    if call.dry_run:
        with ledger.reading() as reader:
            counts = outbox.counts(reader)
        number = counts.waiting + codes + (counts.failed if options.failed else 0)
        return dry_run_report(f"tried to send {counted(number, 'message')}")
    setup = find_setup()
    with ledger.journal() as journal:
        if options.failed:
            outbox.requeue(journal, MessageState.FAILED)
        if options.now:
            outbox.retry_now(journal)
    sent = send_due(ledger, lambda: setup, call.now, DeliveryLimit())
    if sent.error is not None:
        sent.error.data.update({"sent": sent.count("sent"), "put_off": sent.count("put off")})
        raise sent.error
    incomplete = sent.count("failed") + sent.count("put off") > 0
    with ledger.reading() as reader:
        counts = outbox.counts(reader)
    return Report(
        run,
        False,
        _send_summary(sent, counts),
        sent.rows,
        ExitCode.PARTIAL if incomplete else ExitCode.DONE,
        columns=COLUMNS,
    )


def _send_summary(sent: Sent, counts: outbox.Counts) -> str:
    words = {"sent": "sent", "put off": "put off", "failed": "failed", "held": "held as overtaken"}
    parts = [f"{sent.count(result):,} {word}" for result, word in words.items() if sent.count(result)]
    summary = ", ".join(parts) or "no message is due"
    if counts.waiting and counts.next_attempt is not None:
        verb = "waits" if counts.waiting == 1 else "wait"
        summary += f"; {counts.waiting:,} {verb} until {counts.next_attempt} or later (--now tries at once)"
    return summary


def _queue_codes(ledger: Ledger, call: Call, email: str) -> tuple[int | None, int]:
    """Queue a new message for each unclaimed seat of a user; return the run and the number of messages."""
    with ledger.change(call) as tx:
        user = users.require(tx, email)
        require_active_user(user)
        seats = activation.unclaimed_of(tx, user.id)
        if not seats:
            raise refuse(
                Code.NOTHING_TO_CLAIM,
                f"{user.email} has no unclaimed seat",
                hint=f"seatctl users show {user.email}",
                data={"email": user.email},
            )
        for seat, subscription in seats:
            number = tx.mail(Template.SEAT_ASSIGNED, {"seat": seat}, recipient_id=user.id)
            if number is not None:
                about: dict[str, JsonValue] = {"template": Template.SEAT_ASSIGNED.value, "seat": seat}
                tx.record("message", number, None, {**about, "subscription": subscription})
        tx.summarise(f"sent {user.email} a new activation code")
    return tx.run, len(seats)


def send_test(
    ledger: Ledger, find_setup: Callable[[], MailSetup], call: Call, email: str, profile: str
) -> Record:
    """Send a test message at once and return what was sent. A dry run only renders it.

    Raises `bad_email`, RoleRequired, `mail_not_configured`, NoConnection, MessageRefused.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.NOTIFY)
    if problem := check_email(email):
        raise refuse(
            Code.BAD_EMAIL, f"{email!r} is not an e-mail address: {problem}", hint="seatctl notify test EMAIL"
        )
    setup = find_setup()
    text = setup.texts.render(Template.TEST, {"profile": profile})
    server = setup.server
    if not call.dry_run:
        number = int.from_bytes(os.urandom(6), "big")
        message = Email(message_id(ledger.id, number).replace("outbox", "test"), email, None, text)
        with Connection(server) as connection:
            connection.send(message, call.now)
    return {
        "to": email,
        "from": server.sender,
        "host": server.host,
        "port": server.port,
        "security": server.security,
        "result": "sent",
        "dry_run": call.dry_run,
    }


def preview(reader: Reader, texts: Renderer, number: int, now: datetime, activation_days: int) -> Record:
    """Return a message as it would be sent now, without a code. Raises `unknown_message`, BadTemplate.

    `activation_days`: how long a code that is made now is valid.
    """
    message = outbox.find(reader, number)
    row = message_row(message)
    if "from_change" in message.ids:  # one row for many recipients: each gets a row when it is sent
        return {**row, "subject": None, "text": None, "html": None}
    facts = message_facts.read_facts(reader, message, now)
    code = CODE_IN_PREVIEW if carries_code(message.template, facts) else None
    expires = format_time(now + timedelta(days=activation_days))
    text = texts.render(
        message.template, {**facts, "code": code, "code_expires_at": expires, "sent_at": format_time(now)}
    )
    return {**row, "subject": text.subject, "text": text.plain, "html": text.html}


def message_row(message: Message) -> dict[str, JsonValue]:
    """Return a row of `notify list`."""
    many = f"{message.recipients:,} people" if message.recipients > 1 else None
    return {
        **record_of(message, "id template"),
        "recipient": message.email or many,
        **record_of(message, "state attempts queued_at next_attempt sent_at"),
        "error": message.last_error,
    }
