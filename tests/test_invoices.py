"""`seatctl invoices`: the mirror of what was billed."""

from __future__ import annotations

import pytest

from tests.support.both_sides import objects


@pytest.fixture
def two(sandbox, team):
    """A second subscription with an invoice of its own."""
    assert (
        sandbox("subs", "buy", "--plan=pro", "--seats=2", "--name=lab", "--bill-to=design", "--yes").code == 0
    )
    return sandbox


def test_invoices_are_listed_newest_first(two):
    rows = two.rows("invoices", "list")
    assert [(row["subscription"], row["total"], row["status"]) for row in rows] == [
        ("lab", 2400, "paid"),
        ("design", 6000, "paid"),
    ]
    assert {(row["number"], row["stripe_id"], row["amount_paid"]) for row in rows} == {
        (one["number"], one["id"], one["amount_paid"]) for one in objects(two, "invoice")
    }


def test_a_list_can_be_narrowed(two):
    def names(*argv):
        return [row["subscription"] for row in two.rows("invoices", "list", *argv)]

    assert names("lab") == ["lab"]
    assert names("--status", "paid") == ["lab", "design"]
    assert names("--status", "open") == names("--unpaid") == names("lab", "--unpaid") == []
    assert two("invoices", "list", "nope").code == 9
    assert two("invoices", "list", "--status", "lost").code == 2


def test_an_invoice_is_shown_by_number_or_id_with_its_lines(two):
    row = two.rows("invoices", "list", "lab")[0]
    for handle in (row["number"], row["stripe_id"]):
        page = two("invoices", "show", handle, "-o", "json").json
        (line,) = page["lines"]
        assert (page["number"], line["quantity"], line["amount"], line["currency"]) == (
            row["number"],
            2,
            2400,
            "usd",
        )
        assert line["period_start"] < line["period_end"]
    assert "24.00 USD" in two("invoices", "show", row["number"], tty=True, env={"COLUMNS": "200"}).out


def test_an_unknown_invoice_offers_the_nearest(two):
    number = two.rows("invoices", "list")[0]["number"]
    refused = two("invoices", "show", number[:-1] + "9", "-o", "json")
    assert (refused.code, refused.error["code"]) == (9, "unknown_invoice")
    assert number in refused.error["hint"]


def test_csv_has_plain_numbers_and_the_currency(two):
    header, *lines = two("invoices", "list", "-o", "csv").out.splitlines()
    cells = dict(zip(header.split(","), lines[0].split(","), strict=True))
    assert (cells["total"], cells["currency"]) == ("2400", "usd")
