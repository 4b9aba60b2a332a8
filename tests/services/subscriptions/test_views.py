"""What is shown is so: pages and lists of what has ended, ends, or is renewed."""

from __future__ import annotations

import re

import pytest

TERM = "plans add term --price 5.00 --currency usd --interval year --policy term"
CONTRACT = (
    "subs buy --plan term --seats 5 --name acme --owner ann@example.com"
    " --billing-email pay@example.com --payment-method pm_card_visa"
)


def done(seatctl, command: str):
    result = seatctl(*command.split(), "--yes")
    assert result.code == 0, result.err
    return result


def calendar(seatctl, name: str) -> list[str]:
    return seatctl("subs", "show", name, "-o", "json").json["calendar"]


def table(seatctl, *argv: str) -> str:
    return seatctl(*argv, tty=True, env={"COLUMNS": "200", "NO_COLOR": "1"}).out


def test_what_has_ended_is_not_said_to_renew(sandbox, team):
    done(sandbox, "subs cancel design --now")
    assert calendar(sandbox, team) == ["It has ended; nobody is entitled through it."]


def test_what_is_canceled_for_its_end_shows_that_end_in_the_list_too(sandbox, team):
    assert "Ends" not in table(sandbox, "subs", "list").split()
    done(sandbox, "subs cancel design")
    (row,) = sandbox.rows("subs", "list")
    assert (row["ends"], row["ends_at"]) == (True, row["term_end"])
    heading, line = table(sandbox, "subs", "list").splitlines()
    assert heading.endswith("Term ends   Ends")
    assert line.endswith("in 4 weeks  in 4 weeks")
    assert calendar(sandbox, team)[1:] == [f"It is canceled and ends on {row['term_end'][:10]}."]


def test_a_contract_whose_next_term_is_paid_is_not_said_to_end(sandbox):
    done(sandbox, TERM)
    done(sandbox, CONTRACT)
    first = sandbox.rows("subs", "list")[0]["term_end"][:10]
    assert f"It ends on {first} unless it is renewed." in calendar(sandbox, "acme")
    done(sandbox, "sandbox advance 340d")
    done(sandbox, "subs renew acme")
    second = sandbox.rows("subs", "list")[0]["ends_at"][:10]
    assert second > first
    assert calendar(sandbox, "acme")[1:] == [
        f"It is renewed until {second}, and ends then unless it is renewed again."
    ]


def test_a_message_is_shown_line_by_line_as_it_will_be_read(sandbox, team):
    number = sandbox.rows("notify", "list")[0]["id"]
    text = sandbox("notify", "show", number, "-o", "json").json["text"]
    shown = table(sandbox, "notify", "show", str(number))
    assert "\\n" not in shown
    assert [line.strip() for line in text.strip().splitlines()] == [
        line.removeprefix("Text").strip() for line in shown[shown.index("Text") :].splitlines()
    ]


def test_a_list_without_a_heading_loses_nobody_to_a_hint(sandbox):
    bare = "zoe@example.com\nbob@example.com\n"
    assert sandbox("users", "import", "-", stdin=bare).code == 0
    assert sandbox("users", "list", "-q").out == "bob@example.com\nzoe@example.com\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_who_loses_a_seat_is_named_before_the_question(sandbox, pro, at_once):
    policy = ("--set", "decrease=now") if at_once else ()
    assert sandbox("plans", "edit", pro, *policy, "--name", "Pro").code == 0
    buy = "subs buy --plan pro --seats 3 --name design --billing-email a@example.com"
    done(sandbox, f"{buy} --payment-method pm_card_visa")
    people = ("zoe@example.com", "bob@example.com", "eve@example.com")
    done(sandbox, f"users add {' '.join(people)}")
    done(sandbox, f"seats assign design {' '.join(people)}")
    shown = sandbox("subs", "set-seats", "design", "1", "--revoke", "newest", "--dry-run", "-o", "json")
    assert shown.rows[0]["leaving_emails"] == ["eve@example.com", "bob@example.com"]
    asked = sandbox("subs", "set-seats", "design", "1", "--revoke", "newest", tty=True, stdin="n\n")
    assert "These people lose their seats: eve@example.com, bob@example.com." in asked.err
    assert sandbox("seats", "list", "design", "-q").out.split() == [*people]


def test_the_time_of_a_payment_is_written_as_every_other_time(sandbox, team):
    (number,) = sandbox("invoices", "list", "-q").out.split()
    shown = sandbox("invoices", "show", number, "-o", "json").json
    (payment,) = shown["payments"]
    assert (payment["amount"], payment["status"]) == (6000, "paid")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", payment["paid_at"])
    assert f"paid 60.00 USD by payment intent on {payment['paid_at'][:10]}" in shown["totals"]


def test_an_invoice_that_was_refunded_says_so_in_the_list(sandbox, team):
    assert "Credited" not in table(sandbox, "invoices", "list")
    done(sandbox, "subs cancel design --now --refund")
    (row,) = sandbox.rows("invoices", "list")
    assert (row["status"], row["credited"]) == ("paid", 6000)
    heading, line = table(sandbox, "invoices", "list").splitlines()
    assert heading.split()[3:7] == ["Total", "Paid", "Open", "Credited"]
    assert line.split()[3:7] == ["$60.00", "$60.00", "$0.00", "$60.00"]


def test_a_run_that_changed_nothing_shows_no_more_than_its_page(sandbox, pro):
    buy = "subs buy --plan pro --seats 1 --name lab --billing-email a@example.com --yes"
    refused = sandbox(*buy.split(), "--payment-method", "pm_card_chargeDeclined")
    assert refused.code == 5
    number = str(sandbox.rows("runs", "list", "--state", "failed")[0]["number"])
    shown = sandbox("runs", "show", number, tty=True, env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert (shown.err, "\n\n\n" in shown.out) == ("", False)
    assert "POST /v1/customers" in shown.out


def test_an_invoice_that_nobody_left_a_card_for_is_paid_as_the_refusal_says(sandbox, pro):
    buy = "subs buy --plan pro --seats 1 --name lab --billing-email a@example.com --on-account --yes"
    assert sandbox(*buy.split()).code == 0
    (number,) = sandbox("invoices", "list", "--unpaid", "-q").out.split()
    refused = sandbox("invoices", "pay", number, "--yes", "-o", "json")
    assert refused.code == 5
    assert refused.error["hint"] == "use a card that is saved in Stripe: --payment-method pm_…"
    assert sandbox("invoices", "pay", number, "--payment-method", "pm_card_visa", "--yes").code == 0
    assert sandbox("invoices", "list", "--unpaid", "-q").out == ""


def test_a_comparison_that_would_be_refused_says_so_before_it_is_approved(sandbox, team, tmp_path):
    people = [f"p{n}@example.com" for n in range(4)]
    done(sandbox, f"users add {' '.join(people)}")
    done(sandbox, f"seats assign design {' '.join(people)}")
    (tmp_path / "s.csv").write_text(f"email,subscription\n{people[0]},design\n")
    wanted = ("seats", "apply", str(tmp_path / "s.csv"), "--prune")
    checked = sandbox(*wanted, "--check")
    told = "applying this would be refused: 3 of 4 seats of design would be revoked; --max-revoke allows 1; "
    assert (checked.code, told in checked.err) == (7, True)
    plan = tmp_path / "plan.jsonl"
    saved = sandbox(*wanted, "--save", str(plan))
    assert (saved.code, told in saved.err, "apply it" in saved.err) == (0, True, False)
    assert sandbox("seats", "apply", "--saved", str(plan), "--yes").code == 4
    saved = sandbox(*wanted, "--save", str(plan), "--overwrite", "--max-revoke", "3")
    assert ("would be refused" in saved.err, "apply it" in saved.err) == (False, True)
    assert sandbox("seats", "apply", "--saved", str(plan), "--yes").code == 0


def test_nothing_is_said_to_be_paid_for_of_what_has_ended(sandbox, team):
    done(sandbox, "users add zoe@example.com")
    done(sandbox, "seats assign design zoe@example.com")
    done(sandbox, "subs cancel design --now")
    revoked = done(sandbox, "seats revoke design zoe@example.com")
    assert "revoked 1 seat of design; it has ended, nothing is billed any more" in revoked.err


def test_nobody_is_sent_to_ask_for_what_has_ended(sandbox, team):
    done(sandbox, "users add zoe@example.com")
    ways = sandbox("check", "zoe@example.com", "-o", "json").json["ways_out"]
    assert ways[0] == "seatctl requests create zoe@example.com --subscription design"
    done(sandbox, "subs cancel design --now")
    ways = sandbox("check", "zoe@example.com", "-o", "json").json["ways_out"]
    assert not any("design" in way for way in ways)
    assert sandbox(*ways[0].split()[1:]).code == 0
