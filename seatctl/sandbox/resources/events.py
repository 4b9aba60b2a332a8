"""Events. As on Stripe, they can be read for 30 days."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from seatctl.sandbox.clock import DAY
from seatctl.sandbox.errors import no_such
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

_READABLE_FOR = 30 * DAY


def retrieve(session: Session, params: Obj, event: Obj) -> Obj:
    """GET /v1/events/ID."""
    if event["created"] < session.now - _READABLE_FOR:
        raise no_such("event", event["id"], "id", status=404)
    return event


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/events. `type` may end in `.*`; `types` names several types."""
    names = params.get("types") or ([params["type"]] if "type" in params else [])
    oldest = session.now - _READABLE_FOR

    def is_match(event: Any) -> bool:
        named = not names or any(fnmatchcase(event["type"], name) for name in names)
        return named and event["created"] >= oldest

    return page_of(session, "event", params, "/v1/events", is_match=is_match)
