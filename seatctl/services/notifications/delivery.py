"""Sending what the outbox holds: at least once, never twice at a time, and never in the way of a command.

An attempt is written down before it is made and its end after it: a sender that is killed in between
leaves a message that is sent again, under the same Message-ID and with a new activation code beside the
earlier one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger import activation, message_facts, outbox
from seatctl.ledger.ledger import Ledger
from seatctl.mail.deadlines import within
from seatctl.mail.email import Email, message_id
from seatctl.mail.rendering import BadTemplate
from seatctl.mail.setup import MailSetup
from seatctl.mail.smtp import Connection, MessageRefused, NoConnection
from seatctl.models.call import format_time
from seatctl.models.message import Message, MessageState
from seatctl.models.report import Record
from seatctl.rules.activation import RANDOM_BYTES, code_hash, code_of
from seatctl.rules.mail_retries import given_up, next_attempt
from seatctl.rules.notifications import carries_code, overtaken

_SLICE = 100
_SENDER_SECONDS = 10.0
"""How long `notify send` waits for another sender."""


@dataclass(frozen=True, slots=True)
class DeliveryLimit:
    """How much to send. A command sends a little, its own messages first, and waits for nobody."""

    most: int | None = None
    seconds: float | None = None
    first_entry: int = 0
    patient: bool = True


@dataclass(slots=True)
class Sent:
    """What became of the messages that were tried, one row each; `error` where the server failed."""

    rows: list[Record] = field(default_factory=list)
    error: NoConnection | None = None

    def count(self, result: str) -> int:
        """How many ended like this."""
        return sum(row["result"] == result for row in self.rows)


def send_due(ledger: Ledger, find: Callable[[], MailSetup], now: datetime, limit: DeliveryLimit) -> Sent:
    """Send the messages that are due at `now` (UTC). Raises `mail_busy` where it is patient.

    A server that cannot be reached, or whose password cannot be found in time, is told in `error`; its
    messages wait for their next attempt.
    """
    sent = Sent()
    deadline = None if limit.seconds is None else time.monotonic() + limit.seconds
    with ledger.mail_lock(_SENDER_SECONDS if limit.patient else 0) as ours:
        if not ours and limit.patient:
            raise refuse(Code.MAIL_BUSY, "another process is sending messages", hint="seatctl notify list")
        waiting = _due(ledger, now, limit, 0) if ours else []
        if not waiting or (not limit.patient and _is_down(ledger, now)):
            return sent
        try:
            sender = _Sender(ledger, _found(find, deadline), now, deadline)
            with sender.connected():
                while waiting:
                    for number in waiting:
                        if deadline is not None and time.monotonic() >= deadline:
                            return sent
                        sent.rows.append(sender.send(number))
                    waiting = _due(ledger, now, limit, len(sent.rows))
        except NoConnection as error:
            if not sent.rows:
                _put_off(ledger, waiting, now, error)
            sent.error = error
    return sent


def _found(find: Callable[[], MailSetup], deadline: float | None) -> MailSetup:
    """The server and its password, which a keyring or a command may take long to give.

    Raises NoConnection, so that the next commands do not try it again at once.
    """
    try:
        return find() if deadline is None else within(deadline, find)
    except TimeoutError as error:
        raise NoConnection("the password of the mail server was not found in time") from error
    except SeatctlError as error:
        raise NoConnection(error.message, hint=error.hint) from error


def _put_off(ledger: Ledger, numbers: Sequence[int], now: datetime, error: NoConnection) -> None:
    """Count an attempt for messages that got none, so that the next command is not slow."""
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


def _due(ledger: Ledger, now: datetime, limit: DeliveryLimit, done: int) -> list[int]:
    """The next messages to try; those to many are spread out as far as they are wanted."""
    most = _SLICE if limit.most is None else min(_SLICE, limit.most - done)
    if most <= 0:
        return []
    with ledger.reading() as reader:
        many = outbox.has_unexpanded(reader, format_time(now))
    if many:
        with ledger.journal() as journal:
            outbox.expand(journal, format_time(now), most, limit.first_entry)
    with ledger.reading() as reader:
        return outbox.due(reader, format_time(now), most, limit.first_entry)


def _is_down(ledger: Ledger, now: datetime) -> bool:
    with ledger.reading() as reader:
        return outbox.server_is_down(reader, format_time(now))


class _Sender:
    """One session of sending. The caller holds the mail lock."""

    def __init__(self, ledger: Ledger, post: MailSetup, now: datetime, deadline: float | None) -> None:
        self._ledger, self._post, self._now = ledger, post, now
        self._written = format_time(now)
        self._connection = Connection(post.server, deadline)
        self._fresh = True
        """Nothing was sent yet through this connection."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Connect, and close the connection in the end. Raises NoConnection."""
        self._connection.open()
        try:
            yield
        finally:
            self._connection.close()

    def send(self, number: int) -> Record:
        """Try one message; what became of it. Raises NoConnection where the server is gone for good."""
        with self._ledger.reading() as reader:
            message = outbox.find(reader, number)
            facts = message_facts.read_facts(reader, message)
        why = overtaken(message.template, facts, self._now)
        if why is not None:
            return self._end(message, MessageState.HELD, why)
        letter_facts = {**facts, **self._begin(message, facts)}
        try:
            text = self._post.texts.render(message.template, letter_facts)
            self._hand_in(Email(message_id(self._ledger.id, number), str(message.email), message.name, text))
        except BadTemplate as error:
            return self._end(message, MessageState.FAILED, error.message)
        except MessageRefused as error:
            return self._refused(message, error)
        except NoConnection as error:
            self._end(message, MessageState.WAITING, outbox.NO_CONNECTION + error.message)
            self._reconnect()
            return _row(message, "put off", error.message)
        self._fresh = False
        return self._end(message, MessageState.SENT)

    def _refused(self, message: Message, error: MessageRefused) -> Record:
        """Failed, or put off: a server that was down for long has used up none of a message's tries."""
        was_down = (message.last_error or "").startswith(outbox.NO_CONNECTION)
        tries = 1 if was_down else message.attempts + 1
        if given_up(tries, permanent=error.permanent):
            return self._end(message, MessageState.FAILED, error.message)
        if was_down:
            with self._ledger.journal() as journal:
                outbox.restart_attempts(journal, message.id, format_time(next_attempt(self._now, tries)))
        return self._end(message, MessageState.WAITING, error.message)

    def _hand_in(self, letter: Email) -> None:
        self._connection.send(letter, self._now)

    def _reconnect(self) -> None:
        """Servers hang up after a number of messages; one that hangs up at the first is down."""
        self._connection.close()
        if self._fresh:
            raise NoConnection("the mail server hangs up", hint="seatctl notify test")
        self._fresh = True
        self._connection.open()

    def _begin(self, message: Message, facts: message_facts.Facts) -> dict[str, JsonValue]:
        """Write the attempt down, with the hash of a code that only this attempt knows."""
        code, expires = None, self._now + timedelta(days=self._post.activation_days)
        with self._ledger.journal() as journal:
            later = next_attempt(self._now, message.attempts + 1)
            outbox.begin_attempt(journal, message.id, format_time(later))
            if carries_code(message.template, facts):
                code = code_of(os.urandom(RANDOM_BYTES))
                seat = message.ids["seat"]
                activation.add(journal, seat, code_hash(code), now=self._now, expires=expires)
        return {"code": code, "code_expires_at": format_time(expires), "sent_at": self._written}

    def _end(self, message: Message, state: MessageState, error: str | None = None) -> Record:
        with self._ledger.journal() as journal:
            outbox.end_attempt(journal, message.id, state, now=self._written, error=error)
        result = "put off" if state is MessageState.WAITING else state.value
        return _row(message, result, error)


def _row(message: Message, result: str, error: str | None) -> Record:
    return {
        "id": message.id,
        "template": message.template,
        "recipient": message.email,
        "result": result,
        "error": error,
    }
