"""`notify send`, `test` and `show`, and the delivery of messages at the end of other commands.

Messages are sent at least once, without delaying a command. With a ledger in a file, one process sends at a
time. On a server several do: messages are divided into shares, each of which one process sends at a time.

An attempt is recorded before it is made, and its result after it. If the process is killed in between, the
message is sent again under the same Message-ID, with a new activation code; the earlier code stays valid.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from seatctl.errors import Code, ExitCode, JsonValue, SeatctlError, UsageError, refuse
from seatctl.ledger import activation, message_facts, outbox, request_decisions, users
from seatctl.ledger.ledger import Ledger, Scope
from seatctl.ledger.transaction import Reader
from seatctl.mail.email import Email, message_id
from seatctl.mail.rendering import BadTemplate, MailSetup, Renderer
from seatctl.mail.smtp import Connection, MessageRefused, NoConnection, within
from seatctl.models.call import Call, format_time
from seatctl.models.message import Message, MessageState, Template
from seatctl.models.report import Record, Report, change_report, counted, record_of
from seatctl.models.role import Action
from seatctl.rules.activation import RANDOM_BYTES, code_hash, code_of
from seatctl.rules.emails import check_email
from seatctl.rules.notifications import carries_code, given_up, next_attempt, why_outdated
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import allow

_PAGE = 100
"""Messages that are read from the outbox at a time."""
_LOCK_SECONDS = 10.0
"""How long `notify send` waits for other senders."""
_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class DeliveryLimit:
    """How much to send. A command sends only a few messages, its own first, and does not wait."""

    messages: int | None = None
    seconds: float | None = None
    first_entry: int = 0
    """Messages of this audit entry and later ones are sent first."""
    patient: bool = True
    """Whether to wait for another sender, and to try a server that was down."""


@dataclass(slots=True)
class Sent:
    """The results of the attempts, one row per message; `error` if the server failed."""

    rows: list[Record] = field(default_factory=list)
    error: NoConnection | None = None

    def count(self, result: str) -> int:
        """Return how many messages have this result."""
        return sum(row["result"] == result for row in self.rows)


def send_due(
    ledger: Ledger, find_setup: Callable[[], MailSetup], now: datetime, limit: DeliveryLimit
) -> Sent:
    """Send the messages that are due at `now` (UTC). Raises `mail_busy` if `limit` is patient.

    If the server cannot be reached, or its password cannot be read in time, the result has an `error` and the
    messages wait for their next attempt.
    """
    with _Delivery(ledger, find_setup, now, limit) as delivery:
        if ledger.mail_shares == 1:
            delivery.send_alone()
        else:
            delivery.send_with_others()
    return delivery.sent


class _Delivery:
    """One process that sends, over one connection to the mail server."""

    def __init__(
        self, ledger: Ledger, find_setup: Callable[[], MailSetup], now: datetime, limit: DeliveryLimit
    ) -> None:
        self.sent = Sent()
        self._ledger, self._find_setup, self._now, self._limit = ledger, find_setup, now, limit
        self._deadline = None if limit.seconds is None else time.monotonic() + limit.seconds
        self._sender: _Sender | None = None
        self._stack = ExitStack()
        self._is_over = False
        """Whether the time is up, or the mail server is down."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send_alone(self) -> None:
        """Send what is due while nobody else sends. Raises `mail_busy`."""
        with self._ledger.mail_lock(0, _LOCK_SECONDS if self._limit.patient else 0) as locked:
            if locked:
                self._send_share(0)
            elif self._limit.patient:
                raise _mail_busy()

    def send_with_others(self) -> None:
        """Send what is due and no other process is sending. Raises `mail_busy` if others send all of it."""
        until = time.monotonic() + (_LOCK_SECONDS if self._limit.patient else 0)
        while not self._is_over and (waiting := self._due()):
            before, others = len(self.sent.rows), False
            for share in dict.fromkeys(share for _, share in waiting):
                with self._ledger.mail_lock(share) as locked:
                    if locked and not self._is_over:
                        self._send_share(share)
                    others = others or not locked
            if others and len(self.sent.rows) == before:
                if time.monotonic() >= until:
                    if self._limit.patient and not self.sent.rows:
                        raise _mail_busy()
                    return
                time.sleep(_POLL_SECONDS)

    def _due(self, share: int | None = None) -> list[tuple[int, int]]:
        return _due(self._ledger, self._now, self._limit, len(self.sent.rows), share)

    def _send_share(self, share: int) -> None:
        """Send the messages of a share, whose lock this process holds."""
        waiting = self._due(share)
        try:
            while waiting and not self._stops():
                sender = self._sender or self._connect()
                for number, _ in waiting:
                    if self._stops():
                        return
                    self._ledger.require_mail_lock(share)
                    self.sent.rows.append(sender.send(number))
                waiting = self._due(share)
        except NoConnection as error:
            if not self.sent.rows:
                _put_off(self._ledger, [number for number, _ in waiting], self._now, error)
            self.sent.error, self._is_over = error, True

    def _stops(self) -> bool:
        """Return whether the time is up or, before the first message, whether the server is down."""
        if self._sender is None:
            self._is_over = not self._limit.patient and _is_down(self._ledger, self._now)
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self._is_over = True
        return self._is_over

    def _connect(self) -> _Sender:
        setup = _setup(self._find_setup, self._deadline)
        self._sender = _Sender(self._ledger, setup, self._now, self._deadline)
        self._stack.enter_context(self._sender.connection)
        return self._sender


def _mail_busy() -> SeatctlError:
    return refuse(Code.MAIL_BUSY, "another process is sending messages", hint="seatctl notify list")


def _setup(find_setup: Callable[[], MailSetup], deadline: float | None) -> MailSetup:
    """Return the server with its password, which a keyring or a command may take long to return.

    Raises NoConnection for every problem, so that the next commands do not try again at once.
    """
    try:
        return find_setup() if deadline is None else within(deadline, find_setup)
    except TimeoutError as error:
        raise NoConnection("the password of the mail server was not found in time") from error
    except SeatctlError as error:
        raise NoConnection(error.message, hint=error.hint) from error


def _put_off(ledger: Ledger, numbers: Sequence[int], now: datetime, error: NoConnection) -> None:
    """Count an attempt for messages that had none, so that the next command does not try them at once."""
    for number in numbers:
        with ledger.reading() as reader:
            message = outbox.find(reader, number)
        with ledger.journal() as journal:
            outbox.begin_attempt(journal, number, format_time(next_attempt(now, message.attempts + 1)))
            outbox.end_attempt(
                journal,
                number,
                MessageState.WAITING,
                now=format_time(now),
                error=outbox.NO_CONNECTION + error.message,
            )


def _due(
    ledger: Ledger, now: datetime, limit: DeliveryLimit, tried: int, share: int | None
) -> list[tuple[int, int]]:
    """Return the next messages to try, with the share of each.

    A message to many recipients is first expanded into one for each.
    """
    size = _PAGE if limit.messages is None else min(_PAGE, limit.messages - tried)
    if size <= 0:
        return []
    with ledger.reading() as reader:
        has_unexpanded = outbox.has_unexpanded(reader, format_time(now))
    if has_unexpanded:
        # Of two processes that expand the same message at once, one would fail.
        with ledger.journal(Scope.WHOLE) as journal:
            outbox.expand(journal, format_time(now), size, limit.first_entry)
    with ledger.reading() as reader:
        return outbox.due(reader, format_time(now), size, limit.first_entry, share, ledger.mail_shares)


def _is_down(ledger: Ledger, now: datetime) -> bool:
    with ledger.reading() as reader:
        return outbox.server_is_down(reader, format_time(now))


class _Sender:
    """Sends messages over one connection. The caller holds the mail lock of their share."""

    def __init__(self, ledger: Ledger, setup: MailSetup, now: datetime, deadline: float | None) -> None:
        self._ledger, self._setup, self._now = ledger, setup, now
        self.connection = Connection(setup.server, deadline)
        self._unused = True
        """Whether nothing was sent through this connection yet."""

    def send(self, number: int) -> Record:
        """Try to send one message and return the result. Raises NoConnection if the server is down."""
        with self._ledger.reading() as reader:
            message = outbox.find(reader, number)
            facts = message_facts.read_facts(reader, message, self._now)
        reason = why_outdated(message.template, facts, self._now)
        if reason is not None:
            return self._end(message, MessageState.HELD, reason)
        facts |= self._begin(message, facts)
        try:
            text = self._setup.texts.render(message.template, facts)
            email = Email(message_id(self._ledger.id, number), str(message.email), message.name, text)
            self.connection.send(email, self._now)
        except BadTemplate as error:
            return self._end(message, MessageState.FAILED, error.message)
        except MessageRefused as error:
            return self._end_refused(message, error)
        except NoConnection as error:
            self._end(message, MessageState.WAITING, outbox.NO_CONNECTION + error.message)
            self._reconnect()
            return _row(message, "put off", error.message)
        self._unused = False
        return self._end(message, MessageState.SENT)

    def _begin(self, message: Message, facts: message_facts.Facts) -> dict[str, JsonValue]:
        """Record the attempt, with the hash of a new activation code if the message carries one."""
        code, expires = None, self._now + timedelta(days=self._setup.activation_days)
        with self._ledger.journal() as journal:
            later = next_attempt(self._now, message.attempts + 1)
            outbox.begin_attempt(journal, message.id, format_time(later))
            if carries_code(message.template, facts):
                code = code_of(os.urandom(RANDOM_BYTES))
                seat = message.ids["seat"]
                activation.add(journal, seat, code_hash(code), now=self._now, expires=expires)
        return {"code": code, "code_expires_at": format_time(expires), "sent_at": format_time(self._now)}

    def _end(self, message: Message, state: MessageState, error: str | None = None) -> Record:
        """Record the result of the attempt and return its row."""
        with self._ledger.journal() as journal:
            outbox.end_attempt(journal, message.id, state, now=format_time(self._now), error=error)
        result = "put off" if state is MessageState.WAITING else state.value
        return _row(message, result, error)

    def _end_refused(self, message: Message, error: MessageRefused) -> Record:
        """Record that the server refused the message. Attempts while the server was down do not count."""
        was_down = (message.last_error or "").startswith(outbox.NO_CONNECTION)
        attempts = 1 if was_down else message.attempts + 1
        if given_up(attempts, permanent=error.permanent):
            return self._end(message, MessageState.FAILED, error.message)
        if was_down:
            with self._ledger.journal() as journal:
                outbox.restart_attempts(journal, message.id, format_time(next_attempt(self._now, attempts)))
        return self._end(message, MessageState.WAITING, error.message)

    def _reconnect(self) -> None:
        """Connect again, as servers hang up after some messages. Raises NoConnection if none was sent."""
        self.connection.close()
        if self._unused:
            raise NoConnection("the mail server hangs up", hint="seatctl notify test")
        self._unused = True
        self.connection.open()


def _row(message: Message, result: str, error: str | None) -> Record:
    return {
        "id": message.id,
        "template": message.template,
        "recipient": message.email,
        "result": result,
        "error": error,
    }


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
        return change_report(f"tried to send {counted(number, 'message')}", dry_run=True)
    _decide_new_requests(ledger, call)
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


def _decide_new_requests(ledger: Ledger, call: Call) -> None:
    """Let the rules decide requests that came from database roles which may only request.

    So a job that sends messages regularly answers such requests too.
    """
    with ledger.reading() as reader:
        if not request_decisions.any_new(reader):
            return
    with ledger.change(call) as tx:  # it begins with what is due
        tx.summarise("applied the rules of automatic approval to new requests")


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
