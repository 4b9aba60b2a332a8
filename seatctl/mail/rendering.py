"""Texts from Jinja2 templates: the ones beside this file, or a profile's own. The one module with jinja2.

`NAME.txt` sets `subject` and is the plain text; `NAME.html` is the same as HTML, where every value is
escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from seatctl.errors import BadInput, Code, JsonValue
from seatctl.mail.email import EmailText, one_line

TEMPLATES = Path(__file__).parent / "templates"


class BadTemplate(BadInput):
    """A template cannot be used: one that a profile has put in place of ours."""

    kind = Code.BAD_TEMPLATE


class Renderer:
    """Renders messages; templates in `directories` come before ours, the first one found counts."""

    def __init__(self, directories: Sequence[Path] = ()) -> None:
        # Plain text is not HTML: escaping there would show `&amp;` to people. `.html` is always escaped.
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
        self._environment.filters["word"] = quote  # of a command to type

    def render(self, template: str, facts: Mapping[str, JsonValue]) -> EmailText:
        """The texts of a message. Raises BadTemplate."""
        try:
            plain = self._environment.get_template(f"{template}.txt").make_module(dict(facts))
            html = self._environment.get_template(f"{template}.html").render(dict(facts))
            subject = one_line(str(getattr(plain, "subject", "")))
        except (TemplateError, TypeError, ValueError, OSError) as error:
            raise BadTemplate(
                f"the template {template} cannot be used: {error}",
                hint="for what a template is given: seatctl help notifications",
                data={"template": template},
            ) from error
        if not subject:
            raise BadTemplate(f"the template {template}.txt sets no subject", data={"template": template})
        return EmailText(subject, str(plain).strip() + "\n", html)


def _day(moment: str | None) -> str:
    """`2026-01-31` of a time in the written form."""
    return (moment or "")[:10]
