"""Requests for seats: creation, decisions, the waitlist, and lists. The rules are in `rules/approval.py`.

Requests that are closed without a decision are in `request_closures.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from seatctl.errors import Code, JsonValue, NotFound
from seatctl.ledger import change_rows
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.locks import NUMBERED, OPEN, WAITS
from seatctl.ledger.row_values import json_list, mapper, record
from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_text
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.rules.approval import AUTOMATIC

IS_OPEN = f"status IN {OPEN}"

# Reads never write: an overdue request reads as expired, and one whose subscription has ended as denied,
# although only the next transaction records that.
_STATUS = (
    f"CASE WHEN NOT r.{IS_OPEN} THEN r.status WHEN r.expires_at <= :now"
    # EXISTS, as PostgreSQL reads the whole of a set that IN names before the first row.
    " THEN 'expired' WHEN EXISTS (SELECT 1 FROM subscriptions ended WHERE ended.id = r.subscription_id"
    f" AND ended.{HAS_ENDED}) THEN 'denied' ELSE r.status END"
)
_SELECT = f"""SELECT r.number, r.user_id, u.email, r.subscription_id, s.name AS subscription,
    {_STATUS} AS status, r.priority, r.note, r.created_at, r.expires_at, r.decided_by, r.decided_at,
    r.reason, r.features
    FROM requests r JOIN users u ON u.id = r.user_id LEFT JOIN subscriptions s ON s.id = r.subscription_id"""
_PLACES = """SELECT number, row_number() OVER (PARTITION BY subscription_id
    ORDER BY priority DESC, waitlisted_at, number) AS place FROM requests
    WHERE status = 'waitlisted' AND (expires_at IS NULL OR expires_at > :now)"""
"""Places on the waitlist. Each subscription has one, and the requests for any subscription have another."""


class UnknownRequest(NotFound):
    """There is no request with this number."""

    kind = Code.UNKNOWN_REQUEST


@dataclass(frozen=True, slots=True)
class NewRequest:
    """The values of a new request. `subscription_id` None: any subscription with `features`. Times in UTC."""

    user_id: int
    subscription_id: int | None
    priority: int = 0
    note: str | None = None
    expires_at: datetime | None = None
    features: tuple[str, ...] = ()


def add(tx: Transaction, new: NewRequest) -> SeatRequest:
    """Insert and record a pending request. The user must have no open request for the same subscription."""
    tx.engine.insert_later(
        "requests",
        {
            "user_id": new.user_id,
            "subscription_id": new.subscription_id,
            "features": json_list(new.features),
            "status": RequestStatus.PENDING.value,
            "priority": new.priority,
            "note": new.note,
            "created_at": tx.now,
            "expires_at": optional_text(new.expires_at),
        },
        lambda _: None,
    )
    tx.may_have_open = True
    # Found in the same round trip in which it is inserted.
    request = open_of(tx, new.user_id, new.subscription_id, tx.call.now)
    if request is None:
        raise LookupError(f"the new request of user {new.user_id} is not open")
    content = change_rows.request()
    select = f"SELECT number AS entity_id, NULL AS before, {content} AS after FROM requests WHERE number = :n"
    tx.record_row("request", select, {"n": request.number})
    return request


def find(reader: Reader, number: int, now: datetime) -> SeatRequest:
    """Return the request with this number, as of `now` (UTC). Raises UnknownRequest."""
    row = reader.row(f"{_SELECT} WHERE r.number = :number", {"number": number, "now": format_time(now)})
    if row is None:
        raise UnknownRequest(
            f"there is no request {number}", hint="seatctl requests list", data={"request": number}
        )
    return _request(row)


def open_of(reader: Reader, user_id: int, subscription_id: int | None, now: datetime) -> SeatRequest | None:
    """Return the open request of a user for a subscription (None: for any subscription), or None."""
    row = reader.row(
        f"{_SELECT} WHERE r.user_id = :user AND coalesce(r.subscription_id, 0) = :subscription"
        f" AND r.{IS_OPEN} AND (r.expires_at IS NULL OR r.expires_at > :now)",
        {"user": user_id, "subscription": subscription_id or 0, "now": format_time(now)},
    )
    return None if row is None else _request(row)


def open_of_user(reader: Reader, user_id: int, now: datetime) -> list[dict[str, JsonValue]]:
    """Return the user's open requests at `now` (UTC): number, subscription (None: any), status, created."""
    rows = reader.rows(
        "SELECT r.number, p.name AS subscription, r.status, r.created_at FROM requests AS r"
        " LEFT JOIN subscriptions AS p ON p.id = r.subscription_id"
        f" WHERE r.user_id = ? AND r.{IS_OPEN}"
        " AND (r.expires_at IS NULL OR r.expires_at > ?) ORDER BY r.number",
        (user_id, format_time(now)),
    )
    return [*map(record, rows)]


_DECIDED = {
    "decided_at": "CASE WHEN :by IS NULL THEN coalesce(decided_at, :now) ELSE :now END",
    "decided_by": "coalesce(:by, decided_by)",
    "reason": "coalesce(:reason, reason)",
    "status": ":status",
    "subscription_id": "coalesce(subscription_id, :subscription)",
    "waitlisted_at": "CASE WHEN :waiting = 1 THEN coalesce(waitlisted_at, :since) ELSE waitlisted_at END",
}
"""The columns that a decision changes, with their new values."""


def decide(
    tx: Transaction,
    number: int,
    status: RequestStatus,
    *,
    by: str | None = None,
    reason: str | None = None,
    subscription_id: int | None = None,
) -> None:
    """Change the status of an open request; `subscription_id` is for a request for any subscription.

    With `by` None the earlier decision keeps its actor and time: a seat that is assigned later from the
    waitlist is not a new decision.
    """
    waiting = status is RequestStatus.WAITLISTED
    tx.may_wait = tx.may_wait or waiting
    params: dict[str, SqlValue] = {
        "status": status.value,
        "by": by,
        "now": tx.now,
        "since": _end_of_waitlist(tx) if waiting else tx.now,
        "reason": reason,
        "subscription": subscription_id,
        "waiting": int(waiting),
        "number": number,
    }
    before, after = change_rows.request(), change_rows.request(**_DECIDED)
    decided = f"SELECT number AS entity_id, {before} AS before, {after} AS after FROM requests"
    tx.record_row("request", f"{decided} WHERE number = :number", params)
    assignments = ", ".join(f"{column} = {value}" for column, value in _DECIDED.items())
    tx.execute(f"UPDATE requests SET {assignments} WHERE number = :number", params)


def _end_of_waitlist(tx: Transaction) -> str:
    """Return the time to store for a request that joins the waitlist: now, or that of the last one if later.

    A process that read its clock earlier but got the lock later must not take a place that was promised
    already.
    """
    last = tx.value("SELECT max(waitlisted_at) FROM requests WHERE status = 'waitlisted'")
    return max(tx.now, str(last or ""))


def waiting(reader: Reader, subscription_id: int) -> Iterator[SeatRequest]:
    """Return waitlisted requests for the subscription or for any, by priority and time."""
    rows = reader.rows(
        f"{_SELECT} WHERE r.status = 'waitlisted' AND u.status = 'active'"
        " AND (r.subscription_id = :subscription OR r.subscription_id IS NULL)"
        " ORDER BY r.priority DESC, r.waitlisted_at, r.number",
        {"subscription": subscription_id, "now": ""},
    )
    return map(_request, rows)


def are_for_any(reader: Reader, numbers: Sequence[int]) -> bool:
    """Return whether one of these requests is for any subscription."""
    found = f"requests WHERE {NUMBERED} AND subscription_id IS NULL"
    return reader.exists(found, {"numbers": json.dumps(list(numbers))})


def anybody_waits(reader: Reader) -> bool:
    """Return whether any request is waitlisted."""
    return reader.exists(WAITS)


def place(reader: Reader, number: int, now: datetime) -> int | None:
    """Return the place of a request on its waitlist at `now` (UTC), from 1; None if it is not on one."""
    params: dict[str, SqlValue] = {"number": number, "now": format_time(now)}
    if not reader.engine.rights.reads_everything:
        return reader.number("SELECT place_on_waitlist(:number, :now)", params) or None
    return reader.number(
        f"SELECT place FROM ({_PLACES} AND subscription_id IS NOT DISTINCT FROM"
        " (SELECT subscription_id FROM requests WHERE number = :number)) AS waiting WHERE number = :number",
        params,
    )


def places(reader: Reader, now: datetime) -> dict[int, int]:
    """Return the place of every waitlisted request at `now` (UTC), by number: for lists."""
    query = _PLACES
    if not reader.engine.rights.reads_everything:  # the other requests are hidden, but count
        query = f"SELECT number, place_on_waitlist(number, :now) AS place FROM {WAITS}"
    return {row["number"]: row["place"] for row in reader.rows(query, {"now": format_time(now)})}


def approved_automatically(reader: Reader, subscription_id: int, day: datetime) -> int:
    """Return how many requests were approved automatically on that day (UTC), including waitlisted ones."""
    return reader.count(
        "SELECT count(*) FROM requests WHERE subscription_id = ? AND status IN ('approved', 'waitlisted')"
        " AND decided_by = ? AND decided_at >= ?",
        (subscription_id, AUTOMATIC, f"{day:%Y-%m-%d}T00:00:00Z"),
    )


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests to list, as of `now` in the written form."""

    now: str
    subscription_id: int | None = None
    user_id: int | None = None
    status: RequestStatus | None = None
    undecided: bool = False
    """Only requests that wait for a decision or a seat."""
    newest_first: bool = False

    def where(self) -> tuple[str, dict[str, SqlValue]]:
        """Return the WHERE clause on `requests AS r`."""
        params: dict[str, SqlValue] = {
            "now": self.now,
            "subscription": self.subscription_id,
            "user": self.user_id,
            "status": None if self.status is None else self.status.value,
        }
        undecided = (f"r.{IS_OPEN}", f"{_STATUS} IN {OPEN}") if self.undecided else ()
        clause = where(
            params,
            *undecided,
            subscription="r.subscription_id = :subscription",
            user="r.user_id = :user",
            status=f"{_STATUS} = :status",
        )
        return clause, params


def listing(reader: Reader, selection: RequestFilter) -> Iterator[SeatRequest]:
    """Return requests by number."""
    clause, params = selection.where()
    order = "r.number DESC" if selection.newest_first else "r.number"
    return map(_request, reader.stream(f"{_SELECT}{clause} ORDER BY {order}", params))


def count(reader: Reader, selection: RequestFilter) -> int:
    """Return how many requests `listing` yields."""
    clause, params = selection.where()
    return reader.count(f"SELECT count(*) FROM requests r{clause}", params)


_request = mapper(SeatRequest)
