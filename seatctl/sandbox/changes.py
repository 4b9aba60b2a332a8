"""Writing an object with its event: what creating, updating and deleting have in common for every resource.

Each function returns what the client gets as the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def save_and_emit(
    session: Session, obj: Obj, event: str, *, parent: str | None = None, due: int | None = None
) -> Obj:
    """Write an object and emit `event`."""
    session.save(obj, parent=parent, due=due)
    shown = view(session, obj)
    session.emit(event, shown)
    return shown


def save_changed(
    session: Session, obj: Obj, event: str, *, save: Callable[[Session, Obj], None] = Session.save
) -> Obj:
    """Write a changed object; emit `event` if a client can see the change. `save` writes it."""
    before = view(session, session.find(obj["object"], obj["id"], None))
    save(session, obj)
    shown = view(session, obj)
    if changed(before, shown):
        session.emit(event, shown, before)
    return shown


def delete_and_emit(session: Session, obj: Obj, event: str) -> Obj:
    """Mark an object as deleted and emit `event`."""
    session.store.delete(obj["id"])
    session.emit(event, view(session, obj))
    return deleted(obj["object"], obj["id"])


def deleted(kind: str, identifier: str) -> Obj:
    """A deleted object as a client sees it."""
    return {"id": identifier, "object": kind, "deleted": True}
