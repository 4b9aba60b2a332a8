"""The URL of a ledger on a PostgreSQL server. Its password is in `secret` only; people see `shown`.

The form is libpq's: `postgresql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?KEY=VALUE&…`. Every part after
the scheme is optional.
"""

from __future__ import annotations

import re

from seatctl.errors import BadInput, Code

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_OURS = frozenset(("postgresql", "postgres"))
_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:/?,@\[\]]*)(?::[0-9]*)?"
# libpq ends the user and password at the first @ that no / precedes. With a second @, or one behind a /, an
# unescaped password was cut short, and its rest would be shown as the name of a host or a database.
_URL = re.compile(
    rf"(?:(?P<user>[^\s@/:]*)(?::(?P<password>[^\s@/]*))?@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"
    r"(?:/(?P<database>[^\s?@]*))?(?:\?(?P<query>\S*))?"
)
_SECRET = frozenset(("oauth_client_secret", "scram_client_key", "scram_server_key"))
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


class BadLedgerUrl(BadInput):
    """The text is a URL, but not that of a PostgreSQL database. The message does not repeat it."""

    kind = Code.BAD_LEDGER_URL


class ServerUrl:
    """A parsed URL."""

    __slots__ = ("has_secret", "secret", "shown")

    def __init__(self, text: str) -> None:
        """Parse the URL. Raises BadLedgerUrl."""
        self.secret = text
        """The whole URL, for libpq only."""
        found = _SCHEME.match(text)
        if found is None or found[1].lower() not in _OURS:
            raise BadLedgerUrl(
                "a ledger is a file or a PostgreSQL database, not another kind of URL",
                hint="write postgresql://USER@HOST/DATABASE",
            )
        parts = _URL.fullmatch(text, found.end())
        if parts is None or _BAD_ESCAPE.search(text) or not text.isprintable() or found[1] not in _OURS:
            raise _malformed()
        params = [pair.partition("=") for pair in (parts["query"] or "").split("&") if pair]
        if any(not re.fullmatch(r"\w+", key) or not is_given for key, is_given, _ in params):
            raise _malformed()
        self.has_secret = bool(parts["password"]) or any(_is_secret(key) for key, _, _ in params)
        shown = "&".join(f"{key}={value}" for key, _, value in params if not _is_secret(key))
        self.shown = "".join(
            (
                "postgresql://",
                f"{parts['user']}@" if parts["user"] else "",
                parts["hosts"],
                f"/{parts['database']}" if parts["database"] else "",
                f"?{shown}" if shown else "",
            )
        )
        """The URL without secrets, for people."""

    def __repr__(self) -> str:
        return f"ServerUrl({self.shown})"

    def __str__(self) -> str:
        return self.shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerUrl) and other.secret == self.secret

    def __hash__(self) -> int:
        return hash(self.secret)


def is_url(text: str) -> bool:
    """Return whether the text names a ledger by a URL, not by a path."""
    return _SCHEME.match(text) is not None


def hidden(text: str) -> str:
    """Return one word of a command line with the secrets of a URL of PostgreSQL in it removed."""
    start = re.search(r"postgres(?:ql)?(?:\+\w+)?://", text, re.IGNORECASE)
    if start is None:
        return text
    before, url = text[: start.start()], text[start.start() :]
    try:
        parsed = ServerUrl(url)
        return before + parsed.shown if parsed.has_secret else text
    except BadLedgerUrl:  # which of its characters belong to the password is not certain
        return f"{before}{start[0]}…"


def _malformed() -> BadLedgerUrl:
    return BadLedgerUrl(
        "the URL of the ledger is not well-formed",
        hint="write postgresql://USER:PASSWORD@HOST/DATABASE; in the password, @ is %40, / is %2F, % is %25",
    )


def _is_secret(key: str) -> bool:
    return key in _SECRET or key.endswith("password")
