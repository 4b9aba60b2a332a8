"""`seatctl demo`: the real commands, on a profile that is thrown away."""

from __future__ import annotations

import re
import tempfile

from seatctl.cli.demo import STEPS


def test_the_demo_runs_every_command_and_keeps_nothing(seatctl, tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    shown = seatctl("demo")
    assert shown.code == 0, shown.err
    for step in STEPS:
        assert f"$ seatctl {step.command}" in shown.out
    assert re.search(r"\d+ commands in \d+\.\d s\. To set up your own profile: seatctl init", shown.err)
    assert list(folder.iterdir()) == []
    assert not seatctl.home.exists() or not any(seatctl.home.rglob("ledger.db"))


def test_the_demo_is_not_led_astray_by_the_environment(seatctl):
    leading = {"SEATCTL_PROFILE": "live", "SEATCTL_STRIPE_KEY": "sk_live_x", "SEATCTL_OUTPUT": "json"}
    shown = seatctl("demo", env=leading)
    assert shown.code == 0, shown.err
    assert "sk_live_x" not in shown.out + shown.err


def test_the_demo_does_not_touch_the_profile_in_use(sandbox, team):
    from tests.support.both_sides import contents

    before = contents(sandbox)
    assert sandbox("demo").code == 0
    assert contents(sandbox) == before
