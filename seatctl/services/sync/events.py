"""Reads which objects have changed in Stripe, from the events since the last success.

Events come late, twice, out of order and in other API versions. So seatctl takes from an event only which
object it is about, and reads that object again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import sync_state
from seatctl.models.mirror import Kind
from seatctl.services.sync.reader import events_since

OVERLAP: Final = 3600
"""Seconds before the newest event that are read again, because events may come an hour late."""

_OF_ITSELF: Final = {kind.value: kind for kind in Kind} | {"plan": Kind.PRICE}
_OF_ANOTHER: Final = {
    "payment_method": ("customer", Kind.CUSTOMER),
    "tax_id": ("customer", Kind.CUSTOMER),
    "invoice_payment": ("invoice", Kind.INVOICE),
    "credit_note": ("invoice", Kind.INVOICE),
    "discount": ("customer", Kind.CUSTOMER),
    "invoiceitem": ("invoice", Kind.INVOICE),
}
"""Objects that change another one: the field with the other one's id, and its kind."""


_EventSummary = tuple[str, int, tuple[Kind, str] | None]
"""An event: its id, when it was made (unix seconds), the object that it is about."""


@dataclass(frozen=True, slots=True)
class ChangedObjects:
    """The objects that the events since the last success are about, and where the next sync continues."""

    objects: tuple[tuple[Kind, str], ...]
    newest: int
    """Unix seconds."""
    seen: dict[str, int]
    """The events of the next overlap that are not new then, with their times."""


def changed_objects(ledger: Ledger, billing: Billing, since: int | None = None) -> ChangedObjects:
    """Return the distinct objects that have changed. `since` (unix seconds): the cursor of a backfill."""
    with ledger.reading() as reader:
        cursor = sync_state.cursor(reader) or 0 if since is None else since
        seen_before = sync_state.seen_events(reader) if since is None else {}
    listed = _read_events(billing, cursor, seen_before)
    newest = max([cursor, *(at for _, at, _ in listed)])
    # A backfill has read its lists after its cursor was taken: older events say nothing new.
    new = [one for one in listed if one[0] not in seen_before and (since is None or one[1] >= since)]
    objects = [object_of for _, _, object_of in new if object_of is not None]
    all_seen = {**seen_before, **{name: at for name, at, _ in listed}}
    seen = {name: at for name, at in all_seen.items() if at >= newest - OVERLAP}
    return ChangedObjects(by_dependence(objects), newest, seen)


def _read_events(billing: Billing, cursor: int, seen_before: Mapping[str, int]) -> list[_EventSummary]:
    """Return the events since an hour before `cursor` (unix seconds).

    If the first page has nothing new, the others are not read. A late event on one of them is found as soon
    as there is a new event, because the cursor does not move before.
    """
    listed = list[_EventSummary]()
    for page in events_since(billing, cursor - OVERLAP):
        is_first = not listed
        listed += _summaries(page)
        if is_first and all(name in seen_before for name, _, _ in listed):
            break
    return listed


def by_dependence(objects: Iterable[tuple[Kind, str]]) -> tuple[tuple[Kind, str], ...]:
    """Each object once; kinds that others depend on come first."""
    places = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(dict.fromkeys(objects), key=lambda one: (places[one[0]], one[1])))


def object_of(event: StripeJson) -> tuple[Kind, str] | None:
    """The mirrored object that an event is about; None if the mirror does not have such objects."""
    inner = _as_object(_as_object(event.get("data")).get("object"))
    name, identifier = inner.get("object"), inner.get("id")
    if name in _OF_ITSELF and isinstance(identifier, str) and identifier:
        return _OF_ITSELF[str(name)], identifier
    if name == "charge" and inner.get("amount_refunded") and isinstance(identifier, str):
        return Kind.REFUND, identifier  # its refunds: Stripe may not have sent the event of the refund itself
    if name in _OF_ANOTHER:
        field, kind = _OF_ANOTHER[str(name)]
        holder = inner.get(field) or _as_object(_previous(event)).get(field)
        holder = _as_object(holder).get("id") if isinstance(holder, dict) else holder
        return (kind, holder) if isinstance(holder, str) and holder else None
    return None


def _summaries(events: Iterable[StripeJson]) -> Iterable[_EventSummary]:
    for event in events:
        created = event.get("created")
        yield str(event.get("id")), created if isinstance(created, int) else 0, object_of(event)


def _previous(event: StripeJson) -> JsonValue:
    return _as_object(event.get("data")).get("previous_attributes")


def _as_object(value: JsonValue | None) -> StripeJson:
    return value if isinstance(value, dict) else {}
