"""Sends e-mails over SMTP. Only this module imports `smtplib` and `email`.

There are two kinds of failure: if the server cannot be used (`NoConnection`), all messages wait; if it
refuses one message (`MessageRefused`), the others are sent.

A deadline is a moment on the monotonic clock. After it, everything here raises TimeoutError.
"""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from seatctl.errors import Code, SeatctlError, TryAgain
from seatctl.mail.email import Email, MailServer, one_line
from seatctl.rules.emails import domain_key

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_T = TypeVar("_T")

_REPLY_SECONDS = 30.0
"""How long to wait for a reply if there is no deadline."""

_CLOSING = 421
"""The reply code of a server that closes the connection. It does not refuse the message."""


def _seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError if it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("it takes too long")
    return seconds


def within(deadline: float, function: Callable[[], _T]) -> _T:
    """Return or raise what a function does, if it ends before the deadline.

    It runs in a daemon thread, for calls that cannot be interrupted: DNS, or a keyring that asks somebody. If
    it is late it goes on there, and does not keep the program from ending.
    """
    import threading

    returned: list[_T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_seconds_left(deadline))
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError("it takes too long")
    return returned[0]


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of the host that accepts a connection. Raises OSError."""
    addresses = within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    last_error: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_seconds_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            last_error = error
        else:
            return connection
    raise last_error


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline.

    A socket's own time limit applies to each piece: a server that sends one byte per second would never time
    out.
    """

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self.deadline = 0.0

    def readable(self) -> bool:
        """Return True, as `io.BufferedReader` requires."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read the next piece into a buffer and return its length. Raises TimeoutError."""
        self._source.settimeout(_seconds_left(self.deadline))
        return self._source.recv_into(buffer)


class NoConnection(TryAgain):
    """The mail server cannot be reached, or refuses the connection or the login."""

    kind = Code.MAIL_SERVER


class MessageRefused(SeatctlError):
    """The server refuses one message; `permanent` unless it may be sent again later."""

    kind = Code.MESSAGE_REFUSED

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class _DeadlineSmtp(smtplib.SMTP):
    """An SMTP session that must end before a deadline, the DNS look-up included.

    Without a deadline, each reply has its own time limit.
    """

    def __init__(self, deadline: float | None, server: MailServer, **more: ssl.SSLContext) -> None:
        self._deadline = deadline
        self._reader: _DeadlineReader | None = None
        name = socket.gethostname()
        local = name if "." in name else "[127.0.0.1]"  # smtplib's own default is a DNS look-up
        super().__init__(_in_dns(server.host), server.port, local, **more)  # type: ignore[arg-type]

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del timeout  # smtplib's time limit applies to each piece that is received
        return _connected(host, port, self._until())

    def getreply(self) -> tuple[int, bytes]:
        """Return the server's reply. Raises TimeoutError after the deadline."""
        if self.sock is not None and self.file is None:
            self._reader = _DeadlineReader(self.sock)
            self.file = io.BufferedReader(self._reader)
        if self._reader is not None:
            self._reader.deadline = self._until()
        return super().getreply()

    def _until(self) -> float:
        return time.monotonic() + _REPLY_SECONDS if self._deadline is None else self._deadline


class _DeadlineSmtpTls(_DeadlineSmtp, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""

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
            raise self._no_connection(error) from error

    def _connect(self) -> smtplib.SMTP:
        if self._server.security == "tls":
            return _DeadlineSmtpTls(self._deadline, self._server, context=ssl.create_default_context())
        return _DeadlineSmtp(self._deadline, self._server)

    def send(self, email: Email, now: datetime) -> None:
        """Send an e-mail. Raises MessageRefused, NoConnection."""
        if self._smtp is None:
            raise self._no_connection(ConnectionError("not connected"))
        try:
            message = as_message(email, self._server, now)
        except (MessageError, ValueError, IndexError) as error:
            raise MessageRefused(f"cannot be written as an e-mail: {error}", permanent=True) from error
        try:
            self._smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            raise self._refusal(*next(iter(refused.recipients.values()))) from refused
        except smtplib.SMTPSenderRefused as refused:
            raise self._no_connection(refused) from refused  # it would refuse every message
        except smtplib.SMTPNotSupportedError as unsupported:
            raise MessageRefused(str(unsupported), permanent=True) from unsupported
        except smtplib.SMTPResponseException as refused:
            raise self._refusal(refused.smtp_code, refused.smtp_error) from refused
        except (OSError, smtplib.SMTPException) as error:
            raise self._no_connection(error) from error
        except ValueError as error:  # for example, non-ASCII characters that the server does not support
            raise MessageRefused(f"cannot be written as an e-mail: {error}", permanent=True) from error

    def close(self) -> None:
        """Close the connection without waiting for a reply."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _refusal(self, code: int, reply: bytes | str) -> SeatctlError:
        text = _decoded(reply)
        if code == _CLOSING:
            return self._no_connection(ConnectionError(text))
        return MessageRefused(one_line(f"{code} {text}"), permanent=code >= 500)

    def _no_connection(self, error: Exception) -> NoConnection:
        """Return the refusal for a server that cannot be used. It never contains the password."""
        server = self._server
        if isinstance(error, smtplib.SMTPResponseException):
            reason = f"{error.smtp_code} {_decoded(error.smtp_error)}"
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return NoConnection(
            one_line(f"the mail server {server.host}:{server.port} cannot be used: {reason}"),
            hint="to see its settings: seatctl config show; to try it: seatctl notify test",
            data={"host": server.host, "port": server.port},
        )


def _decoded(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


def as_message(email: Email, server: MailServer, now: datetime) -> EmailMessage:
    """Return the e-mail with its headers; `now` is UTC. No value, whoever typed it, can add a header."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _mailbox(server.sender)
    message["To"] = _address(email.email, email.name)
    if server.reply_to:
        message["Reply-To"] = _mailbox(server.reply_to)
    message["Subject"] = one_line(email.text.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = email.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email.text.plain)
    message.add_alternative(email.text.html, subtype="html")
    return message


def _mailbox(text: str) -> Address:
    """Return the address of a setting like `Seats <seats@example.com>`."""
    name, bracket, rest = text.rpartition("<")
    return _address(rest.removesuffix(">") if bracket else text, name.strip() or None)


def _address(email: str, name: str | None) -> Address:
    """Return an address, with its domain in ASCII and its name on one line."""
    local, _, domain = email.rpartition("@")
    return Address(display_name=one_line(name or ""), username=local, domain=_in_dns(domain))


def _in_dns(domain: str) -> str:
    """Return a domain or host name in ASCII, by IDNA 2008. Raises ValueError if IDNA 2008 does not allow it.

    Python's own codec is IDNA 2003, which would send the mail, or the password, to another domain.
    """
    name = domain if domain.isascii() else domain_key(domain)
    if not name.isascii():
        raise ValueError(f"{domain} is not a domain that IDNA 2008 allows")
    return name
