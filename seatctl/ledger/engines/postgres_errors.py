"""What errors of PostgreSQL mean. The texts of libpq name host and user, never a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse
from seatctl.ledger.failures import (
    LedgerBusy,
    LedgerConflict,
    LedgerLost,
    LedgerUnreachable,
    no_database,
    no_ledger,
)
from seatctl.models.ledger_url import BadLedgerUrl

if TYPE_CHECKING:
    from psycopg import Error

AGAIN = "run the same command again"

_CONFLICTS = frozenset(("40001", "40P01", "23505", "42P06", "42P07"))
"""Serialization failure, deadlock, and a row, schema or table that another client has created first."""
_STOPPED = frozenset(("57P01", "57P02", "57P05", "25P03", "25P04"))
"""The server ended the connection: it stops, it crashed, or a time limit of the server has passed."""
_NO_SCHEMA = frozenset(("42P01", "3F000"))
_BAD_OPTION = (
    "unrecognized configuration parameter",
    "invalid value for parameter",
    "outside the valid range",
)
"""The server refuses a setting in `options`, and would do so at the next try."""
_NO_ENTRY = (
    "password authentication failed",
    "no password supplied",
    "authentication failed",
    "pg_hba.conf",
    "is not permitted to log in",
    "connection requires a valid client certificate",
)
"""libpq gives no code for an error before the connection is made."""
_TRIED = "connection to server"
"""libpq writes this for each address that it has tried to connect to."""
_NO_TLS = "server does not support SSL"
_OTHER_NAME = "does not match host name"
_NO_TRUST = (
    _NO_TLS,
    _OTHER_NAME,
    "certificate verify failed",
    "root certificate file",
    "alert unknown ca",
    "alert certificate",
    "could not read certificate file",
    "private key file",
)
"""A problem with a certificate, of the server or of the client: another attempt does not remove it."""


def is_lost(error: Error) -> bool:
    """Return whether the error means that the connection is gone, without an answer."""
    from psycopg import OperationalError

    state = error.sqlstate
    if state is None:
        return isinstance(error, OperationalError)
    return state in _STOPPED or state.startswith("08")


def is_passing(error: Error) -> bool:
    """Return whether the same connection may succeed in a moment: the server starts or fails over."""
    text = _text(error)
    final = (
        _is_missing_database(text),
        _is_refusal(text),
        _is_untrusted(text),
        _is_misconfigured(error, text),
    )
    return not any(final)


def _text(error: Error) -> str:
    return " ".join(str(error).split())


def _is_missing_database(text: str) -> bool:
    return "database " in text and "does not exist" in text


def _is_refusal(text: str) -> bool:
    return ("role " in text and "does not exist" in text) or any(part in text for part in _NO_ENTRY)


def _is_untrusted(text: str) -> bool:
    return any(part in text for part in _NO_TRUST)


def _is_misconfigured(error: Error, text: str) -> bool:
    """Return whether the parameters of the connection make no sense, to libpq or to the server."""
    from psycopg import ProgrammingError

    never_tried = text.startswith(("connection is bad: ", "could not match ")) and _TRIED not in text
    refused = any(part in text for part in _BAD_OPTION)
    return never_tried or refused or isinstance(error, ProgrammingError)


def not_connected(error: Error, place: str) -> Exception:
    """Return the refusal for a connection that could not be made."""
    text = _text(error)
    if _is_misconfigured(error, text):
        return BadLedgerUrl(
            f"the parameters of the connection to {place} are wrong: {text}",
            hint="correct the URL, the PG… variables, or the service file that PGSERVICEFILE names",
        )
    if _is_untrusted(text):
        return refuse(
            Code.SERVER_NOT_TRUSTED,
            f"cannot connect securely to the server of {place}: {text}",
            hint=_way_to_trust(text),
        )
    if _is_missing_database(text):
        return no_database(place)
    if _is_refusal(text):
        return refuse(
            Code.LEDGER_REFUSED,
            f"the server of {place} does not let this user in: {text}",
            hint="check the user in the URL, and its password in PGPASSFILE or PGPASSWORD",
        )
    return LedgerUnreachable(f"the server of {place} cannot be reached: {text}", hint=AGAIN)


def _way_to_trust(text: str) -> str:
    if _NO_TLS in text:
        return "turn on TLS in the server (ssl = on), or connect to localhost through an encrypted tunnel"
    if _OTHER_NAME in text:
        return "write the host in the URL as the server's certificate has it"
    if "private key file" in text or "read certificate file" in text:
        return "correct sslcert and sslkey; only you may read the key: chmod 600 FILE"
    return "in sslrootcert, name the file of the CA that signed the certificate, or system for a public CA"


def translated(error: Error, place: str, *, opening: bool = False, committed: bool = False) -> Exception:
    """Return the refusal for an error of a statement; one that can only be a bug is returned as it is.

    `opening`: nothing has been read from the ledger yet. `committed`: something has been changed already.
    """
    state, text = error.sqlstate or "", _text(error)
    unchanged = "the rest was not done" if committed else "nothing was changed"
    if is_lost(error):
        return LedgerLost(f"the connection to {place} was lost: {text}; {unchanged}", hint=AGAIN)
    if state == "53100":
        full = f"the disk of {place} is full; {unchanged}"
        return refuse(Code.DISK_FULL, full, hint="free some disk space")
    if opening and state in _NO_SCHEMA:
        return no_ledger(place)
    return _others_write(state, place, text) or _not_possible(error, place, text) or error


def _others_write(state: str, place: str, text: str) -> Exception | None:
    """Return the refusal if another client was in the way, else None."""
    if state in _CONFLICTS or "no_seats_left" in text:
        return LedgerConflict(f"another client changed the same rows of {place}", hint=AGAIN)
    if state == "55P03":
        return LedgerBusy(f"another client is writing to {place}", hint=AGAIN)
    return None


def _not_possible(error: Error, place: str, text: str) -> Exception | None:
    """Return the refusal if the user may not do this or the server cannot, else None."""
    state = error.sqlstate or ""
    if state == "42501":
        return refuse(
            Code.NOT_ALLOWED,
            f"the database user may not do this: {error.diag.message_primary or text}",
            hint="ask the owner of the ledger, who gets the SQL for it from: seatctl ledger grants --help",
        )
    if state == "25006":
        return refuse(
            Code.LEDGER_READ_ONLY,
            f"{place} cannot be written: {text}",
            hint="connect to the primary server: add target_session_attrs=read-write to the URL",
        )
    if state.startswith(("53", "57", "58")):
        return LedgerUnreachable(f"the server of {place} could not do it: {text}", hint=AGAIN)
    return None
