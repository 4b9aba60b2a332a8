"""What a failed call to Stripe means: which error of the port it is, and whether to try again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatctl.billing.port import (
    AuthenticationRequired,
    CardDeclined,
    InvalidRequest,
    KeyLacksPermission,
    KeyRejected,
    MissingInStripe,
    RateLimited,
    StripeFault,
    StripeUnreachable,
    UnreadableAnswer,
)
from seatctl.errors import JsonValue, SeatctlError

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
_NO_TAX = "to buy without Stripe's tax: seatctl config set stripe.automatic_tax off"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, without the SDK's classes. `status` None: no answer came."""

    status: int | None
    type: str | None
    code: str | None
    param: str | None
    decline_code: str | None
    message: str
    request_id: str | None
    retry_after: float | None
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
        return RateLimited(
            "Stripe asked to slow down", hint="run the same command again in a minute", data=data
        )
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
        return KeyLacksPermission(f"the key may not do this: {text}", hint="seatctl doctor", data=data)
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
