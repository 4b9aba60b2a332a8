"""Activation codes: made when a message is sent, usable once, stored as a hash only."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from seatctl.output.redact import redact
from seatctl.rules.activation import code_of, read_code
from seatctl.rules.notifications import given_up, next_attempt
from tests.support import ledgers
from tests.support.office import done, freeze, until
from tests.support.postbox import code_in, use
from tests.support.subscriptions import add_subscription, ledger_place, query

BOB, CYD = "bob@example.com", "cyd@example.com"


@pytest.fixture
def design(sandbox, postbox):
    """Four seats; bob and cyd have one each and were sent a code."""
    use(sandbox, postbox)
    add_subscription(ledger_place(sandbox), seats=4)
    sandbox("users", "add", BOB, CYD, "dot@example.com")
    sandbox("seats", "assign", "design", BOB, CYD)
    return "design"


def claim(sandbox, code):
    return sandbox("seats", "claim", "--code", "-", "-o", "json", stdin=f"{code}\n")


def seats(sandbox, *argv):
    return {row["email"]: row["claimed_at"] for row in sandbox.rows("seats", "list", "design", *argv)}


def test_a_seat_is_claimed_with_the_code_that_its_user_was_sent(sandbox, design, postbox):
    claimed = claim(sandbox, code_in(postbox.to(BOB)[0]))
    assert (claimed.code, claimed.rows[0]["email"], claimed.rows[0]["result"]) == (0, BOB, "claimed")
    assert seats(sandbox)[BOB] == claimed.rows[0]["claimed_at"]
    assert list(seats(sandbox, "--unclaimed")) == [CYD]
    assert sandbox("audit", "verify").code == 0


def test_a_code_is_good_once(sandbox, design, postbox):
    code = code_in(postbox.to(BOB)[0])
    assert claim(sandbox, code).code == 0
    again = claim(sandbox, code)
    assert (again.code, again.error["code"]) == (4, "code_not_usable")
    assert "was claimed with this code" in again.error["message"]


def test_codes_of_earlier_messages_stay_good_until_one_is_used(sandbox, design, postbox):
    assert sandbox("notify", "send", "--again", BOB).code == 0
    first, second = map(code_in, postbox.to(BOB))
    assert first != second
    assert claim(sandbox, first).code == 0
    other = claim(sandbox, second)
    assert (other.code, "claimed with another code" in other.error["message"]) == (4, True)
    nothing = sandbox("notify", "send", "--again", BOB, "-o", "json")
    assert (nothing.code, nothing.error["code"]) == (4, "nothing_to_claim")


def test_a_copy_of_the_ledger_claims_nothing_before_it_adopts(sandbox, design, postbox):
    query(ledger_place(sandbox), "UPDATE subscriptions SET home_ledger = 'led_another'")
    refused = claim(sandbox, code_in(postbox.to(BOB)[0]))
    assert (refused.code, refused.error["code"]) == (8, "foreign_ledger")


def test_a_code_expires(sandbox, design, postbox):
    query(ledger_place(sandbox), "UPDATE activation_codes SET expires_at = '2020-01-01T00:00:00Z'")
    late = claim(sandbox, code_in(postbox.to(BOB)[0]))
    assert (late.code, late.error["code"]) == (4, "code_not_usable")
    assert late.error["hint"] == f"seatctl notify send --again {BOB} sends a new one"


def test_how_long_it_is_good_is_a_setting(sandbox, design, postbox):
    sandbox("config", "set", "mail.code_days", "3")
    sandbox("notify", "send", "--again", BOB)
    times = "SELECT created_at, expires_at FROM activation_codes ORDER BY id DESC LIMIT 1"
    ((made, ends),) = query(ledger_place(sandbox), times)
    assert datetime.fromisoformat(ends) - datetime.fromisoformat(made) == timedelta(days=3)
    message = sandbox.rows("notify", "list")[0]["id"]
    before = datetime.now(UTC)
    shown = sandbox("notify", "show", str(message), "-o", "json").out
    ends = {moment + timedelta(days=3) for moment in (before, datetime.now(UTC))}
    assert any(f"until {end:%Y-%m-%d}" in shown for end in ends)


def test_the_code_of_a_seat_that_was_given_back_is_worth_nothing(sandbox, design, postbox):
    sandbox("seats", "revoke", design, BOB)
    refused = claim(sandbox, code_in(postbox.to(BOB)[0]))
    assert (refused.code, "was revoked" in refused.error["message"]) == (4, True)


def test_a_wrong_code_is_told_from_one_that_is_none(sandbox, design):
    assert (claim(sandbox, "hello").code, claim(sandbox, "hello").error["code"]) == (3, "bad_code")
    unknown = claim(sandbox, "seat-00000-00000-00000-00000")
    assert (unknown.code, unknown.error["code"]) == (9, "unknown_code")
    argued = sandbox("seats", "claim", "--code", "seat-00000-00000-00000-00000", "-o", "json")
    assert (argued.code, argued.error["code"]) == (2, "usage")


def test_only_the_hash_is_kept_anywhere(sandbox, design, postbox):
    code = code_in(postbox.to(BOB)[0])
    claim(sandbox, code)
    kept = [path.read_bytes() for path in sandbox.home.rglob("*") if path.is_file()]
    kept.append(ledgers.stored(sandbox.home))
    assert not any(code.encode() in data for data in kept)
    digest = hashlib.sha256(code.encode()).hexdigest()
    assert any(digest.encode() in data for data in kept)


def test_who_never_claimed_goes_first(sandbox, design, postbox):
    claim(sandbox, code_in(postbox.to(BOB)[0]))
    from seatctl.ledger import departures
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.departure import DepartureRule

    ledger = open_ledger(ledger_place(sandbox))
    with ledger.reading() as reader:
        chosen = departures.choose(reader, 1, DepartureRule.UNCLAIMED, 5)
    ledger.close()
    assert query(ledger_place(sandbox), "SELECT email FROM users WHERE id = ?", *chosen) == [(CYD,)]


@pytest.mark.parametrize("when", ["now", "at_renewal"])
def test_fewer_seats_take_them_from_who_never_claimed(sandbox, postbox, when):
    use(sandbox, postbox)
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, f"plans add pro --price 12.00 --currency usd --set decrease={when}")
    card = "--billing-email pay@example.com --payment-method pm_card_visa"
    done(sandbox, f"subs buy --plan pro --seats 3 --name design --owner ann@example.com {card}")
    done(sandbox, f"users add {BOB} {CYD} dot@example.com")
    done(sandbox, f"seats assign design dot@example.com {BOB} {CYD}")
    for email in (BOB, CYD):
        assert claim(sandbox, code_in(postbox.to(email)[0])).code == 0
    done(sandbox, "subs set-seats design 2 --revoke unclaimed")
    if when == "at_renewal":
        assert sorted(seats(sandbox)) == [BOB, CYD, "dot@example.com"]
        until(sandbox, "2040-07-01T03:00:00Z")
    assert sorted(seats(sandbox)) == [BOB, CYD]
    assert postbox.to("dot@example.com")[-1]["Subject"] == "Your seat in design has ended"


def test_a_code_is_read_however_it_is_typed():
    code = code_of(bytes(range(13)))
    assert read_code(code) == code
    assert read_code(f" {code.lower().replace('-', ' ')} ") == code
    assert read_code(code.replace("0", "O").replace("1", "l")) == code
    for wrong in ("", "seat-", code[:-1], code + "0", code.replace("seat", "sead"), code[:-1] + "U"):
        assert read_code(wrong) is None


def test_codes_differ_in_a_hundred_bits():
    assert len({code_of((1 << bit).to_bytes(13, "big")) for bit in range(100)}) == 100


def test_no_code_reaches_a_log():
    assert redact(f"sent {code_of(bytes(13))} to bob") == "sent seat-… to bob"
    assert redact("seat-holders and seat-time stay") == "seat-holders and seat-time stay"


def test_a_message_is_tried_again_after_longer_and_longer_and_not_for_ever():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    delays = [(next_attempt(now, tries) - now).total_seconds() / 60 for tries in range(1, 12)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert not given_up(15, permanent=False)
    assert given_up(16, permanent=False)
    assert given_up(1, permanent=True)
