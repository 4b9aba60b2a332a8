"""Replays a recording of the real Stripe against the sandbox and compares every recorded fact."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.sandbox.relations import MISSING, SENTENCES, at_path, evaluate, holds, is_expression

FOLDER = Path(__file__).parents[3] / "shared" / "stripe-recordings"
FIXED = 1789900000  # the clock of a recording that has no times
KINDS = ("absent", "null", "present")
REFERENCE = re.compile(r"\$[A-Za-z_]\w*")


MISSING_RECORDINGS = (
    "RECORDINGS MISSING: the sandbox was not compared with the real Stripe. "
    f"Put the recordings of its API at {FOLDER} and run tests/sandbox again."
)


def recordings():
    """The paths of the shared recordings, or a single None if they are not beside the clone."""
    return sorted(FOLDER.glob("*.json")) or [None]


def told(path):
    """What a recording says. All skips come from this line, so that pytest reports them as one."""
    if path is None:
        pytest.skip(MISSING_RECORDINGS)
    return json.loads(path.read_text("utf-8"))


@dataclass
class Ran:
    """A step as it ran."""

    name: str
    params: dict
    status: int
    body: dict
    now: int
    saved: dict
    answers: dict
    ask: object


@dataclass
class Score:
    """What a replay found: steps tried and passed, facts checked, what differs, what no machine reads."""

    tried: int = 0
    passed: int = 0
    facts: int = 0
    relations: int = 0
    failures: list = field(default_factory=list)
    unread: list = field(default_factory=list)


def flat(value, prefix=""):
    """Nested parameters as bracketed pairs."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from flat(below, f"{prefix}[{key}]" if prefix else key)
    elif isinstance(value, list):
        for place, below in enumerate(value):
            inner = isinstance(below, (dict, list))
            yield from flat(below, f"{prefix}[{place if inner else ''}]")
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    else:
        yield prefix, str(value)


def filled(value, saved):
    """`$name` replaced by what was saved; `$end - 6480` computed."""
    if isinstance(value, dict):
        return {key: filled(below, saved) for key, below in value.items()}
    if isinstance(value, list):
        return [filled(below, saved) for below in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if REFERENCE.fullmatch(value):
        return saved[value[1:]]
    if re.fullmatch(r"\$\w+ [+-] \d+", value):
        return evaluate(value, {}, saved)
    return REFERENCE.sub(lambda found: str(saved[found[0][1:]]), value)


class Replay:
    """One recording against one server; `send(method, url, headers, form) -> (status, body)`."""

    def __init__(self, send):
        self.send = send
        self.saved = {}
        self.answers = {}
        self.now = FIXED
        self.score = Score()

    def ask(self, method, path, params, headers=None):
        """One request at the recording's time."""
        encoded = urlencode(list(flat(params)))
        url = f"{path}?{encoded}" if method != "POST" and encoded else path
        sent = {"Authorization": "Bearer sk_test_replay", "Sandbox-Time": str(self.now), **(headers or {})}
        return self.send(method, url, sent, encoded if method == "POST" else None)

    def run(self, recording):
        """Every step of a recording; the score says what differs."""
        self.now = recording.get("recorded_start", FIXED)
        for step in recording["steps"]:
            self.step(step)
        return self.score

    def step(self, step):
        """One step: ask, save, compare."""
        self.now = step.get("at", self.now)
        self.score.tried += 1
        params = filled(step["params"], self.saved)
        path = filled(step["path"], self.saved)
        status, body = self.ask(step["method"], path, params, step.get("headers"))
        expect = step["expect"]
        for name, where in step.get("save", {}).items():
            self.saved[name] = at_path(body, where)
        ask = lambda *request: self.ask(*request)[1]  # noqa: E731
        ran = Ran(step["name"], params, status, body, self.now, self.saved, self.answers, ask)
        wrong = self.compare(expect, ran)
        self.answers[step["name"]] = ran
        self.score.passed += not wrong
        self.score.failures += [f"{step['name']}: {each}" for each in wrong]

    def compare(self, expect, ran):
        """What differs from the recorded facts."""
        wrong = []
        if ran.status != expect["status"]:
            wrong.append(f"status {ran.status}, recorded {expect['status']}: {ran.body}")
        self.score.facts += 1
        for path, value in expect.get("body", {}).items():
            have, want = at_path(ran.body, path), filled(value, self.saved)
            if have != want or isinstance(have, bool) != isinstance(want, bool):
                wrong.append(f"{path} is {have!r}, recorded {want!r}")
        have = {path: at_path(ran.body, path) for kind in KINDS for path in expect.get(kind, [])}
        absent, null, present = (expect.get(kind, []) for kind in KINDS)
        wrong += [f"{path} should be there" for path in present if have[path] in (None, MISSING)]
        wrong += [f"{path} should be null, is {have[path]!r}" for path in null if have[path] is not None]
        wrong += [f"{path} should not be there" for path in absent if have[path] is not MISSING]
        self.score.facts += sum(len(expect.get(kind, [])) for kind in ("body", *KINDS))
        return wrong + self.relate(expect.get("relations", []), ran)

    def relate(self, relations, ran):
        """The relations that do not hold."""
        wrong = []
        for text in relations:
            if text in SENTENCES:
                true = SENTENCES[text]
            elif is_expression(text):
                true = lambda ran, text=text: holds(text, ran.body, self.saved)  # noqa: E731
            else:
                self.score.unread.append(f"{ran.name}: {text}")
                continue
            self.score.relations += 1
            try:
                if not true(ran):
                    wrong.append(f"does not hold: {text}")
            except (LookupError, TypeError, StopIteration) as error:
                wrong.append(f"cannot be checked: {text} ({error!r})")
        return wrong


def in_process(twin):
    """A `send` that calls the twin itself."""

    def send(method, url, headers, form):
        answer = twin.handle(method, url, headers, form)
        return answer.status, json.loads(answer.body)

    return send
