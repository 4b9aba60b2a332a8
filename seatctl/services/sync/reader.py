"""Reading Stripe for the mirror: pages and single objects, by several threads, each object made a value.

A thread only asks and reads; what is written, the main thread writes. A page is reduced to values where it
arrived, so that no more than a page per thread is ever held as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from seatctl.billing import listings
from seatctl.billing.objects import (
    UnreadableObject,
    payment_taken_back,
    read_customer,
    read_invoice,
    read_price,
    read_product,
    read_subscription,
)
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, Read, StripeJson
from seatctl.errors import JsonValue
from seatctl.models.mirror import Gone, Kind, Mirrored, MirroredObject, Span, Unreadable

THREADS: Final = 16
"""Requests under way at once: at a quarter of a second each, as many as the live limit allows."""

_CHARGES: Final = ("ch_", "py_")
"""How the ids of charges begin; those of refunds begin with `re_` or `pyr_`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was read, and what is left of its part of the list."""

    kind: Kind
    span: Span
    objects: tuple[Mirrored, ...]
    rest: tuple[Span, ...]


class ParallelReader:
    """Several threads that ask Stripe at once. Use `reading()`."""

    def __init__(self, billing: Billing, subscription: ThreadPoolExecutor, threads: int) -> None:
        self._billing = billing
        self._pool = subscription
        self._threads = threads

    def pages(self, todo: list[tuple[Kind, Span]]) -> Iterator[list[Page]]:
        """Read parts of lists until nothing is left of them; what has arrived meanwhile comes together.

        `todo` is consumed; the rest of each page is put back into it. No more is under way than there are
        threads, so that memory does not grow with the account.
        """
        under_way: set[Future[Page]] = set()
        while todo or under_way:
            while todo and len(under_way) < self._threads:
                kind, span = todo.pop()
                under_way.add(self._pool.submit(_page, self._billing, kind, span))
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            pages = [future.result() for future in done]
            todo.extend((page.kind, span) for page in pages for span in page.rest)
            del done
            while todo and len(under_way) < self._threads:  # asked for while these are written
                kind, span = todo.pop()
                under_way.add(self._pool.submit(_page, self._billing, kind, span))
            yield pages

    def objects(self, wanted: Iterable[tuple[Kind, str]]) -> Iterator[Mirrored]:
        """Single objects, each fetched again, in the order asked for; of a charge, its refunds."""

        def fetch(one: tuple[Kind, str]) -> list[Mirrored]:
            kind, identifier = one
            if kind is Kind.REFUND and identifier.startswith(_CHARGES):
                listed = self._billing.every(listings.refunds_of_charge(identifier))
                return [_mirrored(kind, raw) for raw in listed]
            return [fetched(self._billing, kind, identifier)]

        yield from self._in_batches(fetch, wanted)

    def _in_batches(
        self, fetch: Callable[[tuple[Kind, str]], list[Mirrored]], wanted: Iterable[tuple[Kind, str]]
    ) -> Iterator[Mirrored]:
        batch: list[Future[list[Mirrored]]] = []
        for one in wanted:
            batch.append(self._pool.submit(fetch, one))
            if len(batch) >= 2 * self._threads:
                yield from batch.pop(0).result()
        for future in batch:
            yield from future.result()


@contextmanager
def reading(billing: Billing, threads: int = THREADS) -> Iterator[ParallelReader]:
    """Threads that ask Stripe; what they have not begun is dropped where one fails."""
    subscription = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sync")
    try:
        yield ParallelReader(billing, subscription, threads)
    finally:
        subscription.shutdown(wait=True, cancel_futures=True)


def events_since(billing: Billing, since: int) -> Iterator[list[StripeJson]]:
    """The events made at or after `since` (unix seconds), newest first, page by page."""
    after: str | None = None
    while True:
        answer = billing.read(listings.events(since, after))
        entries = entries_of(answer)
        for event in entries:
            _require_news(event)
        yield entries
        if answer.get("has_more") is not True or not entries:
            return
        after = str(entries[-1]["id"])


def _require_news(event: StripeJson) -> None:
    """Raise UnreadableObject for an event that does not say what it is about: its news would be lost."""
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict) or not isinstance(about.get("object"), str):
        raise UnreadableObject(f"Stripe's event {event.get('id')} does not say what it is about")
    _created(event)


def newest_event(billing: Billing) -> int | None:
    """When the latest event was made, by Stripe's clock (unix seconds); None where there is none."""
    return next(map(_created, entries_of(billing.read(listings.newest_event()))), None)


def fetched(billing: Billing, kind: Kind, identifier: str) -> Mirrored:
    """One object as it is now. One that Stripe does not give out must not stop the others: it is skipped."""
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
    return _mirrored(kind, raw)


def entries_of(answer: JsonValue | None) -> list[StripeJson]:
    """The objects of a list's answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _page(billing: Billing, kind: Kind, span: Span) -> Page:
    answer = billing.read(listings.page(kind, span))
    entries = entries_of(answer)
    objects = tuple(_mirrored(kind, raw) for raw in entries)
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


def _mirrored(kind: Kind, raw: StripeJson) -> Mirrored:
    """The value of an object; one that this version cannot read is no reason to stop."""
    try:
        if kind is Kind.CUSTOMER:
            return read_customer(raw)
        if kind is Kind.INVOICE:
            return read_invoice(raw)
        return _stored(kind, raw)
    except (UnreadableObject, ValueError) as error:
        return Unreadable(kind, str(raw.get("id")), str(error))


def _stored(kind: Kind, raw: StripeJson) -> MirroredObject:
    parent: str | None = None
    if kind is Kind.SUBSCRIPTION:
        read_subscription(raw)
        raw = lean(raw)
    elif kind is Kind.PRICE:
        parent = read_price(raw).product_id
    elif kind in (Kind.REFUND, Kind.DISPUTE):
        parent = payment_taken_back(raw)
    else:
        read_product(raw)
    created = raw.get("created")
    return MirroredObject(kind, str(raw["id"]), created if isinstance(created, int) else 0, parent, raw)


def lean(subscription: StripeJson) -> StripeJson:
    """A subscription without what is null, and its items without `plan`, Stripe's older copy of the price.

    That is more than a third of it, which would be written and read again for nothing; whoever reads it
    takes what is missing for null.
    """
    items: list[JsonValue] = []
    for item in entries_of(subscription.get("items")):
        price = item.get("price")
        kept = {**item, "plan": None, "price": _said(price) if isinstance(price, dict) else price}
        items.append(_said(kept))
    return {**_said(subscription), "items": {"data": items}}


def _said(holder: StripeJson) -> StripeJson:
    return {name: value for name, value in holder.items() if value is not None}
