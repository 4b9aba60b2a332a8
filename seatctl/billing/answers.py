"""What Stripe's answers mean: which one each call must get, which error a failure is, where a list goes on.

Any answer but the expected one (a login page, half a body, another object) proves nothing: neither that the
call was carried out nor that it was not. The expected answer follows from method and path, because Stripe
names its objects after its collections. So calls journalled by an older version are checked as well.

Stripe sends only the first ten entries of a list inside an object. The line that paid the running period is
the last one of an invoice: a sum over the first page would refund nothing. `complete` reads the rest of every
answer, so that no reader can forget to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from seatctl.billing.endpoints import account
from seatctl.billing.objects import objects_in
from seatctl.billing.port import (
    AuthenticationRequired,
    Billing,
    CardDeclined,
    InvalidRequest,
    KeyLacksPermission,
    KeyRejected,
    MissingInStripe,
    RateLimited,
    Read,
    StripeFault,
    StripeJson,
    StripeUnreachable,
    UnreadableAnswer,
)
from seatctl.errors import Code, JsonValue, SeatctlError, TryAgain

_NAMESPACES: Final = frozenset({"checkout", "billing_portal", "test_helpers"})
"""First parts of paths such as `/v1/checkout/sessions`, whose objects are called `checkout.session`."""

_INSIDE: Final = {"lines": "line_item", "payments": "invoice_payment"}
"""Collections inside an object whose entries have another name."""

_MADE_INSIDE: Final = frozenset({"tax_ids"})
"""Collections inside an object to which something can be added; any other word that is posted to is a
verb."""

_PREVIEWS: Final = frozenset({"create_preview", "preview"})
_SHARED: Final = re.compile("pm_[A-Za-z0-9]+_.+")
"""Stripe's test methods (`pm_card_visa`) are shared by everybody: once attached or read, they have another
id."""


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """An object of a type, with the id in the path, or a list of such objects."""

    object: str
    id: str | None = None
    is_list: bool = False


def expected(method: str, path: str) -> ExpectedAnswer:
    """Return what Stripe answers to `method` ("get", "post" or "delete") on `path`."""
    parts = [unquote(part) for part in path.partition("?")[0].removeprefix("/v1/").split("/")]
    names = 2 if parts[0] in _NAMESPACES else 1
    name, rest = ".".join(parts[:names]).removesuffix("s"), parts[names:]
    if is_preview(path):
        return ExpectedAnswer(name)
    if len(rest) > 1 and (method == "get" or rest[1] in _MADE_INSIDE):
        name, rest = _INSIDE.get(rest[1], rest[1].removesuffix("s")), rest[2:]
    if rest:
        return ExpectedAnswer(name, None if _SHARED.fullmatch(rest[0]) else rest[0])
    return ExpectedAnswer(name, is_list=method == "get" and name != "account")


def is_preview(path: str) -> bool:
    """Return whether the answer is an object that does not exist: it has no id and lacks some fields."""
    return path.rpartition("/")[2] in _PREVIEWS


def problem(method: str, path: str, answer: JsonValue) -> str | None:
    """Return why this JSON is not the answer to the call, or None if it is."""
    wanted = expected(method, path)
    if not isinstance(answer, dict) or answer.get("object") != ("list" if wanted.is_list else wanted.object):
        return f"it is not {_called(wanted)}"
    if wanted.is_list:
        return _problem_of_list(wanted, answer)
    if wanted.id is not None and answer.get("id") != wanted.id:
        return f"it is not {wanted.id}"
    if not _has_id(answer) and not is_preview(path):
        return "it has no id"
    if method == "delete" and wanted.object != "subscription" and answer.get("deleted") is not True:
        return "it does not confirm the deletion"
    return None


def _problem_of_list(wanted: ExpectedAnswer, answer: dict[str, JsonValue]) -> str | None:
    entries = answer.get("data")
    if not isinstance(entries, list):
        return f"it is not {_called(wanted)}"
    if not isinstance(answer.get("has_more"), bool):
        return "it does not say whether the list continues"
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("object") != wanted.object or not _has_id(entry):
            return f"it is not {_called(wanted)}"
    return None


def _has_id(holder: dict[str, JsonValue]) -> bool:
    identifier = holder.get("id")
    return isinstance(identifier, str) and bool(identifier)


def _called(wanted: ExpectedAnswer) -> str:
    return f"a list of {wanted.object} objects" if wanted.is_list else f"an object of type {wanted.object}"


# Failures -------------------------------------------------------------------------------------------

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0
_AUTHENTICATION = frozenset(
    {
        "authentication_required",
        "subscription_payment_intent_requires_action",
        "invoice_payment_intent_requires_action",
    }
)
_TAX = frozenset({"customer_tax_location_invalid", "stripe_tax_inactive"})
_ANOTHER_CARD = "use a card that is saved in Stripe: --payment-method pm_…"
_ANOTHER_CUSTOMER = (
    "to bill a new customer: seatctl subs buy --plan PLAN --seats N --name NAME --payment-method ID"
)
_TRUST = (
    "if your network has its own CA, set REQUESTS_CA_BUNDLE to its file, or: "
    "seatctl config set stripe.ca_bundle FILE"
)
_SET_BEHAVIOR = "to add the tax to the price: seatctl plans edit PLAN --tax-behavior exclusive"
_NO_TAX = "to buy without Stripe's tax: seatctl config set stripe.automatic_tax off"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, without the SDK's classes. `status` None: no answer came."""

    status: int | None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    decline_code: str | None = None
    message: str = ""
    request_id: str | None = None
    retry_after: float | None = None
    """Seconds, from the Retry-After header."""
    unusable: str | None = None
    """Why the answer is not Stripe's, whatever its status; None if it is."""
    untrusted: bool = False
    """Whether the server could not prove that it is Stripe: a proxy that signs with its own CA."""
    call: str = ""
    """Method and path, for the message. The body is not Stripe's, so it is never shown."""

    @property
    def proves_nothing(self) -> bool:
        """Whether the call may have been carried out nevertheless."""
        return self.unusable is not None or self.status is None or self.status == 409 or self.status >= 500


def pause_before_retry(failure: Failure, attempt: int, jitter: float) -> float | None:
    """Return the seconds to wait before attempt `attempt` + 1, or None if a retry cannot help.

    The idempotency key makes retries safe. A 402 is an answer, not a failure: it is never retried. `jitter`
    is between 0.5 and 1, so that many clients do not return at the same moment.
    """
    if failure.untrusted:  # the certificate will be the same next time
        return None
    if failure.unusable is None:
        passing = failure.status is None or failure.status in {409, 429} or failure.status >= 500
    else:  # a proxy that refuses or redirects will do so again
        passing = not 300 <= (failure.status or 0) < 500
    if not passing or failure.type == "idempotency_error":
        return None
    backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)) * jitter
    return max(backoff, min(failure.retry_after or 0.0, _LONGEST_PAUSE))


def as_error(failure: Failure) -> SeatctlError:
    """Return the port's error for a failure, with a hint and Stripe's request id."""
    data = _data(failure)
    if failure.unusable is not None:
        return UnreadableAnswer(
            f"the answer to {failure.call} cannot be used: {failure.unusable} (HTTP {failure.status})",
            hint="seatctl doctor",
            data={**data, "call": failure.call},
        )
    if failure.status is None:
        hint = _TRUST if failure.untrusted else "seatctl doctor"
        return StripeUnreachable(f"no answer from Stripe: {failure.message}", hint=hint, data=data)
    if failure.type == "idempotency_error" or failure.proves_nothing:
        return _doubtful(failure, data)
    if failure.status == 429:
        busy = failure.code == "lock_timeout"
        told = "another request is changing this object in Stripe" if busy else "Stripe asked to slow down"
        return RateLimited(told, hint="run the same command again in a minute", data=data)
    return _answered(failure, data)


def _doubtful(failure: Failure, data: Mapping[str, JsonValue]) -> SeatctlError:
    """Return the error of an answer after which it is unknown whether the call was carried out."""
    if failure.type == "idempotency_error":
        # The key was used with another form: as after a fault, only Stripe's objects tell what was done.
        return StripeFault(
            "Stripe has seen this idempotency key with another request", hint="seatctl sync", data=data
        )
    if failure.status == 409:
        return StripeUnreachable(
            "another request with the same idempotency key is in progress",
            hint="run the same command again",
            data=data,
        )
    return StripeFault(f"Stripe failed ({failure.status})", hint="run the same command again", data=data)


def _answered(failure: Failure, data: Mapping[str, JsonValue]) -> SeatctlError:
    """Return the error of a 4xx answer: Stripe understood the request and refused it."""
    text = failure.message.rstrip(".")
    if failure.status == 401:
        return KeyRejected("Stripe does not accept this key", hint="seatctl doctor", data=data)
    if failure.status == 403:
        other = failure.code == "account_invalid"
        hint = "correct the account: seatctl config set stripe.context acct_…" if other else "seatctl doctor"
        return KeyLacksPermission(f"the key may not do this: {text}", hint=hint, data=data)
    if failure.code in _AUTHENTICATION:
        return AuthenticationRequired(f"the bank requires authentication: {text}", data=data)
    if failure.status == 402 or failure.type == "card_error":
        return CardDeclined(
            f"the card was declined: {text}", hint="try another card with --payment-method", data=data
        )
    if failure.code == "resource_missing":
        return MissingInStripe(f"Stripe says: {text}", hint=_instead(failure), data=data)
    return InvalidRequest(f"Stripe says: {text}", hint=_way_out(failure), data=data)


def _instead(failure: Failure) -> str:
    """Return what helps if something is missing in Stripe; for deleted objects a sync may have no event."""
    # A customer without a card: Stripe names no parameter, and a sync would find nothing missing.
    if failure.param == "payment_method" or "no attached payment source" in failure.message:
        return _ANOTHER_CARD
    if failure.message.startswith("No such customer"):
        return _ANOTHER_CUSTOMER
    if failure.message.startswith("No such subscription"):
        return "seatctl reconcile --fix"
    return "seatctl sync --full"


def _way_out(failure: Failure) -> str | None:
    """Return what helps after a refusal if Stripe names its reason, else None."""
    param = failure.param or ""
    if "tax_behavior" in failure.message:
        return _SET_BEHAVIOR
    if "automatic_tax" in param or failure.code in _TAX:
        return _NO_TAX
    if param.endswith("[price]") and "inactive" in failure.message:
        return "activate the price in Stripe's dashboard, then run the same command again"
    if param.endswith(("proration_date", "proration_date]")):
        return "a new period has begun: run the same command again"
    return None


def _data(failure: Failure) -> dict[str, JsonValue]:
    fields = {
        "stripe_status": failure.status,
        "stripe_code": failure.code,
        "stripe_param": failure.param,
        "decline_code": failure.decline_code,
        "stripe_request_id": failure.request_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


# Lists inside of objects ----------------------------------------------------------------------------

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


def complete(answer: StripeJson, read: Callable[[Read], StripeJson]) -> None:
    """Read the rest of every list inside an object, or inside the entries of a page. Raises UnreadableList.

    The page itself is left as it is. `read` sends a call.
    """
    if answer.get("object") == "list":
        for entry in objects_in(answer.get("data")):
            complete(entry, read)
    elif not str(answer.get("id")).startswith(_PREVIEW):
        for name, value in answer.items():
            if not isinstance(value, dict):
                continue
            if value.get("object") == "list" and value.get("has_more") is True:
                _read_on(value, _rest_of(answer, name, value), read)
            complete(value, read)


def _read_on(cut: StripeJson, rest: Read, read: Callable[[Read], StripeJson]) -> None:
    """Add to a list the entries on its further pages."""
    entries = cut.get("data")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableList(f"the list at {rest.path} has no entries to continue from")
    more = True
    while more:
        try:
            page = read(Read(rest.path, {**rest.form, "limit": _PAGE, **_after(entries)}))
        except (MissingInStripe, InvalidRequest) as refused:
            # Passed on as it is, "no such object" would mean that the holder is gone.
            raise UnreadableList(f"the rest of a list cannot be read: {refused.message}") from refused
        added = page.get("data")
        if not isinstance(added, list) or (added and added[-1] in entries[-1:]):
            raise UnreadableList(f"the list at {rest.path} does not end")
        entries.extend(added)
        more = page.get("has_more") is True and bool(added)
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


def account_id(billing: Billing) -> str | None:
    """Return the id of the account behind the key; None if Stripe does not tell this key.

    A restricted key gets 403. A server that speaks only part of Stripe's API (a proxy, a mock) answers 404 or
    400, a 404 in any form. Raises KeyRejected, KeyLacksPermission for a context that is not the key's, and
    the port's errors if no answer came.
    """
    try:
        return str(billing.read(account())["id"])
    except (KeyLacksPermission, MissingInStripe, InvalidRequest) as refused:
        if refused.data.get("stripe_code") == "account_invalid":
            raise  # the context names an account that the key may not use at all
        return None
    except UnreadableAnswer as answer:
        if answer.data.get("stripe_status") != HTTPStatus.NOT_FOUND:
            raise
        return None
