"""The Stripe port: what seatctl asks of Stripe, and the errors it gets back.

One implementation exists, over the official SDK (`stripe.py`); the sandbox is a server behind the same
SDK, not a second implementation. Answers are Stripe's JSON; `objects.py` reads them into values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from seatctl.errors import Code, JsonValue, NotAllowed, StripeRefused, TryAgain

StripeJson = dict[str, JsonValue]
Form = Mapping[str, JsonValue]
"""The parameters of a call as nested JSON, exactly as they are sent and recorded."""


class CardDeclined(StripeRefused):
    """The bank refused the payment; nothing was charged. Never retried: another attempt takes a new key."""

    kind = Code.CARD_DECLINED


class AuthenticationRequired(StripeRefused):
    """The bank wants the cardholder to confirm; the payment did not happen in this call."""

    kind = Code.AUTHENTICATION_REQUIRED


class InvalidRequest(StripeRefused):
    """Stripe does not take this request: a parameter, a state, a limit of the account."""

    kind = Code.STRIPE_INVALID_REQUEST


class MissingInStripe(StripeRefused):
    """An id that Stripe does not know (`resource_missing`)."""

    kind = Code.STRIPE_RESOURCE_MISSING


class KeyRejected(NotAllowed):
    """Stripe does not accept the key (401)."""

    kind = Code.KEY_REJECTED


class KeyLacksPermission(NotAllowed):
    """The restricted key may not do this (403)."""

    kind = Code.KEY_LACKS_PERMISSION


class RateLimited(TryAgain):
    """Stripe asks to slow down (429), and kept asking; the call was not carried out."""

    kind = Code.RATE_LIMITED


class StripeUnreachable(TryAgain):
    """No answer came: whether the call was carried out is not known; the same key makes sure."""

    kind = Code.STRIPE_UNREACHABLE


class UnreadableAnswer(StripeUnreachable):
    """What came back is not Stripe's answer to the call: as good as none. The message names the call."""

    kind = Code.STRIPE_ANSWER_UNREADABLE


class StripeFault(TryAgain):
    """Stripe failed (5xx): whether the call was carried out is not known, and the key now replays this."""

    kind = Code.STRIPE_FAULT


@dataclass(frozen=True, slots=True)
class Write:
    """A call that changes something in Stripe, as it is sent and as it is recorded in a step."""

    method: Literal["post", "delete"]
    path: str
    form: Form


@dataclass(frozen=True, slots=True)
class Read:
    """A call that changes nothing: a retrieval, a list, a preview."""

    path: str
    form: Form
    method: Literal["get", "post"] = "get"


class Billing(Protocol):
    """Stripe, as far as seatctl uses it; `endpoints.py` names the calls. Raises the errors above.

    What is returned is the answer to the call (`answers.py`) and can be read (`objects.py`): type, id and
    the fields that seatctl relies on are there.
    """

    def write(self, call: Write, key: str) -> StripeJson:
        """Carry out a change. `key` is the idempotency key that makes a repetition safe.

        Keys do nothing on DELETE: there a 404 means done, if a retrieval agrees. Raises `write_in_dry_run`
        under --dry-run.
        """

    def read(self, call: Read) -> StripeJson:
        """One object, or Stripe's preview of an invoice."""

    def every(self, call: Read) -> Iterator[StripeJson]:
        """Every object of a list, paged on, newest first. Each has its type and id; who uses one reads it."""

    def clock(self) -> datetime | None:
        """Stripe's time when it last answered (UTC, whole seconds); None before its first answer.

        What is compared with Stripe's times goes by this clock: the machine's own may be hours off. A port
        that checks something before its first call may make that call here, and raise its errors.
        """
