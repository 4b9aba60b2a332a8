"""What sending needs, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.mail.email import Server
from seatctl.mail.rendering import Renderer


@dataclass(frozen=True, slots=True)
class Post:
    """The server, the texts, and how many days an activation code can be used."""

    server: Server
    texts: Renderer
    activation_days: int
