"""`subs cancel`, `subs resume`, `subs transfer`: what is given back is what was shown, once, to the cent."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.support.both_sides import charges, fail, objects
from tests.support.office import (
    A_FOUR_HUNDREDTH_LEFT,
    TEN_DAYS_LEFT,
    TERM_END,
    change_card,
    clear_faults,
    done,
    entitled,
    freeze,
    is_sound,
    open_office,
    refused,
    subs_row,
    until,
)

TERM_PLAN = "plans add pack --price 6.00 --currency usd --interval year --policy term"
CONTRACT = (
    "subs buy --plan pack --seats 20 --name acme --owner ann@example.com"
    " --billing-email pay@example.com --payment-method pm_card_visa"
)


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


@pytest.fixture
def contract(sandbox):
    """20 seats of 6.00 for a year of 365 days, from 2041-01-01; 120.00 charged."""
    freeze(sandbox, "2041-01-01T00:00:00Z")
    done(sandbox, TERM_PLAN)
    done(sandbox, CONTRACT)
    return sandbox


def refunds(seatctl) -> list[int]:
    """What went back to cards, in minor units."""
    return [refund["amount"] for refund in objects(seatctl, "refund")]


def balances(seatctl) -> dict[str, int]:
    return {one["email"]: one["balance"] for one in objects(seatctl, "customer")}


def shown_then_given(seatctl, name: str) -> tuple[dict, dict]:
    """What --dry-run says of a cancellation with refund, and what is then done."""
    command = f"subs cancel {name} --now --refund"
    before = refunds(seatctl)
    shown = done(seatctl, f"{command} --dry-run")
    assert refunds(seatctl) == before
    given = done(seatctl, command)
    return shown, given


def test_a_refund_is_what_the_preview_said_from_the_invoices_that_paid(office):
    until(office, TEN_DAYS_LEFT)
    done(office, "subs add-seats lab 5")  # -33.33 or -33.34 and +50.00: 16.66 or 16.67 on a second invoice
    added = charges(office)[-1]
    shown, given = shown_then_given(office, "lab")
    # Fifteen seats for a third of the month, 50.00: the newest invoice first, then the first one.
    assert (shown["given_back"], shown["to_balance"], shown["currency"]) == (5000, 0, "usd")
    assert [one["refund"] for one in shown["invoices"]] == [added, 5000 - added]
    assert (given["given_back"], given["invoices"]) == (shown["given_back"], shown["invoices"])
    assert refunds(office) == [added, 5000 - added]
    assert (given["status"], subs_row(office, "lab")["status"]) == ("canceled", "canceled")
    assert all(note["metadata"]["seatctl_operation"] for note in objects(office, "credit_note"))
    # A refund and no proration beside it: nothing else waits or is owed to the customer.
    assert balances(office)["pay-lab@example.com"] == 0
    assert [one for one in objects(office, "invoiceitem") if one["invoice"] is None] == []
    until(office, "2040-09-01T00:00:00Z")
    assert refunds(office) == [added, 5000 - added]
    is_sound(office)


def test_halves_of_a_refund_go_as_stripe_rounds_them(office):
    done(office, "subs buy --plan basic --seats 1 --name solo --bill-to design")
    until(office, A_FOUR_HUNDREDTH_LEFT)
    # 10.00/400 = 2.5 cents: the credit line is -3 (recording 01).
    shown, given = shown_then_given(office, "solo")
    assert (shown["given_back"], given["given_back"], refunds(office)) == (3, 3, [3])


def test_seats_stay_as_history_and_entitle_nobody(office):
    assert office("seats", "assign", "lab", "lab@example.com").code == 0
    assert entitled(office, "lab@example.com")[0] == 0
    row = done(office, "subs cancel lab --now")
    assert (row["given_back"], row["seats_until"], refunds(office)) == (0, "2040-06-01T00:00:00Z", [])
    assert entitled(office, "lab@example.com") == (7, "ended")
    assert [seat["email"] for seat in office.rows("seats", "list", "lab")] == ["lab@example.com"]
    assert refused(office, "seats assign lab design@example.com")["code"] == "subscription_not_active"
    for command in ("subs add-seats lab 1", "subs set-seats lab 3", "subs change-plan lab team"):
        assert refused(office, command)["code"] == "subscription_not_running"
    until(office, "2040-08-01T03:00:00Z")
    assert charges(office).count(10000) == 1
    assert "has already ended" in office("subs", "cancel", "lab", "--now", "--refund").err


def test_the_waiting_decrease_is_given_back_as_it_was_paid(office):
    done(office, "subs set-seats lab 1")
    until(office, TEN_DAYS_LEFT)
    shown, given = shown_then_given(office, "lab")  # ten were paid for: 100.00/3 = 33.33, or a cent beside it
    assert shown["given_back"] in (3333, 3334)
    assert given["given_back"] == shown["given_back"] == sum(refunds(office))


def test_what_the_balance_paid_goes_back_to_the_balance(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add quick --price 10.00 --currency usd --policy flexible --set decrease=now")
    done(
        sandbox,
        "subs buy --plan quick --seats 10 --name lab --owner lee@example.com --billing-email p@example.com"
        " --payment-method pm_card_visa",
    )
    # Half the month is left: nine seats are given back to the balance, 45.00.
    until(sandbox, "2040-06-16T00:00:00Z")
    done(sandbox, "subs set-seats lab 1")
    assert balances(sandbox) == {"p@example.com": -4500}
    # July costs 10.00, all from the balance; on the 16th at noon half of its 31 days is left: 5.00.
    until(sandbox, "2040-07-16T12:00:00Z")
    assert (charges(sandbox), balances(sandbox)) == ([10000], {"p@example.com": -3500})
    shown, given = shown_then_given(sandbox, "lab")
    assert (shown["given_back"], shown["to_balance"]) == (0, 500)
    assert (given["given_back"], given["to_balance"], refunds(sandbox)) == (0, 500, [])
    assert balances(sandbox) == {"p@example.com": -4000}


def test_what_waits_for_the_next_invoice_is_set_off_or_billed(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(
        sandbox,
        "plans add later --price 10.00 --currency usd --policy flexible --set increase=prorate_next_invoice",
    )
    for name in ("lab", "hall"):
        done(
            sandbox,
            f"subs buy --plan later --seats 10 --name {name} --owner lee@example.com"
            f" --billing-email {name}@example.com --payment-method pm_card_visa",
        )
    until(sandbox, "2040-06-16T00:00:00Z")
    for name in ("lab", "hall"):  # half the month: -50.00, +100.00 wait for July's invoice
        assert done(sandbox, f"subs add-seats {name} 10")["amount_paid"] == 0
    until(sandbox, "2040-06-23T12:00:00Z")
    # A quarter is left of 20 seats, 50.00; 50.00 more than was paid has been agreed to: 0.00 either way.
    shown, given = shown_then_given(sandbox, "lab")
    assert (shown["given_back"], given["given_back"], refunds(sandbox)) == (0, 0, [])
    # Without a refund what was agreed to is billed.
    shown = done(sandbox, "subs cancel hall --now --dry-run")
    assert (shown["billed_now"], shown["given_back"]) == (5000, 0)
    done(sandbox, "subs cancel hall --now")
    until(sandbox, "2040-06-24T00:00:00Z")
    assert sorted(charges(sandbox)) == [5000, 10000, 10000]
    assert [one for one in objects(sandbox, "invoiceitem") if one["invoice"] is None] == []


def test_nothing_to_give_back_is_said_before_anything_ends(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(
        sandbox,
        "plans add later --price 10.00 --currency usd --policy flexible --set increase=prorate_next_invoice",
    )
    done(sandbox, "subs buy --plan later --seats 1 --name lab --payment-method pm_card_visa")
    done(sandbox, "subs add-seats lab 9")
    until(sandbox, "2040-06-16T00:00:00Z")
    error = refused(sandbox, "subs cancel lab --now --refund")  # used 50.00, paid 10.00
    assert (error["code"], error["owed"]) == ("nothing_to_give_back", 4000)
    assert subs_row(sandbox, "lab")["status"] == "active"


def test_seats_at_full_price_give_back_the_unused_share_of_the_term(contract):
    until(contract, "2041-04-11T00:00:00Z")  # day 100
    assert done(contract, "subs add-seats acme 5")["amount_paid"] == 3000
    until(contract, "2041-10-20T00:00:00Z")  # 73 days, a fifth of the year, are left
    assert charges(contract) == [12000, 3000]
    shown, given = shown_then_given(contract, "acme")
    # A fifth of 120.00 by Stripe's preview, and a fifth of the 30.00 that our own invoice took.
    assert sorted(one["refund"] for one in shown["invoices"]) == [600, 2400]
    assert (shown["given_back"], given["given_back"], sum(refunds(contract))) == (3000, 3000, 3000)


def test_a_renewal_that_has_not_begun_is_given_back_whole(contract):
    until(contract, "2041-12-09T12:00:00Z")  # 22.5 days are left, and the window is open
    assert done(contract, "subs renew acme --seats 30")["amount_paid"] == 18000
    until(contract, "2041-12-10T00:00:00Z")  # 22 days of 365 are left of 120.00: 7.23
    shown, given = shown_then_given(contract, "acme")
    assert sorted(one["refund"] for one in shown["invoices"]) == [723, 18000]
    assert given["given_back"] == shown["given_back"] == sum(refunds(contract)) == 18723


def test_a_renewed_term_gives_back_its_unused_share(contract):
    until(contract, "2041-12-09T12:00:00Z")
    done(contract, "subs renew acme --seats 30")
    until(contract, "2042-10-20T00:00:00Z")
    shown, given = shown_then_given(contract, "acme")  # a fifth of 180.00; the first year is used up
    assert [one["refund"] for one in shown["invoices"]] == [3600]
    assert given["given_back"] == sum(refunds(contract)) == 3600


def test_a_contract_renewed_by_hand_ends_by_itself(contract):
    told = contract("subs", "cancel", "acme", "--yes")
    assert (told.code, "ends by itself on 2042-01-01" in told.err) == (0, True)
    error = refused(contract, "subs resume acme")
    assert (error["code"], error["allowed_from"]) == ("ends_by_itself", "2041-12-02T00:00:00Z")
    assert error["hint"] == "seatctl subs show acme"
    assert contract.rows("runs", "list")[0]["command"].startswith("seatctl subs buy")
    until(contract, "2041-12-09T12:00:00Z")
    error = refused(contract, "subs resume acme")
    assert (error["allowed_from"], error["hint"]) == (None, "seatctl subs renew acme")
    done(contract, error["hint"].removeprefix("seatctl "))
    assert refused(contract, "subs resume acme")["allowed_from"] == "2042-12-02T00:00:00Z"


def test_a_question_tells_what_is_given_back_and_no_leaves_everything(office):
    until(office, "2040-06-16T00:00:00Z")
    asked = office("subs", "cancel", "lab", "--now", "--refund", tty=True, stdin="n\n")
    assert (asked.code, subs_row(office, "lab")["status"]) == (4, "active")
    assert "50.00 USD of invoice" in asked.err
    assert "goes back to the card" in asked.err
    asked = office("subs", "cancel", "lab", "--now", tty=True, stdin="y\n")
    assert "Nothing is given back without --refund." in asked.err
    assert (asked.code, subs_row(office, "lab")["status"]) == (0, "canceled")


# Unpaid -----------------------------------------------------------------------------------------------


@pytest.fixture
def past_due(office):
    """The renewal of `lab` on July 1st was declined; 100.00 is open, and the grace ends on July 8th."""
    change_card(office, "pay-lab@example.com", "pm_card_chargeCustomerFail")
    until(office, "2040-07-01T02:00:00Z")
    assert subs_row(office, "lab")["status"] == "past_due"
    return office


def open_invoice(seatctl):
    (invoice,) = [one for one in objects(seatctl, "invoice") if one["status"] == "open"]
    return invoice["number"]


def test_an_unpaid_period_is_not_promised_and_its_open_invoice_is_named(past_due):
    number = open_invoice(past_due)
    shown = done(past_due, "subs cancel lab --dry-run")
    assert shown["seats_until"].startswith("2040-07-08")
    assert (shown["owed"], shown["open_invoices"]) == (
        10000,
        [{"number": number, "amount": 10000, "currency": "usd"}],
    )
    asked = past_due("subs", "cancel", "lab", tty=True, stdin="n\n")
    assert "its seats hold until 2040-07-08; if it is paid, they hold until 2040-08-01" in asked.err
    assert f"Invoice {number} over 100.00 USD stays open and Stripe keeps collecting it" in asked.err
    told = past_due("subs", "cancel", "lab", "--yes", "-o", "json")
    assert told.rows[0]["seats_until"].startswith("2040-07-08")
    summary = told.json["summary"]
    assert "its seats hold until 2040-07-08 unless it is paid" in summary
    assert f"stays open and Stripe keeps collecting: seatctl invoices void {number} voids it" in summary
    assert told.rows[0]["open_invoices"] == shown["open_invoices"]
    again = past_due("subs", "cancel", "lab", "--yes", "-o", "json")
    assert "is already canceled; it ends on 2040-08-01" in again.json["summary"]
    assert f"invoice {number} over 100.00 USD stays open" in again.json["summary"]
    assert past_due("invoices", "void", number, "--yes").code == 0
    assert subs_row(past_due, "lab")["ends"] is True


def test_after_the_grace_its_seats_entitle_nobody(past_due):
    until(past_due, "2040-07-10T00:00:00Z")
    asked = past_due("subs", "cancel", "lab", tty=True, stdin="n\n")
    assert "its seats entitle nobody now; if it is paid, they hold until 2040-08-01" in asked.err


def test_what_is_unpaid_for_good_entitles_nobody_until_its_end(past_due):
    assert past_due("sandbox", "retries", "unpaid").code == 0
    until(past_due, "2040-07-29T00:00:00Z")
    assert subs_row(past_due, "lab")["status"] == "unpaid"
    told = past_due("subs", "cancel", "lab", "--yes", "-o", "json")
    assert "its seats entitle nobody unless it is paid" in told.json["summary"]
    assert told.rows[0]["seats_until"].startswith("2040-07-29")


def test_ending_at_once_names_what_stays_open(past_due):
    number = open_invoice(past_due)
    asked = past_due("subs", "cancel", "lab", "--now", tty=True, stdin="n\n")
    assert f"Invoice {number} over 100.00 USD stays open, to be paid by hand" in asked.err
    told = past_due("subs", "cancel", "lab", "--now", "--yes", "-o", "json")
    assert f"seatctl invoices void {number} voids it" in told.json["summary"]
    assert past_due("invoices", "void", number, "--yes").code == 0


@pytest.mark.parametrize("words", ["--refund", "--now --at-period-end"])
def test_options_that_do_not_go_together(office, words):
    assert office("subs", "cancel", "lab", *words.split(), "--yes").code == 2


def test_without_a_terminal_yes_is_needed(office):
    result = office("subs", "cancel", "lab", "-o", "json")
    assert (result.code, "--yes" in result.err, subs_row(office, "lab")["ends"]) == (2, True, False)


@pytest.mark.parametrize("path", ["/v1/subscriptions", "/v1/credit_notes"])
def test_a_lost_answer_gives_back_once(office, path):
    until(office, "2040-06-16T00:00:00Z")
    done(office, "subs add-seats lab 2")
    method = "DELETE" if "subscriptions" in path else "POST"
    fail(office, "lost", times=9, path=path, method=method)
    assert office("subs", "cancel", "lab", "--now", "--refund", "--yes").code == 75
    clear_faults(office, path, method)
    row = done(office, "subs cancel lab --now --refund")
    assert (row["given_back"], sum(refunds(office)), row["status"]) == (6000, 6000, "canceled")
    assert office.rows("runs", "list", "--state", "pending") == []
    is_sound(office)


def test_sync_finishes_a_cancellation_that_was_interrupted(office):
    until(office, "2040-06-16T00:00:00Z")
    fail(office, "timeout", times=9, path="/v1/credit_notes", method="POST")
    assert office("subs", "cancel", "lab", "--now", "--refund", "--yes").code == 75
    clear_faults(office, "/v1/credit_notes")
    assert subs_row(office, "lab")["status"] == "active"
    assert office("sync").code == 0
    assert (subs_row(office, "lab")["status"], refunds(office)) == ("canceled", [5000])


def test_a_cancellation_that_never_reached_stripe_is_forgotten_after_a_day(office):
    until(office, "2040-06-16T00:00:00Z")
    fail(office, "timeout", times=9, path="/v1/subscriptions", method="DELETE")
    assert office("subs", "cancel", "lab", "--now", "--refund", "--yes").code == 75
    clear_faults(office, "/v1/subscriptions", "DELETE")
    until(office, "2040-06-18T00:00:00Z")
    assert (subs_row(office, "lab")["status"], refunds(office)) == ("active", [])
    assert office.rows("runs", "list", "--state", "failed") != []


def test_a_refund_that_stripe_refuses_after_all_is_told_and_the_rest_is_given(office):
    """Somebody refunds by hand in the moment between the preview and the credit note."""
    until(office, TEN_DAYS_LEFT)
    done(office, "subs add-seats lab 5")
    newest = charges(office)[-1]
    fail(office, "timeout", times=9, path="/v1/credit_notes", method="POST")
    assert office("subs", "cancel", "lab", "--now", "--refund", "--yes").code == 75
    clear_faults(office, "/v1/credit_notes")
    refund_by_hand(office, newest)
    result = office("subs", "cancel", "lab", "--now", "--refund", "--yes", "-o", "json")
    row = result.json["rows"][0]
    assert (result.code, row["result"], row["given_back"]) == (6, "partly", 5000 - newest)
    assert "refused" in result.json["summary"]
    assert sum(refunds(office)) == 5000


def refund_by_hand(seatctl, amount: int) -> None:
    from tests.support.both_sides import twin

    charge = next(one["id"] for one in objects(seatctl, "charge") if one["amount"] == amount)
    with twin(seatctl) as stripe:
        headers = {"Authorization": "Bearer sk_test_dashboard"}
        assert stripe.handle("POST", "/v1/refunds", headers, f"charge={charge}").status == 200


def test_a_cancellation_through_the_portal_is_resumed(office):
    """The portal sets only `cancel_at`."""
    from tests.support.both_sides import twin

    stripe_id = subs_row(office, "lab")["stripe_subscription"]
    with twin(office) as stripe:
        headers = {"Authorization": "Bearer sk_test_portal"}
        end = 2224800000
        answer = stripe.handle("POST", f"/v1/subscriptions/{stripe_id}", headers, f"cancel_at={end}")
        assert answer.status == 200, answer.body
    assert office("sync").code == 0
    assert subs_row(office, "lab")["ends"] is True
    assert done(office, "subs resume lab")["status"] == "active"
    assert subs_row(office, "lab")["ends"] is False


def test_a_request_to_resume_is_not_done_twice(office):
    """Its request id is stored with the operation, as for every other change."""
    done(office, "subs cancel lab")
    done(office, "subs resume lab --request-id X")
    done(office, "subs cancel lab")
    again = office("subs", "resume", "lab", "--request-id", "X", "--yes")
    assert (again.code, again.err.startswith("already done: resumed lab")) == (0, True)
    assert subs_row(office, "lab")["ends"] is True


def test_transfer_makes_somebody_else_the_owner_here_and_in_stripe(office):
    unknown = office("subs", "transfer", "lab", "zoe@example.org", "-o", "json")
    assert (unknown.code, unknown.error["hint"]) == (9, "seatctl users add zoe@example.org")
    assert office("users", "add", "zoe@example.org").code == 0
    done(office, "subs transfer lab zoe@example.org")
    assert subs_row(office, "lab")["owner"] == "zoe@example.org"
    owners = [one["metadata"]["seatctl_owner"] for one in objects(office, "subscription")]
    assert owners == ["design@example.com", "zoe@example.org", "field@example.com"]
    # The new owner runs it now, and the old one does not.
    assert office("--as", "lab@example.com", "subs", "cancel", "lab", "--yes").code == 8
    assert office("--as", "zoe@example.org", "subs", "cancel", "lab", "--yes").code == 0
    assert "already" in office("subs", "transfer", "lab", "zoe@example.org").err
    assert json.loads(office("subs", "transfer", "lab", "zoe@example.org", "-n", "-o", "json").out)


def test_the_term_s_end_is_stripe_s(office):
    assert subs_row(office, "lab")["term_end"] == TERM_END


def test_canceling_renaming_and_handing_over_say_how_to_take_them_back(office):
    assert office("users", "add", "bob@example.com").code == 0
    before = subs_row(office)
    for words in (("cancel",), ("rename", "Studio EU"), ("transfer", "bob@example.com")):
        done = office("subs", words[0], "design", *words[1:], "--yes")
        (undo,) = [line.removeprefix("undo: ") for line in done.err.splitlines() if "undo: " in line]
        assert office(*shlex.split(undo)[1:], "--yes").code == 0, undo
        assert subs_row(office) == before, undo


def test_no_way_back_is_named_that_would_be_refused(office):
    office("users", "add", "bob@example.com")
    handed = office(
        "subs", "transfer", "design", "bob@example.com", "--as", "design@example.com", "-o", "json"
    )
    assert handed.json["undo"] is None  # it is bob's now, who alone may give it away
    assert office("subs", "cancel", "lab", "--now", "--yes", "-o", "json").json["undo"] is None
