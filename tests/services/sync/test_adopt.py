"""Two ledgers on one Stripe account: one keeps the subscriptions, the other may sync and read."""

from __future__ import annotations

import pytest

from tests.services.invoices.test_invoices import bill_subscription
from tests.services.sync.test_foreign_objects import customer, product, subscribe
from tests.support.both_sides import charges, sandbox_path, twin
from tests.support.second_ledger import SecondLedger
from tests.support.subscriptions import query


@pytest.fixture
def second(sandbox, team):
    return SecondLedger(sandbox)


def test_an_empty_ledger_is_rebuilt_from_stripe_alone(sandbox, team, second):
    assert (
        sandbox(
            "plans", "add", "term", "--price", "9", "--currency", "usd", "--interval=year", "--policy=term"
        ).code
        == 0
    )
    assert sandbox("config", "auto-approve", team, "on").code == 0
    synced = second("sync", "-o", "json")
    assert (synced.code, synced.json["backfill"]) == (0, True), synced.err
    for command in (("plans", "list"), ("plans", "show", "term"), ("subs", "list"), ("invoices", "list")):
        assert second(*command, "-o", "json").json == sandbox(*command, "-o", "json").json
    lines = synced.err.splitlines()
    adopting = next(n for n, line in enumerate(lines) if "seatctl ledger adopt" in line)
    seating = next(n for n, line in enumerate(lines) if "--no-notify" in line)
    assert adopting < seating  # seats are refused before


def test_the_second_ledger_reads_but_does_not_change(sandbox, team, second):
    assert second("sync").code == 0
    assert second.rows("subs", "list")[0]["seats"] == 5
    for command in (
        f"subs add-seats {team} 1 --yes",
        f"subs set-seats {team} 9 --yes",
        f"seats assign {team} ann@example.com",
        f"subs rename {team} studio",
        f"config auto-approve {team} on",
    ):
        refused = second(*command.split(), "-o", "json")
        assert (refused.code, refused.error["code"]) == (8, "foreign_ledger"), command
        assert "seatctl ledger adopt" in refused.error["hint"]
    assert sandbox("seats", "assign", team, "ann@example.com").code == 0


def test_after_an_adoption_the_first_ledger_is_the_foreign_one(sandbox, team, second):
    assert second("sync").code == 0
    adopted = second("ledger", "adopt", "--yes", "-o", "json")
    assert (adopted.code, [row["result"] for row in adopted.rows]) == (0, ["adopted"]), adopted.err
    assert second("seats", "assign", team, "ann@example.com").code == 0
    assert second("subs", "add-seats", team, "1", "--yes").code == 0
    # Money asks Stripe, so the first ledger is refused at once; its seats are when it has synced.
    refused = sandbox("subs", "add-seats", team, "1", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "foreign_ledger")
    assert "seatctl sync; " in refused.error["hint"]  # before it, there is nothing to adopt here
    assert sandbox("sync").code == 0
    refused = sandbox("seats", "assign", team, "ann@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "foreign_ledger")
    assert sandbox.rows("subs", "list")[0]["seats"] == 6
    assert refused.error["hint"].endswith(f"seatctl ledger adopt {team}")
    assert sandbox("ledger", "adopt", team, "--yes").code == 0
    assert sandbox("seats", "assign", team, "ann@example.com").code == 0


def test_invoices_are_paid_by_the_ledger_that_is_the_home_now(sandbox, team, second):
    made = bill_subscription(sandbox)
    assert second("sync").code == second("ledger", "adopt", "--yes").code == 0
    for verb in ("pay", "send", "void"):  # the first one has not synced: Stripe is asked
        refused = sandbox("invoices", verb, made, "--yes", "-o", "json")
        assert (refused.code, refused.error["code"]) == (8, "foreign_ledger"), verb
        assert "seatctl ledger adopt" in refused.error["hint"]
    assert charges(sandbox) == [6000]
    assert second("invoices", "pay", made, "--yes").code == 0


def test_adopting_says_first_what_it_would_do(sandbox, team, second):
    assert second("sync").code == 0
    told = second("ledger", "adopt", "--dry-run", "-o", "json")
    assert (told.code, told.json["dry_run"], told.rows[0]["result"]) == (0, True, "adopted")
    assert second("ledger", "adopt", "--no-input").code == 2
    assert second("seats", "assign", team, "ann@example.com").code == 8


def test_a_subscription_that_stripe_no_longer_has_does_not_stop_an_adoption(sandbox, team):
    with twin(sandbox) as stripe:
        made = [subscribe(stripe, customer(stripe, name), product(stripe, name)) for name in ("Acme", "Zeta")]
    assert sandbox("sync").code == 0
    query(sandbox_path(sandbox), "DELETE FROM objects WHERE id = ?", made[0])
    adopted = sandbox("ledger", "adopt", "--yes", "-o", "json")
    results = {row["name"]: row["result"] for row in adopted.rows}
    assert (adopted.code, results) == (6, {"acme": "failed", "zeta": "adopted"})
    refused = sandbox("ledger", "adopt", "acme", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (5, "stripe_resource_missing")
    assert "seatctl reconcile --fix" in refused.error["hint"]
    assert sandbox("sync").code == 0  # nothing is left unfinished
    assert sandbox("reconcile", "--fix", "--check").code == 0


def test_a_restored_backup_of_names_comes_from_stripe(sandbox, team, second):
    assert second("sync").code == 0
    assert sandbox("subs", "rename", team, "studio").code == 0
    synced = second("sync", "-o", "json")
    assert "name design → studio" in synced.rows[0]["summary"]
    assert query(second.place, "SELECT name FROM subscriptions") == [("studio",)]
