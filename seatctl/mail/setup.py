"""Everything that is needed to send messages, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.mail.email import MailServer
from seatctl.mail.rendering import Renderer


@dataclass(frozen=True, slots=True)
class MailSetup:
    """The server, the templates, and how many days an activation code is valid."""

    server: MailServer
    texts: Renderer
    activation_days: int
