"""The three products' own steps, as people take them: asking, approving, seating, being told, leaving."""

from __future__ import annotations

import pytest

from tests.support.both_sides import charges
from tests.support.office import change_card, freeze, until
from tests.support.postbox import code_in, html, plain, use

ANN, OLGA, BOB, CYD, DOT, VIC, ASH = (
    f"{name}@example.com" for name in ("ann", "olga", "bob", "cyd", "dot", "vic", "ash")
)


MONTHLY = " --set addon_cutoff_days=5 --set renewal_window_days=10"


@pytest.fixture
def run(sandbox, postbox):
    """Run a command that must end with an exit code; JSON of its stdout, the error where it is refused."""
    use(sandbox, postbox)

    def run(command: str, code: int = 0, *, by: str = ANN, stdin: str = ""):
        result = sandbox(*command.split(), "--as", by, "--yes", "-o", "json", stdin=stdin)
        assert result.code == code, (command, result.out, result.err)
        return result.json if result.out else result.error

    return run


def buy(run, plan: str, name: str, seats: int, owner: str = OLGA) -> None:
    run(
        f"subs buy --plan {plan} --name {name} --seats {seats} --owner {owner}"
        " --billing-email pay@example.com --payment-method pm_card_visa"
    )


def test_flexible_an_unlicensed_user_asks_and_the_owner_approves(run, postbox):
    run("plans add pro --price 12.00 --currency usd --policy flexible")
    buy(run, "pro", "design", 2)
    run("users add bob@example.com cyd@example.com dot@example.com")
    assert run(f"check {BOB}", 7)["ways_out"][0] == f"seatctl requests create {BOB} --subscription design"
    run(f"requests create {BOB} -s design", by=BOB)
    run("requests approve 1", 8, by=BOB)
    run("requests approve 1", by=OLGA)
    assert run(f"check {BOB}")["entitled"] is True

    run("config auto-approve design on", by=OLGA)
    seated = run(f"requests create {CYD} -s design", by=CYD)["rows"][0]
    assert (seated["result"], seated["subscription"]) == ("seated", "design")
    waits = run(f"requests create {DOT} -s design", 10, by=DOT)["rows"][0]
    assert (waits["status"], waits["place"]) == ("waitlisted", 1)
    run("subs add-seats design 1", by=OLGA)
    assert run(f"requests show {waits['number']}")["status"] == "approved"
    assert [letter["Subject"] for letter in postbox.to(DOT)] == [
        "You are on the waitlist for design",
        "Your seat in design is approved",
    ]
    assert [subject.split()[0] for to, subject in postbox.subjects() if to == "pay@example.com"] == [
        "Receipt",
        "Receipt",
    ]


def test_assignment_by_owners_and_admins_of_accounts_that_exist(run, postbox):
    """Add user, assign, message, claim, revoke; what a seat grants, and where to use it, is the plan's."""
    run(
        "plans add meetings --price 20.00 --currency usd --policy flexible --set features=schedule,reports"
        " --set sign_in_url=https://meet.example.com/start"
    )
    buy(run, "meetings", "rooms", 3)
    assert run(f"seats assign rooms {BOB}", 9)["code"] == "unknown_user"
    run(f"users add {BOB} --name Bob")
    run(f"seats assign rooms {BOB}", by=OLGA)
    (letter,) = postbox.to(BOB)
    assert "https://meet.example.com/start" in plain(letter)
    assert "schedule, reports" in plain(letter)
    assert [row["email"] for row in run("seats list rooms --unclaimed")] == [BOB]
    (how,) = [line.strip() for line in plain(letter).splitlines() if line.startswith("  seatctl")]
    assert f"<pre>{how}</pre>" in html(letter)
    run(how.removeprefix("seatctl "), stdin=code_in(letter), by=BOB)
    assert run("seats list rooms --unclaimed") == []
    assert run(f"check {BOB} --feature reports")["entitled"] is True
    run(f"seats revoke rooms {BOB}", by=OLGA)
    assert postbox.to(BOB)[-1]["Subject"] == "Your seat in rooms has ended"
    assert run(f"check {BOB}", 7)["reason"] == "unseated"


def test_term_contract_an_assignor_buys_addons_and_grants_no_roles(run, postbox, sandbox):
    freeze(sandbox, "2040-01-01T00:00:00Z")
    run("plans add contract --price 100.00 --currency usd --interval year --policy term")
    run(f"roles grant {ASH} assignor")
    buy(run, "contract", "work", 5)
    run(f"users add {BOB} {VIC}", by=ASH)
    run("subs add-seats work 5", by=ASH)
    run(f"seats assign work {BOB}", by=ASH)
    assert charges(sandbox) == [50000, 50000]
    assert run(f"roles grant {BOB} assignor", 8, by=ASH)["allowed"] == [ANN]
    assert run("subs rename work other", 8, by=ASH)["code"] == "not_allowed"
    assert run("subs add-seats work 3", 4, by=ASH)["code"] == "pack_size"


def test_a_viewer_is_refused_everywhere_and_reads_everything(run):
    run("plans add pro --price 12.00 --currency usd")
    buy(run, "pro", "design", 2)
    run(f"users add {BOB}")
    run(f"requests create {BOB} -s design")
    run(f"roles grant {VIC} viewer")
    for command in (
        *("plans archive pro", "subs add-seats design 1", "subs cancel design", "users add x@example.com"),
        *(
            f"seats assign design {BOB}",
            f"seats revoke design {BOB}",
            "requests approve 1",
            "requests deny --all",
        ),
        *(
            "requests cancel 1",
            "config auto-approve design on",
            f"roles grant {VIC} admin",
            "sync",
            "notify send",
        ),
    ):
        assert run(command, 8, by=VIC)["code"] == "not_allowed"
    for command in ("subs list", "users list", "seats list", "requests list", "invoices list", "roles list"):
        run(command, by=VIC)


# -- what sync tells ----------------------------------------------------------------------------


def told(postbox, word: str) -> list[tuple[str, str]]:
    return [(to, subject) for to, subject in postbox.subjects() if word in subject]


def test_a_term_that_ends_is_told_thirty_seven_and_one_days_before_each_once(run, postbox, sandbox):
    freeze(sandbox, "2040-01-01T00:00:00Z")
    run("plans add contract --price 100.00 --currency usd --interval year --policy term")
    buy(run, "contract", "work", 5)
    for day in ("2040-11-01", "2040-12-03", "2040-12-04", "2040-12-26", "2040-12-27", "2040-12-31"):
        until(sandbox, f"{day}T00:00:00Z")
        run("sync")
        run("sync")
    assert (
        told(postbox, "ends on")
        == [
            (OLGA, "work ends on 2041-01-01"),
            ("pay@example.com", "work ends on 2041-01-01"),
        ]
        * 3
    )
    assert "seatctl subs renew work" in plain(postbox.letters[-1])


def test_a_month_by_hand_is_told_seven_and_one_days_before_and_not_at_its_beginning(run, postbox, sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    run("plans add pro --price 12.00 --currency usd --policy term" + MONTHLY)
    run("plans add easy --price 12.00 --currency usd")
    buy(run, "pro", "design", 5)
    buy(run, "easy", "lab", 2)
    for day in ("02", "24", "28", "30"):
        until(sandbox, f"2040-06-{day}T00:00:00Z")
        run("sync")
    assert [to for to, _ in told(postbox, "design ends on")] == [OLGA, "pay@example.com"] * 2
    assert told(postbox, "renews on") == []  # each month anew, for what nobody has to do anything about


def test_a_reminder_is_not_sent_of_what_was_settled_before_the_mail_server_was_back(run, postbox, sandbox):
    freeze(sandbox, "2040-01-01T00:00:00Z")
    run("plans add pro --price 12.00 --currency usd --interval year")
    for name in ("design", "lab", "field"):
        buy(run, "pro", name, 2)
    postbox.close()
    until(sandbox, "2040-12-26T00:00:00Z")
    run("subs cancel design")
    postbox.open()
    run("notify send --now")
    assert [subject for to, subject in told(postbox, "renews on") if to == OLGA] == [
        "lab renews on 2041-01-01",
        "field renews on 2041-01-01",
    ]


def test_each_renewal_gets_one_receipt_of_its_own_period_however_late_it_is_sent(run, postbox, sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    run("plans add pro --price 12.00 --currency usd")
    run("plans add basic --price 5.00 --currency usd")
    buy(run, "pro", "design", 2)
    postbox.close()
    until(sandbox, "2040-07-01T03:00:00Z")
    until(sandbox, "2040-08-01T03:00:00Z")
    run("subs change-plan design basic")
    run("subs add-seats design 3")
    postbox.open()
    run("sync --full")
    run("notify send --now")
    texts = [plain(letter) for letter in postbox.to(OLGA) if letter["Subject"].startswith("Receipt")]
    assert "Total: 14.94 USD\n  Balance: -13.94 USD\n  Paid: 1.00 USD" in texts[-1].replace("\r", "")
    june, july, august = (text for text in texts if "24.00 USD was paid for design (pro, 2 seats)" in text)
    assert "from 2040-06-01 to 2040-07-01" in june
    assert "from 2040-07-01 to 2040-08-01" in july
    assert "from 2040-08-01 to 2040-09-01" in august


def test_a_receipt_of_seats_at_full_price_names_the_term_that_they_were_paid_for(run, postbox, sandbox):
    freeze(sandbox, "2040-01-01T00:00:00Z")
    run("plans add contract --price 100.00 --currency usd --interval year --policy term")
    buy(run, "contract", "work", 5)
    run("subs add-seats work 10")
    text = plain(postbox.to(OLGA)[-1])
    assert "1000.00 USD was paid for work (contract, 10 seats)" in text
    assert "from 2040-01-01 to 2041-01-01" in text


def test_a_payment_that_failed_is_told_once_to_owner_and_payer(run, postbox, sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    run("plans add pro --price 12.00 --currency usd")
    buy(run, "pro", "design", 2)
    change_card(sandbox, "pay@example.com", "pm_card_chargeCustomerFail")
    until(sandbox, "2040-07-01T03:00:00Z")
    run("sync")
    run("sync")
    assert [to for to, _ in told(postbox, "failed")] == [OLGA, "pay@example.com"]
    letter = next(one for one in postbox.letters if "failed" in one["Subject"])
    assert "24.00 USD" in plain(letter)
    assert "<a href=" in html(letter)


def test_a_receipt_says_what_was_paid(run, postbox):
    run("plans add pro --price 12.00 --currency usd")
    buy(run, "pro", "design", 2)
    receipts = told(postbox, "Receipt")
    assert [to for to, _ in receipts] == [OLGA, "pay@example.com"]
    text = plain(postbox.letters[0])
    assert "24.00 USD was paid for design (pro, 2 seats)" in text
    number = run("invoices list")[0]["number"]
    assert number in text


def test_mails_to_who_pays_name_whom_to_ask_about_what_the_policy_leaves_open(run, postbox, sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    contact = "Help_<help@seller.example>"
    run(f"plans add pro --price 12.00 --currency usd --policy term{MONTHLY} --set support_contact={contact}")
    buy(run, "pro", "design", 5)
    until(sandbox, "2040-06-24T00:00:00Z")
    run("sync")
    letters = [one for one in postbox.letters if "pay@example.com" in one.to]
    assert {str(one["Subject"]).split()[0] for one in letters} == {"Receipt", "design"}
    for letter in letters:
        assert f"fewer seats before the term ends: {contact}" in plain(letter)
        assert "Help_&lt;help@seller.example&gt;" in html(letter)
