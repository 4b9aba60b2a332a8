"""Describes what Stripe still has of an operation that is given up, because nothing will finish it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import MissingInStripe, Read, StripeJson
from seatctl.ledger import operations
from seatctl.models.money import format_money
from seatctl.rules.metadata import made_by
from seatctl.services.charging.customer import known_customer
from seatctl.services.operations.payload import Payload, SubscriptionPayload
from seatctl.services.operations.steps import OperationRun

READ_BY_ID = frozenset(("customer", "product", "price", "invoice", "checkout.session"))
"""The types of objects that are found by the id in a step's answer. Add the type that a new step makes."""


def remaining_in_stripe(running: OperationRun[Payload]) -> list[str]:
    """Describe each object that this operation has made or changed and that Stripe still has.

    Objects are found by the answers of its steps and by its mark in their metadata. Objects that cannot be
    read are described too: they may be the reason why it could not be finished. Raises what the port raises.
    """
    objects = {str(raw["id"]): raw for raw in (*_answered(running), *_marked(running))}
    return [_described(raw) for raw in objects.values()]


def _answered(running: OperationRun[Payload]) -> Iterator[StripeJson]:
    with running.ledger.reading() as reader:
        steps = operations.steps(reader, running.operation.id)
    for step in steps:
        answer = running.answered(step.name)
        kind = None if answer is None else answer.get("object")
        if answer is not None and kind in READ_BY_ID:
            collection = f"{kind}s".replace(".", "/")
            yield from _if_exists(running, Read(endpoints.path_of(collection, str(answer["id"])), {}))


def _if_exists(running: OperationRun[Payload], read: Read) -> Iterator[StripeJson]:
    try:
        raw = running.billing.read(read)
    except MissingInStripe:
        return
    except UnreadableObject:
        # It cannot be read, but its path names it.
        kind, _, identifier = read.path.removeprefix("/v1/").rpartition("/")
        raw = {"object": kind.removesuffix("s").replace("/", "."), "id": identifier}
    if raw.get("deleted") is not True:
        yield raw


def _marked(running: OperationRun[Payload]) -> Iterator[StripeJson]:
    customer = known_customer(running)
    if customer is not None:
        with suppress(MissingInStripe):  # Stripe lists nothing of a deleted customer
            for listing in (endpoints.subscriptions_of(customer), endpoints.invoices_of_customer(customer)):
                yield from (one for one in running.billing.every(listing) if made_by(one, running.reference))
    if isinstance(running.payload, SubscriptionPayload):
        yield from (
            one
            for one in _if_exists(running, endpoints.subscription(running.payload.stripe_id))
            if made_by(one, running.reference) or made_by(one, f"{running.reference}:next")
        )


def _described(raw: StripeJson) -> str:
    """An object in a few words: its type, id, status, and amount if it has one."""
    currency, total = raw.get("currency"), raw.get("total")
    details = [str(raw[name]) for name in ("status", "email") if isinstance(raw.get(name), str)]
    if isinstance(currency, str) and isinstance(total, int):
        details.append(format_money(total, currency))
    kind = str(raw.get("object")).replace("_", " ")
    return f"{kind} {raw['id']}" + (f" ({', '.join(details)})" if details else "")
