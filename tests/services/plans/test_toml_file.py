"""`plans export` and `import`: plans move from one profile to another as TOML."""

from __future__ import annotations

import tomllib

import pytest

from tests.conftest import Seatctl
from tests.support.both_sides import assert_agree, contents

GOOD = '[[plans]]\nslug = "pro"\nprice = "12.00"\ncurrency = "usd"\ninterval = "month"\n'


@pytest.fixture
def other(tmp_path) -> Seatctl:
    """Another installation with a sandbox of its own."""
    seatctl = Seatctl(tmp_path / "other")
    assert seatctl("init", "--no-input", "--actor", "bob@example.com").code == 0
    return seatctl


def without_ids(rows):
    return [{key: value for key, value in row.items() if key not in {"product", "price"}} for row in rows]


def test_plans_move_to_another_profile_unchanged(sandbox, pro, other):
    terms = "--price 99.50 --currency eur --interval year --policy term --set features=meetings"
    assert sandbox("plans", "add", "contract", *terms.split(), "--name", "Vertrag “Groß”").code == 0
    assert (
        sandbox("plans", "add", "yen", "--price", "1200", "--currency", "jpy", "--set", "max_seats=50").code
        == 0
    )
    exported = sandbox("plans", "export").out
    imported = other("plans", "import", "-", "-o", "json", stdin=exported)
    assert (imported.code, [row["result"] for row in imported.rows]) == (0, ["added"] * 3)
    assert without_ids(other.rows("plans", "list")) == without_ids(sandbox.rows("plans", "list"))
    assert other("plans", "export").out == exported
    assert_agree(other)


def test_importing_again_changes_nothing(sandbox, pro):
    before = contents(sandbox)
    again = sandbox("plans", "import", "-", "-o", "json", stdin=sandbox("plans", "export").out)
    assert (again.code, again.json["run"], again.rows[0]["result"]) == (0, None, "unchanged")
    assert contents(sandbox) == before


def test_importing_changes_what_differs(sandbox, pro):
    changed = GOOD.replace("12.00", "15.00") + 'name = "Pro"\n[plans.policy]\ngrace_days = 3\n'
    imported = sandbox("plans", "import", "-", "-o", "json", stdin=changed)
    assert (imported.code, imported.rows[0]["result"]) == (0, "changed")
    (row,) = sandbox.rows("plans", "list")
    assert (row["name"], row["unit_amount"], row["policy"]["grace_days"]) == ("Pro", 1500, 3)
    assert_agree(sandbox)


def test_exporting_names_some_or_all_that_are_sold(sandbox, pro):
    assert sandbox("plans", "add", "old", "--price", "1", "--currency", "usd").code == 0
    assert sandbox("plans", "archive", "old").code == 0

    def slugs(*names):
        return [plan["slug"] for plan in tomllib.loads(sandbox("plans", "export", *names).out)["plans"]]

    assert slugs() == ["pro"]
    assert slugs("old", "pro") == ["old", "pro"]
    assert sandbox("plans", "export", "nope").code == 9


def test_a_dry_run_of_an_import_writes_nothing(sandbox):
    before = contents(sandbox)
    told = sandbox("plans", "import", "-", "--dry-run", "-o", "json", stdin=GOOD)
    assert (told.code, told.json["run"], told.rows[0]["result"]) == (0, None, "added")
    assert contents(sandbox) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file has no [[plans]]"),
        ("plans = 3", "the file has no [[plans]]"),
        ("plans = [", "the file is not TOML"),
        ("slug = 'x'", "the file has no [[plans]]"),
    ],
)
def test_what_is_no_file_of_plans_is_bad_input(sandbox, text, said):
    refused = sandbox("plans", "import", "-", "-o", "json", stdin=text)
    assert (refused.code, refused.error["code"]) == (3, "bad_plan_file")
    assert said in refused.error["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('slug = "pro"', 'slug = "Pro!"'), "is not a valid slug"),
        (('slug = "pro"\n', ""), "slug is missing"),
        (('price = "12.00"\n', ""), "price is missing"),
        (('"12.00"', '"a lot"'), "is not an amount"),
        (('"12.00"', "-12.00"), "is not an amount"),
        (('"usd"', '"dollar"'), "is not a currency"),
        (('"month"', '"fortnight"'), "interval is one of day, week, month, year"),
        (('"month"', '"month"\ninterval_count = 0'), "is not a billing period"),
        (('"month"', '"month"\ncolour = "red"'), "unknown field colour"),
        (('"month"', '"month"\npolicy = 3'), "policy is a table"),
        (('"month"', '"month"\n[plans.policy]\ngrace_day = 3'), "a policy has no field 'grace_day'"),
        (('"month"', '"month"\n[plans.policy]\nincrease = "full_price"'), "charge seats twice"),
        (('"month"', '"month"\n[plans.policy]\npack_size = 2026-01-01'), "use a whole number"),
    ],
)
def test_a_plan_that_cannot_be_is_named_and_no_other_is_written(sandbox, change, said):
    before = contents(sandbox)
    text = GOOD.replace('"pro"', '"good"') + GOOD.replace(*change)
    refused = sandbox("plans", "import", "-", "-o", "json", stdin=text)
    assert (refused.code, refused.error["code"], refused.out) == (3, "bad_plan_file", "")
    (row,) = refused.error["rows"]
    assert row["plan"] == 2
    assert said in row["error"]
    assert contents(sandbox) == before


def test_a_price_may_be_a_number(sandbox):
    assert sandbox("plans", "import", "-", stdin=GOOD.replace('"12.00"', "12.5")).code == 0
    assert sandbox.rows("plans", "list")[0]["unit_amount"] == 1250


def test_the_same_slug_twice_is_bad_input(sandbox):
    refused = sandbox("plans", "import", "-", "-o", "json", stdin=GOOD + GOOD)
    assert (refused.code, refused.error["rows"][0]["error"]) == (
        3,
        "an earlier plan of the file has this slug",
    )
    assert sandbox.rows("plans", "list") == []


@pytest.mark.parametrize("change", [('"usd"', '"eur"'), ('"month"', '"year"')])
def test_another_currency_or_interval_is_another_plan(sandbox, pro, change):
    before = contents(sandbox)
    text = GOOD.replace('"pro"', '"first"') + GOOD.replace(*change)
    refused = sandbox("plans", "import", "-", "-o", "json", stdin=text)
    assert (refused.code, refused.error["rows"][0]["slug"]) == (3, "pro")
    assert contents(sandbox) == before


def test_a_file_that_is_not_there_is_told(sandbox):
    assert sandbox("plans", "import", "nowhere.toml").code == 9
