"""E-mails and mail servers as plain values. Importing them does not import smtplib or jinja2."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_MAX_HEADER_LENGTH = 200


@dataclass(frozen=True, slots=True)
class EmailText:
    """A rendered template."""

    subject: str
    plain: str
    html: str


@dataclass(frozen=True, slots=True)
class Email:
    """A text for one recipient. Every attempt to send it has the same Message-ID."""

    message_id: str
    email: str
    name: str | None
    text: EmailText


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server and the sender's address. `security` is `starttls`, `tls` or `none`."""

    host: str
    port: int
    security: str
    sender: str
    reply_to: str | None = None
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port}, {self.security})"  # without the password


def message_id(ledger_id: str, number: int) -> str:
    """Return the Message-ID of a message of the outbox, by which a recipient can detect duplicates."""
    return f"<outbox.{number}@{ledger_id}.seatctl>"


def one_line(text: str) -> str:
    """Return a text that is safe in a header: without line breaks and invisible characters, and shortened."""
    visible = (" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join("".join(visible).split())[:_MAX_HEADER_LENGTH]
