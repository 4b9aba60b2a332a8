"""Stripe as seen from one of its test clocks, on which customers have a time of their own.

The conformance suite proves seatctl against Stripe on such clocks (docs/conformance.md). An account has many
of them, and its lists leave out what is on a clock unless it is named. So this port names the clock where
Stripe takes it, and joins the lists of its customers where Stripe does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from seatctl.billing.objects import UnreadableObject, named_id
from seatctl.billing.port import Billing, Read, StripeJson, Write
from seatctl.errors import JsonValue

_CUSTOMERS: Final = "/v1/customers"
_INVOICES: Final = "/v1/invoices"
_EVENTS: Final = "/v1/events"
_TAKE_A_CLOCK: Final = frozenset({_CUSTOMERS, "/v1/subscriptions"})
"""Lists that can be asked for what is on a clock."""

_OWNERS: Final = ("customer", "subscription")
"""Parameters with which a list has what is on a clock, too."""


class OnTestClock:
    """The Billing port of the customers on one test clock. New customers are created on it."""

    def __init__(self, stripe: Billing, clock: str) -> None:
        self._stripe = stripe
        self._clock = clock
        self._object: StripeJson | None = None

    @property
    def context(self) -> str | None:
        """Return the account that requests act on, as the port below has it."""
        return self._stripe.context

    def write(self, call: Write, key: str) -> StripeJson:
        """Carry out a change; a new customer is on the clock."""
        if call.method == "post" and call.path == _CUSTOMERS:
            call = Write(call.method, call.path, {**call.form, "test_clock": self._clock})
        return self._stripe.write(call, key)

    def read(self, call: Read) -> StripeJson:
        """Return one object, or a page of a list of what is on the clock."""
        if self._is_joined(call):
            return {"object": "list", "data": [*self._of_customers(call)], "has_more": False}
        return self._events(call) if call.path == _EVENTS else self._stripe.read(self._named(call))

    def every(self, call: Read) -> Iterator[StripeJson]:
        """Yield every object of a list that is on the clock."""
        if self._is_joined(call):
            return self._of_customers(call)
        return self._stripe.every(self._named(call))

    def clock(self) -> datetime:
        """Return the clock's time. Only the conformance suite advances it, between two commands."""
        return datetime.fromtimestamp(self._time("frozen_time"), UTC)

    def _time(self, field: str) -> int:
        if self._object is None:
            self._object = self._stripe.read(Read(f"/v1/test_helpers/test_clocks/{self._clock}", {}))
        moment = self._object.get(field)
        if not isinstance(moment, int):
            raise UnreadableObject(f"the test clock {self._clock} does not tell its {field}")
        return moment

    def _named(self, call: Read) -> Read:
        if call.path in _TAKE_A_CLOCK and not call.form.keys() & {*_OWNERS}:
            return Read(call.path, {**call.form, "test_clock": self._clock})
        return call

    def _is_joined(self, call: Read) -> bool:
        return call.path == _INVOICES and not call.form.keys() & {*_OWNERS}

    def _customers(self) -> set[str]:
        listed = self._stripe.every(Read(_CUSTOMERS, {"test_clock": self._clock}))
        return {str(one["id"]) for one in listed}

    def _of_customers(self, call: Read) -> Iterator[StripeJson]:
        for customer in sorted(self._customers()):
            yield from self._stripe.every(Read(call.path, {**call.form, "customer": customer}))

    def _events(self, call: Read) -> StripeJson:
        """Return the next page that has events about the clock; an account's events are those of all."""
        customers = self._customers()
        since = call.form.get("created")
        asked = since.get("gte") if isinstance(since, dict) else None
        # Nothing on the clock is older than it is. Other clocks may have had thousands of events before.
        oldest = max(self._time("created"), asked if isinstance(asked, int) else 0)
        call = Read(call.path, {**call.form, "created": {"gte": oldest}})
        while True:
            answer = self._stripe.read(call)
            data = answer.get("data")
            entries = data if isinstance(data, list) else []
            ours = [event for event in entries if self._is_ours(event, customers)]
            if ours or answer.get("has_more") is not True or not entries:
                return {**answer, "data": ours}
            last = entries[-1]
            after = last.get("id") if isinstance(last, dict) else None
            call = Read(call.path, {**call.form, "starting_after": after})

    def _is_ours(self, event: JsonValue, customers: set[str]) -> bool:
        """Whether an event is about something on the clock, or on none because it has no customer."""
        data = event.get("data") if isinstance(event, dict) else None
        about = data.get("object") if isinstance(data, dict) else None
        if not isinstance(about, dict):
            return True
        if "test_clock" in about:  # a deleted customer, too
            return named_id(about["test_clock"]) == self._clock
        customer = named_id(about.get("customer"))
        return customer is None or customer in customers
