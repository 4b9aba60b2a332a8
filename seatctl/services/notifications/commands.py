"""The commands about messages: send what waits, send an activation code again, show one, try the server."""

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
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.rules.emails import check_email
from seatctl.rules.notifications import carries_code
from seatctl.rules.plural import counted
from seatctl.services.notifications.delivery import DeliveryLimit, Sent, send_due
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import allow

COLUMNS = ("id", "template", "recipient", "result", "error")

CODE_IN_PREVIEW = "(made when the message is sent)"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """Which messages to send: those that are due, and on request those that have failed too."""

    failed: bool = False
    again: str | None = None
    """A user who gets a new activation code first."""
    now: bool = False
    """Also those that were put off and are not due yet."""


def send_messages(ledger: Ledger, post: Callable[[], MailSetup], call: Call, wanted: SendOptions) -> Report:
    """Send everything that is due. 6 where a message failed or was put off, 75 where the server is down.

    Raises RoleRequired, `mail_not_configured`, `mail_busy`, `nothing_to_claim`.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.NOTIFY)
    if wanted.again and not call.notify:
        raise UsageError(
            "--no-notify sends nobody a code", hint=f"seatctl notify send --again {wanted.again}"
        )
    run, codes = _queue_codes(ledger, call, wanted.again) if wanted.again else (None, 0)
    if call.dry_run:
        with ledger.reading() as reader:
            waiting = outbox.counts(reader)
        count = waiting.waiting + codes + (waiting.failed if wanted.failed else 0)
        return Report(None, True, f"would try {counted(count, 'message')}")
    ready = post()
    with ledger.journal() as journal:
        if wanted.failed:
            outbox.requeue(journal, MessageState.FAILED)
        if wanted.now:
            outbox.retry_now(journal)
    sent = send_due(ledger, lambda: ready, call.now, DeliveryLimit())
    if sent.error is not None:
        sent.error.data.update({"sent": sent.count("sent"), "put_off": sent.count("put off")})
        raise sent.error
    partial = sent.count("failed") + sent.count("put off") > 0
    code = ExitCode.PARTIAL if partial else ExitCode.DONE
    with ledger.reading() as reader:
        left = outbox.counts(reader)
    return Report(run, False, _sentence(sent, left), sent.rows, code, columns=COLUMNS)


def _sentence(sent: Sent, left: outbox.Counts) -> str:
    words = {"sent": "sent", "put off": "put off", "failed": "failed", "held": "not sent, being overtaken"}
    parts = [f"{sent.count(result):,} {said}" for result, said in words.items() if sent.count(result)]
    if left.waiting and left.next_attempt is not None:
        wait = f"{left.waiting:,} wait{'s' if left.waiting == 1 else ''} until {left.next_attempt} or later"
        return f"{', '.join(parts) or 'no message is due'}; {wait} (--now tries at once)"
    return ", ".join(parts) or "no message is due"


def _queue_codes(ledger: Ledger, call: Call, email: str) -> tuple[int | None, int]:
    """A new message for each seat of a user that nobody has claimed; the run, and how many messages."""
    with ledger.change(call) as tx:
        user = users.require(tx, email)
        require_active_user(user)
        seats = activation.unclaimed_of(tx, user.id)
        if not seats:
            raise refuse(
                Code.NOTHING_TO_CLAIM,
                f"{user.email} has no seat that waits to be claimed",
                hint=f"seatctl users show {user.email}",
                data={"email": user.email},
            )
        for seat, subscription in seats:
            number = tx.mail(Template.SEAT_ASSIGNED, {"seat": seat}, recipient_id=user.id)
            if number is not None:
                told: dict[str, JsonValue] = {"template": Template.SEAT_ASSIGNED.value, "seat": seat}
                tx.record("message", number, None, {**told, "subscription": subscription})
        tx.summarise(f"sent {user.email} a new activation code")
    return tx.run, len(seats)


def try_server(ledger: Ledger, find: Callable[[], MailSetup], call: Call, email: str, profile: str) -> Record:
    """Send a test message at once. Raises `bad_email`, RoleRequired, `mail_not_configured`, NoConnection,
    MessageRefused.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.NOTIFY)
    if problem := check_email(email):
        raise refuse(
            Code.BAD_EMAIL, f"{email!r} is not an e-mail address: {problem}", hint="seatctl notify test EMAIL"
        )
    post = find()
    text = post.texts.render(Template.TEST, {"profile": profile})
    server = post.server
    row: dict[str, JsonValue] = {
        "to": email,
        "from": server.sender,
        "host": server.host,
        "port": server.port,
        "security": server.security,
    }
    if call.dry_run:
        return {**row, "result": "would be sent"}
    number = int.from_bytes(os.urandom(6), "big")
    letter = Email(message_id(ledger.id, number).replace("outbox", "test"), email, None, text)
    with Connection(server) as connection:
        connection.send(letter, call.now)
    return {**row, "result": "sent"}


def preview(reader: Reader, texts: Renderer, number: int, now: datetime, activation_days: int) -> Record:
    """A message as it would be sent now, without a code. Raises `unknown_message`, BadTemplate.

    `activation_days`: how long a code that is made now can be used.
    """
    message = outbox.find(reader, number)
    row = message_row(message)
    if "from_change" in message.ids:  # to many, and not spread out to them yet
        return {**row, "subject": None, "text": None, "html": None}
    facts = message_facts.read_facts(reader, message)
    code = CODE_IN_PREVIEW if carries_code(message.template, facts) else None
    expires = format_time(now + timedelta(days=activation_days))
    text = texts.render(
        message.template, {**facts, "code": code, "code_expires_at": expires, "sent_at": format_time(now)}
    )
    return {**row, "subject": text.subject, "text": text.plain, "html": text.html}


def message_row(message: Message) -> dict[str, JsonValue]:
    """A line of `notify list`."""
    many = f"{message.recipients:,} people" if message.recipients > 1 else None
    return {
        "id": message.id,
        "template": message.template,
        "recipient": message.email or many,
        "state": message.state.value,
        "attempts": message.attempts,
        "queued_at": message.queued_at,
        "next_attempt": message.next_attempt,
        "sent_at": message.sent_at,
        "error": message.last_error,
    }
