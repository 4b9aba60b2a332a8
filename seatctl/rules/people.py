"""Checks the values of a row about a person, before anything is written.

A row of a file (seatctl/input/tables.py) or an address typed as an argument becomes an `PersonRow`, which
`ledger/incoming/staging.py` stores. Checks against the ledger are done there, in SQL.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.call import format_time
from seatctl.rules.emails import check_email, email_key, is_plain_email

FIELDS = ("email", "name", "group", "last_active", "until")
"""The columns that a file of people may have, in the order in which their values are read."""

USER_FIELDS = FIELDS[:-1]
"""The columns about a person; `until` is about a seat."""

MAX_TEXT = 200
"""Longest name or group, in characters: a longer text is a shifted column, not a name."""


class PersonRow(NamedTuple):
    """A row ready for staging. `line` is the line in the file, or the position of an argument (from 1).

    Missing values are None. Times have their stored form. `problem` says what is wrong with the values, or is
    None.
    """

    line: int
    email: str
    email_key: str | None
    name: str | None
    group: str | None
    last_active: str | None
    until: str | None
    problem: str | None


def checked_rows(rows: Iterable[tuple[int, tuple[str, ...], str | None]]) -> Iterator[PersonRow]:
    """Yield the rows of a file with the columns FIELDS or USER_FIELDS, checked; a bad one keeps its line."""
    for line, values, problem in rows:
        if problem is None:
            yield checked_row(line, values)
        else:
            email = storable(values[0]) if values else ""
            yield PersonRow(line, email, None, None, None, None, None, problem)


def checked_row(line: int, values: tuple[str, ...]) -> PersonRow:
    """Return a row with the columns FIELDS or USER_FIELDS, checked, with any problem."""
    return _plain(line, values) or _checked(line, values)


def _plain(line: int, values: tuple[str, ...]) -> PersonRow | None:
    """Return a row of plain ASCII without problems, in half the time; None leaves the row to `_checked`."""
    email, name, group, last_active, until = values if len(values) == len(FIELDS) else (*values, "")
    text = name + group
    if not (is_plain_email(email) and text.isascii() and text.isprintable() and len(text) <= MAX_TEXT):
        return None
    try:
        active = parse_moment(last_active) if last_active else None
        end = parse_moment(until, end_of_day=True) if until else None
    except ValueError:
        return None
    # `_make` bypasses the named tuple's constructor, which costs as much as the checks.
    return PersonRow._make((line, email, email.lower(), name or None, group or None, active, end, None))


def _checked(line: int, values: tuple[str, ...]) -> PersonRow:
    email, name, group, last_active, until = (*values, "")[:5]
    problems = []
    if wrong := check_email(email):
        problems.append(f"not an e-mail address: {wrong}" if email else "the e-mail is missing")
    for text, what in ((name, "name"), (group, "group")):
        if not (text.isascii() and text.isprintable() and len(text) <= MAX_TEXT) and (
            wrong := check_text(text, what)
        ):
            problems.append(wrong)
    if last_active or until:
        last_active, until = _moments(last_active, until, problems)
    return PersonRow(
        line,
        storable(email),
        None if problems else email_key(email),
        storable(name) or None,
        storable(group) or None,
        last_active or None,
        until or None,
        "; ".join(problems) or None,
    )


def _moments(last_active: str, until: str, problems: list[str]) -> tuple[str, str]:
    """Return both times in their stored form; add to `problems` those that are not times."""
    written = []
    for text, what, end_of_day in ((last_active, "last_active", False), (until, "until", True)):
        try:
            written.append(parse_moment(text, end_of_day=end_of_day) if text else "")
        except ValueError as error:
            problems.append(f"{what}: {error}")
            written.append("")
    return written[0], written[1]


def typed(emails: Iterable[str], until: str | None = None) -> Iterator[PersonRow]:
    """Yield addresses typed as arguments, checked like rows of a file; `until` in its stored form."""
    for position, text in enumerate(emails, start=1):
        email = nfc(text.strip())
        wrong = check_email(email)
        problem = f"not an e-mail address: {wrong}" if wrong else None
        yield PersonRow(position, email, email_key(email), None, None, None, until, problem)


def checked_email(text: str) -> str:
    """Return an address typed as an argument in its stored form: NFC, stripped. Raises `bad_email`."""
    email = text.strip()
    if wrong := check_email(email):
        raise refuse(
            Code.BAD_EMAIL,
            f"{text!r} is not an e-mail address: {wrong}",
            hint="write an address as NAME@DOMAIN",
            data={"email": text},
        )
    return nfc(email)


def checked_emails(texts: Sequence[str]) -> list[str]:
    """Return typed addresses in their stored form. Raises `bad_email`, which names every bad one."""
    bad = [(text, wrong) for text in texts if (wrong := check_email(text.strip()))]
    if len(bad) > 1:
        rows: list[JsonValue] = [
            {"email": text, "error": f"not an e-mail address: {wrong}"} for text, wrong in bad
        ]
        raise refuse(
            Code.BAD_EMAIL,
            f"{len(bad):,} of {len(texts):,} are not e-mail addresses; nothing was changed",
            hint="write an address as NAME@DOMAIN",
            data={"rows": rows},
        )
    return [checked_email(text) for text in texts]


def checked_text(text: str | None, what: str) -> str | None:
    """Return a typed name or group in its stored form; None if nothing is given. Raises `bad_text`."""
    if text is None or not text.strip():
        return None
    if wrong := check_text(text.strip(), what):
        raise refuse(
            Code.BAD_TEXT,
            f"{text[:80]!r}: {wrong}",
            hint=f"give a {what} of one line and at most {MAX_TEXT} characters",
            data={what: text},
        )
    return nfc(text.strip())


def storable(text: str) -> str:
    """Return a text of a file as it can be stored: composed, and without NUL, which no server stores.

    Only a bad row can have a NUL; it is still listed.
    """
    return nfc(text.replace("\0", "\ufffd"))


def nfc(text: str) -> str:
    """Return the text in Unicode's composed form, so that a search finds what looks the same."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def check_text(text: str, what: str) -> str | None:
    """Return what is wrong with a name or a group, or None: too long, or an invisible character."""
    if len(text) > MAX_TEXT:
        return f"the {what} is longer than {MAX_TEXT} characters"
    if not text.isprintable() and any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text
    ):
        return f"the {what} has a line break or a control character"
    return None


@lru_cache(maxsize=1024)  # a file of 100,000 people has few dates, and parsing one takes as long as the rest
def parse_moment(text: str, *, end_of_day: bool = False) -> str:
    """Return a date or an ISO 8601 time in the stored form of UTC. Raises ValueError for anything else.

    A time without a zone is UTC. A date is its first second, or with `end_of_day` its last: a seat "until 31
    January" is still assigned on the 31st.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a date (2027-01-31) nor a time (2027-01-31T09:00:00Z)"
        ) from None
    if end_of_day and len(text) <= len("2027-01-31"):
        moment = datetime.combine(moment, time(23, 59, 59))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return format_time(moment)
    except (OverflowError, ValueError):
        raise ValueError(f"{text!r} is outside of the years 1 to 9999") from None
