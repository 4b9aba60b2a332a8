"""What a first sync leaves out of what Stripe says, or takes a short way to: nothing is lost by it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.mirror import invoices
from seatctl.services.sync.reader import without_nulls
from seatctl.services.sync.sync import store
from tests.services.sync.test_foreign_objects import foreign
from tests.services.sync.test_mirror import every
from tests.support.both_sides import twin
from tests.support.subscriptions import ledger_place, query

__all__ = ["foreign"]

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_what_is_left_out_of_a_kept_subscription_is_missed_by_nobody(foreign):
    with twin(foreign) as stripe:
        listed = every(stripe, "subscriptions?status=all")
    assert len(listed) == 40
    for subscription in listed:
        kept = without_nulls(subscription)
        assert read_subscription(kept) == read_subscription(subscription)
        assert kept["customer"] == subscription["customer"]
        assert len(json.dumps(kept)) < len(json.dumps(subscription)) * 0.7


def test_a_subscription_that_is_added_is_told_to_the_audit_as_it_is_read(foreign):
    assert foreign("sync").code == 0
    told = query(ledger_place(foreign), "SELECT entity_id, after FROM changes WHERE entity = 'subscription'")
    assert len(told) == 41
    ledger = open_ledger(ledger_place(foreign))
    with ledger.reading() as reader:
        for row, after in told:
            assert json.loads(after) == subscriptions.snapshot(subscriptions.by_id(reader, row))
    ledger.close()


def test_more_invoices_than_a_statement_takes_at_once_come_in_with_their_lines(foreign):
    with twin(foreign) as stripe:
        invoice = next(one for one in every(stripe, "invoices") if len(one["lines"]["data"]) == 2)
    many = [read_invoice({**invoice, "id": f"in_{n}", "customer": f"cus_{n % 7}"}) for n in range(250)]
    ledger = open_ledger(ledger_place(foreign))
    for _ in range(2):  # what is read again replaces what was there
        with ledger.journal() as journal:
            store(journal, [*many, many[0]], NOW)
    with ledger.journal() as journal:
        invoices.delete_draft(journal, "in_3")
    ledger.close()
    assert query(ledger_place(foreign), "SELECT count(*), count(DISTINCT customer_id) FROM invoices") == [
        (249, 7)
    ]
    assert query(
        ledger_place(foreign), "SELECT DISTINCT count(*) FROM invoice_lines GROUP BY invoice_id"
    ) == [(2,)]
    assert query(ledger_place(foreign), "SELECT count(DISTINCT invoice_id) FROM invoice_lines") == [(249,)]
