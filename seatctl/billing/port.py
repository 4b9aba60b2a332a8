"""The Stripe port: the calls that seatctl makes, and the errors it can get.

There is one implementation, over the official SDK (`stripe.py`); the sandbox is a server behind the same SDK.
Answers are Stripe's JSON; `objects.py` reads them into values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from seatctl.errors import Code, JsonValue, NotAllowed, StripeRefused, TryAgain

if TYPE_CHECKING:
    from seatctl.models.call import Call

StripeJson = dict[str, JsonValue]
Form = Mapping[str, JsonValue]
"""The parameters of a call as nested JSON, exactly as sent and recorded."""


class CardDeclined(StripeRefused):
    """The bank refused the payment; nothing was charged. Never retried: another attempt needs a new key."""

    kind = Code.CARD_DECLINED


class AuthenticationRequired(StripeRefused):
    """The bank asks the cardholder to confirm; this call did not make the payment."""

    kind = Code.AUTHENTICATION_REQUIRED


class InvalidRequest(StripeRefused):
    """Stripe does not accept the request: a parameter, a state, a limit of the account."""

    kind = Code.STRIPE_INVALID_REQUEST


class MissingInStripe(StripeRefused):
    """Stripe does not know the id (`resource_missing`)."""

    kind = Code.STRIPE_RESOURCE_MISSING


class KeyRejected(NotAllowed):
    """Stripe does not accept the key (401)."""

    kind = Code.KEY_REJECTED


class KeyLacksPermission(NotAllowed):
    """The restricted key does not permit this (403)."""

    kind = Code.KEY_LACKS_PERMISSION


class RateLimited(TryAgain):
    """Stripe asked to slow down (429) at every try; the call was not carried out."""

    kind = Code.RATE_LIMITED


class StripeUnreachable(TryAgain):
    """No answer came. Whether the call was carried out is unknown; the same key makes a retry safe."""

    kind = Code.STRIPE_UNREACHABLE


class UnreadableAnswer(StripeUnreachable):
    """The answer is not Stripe's, which is as good as none. The message names the call."""

    kind = Code.STRIPE_ANSWER_UNREADABLE


class StripeFault(TryAgain):
    """Stripe failed (5xx). Whether the call was carried out is unknown; the key now replays the failure."""

    kind = Code.STRIPE_FAULT


@dataclass(frozen=True, slots=True)
class Write:
    """A call that changes something in Stripe, as sent and as recorded in a step."""

    method: Literal["post", "delete"]
    path: str
    form: Form


@dataclass(frozen=True, slots=True)
class Read:
    """A call that changes nothing: an object, a list, a preview."""

    path: str
    form: Form
    method: Literal["get", "post"] = "get"


class Billing(Protocol):
    """Stripe, as seatctl uses it; `endpoints.py` names the calls. Raises the errors above.

    Every answer has been checked: it belongs to the call (`answers.py`) and can be read (`objects.py`), with
    type, id and the fields that seatctl relies on.
    """

    @property
    def context(self) -> str | None:
        """The account on which all calls act, as seen from the key's own; None: that of the key.

        Stripe keeps idempotency keys for each account and context: a key says nothing in another context.
        """

    def write(self, call: Write, key: str) -> StripeJson:
        """Carry out a change. `key` is the idempotency key that makes a retry safe.

        Keys have no effect on DELETE: there a 404 means done, if a read confirms it. Raises
        `write_in_dry_run` under --dry-run.
        """

    def read(self, call: Read) -> StripeJson:
        """Return one object, or Stripe's preview of an invoice."""

    def every(self, call: Read) -> Iterator[StripeJson]:
        """Yield every object of a list, newest first, page after page. Only type and id are checked."""

    def clock(self) -> datetime | None:
        """Return Stripe's time at its last answer (UTC, whole seconds); None before the first answer.

        Use it for comparisons with Stripe's times: the machine's clock may be hours off. A port that checks
        something before its first call may make that call here, and raise its errors.
        """


def stripe_now(billing: Billing, call: Call) -> datetime:
    """Return Stripe's time at its last answer, UTC; our own time before the first answer.

    The machine's clock may be hours off. A `proration_date` from it could be outside of the period, which
    Stripe refuses, or in the wrong term.
    """
    return billing.clock() or call.now
