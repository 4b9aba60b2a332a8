"""Endpoints that many resources share, and the account. sandbox/api/routes.py says what differs.

`path` has the objects that the path names. A list of what belongs to an object belongs to a customer.
"""

from __future__ import annotations

from seatctl.sandbox.billing.account import own_account
from seatctl.sandbox.lists import check_ids, page_of
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, set_fields
from seatctl.sandbox.session import Session


def account(session: Session, params: Obj, url: str, path: list[Obj]) -> Obj:
    """Return the account that the key belongs to; each sandbox file is an account of its own."""
    return own_account(session)


def retrieve(session: Session, params: Obj, url: str, path: list[Obj]) -> Obj:
    """Return the object."""
    return session.view(path[-1])


def update(session: Session, params: Obj, url: str, path: list[Obj], *fields: str) -> Obj:
    """Set the named fields and the metadata of an object, as far as they are sent."""
    set_fields(path[-1], params, *fields)
    update_metadata(path[-1], params)
    return session.save_changed(path[-1], f"{path[-1]['object']}.updated")


def delete(session: Session, params: Obj, url: str, path: list[Obj], event: str) -> Obj:
    """Delete an object and emit `event`."""
    return session.delete_and_emit(path[-1], event)


def list_page(session: Session, params: Obj, url: str, path: list[Obj], kind: str, *filters: str) -> Obj:
    """Return a page of the objects that match `filters`."""
    for customer in path:
        params = {**params, "customer": customer["id"]}
    check_ids(session, params, *(name[1:] for name in filters if name.startswith("!")))
    return page_of(session, kind, params, url, filters=filters)
