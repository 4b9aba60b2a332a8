"""Reading what has changed in Stripe: events since the last success, reduced to objects, each fetched anew.

Events come late, twice, out of order and in other API versions; so only what they are about is believed.
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
"""Seconds before the newest event that are asked for again: events may come an hour late."""

_OF_ITSELF: Final = {kind.value: kind for kind in Kind} | {"plan": Kind.PRICE}
_OF_ANOTHER: Final = {
    "payment_method": ("customer", Kind.CUSTOMER),
    "tax_id": ("customer", Kind.CUSTOMER),
    "invoice_payment": ("invoice", Kind.INVOICE),
    "credit_note": ("invoice", Kind.INVOICE),
    "discount": ("customer", Kind.CUSTOMER),
    "invoiceitem": ("invoice", Kind.INVOICE),
}
"""Objects that show in another one: the field that names it, and its kind."""


_Brief = tuple[str, int, tuple[Kind, str] | None]
"""An event: its id, when it was made (unix seconds), what it is about."""


@dataclass(frozen=True, slots=True)
class ChangedObjects:
    """What the events since the last success are about, and the place after them."""

    objects: tuple[tuple[Kind, str], ...]
    newest: int
    """Unix seconds."""
    seen: dict[str, int]
    """The events of the next overlap that need not be looked at again."""


def news(ledger: Ledger, billing: Billing, since: int | None = None) -> ChangedObjects:
    """The distinct objects that have changed. `since` (unix seconds) is the cursor of a backfill."""
    with ledger.reading() as reader:
        cursor = sync_state.cursor(reader) or 0 if since is None else since
        known = sync_state.seen_events(reader) if since is None else {}
    listed = _listed(billing, cursor, known)
    newest = max([cursor, *(at for _, at, _ in listed)])
    # Before a backfill's cursor nothing is news: its lists were read after it.
    told = [one for one in listed if one[0] not in known and (since is None or one[1] >= since)]
    objects = [about for _, _, about in told if about is not None]
    met = {**known, **{name: at for name, at, _ in listed}}
    seen = {name: at for name, at in met.items() if at >= newest - OVERLAP}
    return ChangedObjects(in_order(objects), newest, seen)


def _listed(billing: Billing, cursor: int, known: Mapping[str, int]) -> list[_Brief]:
    """The events since an hour before `cursor` (unix seconds).

    Where the first page holds nothing new the others are not asked for: a late one among them is found as
    soon as there is something new, because the cursor has not moved until then.
    """
    listed = list[_Brief]()
    for page in events_since(billing, cursor - OVERLAP):
        is_first = not listed
        listed += _brief(page)
        if is_first and all(name in known for name, _, _ in listed):
            break
    return listed


def in_order(objects: Iterable[tuple[Kind, str]]) -> tuple[tuple[Kind, str], ...]:
    """Each object once, those that others rely on first."""
    places = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(dict.fromkeys(objects), key=lambda one: (places[one[0]], one[1])))


def about(event: StripeJson) -> tuple[Kind, str] | None:
    """The object of the mirror that an event is about; None where it is about nothing that is mirrored."""
    inner = _object(_object(event.get("data")).get("object"))
    name, identifier = inner.get("object"), inner.get("id")
    if name in _OF_ITSELF and isinstance(identifier, str) and identifier:
        return _OF_ITSELF[str(name)], identifier
    if name == "charge" and inner.get("amount_refunded") and isinstance(identifier, str):
        return Kind.REFUND, identifier  # its refunds; the refund's own event may not be among those sent
    if name in _OF_ANOTHER:
        field, kind = _OF_ANOTHER[str(name)]
        holder = inner.get(field) or _object(_previous(event)).get(field)
        holder = _object(holder).get("id") if isinstance(holder, dict) else holder
        return (kind, holder) if isinstance(holder, str) and holder else None
    return None


def _brief(events: Iterable[StripeJson]) -> Iterable[_Brief]:
    for event in events:
        created = event.get("created")
        yield str(event.get("id")), created if isinstance(created, int) else 0, about(event)


def _previous(event: StripeJson) -> JsonValue:
    return _object(event.get("data")).get("previous_attributes")


def _object(value: JsonValue | None) -> StripeJson:
    return value if isinstance(value, dict) else {}
