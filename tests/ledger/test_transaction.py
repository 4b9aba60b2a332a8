"""`ledger.change`: one transaction with one audit entry, complete or absent."""

import signal
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from seatctl.config.settings import ledger_place
from seatctl.errors import Code
from seatctl.ledger import check, outbox, seats, users
from seatctl.ledger.creation import create_ledger
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.record import audit
from seatctl.models.call import Call, format_time
from tests.support import ledgers
from tests.support.refusals import refuses
from tests.support.subscriptions import add_subscription, query
from tests.support.warm import python

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def call(**options) -> Call:
    return Call(
        **{"actor": "ann@example.com", "os_user": "ann", "command": "seatctl x", "now": NOW, **options}
    )


@pytest.fixture
def ledger(tmp_path):
    place = ledgers.new_place(tmp_path, "ledger")
    with closing(create_ledger(place, mode="sandbox", stripe_account=None, now=NOW)) as made:
        yield made


def counts(ledger):
    tables = ("users", "audit", "changes", "runs", "outbox")
    return {table: query(ledger.place, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


NOTHING = {"users": 0, "audit": 0, "changes": 0, "runs": 0, "outbox": 0}


def test_a_change_is_one_run_and_one_entry_with_a_row_per_entity(ledger):
    with ledger.change(call()) as tx:
        assert tx.run is None
        users.add(tx, "a@example.com")
        users.add(tx, "b@example.com")
        tx.mail("greeting", {"user": 1}, recipient_id=1)
        tx.summarise("two added")
        assert tx.run == 1
    assert (tx.entry, ledger.first_entry_with_messages) == (1, 1)
    assert counts(ledger) == {"users": 2, "audit": 1, "changes": 2, "runs": 1, "outbox": 1}
    assert query(ledger.place, "SELECT state, summary, finished_at FROM runs") == [
        ("done", "two added", "2026-11-21T12:00:00Z")
    ]


def test_a_change_that_records_nothing_leaves_no_trace(ledger):
    with ledger.change(call()) as tx:
        assert users.find(tx, "a@example.com") is None
    assert counts(ledger) == NOTHING


def test_a_dry_run_takes_the_same_path_and_leaves_no_trace(ledger):
    with ledger.change(call(dry_run=True)) as tx:
        users.add(tx, "a@example.com")
        assert tx.run is None
        kept = tx.report_rows(lambda: ({"email": row["email"]} for row in tx.rows("SELECT email FROM users")))
    assert list(kept) == [{"email": "a@example.com"}]
    assert counts(ledger) == NOTHING


def test_a_failure_rolls_everything_back(ledger):
    def fail():
        with ledger.change(call()) as tx:
            users.add(tx, "a@example.com")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert counts(ledger) == NOTHING


def test_no_notify_mails_nobody(ledger):
    with ledger.change(call(notify=False)) as tx:
        user = users.add(tx, "a@example.com")
        tx.mail("greeting", {"user": user.id}, recipient_id=user.id)
        tx.mail_each("greeting", 0)
    assert counts(ledger)["outbox"] == 0


def test_equal_contents_have_different_hashes(ledger):
    with ledger.change(call()) as tx:
        for number in (1, 2):
            tx.record("user", number, None, {"email": "same@example.com"})
        same = "SELECT 1 AS entity_id, NULL AS before, '{}' AS after"
        tx.record_many("seat", f"{same} UNION ALL {same}", {})
    hashes = query(ledger.place, "SELECT hash FROM changes")
    assert len(set(hashes)) == 4
    with ledger.reading() as reader:
        assert audit.verify(reader).problem is None


def test_a_read_writes_nothing(ledger):
    with ledger.reading() as reader, refuses(Code.LEDGER_READ_ONLY):
        list(reader.rows("INSERT INTO meta (key, value) VALUES ('x', 'y')"))
    assert query(ledger.place, "SELECT count(*) FROM meta WHERE key = 'x'") == [(0,)]


def test_a_run_opened_before_keeps_its_own_command_in_the_audit(ledger):
    with ledger.journal() as journal:
        run = journal.insert_row(
            "runs",
            {
                "command": "seatctl subs buy",
                "actor": "a",
                "os_user": "b",
                "started_at": "2026-11-21T11:00:00Z",
            },
        )
    with ledger.change(call(command="seatctl sync", run=run)) as tx:
        users.add(tx, "a@example.com")
        tx.summarise("bought")
    assert query(ledger.place, "SELECT number, state, summary FROM runs") == [(run, "pending", "bought")]
    with ledger.reading() as reader:
        assert audit.verify(reader).problem is None


# -- what fell due ------------------------------------------------------------------------------


def later(**span) -> Call:
    return call(now=NOW + timedelta(**span))


def person(ledger, user: int):
    """The user of this number, which must be the next one."""
    query(
        ledger.place,
        "INSERT INTO users (email, email_key, created_at) VALUES (?, ?, '2026-01-01T00:00:00Z')",
        f"{user}@example.com",
        f"{user}@example.com",
    )


def sit(ledger, user: int, until: str | None = None):
    person(ledger, user)
    query(
        ledger.place,
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until) VALUES (1, ?, ?, ?)",
        user,
        "2026-01-01T00:00:00Z",
        until,
    )


def test_the_next_change_records_what_has_expired_at_the_moment_it_did(ledger):
    add_subscription(ledger_place(ledger.place), seats=2)
    sit(ledger, 1, "2026-11-21T12:30:00Z")
    with ledger.change(later(minutes=29)):
        pass
    assert query(ledger.place, "SELECT revoked_at FROM seats") == [(None,)]
    with ledger.change(later(minutes=31)):
        pass
    assert query(ledger.place, "SELECT revoked_at FROM seats") == [("2026-11-21T12:30:00Z",)]
    assert query(ledger.place, "SELECT assigned FROM subscriptions") == [(0,)]
    assert query(ledger.place, "SELECT entity FROM changes WHERE entry > 1") == [("seat",)]


def test_planned_capacities_count_from_their_date(ledger):
    add_subscription(ledger_place(ledger.place), seats=2)
    for day, number in (("23", 5), ("22", 4), ("25", 9)):
        query(
            ledger.place,
            "INSERT INTO capacity_changes (subscription_id, effective_at, seats) VALUES (1, ?, ?)",
            f"2026-11-{day}T00:00:00Z",
            number,
        )
    with ledger.change(later(days=2)):
        pass
    assert query(ledger.place, "SELECT capacity FROM subscriptions") == [(5,)]
    assert query(ledger.place, "SELECT before, after FROM changes WHERE entry > 1 ORDER BY n") == [
        ('{"capacity":2}', '{"capacity":4}'),
        ('{"capacity":4}', '{"capacity":5}'),
    ]
    with ledger.change(later(days=5)):
        pass
    assert query(ledger.place, "SELECT capacity FROM subscriptions") == [(9,)]


def test_a_freed_seat_goes_to_the_first_on_the_waitlist(ledger):
    add_subscription(ledger_place(ledger.place), seats=1)
    sit(ledger, 1, "2026-11-21T12:30:00Z")
    for user, priority, moment in ((2, 0, "10"), (3, 5, "11"), (4, 5, "09")):
        person(ledger, user)
        query(
            ledger.place,
            "INSERT INTO requests (user_id, subscription_id, status, priority, created_at, waitlisted_at)"
            " VALUES (?, 1, 'waitlisted', ?, ?, ?)",
            user,
            priority,
            f"2026-11-21T{moment}:00:00Z",
            f"2026-11-21T{moment}:00:00Z",
        )
    with ledger.change(later(hours=1)):
        pass
    assert query(ledger.place, "SELECT user_id FROM seats WHERE revoked_at IS NULL") == [(4,)]
    assert query(ledger.place, "SELECT user_id FROM requests WHERE status = 'approved'") == [(4,)]
    assert messages(ledger) == [("request_approved", 4), ("seat_revoked", 1)]


def messages(ledger):
    """Return who gets which message, after messages to many are expanded."""
    with ledger.journal() as journal:
        outbox.expand(journal, format_time(NOW))
    return query(ledger.place, "SELECT template, recipient_id FROM outbox ORDER BY template, recipient_id")


def test_a_message_to_many_reaches_each_recipient_once(ledger):
    add_subscription(ledger_place(ledger.place), seats=9)
    for user in (1, 2, 3):
        sit(ledger, user, "2026-11-21T12:30:00Z")
    sit(ledger, 4)
    with ledger.change(later(hours=1)) as tx:
        users.add(tx, "new@example.com")
        seats.revoke_all(tx, 4)
    assert query(ledger.place, "SELECT count(*) FROM outbox") == [(2,)]
    everybody = [("seat_revoked", user) for user in (1, 2, 3, 4)]
    assert messages(ledger) == everybody
    assert messages(ledger) == everybody


# -- killed -------------------------------------------------------------------------------------

KILLED = """
    import os, signal, sys
    from datetime import UTC, datetime
    from seatctl.config.settings import ledger_place
    from seatctl.ledger import users
    from seatctl.ledger.engines.postgres_link import Link
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.call import Call
    left = [int(sys.argv[2])]
    def count_down(_statement):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    ledger = open_ledger(ledger_place(sys.argv[1]))
    if "://" in sys.argv[1]:
        exchange, post = Link.exchange, Link.post
        Link.exchange = lambda link, texts: count_down(texts) or exchange(link, texts)
        Link.post = lambda link, *texts: post(link, *texts) or count_down(texts)
    else:
        ledger.engine.connection.set_trace_callback(count_down)
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with ledger.change(Call(actor="ann@example.com", os_user="ann", command="seatctl x", now=now)) as tx:
        for number in range(3):
            users.add(tx, f"u{number}@example.com")
    print("committed")
"""


@pytest.mark.parametrize("statement", [1, 2, 5, 9, 14, 20, 30])
def test_a_change_killed_at_any_statement_is_complete_or_absent(ledger, statement):
    killed = python(KILLED, str(ledger.place), str(statement))
    killed.finish()
    done = killed.returncode == 0
    assert done or killed.returncode == -signal.SIGKILL
    assert counts(ledger) == (
        {**NOTHING, "users": 3, "audit": 1, "changes": 3, "runs": 1} if done else NOTHING
    )
    with closing(open_ledger(ledger_place(ledger.place))) as again:
        with again.change(call()) as tx:
            users.add(tx, "next@example.com")
        with again.reading() as reader:
            assert audit.verify(reader).problem is None


def test_a_full_disk_is_reported_and_changes_nothing(ledger):
    with ledger.change(call()) as tx:
        users.add(tx, "first@example.com")
    before = counts(ledger)
    (pages,) = ledger.engine.connection.execute("PRAGMA page_count").fetchone()
    ledger.engine.connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill():
        with ledger.change(call()) as tx:
            for number in range(500):
                users.add(tx, f"u{number}@example.com")

    with refuses(Code.DISK_FULL, match="nothing was changed"):
        fill()
    assert counts(ledger) == before


def test_a_clock_set_back_causes_no_damage(ledger):
    add_subscription(ledger_place(ledger.place), seats=2)
    with ledger.change(call()) as tx:
        person = users.add(tx, "a@example.com")
        seats.assign(tx, 1, person.id)
    with ledger.change(later(minutes=-5)) as tx:
        assert seats.revoke_all(tx, person.id) == 1
    assert query(ledger.place, "SELECT revoked_at = assigned_at FROM seats") == [(1,)]
    assert list(check.problems(ledger)) == []
