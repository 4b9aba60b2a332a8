"""The way to the mail server. The one module that imports `smtplib` and `email`.

Two things can go wrong, and they are kept apart: the server cannot be used (`NoConnection`: every message
waits), or it refuses one message (`MessageRefused`: the others go on).
"""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import TracebackType

from seatctl.errors import Code, SeatctlError, TryAgain
from seatctl.mail.deadlines import TimelyReader, connect
from seatctl.mail.email import Email, MailServer, one_line
from seatctl.rules.emails import domain_key

_PATIENCE = 30.0
"""Seconds for an answer, where nobody waits for us."""

_BUSY = 421
"""The server closes the connection: it speaks of itself, not of the message."""


class NoConnection(TryAgain):
    """The mail server cannot be reached, or does not let us in."""

    kind = Code.MAIL_SERVER


class MessageRefused(SeatctlError):
    """The server refuses one message; `permanent` unless it asks to try again."""

    kind = Code.MESSAGE_REFUSED

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class _InTime(smtplib.SMTP):
    """Everything has to come before the deadline, the address of the server included.

    Where there is none, each answer has its own time.
    """

    def __init__(self, deadline: float | None, server: MailServer, **more: ssl.SSLContext) -> None:
        self._deadline = deadline
        self._reader: TimelyReader | None = None
        name = socket.gethostname()
        local = name if "." in name else "[127.0.0.1]"  # smtplib would ask the DNS for it
        super().__init__(_in_dns(server.host), server.port, local, **more)  # type: ignore[arg-type]

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del timeout  # smtplib's is one for each piece
        return connect(host, port, self._until())

    def getreply(self) -> tuple[int, bytes]:
        """An answer of the server."""
        if self.sock is not None and self.file is None:
            self._reader = TimelyReader(self.sock)
            self.file = io.BufferedReader(self._reader)
        if self._reader is not None:
            self._reader.deadline = self._until()
        return super().getreply()

    def _until(self) -> float:
        return time.monotonic() + _PATIENCE if self._deadline is None else self._deadline


class _InTimeTls(_InTime, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.context.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


class Connection:
    """A session with the server, used as a context manager. `deadline` is on the monotonic clock."""

    def __init__(self, server: MailServer, deadline: float | None = None) -> None:
        self._server = server
        self._deadline = deadline
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Connection:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect and log in. Raises NoConnection."""
        server = self._server
        try:
            self._smtp = smtp = self._connect()
            if server.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, server.password or "")
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self.close()
            raise self._gone(error) from error

    def _connect(self) -> smtplib.SMTP:
        if self._server.security == "tls":
            return _InTimeTls(self._deadline, self._server, context=ssl.create_default_context())
        return _InTime(self._deadline, self._server)

    def send(self, letter: Email, now: datetime) -> None:
        """Hand a letter in. Raises MessageRefused, NoConnection."""
        if self._smtp is None:
            raise self._gone(ConnectionError("not connected"))
        try:
            message = written(letter, self._server, now)
        except (MessageError, ValueError, IndexError) as error:
            raise MessageRefused(f"cannot be written as a mail: {error}", permanent=True) from error
        try:
            self._smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            raise self._refusal(*next(iter(refused.recipients.values()))) from refused
        except smtplib.SMTPSenderRefused as refused:
            raise self._gone(refused) from refused  # no message of ours would get further
        except smtplib.SMTPNotSupportedError as unsupported:
            raise MessageRefused(str(unsupported), permanent=True) from unsupported
        except smtplib.SMTPResponseException as refused:
            raise self._refusal(refused.smtp_code, refused.smtp_error) from refused
        except (OSError, smtplib.SMTPException) as error:
            raise self._gone(error) from error
        except ValueError as error:  # such as letters that this server cannot be told
            raise MessageRefused(f"cannot be written as a mail: {error}", permanent=True) from error

    def close(self) -> None:
        """Say goodbye, without waiting for an answer."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _refusal(self, code: int, answer: bytes | str) -> SeatctlError:
        said = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        if code == _BUSY:
            return self._gone(ConnectionError(said))
        return MessageRefused(one_line(f"{code} {said}"), permanent=code >= 500)

    def _gone(self, error: Exception) -> NoConnection:
        """What to say of a server that cannot be used; never its password."""
        server = self._server
        if isinstance(error, smtplib.SMTPResponseException):
            said = error.smtp_error
            what = f"{error.smtp_code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
        else:
            what = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return NoConnection(
            one_line(f"the mail server {server.host}:{server.port} cannot be used: {what}"),
            hint="to see its settings: seatctl config show; to try it: seatctl notify test",
            data={"host": server.host, "port": server.port},
        )


def written(letter: Email, server: MailServer, now: datetime) -> EmailMessage:
    """The letter as a mail; `now` is UTC. Texts that others typed cannot add a header to it."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _mailbox(server.sender)
    message["To"] = _address(letter.email, letter.name)
    if server.reply_to:
        message["Reply-To"] = _mailbox(server.reply_to)
    message["Subject"] = one_line(letter.text.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text.plain)
    message.add_alternative(letter.text.html, subtype="html")
    return message


def _mailbox(text: str) -> Address:
    """`Seats <seats@example.com>`, as settings hold it."""
    name, bracket, rest = text.rpartition("<")
    return _address(rest.removesuffix(">") if bracket else text, name.strip() or None)


def _address(email: str, name: str | None) -> Address:
    """The domain as the DNS has it; the name on one line."""
    local, _, domain = email.rpartition("@")
    return Address(display_name=one_line(name or ""), username=local, domain=_in_dns(domain))


def _in_dns(domain: str) -> str:
    """A domain or the name of a server as IDNA 2008 writes it. Raises ValueError if that does not allow it.

    Python would write it by IDNA 2003, and the mail, or the password, would go to another domain.
    """
    name = domain if domain.isascii() else domain_key(domain)
    if not name.isascii():
        raise ValueError(f"{domain} is not a domain that IDNA 2008 allows")
    return name
