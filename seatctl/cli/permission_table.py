"""Which permissions of a restricted key each command needs: for `doctor`, and for docs/adopting.md.

`python -m seatctl.cli.permission_table` writes the table into the page. Tests run the commands and compare
their calls to Stripe with this table.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from seatctl.billing.permissions import Access, Permission

_SYNC = "products, prices, customers, payment methods, subscriptions, invoices, refunds, disputes, events"
_SEATS = "subs add-seats, subs set-seats, subs change-plan, subs renew, requests approve, seats apply"
_PAYER = "customers, payment methods"
_RUNNING = f"{_PAYER}, subscription schedules"
_NEEDS: Final = (
    ("sync", _SYNC, ""),
    ("plans add, plans import, plans edit", "", "products, prices"),
    ("plans archive", "prices", "products"),
    ("subs buy", "payment intents", "customers, payment methods, subscriptions, invoices"),
    ("subs buy --checkout", "setup intents", "checkout sessions"),
    ("subs buy --coupon", "coupons, promotion codes", ""),
    ("subs buy --tax-id", "", "tax ids"),
    (_SEATS, f"{_RUNNING}, prices, payment intents", "subscriptions, invoices, credit notes"),
    ("subs cancel", f"{_RUNNING}, payment intents", "subscriptions, invoices"),
    ("subs pause", f"{_RUNNING}, invoices", "subscriptions"),
    ("subs cancel --refund", "refunds, disputes, payment intents", "credit notes"),
    ("subs resume", f"{_RUNNING}, payment intents", "subscriptions, invoices"),
    ("subs rename, subs transfer, config auto-approve, ledger adopt", "", "subscriptions"),
    ("subs billing", "invoices, payment intents", "customers, payment methods, tax ids, subscriptions"),
    ("subs billing --portal", "", "customer portal"),
    (
        "invoices pay, invoices send, invoices void",
        f"{_PAYER}, subscriptions, payment intents",
        "invoices",
    ),
    ("invoices download", "invoices", ""),
)
"""Commands, the objects that they read, and those that they write, which includes to read."""

NEEDS: Final[Mapping[str, tuple[Permission, ...]]] = {
    command: tuple(
        Permission(objects, access)
        for access, named in ((Access.READ, read), (Access.WRITE, written))
        for objects in filter(None, named.split(", "))
    )
    for commands, read, written in _NEEDS
    for command in commands.split(", ")
}
"""The permissions of each command; those of an option are needed in addition."""


def users_of(wanted: Permission) -> list[str]:
    """Return the commands that need a permission."""
    return [command for command, permissions in NEEDS.items() if wanted in permissions]


def all_permissions() -> list[Permission]:
    """Return every permission that some command needs, by the objects; to write comes after to read."""
    return sorted({one for permissions in NEEDS.values() for one in permissions})


_BEGIN, _END = "<!-- permissions -->\n", "<!-- end of permissions -->\n"


def table() -> str:
    """Return the table of docs/adopting.md."""
    rows = [
        f"| {', '.join(f'`{command}`' for command in commands.split(', '))} | {read} | {written} |"
        for commands, read, written in _NEEDS
    ]
    return "\n".join(["| command | read | write |", "| --- | --- | --- |", *rows, ""])


def with_table(page: str) -> str:
    """Return a page with the table between its two comments."""
    head, _, rest = page.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n{table()}\n{_END}{tail}"


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/adopting.md")
    page.write_text(with_table(page.read_text("utf-8")), encoding="utf-8")
