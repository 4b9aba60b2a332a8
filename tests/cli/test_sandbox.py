"""The sandbox's own commands: its clock, its faults, its server, starting anew."""

from __future__ import annotations

import json
import shlex
import urllib.error
import urllib.request
from datetime import timedelta

import pytest

from seatctl.models.call import parse_time


def test_the_clock_moves_forward_and_seatctl_takes_its_now_from_it(sandbox):
    before = parse_time(sandbox("status", "-o", "json").json["as_of"])
    moved = sandbox("sandbox", "advance", "40d", "-o", "json")
    assert moved.code == 0
    now = parse_time(sandbox("status", "-o", "json").json["as_of"])
    assert timedelta(days=40) <= now - before < timedelta(days=40, minutes=5)
    assert sandbox("sandbox", "status", "-o", "json").json["now"] >= moved.json["now"]


def test_the_clock_never_moves_back(sandbox):
    sandbox("sandbox", "advance", "40d")
    refused = sandbox("sandbox", "advance", "2020-01-31")
    assert (refused.code, "only moves forward" in refused.err) == (3, True)


def test_a_dry_run_moves_nothing(sandbox):
    before = sandbox("sandbox", "status", "-o", "json").json["now"]
    assert sandbox("sandbox", "advance", "40d", "-n", "-o", "json").json["dry_run"] is True
    assert sandbox("sandbox", "fail", "500", "-n").code == 0
    after = sandbox("sandbox", "status", "-o", "json").json
    assert (after["armed"], after["now"][:13]) == (0, before[:13])


def test_a_dry_run_of_a_reset_empties_nothing(sandbox):
    assert sandbox("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    assert sandbox("sandbox", "reset", "-n").code == 0
    assert [plan["name"] for plan in sandbox.rows("plans", "list")] == ["pro"]


def test_faults_are_armed_and_listed(sandbox):
    assert (
        sandbox("sandbox", "fail", "429", "--times", "2", "--path", "/v1/products", "--retry-after", "0").code
        == 0
    )
    shown = sandbox("sandbox", "status", "-o", "json").json
    assert shown["armed"] == 2
    assert shown["faults"] == [
        {"fault": "429", "calls": 2, "method": None, "path": "/v1/products", "retry_after": 0}
    ]
    assert sandbox("sandbox", "fail", "600").code == 3
    assert sandbox("sandbox", "fail", "500", "--method", "BREW").code == 3


def test_a_reset_asks_and_begins_anew(sandbox):
    sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd", "--interval", "month")
    refused = sandbox("sandbox", "reset", "-o", "json")
    assert (refused.code, refused.error["flag"]) == (2, "--yes")
    assert sandbox("sandbox", "reset", tty=True, stdin="no\n").code == 4
    assert len(sandbox.rows("plans", "list")) == 1
    assert sandbox("sandbox", "reset", tty=True, stdin="y\n").code == 0
    assert sandbox.rows("plans", "list") == []
    assert sandbox("sandbox", "status", "-o", "json").json["objects"] == 0
    assert (
        sandbox("plans", "add", "pro", "--price", "9.00", "--currency", "usd", "--interval", "month").code
        == 0
    )
    assert sandbox("doctor").code == 0


def test_a_live_profile_has_no_sandbox(sandbox):
    (sandbox.home / "config.toml").write_text("profile = 'live'\n[profiles.live]\nmode = 'live'\n")
    for argv in (["status"], ["reset", "--yes"], ["advance", "1d"], ["fail", "500"], ["serve", "--for", "1"]):
        refused = sandbox("sandbox", *argv, "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "not_a_sandbox")
    assert not (sandbox.home / "live").exists()


@pytest.fixture
def served(sandbox):
    server = sandbox.process("sandbox", "serve", "--for", "60")
    yield sandbox, server.stdout.readline().strip(), server
    server.terminate()
    server.communicate(timeout=30)
    assert server.returncode == 0


def get(url, key="sk_test_x"):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_server_speaks_for_the_profiles_sandbox(served):
    sandbox, url, _ = served
    assert url.startswith("http://127.0.0.1:")
    sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd", "--interval", "month")
    assert [product["name"] for product in get(f"{url}/v1/products")["data"]] == ["pro"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(f"{url}/v1/products", key="sk_live_x")


def test_a_taken_port_is_said(served):
    sandbox, url, _ = served
    refused = sandbox("sandbox", "serve", "--port", url.rpartition(":")[2], "-o", "json")
    assert refused.error["code"] == "port_taken"


def test_the_server_stops_by_itself(sandbox):
    server = sandbox.process("sandbox", "serve", "--empty", "--for", "1")
    out, _ = server.communicate(timeout=30)
    assert (server.returncode, out.startswith("http://127.0.0.1:")) == (0, True)


def test_a_damaged_sandbox_says_so_and_a_reset_repairs_it(sandbox):
    path = sandbox.home / "default" / "sandbox.db"
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.write_text("no database at all, but text")
    refused = sandbox("status", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "sandbox_unusable")
    found = {row["check"]: row for row in sandbox("doctor", "-o", "json").rows}
    assert (found["stripe"]["result"], "seatctl init" in found["stripe"]["repair"]) == ("problem", True)
    assert sandbox("sandbox", "reset", "--yes").code == 0
    assert sandbox("doctor").code == 0


@pytest.mark.parametrize(
    ("damage", "helps"),
    [
        (lambda path: path.write_bytes(b"no database" * 500), "seatctl init PROFILE --mode sandbox"),
        (lambda path: (path.unlink(), path.mkdir()), "give yourself write access to"),
    ],
)
def test_a_sandbox_that_cannot_be_opened_is_not_told_to_be_destroyed(sandbox, damage, helps):
    path = sandbox.home / "default" / "sandbox.db"
    assert path.is_file(), sorted(path.parent.iterdir())
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    damage(path)
    refused = sandbox("sync", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "sandbox_unusable")
    checked = sandbox("doctor", "-o", "json")
    for said in (refused.err, checked.out, checked.err):
        assert "reset" not in said
    assert helps in refused.error["hint"]


def test_no_link_of_a_sandbox_leads_to_stripe(sandbox, pro):
    """Whoever opens one would look at somebody else's page; the hint plays the customer instead."""
    who = "--owner ann@example.com --billing-email pay@example.com"
    buy = f"subs buy --plan {pro} --seats 1 {who} --yes -o json"
    card = "--payment-method pm_card_threeDSecure2Required"
    for name, way in (("page", "--checkout"), ("bank", card)):
        asked = sandbox(*buy.split(), "--name", name, *way.split())
        assert (asked.code, "stripe.com" in asked.err) == (10, False)
        first, then = asked.error["hint"].split(", then: ")
        assert then == "seatctl sync"
        for command in (first, then):
            assert sandbox(*shlex.split(command)[1:]).code == 0, command
    assert {row["status"] for row in sandbox.rows("subs", "list")} == {"active"}
    for row in sandbox.rows("invoices", "list"):
        assert "stripe.com" not in sandbox("invoices", "show", row["number"], "--web").out
