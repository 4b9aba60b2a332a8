"""Replays a recording of the real Stripe against the sandbox and compares every recorded fact."""

import http.client
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from seatctl.sandbox.api.server import SandboxServer
from tests.sandbox.relations import MISSING, SENTENCES, at_path, evaluate, holds, is_expression

SHARED = Path(__file__).parents[3] / "shared"
FOLDERS = (SHARED / "stripe-recordings", SHARED / "stripe-recordings-more")
FIXED = 1789900000  # the time of a recording without times
KINDS = ("absent", "null", "present")
REFERENCE = re.compile(r"\$[A-Za-z_]\w*")


MISSING_RECORDINGS = (
    "RECORDINGS MISSING: the sandbox was not compared with the real Stripe. "
    f"Put the recordings of its API at {FOLDERS[0]} and {FOLDERS[1]} and run tests/sandbox again."
)


def recordings():
    """Return the paths of the shared recordings, and None if a folder of them is not beside the clone."""
    found = [sorted(folder.glob("*.json")) for folder in FOLDERS]
    return [path for paths in found for path in paths] + ([] if all(found) else [None])


def read_recording(path):
    """Return a recording, or skip the test. All skips come from one line, so pytest reports them as one."""
    if path is None:
        pytest.skip(MISSING_RECORDINGS)
    return json.loads(path.read_text("utf-8"))


@dataclass
class StepResult:
    """A step with its answer, and the state of the replay then."""

    name: str
    params: dict
    status: int
    body: dict
    now: int
    saved: dict
    answers: dict
    request: object


@dataclass
class Score:
    """The result of a replay: steps tried and passed, facts checked, differences, relations not readable."""

    tried: int = 0
    passed: int = 0
    facts: int = 0
    relations: int = 0
    failures: list = field(default_factory=list)
    unread: list = field(default_factory=list)


def flat(value, prefix=""):
    """Yield nested parameters as pairs of a bracketed name and a value."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from flat(below, f"{prefix}[{key}]" if prefix else key)
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            is_nested = isinstance(entry, (dict, list))
            yield from flat(entry, f"{prefix}[{position if is_nested else ''}]")
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    else:
        yield prefix, str(value)


def encode(method, path, params):
    """Return the URL and the form of a request; only a POST has a form."""
    encoded = urlencode(list(flat(params or {})))
    if method == "POST":
        return path, encoded
    return f"{path}?{encoded}" if encoded else path, None


def substituted(value, saved):
    """Return the value with each `$name` replaced by what was saved; `$end - 6480` is computed."""
    if isinstance(value, dict):
        return {key: substituted(below, saved) for key, below in value.items()}
    if isinstance(value, list):
        return [substituted(below, saved) for below in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if REFERENCE.fullmatch(value):
        return saved[value[1:]]
    if re.fullmatch(r"\$\w+ [+-] \d+", value):
        return evaluate(value, {}, saved)
    return REFERENCE.sub(lambda match: str(saved[match[0][1:]]), value)


class Replay:
    """Replays one recording against a server; `send(method, url, headers, form)` returns (status, body)."""

    def __init__(self, send):
        self.send = send
        self.saved = {}
        self.answers = {}
        self.now = FIXED
        self.score = Score()

    def request(self, method, path, params, headers=None):
        """Send one request at the time of the recording."""
        url, form = encode(method, path, params)
        sent = {"Authorization": "Bearer sk_test_replay", "Sandbox-Time": str(self.now), **(headers or {})}
        return self.send(method, url, sent, form)

    def run(self, recording):
        """Run every step of a recording. Return the score."""
        self.now = recording.get("recorded_start", FIXED)
        for step in recording["steps"]:
            self.step(step)
        return self.score

    def step(self, step):
        """Run one step: send, save, compare."""
        self.now = step.get("at", self.now)
        # A set-up step makes what existed before the recording began: it must succeed and is not counted.
        counts = not step.get("setup")
        self.score.tried += counts
        params = substituted(step["params"], self.saved)
        path = substituted(step["path"], self.saved)
        status, body = self.request(step["method"], path, params, step.get("headers"))
        expect = step["expect"]
        for name, path_of in step.get("save", {}).items():
            self.saved[name] = at_path(body, path_of)
        request = lambda *args: self.request(*args)[1]  # noqa: E731
        ran = StepResult(step["name"], params, status, body, self.now, self.saved, self.answers, request)
        differences = self.compare(expect, ran)
        self.answers[step["name"]] = ran
        self.score.passed += counts and not differences
        self.score.failures += [f"{step['name']}: {difference}" for difference in differences]

    def compare(self, expect, ran):
        """Return what differs from the recorded facts."""
        wrong = []
        if ran.status != expect["status"]:
            wrong.append(f"status {ran.status}, recorded {expect['status']}: {ran.body}")
        self.score.facts += 1
        for path, value in expect.get("body", {}).items():
            actual, recorded = at_path(ran.body, path), substituted(value, self.saved)
            if actual != recorded or isinstance(actual, bool) != isinstance(recorded, bool):
                wrong.append(f"{path} is {actual!r}, recorded {recorded!r}")
        values = {path: at_path(ran.body, path) for kind in KINDS for path in expect.get(kind, [])}
        absent, null, present = (expect.get(kind, []) for kind in KINDS)
        wrong += [f"{path} should be present" for path in present if values[path] in (None, MISSING)]
        wrong += [f"{path} should be null, is {values[path]!r}" for path in null if values[path] is not None]
        wrong += [f"{path} should be absent" for path in absent if values[path] is not MISSING]
        self.score.facts += sum(len(expect.get(kind, [])) for kind in ("body", *KINDS))
        return wrong + self.relate(expect.get("relations", []), ran)

    def relate(self, relations, ran):
        """Return the relations that do not hold."""
        wrong = []
        for text in relations:
            if text in SENTENCES:
                check = SENTENCES[text]
            elif is_expression(text):
                check = lambda ran, text=text: holds(text, ran.body, self.saved)  # noqa: E731
            else:
                self.score.unread.append(f"{ran.name}: {text}")
                continue
            self.score.relations += 1
            try:
                if not check(ran):
                    wrong.append(f"does not hold: {text}")
            except (LookupError, TypeError, StopIteration) as error:
                wrong.append(f"cannot be checked: {text} ({error!r})")
        return wrong


@contextmanager
def serving(path, **options):
    """Serve a sandbox file while the block runs; yields the server."""
    server = SandboxServer(path, port=0, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)


def request(server, method, url, headers, form=None):
    """Send a request to a served sandbox. Return status, body and headers."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, url, body=form, headers={**headers, **kind})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body, answer.headers


def over_http(server):
    """Return a `send` that calls a served sandbox."""
    return lambda *args: request(server, *args)[:2]


def in_process(twin):
    """Return a `send` that calls the twin directly."""

    def send(method, url, headers, form):
        answer = twin.handle(method, url, headers, form)
        return answer.status, json.loads(answer.body)

    return send
