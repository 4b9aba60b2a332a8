"""Plans: queries by slug or Stripe id, and changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

from seatctl.errors import Code, JsonValue, NotFound
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import column_value, mapper, stored_policy
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.plan import Plan
from seatctl.rules.policies import as_fields
from seatctl.rules.typed_values import did_you_mean

_COLUMNS = (
    "id, slug, name, product_id, price_id, currency, unit_amount, interval, interval_count, policy, active"
)


class UnknownPlan(NotFound):
    """There is no plan with this slug or Stripe id."""

    kind = Code.UNKNOWN_PLAN


def find(reader: Reader, handle: str) -> Plan:
    """Return the plan with this slug, product id or price id. Raises UnknownPlan with similar slugs."""
    row = reader.row(
        f"SELECT {_COLUMNS} FROM plans WHERE slug = :h OR product_id = :h OR price_id = :h",
        {"h": handle},
    )
    if row is None:
        raise unknown_error(reader, handle)
    return _plan(row)


def unknown_error(reader: Reader, handle: str) -> UnknownPlan:
    """Return the error for an unknown handle, with similar slugs."""
    slugs = [known["slug"] for known in reader.rows("SELECT slug FROM plans")]
    hint = "seatctl plans list" if slugs else "seatctl plans add SLUG --price 12.00 --currency usd"
    return UnknownPlan(
        f"there is no plan {handle!r}", hint=did_you_mean(handle, slugs, hint), data={"plan": handle}
    )


def exists(reader: Reader, slug: str) -> bool:
    """Return whether a plan, archived or not, has this slug."""
    return reader.row("SELECT 1 FROM plans WHERE slug = ?", (slug,)) is not None


def listing(reader: Reader, *, archived: bool) -> Iterator[Plan]:
    """Yield plans by slug, including archived ones if `archived`."""
    condition = "" if archived else "WHERE active = 1"
    for row in reader.rows(f"SELECT {_COLUMNS} FROM plans {condition} ORDER BY slug"):
        yield _plan(row)


def add(tx: Transaction, plan: Plan) -> Plan:
    """Insert and record a plan (its `id` is ignored); return it with its id."""
    added = replace(plan, id=tx.insert_row("plans", {**_values(plan), "created_at": tx.now}))
    tx.record("plan", added.id, None, snapshot(added))
    return added


def save(tx: Transaction, before: Plan, after: Plan) -> None:
    """Store and record the changes from `before` to `after`, if there are any."""
    if before == after:
        return
    tx.update_row("plans", before.id, _values(after))
    tx.record("plan", before.id, snapshot(before), snapshot(after))


def snapshot(plan: Plan) -> dict[str, JsonValue]:
    """Return the plan as the audit records it; `unit_amount` in minor units."""
    fields = asdict(replace(plan, policy=None))
    del fields["id"]
    return {**fields, "policy": None if plan.policy is None else as_fields(plan.policy)}


def _values(plan: Plan) -> dict[str, SqlValue]:
    policy = None if plan.policy is None else json.dumps(as_fields(plan.policy))
    fields = asdict(replace(plan, policy=None))
    return {**{name: column_value(value) for name, value in fields.items() if name != "id"}, "policy": policy}


_plan = mapper(Plan, policy=stored_policy)
