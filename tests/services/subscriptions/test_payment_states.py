"""Every state in which a subscription is not paid: each says why, as long as it is true, and the way out."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, charges, fail, live_subscriptions, objects, twin
from tests.support.office import clear_faults, done, is_sound, refused, until
from tests.support.subscriptions import ledger_place, query

ZOE = "zoe@example.com"


@pytest.fixture
def design(sandbox, team):
    """Five seats of `pro` for 60.00 a month, in one of which Zoe sits."""
    assert sandbox("users", "add", ZOE, "bob@example.com").code == 0
    assert sandbox("seats", "assign", team, ZOE).code == 0
    return sandbox


def attention(seatctl) -> list[str]:
    return seatctl("status", "-o", "json").json["attention"]


def said(seatctl, name: str = "design") -> dict:
    return seatctl("subs", "show", name, "-o", "json").json


def check(seatctl) -> dict:
    return seatctl("check", ZOE, "-o", "json").json


def stripe_subscription(seatctl) -> dict:
    (found,) = live_subscriptions(seatctl)
    return found


def tell_stripe(seatctl, **form: str) -> None:
    """Change the subscription in the dashboard, and read it."""
    change(seatctl, f"subscriptions/{stripe_subscription(seatctl)['id']}", **form)
    assert seatctl("sync").code == 0


def fail_payments(seatctl, days: int, outcome: str = "past_due") -> None:
    """Let the card fail from now on, and so many days pass."""
    assert seatctl("sandbox", "retries", outcome).code == 0
    done(seatctl, "subs billing design --payment-method pm_card_chargeCustomerFail")
    advance(seatctl, hours=24 * days)
    assert seatctl("sync").code == 0


def the_same_everywhere(seatctl, reason: str, way: str) -> None:
    """`status`, `subs show`, `subs list`, `check` give this reason and this way out."""
    page, answer = said(seatctl), check(seatctl)
    (row,) = seatctl.rows("subs", "list")
    assert page["attention"] == row["attention"]
    assert page["ways_out"] == row["ways_out"]
    assert any(reason in line for line in page["attention"]), page["attention"]
    assert page["ways_out"][0] == answer["ways_out"][0] == way
    assert any(reason in line and way in line for line in attention(seatctl)), attention(seatctl)
    assert reason in answer["message"]
    assert "subs buy" not in str([page, row, answer, attention(seatctl)])


def carry_out(seatctl, command: str) -> None:
    """Type a command that was advised."""
    # Word by word: an id of an invoice may have a PM in it.
    words = ["pm_card_visa" if word == "PM" else word for word in command.split()[1:]]
    result = seatctl(*words, "--yes")
    assert result.code == 0, (command, result.err)


# Past due ---------------------------------------------------------------------------------------------


def test_past_due_names_the_open_invoice_until_it_is_paid(design):
    fail_payments(design, 33)
    number = design.rows("invoices", "list", "--unpaid")[0]["number"]
    the_same_everywhere(design, "60.00 USD (invoice", f"seatctl invoices pay {number}")
    assert check(design)["reason"] == "in_grace"
    assert "access ends on" in said(design)["attention"][0]
    carry_out(design, said(design)["ways_out"][1])  # a new card, which pays it
    assert (said(design)["status"], said(design)["attention"], attention(design)) == ("active", [], [])
    assert check(design)["ways_out"] == []
    is_sound(design)


def test_past_due_after_the_grace_still_names_it(design):
    fail_payments(design, 45)
    number = design.rows("invoices", "list", "--unpaid")[0]["number"]
    the_same_everywhere(design, "access ended on", f"seatctl invoices pay {number}")
    assert check(design)["reason"] == "past_due"


def test_seats_wanted_of_one_that_is_past_due_are_not_bought_before_it_is_paid(design):
    fail_payments(design, 33)
    many = [f"u{n}@example.com" for n in range(6)]
    assert design("users", "add", *many).code == 0
    error = refused(design, f"seats assign design {' '.join(many)}")
    number = design.rows("invoices", "list", "--unpaid")[0]["number"]
    assert error["hint"].startswith(f"seatctl invoices pay {number}, then: seatctl subs add-seats design 2")


def test_an_older_invoice_that_is_left_is_told_although_stripe_calls_it_active(design):
    fail_payments(design, 65)
    newest, oldest = design.rows("invoices", "list", "--unpaid")
    done(design, f"invoices pay {newest['number']} --payment-method pm_card_visa")
    assert said(design)["status"] == "active"
    (line,) = attention(design)
    assert f"seatctl invoices pay {oldest['number']}" in line
    assert check(design)["entitled"] is True
    done(design, f"invoices pay {oldest['number']} --payment-method pm_card_visa")
    assert attention(design) == []


# Unpaid -----------------------------------------------------------------------------------------------


def test_unpaid_is_paid_by_its_draft_and_runs_again(design):
    fail_payments(design, 65, "unpaid")
    draft, opened = [row for row in design.rows("invoices", "list") if row["status"] in {"draft", "open"}]
    assert (draft["status"], opened["status"], said(design)["status"]) == ("draft", "open", "unpaid")
    the_same_everywhere(design, "is unpaid", f"seatctl invoices pay {draft['number']}")
    assert check(design)["reason"] == "unpaid"
    for command in ("seats assign design bob@example.com", "requests create bob@example.com -s design"):
        error = refused(design, command)
        assert (error["code"], draft["number"] in error["hint"]) == ("subscription_not_active", True)
    other = design("check", "bob@example.com", "-s", "design", "-o", "json").json
    assert (other["reason"], other["ways_out"]) == ("unseated", said(design)["ways_out"])
    assert "design is unpaid" in other["message"]
    anywhere = design("check", "bob@example.com", "-o", "json").json["ways_out"]
    assert anywhere[0] == "seatctl requests create bob@example.com"  # not of one that would refuse it
    error = refused(design, "subs add-seats design 1")
    assert (error["code"], draft["number"] in error["hint"]) == ("subscription_not_running", True)
    assert "subs buy" not in error["hint"]
    before = len(charges(design))
    shown = design("invoices", "pay", draft["number"], "--payment-method", "pm_card_visa", "--dry-run")
    assert (shown.code, len(charges(design))) == (0, before)
    done(design, f"invoices pay {draft['number']} --payment-method pm_card_visa --max-spend 60.00")
    assert charges(design)[before:] == [6000]
    assert (said(design)["status"], check(design)["entitled"]) == ("active", True)
    (line,) = attention(design)  # the older one is still owed
    assert f"seatctl invoices pay {opened['number']}" in line
    done(design, f"invoices pay {opened['number']} --payment-method pm_card_visa")
    assert attention(design) == []
    is_sound(design)


def test_unpaid_is_paid_by_a_draft_that_credit_leaves_nothing_to_pay_of(design):
    """Stripe asks for its newest invoice, whatever that costs: with the others paid, no way out was told."""
    fail_payments(design, 65, "unpaid")
    customer = stripe_subscription(design)["customer"]
    with twin(design) as stripe:
        send(stripe, f"customers/{customer}/balance_transactions", {"amount": -50000, "currency": "usd"})
    done(design, "sync --full")
    draft, opened = design.rows("invoices", "list")[:2]
    the_same_everywhere(design, "is unpaid", f"seatctl invoices pay {draft['number']}")
    done(design, f"invoices pay {opened['number']} --payment-method pm_card_visa")
    the_same_everywhere(design, "Stripe waits for 0.00 USD", f"seatctl invoices pay {draft['number']}")
    carry_out(design, said(design)["ways_out"][0])
    assert (said(design)["status"], said(design)["attention"]) == ("active", [])


def test_a_new_card_of_an_unpaid_one_says_what_it_does_not_pay(design):
    fail_payments(design, 65, "unpaid")
    draft = design.rows("invoices", "list")[0]["number"]
    told = design("subs", "billing", "design", "--payment-method", "pm_card_visa", "--yes", "-o", "json")
    assert told.json["summary"].endswith(f"still to be paid: seatctl invoices pay {draft}")
    carry_out(design, f"seatctl invoices pay {draft}")
    assert (said(design)["status"], attention(design)) == ("active", [])


def test_a_declined_card_leaves_the_finalized_draft_open_and_payable(design):
    fail_payments(design, 65, "unpaid")
    draft = design.rows("invoices", "list")[0]["number"]
    error = refused(design, f"invoices pay {draft}", 5)
    assert design("sync").code == 0
    row = design.rows("invoices", "list")[0]
    assert error["code"] == "card_declined"
    assert error["message"].endswith(f"the draft has become the open invoice {row['number']}")
    assert (row["stripe_id"], row["status"]) == (draft, "open")
    assert said(design)["ways_out"][0] == f"seatctl invoices pay {row['number']}"
    done(design, f"invoices pay {row['number']} --payment-method pm_card_visa")
    assert said(design)["status"] == "active"


def test_a_draft_that_comes_to_more_than_was_shown_is_not_charged(design, monkeypatch):
    fail_payments(design, 65, "unpaid")
    draft = design.rows("invoices", "list")[0]["number"]
    from seatctl.services.invoices import invoice_operation

    prepare = invoice_operation.prepare

    def grown(*args, **options):
        found = prepare(*args, **options)  # between what is shown and what is finalized
        change(design, "invoiceitems", customer=stripe_subscription(design)["customer"], invoice=draft,
               amount="500", currency="usd")  # fmt: skip
        return found

    monkeypatch.setattr(invoice_operation, "prepare", grown)
    error = refused(design, f"invoices pay {draft} --payment-method pm_card_visa")
    assert (error["code"], "65.00 USD" in error["message"]) == ("price_changed", True)


def test_a_draft_that_stripe_collects_by_itself_is_left_to_it(design):
    with twin(design) as stripe:
        (item,) = stripe.store.walk("subscription_item")
        control.advance(stripe, to=item["current_period_end"] + 600)  # it is finalized an hour after
    assert design("sync").code == 0
    draft = design.rows("invoices", "list")[0]
    assert draft["status"] == "draft"
    error = refused(design, f"invoices pay {draft['number']}")
    assert (error["code"], "by itself on 20" in error["message"]) == ("invoice_state", True)
    assert attention(design) == []


# Collection is paused ---------------------------------------------------------------------------------


RESUME = "seatctl subs resume design --collection"


@pytest.mark.parametrize(
    ("behavior", "status"),
    [("void", "void"), ("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible")],
)
def test_a_pause_in_collection_is_told_until_it_is_ended(design, behavior, status):
    tell_stripe(design, **{"pause_collection[behavior]": behavior})
    assert check(design)["entitled"] is True
    the_same_everywhere(design, "collection of design is paused", RESUME)
    until(design, "32d")
    row = design.rows("invoices", "list")[0]
    assert (row["status"], len(charges(design))) == (status, 1)
    assert check(design)["entitled"] is True
    the_same_everywhere(design, "collection of design is paused", RESUME)
    for command in ("subs add-seats design 1", "subs set-seats design 9"):
        error = refused(design, command)
        assert (error["code"], error["hint"]) == ("collection_paused", RESUME)
    resumed = design("subs", "resume", "design", "--yes", "-o", "json").json["summary"]
    if behavior == "keep_as_draft":
        assert f"still to pay: seatctl invoices pay {row['number']}" in resumed
        (line,) = attention(design)
        assert "a draft that Stripe does not collect" in line
        carry_out(design, f"seatctl invoices pay {row['number']}")
        assert charges(design) == [6000, 6000]
    assert (attention(design), said(design)["attention"]) == ([], [])
    assert done(design, "subs add-seats design 1")["seats"] == 6
    is_sound(design)


def test_a_pause_that_ends_by_itself_says_when_and_is_over_then(design):
    now = objects(design, "subscription")[0]["created"]
    resumes = now + 10 * 86400
    tell_stripe(
        design, **{"pause_collection[behavior]": "void", "pause_collection[resumes_at]": str(resumes)}
    )
    assert "is paused until 20" in said(design)["attention"][0]
    advance(design, hours=24 * 11)
    assert (said(design)["attention"], attention(design)) == ([], [])  # by the clock: no sync is needed
    assert design("sync").code == 0
    assert attention(design) == []


def test_reconcile_finds_a_pause_and_goes_on_telling_it(design):
    assert design("sync").code == 0
    change(
        design, f"subscriptions/{stripe_subscription(design)['id']}", **{"pause_collection[behavior]": "void"}
    )
    (row,) = design.rows("reconcile")
    assert (row["drift"], row["repair"]) == ("collection", "seatctl reconcile --fix")
    (row,) = design.rows("reconcile", "--fix", "--check")
    assert (row["drift"], row["repair"]) == (None, RESUME)
    assert "collection of design is paused" in row["reason"]


def test_a_sync_tells_of_a_pause_that_the_dashboard_made(design):
    change(
        design, f"subscriptions/{stripe_subscription(design)['id']}", **{"pause_collection[behavior]": "void"}
    )
    (row,) = design.rows("sync")
    assert (row["name"], row["summary"]) == ("design", "collection on → paused")
    tell_stripe(design, pause_collection="")
    assert attention(design) == []


def test_a_pause_is_ended_and_a_cancellation_stays(design):
    done(design, "subs cancel design")
    tell_stripe(design, **{"pause_collection[behavior]": "void"})
    told = design(*RESUME.split()[1:], "--yes", "-o", "json").json["summary"]
    assert "it is still canceled" in told
    assert (said(design)["ends"], said(design)["attention"]) == (True, [])
    done(design, "subs resume design")
    assert said(design)["ends"] is False


# Paused -----------------------------------------------------------------------------------------------


@pytest.fixture
def trial(sandbox, pro):
    """`acme`, two seats: made in the dashboard as a trial without a card, which has ended: paused."""
    (price,) = [one["id"] for one in objects(sandbox, "price")]
    with twin(sandbox) as stripe:
        customer = send(stripe, "customers", {"name": "acme", "email": "pay@example.com"})["id"]
        end = {"end_behavior": {"missing_payment_method": "pause"}}
        items = [{"price": price, "quantity": 2}]
        send(
            stripe,
            "subscriptions",
            {"customer": customer, "items": items, "trial_period_days": 7, "trial_settings": end},
        )
    assert sandbox("sync").code == 0
    assert sandbox("ledger", "adopt", "--yes").code == 0
    assert sandbox("users", "add", ZOE).code == 0
    assert sandbox("seats", "assign", "acme", ZOE).code == 0
    until(sandbox, "8d")
    return sandbox


def test_a_trial_without_a_card_is_paused_and_comes_back_by_the_two_commands(trial):
    page = said(trial, "acme")
    assert (page["status"], check(trial)["reason"]) == ("paused", "paused")
    card, resume = page["ways_out"]
    assert page["ways_out"] == check(trial)["ways_out"]
    # Nothing about the end of its term: until it is resumed, no sync would find another one.
    assert [line.partition(":")[0] for line in attention(trial)] == ["acme is paused"]
    error = refused(trial, "requests create ann@example.com -s acme --create-users")
    assert (error["code"], resume in error["hint"]) == ("subscription_not_active", True)
    assert refused(trial, "subs resume acme")["code"] == "card_required"
    carry_out(trial, card)
    shown = trial("subs", "resume", "acme", "--dry-run", "-o", "json")
    assert (shown.rows[0]["due_now"], charges(trial)) == (2400, [])
    assert refused(trial, "subs resume acme --max-spend 23.99")["code"] == "max_spend_exceeded"
    carry_out(trial, resume)
    assert (charges(trial), said(trial, "acme")["status"], attention(trial)) == ([2400], "active", [])
    assert check(trial)["entitled"] is True
    is_sound(trial)


def test_a_card_that_is_declined_leaves_it_paused_and_owes_nothing(trial):
    done(trial, "subs billing acme --payment-method pm_card_chargeCustomerFail")
    assert refused(trial, "subs resume acme", 5)["code"] == "card_declined"
    assert trial("sync").code == 0
    assert [row["status"] for row in trial.rows("invoices", "list", "--unpaid")] == []
    assert said(trial, "acme")["status"] == "paused"
    carry_out(trial, "seatctl subs billing acme --payment-method PM")
    carry_out(trial, "seatctl subs resume acme")
    assert (charges(trial), said(trial, "acme")["status"]) == ([2400], "active")


def cancel_in_stripe(seatctl) -> None:
    (subscription,) = objects(seatctl, "subscription")
    with twin(seatctl) as stripe:
        key = {"Authorization": "Bearer sk_test_x"}
        stripe.handle("DELETE", f"/v1/subscriptions/{subscription['id']}", key, None)


@pytest.mark.parametrize("command", ["sync", "runs undo"])
def test_a_resumption_that_waits_for_the_bank_when_the_subscription_ends_owes_nothing(trial, command):
    done(trial, "subs billing acme --payment-method pm_card_threeDSecure2Required")
    run = refused(trial, "subs resume acme", 10)["run"]
    cancel_in_stripe(trial)
    assert trial(*command.split(), *([str(run), "--yes"] if command == "runs undo" else [])).code == 0
    assert trial("sync").code == 0
    assert {row["status"] for row in trial.rows("invoices", "list")} == {"paid", "void"}
    assert (charges(trial), said(trial, "acme")["status"]) == ([], "canceled")
    is_sound(trial)


def test_a_resumption_that_failed_is_not_taken_for_done_when_the_subscription_ends(trial):
    done(trial, "subs billing acme --payment-method pm_card_visa")
    fail(trial, "500", times=9, method="POST", path="/v1/subscriptions/")
    assert trial("subs", "resume", "acme", "--yes").code != 0
    clear_faults(trial)
    cancel_in_stripe(trial)
    assert trial("sync").code == 0
    assert query(ledger_place(trial), "SELECT state FROM operations WHERE kind = 'resume'") == [("failed",)]
    assert (charges(trial), said(trial, "acme")["status"]) == ([], "canceled")


def test_a_lost_answer_to_the_resumption_charges_once(trial):
    carry_out(trial, "seatctl subs billing acme --payment-method PM")
    assert trial("sandbox", "fail", "lost", "--path", "/v1/subscriptions/", "--method", "POST").code == 0
    first = trial("subs", "resume", "acme", "--yes")
    if first.code:
        assert trial("sync").code == 0
    assert (charges(trial), said(trial, "acme")["status"]) == ([2400], "active")
    is_sound(trial)


# On account -------------------------------------------------------------------------------------------


def test_on_account_is_late_from_its_due_date_on_and_not_before(sandbox, pro):
    buy = "subs buy --plan pro --seats 2 --name acme --owner ann@example.com --billing-email pay@example.com"
    done(sandbox, f"{buy} --on-account --due-in 14d")
    number = sandbox.rows("invoices", "list")[0]["number"]
    assert attention(sandbox) == []  # it is not late
    until(sandbox, "15d")
    send_again, pay = said(sandbox, "acme")["ways_out"]
    assert (send_again, pay.startswith(f"seatctl invoices pay {number} ")) == (
        f"seatctl invoices send {number}",
        True,
    )
    assert f"24.00 USD (invoice {number})" in attention(sandbox)[0]
    carry_out(sandbox, send_again)
    carry_out(sandbox, pay)
    assert charges(sandbox) == [2400]
    assert attention(sandbox) == []


# Over-assigned ----------------------------------------------------------------------------------------


def test_too_many_people_are_told_with_both_ways_out(design):
    assert design("seats", "assign", "design", "bob@example.com").code == 0
    with twin(design) as stripe:
        item = objects(design, "subscription_item")[0]["id"]
        send(stripe, f"subscription_items/{item}", {"quantity": 1, "proration_behavior": "none"})
    assert design("sync").code == 0
    page = said(design)
    assert page["attention"] == ["design is over-assigned: 2 people have a seat, 1 seat is paid for"]
    assert page["ways_out"] == ["seatctl seats revoke design EMAIL...", "seatctl subs add-seats design 1"]
    assert attention(design) == [f"{page['attention'][0]}: {', or '.join(page['ways_out'])}"]
    carry_out(design, page["ways_out"][1])
    assert attention(design) == []
