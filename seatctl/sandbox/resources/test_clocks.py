"""Test clocks: create, read, advance, delete."""

from __future__ import annotations

from seatctl.sandbox.clock import DAY
from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session
from seatctl.sandbox.test_clocks import KIND, delete_clock, require_ready, start_advance

_KEPT_FOR = 7 * DAY


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/test_helpers/test_clocks."""
    clock: Obj = session.new(
        KIND,
        new_id("clock"),
        deletes_after=session.now + _KEPT_FOR,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
        status="ready",
        status_details={},
    )
    return session.save_and_emit(clock, f"{KIND}.created")


def retrieve(session: Session, params: Obj, clock: Obj) -> Obj:
    """GET /v1/test_helpers/test_clocks/ID. Once a client has seen that it advances, it is soon ready."""
    if clock["status"] == "advancing":
        clock["_ready_at"] = session.now
        session.save(clock)
    return session.view(clock)


def advance(session: Session, params: Obj, clock: Obj) -> Obj:
    """POST /v1/test_helpers/test_clocks/ID/advance."""
    require_ready(clock)
    return start_advance(session, clock, params["frozen_time"])


def delete(session: Session, params: Obj, clock: Obj) -> Obj:
    """DELETE /v1/test_helpers/test_clocks/ID: with its customers and what belongs to them."""
    return delete_clock(session, clock)
