"""Settings that are policy: the ledger stores them, so that two machines cannot follow two policies."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.support import ledgers
from tests.support.subscriptions import ledger_place, query


def written(seatctl) -> dict:
    return tomllib.loads((seatctl.home / "config.toml").read_text())["profiles"]["default"]


def shown(seatctl, key, *argv) -> tuple:
    row = next(row for row in seatctl.rows("config", "show", *argv) if row["setting"] == key)
    return row["value"], row["source"]


def test_it_is_stored_in_the_ledger_as_an_audited_change(sandbox):
    assert sandbox("config", "set", "undo_window", "30").code == 0
    changed = sandbox("config", "set", "undo_window", "45", "-o", "json").json
    assert changed == {"profile": "default", "setting": "undo_window", "value": 45, "before": 30}
    assert "undo_window" not in written(sandbox)
    assert shown(sandbox, "undo_window") == (45, "ledger")
    assert sandbox("config", "get", "undo_window").out == "45\n"
    run = sandbox.rows("audit", "log")[0]
    assert (run["actor"], run["command"]) == (
        "ann@example.com",
        "seatctl config set undo_window 45 -o json",
    )
    before, after = query(ledger_place(sandbox), "SELECT before, after FROM changes ORDER BY entry DESC")[0]
    assert (json.loads(before), json.loads(after)) == ({"undo_window": "30"}, {"undo_window": "45"})
    assert sandbox("audit", "verify").code == sandbox("ledger", "check").code == 0


def test_a_value_in_config_toml_counts_until_the_ledger_has_one(sandbox):
    text = (sandbox.home / "config.toml").read_text()
    (sandbox.home / "config.toml").write_text(f"{text}undo_window = 7\nmail.host = 'smtp.example.com'\n")
    assert shown(sandbox, "undo_window") == (7, "profile default")
    assert sandbox("status", "-o", "json").json["mail_server"] == "smtp.example.com"
    changed = sandbox("config", "set", "undo_window", "8", "-o", "json").json
    assert (changed["value"], changed["before"]) == (8, 7)
    assert written(sandbox)["mail"] == {"host": "smtp.example.com"}
    assert "undo_window" not in written(sandbox)
    assert sandbox("config", "unset", "undo_window").code == 0
    assert shown(sandbox, "undo_window") == (10, "default")
    assert sandbox("config", "unset", "mail.host").code == 0
    assert sandbox("config", "get", "mail.host").code == 9


def test_setting_the_same_value_again_records_nothing(sandbox):
    sandbox("config", "set", "mail.from", "seats@example.com")
    entries = query(ledger_place(sandbox), "SELECT count(*) FROM audit")
    assert sandbox("config", "set", "mail.from", "seats@example.com").code == 0
    assert query(ledger_place(sandbox), "SELECT count(*) FROM audit") == entries


def test_only_who_may_manage_the_ledger_sets_it(sandbox):
    assert sandbox("roles", "grant", "bob@example.com", "assignor").code == 0
    refused = sandbox("config", "set", "undo_window", "0", "--as", "bob@example.com", "-o", "json")
    assert refused.code == 8
    assert shown(sandbox, "undo_window") == (10, "default")
    assert sandbox("config", "set", "color", "never", "--as", "bob@example.com").code == 0


def test_whoever_may_not_manage_the_ledger_still_owns_their_config_toml(sandbox):
    assert sandbox("roles", "grant", "bob@example.com", "assignor").code == 0
    text = (sandbox.home / "config.toml").read_text()
    (sandbox.home / "config.toml").write_text(f"{text}undo_window = 7\n")
    assert sandbox("config", "unset", "undo_window", "--as", "bob@example.com").code == 0
    assert "undo_window" not in written(sandbox)


def test_a_stored_value_that_no_program_reads_is_replaced_by_command(sandbox):
    sandbox("config", "set", "undo_window", "30")
    query(ledger_place(sandbox), "UPDATE meta SET value = 'abc' WHERE key = 'setting.undo_window'")
    refused = sandbox("status", "-o", "json")
    assert (refused.code, refused.error["hint"].endswith("seatctl config unset undo_window")) == (3, True)
    assert sandbox("config", "unset", "undo_window").code == 0
    assert sandbox("status").code == 0


def test_a_reset_of_the_sandbox_keeps_them(sandbox):
    sandbox("config", "set", "mail.from", "seats@example.com")
    assert sandbox("sandbox", "reset", "--yes").code == 0
    assert shown(sandbox, "mail.from") == ("seats@example.com", "ledger")


def test_a_dry_run_changes_neither(sandbox):
    assert "would have set undo_window" in sandbox("config", "set", "undo_window", "30", "--dry-run").err
    assert shown(sandbox, "undo_window") == (10, "default")
    assert "undo_window" not in written(sandbox)


def test_two_machines_follow_one_policy(sandbox, tmp_path):
    """A second config.toml with the same ledger: what one sets counts for the other."""
    from tests.conftest import Seatctl

    other = Seatctl(tmp_path / "other")
    ledgers.share(sandbox.home, other.home)
    made = other("init", "--no-input", "--actor", "ann@example.com", "--ledger", str(ledger_place(sandbox)))
    assert made.code == 0, made.err
    assert sandbox("config", "set", "mail.from", "seats@example.com").code == 0
    assert shown(other, "mail.from") == ("seats@example.com", "ledger")
    assert other("config", "set", "mail.code_days", "3").code == 0
    assert shown(sandbox, "mail.code_days") == (3, "ledger")


def test_a_batch_uses_what_one_of_its_lines_set(sandbox, file):
    done = sandbox("batch", file("config set undo_window 0", "config set undo_window 5"))
    assert done.code == 0, done.err
    assert shown(sandbox, "undo_window") == (5, "ledger")


def test_before_there_is_a_ledger_it_is_written_to_config_toml(seatctl):
    seatctl.home.mkdir(parents=True)
    (seatctl.home / "config.toml").write_text("[profiles.default]\nmode = 'sandbox'\n")
    assert seatctl("config", "set", "undo_window", "3").code == 0
    assert written(seatctl)["undo_window"] == 3
    assert not ledger_place(seatctl).exists()
    assert seatctl("config", "get", "undo_window").out == "3\n"


def test_settings_are_shown_even_if_the_ledger_cannot_be_read(sandbox):
    ledger_place(sandbox).write_bytes(b"not a ledger" * 1000)
    result = sandbox("config", "show", "-o", "json")
    assert result.code == 0
    assert "the settings in the ledger cannot be read" in result.err


@pytest.mark.parametrize("command", ["get undo_window", "unset undo_window", "set undo_window 3"])
def test_a_setting_is_not_answered_without_the_ledger_that_stores_it(sandbox, command):
    """`unset` would otherwise say that it has removed a value that still counts."""
    place = ledger_place(sandbox)
    place.write_bytes(b"not a ledger" * 1000)
    refused = sandbox("config", *command.split(), "-o", "json")
    assert (refused.code, refused.error["code"], refused.out) == (74, "ledger_corrupt", "")
    assert refused.err.count("not a ledger") == 1


def test_a_value_that_the_audit_does_not_have_is_damage(sandbox):
    sandbox("config", "set", "undo_window", "30")
    query(ledger_place(sandbox), "UPDATE meta SET value = '0' WHERE key = 'setting.undo_window'")
    checked = sandbox("ledger", "check", "-o", "json")
    assert checked.code == 7
    assert [row["subject"] for row in checked.json if not row["ok"]] == ["undo_window"]
