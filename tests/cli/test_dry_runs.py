"""What a dry run says is true: it would do something, or says that nothing was done; never that it was."""

from __future__ import annotations

import pytest

from tests.support import ledgers
from tests.support.both_sides import contents


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("init other --no-input", "would have set up profile other (sandbox)"),
        ("config set color never", "would have set color of profile default"),
        ("config unset actor", "would have removed actor of profile default"),
        ("config use default", "would have switched to profile default (sandbox)"),
        ("ledger backup -", "would have backed up to stdout"),
        ("ledger backup backup.db", "would have backed up to "),
        ("ledger export folder", "would have exported to "),
        ("users add zoe@example.com", "would have added zoe@example.com"),
        ("subs change-plan design pro", "dry run: design already has 5 seats of pro; nothing was changed"),
        ("subs rename design lab", "would have renamed design to lab"),
        ("subs cancel design --now", "would have canceled design at once"),
        ("sandbox advance 1d", "would have moved the clock "),
        ("sandbox reset", "would have emptied the sandbox"),
        ("sandbox retries past_due", "would have set the end of the last retry to past_due"),
        ("sandbox complete cs_1", "would have completed the page cs_1 with pm_card_visa"),
        ("notify send", "would have tried to send "),
        ("requests create zoe@example.com --create-users", "would have made request 1 of zoe@example.com"),
        ("roles grant zoe@example.com viewer", "would have made zoe@example.com viewer"),
        ("roles grant ann@example.com admin", "dry run: ann@example.com is already admin"),
        ("seats reclaim design --suspended", "dry run: nothing to do"),
        ("sync", "would have recovered 0 operations and read "),
        (
            "seats apply people.csv -s design --create-users --save plan.jsonl",
            "would have seated 1 in design",
        ),
    ],
)
def test_a_dry_run_claims_nothing(sandbox, team, tmp_path, monkeypatch, command, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("email\nzoe@example.com\n")
    before = contents(sandbox), (sandbox.home / "config.toml").read_bytes()
    told = sandbox(*command.split(), "--dry-run")
    assert told.code == 0
    (line,) = told.err.splitlines()
    assert line.startswith(says), told.err
    assert line.count("nothing was") <= 1
    assert (contents(sandbox), (sandbox.home / "config.toml").read_bytes()) == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix in {".db", ".jsonl"}] == []


def test_nor_do_its_values(sandbox, team):
    def of(*argv) -> dict:
        return sandbox(*argv, "--dry-run", "-o", "json").json

    assert of("init", "other", "--no-input")["created"] is False
    emptied = of("sandbox", "reset", *(("--keep-ledger",) if ledgers.on_server() else ()))
    assert (emptied["dry_run"], emptied["rows"][0]["result"]) == (True, "emptied")
    moved = of("sandbox", "advance", "1d")
    assert moved["now"] == moved["before"]
