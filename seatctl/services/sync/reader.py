"""Reads Stripe for the mirror with several threads: pages of lists and single objects, as values.

A thread only reads; the main thread stores. Each thread turns its page into values at once, so that no more
than one page per thread is held as JSON.

Which objects have changed, events tell. They come late, twice, out of order and in other API versions. So
seatctl takes from an event only which object it is about, and reads that object again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from seatctl.billing import listings
from seatctl.billing.objects import (
    UnreadableObject,
    payment_of_reversal,
    read_customer,
    read_price,
    read_product,
    read_subscription,
)
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, Read, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import sync_state
from seatctl.models.stripe_objects import EventsRead, Gone, Kind, Mirrored, MirroredObject, Span, Unreadable
from seatctl.services.charging.pay_invoice import read_with_payment

THREADS: Final = 16
"""Concurrent requests: at a quarter of a second each, they use what the limit in live mode allows."""

_CHARGES: Final = ("ch_", "py_")
"""How the ids of charges begin; the ids of refunds begin with `re_` or `pyr_`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a span of a list, and the spans that are left to read."""

    kind: Kind
    span: Span
    objects: tuple[Mirrored, ...]
    rest: tuple[Span, ...]


class ParallelReader:
    """Reads Stripe with several threads. Use `parallel_reader()`."""

    def __init__(self, billing: Billing, executor: ThreadPoolExecutor, threads: int) -> None:
        self._billing = billing
        self._executor = executor
        self._threads = threads

    def pages(self, todo: list[tuple[Kind, Span]]) -> Iterator[list[Page]]:
        """Read spans of lists to their end; yields the pages that have arrived since the last time.

        `todo` is consumed; what is left after a page is added to it. There are never more requests than
        threads, so that memory does not grow with the account.
        """
        under_way: set[Future[Page]] = set()
        while todo or under_way:
            while todo and len(under_way) < self._threads:
                kind, span = todo.pop()
                under_way.add(self._executor.submit(_page, self._billing, kind, span))
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            pages = [future.result() for future in done]
            todo.extend((page.kind, span) for page in pages for span in page.rest)
            del done
            while todo and len(under_way) < self._threads:  # requested while the caller stores these
                kind, span = todo.pop()
                under_way.add(self._executor.submit(_page, self._billing, kind, span))
            yield pages

    def objects(self, wanted: Iterable[tuple[Kind, str]]) -> Iterator[Mirrored]:
        """Read single objects, in the order of `wanted`; for a charge, its refunds."""

        def read(kind: Kind, identifier: str) -> list[Mirrored]:
            if kind is Kind.REFUND and identifier.startswith(_CHARGES):
                listed = self._billing.every(listings.refunds_of_charge(identifier))
                return [_as_mirrored(self._billing, kind, raw) for raw in listed]
            return [read_object(self._billing, kind, identifier)]

        batch: list[Future[list[Mirrored]]] = []
        for kind, identifier in wanted:
            batch.append(self._executor.submit(read, kind, identifier))
            if len(batch) >= 2 * self._threads:
                yield from batch.pop(0).result()
        for future in batch:
            yield from future.result()


@contextmanager
def parallel_reader(billing: Billing, threads: int = THREADS) -> Iterator[ParallelReader]:
    """A reader with threads of its own; if a request fails, those not yet begun are dropped."""
    executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sync")
    try:
        yield ParallelReader(billing, executor, threads)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def events_since(billing: Billing, since: int) -> Iterator[list[StripeJson]]:
    """The events made at or after `since` (unix seconds), newest first, page by page."""
    after: str | None = None
    while True:
        answer = billing.read(listings.events(since, after))
        entries = entries_of(answer)
        for event in entries:
            _require_object(event)
        yield entries
        if answer.get("has_more") is not True or not entries:
            return
        after = str(entries[-1]["id"])


def _require_object(event: StripeJson) -> None:
    """Raise UnreadableObject for an event that does not name its object, which would never be read."""
    if not isinstance(_about(event).get("object"), str):
        raise UnreadableObject(f"Stripe's event {event.get('id')} does not say what it is about")
    _created(event)


def events_so_far(billing: Billing) -> EventsRead | None:
    """The newest second that has an event, and its events on one page; None if there are no events."""
    times = {str(one.get("id")): _created(one) for one in entries_of(billing.read(listings.newest_events()))}
    newest = max(times.values(), default=None)
    if newest is None:
        return None
    return EventsRead(newest, frozenset(name for name, at in times.items() if at == newest))


def read_object(billing: Billing, kind: Kind, identifier: str) -> Mirrored:
    """Read one object. One that Stripe refuses to return must not stop the others: it is skipped."""
    call = listings.one(kind, identifier)
    try:
        try:
            raw = billing.read(call)
        except InvalidRequest as refused:
            if refused.data.get("stripe_param") != "expand":
                raise
            raw = billing.read(Read(call.path, {}))  # a deleted customer has nothing to expand
    except MissingInStripe:
        return Gone(kind, identifier)
    except (InvalidRequest, UnreadableObject) as refused:
        return Unreadable(kind, identifier, refused.message)
    if raw.get("deleted") is True and kind is not Kind.CUSTOMER:
        return Gone(kind, identifier)
    return _as_mirrored(billing, kind, raw)


def entries_of(answer: JsonValue | None) -> list[StripeJson]:
    """The objects of a list's answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _page(billing: Billing, kind: Kind, span: Span) -> Page:
    answer = billing.read(listings.page(kind, span))
    entries = entries_of(answer)
    objects = tuple(_as_mirrored(billing, kind, raw) for raw in entries)
    if answer.get("has_more") is not True or not entries:
        return Page(kind, span, objects, ())
    times = [_created(raw) for raw in entries]
    return Page(kind, span, objects, listings.rest(span, times, str(entries[-1]["id"])))


def _created(raw: StripeJson) -> int:
    created = raw.get("created")
    if type(created) is not int:
        raise UnreadableObject(
            f"an object of Stripe's list of {raw.get('object')}s does not say when it was made"
        )
    return created


def _as_mirrored(billing: Billing, kind: Kind, raw: StripeJson) -> Mirrored:
    """The object as a value; Unreadable if this version cannot read it, so that the sync continues."""
    try:
        if kind is Kind.CUSTOMER:
            return read_customer(raw)
        if kind is Kind.INVOICE:
            return read_with_payment(billing, raw)
        return _as_stored(kind, raw)
    except (UnreadableObject, ValueError) as error:
        return Unreadable(kind, str(raw.get("id")), str(error))


def _as_stored(kind: Kind, raw: StripeJson) -> MirroredObject:
    parent: str | None = None
    if kind is Kind.SUBSCRIPTION:
        read_subscription(raw)
        raw = without_nulls(raw)
    elif kind is Kind.PRICE:
        parent = read_price(raw).product_id
    elif kind in (Kind.REFUND, Kind.DISPUTE):
        parent = payment_of_reversal(raw)
    else:
        read_product(raw)
    created = raw.get("created")
    return MirroredObject(kind, str(raw["id"]), created if isinstance(created, int) else 0, parent, raw)


def without_nulls(subscription: StripeJson) -> StripeJson:
    """A Stripe subscription without its null fields, and its items without `plan`, an old copy of the price.

    This saves more than a third of what is stored and parsed. Readers treat a missing field as null.
    """
    items: list[JsonValue] = []
    for item in entries_of(subscription.get("items")):
        price = item.get("price")
        shortened = {**item, "plan": None, "price": _non_null(price) if isinstance(price, dict) else price}
        items.append(_non_null(shortened))
    return {**_non_null(subscription), "items": {"data": items}}


def _non_null(holder: StripeJson) -> StripeJson:
    return {name: value for name, value in holder.items() if value is not None}


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


def changed_objects(ledger: Ledger, billing: Billing, since: EventsRead | None = None) -> ChangedObjects:
    """Return the distinct objects that have changed. `since`: the events when a backfill began."""
    with ledger.reading() as reader:
        cursor = sync_state.cursor(reader) or 0 if since is None else since.newest
        seen_before = sync_state.seen_events(reader) if since is None else {}
    listed = _read_events(billing, cursor, seen_before)
    newest = max([cursor, *(at for _, at, _ in listed)])
    # A backfill has read its lists after these events: they and older ones say nothing new.
    new = [one for one in listed if one[0] not in seen_before and (since is None or since.is_new(*one[:2]))]
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
        for event in page:
            created = event.get("created")
            listed.append(
                (str(event.get("id")), created if isinstance(created, int) else 0, object_of(event))
            )
        if is_first and all(name in seen_before for name, _, _ in listed):
            break
    return listed


def by_dependence(objects: Iterable[tuple[Kind, str]]) -> tuple[tuple[Kind, str], ...]:
    """Each object once; kinds that others depend on come first."""
    places = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(dict.fromkeys(objects), key=lambda one: (places[one[0]], one[1])))


def object_of(event: StripeJson) -> tuple[Kind, str] | None:
    """The mirrored object that an event is about; None if the mirror does not have such objects."""
    inner = _about(event)
    name, identifier = inner.get("object"), inner.get("id")
    if name in _OF_ITSELF and isinstance(identifier, str) and identifier:
        return _OF_ITSELF[str(name)], identifier
    if name == "charge" and inner.get("amount_refunded") and isinstance(identifier, str):
        return Kind.REFUND, identifier  # its refunds: Stripe may not have sent the event of the refund itself
    if name in _OF_ANOTHER:
        field, kind = _OF_ANOTHER[str(name)]
        previous = _as_object(_as_object(event.get("data")).get("previous_attributes"))
        holder = inner.get(field) or previous.get(field)
        holder = _as_object(holder).get("id") if isinstance(holder, dict) else holder
        return (kind, holder) if isinstance(holder, str) and holder else None
    return None


def _about(event: StripeJson) -> StripeJson:
    """The object that an event is about, as it was then; empty if the event does not have it."""
    return _as_object(_as_object(event.get("data")).get("object"))


def _as_object(value: JsonValue | None) -> StripeJson:
    return value if isinstance(value, dict) else {}
