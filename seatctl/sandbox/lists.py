"""List endpoints: filters, cursors, page sizes, `has_more`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from seatctl.sandbox.errors import invalid, no_such
from seatctl.sandbox.objects import Obj, list_object
from seatctl.sandbox.session import Session, noun_for
from seatctl.sandbox.store import PARENTS


def page_size(params: Obj) -> int:
    """Return the page size: 10 by default, between 1 and 100. Other values are not refused."""
    return min(max(int(params.get("limit", 10)), 1), 100)


def check_ids(session: Session, params: Obj, *kinds: str) -> None:
    """Refuse the id of an unknown or deleted object, if a parameter with the name of its kind has one."""
    for kind in kinds:
        if params.get(kind):
            session.find(kind, params[kind], kind)


def page_of(
    session: Session,
    kind: str,
    params: Obj,
    url: str,
    *,
    filters: Sequence[str] = (),
    is_match: Callable[[Obj], bool] | None = None,
    oldest_first: bool = False,
) -> Obj:
    """Return one page of the objects of a kind, newest first unless `oldest_first`.

    The objects are those of the customer and of the parent that a request names. `filters` name the other
    parameters that must match (sandbox/api/routes.py); `is_match` decides what they cannot say. The cursor
    may be a deleted object.
    """
    limit = page_size(params)
    after, before, backwards = _bounds(session, kind, params, noun_for(kind), oldest_first=oldest_first)
    objects = session.store.walk(
        kind,
        customer=params.get("customer"),
        parent=params.get(PARENTS.get(kind, "")),
        after=after,
        before=before,
        created=_created(params.get("created")),
        oldest_first=oldest_first != backwards,
    )
    if params.get("test_clock"):
        session.find("test_helpers.test_clock", params["test_clock"], "test_clock")
    on_clocks = session.store.on_clocks()
    matching = (
        obj
        for obj in objects
        if _matches(obj, params, filters)
        and (is_match is None or is_match(obj))
        and _is_on_clock(obj, params, on_clocks)
    )
    rows = list(islice(matching, limit + 1))
    shown = rows[:limit]
    if backwards:
        shown.reverse()
    return list_object([session.view(obj) for obj in shown], url, has_more=len(rows) > limit)


def _is_on_clock(obj: Obj, params: Obj, on_clocks: dict[str, str]) -> bool:
    """Whether an object is on the test clock that a request names, or on none if it names no owner either."""
    of_clock = on_clocks.get(obj["id"] if obj["object"] == "customer" else obj.get("customer", ""))
    if "test_clock" in params:
        return bool(of_clock == params["test_clock"])
    return of_clock is None or "customer" in params or PARENTS.get(obj["object"], "") in params


def _bounds(
    session: Session, kind: str, params: Obj, noun: str, *, oldest_first: bool
) -> tuple[int | None, int | None, bool]:
    if "starting_after" in params and "ending_before" in params:
        message = "Received both starting_after and ending_before parameters. Please pass in only one."
        raise invalid(message)
    for name in ("starting_after", "ending_before"):
        if name in params:
            position = session.store.position(kind, params[name])
            if position is None:
                raise no_such(noun, params[name], name)
            backwards = name == "ending_before"
            upwards = backwards != oldest_first
            return (position, None, backwards) if upwards else (None, position, backwards)
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
    """Whether a moment lies within a range filter such as `due_date[lte]`."""
    if value is None:
        return True
    if moment is None:
        return False
    first, last = _created(value)
    return (first is None or moment >= first) and (last is None or moment <= last)


def _matches(obj: Obj, params: Obj, filters: Sequence[str]) -> bool:
    """Whether the object's fields match the parameters that `filters` name, as far as those were sent."""
    for text in filters:
        name, _, path = text.lstrip("!~").partition("=")
        if name in params and not text.startswith("!"):
            value, sent = _at_path(obj, path or name), params[name]
            same = value.lower() == sent.lower() if text.startswith("~") else _is_match(value, sent)
            if not same:
                return False
    return True


def _at_path(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name)
    return value


def _is_match(value: Any, sent: Any) -> bool:
    """Whether a field has the value that was sent, is one of a list, or lies within a range."""
    if isinstance(sent, list):
        return value in sent
    if isinstance(sent, dict) and isinstance(value, dict):
        return all(_is_match(value.get(name), below) for name, below in sent.items())
    return in_range(value, sent) if isinstance(sent, dict) else bool(value == sent)


def page_of_entries(data: list[Obj], params: Obj, url: str, noun: str) -> Obj:
    """Return one page of a list that is embedded in an object, in the order of that list."""
    limit = page_size(params)
    positions = {entry["id"]: position for position, entry in enumerate(data)}
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in positions:
            raise no_such(noun, params[name], name)
    if "ending_before" in params:
        end = positions[params["ending_before"]]
        return list_object(data[max(0, end - limit) : end], url, has_more=end > limit)
    start = positions[params["starting_after"]] + 1 if "starting_after" in params else 0
    return list_object(data[start : start + limit], url, has_more=len(data) > start + limit)
