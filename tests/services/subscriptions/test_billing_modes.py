"""One story in classic and in flexible billing: each amount is worked out by hand, shown before, and charged.

Twelve dollars a seat and month for `pro`, twenty for `plus`; June 2040 has 30 days, July 31. What classic
billing would credit wrongly is refused, until what waits is taken back or the subscription is migrated.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.resources import subscriptions
from tests.sandbox.seed import send
from tests.support.both_sides import charges, contents, fail, objects, twin
from tests.support.office import clear_faults, done, freeze, is_sound, refused, subs_row, until
from tests.support.subscriptions import ledger_place, query

START, HALF_LEFT, THIRD_LEFT = "2040-06-01T00:00:00Z", "2040-06-16T00:00:00Z", "2040-06-21T00:00:00Z"
RENEWED, HALF_OF_JULY = "2040-07-01T03:00:00Z", "2040-07-16T12:00:00Z"
MODES = ("classic", "flexible", "migrated")


def bought_elsewhere(seatctl, mode: str) -> None:
    """`acme`: ten seats of `pro`, made by another program in this billing mode, and adopted."""
    freeze(seatctl, START)
    for slug, price in (("pro", "12.00"), ("plus", "20.00")):
        done(seatctl, f"plans add {slug} --price {price} --currency usd --policy flexible")
    (price,) = [one["id"] for one in objects(seatctl, "price") if one["unit_amount"] == 1200]
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    with twin(seatctl) as stripe:
        payer = send(stripe, "customers", {"name": "acme", "email": "pay@acme.example", **card})["id"]
        items = [{"price": price, "quantity": 10}]
        request = {"customer": payer, "items": items, "billing_mode": {"type": mode}}
        send(stripe, "subscriptions", request)
    assert seatctl("sync").code == 0
    done(seatctl, "ledger adopt")


def shown(seatctl, command: str) -> int | None:
    """What a dry run says is due now."""
    answer = seatctl(*command.split(), "--dry-run", "-o", "json")
    assert answer.code == 0, answer.err
    due = answer.json["rows"][0]["due_now"]
    assert isinstance(due, int)
    return due


def mode_of(seatctl) -> str:
    return seatctl("subs", "show", "acme", "-o", "json").json["billing_mode"]


@pytest.mark.parametrize("mode", MODES)
def test_the_story(sandbox, mode):
    bought_elsewhere(sandbox, "flexible" if mode == "flexible" else "classic")
    assert mode_of(sandbox) == ("flexible" if mode == "flexible" else "classic")
    paid = [12000]

    def charged(command: str, cents: int) -> None:
        assert shown(sandbox, command) == cents
        done(sandbox, command)
        paid.extend([cents] if cents else [])
        assert charges(sandbox) == paid

    until(sandbox, HALF_LEFT)
    charged("subs add-seats acme 2", 1200)  # -10 x 12.00 / 2 + 12 x 12.00 / 2
    done(sandbox, "subs set-seats acme 6")  # from July on
    if mode == "classic":
        # Stripe would credit the 6 seats of July: -36.00 + 78.00 instead of -72.00 + 78.00.
        assert refused(sandbox, "subs add-seats acme 1")["code"] == "classic_billing"
        done(sandbox, "subs set-seats acme 12")
    elif mode == "migrated":
        hint = refused(sandbox, "subs add-seats acme 1")["hint"]
        assert hint.endswith("seatctl ledger adopt acme --migrate")
        row = done(sandbox, "ledger adopt acme --migrate")
        assert (row["result"], row["billing_mode"], mode_of(sandbox)) == ("migrated", "flexible", "flexible")
    charged("subs add-seats acme 1", 600)  # -12 x 12.00 / 2 + 13 x 12.00 / 2
    until(sandbox, THIRD_LEFT)
    charged("subs change-plan acme plus", 3467)  # -13 x 12.00 / 3 = -52.00; 13 x 20.00 / 3 = 86.67
    if mode == "classic":
        done(sandbox, "subs set-seats acme 7")
    row = subs_row(sandbox, "acme")
    assert (row["plan"], row["seats"]) == ("plus", 13)
    until(sandbox, RENEWED)
    paid.append(14000)  # 7 x 20.00
    assert (charges(sandbox), subs_row(sandbox, "acme")["seats"]) == (paid, 7)
    until(sandbox, HALF_OF_JULY)
    done(sandbox, "subs set-seats acme 5")
    if mode == "classic":
        # The item holds 5 seats, 7 are paid for: Stripe would credit 50.00 instead of 70.00.
        assert refused(sandbox, "subs cancel acme --now --refund")["code"] == "classic_billing"
        done(sandbox, "subs set-seats acme 7")
    done(sandbox, "subs cancel acme --now --refund")
    assert [one["amount"] for one in objects(sandbox, "refund")] == [7000]
    is_sound(sandbox)
    assert sandbox("sync").code == 0


# Migration --------------------------------------------------------------------------------------------


@pytest.fixture
def classic(sandbox):
    bought_elsewhere(sandbox, "classic")
    return sandbox


def test_a_migration_is_previewed_asked_about_and_charges_nothing(classic):
    done(classic, "subs set-seats acme 4")
    before = contents(classic)
    planned = classic("ledger", "adopt", "--migrate", "--dry-run", "-o", "json").json
    assert contents(classic) == before
    assert (planned["dry_run"], planned["rows"][0]["result"]) == (True, "migrated")
    assert planned["rows"][0]["billing_mode"] == "flexible"
    asked = classic("ledger", "adopt", "--migrate", stdin="no\n", tty=True)
    assert "Migrate 1 subscription to flexible billing for good?" in asked.err
    assert contents(classic) == before
    done(classic, "ledger adopt --migrate")
    assert charges(classic) == [12000]
    (subscription,) = objects(classic, "subscription")
    assert subscription["billing_mode"]["type"] == "flexible"
    row = subs_row(classic, "acme")
    assert (row["seats"], row["ends"]) == (10, False)
    again = classic("ledger", "adopt", "--migrate", "-o", "json").json
    assert (again["run"], again["rows"]) == (None, [])
    is_sound(classic)
    until(classic, RENEWED)
    assert charges(classic) == [12000, 4800]


def test_one_of_another_home_is_adopted_and_migrated_at_once(sandbox):
    bought_elsewhere(sandbox, "classic")
    (subscription,) = objects(sandbox, "subscription")
    with twin(sandbox) as stripe:
        home = {"seatctl_ledger": "00000000-0000-4000-8000-000000000000"}
        send(stripe, f"subscriptions/{subscription['id']}", {"metadata": home})
    assert sandbox("sync").code == 0
    asked = sandbox("ledger", "adopt", "--migrate", stdin="no\n", tty=True)
    assert "and migrate 1 subscription to flexible billing for good?" in asked.err
    answer = sandbox("ledger", "adopt", "acme", "--migrate", "--yes", "-o", "json").json
    assert answer["rows"][0]["result"] == "adopted and migrated"
    assert answer["summary"].startswith("adopted 1 subscription; migrated 1 subscription")
    done(sandbox, "subs add-seats acme 1")


def test_without_the_option_the_mode_stays(classic):
    assert classic("ledger", "adopt", "--yes").code == 0
    assert mode_of(classic) == "classic"


def test_what_stripe_refuses_to_migrate_stays_as_it_is(classic, monkeypatch):
    def refuse(*_):
        raise invalid("This subscription cannot be migrated.")

    monkeypatch.setattr(subscriptions, "migrate", refuse)
    error = refused(classic, "ledger adopt acme --migrate", 5)
    assert "cannot be migrated" in error["message"]
    assert (mode_of(classic), charges(classic)) == ("classic", [12000])
    is_sound(classic)
    assert classic("sync").code == 0


def test_a_purchase_asks_for_flexible_billing(sandbox):
    bought_elsewhere(sandbox, "classic")
    buy = "subs buy --plan pro --seats 2 --owner ann@example.com --billing-email pay@example.com"
    done(sandbox, f"{buy} --name card --payment-method pm_card_visa")
    done(sandbox, f"{buy} --name account --on-account")
    sandbox(*f"{buy} --name page --checkout --yes".split())
    (page,) = objects(sandbox, "checkout.session")
    assert page["_params"]["subscription_data"]["billing_mode"] == {"type": "flexible"}
    modes = [one["billing_mode"]["type"] for one in objects(sandbox, "subscription")]
    assert modes == ["classic", "flexible", "flexible"]
    assert sandbox("subs", "show", "card", "-o", "json").json["billing_mode"] == "flexible"


def test_a_lost_answer_to_a_migration_is_finished_by_the_next_sync(classic):
    (subscription,) = objects(classic, "subscription")
    path = f"/v1/subscriptions/{subscription['id']}/migrate"
    fail(classic, "lost", method="POST", path=path, times=9)
    assert classic("ledger", "adopt", "acme", "--migrate", "--yes").code == 75
    clear_faults(classic, path)
    assert classic("sync").code == 0
    assert mode_of(classic) == "flexible"
    assert query(ledger_place(classic), "SELECT run FROM operations WHERE state <> 'done'") == []
    assert charges(classic) == [12000]
    is_sound(classic)


@pytest.mark.parametrize(("fault", "mode"), [("timeout", "classic"), ("lost", "flexible")])
def test_a_migration_is_given_up_only_if_it_has_not_reached_stripe(classic, fault, mode):
    (subscription,) = objects(classic, "subscription")
    path = f"/v1/subscriptions/{subscription['id']}/migrate"
    fail(classic, fault, method="POST", path=path, times=9)
    assert classic("ledger", "adopt", "acme", "--migrate", "--yes").code == 75
    clear_faults(classic, path)
    ((run,),) = query(ledger_place(classic), "SELECT run FROM operations WHERE state = 'pending'")
    assert classic("sandbox", "advance", "1h").code == 0  # nothing can be under way any more
    undone = classic("runs", "undo", str(run), "--yes", "-o", "json")
    assert undone.code == (0 if fault == "timeout" else 4), undone
    assert classic("sync").code == 0
    assert mode_of(classic) == mode
    is_sound(classic)


def test_the_mode_of_one_that_an_earlier_version_has_read_is_asked_of_stripe(classic):
    query(ledger_place(classic), "UPDATE subscriptions SET metadata = '{}'")
    assert mode_of(classic) is None
    planned = classic("ledger", "adopt", "--migrate", "--dry-run", "-o", "json").json
    assert [row["result"] for row in planned["rows"]] == ["migrated"]
    assert classic("sync", "--full").code == 0
    assert mode_of(classic) == "classic"
