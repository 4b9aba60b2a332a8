"""The permissions of a restricted key: which ones a call needs, and how to try one without writing.

A permission is for one kind of object, to read or to write; write includes read. Stripe has another name for
each (`rak_customer_write`), which its refusal tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from seatctl.billing.port import Billing, Form, InvalidRequest, KeyLacksPermission, MissingInStripe, Read


class Access(StrEnum):
    """What a permission allows."""

    READ = "read"
    WRITE = "write"


class Permission(NamedTuple):
    """The right to read or to write one kind of object."""

    objects: str
    """As in Stripe's dashboard."""
    access: Access

    def __str__(self) -> str:
        return f"{self.objects} {self.access}"


class Known(StrEnum):
    """What is known of a permission after Stripe was asked."""

    YES = "yes"
    PROBABLY = "probably"
    """Stripe answered that the object does not exist. It is not documented that it looks at the key first."""
    NO = "no"
    UNKNOWN = "unknown"


_OBJECTS: Final = {
    "account": "account",
    "billing_portal": "customer portal",
    "checkout": "checkout sessions",
    "coupons": "coupons",
    "credit_notes": "credit notes",
    "customers": "customers",
    "disputes": "disputes",
    "events": "events",
    "invoice_payments": "invoices",
    "invoiceitems": "invoices",
    "invoices": "invoices",
    "payment_intents": "payment intents",
    "payment_methods": "payment methods",
    "prices": "prices",
    "products": "products",
    "promotion_codes": "promotion codes",
    "refunds": "refunds",
    "setup_intents": "setup intents",
    "subscription_schedules": "subscription schedules",
    "subscriptions": "subscriptions",
}
"""The first part of a path, and the objects that it is about."""

_INSIDE: Final = {"tax_ids": "tax ids", "payment_methods": "payment methods"}
"""A later part of a path that is about other objects."""

_EXPANDED: Final = {"default_payment_method": "payment methods"}
"""Fields that are expanded. Stripe asks for the permission of what is expanded, too."""


def needed(method: str, path: str, expanded: Iterable[str] = ()) -> set[Permission]:
    """Return the permissions of a call; each POST writes, that of a preview too. Raises KeyError."""
    first, *rest = path.partition("?")[0].removeprefix("/v1/").split("/")
    inside = next((_INSIDE[part] for part in rest if part in _INSIDE), None)
    access = Access.READ if method.upper() == "GET" else Access.WRITE
    fields = {field.rpartition(".")[2] for field in expanded}
    of_expanded = {Permission(_EXPANDED[field], Access.READ) for field in fields if field in _EXPANDED}
    return {Permission(inside or _OBJECTS[first], access), *of_expanded}


def needed_by(call: Read) -> set[Permission]:
    """Return the permissions of a read."""
    expand = call.form.get("expand")
    return needed(call.method, call.path, map(str, expand) if isinstance(expand, list) else ())


_LIST: Final[Form] = {"limit": 1}
_NONE: Final = "seatctl_doctor"
_READS: Final[tuple[tuple[str, str, Form], ...]] = (
    ("checkout sessions", "checkout/sessions", _LIST),
    ("coupons", "coupons", _LIST),
    ("credit notes", "credit_notes", _LIST),
    ("customer portal", "billing_portal/configurations", _LIST),
    ("customers", "customers", _LIST),
    ("disputes", "disputes", _LIST),
    ("events", "events", _LIST),
    ("invoices", "invoices", _LIST),
    ("payment intents", "payment_intents", _LIST),
    ("payment methods", f"payment_methods/pm_{_NONE}", {}),
    ("prices", "prices", _LIST),
    ("products", "products", _LIST),
    ("promotion codes", "promotion_codes", _LIST),
    ("refunds", "refunds", _LIST),
    ("setup intents", f"setup_intents/seti_{_NONE}", {}),
    ("subscription schedules", "subscription_schedules", _LIST),
    ("subscriptions", "subscriptions", _LIST),
    ("tax ids", f"customers/cus_{_NONE}/tax_ids", {}),
)
_WRITES: Final[tuple[tuple[str, str, Form], ...]] = (
    ("checkout sessions", f"checkout/sessions/cs_{_NONE}/expire", {}),
    ("credit notes", "credit_notes", {"invoice": f"in_{_NONE}", "amount": 1}),
    ("customer portal", f"billing_portal/configurations/bpc_{_NONE}", {}),
    ("customers", f"customers/cus_{_NONE}", {}),
    ("invoices", f"invoices/in_{_NONE}", {}),
    ("payment methods", f"payment_methods/pm_{_NONE}/detach", {}),
    ("prices", f"prices/price_{_NONE}", {}),
    ("products", f"products/prod_{_NONE}", {}),
    ("subscriptions", f"subscriptions/sub_{_NONE}", {}),
    ("tax ids", f"customers/cus_{_NONE}/tax_ids", {"type": "eu_vat", "value": "DE123456789"}),
)
PROBES: Final = {
    **{Permission(objects, Access.READ): Read(f"/v1/{path}", form) for objects, path, form in _READS},
    **{
        Permission(objects, Access.WRITE): Read(f"/v1/{path}", form, "post")
        for objects, path, form in _WRITES
    },
}
"""By each permission, the call that finds out whether a key has it. None of them can change anything: those
that would write name an object that does not exist."""


class Finding(NamedTuple):
    """Stripe's answer about a permission; `told` is its own sentence if it refused."""

    permission: Permission
    known: Known
    told: str = ""


def try_out(billing: Billing, permission: Permission) -> Finding:
    """Ask Stripe whether the key has a permission. Nothing is written. Raises the port's errors."""
    try:
        billing.read(PROBES[permission])
    except KeyLacksPermission as refused:
        return Finding(permission, Known.NO, refused.message)
    except MissingInStripe:
        return Finding(permission, Known.PROBABLY)
    except InvalidRequest as refused:
        unknown_object = _NONE in refused.message
        return Finding(permission, Known.PROBABLY if unknown_object else Known.UNKNOWN, refused.message)
    return Finding(permission, Known.YES)
