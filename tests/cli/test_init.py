"""`init`: a profile, its ledger and its sandbox; doing it again changes nothing."""

from __future__ import annotations

import stat
import tomllib

import pytest

from tests.support import ledgers
from tests.support.front import Front

KEYRING = """
from keyring.backend import KeyringBackend
from pathlib import Path
import json, os

class Kept(KeyringBackend):
    priority = 1
    path = Path(os.environ["SEATCTL_CONFIG"]) / "keyring.json"

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, username):
        return self._all().get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self.path.parent.mkdir(exist_ok=True, parents=True)
        self.path.write_text(json.dumps({**self._all(), f"{service}/{username}": password}))

    def delete_password(self, service, username):
        raise NotImplementedError
"""


def config(seatctl):
    return tomllib.loads((seatctl.home / "config.toml").read_text())


def test_init_needs_no_answer_no_account_and_no_network(seatctl):
    made = seatctl("init", "--no-input", "-o", "json")
    assert made.code == 0
    assert made.json["mode"] == "sandbox"
    assert made.json["created"] is True
    assert made.json["actor"].startswith("os:")
    assert config(seatctl) == {"profile": "default", "profiles": {"default": {"mode": "sandbox"}}}


def test_everything_is_readable_by_its_owner_only(sandbox):
    files = [path for path in sandbox.home.rglob("*") if path.is_file()]
    names = (
        {"config.toml", "sandbox.db"} if ledgers.on_server() else {"config.toml", "ledger.db", "sandbox.db"}
    )
    assert names <= {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}
    assert stat.S_IMODE(sandbox.home.stat().st_mode) == 0o700


def test_init_again_changes_nothing(sandbox):
    before = (sandbox.home / "config.toml").read_text(), sandbox("ledger", "path").out
    again = sandbox("init", "--no-input", "-o", "json")
    assert (again.code, again.json["created"]) == (0, False)
    assert before == ((sandbox.home / "config.toml").read_text(), sandbox("ledger", "path").out)
    assert len(sandbox.rows("audit", "log")) == 1


def test_the_first_actor_is_the_admin_and_the_second_is_not(sandbox):
    assert (
        sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd", "--interval", "month").code
        == 0
    )
    sandbox("init", "--no-input", "--actor", "bob@example.com")
    refused = sandbox("plans", "archive", "pro", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")
    assert "ann@example.com" in refused.error["hint"]


def test_a_profile_keeps_its_mode(sandbox):
    refused = sandbox("init", "--mode", "test", "--no-input", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "profile_exists")
    assert "seatctl init test --mode test" in refused.error["hint"]


def test_profiles_stand_side_by_side_and_the_first_stays_in_use(sandbox):
    assert sandbox("init", "second", "--no-input").code == 0
    found = {row["profile"]: row["current"] for row in sandbox.rows("config", "profiles")}
    assert found == {"default": True, "second": False}
    assert sandbox("status", "-p", "second", "-o", "json").json["profile"] == "second"
    assert sandbox("status", "-o", "json", env={"SEATCTL_PROFILE": "second"}).json["profile"] == "second"


def test_several_at_once_all_succeed(seatctl):
    names = ["default", "default", "second", "third"]
    started = [seatctl.process("init", name, "--no-input", "--actor", "ann@example.com") for name in names]
    said = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], said
    assert set(config(seatctl)["profiles"]) == {"default", "second", "third"}
    assert seatctl("doctor").code == 0


@pytest.mark.parametrize("name", ["../up", "Up", "a b", "", "-x"])
def test_a_profile_name_is_no_path(seatctl, name):
    assert seatctl("init", "--no-input", "--", name).code in {2, 3}
    assert not (seatctl.home / "config.toml").exists()


def test_a_dry_run_makes_nothing(seatctl):
    assert seatctl("init", "--no-input", "--dry-run").code == 0
    assert not seatctl.home.exists()


def test_on_a_terminal_the_actor_is_asked_for(seatctl):
    made = seatctl("init", "-o", "json", tty=True, stdin="ann@example.com\n")
    assert "Your e-mail address" in made.err
    assert made.json["actor"] == "ann@example.com"


@pytest.mark.parametrize("typed", ["ann@", "ann@examplecom", "ann example.com", "ann@example..com"])
def test_a_mistyped_address_is_asked_for_again(seatctl, typed):
    made = seatctl("init", "-o", "json", tty=True, stdin=f"{typed}\nann@example.com\n")
    assert (made.code, made.json["actor"]) == (0, "ann@example.com")
    assert made.err.count("Your e-mail address") == 2
    assert f"{typed!r} is not an e-mail address" in made.err


def test_a_key_that_is_pasted_for_the_address_is_not_repeated(seatctl):
    made = seatctl("init", tty=True, stdin="sk_live_abcdefgh12\nann@example.com\n")
    assert (made.code, "'sk_live_…' is not an e-mail address" in made.err) == (0, True)
    assert "abcdefgh12" not in made.out + made.err


def test_no_key_is_asked_for_that_no_keyring_would_keep(seatctl):
    argv = ("init", "company", "--mode", "test", "--actor", "ann@example.com")
    refused = seatctl(*argv, tty=True, stdin="sk_test_abcdefgh12\n")
    assert (refused.code, "Stripe test key" in refused.err) == (8, False)
    assert "no system keyring" in refused.err
    assert "SEATCTL_STRIPE_KEY" in refused.err


def test_a_test_profile_without_a_key_says_how_to_give_one(seatctl):
    refused = seatctl("init", "company", "--mode", "test", "--no-input", "-o", "json")
    assert refused.code == 2
    assert refused.error["flag"] == "--key-stdin"


@pytest.mark.parametrize(
    ("mode", "key", "says"),
    [
        ("test", "sk_live_abcdefgh12", "live key"),
        ("live", "rk_test_abcdefgh12", "test key"),
        ("live", "pk_live_abcdefgh12", "not a secret"),
        ("test", "hello", "not a secret"),
    ],
)
def test_a_key_of_another_mode_is_refused_and_nothing_is_made(seatctl, mode, key, says):
    refused = seatctl("init", "company", "--mode", mode, "--key-stdin", "-o", "json", stdin=f"{key}\n")
    assert (refused.code, refused.error["code"]) == (8, "wrong_key")
    assert says in refused.error["message"]
    assert key not in refused.err + refused.out
    assert not seatctl.home.exists()


@pytest.fixture
def wire(seatctl):
    """A Stripe of its own behind a loopback port, which stops by itself."""
    server = seatctl.process("sandbox", "serve", "--empty", "--for", "60")
    yield server.stdout.readline().strip()
    server.terminate()
    server.communicate(timeout=30)


@pytest.fixture
def keyring(tmp_path):
    (tmp_path / "kept.py").write_text(KEYRING)
    return {"PYTHON_KEYRING_BACKEND": "kept.Kept", "PYTHONPATH": str(tmp_path)}


def test_a_test_profile_keeps_its_key_in_the_keyring_and_learns_its_account(seatctl, wire, keyring):
    env = {"SEATCTL_STRIPE_API_BASE": wire, **keyring}
    key = "sk_test_" + "abcdefgh12345678"
    made = seatctl.run(
        "init", "company", "--mode", "test", "--key-stdin", "-o", "json", stdin=key + "\n", env=env
    )
    assert made.code == 0, made.err
    assert made.json["stripe_account"].startswith("acct_")
    checked = seatctl.run("doctor", "-o", "json", env=env)
    assert checked.code == 0, checked.out
    assert {row["check"]: row["detail"] for row in checked.rows}[
        "key"
    ] == "a test key from the system keyring"
    written = [path for path in seatctl.home.rglob("*") if path.is_file() and path.name != "keyring.json"]
    assert not [path for path in written if key.encode() in path.read_bytes()]


def test_without_a_keyring_the_key_is_not_lost_silently(seatctl, wire):
    refused = seatctl(
        *("init", "company", "--mode", "test", "--key-stdin", "-o", "json"),
        stdin="sk_test_abcdefgh12345678\n",
        env={"SEATCTL_STRIPE_API_BASE": wire},
    )
    assert (refused.code, refused.error["code"]) == (8, "no_key")
    assert (
        "SEATCTL_STRIPE_KEY in the environment, then seatctl init company --mode test"
        in refused.error["hint"]
    )


def test_a_key_from_the_environment_is_used_and_not_stored(seatctl, wire):
    env = {"SEATCTL_STRIPE_API_BASE": wire, "STRIPE_API_KEY": "sk_test_abcdefgh12345678"}
    assert seatctl("init", "company", "--mode", "test", env=env).code == 0
    assert seatctl("doctor", env=env).code == 0
    refused = seatctl("doctor", "-o", "json", env={"SEATCTL_STRIPE_API_BASE": wire})
    assert refused.code == 7
    assert [row["check"] for row in refused.rows if row["result"] == "problem"] == ["key"]


def test_another_accounts_key_is_refused(seatctl, wire):
    env = {"SEATCTL_STRIPE_API_BASE": wire, "STRIPE_API_KEY": "sk_test_abcdefgh12345678"}
    argv = ["init", "company", "--mode", "test", "--stripe-account", "acct_another", "-o", "json"]
    refused = seatctl(*argv, env=env)
    assert (refused.code, refused.error["code"]) == (8, "wrong_account")
    assert not (seatctl.home / "config.toml").exists()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_key_that_is_not_told_its_account_is_set_up_with_the_account_that_is_named(
    seatctl, tmp_path, status
):
    front = Front(tmp_path / "stripe.db")
    front.refuse = lambda _number, _method, path: status if path == "/v1/account" else None
    env = {"SEATCTL_STRIPE_API_BASE": front.url, "STRIPE_API_KEY": "sk_test_abcdefgh12345678"}
    argv = ["init", "company", "--mode", "test", "--no-input", "-o", "json"]
    try:
        refused = seatctl(*argv, env=env)
        assert (refused.code, "--stripe-account" in refused.error["message"]) == (2, True)
        made = seatctl(*argv, "--stripe-account", "acct_company", env=env)
        assert (made.code, made.json["stripe_account"]) == (0, "acct_company")
        assert seatctl("plans", "add", "pro", "--price", "12", "--currency", "usd", env=env).code == 0
        (told,) = [row for row in seatctl("doctor", "-o", "json", env=env).json if row["check"] == "stripe"]
        assert (told["result"], "acct_company" in told["detail"]) == ("warning", True)
    finally:
        front.close()


def test_a_key_that_is_rejected_is_not_believed(seatctl, tmp_path):
    front = Front(tmp_path / "stripe.db")
    front.refuse = lambda _number, _method, path: 401
    env = {"SEATCTL_STRIPE_API_BASE": front.url, "STRIPE_API_KEY": "sk_test_abcdefgh12345678"}
    argv = ["init", "company", "--mode", "test", "--stripe-account", "acct_company", "-o", "json"]
    try:
        refused = seatctl(*argv, env=env)
        assert (refused.code, refused.error["code"]) == (8, "key_rejected")
        assert "doctor" not in refused.error["hint"]
        assert not (seatctl.home / "config.toml").exists()
    finally:
        front.close()
