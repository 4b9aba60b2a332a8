"""Billing details as typed: addresses by their parts, tax ids with their type. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seatctl.errors import UsageError
from seatctl.rules.emails import check_email
from seatctl.rules.purchases import check_payment_method
from seatctl.rules.typed_values import did_you_mean, pairs

ADDRESS_PARTS = ("line1", "line2", "city", "state", "postal_code", "country")

_LONGEST = 500
_TAX_ID = re.compile(r"([a-z]{2}_[a-z0-9_]+):(\S.*)")


@dataclass(frozen=True, slots=True)
class TaxId:
    """A tax id, in Stripe's words."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Details:
    """What `subs billing` changes. None and empty fields are left as they are."""

    email: str | None = None
    name: str | None = None
    address: tuple[tuple[str, str], ...] = ()
    tax_ids: tuple[TaxId, ...] = ()
    payment_method: str | None = None

    def __bool__(self) -> bool:
        return self != Details()


def read_details(
    email: str | None,
    name: str | None,
    address: Sequence[str],
    tax_ids: Sequence[str],
    payment_method: str | None,
) -> Details:
    """Return the options as a value. Raises UsageError, `bad_payment_method`."""
    problem = None if email is None else check_email(email)
    if problem:
        raise UsageError(f"--email {email!r}: {problem}", hint="use --email EMAIL")
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= _LONGEST):
        raise UsageError("--name takes one line of text", hint="use --name NAME, on one line")
    if payment_method is not None:
        check_payment_method(payment_method)
    return Details(
        email,
        name,
        read_address(address),
        read_tax_ids(tax_ids),
        payment_method,
    )


def read_address(typed: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the parts of an address, each typed as `PART=VALUE`. Raises UsageError."""
    return tuple(pairs("--address", map(_part, typed)).items())


def _part(typed: str) -> tuple[str, str]:
    part, equals, value = typed.partition("=")
    if part not in ADDRESS_PARTS or not equals:
        listed = ", ".join(ADDRESS_PARTS)
        raise UsageError(
            f"--address takes PART=VALUE with one of {listed}, not {typed!r}",
            hint=did_you_mean(part, ADDRESS_PARTS, "use --address PART=VALUE"),
        )
    value = value.strip()
    if not value.isprintable() or len(value) > _LONGEST:
        raise UsageError(
            f"--address {part} takes one line of text", hint=f"use --address {part}=TEXT, on one line"
        )
    if part != "country":
        return part, value
    if not (len(value) == 2 and value.isascii() and value.isalpha()):
        raise UsageError(
            f"--address country: {value!r} is not a country code",
            hint="use a two-letter country code (ISO 3166)",
        )
    return part, value.upper()


def read_tax_ids(typed: Sequence[str]) -> tuple[TaxId, ...]:
    """Return tax ids, each typed as `TYPE:VALUE`. Raises UsageError."""
    return tuple(map(_tax_id, typed))


def _tax_id(typed: str) -> TaxId:
    match = _TAX_ID.fullmatch(typed.strip())
    if match is None or not typed.isprintable():
        raise UsageError(
            f"--tax-id takes TYPE:VALUE, not {typed!r}",
            hint="TYPE is Stripe's type of the tax id (eu_vat, gb_vat, us_ein, …)",
        )
    return TaxId(match[1], match[2].strip())
