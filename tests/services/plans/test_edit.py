"""`seatctl plans`: what is sold, in Stripe and here."""

from __future__ import annotations

import pytest

from tests.support.both_sides import assert_agree, contents, objects


def add(seatctl, slug="eu", *options):
    usual = {"--price": "9.90", "--currency": "EUR"}
    words = [word for pair in usual.items() if pair[0] not in options for word in pair]
    return seatctl("plans", "add", slug, *words, *options, "-o", "json")


def test_a_plan_is_one_product_whose_price_is_found_by_the_slug(sandbox):
    added = add(sandbox, "team-plus", "--name", "Team Plus", "--interval", "year", "--every", "2")
    (row,) = added.rows
    assert (row["slug"], row["name"], row["unit_amount"], row["currency"]) == (
        "team-plus",
        "Team Plus",
        990,
        "eur",
    )
    (product,), (price,) = objects(sandbox, "product"), objects(sandbox, "price")
    assert (product["name"], price["lookup_key"], price["product"]) == (
        "Team Plus",
        "team-plus",
        product["id"],
    )
    assert (price["recurring"]["interval"], price["recurring"]["interval_count"]) == ("year", 2)
    assert product["metadata"]["seatctl_plan"] == "team-plus"
    assert product["metadata"]["seatctl_policy_increase"] == "prorate_now"
    assert price["metadata"]["seatctl_operation"] == product["metadata"]["seatctl_operation"]
    assert_agree(sandbox)


def test_the_policy_is_a_preset_with_changes(sandbox):
    changes = ("--set", "grace_days=3", "--set", "features=meetings,recordings")
    policy = add(sandbox, "eu", "--interval", "year", "--policy", "term", *changes)
    fields = policy.rows[0]["policy"]
    assert (fields["pack_size"], fields["grace_days"], fields["features"]) == (
        5,
        3,
        ["meetings", "recordings"],
    )
    shown = sandbox("plans", "show", "eu", "-o", "json").json
    assert shown["policy"] == fields
    assert "A seat includes: meetings, recordings." in shown["rules"]
    assert "It ends unless it is renewed by hand." in sandbox("plans", "show", "eu", tty=True).out


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (("--set", "increase=full_price"), 3, "bad_policy"),
        (("--set", "grace_day=3"), 3, "bad_policy"),
        (("--set", "grace_days"), 2, "usage"),
        (("--policy", "strict"), 3, "bad_policy"),
        (("--price", "9.999"), 3, "bad_amount"),
        (("--price", "-1"), 3, "bad_amount"),
        (("--price", "9" * 30), 3, "bad_amount"),
        (("--currency", "euro"), 3, "bad_currency"),
        (("--every", "37"), 3, "bad_interval"),
        (("--interval", "fortnight"), 2, "usage"),
        (("--name", "a\nb"), 3, "bad_name"),
    ],
)
def test_what_cannot_be_a_plan_is_refused_before_anything_is_written(sandbox, options, code, error):
    before = contents(sandbox)
    refused = add(sandbox, "eu", *options)
    assert (refused.code, refused.error["code"], refused.out) == (code, error, "")
    assert contents(sandbox) == before


def test_a_slug_is_taken_once(sandbox, pro):
    again = sandbox("plans", "add", pro, "--price", "1", "--currency", "usd", "-o", "json")
    assert (again.code, again.error["code"]) == (4, "slug_taken")
    assert "seatctl plans edit pro" in again.error["hint"]


def test_a_lookup_key_of_somebody_elses_price_is_not_taken_over(sandbox, pro, tmp_path):
    """The dashboard, or another ledger, uses the key: a plan here must not steal it."""
    from tests.support.subscriptions import ledger_place, query

    query(ledger_place(sandbox), "DELETE FROM plans")
    refused = sandbox("plans", "add", pro, "--price", "1", "--currency", "usd", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "slug_taken")
    assert refused.error["price"] == objects(sandbox, "price")[0]["id"]
    assert len(objects(sandbox, "product")) == 1


def test_a_new_price_takes_over_the_slug_and_old_contracts_keep_theirs(sandbox, team):
    (before,) = objects(sandbox, "price")
    edited = sandbox("plans", "edit", "pro", "--price", "14", "-o", "json")
    assert edited.rows[0]["unit_amount"] == 1400
    old, new = objects(sandbox, "price")
    assert (old["id"], old["lookup_key"], old["active"], new["lookup_key"]) == (
        before["id"],
        None,
        True,
        "pro",
    )
    assert new["product"] == old["product"]
    assert sandbox.rows("subs", "list")[0]["unit_amount"] == 1200
    assert (
        sandbox("subs", "buy", "--plan=pro", "--seats=1", "--name=lab", "--bill-to=design", "--yes").code == 0
    )
    assert [row["unit_amount"] for row in sandbox.rows("subs", "list")] == [1200, 1400]
    assert_agree(sandbox)


def test_a_changed_policy_is_for_what_is_bought_from_now_on(sandbox, team):
    assert sandbox("plans", "edit", "pro", "--set", "grace_days=30").code == 0
    assert objects(sandbox, "product")[0]["metadata"]["seatctl_policy_grace_days"] == "30"
    assert sandbox("subs", "show", team, "-o", "json").json["policy"]["grace_days"] == 7
    assert len(objects(sandbox, "price")) == 1


def test_editing_keeps_what_is_not_named(sandbox, pro):
    assert sandbox("plans", "edit", "pro", "--set", "features=meetings", "--name", "Pro!").code == 0
    assert sandbox("plans", "edit", "pro", "--set", "grace_days=3").code == 0
    (row,) = sandbox.rows("plans", "list")
    assert (row["name"], row["policy"]["features"], row["policy"]["grace_days"]) == ("Pro!", ["meetings"], 3)


def test_a_preset_replaces_the_whole_policy(sandbox):
    assert add(sandbox, "pro", "--interval", "year", "--set", "features=meetings").code == 0
    assert sandbox("plans", "edit", "pro", "--policy", "term", "--set", "grace_days=1").code == 0
    (row,) = sandbox.rows("plans", "list")
    assert (row["policy"]["pack_size"], row["policy"]["grace_days"], row["policy"]["features"]) == (5, 1, [])


@pytest.mark.parametrize(
    ("interval", "policy", "fields"),
    [
        (
            ("month",),
            "term --set addon_cutoff_days=28 --set renewal_window_days=30",
            ["addon_cutoff_days", "renewal_window_days"],
        ),
        (("week",), "term --set addon_cutoff_days=6 --set renewal_window_days=7", ["renewal_window_days"]),
        (("week", "2"), "flexible --set addon_cutoff_days=14", ["addon_cutoff_days"]),
        (
            ("month", "2"),
            "flexible --set renewal=manual --set renewal_window_days=59",
            ["renewal_window_days"],
        ),
        (("year",), "term --set addon_cutoff_days=365", ["addon_cutoff_days"]),
    ],
)
def test_a_window_as_long_as_the_term_is_refused_and_the_hint_is_accepted(sandbox, interval, policy, fields):
    words = ("eu", "--interval", interval[0], "--every", *(interval[1:] or ("1",)), "--policy")
    refused = add(sandbox, *words, *policy.split())
    assert (refused.code, refused.error["code"], refused.error["fields"]) == (3, "bad_policy", fields)
    kept = [word for word in policy.split()[1:] if word != "--set" and word.split("=")[0] not in fields]
    again = [option for field in kept for option in ("--set", field)]
    options = refused.error["hint"].removeprefix("use ").split()
    assert add(sandbox, *words, policy.split()[0], *again, *options).code == 0
    edited = sandbox("plans", "edit", "eu", "--set", f"{fields[0]}=400", "-o", "json")
    assert (edited.code, edited.error["code"]) == (3, "bad_policy")
    written = (
        sandbox("plans", "export").out.replace(f"{fields[0]} = ", f"{fields[0]} = 4").replace('"eu"', '"us"')
    )
    imported = sandbox("plans", "import", "-", "-o", "json", stdin=written)
    assert (imported.code, imported.error["code"]) == (3, "bad_plan_file")


@pytest.mark.parametrize(("interval", "every", "days"), [("month", 1, 14), ("week", 1, 3), ("year", 1, 30)])
def test_the_windows_of_a_preset_fit_its_term(sandbox, interval, every, days):
    assert add(sandbox, "eu", "--interval", interval, "--every", every, "--policy", "term").code == 0
    (row,) = sandbox.rows("plans", "list")
    assert (row["policy"]["addon_cutoff_days"], row["policy"]["renewal_window_days"]) == (days, days)
    assert sandbox("plans", "edit", "eu", "--policy", "flexible").code == 0
    assert sandbox("plans", "edit", "eu", "--policy", "term").code == 0
    assert sandbox.rows("plans", "list")[0]["policy"]["addon_cutoff_days"] == days


def test_a_window_that_no_rule_asks_for_is_no_matter(sandbox):
    assert add(sandbox, "weekly", "--interval", "week").code == 0


def test_an_edit_that_changes_nothing_is_no_run(sandbox, pro):
    before = contents(sandbox)
    same = sandbox("plans", "edit", "pro", "--price", "12.00", "-o", "json")
    assert (same.code, same.json["run"], same.rows[0]["result"]) == (0, None, "unchanged")
    assert contents(sandbox) == before


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        ((), 2, "usage"),
        (("--price", "free"), 3, "bad_amount"),
        (("--name", "a\x1b[2Jb"), 3, "bad_name"),
        (("--set", "increase=full_price"), 3, "bad_policy"),
    ],
)
def test_a_wrong_edit_changes_nothing(sandbox, pro, options, code, error):
    before = contents(sandbox)
    refused = sandbox("plans", "edit", "pro", *options, "-o", "json")
    assert (refused.code, refused.error["code"]) == (code, error)
    assert contents(sandbox) == before


def test_an_archived_plan_leaves_the_list_and_its_contracts_go_on(sandbox, team):
    archived = sandbox("plans", "archive", "pro", "-o", "json")
    assert (archived.code, archived.rows[0]["result"]) == (0, "archived")
    assert sandbox.rows("plans", "list") == []
    assert [row["active"] for row in sandbox.rows("plans", "list", "--archived")] == [False]
    assert objects(sandbox, "product")[0]["active"] is False
    assert sandbox.rows("subs", "list")[0]["status"] == "active"
    assert sandbox("plans", "archive", "pro", "-o", "json").rows[0]["result"] == "unchanged"


def test_an_archived_plan_is_sold_again_by_the_command_that_its_refusal_names(sandbox, team):
    run = sandbox("plans", "archive", "pro", "-o", "json").json["run"]
    edited = sandbox("plans", "edit", "pro", "--name", "Professional", "-o", "json").json
    assert (edited["summary"], edited["rows"][0]["result"]) == ("changed plan pro", "changed")
    buy = "subs buy --plan pro --seats 2 --name lab --bill-to design --yes"
    refused = sandbox(*buy.split(), "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "plan_archived")
    assert refused.error["hint"] == "to sell it again: seatctl plans archive pro --undo"
    assert "seatctl plans archive pro --undo" in sandbox("runs", "undo", str(run)).err
    again = sandbox("plans", "archive", "pro", "--undo", "-o", "json")
    assert (again.json["summary"], again.rows[0]["result"]) == ("put plan pro on sale again", "sold again")
    assert objects(sandbox, "product")[0]["active"] is True
    assert sandbox(*buy.split()).code == 0


def test_an_unknown_plan_offers_the_nearest(sandbox, pro):
    refused = sandbox("plans", "show", "prp", "-o", "json")
    assert (refused.code, refused.error["code"], refused.error["hint"]) == (
        9,
        "unknown_plan",
        "did you mean pro?",
    )


def test_the_stripe_ids_name_a_plan_too(sandbox, pro):
    (row,) = sandbox.rows("plans", "list")
    for handle in (row["product"], row["price"]):
        assert sandbox("plans", "show", handle, "-q").out == "pro\n"


def test_two_edits_in_a_row_both_count(sandbox, pro):
    assert sandbox("plans", "edit", "pro", "--price", "14").code == 0
    assert sandbox("plans", "edit", "pro", "--price", "12").code == 0
    assert sandbox("plans", "edit", "pro", "--price", "14").code == 0
    assert len(objects(sandbox, "price")) == 4
    assert_agree(sandbox)


@pytest.mark.parametrize("currency", [("jpy", "1200", 1200), ("isk", "1200", 120000), ("kwd", "1.5", 1500)])
def test_prices_are_in_the_units_of_the_currency(sandbox, currency):
    code, price, amount = currency
    assert sandbox("plans", "add", "x", "--price", price, "--currency", code).code == 0
    assert objects(sandbox, "price")[0]["unit_amount"] == amount
