"""Automatic tax: one rate for every customer whose location is known; the sandbox has no table of rates.

Without a rate the account collects no tax: the location still has to be known, and the tax is 0. Each line
is rounded by itself. Of the codes of products, the one for what is not taxable counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.money import granularity, round_half_up
from seatctl.sandbox.objects import Obj, pick, subscription_of, token
from seatctl.sandbox.session import Session

RATE, DEFAULT = "tax_rate", "tax_behavior"
"""The settings: the rate in millionths, and the behavior of prices without one, as an index."""
BEHAVIORS = ("unspecified", "exclusive", "inclusive")
MILLION = 1_000_000
_NEEDED = {"US": ("postal_code",), "CA": ("postal_code", "state")}
_NOT_TAXABLE = "txcd_00000000"
_UNKNOWN = {"enabled": True, "provider": "stripe", "status": "requires_location_inputs"}


def is_enabled(params: Obj) -> bool:
    """Whether the parameters turn automatic tax on."""
    return (params.get("automatic_tax") or {}).get("enabled") is True


def of_subscription(*, enabled: bool) -> Obj:
    """Return `automatic_tax` of a subscription."""
    return {"disabled_reason": None, "enabled": enabled, "liability": {"type": "self"} if enabled else None}


def of_invoice(*, enabled: bool) -> Obj:
    """Return `automatic_tax` of a new invoice; its status is known once the taxes are computed."""
    return {**of_subscription(enabled=enabled), "provider": "stripe" if enabled else None, "status": None}


def is_located(session: Session, customer: Obj, *holders: Obj | None) -> bool:
    """Whether the customer's location is known: by the first address of those that Stripe looks at.

    `holders` may have a payment method, whose address counts if the customer has none. A preview does not
    look at it, so that it may show less than is charged.
    """
    addresses = [(customer["shipping"] or {}).get("address"), customer["address"]]
    for holder in () if session.preview else (*holders, customer["invoice_settings"]):
        method = session.store.get("payment_method", (holder or {}).get("default_payment_method") or "")
        addresses.append(method and method["billing_details"]["address"])
    given: Obj = next((address for address in addresses if address and any(address.values())), {})
    needed = _NEEDED.get(str(given.get("country")), ("country",))
    return any(given.get(part) for part in needed)


def unknown_location() -> ApiError:
    """Return the refusal of automatic tax for a customer whose location is not known."""
    message = (
        "The customer's location isn't recognized. Set a valid customer address in order to "
        "automatically calculate tax."
    )
    return invalid(message, code="customer_tax_location_invalid")


def require_location(session: Session, customer: Obj, params: Obj) -> None:
    """Refuse automatic tax of a customer without a location; a preview only shows that it is missing."""
    if is_enabled(params) and not session.preview and not is_located(session, customer, params):
        raise unknown_location()


def require_behavior(session: Session, prices: Iterable[Obj]) -> None:
    """Refuse a price that does not say whether the tax is included; an account may have a default."""
    if not session.store.setting(RATE) or session.store.setting(DEFAULT):
        return
    for price in prices:
        if price["tax_behavior"] == "unspecified":
            message = (
                f"The price `{price['id']}` does not have a `tax_behavior` set which is required for "
                "automatic tax computation. Please visit https://stripe.com/docs/tax/products-prices-tax-categories-"
                "tax-behavior#tax-behavior for more information."
            )
            raise invalid(message)


def compute_taxes(session: Session, invoice: Obj, customer: Obj | None) -> None:
    """Set the taxes of a draft and of its lines, whose discounts are known; and whether they are complete."""
    lines = invoice["lines"]["data"]
    for line in lines:
        line["taxes"] = []
    if invoice["automatic_tax"]["enabled"] and customer is not None:
        subscription = session.store.get("subscription", subscription_of(invoice) or "")
        located = is_located(session, customer, invoice, subscription)
        invoice["automatic_tax"] = {**invoice["automatic_tax"], **_UNKNOWN}
        if located:
            invoice["automatic_tax"]["status"] = "complete"
            rate = Fraction(session.store.setting(RATE) or 0, MILLION)
            relief = _relief(session, customer)
            for line in lines if rate else ():
                line["taxes"] = [_tax(session, line, rate, relief)]
    invoice["total_taxes"] = add_up(tax for line in lines for tax in line["taxes"])


def _relief(session: Session, customer: Obj) -> str | None:
    """Return why a customer pays no tax: exempt, or a business abroad that accounts for it by itself."""
    if customer["tax_exempt"] == "exempt":
        return "customer_exempt"
    tax_ids = session.store.walk("tax_id", customer=customer["id"])
    abroad = any(tax_id["type"].endswith("_vat") for tax_id in tax_ids)
    return "reverse_charge" if abroad or customer["tax_exempt"] == "reverse" else None


def _tax(session: Session, line: Obj, rate: Fraction, relief: str | None) -> Obj:
    details = (line["pricing"] or {}).get("price_details") or {}
    product = session.store.get("product", details.get("product") or "") or {}
    if product.get("tax_code") == _NOT_TAXABLE:
        relief = "product_exempt"
    inclusive = _behavior(session, details.get("price")) == "inclusive"
    net = line["amount"] - sum(part["amount"] for part in line["discount_amounts"])
    amount = 0 if relief else tax_in(net, rate, line["currency"], inclusive=inclusive)
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": _tax_rate(session, rate, inclusive=inclusive)["id"]},
        "taxability_reason": relief or "standard_rated",
        "taxable_amount": net - amount if inclusive else net,
        "type": "tax_rate_details",
    }


def tax_in(amount: int, rate: Fraction, currency: str, *, inclusive: bool) -> int:
    """Return the tax on an amount, or in it; minor units, rounded as the currency requires."""
    step = granularity(currency)
    return round_half_up(amount * rate / (1 + rate if inclusive else 1) / step) * step


def _behavior(session: Session, price: str | None) -> str:
    found = session.store.get("price", price or "")
    named = found["tax_behavior"] if found else "unspecified"
    return BEHAVIORS[session.store.setting(DEFAULT) or 0] if named == "unspecified" else str(named)


def _tax_rate(session: Session, rate: Fraction, *, inclusive: bool) -> Obj:
    """Return the tax rate that Stripe makes for automatic tax; it is made when it is first used."""
    percentage = float(rate * 100)
    for made in session.store.walk("tax_rate"):
        if (made["percentage"], made["inclusive"]) == (percentage, inclusive):
            return made
    made = session.new(
        "tax_rate",
        f"txr_{token(24)}",
        null="country description flat_amount jurisdiction jurisdiction_level state",
        active=False,
        display_name="Tax",
        effective_percentage=percentage,
        inclusive=inclusive,
        metadata={},
        percentage=percentage,
        rate_type="percentage",
        tax_type="vat",
    )
    session.save(made)
    return made


def add_up(taxes: Iterable[Obj]) -> list[Obj]:
    """Return taxes with one entry for each rate, behavior and reason."""
    sums: dict[str, Obj] = {}
    for tax in taxes:
        name = str(pick(tax, "tax_rate_details", "tax_behavior", "taxability_reason"))
        known = sums.setdefault(name, {**tax, "amount": 0, "taxable_amount": 0})
        known["amount"] += tax["amount"]
        known["taxable_amount"] += tax["taxable_amount"]
    return list(sums.values())


def amount_of(taxes: Iterable[Obj], behavior: str | None = None) -> int:
    """Return the sum of taxes, or of those with one behavior; minor units."""
    return sum(tax["amount"] for tax in taxes if behavior in (None, tax["tax_behavior"]))


def part_of(taxes: Iterable[Obj], amount: int, whole: int, currency: str) -> list[Obj]:
    """Return the part of taxes that belongs to `amount` of `whole`, as a credit note gives it back."""
    step, share = granularity(currency), Fraction(amount, whole or 1)
    names = ("amount", "taxable_amount")
    return [
        {**tax, **{name: round_half_up(tax[name] * share / step) * step for name in names}} for tax in taxes
    ]


def finalize(session: Session, invoice: Obj) -> None:
    """Check the location at the end: without it a subscription is billed without tax, from now on.

    An invoice of no subscription is refused.
    """
    if invoice["automatic_tax"]["status"] != "requires_location_inputs":
        return
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is None:
        raise unknown_location()
    off = of_subscription(enabled=False)
    reason = "requires_location_inputs"
    invoice["automatic_tax"] = {
        **invoice["automatic_tax"], **off, "disabled_reason": f"finalization_{reason}", "provider": None,
    }  # fmt: skip
    session.save_changed(
        {**subscription, "automatic_tax": {**off, "disabled_reason": reason}}, "customer.subscription.updated"
    )
