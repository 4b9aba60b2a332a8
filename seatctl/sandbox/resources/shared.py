"""Endpoints that many resources share. sandbox/api/routes.py says the kind of object and what differs.

If the path has two ids, or lists what belongs to an id, the first id is the customer's.
"""

from __future__ import annotations

from seatctl.sandbox.lists import check_customer, page_of
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, set_fields
from seatctl.sandbox.session import Session

Ids = tuple[str, ...]


def _find(session: Session, ids: Ids, kind: str, param: str) -> Obj:
    for customer in ids[:-1]:
        session.find("customer", customer, "id", status=404)
    return session.find(kind, ids[-1], param, status=404)


def retrieve(session: Session, params: Obj, path: str, ids: Ids, kind: str, param: str) -> Obj:
    """Return the object; if there is none, the refusal names `param`."""
    return session.view(_find(session, ids, kind, param))


def update(session: Session, params: Obj, path: str, ids: Ids, kind: str, param: str, *fields: str) -> Obj:
    """Set the named fields and the metadata of an object, as far as they are sent."""
    obj = _find(session, ids, kind, param)
    set_fields(obj, params, *fields)
    update_metadata(obj, params)
    return session.save_changed(obj, f"{kind}.updated")


def delete(session: Session, params: Obj, path: str, ids: Ids, kind: str, param: str, event: str) -> Obj:
    """Delete an object and emit `event`."""
    return session.delete_and_emit(_find(session, ids, kind, param), event)


def list_page(session: Session, params: Obj, path: str, ids: Ids, kind: str, *filters: str) -> Obj:
    """Return a page of the objects whose fields equal the parameters that `filters` names."""
    for customer in ids:
        session.find("customer", customer, "id", status=404)
        params = {**params, "customer": customer}
    if "customer" in filters:
        check_customer(session, params)
    return page_of(session, kind, params, path.format(*ids), filters=filters)
