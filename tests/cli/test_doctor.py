"""`doctor` names what is wrong and the command that repairs it; `status` what waits for somebody."""

from __future__ import annotations

import json
import sqlite3

from tests.support.subscriptions import ledger_place, query


def problems(result):
    return {row["check"]: row for row in result.rows if row["result"] == "problem"}


def results(checked):
    """All results but one: the tests' server does not sync to its disk, which is a warning."""
    return {row["result"] for row in checked.rows if row["check"] != "durability"}


def test_a_new_profile_is_in_order(sandbox):
    checked = sandbox("doctor", "-o", "json")
    assert (checked.code, problems(checked)) == (0, {})
    assert results(checked) == {"ok"}
    assert checked.err == "everything is in order\n"


def test_nothing_set_up_yet(seatctl):
    checked = seatctl("doctor", "-o", "json")
    assert checked.code == 7
    assert problems(checked)["configuration"]["repair"] == "seatctl init"


def test_files_that_others_can_read(sandbox):
    ledger = sandbox.home / "default" / "ledger.db"
    ledger.chmod(0o644)
    found = problems(sandbox("doctor", "-o", "json"))["file permissions"]
    assert found["repair"] == f"chmod 600 {ledger}"
    ledger.chmod(0o600)
    assert sandbox("doctor").code == 0


def test_a_group_that_may_read_is_named_and_no_problem(sandbox):
    ledger = sandbox.home / "default" / "ledger.db"
    ledger.chmod(0o640)
    checked = sandbox("doctor", "-o", "json")
    (found,) = [row for row in checked.json if row["check"] == "file permissions"]
    assert (checked.code, found["result"]) == (0, "warning")
    assert found["detail"] == f"the group can read {ledger}"


def test_a_ledger_that_is_gone_or_damaged(sandbox):
    ledger = sandbox.home / "default" / "ledger.db"
    for end in ("-wal", "-shm"):
        ledger.with_name(ledger.name + end).unlink(missing_ok=True)
    kept = ledger.read_bytes()
    ledger.unlink()
    gone = sandbox("doctor", "-o", "json")
    assert (gone.code, "seatctl init" in problems(gone)["ledger"]["repair"]) == (7, True)
    ledger.write_bytes(b"not a database at all" * 100)
    ledger.chmod(0o600)
    assert "ledger" in problems(sandbox("doctor", "-o", "json"))
    ledger.write_bytes(kept)
    assert sandbox("doctor").code == 0


def test_a_reference_that_leads_nowhere_is_found(sandbox):
    with sqlite3.connect(sandbox.home / "default" / "ledger.db") as database:
        database.execute(
            "INSERT INTO roles (actor, subscription_id, role) VALUES ('x@example.com', 99, 'viewer')"
        )
    database.close()
    assert "subscriptions" in problems(sandbox("doctor", "-o", "json"))["integrity"]["detail"]


def test_a_plan_to_which_no_seat_could_ever_be_added_is_named_with_its_repair(sandbox):
    """An earlier version, or the dashboard, has let it be."""
    words = "plans add monthly --price 5 --currency usd --policy term"
    days = "--set addon_cutoff_days=5 --set renewal_window_days=5"
    assert sandbox(*words.split(), *days.split()).code == 0
    ((policy,),) = query(ledger_place(sandbox), "SELECT policy FROM plans")
    odd = {**json.loads(policy), "addon_cutoff_days": 30, "renewal_window_days": 30}
    query(ledger_place(sandbox), "UPDATE plans SET policy = ?", json.dumps(odd))
    found = {row["check"]: row for row in sandbox("doctor", "-o", "json").rows}["plans"]
    assert (found["result"], "monthly" in found["detail"]) == ("warning", True)
    assert sandbox(*found["repair"].split()[1:]).code == 0
    assert results(sandbox("doctor", "-o", "json")) == {"ok"}


def test_an_actor_without_a_role_is_a_warning(sandbox):
    checked = sandbox("doctor", "--as", "stranger@example.com", "-o", "json")
    assert checked.code == 0
    assert results(checked) == {"ok", "warning"}
    assert {row["check"] for row in checked.rows if row["result"] == "warning"} - {"durability"} == {"actor"}


def test_a_broken_config_is_a_finding_too(sandbox):
    (sandbox.home / "config.toml").write_text("= nonsense")
    checked = sandbox("doctor")
    assert checked.code == 7
    assert "not valid TOML" in checked.out


def test_status_of_an_empty_ledger(sandbox):
    shown = sandbox("status", "-o", "json").json
    assert (shown["mode"], shown["users"], shown["seats"], shown["attention"]) == ("sandbox", 0, 0, [])


def test_status_names_what_waits_and_the_command_for_it(sandbox):
    sandbox("users", "add", "zoe@example.com")
    sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd", "--interval", "month")
    bought = sandbox(
        *("subs", "buy", "--plan", "pro", "--seats", "3", "--name", "design", "--owner", "ann@example.com"),
        *("--billing-email", "pay@example.com", "--payment-method", "pm_card_visa", "--yes"),
    )
    assert bought.code == 0, bought.err
    sandbox("requests", "create", "zoe@example.com", "--subscription", "design")
    shown = sandbox("status", "-o", "json").json
    assert (shown["subscriptions"], shown["seats"], shown["free"], shown["pending_requests"]) == (1, 3, 3, 1)
    assert shown["attention"] == ["1 request waits for a decision: seatctl requests list"]


def test_status_says_that_mail_goes_nowhere_and_that_a_term_was_not_read(sandbox, team):
    shown = sandbox("status")
    unset = "no mail server is configured, so no notifications are sent: seatctl help notifications"
    assert unset in shown.err
    assert sandbox("status", "-o", "json").json["mail_server"] is None
    assert sandbox("config", "set", "mail.host", "smtp.example.com").code == 0
    assert "no mail server" not in sandbox("status").err
    assert sandbox("sandbox", "advance", "40d").code == 0
    stale = "the term of design has ended; to see whether it renewed: seatctl sync"
    assert sandbox("status", "-o", "json").json["attention"] == [stale]
    assert sandbox("sync", "--no-notify").code == 0
    assert sandbox("status", "-o", "json").json["attention"] == []
