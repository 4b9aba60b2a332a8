"""Renders messages from Jinja2 templates: our own, or those of a profile. Only this module imports jinja2.

`NAME.txt` sets `subject` and is the plain text; `NAME.html` is the HTML, in which every value is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from seatctl.errors import BadInput, Code, JsonValue
from seatctl.mail.email import EmailText, MailServer, one_line

TEMPLATES = Path(__file__).parent / "templates"


class BadTemplate(BadInput):
    """A template cannot be rendered, usually one of a profile."""

    kind = Code.BAD_TEMPLATE


class Renderer:
    """Renders messages. A template in `directories` overrides ours; the first directory wins."""

    def __init__(self, directories: Sequence[Path] = ()) -> None:
        # Only `.html` is escaped: in plain text people would read `&amp;`.
        self._environment = Environment(
            loader=FileSystemLoader([*map(str, directories), str(TEMPLATES)]),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters["day"] = _day
        self._environment.filters["line"] = one_line
        self._environment.filters["word"] = quote  # for a word of a shell command

    def render(self, template: str, facts: Mapping[str, JsonValue]) -> EmailText:
        """Return the texts of a message. Raises BadTemplate."""
        try:
            plain = self._environment.get_template(f"{template}.txt").make_module(dict(facts))
            html = self._environment.get_template(f"{template}.html").render(dict(facts))
            subject = one_line(str(getattr(plain, "subject", "")))
        except (TemplateError, TypeError, ValueError, OSError) as error:
            raise BadTemplate(
                f"the template {template} cannot be rendered: {error}",
                hint="to see what templates may use: seatctl help notifications",
                data={"template": template},
            ) from error
        if not subject:
            raise BadTemplate(
                f"the template {template}.txt does not set subject", data={"template": template}
            )
        return EmailText(subject, str(plain).strip() + "\n", html)


def _day(moment: str | None) -> str:
    """Return the date, `2026-01-31`, of a time in the written form."""
    return (moment or "")[:10]


@dataclass(frozen=True, slots=True)
class MailSetup:
    """The server, the templates, and how many days an activation code is valid."""

    server: MailServer
    texts: Renderer
    activation_days: int
