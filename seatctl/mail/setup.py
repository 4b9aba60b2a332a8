"""What sending needs, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.mail.email import MailServer
from seatctl.mail.rendering import Renderer


@dataclass(frozen=True, slots=True)
class MailSetup:
    """The server, the texts, and how many days an activation code can be used."""

    server: MailServer
    texts: Renderer
    activation_days: int
