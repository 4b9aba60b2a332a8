"""`seatctl(*argv)` runs the program as a user does: arguments in, exit code and streams out."""

from __future__ import annotations

import fcntl
import gc
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from seatctl.__main__ import main
from tests.support import ledgers, suites
from tests.support.in_process import commands_built_once, connections_closed, environment
from tests.support.needs import need
from tests.support.scenes import initialised, with_plan, with_subscription
from tests.support.warm import Process, program

SETTING_VARIABLES = (
    "STRIPE_API_KEY",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "LC_ALL",
    "LC_MONETARY",
    "LANG",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)

MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 << 30:
    # Thousands of small ledgers are written and synced; on a disk that is a tenth of the suite's time.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# How long an example takes says something of the machine, and nothing of the program.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole-proofs", action="store_true", help="run the long proofs whole, not bounded")
    parser.addoption(
        "--ledger", choices=ledgers.KINDS, default="sqlite", help="keep the ledgers in files or on a server"
    )


def pytest_configure(config: pytest.Config) -> None:
    ledgers.use(config.getoption("--ledger"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What runs alone comes last, when the other workers have little left to do."""
    if ledgers.on_server():
        bounded = ledgers.through_pgbouncer() and not config.getoption("--whole-proofs")
        folders = suites.THROUGH_PGBOUNCER if bounded else suites.SUITES
        chosen = [item for item in items if suites.runs_on_server(item.nodeid, folders)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: collecting it again and again is a twentieth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)  # as the program does


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test marked `alone` has the machine to itself: none of another worker runs beside it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    alone = request.node.get_closest_marker("alone") is not None
    with (tmp_path_factory.getbasetemp().parent / "turns.lock").open("w") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(autouse=True)
def _ledgers_dropped(request: pytest.FixtureRequest) -> Iterator[None]:
    """The databases of a test's own ledgers end with it."""
    folder = request.getfixturevalue("tmp_path") if ledgers.on_server() else None
    yield
    if folder is not None:
        ledgers.drop_unused(folder)


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether a long proof is wanted whole; by default it takes a part of its cases."""
    return bool(request.config.getoption("--whole-proofs"))


@pytest.fixture(scope="session")
def proofs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest):
    """The stories of changes, each run undisturbed once for everything that is proved of it."""
    from tests.support.change_stories import Proofs

    return Proofs(tmp_path_factory.mktemp, bool(request.config.getoption("--whole-proofs")))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A key and a certificate for 127.0.0.1, signed by itself."""
    need("openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, made = folder / "key.pem", folder / "certificate.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {made} -subj /CN=127.0.0.1"
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context, str(made)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        """The rows of a list or of a report."""
        found = self.json
        return found["rows"] if isinstance(found, dict) else found

    @property
    def error(self):
        return json.loads(self.err)["error"]


class Stream(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", *, tty: bool) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", newline="", write_through=True)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def text(self) -> str:
        return self.buffer.getvalue().decode("utf-8")


class Seatctl:
    """One configuration directory of its own; nothing of the user's is read or written."""

    python = sys.executable

    def __init__(self, home: Path) -> None:
        self.home = home

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SEATCTL_") and name not in SETTING_VARIABLES
        }
        return {
            **kept,
            "SEATCTL_CONFIG": str(self.home),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "TERM": "xterm",
            **ledgers.variables(self.home),
            **(env or {}),
        }

    def __call__(self, *argv, stdin: str | bytes | None = "", env=None, tty: bool = False) -> Result:
        """Run in this process. `tty`: all three streams are terminals, and stdin holds the answers.

        A stdin of None is closed.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin
        given = None if data is None else Stream(data, tty=tty)
        out, err = Stream(tty=tty), Stream(tty=tty)
        with ExitStack() as stack:
            stack.enter_context(commands_built_once())
            stack.enter_context(connections_closed())
            stack.enter_context(environment(self.environment(env)))
            for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
                stack.enter_context(mock.patch.object(sys, name, stream))
            code = main([str(word) for word in argv])
        return Result(int(code), out.text(), err.text())

    def rows(self, *argv):
        """The rows of a command that must succeed."""
        result = self(*argv, "-o", "json")
        assert result.code == 0, result.err
        return result.rows

    def run(self, *argv, stdin: str = "", env=None) -> Result:
        """Run as a process of its own, where the environment must be there from the start."""
        started = self.process(*argv, env=env, stdin=subprocess.PIPE)
        out, err = started.finish(stdin)
        return Result(started.returncode, out, err)

    def shell(self, script: str) -> subprocess.CompletedProcess:
        """Run a bash script with this configuration."""
        return subprocess.run(
            ["bash", "-c", script],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def process(self, *argv, env=None, **streams) -> Process:
        """Start a real process, for races and kills; the caller waits for it."""
        return program(*map(str, argv), env=self.environment(env), **streams)


@pytest.fixture
def seatctl(tmp_path: Path) -> Seatctl:
    return Seatctl(tmp_path / "seatctl")


@pytest.fixture
def sandbox(seatctl: Seatctl) -> Seatctl:
    """An initialised default profile; its admin is ann@example.com."""
    return initialised(seatctl)


@pytest.fixture
def pro(sandbox: Seatctl) -> str:
    """The flexible plan `pro`, 12.00 USD a seat and month."""
    with_plan(sandbox)
    return "pro"


@pytest.fixture
def team(sandbox: Seatctl, pro: str) -> str:
    """A subscription of five free seats of `pro`, bought by card; its name."""
    with_subscription(sandbox)
    return "design"


@pytest.fixture
def postbox():
    """A mail server of the test's own."""
    from tests.support.postbox import Postbox

    box = Postbox().open()
    yield box
    box.close()


@pytest.fixture
def file(tmp_path):
    """Write the lines of a batch; the path of the file."""

    def written(*lines: str) -> str:
        path = tmp_path / "changes.txt"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return written
