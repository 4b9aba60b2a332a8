"""`batch`: many commands in one process and one run, each with its own transaction and result."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
import time
from contextlib import closing

import pytest

from seatctl.rules.batches import NotALine, split
from tests.support import ledgers
from tests.support.both_sides import charges, objects
from tests.support.subscriptions import ledger_place
from tests.support.warm import python

PEOPLE = [f"p{n}@example.com" for n in range(1, 6)]


def seated(seatctl) -> list[str]:
    return sorted(row["email"] for row in seatctl.rows("seats", "list"))


def users(seatctl) -> list[str]:
    return sorted(row["email"] for row in seatctl.rows("users", "list"))


def test_every_line_is_done_and_all_are_one_run(sandbox, team, file):
    path = file(
        "# the new ones",
        "seatctl users add 'zoe@example.com' --name \"Zoe O'Hara\"",
        "",
        "users add bob@example.com   # a leading seatctl is optional",
        "seats assign design zoe@example.com bob@example.com",
    )
    done = sandbox("batch", path, "-o", "json")
    assert (done.code, done.json["summary"]) == (0, "completed 3 of 3 lines")
    assert [(row["line"], row["result"]) for row in done.rows] == [(2, "done"), (4, "done"), (5, "done")]
    assert done.json["undo"] == f"seatctl runs undo {done.json['run']}"
    assert seated(sandbox) == ["bob@example.com", "zoe@example.com"]
    run = sandbox("runs", "show", done.json["run"], "-o", "json").json
    assert (run["state"], len(run["changes"])) == ("done", 4)
    assert sandbox("audit", "verify").code == 0


def test_one_line_that_fails_leaves_the_others_done(sandbox, team, file):
    path = file(
        "users add zoe@example.com", "seats assign design nobody@example.com", "users add bob@example.com"
    )
    done = sandbox("batch", path, "-o", "json")
    assert done.code == 6
    assert [row["result"] for row in done.rows] == ["done", "failed", "done"]
    assert done.rows[1]["code"] == "unknown_user"
    assert users(sandbox) == ["ann@example.com", "bob@example.com", "zoe@example.com"]


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_what_failed_is_listed_and_runs_again(sandbox, team, file, tmp_path, format):
    path = file("seats assign design 'zoe@example.com'", "users add 'ab cd'", "users add bob@example.com")
    run = sandbox("batch", path, "-o", "json").json["run"]
    listed = sandbox("runs", "failures", run, "-o", format)
    assert listed.code == 0
    assert sandbox("users", "add", "zoe@example.com").code == 0
    again = sandbox("batch", "-", "-o", "json", stdin=listed.out)
    assert [(row["command"], row["result"]) for row in again.rows] == [
        ("seatctl seats assign design zoe@example.com", "done"),
        ("seatctl users add 'ab cd'", "failed"),
    ]
    assert seated(sandbox) == ["zoe@example.com"]
    refused = sandbox("runs", "failures", "1", "-o", "json")
    assert (refused.code, refused.error["code"]) == (9, "no_batch")


def test_a_row_of_a_csv_fills_a_template(sandbox, team, tmp_path):
    (tmp_path / "people.csv").write_text(
        "Work Email,Name\nzoe@example.com,Zoe $(id) O'Hara\nbob@example.com,Bob\n"
    )
    words = ["users", "add", "{Work Email}", "--name", "{Name}"]
    done = sandbox("batch", "-o", "json", "--csv", tmp_path / "people.csv", "--", *words)
    assert (done.code, len(done.rows)) == (0, 2), done.err
    assert [row["name"] for row in sandbox.rows("users", "list")][1:] == ["Bob", "Zoe $(id) O'Hara"]


def test_a_value_that_could_be_an_option_is_a_bad_row(sandbox, team, tmp_path):
    (tmp_path / "people.csv").write_text("email\nzoe@example.com\n--create-users\n")
    done = sandbox("batch", "--csv", tmp_path / "people.csv", "-o", "json", "--", "users", "add", "{email}")
    assert (done.code, done.error["code"]) == (3, "bad_lines")
    assert [row["line"] for row in done.error["rows"]] == [3]
    assert users(sandbox) == ["ann@example.com"]
    missing = sandbox("batch", "--csv", tmp_path / "people.csv", "--", "users", "add", "{mail}")
    assert missing.code == 3
    assert "it has: email" in missing.err


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("users ad zoe@example.com", "unknown command 'ad'"),
        ("users add zoe@example.com --nmae Zoe", "no option --nmae"),
        ("users", "needs a command"),
        ("users add 'zoe", "a quote is never closed"),
        ("seats assign", "missing argument"),
        ("batch more.txt", "a batch cannot run batch"),
        ("-o json batch more.txt", "a batch cannot run batch"),
        ("--as bob@example.com ledger restore backup.db --yes", "a batch cannot run ledger restore"),
        ("-qpother users list", "are options of the batch"),
        ("users list -qh", "shows help"),
        ("run resume 4", "a batch cannot run runs resume"),
        ("sandbox serve", "a batch cannot run sandbox serve"),
        ("init", "a batch cannot run init"),
        ("users add zoe@example.com --profile other", "is an option of the batch"),
        ("seats assign design --from -", "cannot read stdin"),
        ("users add zoe@example.com --name sk_live_abcdefghijk", "Stripe key"),
    ],
)
def test_a_line_that_cannot_be_run_keeps_all_of_them_from_running(sandbox, file, line, why):
    done = sandbox("batch", file("users add bob@example.com", line), "-o", "json")
    assert (done.code, done.error["code"]) == (3, "bad_lines")
    (row,) = done.error["rows"]
    assert row["line"] == 2
    assert why in row["error"]
    assert "abcdefghijk" not in done.err
    assert users(sandbox) == []
    assert not any("batch" in run["command"] for run in sandbox.rows("runs", "list"))


def test_the_shell_is_not_asked(sandbox, tmp_path, file):
    done = sandbox(
        "batch", file(f"users add zoe@example.com --name '$(touch {tmp_path}/x)'; rm *"), "-o", "json"
    )
    assert done.code == 6
    assert not (tmp_path / "x").exists()


def test_a_batch_stops_where_it_is_told_to_and_goes_on(sandbox, team, file):
    lines = ["users add p1@example.com", "users add bad", "users add p2@example.com", "users add worse"]
    done = sandbox("batch", file(*lines), "--stop-on-error", "-o", "json")
    assert (done.code, done.json["not_tried"], len(done.rows)) == (6, 2, 2)
    assert f"seatctl runs resume {done.json['run']}" in done.json["summary"]
    assert users(sandbox) == ["ann@example.com", "p1@example.com"]
    again = sandbox("runs", "resume", done.json["run"], "-o", "json")
    assert (again.code, [row["line"] for row in again.rows]) == (6, [3, 4])
    assert again.json["summary"].startswith("completed 2 of 4 lines, 2 failed")
    assert users(sandbox) == ["ann@example.com", "p1@example.com", "p2@example.com"]
    over = sandbox("runs", "resume", done.json["run"], "-o", "json")
    assert (over.code, over.error["code"]) == (4, "nothing_to_resume")
    some = sandbox(
        "batch", file("users add a", "users add b", "users add c"), "--max-failures", "2", "-o", "json"
    )
    assert (some.code, len(some.rows)) == (6, 2)


def test_a_dry_run_writes_nothing(sandbox, team, file):
    done = sandbox("batch", file("users add zoe@example.com", "users add bad"), "--dry-run", "-o", "json")
    assert (done.code, done.json["run"]) == (6, None)
    assert [row["result"] for row in done.rows] == ["done", "failed"]
    assert users(sandbox) == ["ann@example.com"]
    assert not any("batch" in run["command"] for run in sandbox.rows("runs", "list"))


def test_each_line_is_judged_by_the_roles_of_who_runs_it(sandbox, team, file):
    done = sandbox("batch", file("users add zoe@example.com"), "--as", "bob@example.com", "-o", "json")
    assert (done.code, done.rows[0]["exit_code"]) == (6, 8)


def test_a_purchase_is_a_run_of_its_own_and_made_once(sandbox, team, file):
    path = file("subs add-seats design 2 --yes", "users add zoe@example.com")
    done = sandbox("batch", path, "-o", "json")
    assert done.code == 0, done.out
    assert sandbox.rows("subs", "list")[0]["seats"] == 7
    bought = next(run for run in sandbox.rows("runs", "list") if "add-seats" in run["command"])
    assert (bought["command"], bought["number"] > done.json["run"]) == (
        "seatctl subs add-seats design 2 --yes",
        True,
    )


def test_a_line_costs_a_twentieth_of_a_process_at_most(sandbox, file):
    """A sample of both; that 10,000 take 10,000 times as long is the bench's to show."""
    lines = [f"users add p{n}@example.com --name 'Person {n}'" for n in range(200)]
    path = file(*lines)
    process = min(started(sandbox, "users", "add", f"q{n}@example.com", "-q") for n in range(3))
    whole = started(sandbox, "batch", path, "-q")
    start_up = process  # the batch is started once, too
    assert (whole - start_up) / len(lines) < process / 20


def started(sandbox, *argv) -> float:
    """Seconds of processor time of the program in an interpreter of its own, its start included."""
    before = os.times()
    words = [sys.executable, "-m", "seatctl", *argv]
    subprocess.run(words, env=sandbox.environment(), capture_output=True, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def test_two_cannot_do_the_same_batch(sandbox, team, file):
    from seatctl.ledger.ledger import open_ledger
    from seatctl.ledger.record import batches

    done = sandbox(
        "batch", file("users add bad", "users add zoe@example.com"), "--stop-on-error", "-o", "json"
    )
    run = done.json["run"]
    path = sandbox("ledger", "path").out.strip()
    script = (
        "import sys; from seatctl.ledger.record import batches\n"
        "from seatctl.config.settings import ledger_place\n"
        "from seatctl.ledger.ledger import open_ledger\n"
        f"with batches.lock(open_ledger(ledger_place({path!r})).engine, {run}):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = python(script, stdin=subprocess.PIPE, stderr=None)
    try:
        assert holder.stdout.readline() == "held\n"
        busy = sandbox("runs", "resume", run, "-o", "json")
        assert (busy.code, busy.error["code"]) == (75, "batch_busy")
    finally:
        holder.communicate("")
    assert sandbox("runs", "resume", run).code == 0
    with closing(open_ledger(ledger_place(sandbox))) as ledger, ledger.reading() as reader:
        assert batches.tally(reader, run).waiting == 0


def test_a_file_that_names_nobody_is_not_taken_for_nothing_to_do(sandbox, team, tmp_path):
    """An export that failed would be a success night after night; what a pipe brings may be nothing."""
    people, numbers, lines = (tmp_path / name for name in ("people.csv", "numbers.csv", "lines.txt"))
    people.write_text("email,name\n")
    numbers.write_text("number\n")
    lines.write_text("# nothing yet\n\n")
    for words in (
        ("users", "import", people),
        ("seats", "assign", "design", "--from", people),
        ("seats", "revoke", "design", "--from", people),
        ("requests", "approve", "--from", numbers),
        ("batch", lines),
        ("batch", "--csv", people, "--", "users", "add", "{email}"),
    ):
        file = next(word for word in words if word in (people, numbers, lines))
        refused = sandbox("-o", "json", *words)
        assert (refused.code, refused.error["code"], refused.error["path"]) == (3, "no_rows", str(file))
        piped = ("-" if word == file else word for word in words)
        assert sandbox(*piped, stdin=file.read_text()).code == 0, words


def as_told(result) -> list[tuple]:
    return [(row["line"], row["result"], row["code"], row["exit_code"]) for row in result.rows]


def test_a_dry_run_says_of_every_line_what_the_run_then_does(sandbox, team, file):
    """People whom a line before has added, a seat that it took, one that it freed, a request it made."""
    crowd = " ".join(f"c{n}@example.com" for n in range(7))
    path = file(
        f"users add {crowd}",
        f"seats assign design {crowd}",  # seven, for fewer seats
        "seats assign design c0@example.com c1@example.com --dry-run",
        "seats assign design c0@example.com",
        "seats revoke design c0@example.com",
        "users suspend c1@example.com",
        "seats assign design c1@example.com",
        "requests create c2@example.com --subscription design",
        "requests approve 1",
        "requests approve 1",
        "users remove c3@example.com --yes",
        "seats assign design c3@example.com",
        "roles grant c4@example.com admin",
        "users edit c5@example.com --email c6@example.com",
    )
    before = ledgers.stored(sandbox.home)
    told = sandbox("batch", path, "--dry-run", "-o", "json")
    assert (told.json["dry_run"], told.json["run"], told.json["undo"]) == (True, None, None)
    assert ledgers.stored(sandbox.home) == before
    assert users(sandbox) == ["ann@example.com"]
    done = sandbox("batch", path, "-o", "json")
    assert (told.code, as_told(told)) == (done.code, as_told(done))
    assert {row["result"] for row in done.rows} == {"done", "failed"}
    assert sandbox("ledger", "check").code == 0


def test_a_dry_run_of_what_is_left_sees_its_own_lines_too(sandbox, team, file):
    path = file("users add bad", "users add zoe@example.com", "seats assign design zoe@example.com")
    stopped = sandbox("batch", path, "--stop-on-error", "-o", "json")
    assert stopped.json["not_tried"] == 2
    told = sandbox("runs", "resume", stopped.json["run"], "--dry-run", "-o", "json")
    assert (told.code, as_told(told)) == (0, [(2, "done", None, 0), (3, "done", None, 0)])
    assert users(sandbox) == ["ann@example.com"]
    assert sandbox("runs", "show", stopped.json["run"], "-o", "json").json["state"] == "failed"
    assert sandbox("runs", "resume", stopped.json["run"]).code == 0
    assert seated(sandbox) == ["zoe@example.com"]


def test_a_dry_run_writes_nothing_to_stripe_and_tells_nobody(sandbox, team, file):
    path = file(
        "subs add-seats design 2 --yes",
        "plans add other --price 1 --currency usd",
        "users add zoe@example.com",
    )

    def outside() -> tuple:
        stripe = objects(sandbox, "subscription"), objects(sandbox, "product"), charges(sandbox)
        return *stripe, sandbox.rows("notify", "list")

    before = outside()
    assert sandbox("batch", path, "--dry-run").code == 0
    assert outside() == before


def test_a_dry_run_refuses_what_nobody_would_confirm(sandbox, team, file):
    path = file("subs add-seats design 2", "subs cancel design --now", "users remove ann@example.com --erase")
    told, done = (sandbox("batch", path, *words, "-o", "json") for words in (("--dry-run",), ()))
    assert (told.code, as_told(told)) == (done.code, as_told(done))
    assert all("--yes is required" in row["error"] for row in told.rows)
    sure = file("subs add-seats design 2", "subs add-seats design 2 --dry-run")
    assert sandbox("batch", sure, "--dry-run", "--yes").code == 0


def test_a_person_who_waits_sees_how_many_lines_are_checked(sandbox, file, monkeypatch):
    monkeypatch.setattr("seatctl.cli.batch_progress.CHECK_SECONDS", 0)
    path = file(*(f"users add {email}" for email in PEOPLE))
    shown = sandbox("batch", path, tty=True).err
    assert "\r1 lines checked\r2 lines checked" in shown
    assert f"\r{' ' * len('5 lines checked')}\r" in shown  # nothing of it stays on the screen
    assert "checked" not in sandbox("batch", path).err
    assert "checked" not in sandbox("batch", path, "-q", tty=True).err


def test_words_are_split_as_a_shell_splits_them():
    """As Python's own, which is slow; but for `#`, which begins a comment only where a word would begin."""
    chance = random.Random(7)
    for _ in range(20_000):
        text = "".join(
            chance.choices(["a", "é", " ", "\t", "'", '"', "\\", "''", '\\"'], k=chance.randrange(12))
        )
        try:
            wanted = shlex.split(text)
        except ValueError:
            with pytest.raises(NotALine):
                split(f"x {text}")
        else:
            assert split(f"x {text}") == ("x", *wanted), text
    assert split("users add a#b@example.com # x 'y") == ("users", "add", "a#b@example.com")


@pytest.mark.parametrize("word", ["{a}", "'{a}'", '"{a}"', "{a}@example.com", "--{a}"])
def test_a_word_of_a_megabyte_is_no_trouble(sandbox, file, word):
    long = word.format(a="a" * 1_000_000)
    path = file(f"users add {long}", "users list")
    started = time.process_time()  # a fraction of a second; it was seven while each letter copied the word
    assert sandbox("batch", path, "-o", "json").code in {3, 6}
    assert time.process_time() - started < 3


def test_a_table_with_a_cell_that_csv_does_not_take_is_refused_with_its_line(sandbox, file):
    path = file("n,command", "1,users list", f"2,users add {'a' * 200_000}")
    refused = sandbox("batch", path, "-o", "json")
    assert (refused.code, refused.error["code"], refused.error["rows"][0]["line"]) == (3, "bad_lines", 3)
