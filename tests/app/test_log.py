"""The log and what is taken out of it: calls to Stripe are told, secrets never."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatctl.app.log import MAX_BYTES, Log
from seatctl.output.redact import has_key, redact

KEY = "sk_live_" + "51HabcDEF0123456789"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY}.", "key sk_live_…."),
        ("rk_test_" + "abcdefgh1234", "rk_test_…"),
        ("pk_live_" + "abcdefgh1234", "pk_live_…"),
        ("whsec_" + "abc123+/=", "whsec_…"),
        ("pi_3Abc_secret_" + "XyZ123", "pi_3Abc_secret_…"),
        ("seti_1Abc_secret_" + "XyZ123", "seti_1Abc_secret_…"),
        ("card 4242 4242 4242 4242 declined", "card … declined"),
        ("4242-4242-4242-4242", "…"),
        ("378282246310005", "…"),
    ],
)
def test_secrets_are_taken_out(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "acct_1Abc cus_1Abc pm_card_visa tok_visa sub_1 in_1",
        "1234567890123456",
        "2026-11-21T22:58:45Z 1795301925",
        "total 1200 usd",
        "led_a12a14e6f016d019856bc87c",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_a_key_is_known_by_its_form():
    assert has_key(f"--key={KEY}")
    assert not has_key("task_lists pm_card_visa sk_test_…")


def test_every_call_to_stripe_is_in_the_log_and_shown_by_verbose(sandbox):
    argv = ["plans", "add", "pro", "--price", "12.00", "--currency", "usd", "--interval", "month"]
    told = [line for line in sandbox(*argv, "--verbose").err.splitlines() if line.startswith("stripe: ")]
    assert any(line.startswith("stripe: POST /v1/products (") for line in told)
    logged = (sandbox.home / "log" / "seatctl.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in logged] == told


def test_without_verbose_nothing_of_it_is_shown(sandbox):
    assert "stripe:" not in sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd").err


def test_a_command_that_only_reads_writes_no_log(sandbox):
    sandbox("status")
    assert not (sandbox.home / "log").exists()


def test_the_log_rotates_and_stays_private(tmp_path):
    log = Log(tmp_path / "log" / "seatctl.log")
    for _ in range(5):
        assert log.write(KEY + " x" * (MAX_BYTES // 3))
    log.close()
    files = sorted((tmp_path / "log").iterdir())
    assert len(files) > 1
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert not [path for path in files if KEY in path.read_text()]
    assert max(path.stat().st_size for path in files) <= MAX_BYTES


def test_a_log_that_cannot_be_written_stops_nothing(sandbox):
    (sandbox.home / "log").write_text("a file where the directory should be")
    made = sandbox("plans", "add", "pro", "--price", "12.00", "--currency", "usd")
    assert (made.code, "log" in made.err) == (0, False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_full_disk_is_told_and_closing_the_log_raises_nothing():
    log = Log(Path("/dev/full"))
    assert not log.write("a call")
    log.close()
