"""List endpoints: filters, cursors, limits, `has_more`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from seatctl.sandbox.errors import invalid, no_such
from seatctl.sandbox.objects import Obj, list_object
from seatctl.sandbox.session import Session, noun_for
from seatctl.sandbox.views import view

Keep = Callable[[Obj], bool]


def page_size(params: Obj) -> int:
    """The page size: 10 by default, 0 means 1 and more than 100 means 100, silently."""
    return min(max(int(params.get("limit", 10)), 1), 100)


def check_customer(session: Session, params: Obj) -> None:
    """A list filtered by a deleted or unknown customer is refused."""
    if params.get("customer"):
        session.find("customer", params["customer"], "customer")


def page_of(
    session: Session,
    kind: str,
    params: Obj,
    url: str,
    *,
    noun: str | None = None,
    parent: str | None = None,
    keep: Keep | None = None,
    oldest_first: bool = False,
) -> Obj:
    """One page, newest first (or oldest first); the cursor may be a deleted object."""
    limit = page_size(params)
    after, before, backwards = _bounds(
        session, kind, params, noun or noun_for(kind), oldest_first=oldest_first
    )
    found = session.store.walk(
        kind,
        customer=params.get("customer"),
        parent=parent,
        after=after,
        before=before,
        created=_created(params.get("created")),
        oldest_first=oldest_first != backwards,
    )
    rows = list(islice((obj for obj in found if keep is None or keep(obj)), limit + 1))
    chosen = rows[:limit]
    if backwards:
        chosen.reverse()
    return list_object([view(session, obj) for obj in chosen], url, has_more=len(rows) > limit)


def _bounds(
    session: Session, kind: str, params: Obj, noun: str, *, oldest_first: bool
) -> tuple[int | None, int | None, bool]:
    if "starting_after" in params and "ending_before" in params:
        message = "Received both starting_after and ending_before parameters. Please pass in only one."
        raise invalid(message)
    for name in ("starting_after", "ending_before"):
        if name in params:
            place = session.store.position(kind, params[name])
            if place is None:
                raise no_such(noun, params[name], name)
            backwards = name == "ending_before"
            upwards = backwards != oldest_first
            return (place, None, backwards) if upwards else (None, place, backwards)
    return None, None, False


def _created(value: Any) -> tuple[int | None, int | None]:
    if value is None:
        return None, None
    if isinstance(value, int):
        return value, value
    first, last = value.get("gte"), value.get("lte")
    if "gt" in value:
        first = max(first or 0, value["gt"] + 1)
    if "lt" in value:
        last = value["lt"] - 1 if last is None else min(last, value["lt"] - 1)
    return first, last


def in_range(moment: int | None, value: Any) -> bool:
    """Whether a time lies within a range filter such as `due_date[lte]`."""
    if value is None:
        return True
    if moment is None:
        return False
    first, last = _created(value)
    return (first is None or moment >= first) and (last is None or moment <= last)


def matches(obj: Obj, params: Obj, *names: str) -> bool:
    """Whether the object has the value sent for each of these filters."""
    return all(obj.get(name) == params[name] for name in names if name in params)


def page_of_entries(data: list[Obj], params: Obj, url: str, noun: str) -> Obj:
    """One page of a list that lives inside an object, in its own order."""
    limit = page_size(params)
    places = {entry["id"]: place for place, entry in enumerate(data)}
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in places:
            raise no_such(noun, params[name], name)
    if "ending_before" in params:
        end = places[params["ending_before"]]
        return list_object(data[max(0, end - limit) : end], url, has_more=end > limit)
    start = places[params["starting_after"]] + 1 if "starting_after" in params else 0
    return list_object(data[start : start + limit], url, has_more=len(data) > start + limit)
