"""What both sides hold, read from outside: the sandbox's objects and the ledger's tables, with plain SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulator.server import ServerLedger

Obj = dict[str, Any]

MONEY_KINDS = (
    *("customer", "subscription", "subscription_item", "invoice", "invoiceitem", "payment_intent"),
    *("charge", "refund", "credit_note", "product", "price", "payment_method", "coupon", "checkout.session"),
    "dispute",
)
ENDED = frozenset({"canceled", "incomplete_expired"})
FACTS = ("plans", "users", "subscriptions", "seats", "requests", "roles", "capacity_changes")
"""Tables that hold what the audit knows."""


class Sandbox:
    """Reads a sandbox's objects; each body is parsed once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._parsed: dict[str, tuple[str, Obj]] = {}

    def objects(self) -> dict[str, list[Obj]]:
        """By kind, oldest first, without the deleted ones."""
        found: dict[str, list[Obj]] = {kind: [] for kind in MONEY_KINDS}
        marks = ",".join("?" * len(MONEY_KINDS))
        rows = self._db.execute(
            f"SELECT kind, id, body FROM objects WHERE kind IN ({marks}) AND deleted = 0 ORDER BY seq",
            MONEY_KINDS,
        )
        for kind, identifier, body in rows:
            known = self._parsed.get(identifier)
            if known is None or known[0] != body:
                known = self._parsed[identifier] = (body, json.loads(body))
            found[kind].append(known[1])
        return found

    def dump(self) -> list[tuple]:
        """Everything but the answers kept for keys: a preview, which changes nothing, has one too.

        Nor a method that is nobody's: reading one of Stripe's test methods makes one.
        """
        return self._db.execute(
            "SELECT id, deleted, due, body FROM objects WHERE kind <> 'payment_method'"
            " OR customer IS NOT NULL ORDER BY seq"
        ).fetchall()


class LedgerFile:
    """Reads a ledger's tables."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, parameters).fetchall()

    def dump(self, tables: Iterable[str] = ()) -> dict[str, list[tuple]]:
        names = [*tables] or [
            row[0]
            for row in self._db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                " AND name NOT LIKE 'users_search%'"
            )
        ]
        return {name: [tuple(row) for row in self._db.execute(f'SELECT * FROM "{name}"')] for name in names}

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


@dataclass(frozen=True)
class Operation:
    """A row of the ledger's operations."""

    ref: str
    run: int
    kind: str
    state: str
    payload: Obj = field(repr=False)
    request_id: str | None
    outcome: Obj | None

    @property
    def is_open(self) -> bool:
        return self.state in {"pending", "waiting"}


@dataclass
class Books:
    """Both sides at one moment."""

    stripe: dict[str, list[Obj]]
    ledger: LedgerFile | ServerLedger = field(repr=False)
    ledger_id: str
    now: int

    def __post_init__(self) -> None:
        rows = self.ledger.rows
        self.operations = {
            f"{self.ledger_id}:{row['id']}": Operation(
                f"{self.ledger_id}:{row['id']}",
                row["run"],
                row["kind"],
                row["state"],
                json.loads(row["payload"]),
                row["request_id"],
                json.loads(row["outcome"]) if row["outcome"] else None,
            )
            for row in rows("SELECT * FROM operations ORDER BY id")
        }
        self.subscriptions = [dict(row) for row in rows("SELECT * FROM subscriptions ORDER BY id")]
        self.last_run = rows("SELECT coalesce(max(number), 0) FROM runs")[0][0]
        self.seated = {
            row[0]: row[1]
            for row in rows("SELECT subscription_id, count(*) FROM seats WHERE revoked_at IS NULL GROUP BY 1")
        }

    @property
    def open_operations(self) -> list[Operation]:
        return [one for one in self.operations.values() if one.is_open]

    @cached_property
    def charges(self) -> dict[str, Obj]:
        """Those that were paid."""
        return {one["id"]: one for one in self.stripe["charge"] if one["paid"]}

    @cached_property
    def invoices(self) -> dict[str, Obj]:
        return {one["id"]: one for one in self.stripe["invoice"]}

    @cached_property
    def _intents(self) -> dict[str, str | None]:
        return {one["id"]: one.get("_invoice") for one in self.stripe["payment_intent"]}

    @cached_property
    def processing(self) -> frozenset[str]:
        """The invoices whose payment a bank is processing."""
        intents = self.stripe["payment_intent"]
        return frozenset(one.get("_invoice") or "" for one in intents if one["status"] == "processing")

    def invoice_of(self, charge: Obj) -> Obj | None:
        """The invoice that a charge paid; None if that is gone, or it paid none."""
        return self.invoices.get(self._intents.get(charge["payment_intent"]) or "")

    @cached_property
    def items(self) -> dict[str, list[Obj]]:
        """By subscription."""
        found: dict[str, list[Obj]] = {}
        for one in self.stripe["subscription_item"]:
            found.setdefault(one["subscription"], []).append(one)
        return found

    @property
    def charged(self) -> int:
        return sum(one["amount"] for one in self.charges.values())

    @property
    def refunded(self) -> int:
        return sum(one["amount"] for one in self.stripe["refund"] if one["status"] != "failed")

    def money(self) -> dict[str, object]:
        """What somebody pays, owes or gets, now or later: equal as long as no money matter has changed."""
        return {
            "charges": sorted((one["id"], one["amount"]) for one in self.charges.values()),
            "refunds": sorted((one["id"], one["amount"]) for one in self.stripe["refund"]),
            "credit notes": sorted((one["id"], one["amount"]) for one in self.stripe["credit_note"]),
            "invoices": sorted(
                (one["id"], one["status"], one["total"], one["amount_remaining"])
                for one in self.stripe["invoice"]
                if one["status"] in {"open", "paid", "uncollectible"}
            ),
            "lines to come": sorted(
                (one["id"], one["amount"]) for one in self.stripe["invoiceitem"] if not one["invoice"]
            ),
            "balances": sorted(
                (one["id"], one["balance"]) for one in self.stripe["customer"] if one["balance"]
            ),
            "subscriptions": sorted(
                (
                    *(one["id"], one["status"], one["cancel_at"] or 0, one["trial_end"] or 0),
                    *sorted(
                        (item["id"], item.get("quantity") or 0, item["price"]["id"])
                        for item in self.items.get(one["id"], [])
                    ),
                )
                for one in self.stripe["subscription"]
                if one["status"] not in ENDED
            ),
        }


def reference(invoice: Obj) -> str | None:
    """The operation that an invoice says it is of: its own metadata, or the subscription's at that time."""
    found = (invoice.get("metadata") or {}).get("seatctl_operation")
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return found or (details.get("metadata") or {}).get("seatctl_operation")


def differences(before: dict[str, object], after: dict[str, object]) -> Iterator[str]:
    """What two dumps say otherwise, briefly."""
    for name, was in before.items():
        became = after.get(name)
        if was == became:
            continue
        if isinstance(was, list) and isinstance(became, list):
            gone = [one for one in was if one not in became][:3]
            new = [one for one in became if one not in was][:3]
            yield f"{name}: gone {gone}, new {new}"
        else:
            yield f"{name}: {was} → {became}"
