"""The main job from an empty directory: plan, purchase, people, seats, a request, invoices, check.

Each command runs once for each way of printing: JSON, a table on a terminal, and piped.
"""

from __future__ import annotations

import json

import pytest

PEOPLE = "Name,E-Mail\nAnn,ann@example.com\nBob,bob@example.com\nCleo,cleo@example.com\n"

ON_ANOTHERS_CARD = "subs buy --plan pro --seats 1 --name lab --bill-to design --yes"

BUY = (
    "subs buy --plan pro --seats 25 --name design --owner ann@example.com"
    " --billing-email pay@example.com --payment-method pm_card_visa --yes"
)

STORY = (
    ("init", "init --no-input --actor ann@example.com", 0),
    ("plan", "plans add pro --price 12.00 --currency usd --interval month --policy flexible", 0),
    ("buy", BUY, 0),
    ("import", "users import people.csv --map email=E-Mail", 0),
    ("assign", "seats assign design --from people.csv --map email=E-Mail", 0),
    ("add", "users add zoe@example.com --name Zoe", 0),
    ("not yet", "check zoe@example.com", 7),
    ("request", "requests create zoe@example.com --subscription design", 0),
    ("approve", "requests approve 1", 0),
    ("auto", "config auto-approve design on", 0),
    ("second", "requests create kim@example.com --subscription design", 0),
    ("invoices", "invoices list", 0),
    ("check", "check zoe@example.com", 0),
    ("seats", "seats list design", 0),
    ("subs", "subs list", 0),
)  # fmt: skip


@pytest.fixture
def tell(seatctl, tmp_path):
    """Run the whole story with further options; the result of each command by its name."""
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)

    def told(*options, tty=False):
        results = {}
        for name, command, code in STORY:
            if name == "second":
                assert seatctl("users", "add", "kim@example.com").code == 0
            words = [str(people) if word == "people.csv" else word for word in command.split()]
            results[name] = seatctl(*words, *options, tty=tty)
            assert results[name].code == code, (name, results[name])
        return results

    return told


def test_the_main_job_in_json(tell):
    told = tell("-o", "json")
    (bought,) = told["buy"].rows
    assert (bought["name"], bought["seats"], bought["free"], bought["status"]) == ("design", 25, 25, "active")
    assert (bought["amount_paid"], bought["currency"], bought["owner"]) == (30000, "usd", "ann@example.com")
    assert len(told["assign"].rows) == 3
    assert told["request"].rows[0]["status"] == "pending"
    assert told["approve"].rows[0]["status"] == "approved"
    assert told["second"].rows[0]["status"] == "approved"
    (invoice,) = told["invoices"].json
    assert (invoice["status"], invoice["total"], invoice["amount_paid"]) == ("paid", 30000, 30000)
    assert invoice["number"] == bought["invoice"]
    yes = told["check"].json
    assert (yes["entitled"], yes["reason"], yes["subscription"]) == (True, "entitled", "design")
    no = told["not yet"].json
    assert (no["entitled"], no["reason"]) == (False, "unseated")
    assert [way.split()[:3] for way in no["ways_out"]] == [
        ["seatctl", "requests", "create"],
        ["seatctl", "subs", "buy"],
    ]
    assert [row["email"].split("@")[0] for row in told["seats"].json] == ["ann", "bob", "cleo", "zoe", "kim"]
    (subscription,) = told["subs"].json
    assert (
        subscription["seats"],
        subscription["assigned"],
        subscription["free"],
        subscription["auto_approve"],
    ) == (25, 5, 20, True)


def test_every_change_of_the_main_job_is_a_run_with_a_sentence(tell):
    told = tell("-o", "json")
    for name in ("plan", "buy", "import", "assign", "add", "request", "approve", "auto", "second"):
        report = told[name].json
        assert {"run", "dry_run", "summary", "rows"} <= set(report), name
        assert isinstance(report["run"], int), name
        assert report["summary"], name


def test_the_main_job_on_a_terminal(tell):
    told = tell("--yes", tty=True)
    assert "design" in told["buy"].out
    assert "Seats" in told["buy"].out
    assert "Stripe will charge 300.00 USD now" in told["buy"].err
    assert "300.00" in told["invoices"].out
    assert "paid" in told["invoices"].out
    assert "Entitled" in told["check"].out
    assert "yes" in told["check"].out
    for result in told.values():
        assert "{" not in result.out
        assert "\t" not in result.out


def test_the_main_job_piped(tell):
    told = tell()
    header, row = told["invoices"].out.splitlines()
    cells = dict(zip(header.split("\t"), row.split("\t"), strict=True))
    assert (cells["subscription"], cells["total"], cells["currency"]) == ("design", "30000", "usd")
    header, row = told["buy"].out.splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["name"] == "design"
    assert told["buy"].err == "bought 25 seats of pro as design\n"
    assert len(told["seats"].out.splitlines()) == 6


def test_only_names_with_quiet(sandbox, team):
    assert sandbox("subs", "list", "-q").out == "design\n"
    assert sandbox("plans", "list", "-q").out == "pro\n"
    number = sandbox.rows("invoices", "list")[0]["number"]
    assert sandbox("invoices", "list", "-q").out == f"{number}\n"
    bought = sandbox(*ON_ANOTHERS_CARD.split(), "-q")
    assert (bought.code, bought.out, bought.err) == (0, "lab\n", "")


def test_an_error_is_the_only_thing_on_stderr(sandbox, pro):
    declined = sandbox(
        *f"subs buy --plan {pro} --seats 1 --name lab --yes -o json".split(),
        "--payment-method=pm_card_chargeDeclined",
    )
    assert declined.out == ""
    assert json.loads(declined.err)["error"]["code"] == "card_declined"
