"""The Stripe port that gives out the lists inside an object whole: Stripe sends their first ten entries.

The last line of an invoice is the one that paid the running period, so a sum over the first page gives back
nothing. Completing them here leaves no reader that could forget it.
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
"""How the id of a preview begins. Its lines get other ids at each reading, so that no cursor holds; who
needs more than its first ones asks another question (`previews.py`)."""

_LISTED_AT: Final = {
    ("invoice", "payments"): ("/v1/invoice_payments", "invoice"),
    ("charge", "refunds"): ("/v1/refunds", "charge"),
}
"""Lists whose own `url` is not a documented endpoint: where they are listed, by which filter."""


class UnreadableList(TryAgain):
    """A list that Stripe cut short cannot be read to its end; nothing was concluded from its beginning."""

    kind = Code.STRIPE_LIST_UNREADABLE


class CompleteListsBilling:
    """Passes calls on to `inner`, and reads the rest of each list inside what was read.

    What a write answers is left as it came: a failure to read more would look like one of the write.
    """

    def __init__(self, inner: Billing) -> None:
        self._inner = inner

    def write(self, call: Write, key: str) -> StripeJson:
        """As the port says; the lists in the answer are not completed."""
        return self._inner.write(call, key)

    def read(self, call: Read) -> StripeJson:
        """As the port says. Entries of a list are whole, the page is as it came. Raises UnreadableList."""
        answer = self._inner.read(call)
        if answer.get("object") == "list":
            self._complete_all(answer.get("data"))
        else:
            self._complete(answer)
        return answer

    def every(self, call: Read) -> Iterator[StripeJson]:
        """As the port says. Raises UnreadableList."""
        for entry in self._inner.every(call):
            self._complete(entry)
            yield entry

    def clock(self) -> datetime | None:
        """As the port says."""
        return self._inner.clock()

    def _complete_all(self, entries: JsonValue | None) -> None:
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                self._complete(entry)

    def _complete(self, holder: StripeJson) -> None:
        """Read the rest of every list in `holder`, and in the objects that came expanded with it."""
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
            raise UnreadableList(f"the list at {rest.path} came without its beginning")
        more = True
        while more:
            form = {**rest.form, "limit": _PAGE, **_after(entries)}
            try:
                page = self._inner.read(Read(rest.path, form))
            except (MissingInStripe, InvalidRequest) as refused:
                # Not the answer to what was asked for: "no such object" would mean that the holder is gone.
                raise UnreadableList(f"the rest of a list cannot be read: {refused.message}") from refused
            read = page.get("data")
            if not isinstance(read, list) or (read and read[-1] in entries[-1:]):
                raise UnreadableList(f"the list at {rest.path} does not come to an end")
            entries.extend(read)
            more = page.get("has_more") is True and bool(read)
        cut["has_more"] = False


def _after(entries: list[JsonValue]) -> dict[str, JsonValue]:
    """The cursor behind what has been read; none if that is nothing."""
    last = entries[-1] if entries else None
    return {"starting_after": last.get("id")} if isinstance(last, dict) else {}


def _rest_of(holder: StripeJson, name: str, cut: StripeJson) -> Read:
    """Where the rest of a list is read. Raises UnreadableList."""
    known = _LISTED_AT.get((str(holder.get("object")), name))
    if known is not None:
        return Read(known[0], {known[1]: holder.get("id")})
    where = urlsplit(str(cut.get("url")))
    # Whatever is answered, the key goes to no other address than the API's own.
    if not where.path.startswith("/v1/") or where.scheme or where.netloc:
        raise UnreadableList(f"Stripe sent a part of {name} and not where the rest is")
    return Read(where.path, dict(parse_qsl(where.query)))
