"""How a plan is taxed: the behavior of its price and the code of its product, in Stripe and in TOML."""

from __future__ import annotations

import pytest

from tests.support.both_sides import objects
from tests.support.office import done, is_sound, refused

ADD = "plans add pro --price 12.00 --currency usd"


def price_and_product(seatctl) -> tuple[dict, dict]:
    return objects(seatctl, "price")[-1], objects(seatctl, "product")[-1]


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
def test_a_plan_is_added_with_its_tax(sandbox, behavior):
    row = done(sandbox, f"{ADD} --tax-behavior {behavior} --tax-code txcd_10103001")
    price, product = price_and_product(sandbox)
    assert (price["tax_behavior"], product["tax_code"]) == (behavior, "txcd_10103001")
    assert (row["tax_behavior"], row["tax_code"]) == (behavior, "txcd_10103001")
    shown = sandbox("plans", "show", "pro", "-o", "json").json
    assert (shown["tax_behavior"], shown["tax_code"]) == (behavior, "txcd_10103001")
    is_sound(sandbox)


def test_a_plan_without_a_tax_is_as_it_was(sandbox):
    row = done(sandbox, ADD)
    price, product = price_and_product(sandbox)
    assert (price["tax_behavior"], product["tax_code"]) == ("unspecified", None)
    assert not {"tax_behavior", "tax_code"} & set(row)


def test_another_amount_keeps_the_behavior_and_another_behavior_is_a_new_price(sandbox):
    done(sandbox, f"{ADD} --tax-behavior exclusive")
    done(sandbox, "plans edit pro --price 14.00")
    assert (objects(sandbox, "price")[-1]["unit_amount"], len(objects(sandbox, "price"))) == (1400, 2)
    assert objects(sandbox, "price")[-1]["tax_behavior"] == "exclusive"
    assert done(sandbox, "plans edit pro --tax-behavior exclusive")["result"] == "unchanged"
    row = done(sandbox, "plans edit pro --tax-behavior inclusive --tax-code txcd_10103001")
    assert (row["tax_behavior"], row["tax_code"], row["unit_amount"]) == ("inclusive", "txcd_10103001", 1400)
    prices = objects(sandbox, "price")
    assert [price["tax_behavior"] for price in prices] == ["exclusive", "exclusive", "inclusive"]
    assert [price["lookup_key"] for price in prices] == [None, None, "pro"]
    assert objects(sandbox, "product")[0]["tax_code"] == "txcd_10103001"
    is_sound(sandbox)


def test_what_is_no_code_or_behavior_is_refused(sandbox):
    assert refused(sandbox, f"{ADD} --tax-code software", 2)["code"] == "usage"
    assert sandbox(*ADD.split(), "--tax-behavior", "both").code == 2


def test_an_export_names_the_tax_and_an_import_sets_it(sandbox, tmp_path):
    done(sandbox, f"{ADD} --tax-behavior inclusive --tax-code txcd_10103001")
    text = sandbox("plans", "export").out
    assert 'tax_behavior = "inclusive"' in text
    assert 'tax_code = "txcd_10103001"' in text
    path = tmp_path / "plans.toml"
    path.write_text(text)
    (row,) = sandbox("plans", "import", str(path), "-o", "json").json["rows"]
    assert row["result"] == "unchanged"
    path.write_text(text.replace("inclusive", "exclusive").replace('"pro"', '"other"', 1))
    done(sandbox, f"plans import {path}")
    assert {price["lookup_key"]: price["tax_behavior"] for price in objects(sandbox, "price")} == {
        "pro": "inclusive",
        "other": "exclusive",
    }
    path.write_text(text.replace("inclusive", "both"))
    assert refused(sandbox, f"plans import {path}", 3)["rows"][0]["error"].startswith(
        "tax_behavior is one of"
    )


def test_with_tax_on_a_price_that_does_not_say_whether_it_includes_the_tax_is_not_bought(sandbox):
    done(sandbox, ADD)
    assert sandbox("config", "set", "stripe.automatic_tax", "on").code == 0
    assert sandbox("sandbox", "tax", "19").code == 0
    buy = (
        "subs buy --plan pro --seats 5 --name design --billing-email pay@example.com"
        " --payment-method pm_card_visa --address country=DE"
    )
    error = refused(sandbox, buy, 5)
    assert "seatctl plans edit PLAN --tax-behavior exclusive" in error["hint"]
    done(sandbox, "plans edit pro --tax-behavior exclusive")
    assert done(sandbox, buy)["amount_paid"] == 7140


def test_a_renewal_is_taxed_by_the_price_that_it_charges(sandbox):
    """The term was bought with the tax on top, and the plan's price of today includes it."""
    done(sandbox, f"{ADD} --interval year --policy term --tax-behavior exclusive")
    assert sandbox("config", "set", "stripe.automatic_tax", "on").code == 0
    assert sandbox("sandbox", "tax", "19").code == 0
    done(
        sandbox,
        "subs buy --plan pro --seats 5 --name design --billing-email pay@example.com"
        " --payment-method pm_card_visa --address country=DE",
    )
    done(sandbox, "plans edit pro --tax-behavior inclusive")
    assert sandbox("sandbox", "advance", "350d").code == 0
    assert sandbox("sync").code == 0
    row = done(sandbox, "subs renew design")
    assert (row["net"], row["tax"], row["total"], row["amount_paid"]) == (5042, 958, 6000, 6000)
