"""Decodes a request's parameters, checks them against contract.json and gives each value its type.

The SDK's types say which parameters exist; the recordings say how Stripe refuses a wrong one. If the two
differ, the recordings win (`REQUIRED`, `ORDER`; docs/sandbox.md has the list). contract_dahlia.json has the
parameters that differ in the API version of the recordings, which is older than the SDK's.

The refusals of limits are in Stripe's words as far as they are known. The currencies are those of Stripe's
documentation; an account at Stripe can use those of its country.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from seatctl.sandbox.errors import ApiError, empty_param, malformed, missing_param, unknown_params
from seatctl.sandbox.metadata import MOST_KEYS, too_many_keys
from seatctl.sandbox.objects import ENDIVE, Obj

ParamPath = tuple[str, ...]

# Required by Stripe although optional in the SDK's types, from the recordings and the API reference.
REQUIRED = {
    "SubscriptionCreateParams": ("customer", "items"),
    "PaymentMethodAttachParams": ("customer",),
    "PaymentMethodCreateParams": ("type",),
    "InvoiceCreateParams": ("customer",),
    "InvoiceItemCreateParams": ("customer",),
    "checkout.SessionCreateParams": ("mode",),
    "billing_portal.SessionCreateParams": ("customer",),
}
# The order in which Stripe names the values of an enum, as far as it was recorded.
ORDER = {
    ("SubscriptionListParams", "status"): "active|past_due|unpaid|canceled|incomplete|incomplete_expired"
    "|trialing|paused|all|ended",
    ("SubscriptionCreateParams", "payment_behavior"): "allow_incomplete|error_if_incomplete"
    "|pending_if_incomplete|default_incomplete",
    ("SubscriptionUpdateParams", "payment_behavior"): "allow_incomplete|error_if_incomplete"
    "|pending_if_incomplete|default_incomplete",
    ("InvoiceListParams", "status"): "draft|open|void|paid|uncollectible",
    ("InvoiceCreateParams", "pending_invoice_items_behavior"): "include|exclude",
    ("PaymentIntentCancelParams", "cancellation_reason"): "duplicate|fraudulent|requested_by_customer"
    "|abandoned",  # as documented
}


_NO_TAX_OR_CONNECT = (
    "application_fee_percent", "application_fee_amount", "default_tax_rates", "on_behalf_of", "tax_rates",
    "transfer_data", "default_source", "account_tax_ids",
)  # fmt: skip
# Parameters that the sandbox cannot honor, and therefore refuses: a wrong price would be worse than a 400.
UNSUPPORTED = {
    "CustomerCreateParams": ("source",),
    "test_helpers.TestClockCreateParams": ("customer",),
    "CustomerUpdateParams": ("source", "default_source"),
    "CouponCreateParams": ("currency_options",),
    "CouponUpdateParams": ("currency_options",),
    "PromotionCodeCreateParams": ("restrictions",),
    "PromotionCodeUpdateParams": ("restrictions",),
    "SubscriptionCreateParams": (*_NO_TAX_OR_CONNECT, "billing_schedules", "billing_thresholds",
                                 "billing_cycle_anchor_config", "backdate_start_date",
                                 "pending_invoice_item_interval"),
    "SubscriptionUpdateParams": (*_NO_TAX_OR_CONNECT, "billing_schedules", "billing_thresholds",
                                 "pending_invoice_item_interval"),
    "SubscriptionItemCreateParams": (*_NO_TAX_OR_CONNECT, "billing_thresholds", "discounts"),
    "SubscriptionItemUpdateParams": (*_NO_TAX_OR_CONNECT, "billing_thresholds", "discounts"),
    "InvoiceCreateParams": (*_NO_TAX_OR_CONNECT, "from_invoice", "shipping_cost"),
    "InvoiceUpdateParams": (*_NO_TAX_OR_CONNECT, "shipping_cost"),
    "InvoiceItemCreateParams": _NO_TAX_OR_CONNECT,
    "InvoiceItemUpdateParams": _NO_TAX_OR_CONNECT,
    "InvoiceCreatePreviewParams": ("schedule", "schedule_details", "on_behalf_of"),
    "CreditNoteCreateParams": ("shipping_cost", "refunds"),
    "PaymentIntentCreateParams": (*_NO_TAX_OR_CONNECT, "confirmation_token", "payment_method_data"),
    "PaymentIntentUpdateParams": (*_NO_TAX_OR_CONNECT, "payment_method_data"),
    "PaymentIntentConfirmParams": ("confirmation_token", "payment_method_data", "amount_to_confirm"),
}  # fmt: skip


def decode(encoded: str | None) -> Obj:
    """Return the parameters in a form body or query string: nested dicts and lists of strings."""
    root: Obj = {}
    for name, value in parse_qsl(encoded or "", keep_blank_values=True):
        _put(root, _keys(name), value)
    return {name: _lists(value) for name, value in root.items()}


def bracketed(path: tuple[str, ...]) -> str:
    """Return the path `("items", "0", "price")` as Stripe writes it in `param`: `items[0][price]`."""
    return path[0] + "".join(f"[{key}]" for key in path[1:])


def _keys(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    return [head, *rest.removesuffix("]").split("][")]


def _put(target: Obj, keys: list[str], value: str) -> None:
    for position, key in enumerate(keys[:-1]):
        name = str(len(target)) if position and key == "" else key
        below = target.get(name)
        if not isinstance(below, dict):
            below = target[name] = {}
        target = below
    last = str(len(target)) if len(keys) > 1 and keys[-1] == "" else keys[-1]
    target[last] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(below) for key, below in value.items()}


@cache
def _text(file: str) -> str:
    return Path(__file__).with_name(file).read_text("utf-8")


def _entry(file: str, name: str) -> Obj:
    """Return one endpoint's entry; each entry is on a line of its own, so only that line is parsed."""
    text, start = _text(file), f'\n"{name}":'
    position = text.find(start)
    entry: Obj = {} if position < 0 else json.JSONDecoder().raw_decode(text, position + len(start))[0]
    return entry


@cache
def fields(params: str, version: str) -> dict[str, Any]:
    """Return the parameters of an endpoint in an API version; the name of a required one ends in `!`."""
    specs = _entry("contract.json", params)
    if version < ENDIVE:
        # The parameters that differ in the older version; null for one that it does not have.
        older = _entry("contract_dahlia.json", params)
        same = {name: spec for name, spec in specs.items() if name not in older}
        specs = {**same, **{name: spec for name, spec in older.items() if spec is not None}}
    for (name, field), words in ORDER.items():
        if name == params:
            specs[field] = f"e:{words}"
    return specs


def check(params: str, sent: Obj, version: str) -> Obj:
    """Return the parameters with their types. Raises ApiError for the first wrong one, as Stripe does."""
    specs = fields(params, version)
    unknown: list[str] = []
    _find_unknown(sent, {"f": specs}, (), unknown)
    if unknown:
        raise unknown_params(unknown)
    typed = {name: _typed(value, _spec(specs, name), (name,)) for name, value in sent.items()}
    _check_supported(params, typed)
    check_limits(typed)
    if not params.endswith("ListParams"):  # a list is filtered by any text
        _check_emails(typed)
    required = REQUIRED.get(params, ()) + tuple(n[:-1] for n in specs if n.endswith("!"))
    for name in (*required, "starting_after", "ending_before"):
        if typed.get(name) == "":
            raise empty_param(name)
    for name in required:
        if typed.get(name) is None:
            raise missing_param(name)
    return typed


def _check_supported(params: str, typed: Obj) -> None:
    for name in UNSUPPORTED.get(params, ()):
        if typed.get(name) not in (None, "", [], False):
            raise malformed(f"The sandbox does not support `{name}`.", name)
    for mode in (typed.get("billing_mode"), (typed.get("subscription_data") or {}).get("billing_mode")):
        if (((mode or {}).get("flexible") or {}).get("proration_discounts") or "included") != "included":
            raise malformed("The sandbox includes discounts in the amounts of prorations.", "billing_mode")
    if (
        typed.get("billing_cycle_anchor")
        and typed.get("proration_behavior") == "none"
        and "customer" in typed
    ):
        raise malformed("The sandbox always bills the time until the anchor.", "proration_behavior")
    for position, item in enumerate(typed.get("items") or []):
        for name in ("discounts", "tax_rates", "billing_thresholds"):
            if item.get(name):
                raise malformed(
                    f"The sandbox does not support `{name}` of an item.", f"items[{position}][{name}]"
                )


def _spec(fields: dict[str, Any], name: str) -> Any:
    return fields.get(name, fields.get(f"{name}!"))


def _options(spec: Any) -> list[Any]:
    return spec["u"] if isinstance(spec, dict) and "u" in spec else [spec]


def _find_unknown(value: Any, spec: Any, path: ParamPath, unknown: list[str]) -> None:
    options = _options(spec)
    if isinstance(value, dict):
        shape = next((o for o in options if isinstance(o, dict) and "f" in o), None)
        if shape is None:
            return
        for name, below in value.items():
            inner = _spec(shape["f"], name)
            if inner is None:
                unknown.append(bracketed((*path, name)))
            else:
                _find_unknown(below, inner, (*path, name), unknown)
    elif isinstance(value, list):
        array = next((o for o in options if isinstance(o, dict) and "a" in o), None)
        for position, below in enumerate(value if array else []):
            _find_unknown(below, array["a"] if array else None, (*path, str(position)), unknown)


def _typed(value: Any, spec: Any, path: ParamPath) -> Any:
    options = _options(spec)
    # In the types, an empty string unsets few fields; as recorded, it unsets any string.
    if value == "" and ("s" in options or _may_be_empty(spec)):
        return ""
    if isinstance(value, str):
        return _scalar(value, options, path)
    kind = "a" if isinstance(value, list) else "f"
    for option in options:
        if isinstance(option, dict) and "m" in option and isinstance(value, dict):
            return {key: _typed(below, option["m"], (*path, key)) for key, below in value.items()}
        if isinstance(option, dict) and kind in option:
            return _nested(value, option, path)
    if isinstance(value, list) and any(isinstance(o, dict) and "m" in o for o in options):
        return {str(key): below for key, below in enumerate(value)}
    raise malformed(f"Invalid {'string' if 's' in options else 'value'}: {value}", bracketed(path))


def _nested(value: Any, spec: Any, path: ParamPath) -> Any:
    if isinstance(value, list):
        return [_typed(below, spec["a"], (*path, str(n))) for n, below in enumerate(value)]
    fields = spec["f"]
    for required in (name[:-1] for name in fields if name.endswith("!")):
        if value.get(required) in (None, ""):
            refusal = missing_param if value.get(required) is None else empty_param
            raise refusal(bracketed((*path, required)))
    return {name: _typed(below, _spec(fields, name), (*path, name)) for name, below in value.items()}


def _may_be_empty(spec: Any) -> bool:
    if isinstance(spec, dict):
        return bool(spec.get("?")) or any(_may_be_empty(option) for option in spec.get("u", ()))
    return str(spec).startswith("?")


def _scalar(value: str, options: list[Any], path: ParamPath) -> Any:
    words = [option.lstrip("?") for option in options if isinstance(option, str)]
    allowed = [word for name in words if name.startswith("e:") for word in name[2:].split("|")]
    if value in allowed:
        return value
    plain = [name for name in words if not name.startswith("e:")]
    refusal: ApiError | None = None
    for name in plain:
        try:
            return _convert(value, name, path)
        except ApiError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    if allowed:
        raise malformed(f"Invalid {bracketed(path)}: must be one of {_enumerate(allowed)}", bracketed(path))
    array = any(isinstance(option, dict) and "a" in option for option in options)
    raise malformed("Invalid array" if array else "Invalid object", bracketed(path))


def _enumerate(words: list[str]) -> str:
    if len(words) < 3:
        return " or ".join(words)
    return ", ".join(words[:-1]) + f", or {words[-1]}"


def _convert(value: str, kind: str, path: ParamPath) -> Any:
    name = bracketed(path)
    if kind == "b":
        if value in ("true", "false"):
            return value == "true"
        raise malformed(f"Invalid boolean: {value}", name)
    if kind == "i":
        if value.removeprefix("-").isdigit() and value.isascii():
            return int(value)
        raise malformed(f"Invalid integer: {value}", name, code="parameter_invalid_integer")
    if kind == "n":
        try:
            float(value)
        except ValueError:
            raise malformed(f"Invalid decimal: {value}", name) from None
        return value
    return value


_LONGEST_KEY: Final = 40
_LONGEST_VALUE: Final = 500

CURRENCIES: Final = (
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt",
    "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf",
    "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd",
    "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl", "hrk", "htg", "huf", "idr",
    "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf", "krw", "kwd", "kyd", "kzt",
    "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt", "mop", "mro", "mur",
    "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr", "nzd", "omr", "pab", "pen",
    "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek",
    "sgd", "shp", "sle", "sll", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd",
    "twd", "tzs", "uah", "ugx", "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer",
    "zar", "zmw",
)  # fmt: skip

_AMOUNTS: Final = frozenset(("amount", "amount_off", "unit_amount"))
_DIGITS: Final = {"idr": 12, "cop": 10, "huf": 10, "jpy": 10, "inr": 9}
_USUAL_DIGITS: Final = 8


def largest_amount(currency: str) -> int:
    """Return the largest amount of a currency, in minor units: eight digits for most currencies."""
    return int(10 ** _DIGITS.get(currency, _USUAL_DIGITS)) - 1


def check_limits(typed: Obj) -> None:
    """Refuse values that are too long or too large, at any depth of the parameters."""
    for path, name, value, siblings in _walk(typed, ()):
        if name == "metadata" and isinstance(value, dict):
            _check_metadata(value)
        elif name == "currency" and isinstance(value, str) and value:
            _check_currency(value, bracketed(path))
        elif name in _AMOUNTS and isinstance(value, int):
            _check_amount(abs(value), siblings, bracketed(path))


# A domain without a dot, a space and a full-width `＠` are refused (public bug reports).
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def _check_emails(typed: Obj) -> None:
    for path, name, value, _ in _walk(typed, ()):
        if name in ("email", "customer_email", "receipt_email") and value and not _EMAIL.fullmatch(value):
            raise malformed(f"Invalid email address: {value}", bracketed(path), code="email_invalid")


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any, Obj]]:
    """Yield each named value as (path, name, value, values beside it), except those in metadata."""
    if isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _walk(entry, (*path, str(position)))
    elif isinstance(value, dict):
        for name, field in value.items():
            yield (*path, name), name, field, value
            if name != "metadata":
                yield from _walk(field, (*path, name))


def _check_metadata(metadata: Obj) -> None:
    for key, value in metadata.items():
        for noun, text, longest in (("key", key, _LONGEST_KEY), ("val", str(value), _LONGEST_VALUE)):
            if len(text) > longest:
                raise malformed(
                    f"Invalid {noun}: {text} must be a string under {longest} characters", "metadata"
                )
    if len(metadata) > MOST_KEYS:
        raise too_many_keys(len(metadata))


def _check_currency(currency: str, param: str) -> None:
    if currency.lower() not in CURRENCIES:
        names = ", ".join(CURRENCIES)
        raise malformed(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {names}", param
        )


def _check_amount(amount: int, siblings: Obj, param: str) -> None:
    currency = str(siblings.get("currency") or "idr").lower()  # by default the one with the largest amounts
    if amount > largest_amount(currency):
        from seatctl.sandbox.money import amount_text  # it loads `fractions`, which few requests need

        largest = amount_text(str(largest_amount(currency)), currency)
        raise malformed(f"Amount must be no more than {largest}", param, code="amount_too_large")
