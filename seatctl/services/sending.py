"""Sending what the outbox holds: at least once, never twice at a time, and never in the way of a command.

An attempt is written down before it is made and its end after it: a sender that is killed in between
leaves a message that is sent again, under the same Message-ID and with a new activation code beside the
earlier one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from seatctl.errors import JsonValue, TryAgain
from seatctl.ledger import activation, message_facts, outbox
from seatctl.ledger.ledger import Ledger
from seatctl.mail.letter import Letter, message_id
from seatctl.mail.post import Post
from seatctl.mail.rendering import BadTemplate
from seatctl.mail.smtp import Connection, MessageRefused, NoConnection
from seatctl.models.call import format_time
from seatctl.models.message import Message, MessageState
from seatctl.models.report import Record
from seatctl.rules.activation import RANDOM_BYTES, code_hash, code_of
from seatctl.rules.notices import carries_code, overtaken
from seatctl.rules.retrying import given_up, next_attempt

_SLICE = 100
_SENDER_SECONDS = 10.0
"""How long `notify send` waits for another sender."""


class MailBusy(TryAgain):
    """Another process is sending this ledger's messages."""

    code = "mail_busy"


@dataclass(frozen=True, slots=True)
class Limit:
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


def send_due(ledger: Ledger, post: Post, now: datetime, limit: Limit) -> Sent:
    """Send the messages that are due at `now` (UTC). Raises MailBusy where it is patient.

    A server that cannot be reached is told in `error`; its messages wait for their next attempt.
    """
    sent = Sent()
    deadline = None if limit.seconds is None else time.monotonic() + limit.seconds
    with ledger.mail_lock(_SENDER_SECONDS if limit.patient else 0) as ours:
        if not ours and limit.patient:
            raise MailBusy("another process is sending messages", hint="seatctl notify list")
        waiting = _due(ledger, now, limit, 0) if ours else []
        if not waiting or (not limit.patient and _is_down(ledger, now)):
            return sent
        sender = _Sender(ledger, post, now, deadline)
        try:
            with sender.connected(waiting):
                while waiting:
                    for number in waiting:
                        if deadline is not None and time.monotonic() >= deadline:
                            return sent
                        sent.rows.append(sender.send(number))
                    waiting = _due(ledger, now, limit, len(sent.rows))
        except NoConnection as error:
            sent.error = error
    return sent


def _due(ledger: Ledger, now: datetime, limit: Limit, done: int) -> list[int]:
    """The next messages to try; those to many are spread out as far as they are wanted."""
    most = _SLICE if limit.most is None else min(_SLICE, limit.most - done)
    if most <= 0:
        return []
    with ledger.reading() as reader:
        many = outbox.has_many(reader, format_time(now))
    if many:
        with ledger.journal() as journal:
            outbox.spread(journal, format_time(now), most, limit.first_entry)
    with ledger.reading() as reader:
        return outbox.due(reader, format_time(now), most, limit.first_entry)


def _is_down(ledger: Ledger, now: datetime) -> bool:
    with ledger.reading() as reader:
        return outbox.server_is_down(reader, format_time(now))


class _Sender:
    """One session of sending. The caller holds the mail lock."""

    def __init__(self, ledger: Ledger, post: Post, now: datetime, deadline: float | None) -> None:
        self._ledger, self._post, self._now = ledger, post, now
        self._written = format_time(now)
        self._connection = Connection(post.server, deadline)
        self._fresh = True
        """Nothing was sent yet through this connection."""

    @contextmanager
    def connected(self, waiting: list[int]) -> Iterator[None]:
        """Connect; where that fails the messages are put off, so that the next command is not slow."""
        try:
            self._connection.open()
        except NoConnection as error:
            for number in waiting:
                self._put_off(number, error)
            raise
        try:
            yield
        finally:
            self._connection.close()

    def send(self, number: int) -> Record:
        """Try one message; what became of it. Raises NoConnection where the server is gone for good."""
        with self._ledger.reading() as reader:
            message = outbox.find(reader, number)
            facts = message_facts.gather(reader, message)
        why = overtaken(message.template, facts)
        if why is not None:
            return self._end(message, MessageState.HELD, why)
        letter_facts = {**facts, **self._begin(message, facts)}
        try:
            text = self._post.texts.render(message.template, letter_facts)
            self._hand_in(Letter(message_id(self._ledger.id, number), str(message.email), message.name, text))
        except BadTemplate as error:
            return self._end(message, MessageState.FAILED, error.message)
        except MessageRefused as error:
            lost = given_up(message.attempts + 1, permanent=error.permanent)
            return self._end(message, MessageState.FAILED if lost else MessageState.WAITING, error.message)
        except NoConnection as error:
            self._end(message, MessageState.WAITING, outbox.NO_CONNECTION + error.message)
            self._reconnect()
            return _row(message, "put off", error.message)
        self._fresh = False
        return self._end(message, MessageState.SENT)

    def _hand_in(self, letter: Letter) -> None:
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

    def _put_off(self, number: int, error: NoConnection) -> None:
        with self._ledger.reading() as reader:
            message = outbox.find(reader, number)
        with self._ledger.journal() as journal:
            outbox.begin_attempt(journal, number, format_time(next_attempt(self._now, message.attempts + 1)))
            outbox.end_attempt(
                journal,
                number,
                MessageState.WAITING,
                now=self._written,
                error=outbox.NO_CONNECTION + error.message,
            )


def _row(message: Message, result: str, error: str | None) -> Record:
    return {
        "id": message.id,
        "template": message.template,
        "recipient": message.email,
        "result": result,
        "error": error,
    }
