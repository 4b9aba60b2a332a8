"""The key of a request: secret keys may do everything, restricted ones what they were made for.

The names of permissions are Stripe's (`customer_read`, `plan_write` for prices); to write includes to read.
That Stripe looks at the permission before it looks for the object is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatctl.sandbox.billing.account import own_account
from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import token
from seatctl.sandbox.session import Session

_NAMES = {
    "account": "connected_account", "billing_portal": "customer_portal", "checkout": "checkout_session",
    "invoice_payments": "invoice", "invoiceitems": "invoice", "prices": "plan", "refunds": "charge",
    "subscription_items": "subscription", "subscription_schedules": "subscription",
    "test_helpers": "billing_clock",
}  # fmt: skip
"""The permissions that are not called like the first part of the path."""
_EXPANDED = {"default_payment_method": "payment_method_read"}
"""What is expanded needs a permission of its own."""
_KIND = "restricted_key"


def key_of(headers: Mapping[str, str]) -> str:
    """Return the key of a request, empty if it has none. The names of the headers are in lower case."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        from base64 import b64decode

        key = b64decode(key).decode("utf-8", "replace").partition(":")[0]
    return key


def new_restricted_key(session: Session, permissions: Sequence[str]) -> str:
    """Return a new key that has these permissions only; it is written."""
    key = f"rk_test_{token(24)}"
    session.store.put(session.new(_KIND, key, permissions=[*permissions]))
    return key


def authenticate(session: Session, headers: Mapping[str, str]) -> None:
    """Refuse a request without a key of this account, or for another account."""
    key = key_of(headers)
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise ApiError(401, message, logged=False)
    known = key.startswith(("sk_test_", "sk_org_test_")) or session.store.get(_KIND, key) is not None
    if not known:
        raise ApiError(401, f"Invalid API Key provided: {_shown(key, 7, 4)}", logged=False)
    if key.startswith("sk_org_") and not headers.get("stripe-context"):
        raise ApiError(400, "The key of an organization requires the header `Stripe-Context`.", logged=False)
    for name in ("stripe-context", "stripe-account"):
        wanted = headers.get(name, "").rpartition("/")[2]
        if wanted and wanted != own_account(session)["id"]:
            message = (
                f"The provided key '{_shown(key, 8, 6)}' does not have access to account '{wanted}' (or that "
                "account does not exist). Application access may have been revoked."
            )
            raise ApiError(403, message, code="account_invalid", is_stored=False)


def check_permission(session: Session, key: str, method: str, path: str, expand: Sequence[str]) -> None:
    """Refuse what a restricted key may not do."""
    restricted = session.store.get(_KIND, key) if key.startswith("rk_") else None
    if restricted is None:
        return
    first, *rest = path.removeprefix("/v1/").split("/")
    name = "payment_methods" if "payment_methods" in rest else first
    wanted = [f"{_NAMES.get(name, name.removesuffix('s'))}_{'read' if method == 'GET' else 'write'}"]
    wanted += [_EXPANDED[field] for path in expand if (field := path.rpartition(".")[2]) in _EXPANDED]
    for permission in wanted:
        if not {permission, permission.replace("_read", "_write")} & set(restricted["permissions"]):
            message = (
                f"The provided key '{_shown(key, 8, 6)}' does not have the required permissions for this "
                f"endpoint on account '{own_account(session)['id']}'. Having the 'rak_{permission}' "
                "permission would allow this request to continue."
            )
            raise ApiError(403, message, is_stored=False)


def _shown(key: str, first: int, last: int) -> str:
    """Return a key as Stripe's messages show it: its beginning and its end."""
    return key[:first] + "*" * max(0, len(key) - first - last) + key[-last:] if len(key) > 14 else "****"
