"""What every change of a running term, or of the next one, stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from seatctl.billing import endpoints
from seatctl.billing.port import Write
from seatctl.errors import JsonValue
from seatctl.models.call import format_time, parse_time
from seatctl.models.subscription_state import TermContent
from seatctl.rules.item_metadata import with_metadata
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import waiting_metadata
from seatctl.rules.typed_json import stored_as
from seatctl.services.operations.payload import SubscriptionPayload
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot, metadata_item


@dataclass(frozen=True, slots=True, kw_only=True)
class TermPayload(SubscriptionPayload):
    """A change of what is paid for."""

    item: str
    """The subscription's item in Stripe."""
    metadata_item: str | None = field(default=None, metadata=stored_as("said_on"))
    """The item whose metadata describes the subscription, None if Stripe's subscription does."""
    held: TermContent | None = None
    """What the item held when the change was decided; None in payloads of earlier versions."""
    now: TermContent
    next: TermContent
    term_start: str
    term_end: str
    """In the written form, UTC."""
    reserved: int | None = None
    """How many of the added seats are reserved for the people of a file."""
    leaving: tuple[int, ...] = ()
    """The users who lose their seats."""
    not_seated: tuple[str, ...] = ()
    """Addresses of the file without a seat in the subscription; they are reported."""

    def update(
        self, form: dict[str, JsonValue], marks: dict[str, JsonValue], metadata: dict[str, JsonValue]
    ) -> Write:
        """Return the update of the Stripe subscription, with `metadata` where its settings are."""
        form = with_metadata(form, self.metadata_item, marks, metadata)
        return endpoints.update_subscription(self.stripe_id, form)

    def waiting_metadata(self, renewed_by: str | None = None) -> dict[str, JsonValue]:
        """The metadata that says what is paid for until the next term begins."""
        return waiting_metadata(
            self.now,
            self.next,
            self.item,
            start=parse_time(self.term_start),
            until=parse_time(self.term_end),
            renewed_by=renewed_by,
        )


class TermFields(TypedDict):
    """The fields of a `TermPayload` that say what changes."""

    subscription: int
    stripe_id: str
    customer: str
    item: str
    metadata_item: str | None
    held: TermContent
    now: TermContent
    next: TermContent
    term_start: str
    term_end: str


def term_fields(snapshot: SubscriptionSnapshot, target: Target) -> TermFields:
    """Return the fields of a change of a subscription to `target`."""
    return {
        "subscription": snapshot.subscription.id,
        "stripe_id": snapshot.mirror.id,
        "customer": snapshot.mirror.customer_id,
        "item": snapshot.item.id,
        "metadata_item": metadata_item(snapshot.mirror, snapshot.item),
        "held": snapshot.state.next,
        "now": target.now,
        "next": target.next,
        "term_start": format_time(snapshot.state.term_start),
        "term_end": format_time(snapshot.state.term_end),
    }
