"""Settings: what config.toml may hold, which value counts, and how it is written."""

from __future__ import annotations

import stat
import tomllib

import pytest

KEY = "sk_test_" + "abcdefgh12345678"


def test_a_setting_is_set_read_and_unset(sandbox):
    changed = sandbox("config", "set", "sync.requests_per_second", "30", "-o", "json").json
    assert changed == {
        "profile": "default",
        "setting": "sync.requests_per_second",
        "value": 30,
        "before": None,
    }
    assert sandbox("config", "get", "sync.requests_per_second").out == "30\n"
    assert sandbox("config", "get", "sync.requests_per_second", "-o", "json").json["value"] == 30
    sandbox("config", "unset", "sync.requests_per_second")
    missing = sandbox("config", "get", "sync.requests_per_second", "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "not_set")


def test_flag_environment_profile_default_in_that_order(sandbox):
    def actor(*argv, **env):
        return sandbox("status", "-o", "json", *argv, env=env).json["actor"]

    env = {"SEATCTL_ACTOR": "ci:build"}
    assert actor("--as", "flag@example.com", **env) == "flag@example.com"
    assert actor(**env) == "ci:build"
    assert actor() == "ann@example.com"
    sandbox("config", "unset", "actor")
    assert actor().startswith("os:")


def test_show_says_where_each_value_comes_from(sandbox):
    shown = {
        row["setting"]: row
        for row in sandbox("config", "show", "-o", "json", env={"SEATCTL_OUTPUT": "csv"}).json
    }
    assert shown["output"] == {"setting": "output", "value": "csv", "source": "SEATCTL_OUTPUT"}
    assert shown["actor"]["source"] == "profile default"
    assert shown["color"] == {"setting": "color", "value": "auto", "source": "default"}


def test_setting_what_the_environment_overrides_says_so(sandbox):
    assert (
        "SEATCTL_ACTOR is set"
        in sandbox("config", "set", "actor", "b@example.com", env={"SEATCTL_ACTOR": "ci:x"}).err
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("output", "xml"),
        ("actor", "ann"),
        ("actor", "ann@"),
        ("actor", "ann @example.com"),
        ("color", "blue"),
        ("stripe_account", "1"),
        ("stripe.api_base", "http://example.com"),
        ("stripe.api_base", "https://user:secret@example.com"),
        ("stripe.api_base", "ftp://127.0.0.1"),
        ("sync.requests_per_second", "0"),
        ("sync.requests_per_second", "many"),
        ("stripe_key_command", ""),
    ],
)
def test_a_bad_value_is_refused_and_nothing_written(sandbox, key, value):
    before = (sandbox.home / "config.toml").read_bytes()
    refused = sandbox("config", "set", key, value, "-o", "json")
    assert (refused.code, refused.error["setting"]) == (3, key)
    assert (sandbox.home / "config.toml").read_bytes() == before


def test_plain_http_is_for_this_machine_only(sandbox):
    assert sandbox("config", "set", "stripe.api_base", "http://127.0.0.1:12111/base/").code == 0
    assert sandbox("config", "get", "stripe.api_base").out == "http://127.0.0.1:12111/base\n"
    assert tomllib.loads((sandbox.home / "config.toml").read_text())["profiles"]["default"]["stripe"] == {
        "api_base": "http://127.0.0.1:12111/base"
    }


def test_an_unknown_setting_offers_the_nearest(sandbox):
    refused = sandbox("config", "set", "stripe.apibase", "x", "-o", "json")
    assert (refused.code, refused.error["code"]) == (2, "unknown_setting")
    assert refused.error["hint"] == "did you mean stripe.api_base, stripe.ca_bundle?"


def test_the_mode_of_a_profile_is_for_good(sandbox):
    refused = sandbox("config", "set", "mode", "live", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "fixed_setting")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("profile = ", "not valid TOML"),
        ("colour = 1", "unknown key 'colour'"),
        ("[profiles.x]\nactor = 'a@example.com'", "has no mode"),
        ("[profiles.x]\nmode = 'prod'", "mode takes one of sandbox, test, live"),
        ("[profiles.x]\nmode = 'test'\nstripe_key = 'sk'", "no setting 'stripe_key'"),
        ("[profiles.'../x']\nmode = 'test'", "is not a profile"),
        ("profiles = 1", "profiles tables"),
    ],
)
def test_a_config_that_cannot_be_understood_is_not_guessed_at(seatctl, text, says):
    seatctl.home.mkdir()
    (seatctl.home / "config.toml").write_text(text)
    refused = seatctl("status", "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "bad_config")
    assert says in refused.error["message"]
    assert "config.toml" in refused.error["message"]


def test_an_unknown_profile_offers_the_nearest(sandbox):
    refused = sandbox("status", "-p", "defualt", "-o", "json")
    assert (refused.code, refused.error["code"]) == (9, "unknown_profile")
    assert "default" in refused.error["hint"]


def test_before_init_the_way_is_shown(seatctl):
    refused = seatctl("status")
    assert (refused.code, refused.err) == (9, "seatctl: seatctl is not set up yet\nhint: seatctl init\n")
    assert not seatctl.home.exists()


def test_use_switches_the_profile(sandbox):
    sandbox("init", "second", "--no-input")
    assert sandbox("config", "use", "second").code == 0
    assert sandbox("status", "-q").out == "second\n"
    assert sandbox("config", "use", "third").code == 9


def test_changes_at_once_are_all_kept(sandbox):
    changes = [
        ("actor", "b@example.com"),
        ("output", "csv"),
        ("color", "never"),
        ("stripe_account", "acct_1"),
    ]
    started = [sandbox.process("config", "set", key, value) for key, value in changes]
    assert [process.communicate(timeout=60) and process.returncode for process in started] == [0] * len(
        changes
    )
    kept = tomllib.loads((sandbox.home / "config.toml").read_text())["profiles"]["default"]
    assert {**dict(changes), "mode": "sandbox"} == kept


def test_the_file_stays_private_and_whole(sandbox):
    sandbox("config", "set", "color", "never")
    assert stat.S_IMODE((sandbox.home / "config.toml").stat().st_mode) == 0o600
    assert not [path for path in sandbox.home.iterdir() if path.name.startswith(".config.toml")]


def test_a_dry_run_writes_nothing(sandbox):
    before = (sandbox.home / "config.toml").read_bytes()
    for argv in (["set", "color", "never"], ["unset", "actor"], ["use", "default"]):
        assert sandbox("config", *argv, "--dry-run").code == 0
    assert (sandbox.home / "config.toml").read_bytes() == before


def test_a_config_that_cannot_be_written_says_so(sandbox):
    (sandbox.home / ".config.lock").unlink()
    (sandbox.home / ".config.lock").mkdir()
    refused = sandbox("config", "set", "color", "never", "-o", "json")
    assert refused.error["code"] == "config_not_writable"


def test_a_config_file_may_be_named_itself(sandbox):
    env = {"SEATCTL_CONFIG": str(sandbox.home / "config.toml")}
    assert sandbox("config", "path", env=env).out == sandbox("config", "path").out
    assert sandbox("status", "-q", env=env).out == "default\n"


def test_a_sandbox_profile_ignores_the_keys_of_the_environment(sandbox):
    assert sandbox("doctor", env={"STRIPE_API_KEY": "sk_live_abcdefgh12345678"}).code == 0


def test_a_ledger_of_another_mode_is_refused(sandbox):
    path = sandbox("ledger", "path").out.strip()
    (sandbox.home / "config.toml").write_text(
        f"profile = 'live'\n[profiles.live]\nmode = 'live'\nactor = 'ann@example.com'\nledger = '{path}'\n"
    )
    refused = sandbox("status", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "mode_mismatch")
    assert (refused.error["ledger_mode"], refused.error["profile_mode"]) == ("sandbox", "live")


def test_the_key_of_a_command_is_read_without_a_shell(seatctl, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\nsecond line\n")
    seatctl.home.mkdir()
    (seatctl.home / "config.toml").write_text(
        f"profile = 't'\n[profiles.t]\nmode = 'test'\nstripe_key_command = 'cat {tmp_path / 'key'}'\n"
    )
    rows = {row["check"]: row for row in seatctl("doctor", "-o", "json").rows}
    assert rows["key"]["detail"] == "a test key from stripe_key_command"
    (tmp_path / "key").unlink()
    rows = {row["check"]: row for row in seatctl("doctor", "-o", "json").rows}
    assert rows["key"]["result"] == "problem"
    assert "stripe_key_command" in rows["key"]["detail"]


def test_the_path_is_a_line_for_a_person_and_an_object_for_a_program(seatctl):
    path = str(seatctl.home / "config.toml")
    assert seatctl("config", "path").out == f"{path}\n"
    assert seatctl("config", "path", "-o", "json").json == {"path": path, "exists": False}
    assert seatctl("init", "--no-input").code == 0
    assert seatctl("config", "path", "-o", "json").json == {"path": path, "exists": True}
