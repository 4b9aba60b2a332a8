"""A Stripe port that completes the lists inside an object: Stripe sends only their first ten entries.

The line that paid the running period is the last one of an invoice: a sum over the first page would refund
nothing. Completing lists here means that no reader can forget to.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, Read, StripeJson, Write
from seatctl.errors import Code, JsonValue, TryAgain

_PAGE: Final = 100
_PREVIEW: Final = "upcoming"
"""How the id of a preview begins. Its lines get new ids at each reading, so no cursor is valid. If more than
the first lines are needed, another preview is read (`previews.py`)."""

_LISTED_AT: Final = {
    ("invoice", "payments"): ("/v1/invoice_payments", "invoice"),
    ("charge", "refunds"): ("/v1/refunds", "charge"),
}
"""Lists whose own `url` is not a documented endpoint, with the endpoint and the filter to use instead."""


class UnreadableList(TryAgain):
    """A list that Stripe cut short could not be read to its end; its beginning was not used."""

    kind = Code.STRIPE_LIST_UNREADABLE


class CompleteListsBilling:
    """Passes calls on to `inner`, and reads the rest of each list inside an answer.

    The answer to a write is not completed: a failure to read more would look like a failure of the write.
    """

    def __init__(self, inner: Billing) -> None:
        self._inner = inner

    def write(self, call: Write, key: str) -> StripeJson:
        """As in the port; lists in the answer are not completed."""
        return self._inner.write(call, key)

    def read(self, call: Read) -> StripeJson:
        """As in the port. Entries of a list are completed, the page itself is not. Raises UnreadableList."""
        answer = self._inner.read(call)
        if answer.get("object") == "list":
            self._complete_all(answer.get("data"))
        else:
            self._complete(answer)
        return answer

    def every(self, call: Read) -> Iterator[StripeJson]:
        """As in the port. Raises UnreadableList."""
        for entry in self._inner.every(call):
            self._complete(entry)
            yield entry

    def clock(self) -> datetime | None:
        """As in the port."""
        return self._inner.clock()

    def _complete_all(self, entries: JsonValue | None) -> None:
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                self._complete(entry)

    def _complete(self, holder: StripeJson) -> None:
        """Read the rest of every list in `holder`, and in the objects that were expanded in it."""
        if str(holder.get("id")).startswith(_PREVIEW):
            return
        for name, value in holder.items():
            if not isinstance(value, dict):
                continue
            if value.get("object") == "list":
                if value.get("has_more") is True:
                    self._read_on(value, _rest_of(holder, name, value))
                self._complete_all(value.get("data"))
            else:
                self._complete(value)

    def _read_on(self, cut: StripeJson, rest: Read) -> None:
        entries = cut.get("data")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UnreadableList(f"the list at {rest.path} has no entries to continue from")
        more = True
        while more:
            form = {**rest.form, "limit": _PAGE, **_after(entries)}
            try:
                page = self._inner.read(Read(rest.path, form))
            except (MissingInStripe, InvalidRequest) as refused:
                # Passed on as it is, "no such object" would mean that the holder is gone.
                raise UnreadableList(f"the rest of a list cannot be read: {refused.message}") from refused
            read = page.get("data")
            if not isinstance(read, list) or (read and read[-1] in entries[-1:]):
                raise UnreadableList(f"the list at {rest.path} does not end")
            entries.extend(read)
            more = page.get("has_more") is True and bool(read)
        cut["has_more"] = False


def _after(entries: list[JsonValue]) -> dict[str, JsonValue]:
    """Return the cursor after the entries that were read; empty if there are none."""
    last = entries[-1] if entries else None
    return {"starting_after": last.get("id")} if isinstance(last, dict) else {}


def _rest_of(holder: StripeJson, name: str, cut: StripeJson) -> Read:
    """Return the call that reads the rest of a list. Raises UnreadableList."""
    known = _LISTED_AT.get((str(holder.get("object")), name))
    if known is not None:
        return Read(known[0], {known[1]: holder.get("id")})
    address = urlsplit(str(cut.get("url")))
    # Whatever the answer says, the key is sent only to the API's own address.
    if not address.path.startswith("/v1/") or address.scheme or address.netloc:
        raise UnreadableList(f"Stripe sent a part of {name} but no address for the rest")
    return Read(address.path, dict(parse_qsl(address.query)))
