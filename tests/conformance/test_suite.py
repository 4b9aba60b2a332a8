"""The suite itself: it refuses live keys, keeps the pace, cleans up, runs again, and records."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seatctl.sandbox.api.twin import Twin
from tests.conformance import account as accounts
from tests.conformance.account import KEY, NAME, RECORD, URL, Account, key_of, served
from tests.conformance.recording import recording_of
from tests.conformance.relay import Relay
from tests.sandbox.replay import Replay, in_process

pytestmark = pytest.mark.skipif(bool(os.environ.get(KEY)), reason="about the suite, not about Stripe")

ROOT = Path(__file__).parents[2]
FEW = (
    "test_pages.py::test_a_page_that_expires_leaves_nothing",
    "test_purchases.py::test_a_purchase_by_card_is_paid_and_can_be_used_at_once",
    "test_renewals.py::test_a_renewal_is_paid_an_hour_after_the_period_began",
    "test_ends.py::test_an_end_at_once_gives_the_rest_back_to_the_card",
)


def start(
    url: str, *tests: str, key: str = "sk_test_conformance", **environment: str
) -> subprocess.Popen[str]:
    """Start the suite as somebody with a key does, against a server at `url`."""
    names = [f"tests/conformance/{test}" for test in tests] or ["tests/conformance"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEATCTL_", "PYTEST_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *names],
        cwd=ROOT,
        env={**kept, KEY: key, URL: url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*args: str, **options: str) -> str:
    """Run the suite to its end, which must be a good one. Return what it prints."""
    started = start(*args, **options)
    out, _ = started.communicate(timeout=570)
    assert started.returncode == 0, out
    return out


def left(url: str) -> list[str]:
    """Return what runs have left that is not yet removed."""
    account = Account("sk_test_conformance", url, None)
    clocks = account.every("test_helpers/test_clocks")
    products = account.every("products", active="true")
    account.relay.close()
    return [str(one["name"]) for one in (*clocks, *products)]


@pytest.mark.parametrize(
    "key", ["sk_live_0123456789", "rk_live_0123456789", "rk_test_0123456789", "pk_test_1", "x"]
)
def test_only_a_secret_key_of_test_mode_is_taken(key):
    with pytest.raises(ValueError, match="sk_test_"):
        key_of({KEY: key})
    assert key_of({}) is None


def test_a_live_key_stops_the_run_before_anything_is_sent(tmp_path):
    with served(tmp_path) as (url, file):
        refused = start(url, FEW[0], key="sk_live_0123456789")
        out, _ = refused.communicate(timeout=120)
        assert (refused.returncode != 0, "sk_test_" in out, "passed" in out) == (True, True, False), out
        with accounts.opened(file) as twin:
            assert twin.store.counts() == {}


def test_no_more_than_so_many_requests_a_second_are_passed_on(tmp_path):
    with served(tmp_path) as (url, _):
        relay = Relay(url, per_second=50)
        account = Account("sk_test_conformance", url, None)
        account.relay.close()
        account.relay = relay
        for _ in range(12):
            account.get("customers")
        relay.close()
    gaps = [later - before for before, later in zip(relay.forwarded, relay.forwarded[1:], strict=False)]
    assert len(gaps) == 11
    assert relay.forwarded[-1] - relay.forwarded[0] >= 11 / 50 - 0.005
    assert min(gaps) > 0


def test_it_runs_twice_in_a_row_and_again_after_it_was_killed(tmp_path, whole):
    """What a killed run has left is removed by the next one, whatever state its clock is in."""
    tests = () if whole else FEW[1:3]
    with served(tmp_path) as (url, _):
        for _ in range(2):
            assert "passed" in run(url, *tests)
            assert left(url) == []
        killed = start(url, *(tests or FEW))
        for _ in range(600):
            names = left(url)
            if any(not name.startswith(f"{NAME}:") for name in names):  # a plan is for sale, on a clock
                break
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=20)
        assert left(url) != []
        assert "passed" in run(url, *tests)
        assert left(url) == []


def test_a_recorded_run_replays_whole_and_names_nobody(tmp_path, whole):
    folder = tmp_path / "recordings"
    with served(tmp_path) as (url, _):
        run(url, *(() if whole else FEW), **{RECORD: str(folder)})
    recordings = sorted(folder.glob("*.json"))
    assert len(recordings) >= len(FEW)
    for path in recordings:
        text = path.read_text("utf-8")
        assert not re.search(
            r"https?://(?!example\.test/)|sk_test|whsec|\bacct_|@(?!example\.test)|\b(?:cus|sub|in|pi|ch|price)_[A-Za-z0-9]{10}",
            text,
        )
        twin = Twin(tmp_path / f"{path.stem}.db")
        score = Replay(in_process(twin)).run(json.loads(text))
        twin.close()
        assert score.failures == [], "\n".join(score.failures[:40])
        assert (score.passed, score.unread) == (score.tried, [])
        assert score.facts > 100


def test_a_recording_notices_another_answer(tmp_path, account):
    """A replay of a recording fails if one recorded amount is another one."""
    first = len(account.relay.exchanges)
    product = account.post("products", name=f"{NAME} recorded")["id"]
    account.post("prices", product=product, currency="usd", unit_amount=1000)
    account.clean_product(product)
    recording = recording_of(account.relay.exchanges[first:])
    step = next(one for one in recording["steps"] if one["path"] == "/v1/prices" and one["method"] == "POST")
    assert (step["params"]["product"], step["expect"]["body"]["unit_amount"]) == ("$prod1", 1000)
    step["expect"]["body"]["unit_amount"] = 1001
    twin = Twin(tmp_path / "sandbox.db")
    score = Replay(in_process(twin)).run(recording)
    twin.close()
    assert [text for text in score.failures if "recorded 1001" in text] == score.failures != []
