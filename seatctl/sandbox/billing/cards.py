"""Stripe's test cards: which card `tok_…` and `pm_card_…` name, and how each behaves.

Numbers and behavior are from Stripe's public list of test cards and from recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import Obj


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a bank declines a card."""

    code: str = "card_declined"
    decline_code: str | None = "generic_decline"
    message: str = "Your card was declined."
    advice_code: str = "try_again_later"
    network_decline_code: str = "01"
    param: str = ""  # the field that a refused attachment names; a refused payment names none

    def details(self) -> Obj:
        """Return the reason, as fields of an error or of a payment's `last_payment_error`."""
        return {
            "advice_code": self.advice_code,
            **({"decline_code": self.decline_code} if self.decline_code else {}),
            "network_decline_code": self.network_decline_code,
        }

    def refusal(
        self, *, param: str | None = None, extra: Obj | None = None, keeps_changes: bool = False
    ) -> ApiError:
        """Return the refusal with status 402 that a client gets."""
        return ApiError(
            402,
            self.message,
            code=self.code,
            param=param,
            kind="card_error",
            extra={**self.details(), **(extra or {})},
            keeps_changes=keeps_changes,
        )


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `attach` and `charge` say how attaching and charging it are declined, if they are."""

    brand: str
    last4: str
    country: str = "US"
    funding: str = "credit"
    attach: Decline | None = None
    charge: Decline | None = None
    authenticate: str = "never"  # or "once" (then it is set up for off-session use) or "always"
    disputed: str | None = None  # the reason for which the bank disputes each payment


def _declining(last4: str, decline: Decline) -> Card:
    return Card("visa", last4, attach=decline, charge=decline)


_PLAIN = Decline()
_FUNDS = Decline(decline_code="insufficient_funds", message="Your card has insufficient funds.",
                 network_decline_code="51")  # fmt: skip
_LOST = Decline(decline_code="lost_card", advice_code="do_not_try_again", network_decline_code="41")
_STOLEN = Decline(decline_code="stolen_card", advice_code="do_not_try_again", network_decline_code="43")
_FRAUD = Decline(decline_code="fraudulent", advice_code="do_not_try_again")
_VELOCITY = Decline(decline_code="card_velocity_exceeded", network_decline_code="65",
                    message="Your card was declined for making repeated attempts too frequently or exceeding "
                    "its amount limit.")  # fmt: skip
# These have no decline code (Stripe's table of test cards); the first two name a field.
_EXPIRED = Decline("expired_card", None, "Your card has expired.", "do_not_try_again", "54", "exp_month")
_CVC = Decline("incorrect_cvc", None, "Your card's security code is incorrect.", "confirm_card_data", "N7",
               "cvc")  # fmt: skip
_PROCESSING = Decline(
    "processing_error", None, "An error occurred while processing your card. Try again in a little bit."
)

# These have a second name, with `visa_` before it.
_REFUSED = {
    "chargeDeclined": _declining("0002", _PLAIN),
    "chargeDeclinedInsufficientFunds": _declining("9995", _FUNDS),
    "chargeDeclinedLostCard": _declining("9987", _LOST),
    "chargeDeclinedStolenCard": _declining("9979", _STOLEN),
    "chargeDeclinedFraudulent": _declining("0019", _FRAUD),
    "chargeDeclinedVelocityLimitExceeded": _declining("6975", _VELOCITY),
    "chargeDeclinedExpiredCard": _declining("0069", _EXPIRED),
    "chargeDeclinedIncorrectCvc": _declining("0127", _CVC),
    "chargeDeclinedProcessingError": _declining("0119", _PROCESSING),
    "chargeCustomerFail": Card("visa", "0341", charge=_PLAIN),
}
_CARDS = {
    **_REFUSED,
    **{f"visa_{name}": card for name, card in _REFUSED.items()},
    "visa": Card("visa", "4242"),
    "visa_debit": Card("visa", "5556", funding="debit"),
    "mastercard": Card("mastercard", "4444"),
    "mastercard_debit": Card("mastercard", "3222", funding="debit"),
    "mastercard_prepaid": Card("mastercard", "5100", funding="prepaid"),
    "amex": Card("amex", "8431"),
    "discover": Card("discover", "9424"),
    "diners": Card("diners", "0004"),
    "jcb": Card("jcb", "0505"),
    "unionpay": Card("unionpay", "0005", country="CN"),
    "ca": Card("visa", "0000", country="CA"),
    "gb": Card("visa", "0000", country="GB"),
    "de": Card("visa", "0016", country="DE"),
    "threeDSecure2Required": Card("visa", "3220", country="IE", authenticate="always"),
    "threeDSecureRequired": Card("visa", "3220", country="IE", authenticate="always"),
    "authenticationRequired": Card("visa", "3184", country="IE", authenticate="always"),
    "authenticationRequiredOnSetup": Card("visa", "3155", country="IE", authenticate="once"),
    "authenticationRequiredSetupForOffSession": Card("visa", "3155", country="IE", authenticate="once"),
    "authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "visa", "8260", country="IE", charge=_FUNDS, authenticate="always"
    ),
    "createDispute": Card("visa", "0259", disputed="fraudulent"),
    "threeDSecureOptional": Card("visa", "3055", country="IE"),
    "threeDSecure2Optional": Card("visa", "3055", country="IE"),
}


def by_token(identifier: str) -> str | None:
    """Return the name of the test card that `tok_…` names, or None."""
    name = identifier.removeprefix("tok_")
    return name if identifier.startswith("tok_") and name in _CARDS else None


def by_test_id(identifier: str) -> str | None:
    """Return the name of the test card that `pm_card_…` names, or None."""
    name = identifier.removeprefix("pm_card_")
    return name if identifier.startswith("pm_card_") and name in _CARDS else None


def card(name: str) -> Card:
    """Return the test card of this name."""
    return _CARDS[name]
