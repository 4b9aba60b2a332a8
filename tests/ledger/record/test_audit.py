"""The verification of the audit finds what was altered, removed or cut off, and names the first bad entry."""

import pytest

from tests.support.subscriptions import ledger_place, query
from tests.support.tampering import tamper


@pytest.fixture
def audited(seatctl, sandbox):
    """Entry 1 is of `init`; 2 to 5 add a user each, 6 imports three."""
    for name in ("ann", "bob", "cyd", "dot"):
        assert seatctl("users", "add", f"{name}@example.com").code == 0
    people = "email\na1@example.com\na2@example.com\na3@example.com\n"
    assert seatctl("users", "import", "-", stdin=people).code == 0
    return ledger_place(sandbox)


def test_an_untouched_audit_verifies_and_prints_its_head(seatctl, audited):
    found = seatctl("audit", "verify", "-o", "json")
    assert found.code == 0
    assert found.json["ok"] is True
    assert (found.json["entries"], found.json["changes"]) == (6, 8)
    seq, _, digest = found.json["head"].partition(":")
    assert query(audited, "SELECT hash FROM audit WHERE seq = ?", seq) == [(digest,)]
    assert seatctl("audit", "verify", "--expect", found.json["head"]).code == 0


TAMPERINGS = {
    "a changed value": (4, "UPDATE changes SET after = replace(after, 'cyd', 'eve') WHERE entry = 4"),
    "a changed value with its hash": (
        3, "UPDATE changes SET after = '{}', hash = '0000' WHERE entry = 3",
    ),
    "nothing became an empty text": (3, "UPDATE changes SET before = '' WHERE entry = 3"),
    "a change of another thing": (3, "UPDATE changes SET entity_id = 99 WHERE entry = 3"),
    "a removed change": (6, "DELETE FROM changes WHERE entry = 6 AND n = 2"),
    "an entry without its changes": (5, "DELETE FROM changes WHERE entry = 5"),
    "reordered changes": (6, "UPDATE changes SET n = 4 - n + 10 WHERE entry = 6"),
    "a change erased by halves": (
        4, "UPDATE changes SET erased_at = '2026-01-01T00:00:00Z', after = NULL WHERE entry = 4",
    ),
    "another actor": (2, "UPDATE audit SET actor = 'eve@example.com' WHERE seq = 2"),
    "another time": (5, "UPDATE audit SET at = '2020-01-01T00:00:00Z' WHERE seq = 5"),
    "another command": (3, "UPDATE runs SET command = 'seatctl seats list' WHERE number = 3"),
    "another run": (3, "UPDATE audit SET run = 1 WHERE seq = 3"),
    "a removed entry": (4, "DELETE FROM audit WHERE seq = 3"),
    "a first entry that is gone": (2, "DELETE FROM audit WHERE seq = 1"),
    "an entry that moved to the end": (4, "UPDATE audit SET place = 40 WHERE seq = 3"),
    "an entry of another number": (40, "UPDATE audit SET seq = 40 WHERE seq = 3"),
    "an entry that leaves the chain": (4, "UPDATE audit SET place = NULL WHERE seq = 3"),
    "another origin": (5, "UPDATE audit SET origin = '{}' WHERE seq = 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found_and_the_first_bad_entry_is_named(seatctl, audited, name):
    entry, statement = TAMPERINGS[name]
    tamper(audited, statement)
    found = seatctl("audit", "verify", "-o", "json")
    assert found.code == 7
    assert found.json["ok"] is False
    assert found.json["bad_entry"] == entry
    assert str(entry) in found.json["problem"] or "missing" in found.json["problem"]
    assert seatctl("ledger", "check").code == 7


def test_a_missing_end_is_found_with_an_earlier_head(seatctl, audited):
    head = seatctl("audit", "verify", "-o", "json").json["head"]
    tamper(audited, "DELETE FROM changes WHERE entry = 6", "DELETE FROM audit WHERE seq = 6")
    assert seatctl("audit", "verify").code == 0
    found = seatctl("audit", "verify", "--expect", head, "-o", "json")
    assert found.code == 7
    assert "cut off" in found.json["problem"]


def test_a_rewritten_audit_does_not_have_the_old_head(seatctl, audited):
    head = seatctl("audit", "verify", "-o", "json").json["head"]
    wrong = head[:-1] + ("0" if head[-1] != "0" else "1")
    assert seatctl("audit", "verify", "--expect", wrong).code == 7
    assert seatctl("audit", "verify", "--expect", "latest").code == 2


def test_erased_change_rows_are_counted_and_do_not_break_the_chain(seatctl, audited):
    query(
        audited,
        "UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at = '2026-12-01T00:00:00Z'"
        " WHERE entity = 'user' AND entity_id = 2",
    )
    found = seatctl("audit", "verify", "-o", "json")
    assert (found.code, found.json["erased"]) == (0, 1)


def test_the_log_says_who_did_what(seatctl, audited):
    lines = seatctl.rows("audit", "log", "--limit", "2")
    assert [line["seq"] for line in lines] == [6, 5]
    assert [line["changes"] for line in lines] == [3, 1]
    assert lines[1]["command"] == "seatctl users add dot@example.com"
    assert seatctl.rows("audit", "log", "--actor", "nobody@example.com") == []
    assert seatctl("audit", "log", "--since", "yesterday").code == 3


def test_runs_show_what_they_changed(seatctl, audited):
    runs = seatctl.rows("runs", "list")
    assert [run["number"] for run in runs] == [6, 5, 4, 3, 2, 1]
    shown = seatctl("runs", "show", "3", "-o", "json").json
    assert shown["command"] == "seatctl users add bob@example.com"
    assert shown["changes"][0]["subject"] == "bob@example.com"
    assert shown["changes"][0]["after"]["email"] == "bob@example.com"
    assert "bob@example.com" in seatctl("runs", "show", "3", "-o", "table").out
    missing = seatctl("runs", "show", "99", "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "unknown_run")
