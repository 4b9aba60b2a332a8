"""Each story gets a ledger and a test clock of its own, on the account of the run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance import account as accounts
from tests.conformance.account import Account
from tests.conformance.recording import write_recording
from tests.conformance.story import Story, month_of_thirty_days


def pytest_configure() -> None:
    """Refuse any key that is not one of test mode, and several workers, before anything is sent."""
    try:
        key = accounts.key_of(dict(os.environ))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if key is not None and "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError(
            f"with {accounts.KEY} only one worker can run: it removes what others have made"
        )


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with accounts.account(tmp_path_factory.mktemp("conformance")) as made:
        yield made
    RUNS.append(
        f"{len(made.relay.forwarded)} requests to {'Stripe itself' if made.is_stripe else 'a sandbox'}"
    )


RUNS: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the stories were told against."""
    for run in RUNS:
        terminalreporter.write_line(f"conformance: {run}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Note whether the story itself has passed: only then its end is checked and its recording written."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


PASSED = pytest.StashKey[bool]()


def told(request: pytest.FixtureRequest, account: Account, home: Path, start: int) -> Iterator[Story]:
    first = len(account.relay.exchanges)
    story = Story(home, account, request.node.name, start)
    try:
        yield story
        if request.node.stash.get(PASSED, False):
            story.require_sound()
    finally:
        exchanges = account.relay.exchanges[first:]
        story.remove()
    if os.environ.get(accounts.RECORD) and story.is_recorded and request.node.stash.get(PASSED, False):
        name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
        write_recording(Path(os.environ[accounts.RECORD]) / f"{name}.json", exchanges, account.key)


@pytest.fixture
def story(request: pytest.FixtureRequest, account: Account, tmp_path: Path) -> Iterator[Story]:
    """A story that begins at the first of a month of 30 days."""
    yield from told(request, account, tmp_path / "seatctl", month_of_thirty_days(datetime.now(UTC)))


@pytest.fixture
def story_today(request: pytest.FixtureRequest, account: Account, tmp_path: Path) -> Iterator[Story]:
    """A story that begins now: pages of Stripe have their own times, which are real."""
    yield from told(request, account, tmp_path / "seatctl", int(datetime.now(UTC).timestamp()))
