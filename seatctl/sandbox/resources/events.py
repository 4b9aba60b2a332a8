"""Events, kept for 30 days as Stripe keeps them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from seatctl.sandbox.clock import DAY
from seatctl.sandbox.errors import no_such
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

KEPT = 30 * DAY


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/events/ID."""
    event = session.find("event", identifier, "id", status=404)
    if event["created"] < session.now - KEPT:
        raise no_such("event", identifier, "id", status=404)
    return event


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/events; `type` may end in `.*`, `types` names several."""
    names = params.get("types") or ([params["type"]] if "type" in params else [])
    oldest = session.now - KEPT

    def keep(event: Any) -> bool:
        named = not names or any(fnmatchcase(event["type"], name) for name in names)
        return named and event["created"] >= oldest

    return page_of(session, "event", params, "/v1/events", keep=keep)
