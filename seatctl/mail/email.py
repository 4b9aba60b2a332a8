"""A message ready to be sent: plain values, so that nobody needs the modules of mail to hold one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_LONGEST_HEADER = 200


@dataclass(frozen=True, slots=True)
class EmailText:
    """What a template makes of the facts."""

    subject: str
    plain: str
    html: str


@dataclass(frozen=True, slots=True)
class Email:
    """A text for one recipient. The Message-ID is the same at every attempt."""

    message_id: str
    email: str
    name: str | None
    text: EmailText


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `security` is `starttls`, `tls` or `none`."""

    host: str
    port: int
    security: str
    sender: str
    reply_to: str | None = None
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}, {self.security})"


def message_id(ledger_id: str, number: int) -> str:
    """The Message-ID of a message of the outbox: whoever gets it twice can tell that it is one message."""
    return f"<outbox.{number}@{ledger_id}.seatctl>"


def one_line(text: str) -> str:
    """A text that is safe in a header: no line breaks, nothing that cannot be seen, not endless."""
    seen = (" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join("".join(seen).split())[:_LONGEST_HEADER]
