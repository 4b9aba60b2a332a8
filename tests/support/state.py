"""What both sides have come to, without the ids and moments that differ from run to run, to be compared.

Voided invoices, deleted drafts and runs that failed are left out: they are the trace of what was not done.
"""

from __future__ import annotations

from datetime import UTC, datetime

from seatctl.rules.metadata import OPERATION, REQUEST
from seatctl.rules.subscription_state import NEXT_QUANTITY, PAID_SEATS, PAID_UNTIL, RENEWED
from tests.support.both_sides import ENDED, twin
from tests.support.subscriptions import ledger_place, queries

KINDS = (
    *("subscription", "subscription_item", "invoice", "invoiceitem", "charge", "refund", "credit_note"),
    *("customer", "payment_method", "tax_id"),
)

STATEMENTS = {
    "subscriptions": """SELECT s.name, s.status, policy, price_id, unit_amount, collection_method, term_start,
        term_end, quantity, capacity, assigned, u.email, auto_approval, cancel_at_period_end, cancel_at,
        unpaid_since, home_ledger
        FROM subscriptions s LEFT JOIN users u ON u.id = owner_id ORDER BY s.id""",
    "capacity to come": """SELECT subscription_id, effective_at, seats FROM capacity_changes
        WHERE applied_at IS NULL ORDER BY effective_at, id""",
    "seats": """SELECT subscription_id, user_id, until, revoked_at IS NULL FROM seats
        ORDER BY subscription_id, user_id, id""",
    "bills": """SELECT subscription_id, status, total, amount_paid, due_date IS NULL FROM invoices
        WHERE status NOT IN ('void', 'draft') ORDER BY id""",
    "payers": "SELECT email, name, deleted FROM customers ORDER BY id",
    "people": "SELECT email, status FROM users ORDER BY id",
    "plans": "SELECT slug, name, price_id, unit_amount, policy FROM plans ORDER BY id",
    "roles": "SELECT actor, subscription_id, role FROM roles ORDER BY 1, 2, 3",
}


def state(seatctl) -> dict[str, list]:
    """Everything that counts, in the ledger and in Stripe."""
    with queries(ledger_place(seatctl)) as rows:
        ledger = {f"ledger: {what}": rows(text) for what, text in STATEMENTS.items()}
    with twin(seatctl) as stripe:
        found = {kind: list(stripe.store.walk(kind, oldest_first=True)) for kind in KINDS}
    return _numbered(ledger | {f"stripe: {what}": rows for what, rows in _stripe(found).items()}, {})


def _numbered(value, known: dict[str, str]):
    """Stripe's ids, which differ from run to run, by the order in which they appear."""
    if isinstance(value, str) and value.startswith(("cus_", "price_", "prod_")):
        return known.setdefault(value, f"{value.partition('_')[0]} {len(known) + 1}")
    if isinstance(value, dict):
        return {name: _numbered(one, known) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_numbered(one, known) for one in value)
    return value


def differences(wanted: dict[str, list], found: dict[str, list]) -> list[tuple]:
    """What is not as wanted: name, wanted, found."""
    return [(what, wanted[what], found[what]) for what in wanted if wanted[what] != found[what]]


def counts(of: dict[str, list]) -> dict[str, int]:
    """How many there are of everything: what is left to compare where amounts depend on the hour."""
    return {what: len(rows) for what, rows in of.items()}


def _stripe(found: dict[str, list[dict]]) -> dict[str, list]:
    items = {one["subscription"]: one for one in found["subscription_item"]}
    cards = {one["id"]: one["card"]["last4"] for one in found["payment_method"]}
    return {
        "subscriptions": [_subscription(one, items.get(one["id"], {})) for one in found["subscription"]],
        "invoices": [
            (one["status"], one["total"], one["amount_paid"], one["customer"])
            for one in found["invoice"]
            if one["status"] not in {"void", "draft"}
        ],
        "drafts": [one["total"] for one in found["invoice"] if one["status"] == "draft"],
        "charges": [one["amount"] for one in found["charge"] if one["paid"]],
        "refunds": [one["amount"] for one in found["refund"]],
        "credit notes": [one["total"] for one in found["credit_note"]],
        "lines to come": [one["amount"] for one in found["invoiceitem"] if not one["invoice"]],
        "customers": [
            (
                *(one["email"], one["name"], one["address"], one["balance"]),
                cards.get(one["invoice_settings"]["default_payment_method"]),
            )
            for one in found["customer"]
        ],
        "tax ids": [(one["type"], one["value"]) for one in found["tax_id"]],
        "cards": sorted(cards[one["id"]] for one in found["payment_method"] if one["customer"]),
    }


def _subscription(one: dict, item: dict) -> tuple:
    metadata = {name: text for name, text in one["metadata"].items() if name not in {OPERATION, REQUEST}}
    if metadata.get(RENEWED):
        metadata[RENEWED] = "an invoice"
    return (
        *(one["status"], one["cancel_at"], one["trial_end"], one["pending_update"] is None),
        one["pause_collection"],
        *(one["billing_mode"]["type"], one["billing_cycle_anchor"], item.get("current_period_end")),
        *(item.get("quantity"), item.get("price", {}).get("id"), sorted(metadata.items())),
    )


def assert_in_step(seatctl) -> None:
    """Nothing is left open, and the ledger says what Stripe says: seats, terms, cards, owners, bills."""
    with queries(ledger_place(seatctl)) as rows:
        assert rows("SELECT run, kind FROM operations WHERE state IN ('pending', 'waiting')") == []
        assert rows("SELECT number FROM runs WHERE state = 'pending'") == []
        subscriptions = rows(
            "SELECT stripe_subscription, s.name, s.status, quantity, capacity, coalesce(u.email, ''),"
            " cancel_at, coalesce(json_extract(pause_collection, '$[0]'), '')"
            " FROM subscriptions s LEFT JOIN users u ON u.id = owner_id WHERE s.status NOT IN"
            " ('canceled', 'incomplete_expired') ORDER BY s.id",
        )
        invoices = set(rows("SELECT stripe_id, status, total, amount_paid FROM invoices"))
        customers = set(rows("SELECT stripe_id, email, name FROM customers WHERE deleted = 0"))
    with twin(seatctl) as stripe:
        now = _written(stripe.now())
        found = {kind: list(stripe.store.walk(kind, oldest_first=True)) for kind in KINDS}
    items = {one["subscription"]: one for one in found["subscription_item"]}
    assert subscriptions == [
        _as_row(one, items[one["id"]], now) for one in found["subscription"] if one["status"] not in ENDED
    ]
    assert invoices >= {
        (one["id"], one["status"], one["total"], one["amount_paid"])
        for one in found["invoice"]
        if one["status"] in {"open", "paid"}
    }
    assert customers == {(one["id"], one["email"], one["name"]) for one in found["customer"]}


def assert_sound(seatctl) -> None:
    """The audit's chain holds, and so do the ledger's own rules."""
    assert seatctl("audit", "verify").code == 0
    checked = seatctl("ledger", "check")
    assert checked.code == 0, checked


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_row(one: dict, item: dict, now: str) -> tuple:
    metadata, quantity = one["metadata"], item["quantity"]
    waits = metadata.get(PAID_UNTIL, "") > now and metadata.get(NEXT_QUANTITY) == str(quantity)
    ends = one["cancel_at"]
    return (
        one["id"],
        metadata["seatctl_name"],
        one["status"],
        quantity,
        int(metadata[PAID_SEATS]) if waits else quantity,
        metadata["seatctl_owner"],
        None if ends is None else _written(ends),
        (one["pause_collection"] or {"behavior": ""})["behavior"],
    )
