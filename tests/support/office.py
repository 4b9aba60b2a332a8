"""An office with three flexible subscriptions, and short words for what is done and refused in it.

Bought at the beginning of a June, which has 30 days, so that fractions of the month are those that the
recordings settle to the cent: a third (ten days left) and 1/400 (6480 seconds left).
"""

from __future__ import annotations

import json
from datetime import datetime

from seatctl.sandbox import clock
from tests.support.both_sides import charges, faults_left, objects, twin
from tests.support.scenes import made_once

START = "2040-06-01T00:00:00Z"
TEN_DAYS_LEFT = "2040-06-21T00:00:00Z"
A_FOUR_HUNDREDTH_LEFT = "2040-06-30T22:12:00Z"
RENEWED = "2040-07-01T03:00:00Z"
"""Stripe finalizes a renewal's invoice an hour after the period began."""
TERM_END = "2040-07-01T00:00:00Z"

CARDS = {"design": "pm_card_visa", "lab": "pm_card_mastercard", "field": "pm_card_amex"}


@made_once
def open_contract(sandbox):
    """`acme`: 20 seats of 6.00 for a year of 365 days, from 2041-01-01; 120.00 charged."""
    freeze(sandbox, "2041-01-01T00:00:00Z")
    done(sandbox, "plans add pack --price 6.00 --currency usd --interval year --policy term")
    done(
        sandbox,
        "subs buy --plan pack --seats 20 --name acme --owner ann@example.com"
        " --billing-email pay@example.com --payment-method pm_card_visa",
    )


@made_once
def open_office(sandbox):
    """Plans `basic` (10.00), `team` (20.00); `design`, `lab`, `field` with 2, 10, 3 seats of basic."""
    freeze(sandbox, START)
    for slug, price in (("basic", "10.00"), ("team", "20.00")):
        done(sandbox, f"plans add {slug} --price {price} --currency usd --policy flexible")
    for name, seats in (("design", 2), ("lab", 10), ("field", 3)):
        done(
            sandbox,
            f"subs buy --plan basic --seats {seats} --name {name} --owner {name}@example.com"
            f" --billing-email pay-{name}@example.com --payment-method {CARDS[name]}",
        )
    assert charges(sandbox) == [2000, 10000, 3000]


def freeze(seatctl, moment: str) -> None:
    """Stop the sandbox's clock there, so that a slow machine changes no fraction of a month."""
    with twin(seatctl) as stripe, stripe.store.transaction():
        clock.freeze(stripe.store, int(datetime.fromisoformat(moment).timestamp()))


def done(seatctl, command: str) -> dict:
    """The first row of what a command reports that must succeed."""
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert result.code == 0, (command, result.err)
    return result.json["rows"][0] if result.json["rows"] else {}


def refused(seatctl, command: str, code: int = 4) -> dict:
    """The error of a command that is refused, and that charges nothing."""
    before = charges(seatctl)
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert (result.code, result.out) == (code, ""), result
    assert charges(seatctl) == before
    return json.loads(result.err)["error"]


def subs_row(seatctl, name: str = "design") -> dict:
    return next(row for row in seatctl.rows("subs", "list") if row["name"] == name)


def until(seatctl, moment: str) -> None:
    """Move the clock and read Stripe again."""
    assert seatctl("sandbox", "advance", moment).code == 0
    assert seatctl("sync").code == 0


def item(seatctl, name: str = "design") -> dict:
    wanted = subs_row(seatctl, name)["stripe_subscription"]
    return next(one for one in objects(seatctl, "subscription_item") if one["subscription"] == wanted)


def is_sound(seatctl) -> None:
    assert seatctl("audit", "verify").code == seatctl("ledger", "check").code == 0


def entitled(seatctl, email: str) -> tuple[int, str]:
    answer = seatctl("check", email, "-o", "json")
    return answer.code, answer.json["reason"]


def change_card(seatctl, email: str, card: str) -> None:
    """Another card, straight at Stripe, as the customer portal would do it."""
    with twin(seatctl) as stripe:
        customer = next(one["id"] for one in objects(seatctl, "customer") if one["email"] == email)
        subscription = next(
            one["id"] for one in objects(seatctl, "subscription") if one["customer"] == customer
        )
        form = "application/x-www-form-urlencoded"
        headers = {"Authorization": "Bearer sk_test_portal", "Content-Type": form}
        made = stripe.handle("POST", f"/v1/payment_methods/{card}/attach", headers, f"customer={customer}")
        method = json.loads(made.body)["id"]
        for path, body in (
            (f"/v1/customers/{customer}", f"invoice_settings[default_payment_method]={method}"),
            (f"/v1/subscriptions/{subscription}", f"default_payment_method={method}"),
        ):
            assert stripe.handle("POST", path, headers, body).status == 200


def clear_faults(seatctl, path: str = "/v1/subscriptions", method: str = "POST") -> None:
    """Let what is still armed for such calls be used up by calls that change nothing."""
    for _ in range(faults_left(seatctl)):
        with twin(seatctl) as stripe:
            try:
                stripe.handle(method, f"{path}/none", {"Authorization": "Bearer sk_test_x"}, "")
            except ConnectionError:
                continue
