"""What Stripe holds of an operation that is given up: said in words, because nobody will finish it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import MissingInStripe, Read, StripeJson
from seatctl.ledger import operations
from seatctl.models.money import plain_amount
from seatctl.rules.metadata import made_by
from seatctl.services.charging.customer import known_customer, text
from seatctl.services.operations.steps import OperationRun


def left_in_stripe(running: OperationRun) -> list[str]:
    """The objects that this operation has made or changed and that Stripe still has, one sentence part each.

    Found by what its steps were answered with, and by its mark. Objects are told as they came, also those
    that cannot be read: they may be why it could not be finished. Raises what the port raises.
    """
    found = {str(one["id"]): one for one in (*_answered(running), *_marked(running))}
    return [_told(one) for one in found.values()]


def _answered(running: OperationRun) -> Iterator[StripeJson]:
    with running.ledger.reading() as reader:
        steps = operations.steps(reader, running.operation.id)
    for step in steps:
        made = running.answered(step.name)
        kind = None if made is None else made.get("object")
        if made is not None and kind in {"customer", "product", "price", "invoice", "checkout.session"}:
            collection = f"{kind}s".replace(".", "/")
            yield from _if_there(running, Read(endpoints.path_of(collection, str(made["id"])), {}))


def _if_there(running: OperationRun, read: Read) -> Iterator[StripeJson]:
    try:
        found = running.billing.read(read)
    except MissingInStripe:
        return
    except UnreadableObject:
        # As it is, from the list of one: what cannot be read can be named.
        kind, _, identifier = read.path.removeprefix("/v1/").rpartition("/")
        found = {"object": kind.removesuffix("s").replace("/", "."), "id": identifier}
    if found.get("deleted") is not True:
        yield found


def _marked(running: OperationRun) -> Iterator[StripeJson]:
    bill = running.payload.get("bill")
    billed = bill.get("customer") if isinstance(bill, dict) else None
    customer = str(billed) if billed else known_customer(running)
    if customer is not None:
        with suppress(MissingInStripe):  # Stripe lists nothing of a customer that was deleted
            for listing in (endpoints.subscriptions_of(customer), endpoints.invoices_of_customer(customer)):
                yield from (one for one in running.billing.every(listing) if made_by(one, running.reference))
    subscription = text(running, "stripe_id")
    if subscription is not None:
        yield from (
            one
            for one in _if_there(running, endpoints.subscription(subscription))
            if made_by(one, running.reference) or made_by(one, f"{running.reference}:next")
        )


def _told(found: StripeJson) -> str:
    """An object in a few words: what it is, its id, how it stands, and its amount where it has one."""
    currency, total = found.get("currency"), found.get("total")
    said = [str(found[name]) for name in ("status", "email") if isinstance(found.get(name), str)]
    if isinstance(currency, str) and isinstance(total, int):
        said.append(f"{plain_amount(total, currency)} {currency.upper()}")
    kind = str(found.get("object")).replace("_", " ")
    return f"{kind} {found['id']}" + (f" ({', '.join(said)})" if said else "")
