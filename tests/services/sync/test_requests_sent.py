"""What a sync sends: how often, how fast, what it does when refused, where it goes on after a kill."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from seatctl.sandbox import clock
from tests.sandbox.seed import seed, send
from tests.support import ledgers
from tests.support.front import account, spread
from tests.support.scenes import made_once
from tests.support.subscriptions import query

MIRROR = {
    "customers": "stripe_id, email, name, deleted, data",
    "invoices": "stripe_id, number, status, currency, total, amount_due, amount_paid, amount_remaining,"
    " created_at, due_date, finalized_at, paid_at, stripe_subscription, data",
    "subscriptions": "stripe_item, name, stripe_subscription, status, price_id, quantity, capacity, term_end",
    "plans": "product_id, slug, name, price_id, unit_amount, currency, active",
}


def mirror(ledger):
    """The mirror tables in the order of Stripe's ids; rows that refer to others by those ids."""
    found = {
        table: query(ledger, f"SELECT {columns} FROM {table} ORDER BY 1") for table, columns in MIRROR.items()
    }
    found["lines"] = query(
        ledger,
        "SELECT i.stripe_id, l.n, l.stripe_id, l.amount, l.quantity, l.data FROM invoice_lines l"
        " JOIN invoices i ON i.id = l.invoice_id ORDER BY 1, 2",
    )
    found["belongs"] = query(
        ledger,
        "SELECT i.stripe_id, c.stripe_id, s.stripe_item FROM invoices i"
        " JOIN customers c ON c.id = i.customer_id"
        " LEFT JOIN subscriptions s ON s.id = i.subscription_id ORDER BY 1",
    )
    return found


@made_once
def seeded(seatctl):
    """A profile in test mode, and its account: 300 customers, 300 subscriptions, 600 invoices."""
    with account(seatctl, seatctl.home / "stripe.db") as made:
        seed(made.front.twin, customers=300, months=1)
        spread(made.front.twin)


@pytest.fixture
def acme(seatctl):
    """A profile with an account of 300 customers."""
    with account(seeded(seatctl), seatctl.home / "stripe.db") as made:
        yield made


def last_success(ledger):
    return query(ledger, "SELECT value FROM sync_state WHERE key = 'last_success'")


def test_a_backfill_reads_every_list_and_an_increment_nothing(acme):
    synced = acme("sync", "-o", "json")
    assert (synced.code, synced.json["backfill"]) == (0, True), synced.err
    assert query(acme.ledger, "SELECT (SELECT count(*) FROM customers), count(*) FROM invoices") == [
        (300, 600)
    ]
    assert len(acme.rows("subs", "list")) == 300
    acme.front.forget()
    again = acme("sync", "-o", "json")
    assert (again.code, again.json["backfill"], again.json["read"]) == (0, False, 0)
    assert sum(acme.front.counts().values()) <= 2


def test_lists_are_read_in_parallel(acme):
    acme.front.latency = 0.15
    assert acme("sync").code == 0
    assert acme.front.most_under_way >= 5
    assert len(acme.front.requests) < 3 * (3 + 6 + 3 + 3)  # one after another would ask for 15 pages


def test_a_stream_of_events_is_followed(acme):
    assert acme("sync").code == 0
    (customer,) = query(acme.ledger, "SELECT stripe_id FROM customers ORDER BY 1 LIMIT 1")[0]
    send(acme.front.twin, f"customers/{customer}", {"name": "Streamed"})
    event = next(acme.front.twin.store.walk("event"))
    before = last_success(acme.ledger)
    stream = f"> Ready! You are using Stripe\n{json.dumps(event, indent=2)}\n{json.dumps(event)}\n"
    followed = acme("sync", "--events", "-", stdin=stream)
    assert (followed.code, "2 events applied" in followed.err) == (0, True), followed.err
    assert query(acme.ledger, "SELECT name FROM customers WHERE stripe_id = ?", customer) == [("Streamed",)]
    assert last_success(acme.ledger) == before
    assert acme("sync", "--events", "-", stdin='{"type":').code == 3
    assert acme("sync", "--events", "-", "--watch").code == 2
    assert acme("sync", "--events", "-", "--dry-run", stdin=stream).code == 2


def test_a_file_of_events_that_is_none_is_left_out(acme, tmp_path):
    (tmp_path / "noise").write_bytes(b"\xff\xfe{not json}\n\x00\n")
    followed = acme("sync", "--events", tmp_path / "noise")
    assert (followed.code, "0 events applied" in followed.err) == (0, True), followed.err


def changed(acme, name):
    """A customer that has another name now, and the event of it."""
    (customer,) = query(acme.ledger, "SELECT stripe_id FROM customers ORDER BY 1 LIMIT 1")[0]
    send(acme.front.twin, f"customers/{customer}", {"name": name})
    return customer, json.dumps(next(acme.front.twin.store.walk("event")))


def test_an_object_that_stripe_does_not_give_out_stops_no_other(acme):
    assert acme("sync").code == 0
    customer, event = changed(acme, "Streamed")
    strange = json.dumps({"type": "odd", "data": {"object": {"object": "customer", "id": "../odd"}}})
    followed = acme("sync", "--events", "-", stdin=f"{strange}\n{event}\n")
    assert followed.code == 0, followed.err
    assert query(acme.ledger, "SELECT name FROM customers WHERE stripe_id = ?", customer) == [("Streamed",)]
    status = acme("status", "-o", "json")
    assert status.json["unreadable"] == 1


def test_a_passing_trouble_does_not_end_the_stream(acme):
    assert acme("sync").code == 0
    customer, first = changed(acme, "First")
    _, second = changed(acme, "Second")
    acme.front.forget()
    troubled = iter(range(4))  # a read is tried four times
    acme.front.refuse = lambda _number, _method, path: (
        500 if "/customers/" in path and next(troubled, None) is not None else None
    )
    followed = acme("sync", "--events", "-", stdin=f"{first}\n{second}\n")
    assert (followed.code, "1 event applied, 1 missed" in followed.err) == (6, True), followed.err
    assert query(acme.ledger, "SELECT name FROM customers WHERE stripe_id = ?", customer) == [("Second",)]


def test_fifty_changed_objects_are_fifty_requests_and_a_handful(acme):
    assert acme("sync").code == 0
    found = query(acme.ledger, "SELECT stripe_id FROM customers ORDER BY 1 LIMIT 50")
    for (customer,) in found:
        for n in range(3):
            send(acme.front.twin, f"customers/{customer}", {"name": f"Renamed {n}"})
    acme.front.forget()
    assert acme("sync").code == 0
    assert sum(acme.front.counts().values()) <= 58
    assert query(acme.ledger, "SELECT count(*) FROM customers WHERE name = 'Renamed 2'") == [(50,)]
    acme.front.forget()
    assert acme("sync").code == 0  # after more events in an hour than there are on a page
    assert sum(acme.front.counts().values()) <= 2


def test_an_event_that_comes_late_is_found_behind_a_page_of_others(acme):
    assert acme("sync").code == 0
    found = query(acme.ledger, "SELECT stripe_id FROM customers ORDER BY 1 LIMIT 60")
    late, *busy = (customer for (customer,) in found)
    twin = acme.front.twin
    send(twin, f"customers/{late}", {"name": "Late"})
    event = next(twin.store.walk("event"))["id"]
    move = "UPDATE objects SET created = created + ? WHERE id = ?"
    query(acme.seatctl.home / "stripe.db", move, -(10**8), event)
    for number in range(3):
        for customer in busy:
            send(twin, f"customers/{customer}", {"name": f"Busy {number}"})
    assert acme("sync").code == 0
    query(acme.seatctl.home / "stripe.db", move, 10**8, event)
    assert acme("sync").code == 0
    send(twin, f"customers/{busy[0]}", {"name": "Busy again"})
    assert acme("sync").code == 0
    named = "SELECT name FROM customers WHERE stripe_id = ?"
    assert [query(acme.ledger, named, one) for one in (late, busy[0])] == [[("Late",)], [("Busy again",)]]


def test_after_a_month_everything_is_read_again(acme, monkeypatch):
    assert acme("sync").code == 0
    query(
        acme.ledger, "UPDATE sync_state SET updated_at = '2026-01-01T00:00:00Z' WHERE key = 'events_cursor'"
    )
    assert acme("sync", "-o", "json").json["backfill"] is True
    assert acme("sync", "--full", "-o", "json").json["backfill"] is True


@pytest.mark.parametrize("status", [429, 500])
def test_a_backfill_survives_a_poor_connection(acme, status):
    dice = random.Random(7)
    acme.front.refuse = lambda *_: status if dice.random() < 0.15 else None
    codes = []
    while 0 not in codes:
        codes.append(acme("sync").code)
        assert codes[-1] in (0, 75)
        assert len(codes) < 30
        assert bool(last_success(acme.ledger)) == (codes[-1] == 0)
    acme.front.refuse = lambda *_: None
    found = mirror(acme.ledger)
    assert acme("sync", "--full").code == 0
    assert mirror(acme.ledger) == found


def test_an_outage_stops_with_75_and_the_next_sync_goes_on_from_there(acme):
    acme.front.refuse = lambda number, *_: 503 if number > 9 else None
    stopped = acme("sync", "-o", "json")
    assert (stopped.code, stopped.error["code"]) == (75, "stripe_fault")
    assert last_success(acme.ledger) == []
    assert "interrupted" in acme("status").err
    read = len(query(acme.ledger, "SELECT 1 FROM invoices UNION ALL SELECT 1 FROM customers"))
    acme.front.refuse = lambda *_: None
    acme.front.forget()
    resumed = acme("sync", "-o", "json")
    assert resumed.code == 0
    whole = 300 + 600 + 300 + 2
    assert read > 0
    assert resumed.json["read"] <= whole - read


def wait_for_requests(front, number, process):
    """Until so many more have arrived, however slow the machine is, or the process has ended."""
    wanted = len(front.requests) + number
    while len(front.requests) < wanted and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("seed_of_dice", range(2))
def test_a_backfill_that_is_killed_again_and_again_ends_like_an_undisturbed_one(
    acme, seed_of_dice, whole, tmp_path
):
    dice = random.Random(seed_of_dice)
    acme.front.latency = 0.02
    kills = 0
    for _ in range(40 if whole else 6):
        process = acme.process("sync")
        wait_for_requests(acme.front, dice.randint(1, 6), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        ledgers.expire_leases(acme.seatctl.home)
        if last_success(acme.ledger):
            break
    acme.front.latency = 0
    assert acme("sync").code == 0
    assert kills > 1
    disturbed = mirror(acme.ledger)
    env = {"SEATCTL_LEDGER": str(tmp_path / "undisturbed.db")}
    assert acme("init", "--mode", "test", "--no-input", env=env).code == 0
    assert acme("sync", env=env).code == 0
    undisturbed = mirror(tmp_path / "undisturbed.db")
    for table in undisturbed:
        assert disturbed[table] == undisturbed[table], table


def test_a_backfill_reads_nothing_again_that_was_complete_when_it_began(acme):
    synced = acme("sync", "-o", "json")
    assert synced.code == 0, synced.err
    assert not [path for _, _, path in acme.front.requests if path.startswith("/v1/invoices/")]
    assert acme("sync", "-o", "json").json["read"] == 0


def test_a_backfill_finds_what_changes_in_the_second_in_which_it_begins(acme):
    twin, renamed = acme.front.twin, []
    (customer, *_) = [one["id"] for one in twin.store.walk("customer")]
    with twin.store.transaction():
        clock.freeze(twin.store, twin.now())

    def rename(_number, _method, path):
        if path.startswith("/v1/events") and "created" in path and not renamed:  # the lists have been read
            renamed.append(send(twin, f"customers/{customer}", {"name": "Meanwhile"}))

    send(twin, f"customers/{customer}", {"name": "Before"})
    acme.front.refuse = rename
    assert acme("sync").code == 0
    assert renamed
    assert query(acme.ledger, "SELECT name FROM customers WHERE stripe_id = ?", customer) == [("Meanwhile",)]


def test_the_account_and_the_first_read_are_asked_for_at_once(acme):
    acme.front.latency = 0.3
    assert acme("sync").code == 0
    (account, first, *_) = sorted(acme.front.requests)[:2]
    assert {account[2].partition("?")[0], first[2].partition("?")[0]} == {"/v1/account", "/v1/events"}
    assert first[0] - account[0] < 0.2


def test_requests_leave_no_faster_than_they_may(acme):
    acme.set("sync.requests_per_second", "25")
    started = time.monotonic()
    assert acme("sync").code == 0
    times = [at for at, _, _ in acme.front.requests]
    assert len(times) > 15
    assert all(later - at > 0.9 for at, later in zip(times, times[26:], strict=False))
    assert time.monotonic() - started > len(times) / 25 - 0.5


def test_another_accounts_key_is_refused_naming_both(acme, seatctl, tmp_path):
    from tests.support.front import Front

    assert acme("sync").code == 0
    other = Front(tmp_path / "other.db")
    try:
        env = {"SEATCTL_STRIPE_API_BASE": other.url}
        refused = acme("sync", "-o", "json", env=env)
        assert (refused.code, refused.error["code"]) == (8, "other_account")
        assert refused.error["key_account"] in refused.error["message"]
        assert refused.error["ledger_account"] in refused.error["message"]
        bought = acme("plans", "add", "x", "--price", "1", "--currency", "usd", "-o", "json", env=env)
        assert (bought.code, bought.error["code"]) == (8, "other_account")
    finally:
        other.close()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_key_that_is_not_told_its_account_needs_the_profile_to_name_it(acme, status):
    acme.front.refuse = lambda _number, _method, path: status if path.startswith("/v1/account") else None
    assert acme("sync").code == 0  # `init` kept the account's id
    assert acme("config", "unset", "stripe_account").code == 0
    refused = acme("sync", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "account_unknown")
    assert "config set stripe_account" in refused.error["hint"]
    assert "account read" in acme("doctor", "-o", "json").out


def test_the_doctor_names_what_a_restricted_key_may_not_read(acme):
    acme.front.refuse = lambda _number, _method, path: 403 if "/events" in path else None
    refused = acme("sync", "-o", "json")
    assert (refused.code, refused.error["hint"]) == (8, "seatctl doctor")
    doctor = acme("doctor", "-o", "json")
    found = {row["check"]: row for row in doctor.json}
    assert (doctor.code, found["permissions"]["result"]) == (7, "problem")
    assert found["permissions"]["detail"].startswith("the key lacks 1 of ")
    assert found["permission events read"]["result"] == "problem"
    assert found["permission events read"]["detail"].startswith(
        "this key may not read events, which these need: sync"
    )
    acme.front.refuse = lambda *_: None
    assert acme("doctor").code == 0


def test_the_doctor_sends_nobody_to_the_doctor(acme):
    acme.front.refuse = lambda *_: 401
    doctor = acme("doctor", "-o", "json")
    (found,) = [row for row in doctor.json if row["result"] == "problem"]
    assert (doctor.code, found["check"]) == (7, "stripe")
    assert found["repair"] == "give another key: seatctl init default --key-stdin"


def test_watching_goes_on_until_it_is_interrupted(acme):
    process = acme.process("sync", "--watch", "--every", "1", "-o", "jsonl")
    deadline = time.monotonic() + 20
    while acme.front.counts()["/v1/events"] < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert acme.front.counts()["/v1/events"] >= 4
