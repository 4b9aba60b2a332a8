"""A real SMTP server on loopback that keeps what it is given, refuses whom it is told, and can die."""

from __future__ import annotations

import re
import socket
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.support.subscriptions import ledger_place, query

CODE = re.compile(r"seat(?:-[0-9A-Z]{5}){4}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postbox:
    """`letters` are the mails that it took, parsed; `refused` maps addresses to the answer they get."""

    def __init__(self) -> None:
        self.port = free_port()
        self.letters: list = []
        self.refused: dict[str, str] = {}
        self.dies_after: int | None = None
        """It takes this many letters, keeps the next one without saying so, and hangs up for good."""
        self._controller: Controller | None = None

    def open(self, **how) -> Postbox:
        """`how` is for aiosmtpd: `ssl_context` is TLS from the start, `tls_context` STARTTLS."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=20, **how)
        self._controller.start()
        return self

    def close(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_RCPT(self, server: SMTP, session, envelope, address, options):
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session, envelope):
        if self.dies_after is not None and len(self.letters) > self.dies_after:
            server.transport.abort()
            return "421 going away"
        letter = message_from_bytes(envelope.content, policy=policy.default)
        letter.to = envelope.rcpt_tos[0]
        self.letters.append(letter)
        if self.dies_after is not None and len(self.letters) > self.dies_after:
            server.transport.abort()
        return "250 OK"

    def to(self, address: str) -> list:
        return [letter for letter in self.letters if letter.to == address]

    def subjects(self) -> list[tuple[str, str]]:
        return [(letter.to, letter["Subject"]) for letter in self.letters]


def plain(letter) -> str:
    return letter.get_body(("plain",)).get_content()


def html(letter) -> str:
    return letter.get_body(("html",)).get_content()


def code_in(letter) -> str:
    return CODE.search(plain(letter))[0]


def use(seatctl, postbox: Postbox) -> None:
    """Let the profile send its mail there."""
    settings = {
        "mail.host": "127.0.0.1",
        "mail.port": str(postbox.port),
        "mail.security": "none",
        "mail.from": "Seats <seats@example.com>",
    }
    for key, value in settings.items():
        assert seatctl("config", "set", key, value).code == 0


def later(sandbox) -> None:
    """All waiting messages are due again, as after their delay."""
    query(ledger_place(sandbox), "UPDATE outbox SET next_attempt = NULL WHERE state = 'waiting'")
