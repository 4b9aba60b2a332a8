"""`seatctl users import`: everything is checked before anything is written."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def file(tmp_path):
    """Write a file of people and return its path."""

    def write(text: str | bytes, name: str = "people.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def people(seatctl, *argv):
    keys = ("email", "name", "group", "last_active")
    return [tuple(row[key] for key in keys) for row in seatctl.rows("users", "list", *argv)]


def test_a_file_is_imported_and_a_second_time_nothing_is_to_do(sandbox, file):
    path = file("Name,E-Mail,group,Last Active\nZoe,zoe@example.com,art,2026-10-01\nBob,bob@example.com,,\n")
    first = sandbox("users", "import", path, "-o", "json")
    assert (first.code, [row["result"] for row in first.rows]) == (0, ["added", "added"])
    assert people(sandbox) == [
        ("bob@example.com", "Bob", None, None),
        ("zoe@example.com", "Zoe", "art", "2026-10-01T00:00:00Z"),
    ]
    again = sandbox("users", "import", path, "-o", "json")
    assert (again.code, again.json["run"], [row["result"] for row in again.rows]) == (
        0,
        None,
        ["unchanged"] * 2,
    )


def test_values_that_are_not_empty_update_and_the_status_stays(sandbox, file):
    sandbox("users", "import", file("email,name,group\nzoe@example.com,Zoe,art\n"))
    sandbox("users", "suspend", "zoe@example.com")
    report = sandbox(
        "users", "import", file("email,name,group,status\nZOE@example.com,,sales,active\n"), "-o", "json"
    )
    assert report.rows == [{"line": 2, "email": "ZOE@example.com", "result": "updated", "error": None}]
    assert sandbox.rows("users", "list")[0] | {"created_at": ""} == {
        "email": "zoe@example.com", "name": "Zoe", "group": "sales", "status": "suspended",
        "seats": 0, "last_active": None, "created_at": "",
    }  # fmt: skip


def test_only_what_changed_is_recorded(sandbox, file):
    sandbox("users", "import", file("email,name\na@x.org,A\nb@x.org,B\nc@x.org,C\n"))
    sandbox("users", "import", file("email,name\na@x.org,A\nb@x.org,Bea\nc@x.org,\n"))
    entries = sandbox.rows("audit", "log", "-o", "json")
    assert sorted(entry["changes"] for entry in entries)[-2:] == [1, 3]
    assert sandbox("audit", "verify").code == 0


def test_a_removed_user_stays_removed(sandbox, file):
    path = file("email,name\nzoe@example.com,Zoe\n")
    sandbox("users", "import", path)
    sandbox("users", "remove", "zoe@example.com")
    report = sandbox("users", "import", path, "-o", "json")
    assert (report.code, report.rows[0]["result"], people(sandbox)) == (0, "removed", [])
    assert "seatctl users add" in report.json["summary"]


BAD = "email,name\na@x.org,A\nnobody,N\nb@x.org,B\na@x.org,Alias\nc@x.org,C,more\nb@x.org,B\nd@x.org,D\n"


def test_one_bad_row_and_nothing_is_written(sandbox, file):
    refused = sandbox("users", "import", file(BAD), "-o", "json")
    assert (refused.code, refused.out, refused.error["code"]) == (3, "", "bad_rows")
    assert [(row["line"], row["error"]) for row in refused.error["rows"]] == [
        (2, "line 5 has the same address with other values"),
        (3, "not an e-mail address: it has no @"),
        (5, "line 2 has the same address with other values"),
        (6, "it has 3 fields, the header has 2"),
    ]
    assert people(sandbox) == []


def test_skip_bad_does_the_rest(sandbox, file):
    report = sandbox("users", "import", file(BAD), "--skip-bad", "-o", "json")
    assert (report.code, report.json["bad"]) == (6, 4)
    results = {row["line"]: row["result"] for row in report.rows}
    assert results == {2: "bad", 3: "bad", 4: "added", 5: "bad", 6: "bad", 7: "duplicate", 8: "added"}
    assert [row[0] for row in people(sandbox)] == ["b@x.org", "d@x.org"]


def test_a_dry_run_shows_every_row_and_writes_none(sandbox, file):
    dry = sandbox("users", "import", file("email\na@x.org\nb@x.org\n"), "-n", "-o", "json")
    assert (dry.code, dry.json["run"], [row["result"] for row in dry.rows]) == (0, None, ["added", "added"])
    assert people(sandbox) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [("", "empty_file"), ("name\nZoe\n", "no_such_column"), (b"email\n\xff@x.org\n", "not_utf8")],
)
def test_a_file_that_holds_no_people_is_bad_input(sandbox, file, content, code):
    refused = sandbox("users", "import", file(content), "-o", "json")
    assert (refused.code, refused.error["code"], refused.out) == (3, code, "")


def test_a_missing_file_is_not_found(sandbox):
    assert sandbox("users", "import", "no-such-file.csv").code == 9


def test_stdin_and_map(sandbox):
    report = sandbox(
        "users", "import", "-", "--map", "email=Work Mail", stdin="Work Mail;Name\r\na@x.org;A\r\n"
    )
    assert (report.code, people(sandbox)) == (0, [("a@x.org", "A", None, None)])


def test_what_begins_with_a_dash_or_a_formula_is_data(sandbox, file):
    sandbox("users", "import", file("email,name\n-f@x.org,=1+1\n"))
    assert people(sandbox) == [("-f@x.org", "=1+1", None, None)]


def test_a_column_that_is_not_read_is_named(sandbox, file):
    imported = sandbox("users", "import", file("email,grp,status\na@x.org,x,active\n"))
    assert imported.err.startswith("ignored columns: grp\n"), imported.err


@pytest.mark.parametrize("printed", ["users list", "seats list", "seats list --all"])
def test_no_column_of_our_own_lists_is_taken_for_a_typing_mistake(sandbox, team, printed):
    assert sandbox("seats", "assign", team, "zoe@example.com", "--create-users").code == 0
    listed = sandbox(*printed.split(), "-o", "csv")
    imported = sandbox("users", "import", "-", stdin=listed.out)
    assert (imported.code, imported.err) == (0, "nothing to do\n")


def test_a_killed_import_wrote_everything_or_nothing(sandbox, file):
    path = file("email,name\n" + "".join(f"p{n}@x.org,P{n}\n" for n in range(20_000)))
    for seconds in (0.1, 0.2, 0.4):
        process = sandbox.process("users", "import", path)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=seconds)
        process.kill()
        process.communicate()
        assert len(people(sandbox)) in {0, 20_000}
        assert sandbox("audit", "verify").code == 0


def test_two_imports_of_one_file_at_once_make_each_user_once(sandbox, file):
    path = file("email,name\n" + "".join(f"p{n}@x.org,P{n}\n" for n in range(2_000)))
    both = [sandbox.process("users", "import", path, "-o", "json") for _ in range(2)]
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert sorted(report["added"] for report in reports) == [0, 2_000]
    assert len(people(sandbox)) == 2_000


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12).map(str.strip)
ODD = st.sampled_from(
    [
        "=1+1",
        "'=1",
        "''=1",
        "-dash",
        "'t Hooft",
        '"',
        'say "hi"',
        "a,b;c\\n",
        "\u202egnp",
        "\ufeffA",
        "#1",
        "null",
    ]
)
TIMES = st.integers(0, 4_000_000_000).map(lambda at: dt.datetime.fromtimestamp(at, dt.UTC).isoformat())
PEOPLE = st.lists(
    st.fixed_dictionaries({"name": NAMES | ODD, "group": NAMES | ODD, "last_active": st.just("") | TIMES}),
    min_size=1,
    max_size=5,
)
ADDRESSES = ("p0@x.org", "+p1@x.org", "'p2@x.org", "'=p3@x.org", "P4@x.org")


@pytest.fixture
def two(sandbox):
    """The sandbox profile, and one of the same kind without people."""
    assert sandbox("init", "other", "--no-input", "--actor", "ann@example.com").code == 0
    return sandbox


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, suspended=st.booleans())
def test_what_list_prints_import_reads(two, form, people, suspended):
    rows = [{"email": email, **person} for email, person in zip(ADDRESSES, people, strict=False)]
    loaded = two("users", "import", "-", stdin="".join(json.dumps(row) + "\n" for row in rows))
    assert loaded.code == 0, loaded.err
    two("users", "suspend" if suspended else "reactivate", "p0@x.org")
    printed = two("users", "list", "-o", form).out
    again = two("users", "import", "-", "-o", "json", stdin=printed)
    assert (again.code, again.json["run"]) == (0, None), (again.out, again.err)
    there = two("users", "import", "-", "-p", "other", "-q", stdin=printed)
    assert (there.code, there.err) == (0, "")
    assert listed(two, "-p", "other") == listed(two)


def listed(seatctl, *argv):
    """The columns of the users that a file can have."""
    keys = ("email", "name", "group", "last_active")
    return [[row[key] or None for key in keys] for row in seatctl.rows("users", "list", *argv)]


def test_quiet_prints_the_addresses_that_were_taken(sandbox, file):
    done = sandbox(
        "users", "import", file("email,name\nb@x.org,B\nno address,N\na@x.org,A\n"), "--skip-bad", "-q"
    )
    assert (done.code, done.out) == (6, "b@x.org\na@x.org\n")


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a@x.org", "A@X.org", "b@x.org", "c@x.org", "no address", "d@x", ""]),
        st.sampled_from(["", "A", "B"]),
    ).filter(any),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_all_of_a_file_or_nothing(sandbox, rows):
    """All rows are imported or none; with --skip-bad, the good ones; a second run changes nothing."""
    stdin = "email,name\n" + "".join(f"{email},{name}\n" for email, name in rows)
    named: dict[str, set[str]] = {}
    for email, name in rows:
        named.setdefault(email.lower(), set()).add(name)
    good = {email for email, names in named.items() if email.endswith(".org") and len(names) == 1}
    bad = len(good) < len(named)
    before = sandbox.rows("users", "list")
    judged = sandbox("users", "import", "-", stdin=stdin)
    assert judged.code == (3 if bad else 0)
    if bad:
        assert sandbox.rows("users", "list") == before
    assert sandbox("users", "import", "-", "--skip-bad", stdin=stdin).code == (6 if bad else 0)
    after = {row["email"].lower(): row["name"] for row in sandbox.rows("users", "list")}
    assert good <= after.keys()
    assert all(after[email] == name for email in good for name in named[email] if name)
    again = sandbox("users", "import", "-", "--skip-bad", "-o", "json", stdin=stdin)
    assert again.json["run"] is None
