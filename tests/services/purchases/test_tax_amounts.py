"""With Stripe's tax, what is shown is what is charged; or the purchase is refused before.

The tax is 19 %: 12.00 for a seat are 12.00 and 2.28 of tax if the price is before tax, and 10.08 and 1.92 if
it includes the tax.
"""

from __future__ import annotations

from itertools import product

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.support.both_sides import charges, contents, live_subscriptions, objects, twin
from tests.support.office import done, freeze, is_sound, refused, until

BUY = "subs buy --seats 5 --name design --billing-email pay@example.com"
CARD = "--payment-method pm_card_visa"
PLACES = {
    "DE": ("--address country=DE", True),
    "CA": ("--address country=CA --address state=ON", True),
    "US": ("--address country=US --address postal_code=10001", True),
    "US without a postal code": ("--address country=US", False),
    "CA without a province": ("--address country=CA --address city=Toronto", False),
    "nowhere": ("", False),
}
BEHAVIORS = ("exclusive", "inclusive")
KNOWN = [place for place, (_, known) in PLACES.items() if known]
UNKNOWN = [place for place in PLACES if place not in KNOWN]


@pytest.fixture
def taxed(sandbox):
    freeze(sandbox, "2041-01-01T00:00:00Z")
    assert sandbox("config", "set", "stripe.automatic_tax", "on").code == 0
    assert sandbox("sandbox", "tax", "19").code == 0
    for behavior in BEHAVIORS:
        terms = f"--price 12.00 --currency usd --tax-behavior {behavior}"
        done(sandbox, f"plans add {behavior} {terms}")
        done(sandbox, f"plans add {behavior}-term {terms} --interval year --policy term")
    return sandbox


def shown_and_charged(seatctl, command: str) -> tuple[int, int, int]:
    """Net, tax and total that a dry run shows; one cent less is refused, and the total is what is charged."""
    row = seatctl.rows(*command.split(), "--dry-run")[0]
    assert row["net"] + row["tax"] == row["total"] == row["due_now"], row
    less = f"{row['due_now'] // 100}.{row['due_now'] % 100:02d}"
    short = f"{(row['due_now'] - 1) // 100}.{(row['due_now'] - 1) % 100:02d}"
    assert refused(seatctl, f"{command} --max-spend {short}")["code"] == "max_spend_exceeded"
    before = charges(seatctl)
    result = seatctl(*command.split(), "--max-spend", less, "--yes", "-o", "json")
    assert (result.code, result.json.get("warnings", [])) == (0, []), (command, result.err)
    assert charges(seatctl) == [*before, row["due_now"]]
    (bought,) = result.json["rows"]
    assert [bought[name] for name in ("net", "tax", "total", "amount_paid")] == [
        *(row["net"], row["tax"], row["total"], row["total"])
    ]
    return row["net"], row["tax"], row["total"]


@pytest.mark.parametrize(("place", "behavior"), [*product(KNOWN, BEHAVIORS)])
def test_stripes_invoices(taxed, place, behavior):
    bought = shown_and_charged(taxed, f"{BUY} --plan {behavior} {CARD} {PLACES[place][0]}")
    assert bought == {"exclusive": (6000, 1140, 7140), "inclusive": (5042, 958, 6000)}[behavior]
    freeze(taxed, "2041-01-16T12:00:00Z")  # half of January
    added = shown_and_charged(taxed, "subs add-seats design 5")
    assert added == {"exclusive": (3000, 570, 3570), "inclusive": (2521, 479, 3000)}[behavior]
    until(taxed, "2041-02-01T03:00:00Z")
    assert charges(taxed)[-1] == {"exclusive": 14280, "inclusive": 12000}[behavior]
    is_sound(taxed)


@pytest.mark.parametrize(("place", "behavior"), [*product(KNOWN, BEHAVIORS)])
def test_our_own_invoices(taxed, place, behavior):
    shown_and_charged(taxed, f"{BUY} --plan {behavior}-term {CARD} {PLACES[place][0]}")
    added = shown_and_charged(taxed, "subs add-seats design 5")
    assert added == {"exclusive": (6000, 1140, 7140), "inclusive": (5042, 958, 6000)}[behavior]
    until(taxed, "2041-12-10T00:00:00Z")
    renewed = shown_and_charged(taxed, "subs renew design")
    assert renewed == {"exclusive": (12000, 2280, 14280), "inclusive": (10084, 1916, 12000)}[behavior]
    is_sound(taxed)


@pytest.mark.parametrize(("place", "behavior"), [*product(UNKNOWN, BEHAVIORS)])
@pytest.mark.parametrize("term", ["", "-term"])
def test_without_a_location_nothing_is_bought(taxed, place, behavior, term):
    before = contents(taxed)
    for way in (CARD, "--on-account"):
        error = refused(taxed, f"{BUY} --plan {behavior}{term} {way} {PLACES[place][0]}")
        assert (error["code"], error["tax_status"]) == ("tax_unknown", "requires_location_inputs")
        assert "--address country=CC" in error["hint"]
    assert contents(taxed) == before


@pytest.mark.parametrize(("behavior", "term"), [*product(BEHAVIORS, ("", "-term"))])
def test_if_the_location_is_lost_no_seats_are_added_and_no_term_is_renewed(taxed, behavior, term):
    done(taxed, f"{BUY} --plan {behavior}{term} {CARD} {PLACES['DE'][0]}")
    (customer,) = objects(taxed, "customer")
    with twin(taxed) as stripe:
        send(stripe, f"customers/{customer['id']}", {"address": ""})
    assert refused(taxed, "subs add-seats design 5")["code"] == "tax_unknown"
    if term:
        until(taxed, "2041-12-10T00:00:00Z")
        assert refused(taxed, "subs renew design")["code"] == "tax_unknown"
    done(taxed, "subs billing design --address country=DE")
    shown_and_charged(taxed, "subs renew design" if term else "subs add-seats design 5")


def test_the_cards_address_does_not_make_up_for_the_payers(taxed):
    """Stripe would charge with the tax for the card's address, which no preview shows."""
    with twin(taxed) as stripe:
        card = {
            "type": "card",
            "card": {"token": "tok_visa"},
            "billing_details": {"address": {"country": "DE"}},
        }
        method = send(stripe, "payment_methods", card)["id"]
    assert refused(taxed, f"{BUY} --plan exclusive --payment-method {method}")["code"] == "tax_unknown"
    paid = shown_and_charged(taxed, f"{BUY} --plan exclusive --payment-method {method} --address country=DE")
    assert paid == (6000, 1140, 7140)


def test_a_tax_id_is_part_of_the_preview_and_of_the_purchase(taxed):
    abroad = f"{BUY} --plan exclusive {CARD} --address country=DE --tax-id eu_vat:DE123456789"
    assert shown_and_charged(taxed, abroad) == (6000, 0, 6000)
    assert taxed("subs", "billing", "design", "-o", "json").json["tax_ids"] == ["eu_vat:DE123456789"]
    error = refused(
        taxed, "subs buy --plan exclusive --seats 1 --name b --bill-to design --tax-id us_ein:1", 2
    )
    assert error["hint"] == "seatctl subs billing design --tax-id us_ein:1"


def test_a_renewal_that_stripe_did_not_tax_is_told_and_an_address_turns_the_tax_on_again(taxed):
    done(taxed, f"{BUY} --plan exclusive {CARD} {PLACES['DE'][0]}")
    (customer,) = objects(taxed, "customer")
    with twin(taxed) as stripe:
        send(stripe, f"customers/{customer['id']}", {"address": ""})
    until(taxed, "2041-02-01T03:00:00Z")
    assert charges(taxed) == [7140, 6000]
    newest = taxed.rows("invoices", "list")[0]
    assert (newest["total"], newest["note"]) == (
        6000,
        "without tax: Stripe did not know the customer's address",
    )
    error = refused(taxed, "subs add-seats design 5")
    assert (error["code"], "subs billing design --address" in error["hint"]) == ("tax_unknown", True)
    changed = taxed("subs", "billing", "design", "--address", "country=DE", "--yes", "-o", "json")
    assert "Stripe's tax is turned on again" in changed.json["summary"]
    (subscription,) = live_subscriptions(taxed)
    assert subscription["automatic_tax"]["enabled"] is True
    shown_and_charged(taxed, "subs add-seats design 5")


def test_an_address_removed_between_preview_and_draft_is_noticed(taxed, monkeypatch):
    from seatctl.services.charging import own_invoice

    done(taxed, f"{BUY} --plan exclusive-term {CARD} {PLACES['DE'][0]}")
    (customer,) = objects(taxed, "customer")
    draft = own_invoice._draft

    def after_removal(*given):
        with twin(taxed) as stripe:
            send(stripe, f"customers/{customer['id']}", {"address": ""})
        return draft(*given)

    monkeypatch.setattr(own_invoice, "_draft", after_removal)
    error = refused(taxed, "subs add-seats design 5")
    assert (error["code"], "subs billing design --address" in error["hint"]) == ("tax_unknown", True)
    assert [invoice["status"] for invoice in objects(taxed, "invoice")] == ["paid"]


def test_a_page_that_sells_adds_the_tax_itself_and_the_total_without_it_is_no_price(taxed):
    page = f"{BUY} --plan exclusive --checkout"
    row = taxed.rows(*page.split(), "--dry-run")[0]
    assert (row["net"], row["tax"], row["total"], row["due_now"]) == (6000, None, None, None)
    told = taxed(*page.split(), stdin="n\n", tty=True)
    assert "adds the tax for it to 60.00 USD" in told.err
    assert "will charge" not in told.err
    error = refused(taxed, f"{page} --max-spend 60.00")
    assert (error["code"], "--address" in error["hint"]) == ("tax_unknown", True)
    waiting = refused(taxed, page, 10)
    with twin(taxed) as stripe:
        ein = {"type": "us_ein", "value": "12-3456789"}
        place = {"country": "US", "postal_code": "10001"}
        control.complete_checkout(stripe, waiting["checkout_session"], address=place, tax_id=ein)
    assert taxed("sync").code == 0
    assert charges(taxed) == [7140]
    assert taxed("subs", "billing", "design", "-o", "json").json["tax_ids"] == ["us_ein:12-3456789"]
    shown_and_charged(taxed, "subs add-seats design 5")


def test_a_page_that_only_collects_a_card_needs_the_address_before(taxed):
    page = f"{BUY} --plan exclusive-term --checkout"
    assert refused(taxed, page)["code"] == "tax_unknown"
    waiting = refused(taxed, f"{page} --address country=DE", 10)
    assert taxed("sandbox", "complete", waiting["checkout_session"]).code == 0
    assert taxed("sync").code == 0
    assert charges(taxed) == [7140]


def test_at_a_terminal_the_address_and_a_tax_id_are_asked_for(taxed):
    answers = "exclusive\n5\ndesign\npay@example.com\npm_card_visa\nus\n10001\nnonsense\n-\ny\n"
    bought = taxed("subs", "buy", stdin=answers, tty=True)
    assert bought.code == 0, bought.err
    for told in (
        *("12.00 USD plus tax per seat", "12.00 USD with tax per seat", "Country (two letters):"),
        *("Postal code:", "--tax-id takes TYPE:VALUE", "Stripe will charge 71.40 USD now."),
        "60.00 USD and 11.40 USD of tax make 71.40 USD.",
    ):
        assert told in bought.err, (told, bought.err)
    assert charges(taxed) == [7140]


def test_a_refund_gives_the_tax_back_and_says_so(taxed):
    done(taxed, f"{BUY} --plan exclusive {CARD} {PLACES['DE'][0]}")
    freeze(taxed, "2041-01-16T12:00:00Z")
    told = taxed("subs", "cancel", "design", "--now", "--refund", stdin="n\n", tty=True)
    assert "35.70 USD of invoice" in told.err
    assert "5.70 USD of it is tax." in told.err
    row = done(taxed, "subs cancel design --now --refund")
    assert (row["given_back"], row["tax_given_back"]) == (3570, 570)
    (note,) = objects(taxed, "credit_note")
    assert (note["total"], note["total_excluding_tax"]) == (3570, 3000)
    is_sound(taxed)


def test_an_invoice_and_its_receipt_show_net_tax_and_total(taxed):
    done(taxed, f"{BUY} --plan exclusive {CARD} {PLACES['DE'][0]} --owner bob@example.com")
    (row,) = taxed.rows("invoices", "list")
    assert (row["net"], row["tax"], row["total"]) == (6000, 1140, 7140)
    shown = taxed("invoices", "show", row["number"])
    for words in ("60.00 USD", "tax 11.40 USD", "71.40 USD"):
        assert words in shown.out
    messages = [one for one in taxed.rows("notify", "list") if one["template"] == "receipt"]
    text = taxed("notify", "show", str(messages[0]["id"]), "-o", "json").json["text"]
    for words in ("Net: 60.00 USD", "Tax: 11.40 USD", "Total: 71.40 USD"):
        assert words in text
