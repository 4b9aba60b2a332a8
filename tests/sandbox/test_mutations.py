"""The replay notices differences: it fails for each recorded number or word that is changed in an answer."""

import json
import re

from seatctl.sandbox.api.twin import Twin
from tests.sandbox.relations import MISSING, at_path
from tests.sandbox.replay import Replay, in_process, read_recording, substituted


def changed(body, path):
    """Return a copy of the body with one number or word changed, or None if there is neither."""
    copy = json.loads(json.dumps(body))
    parent, _, last = path.rpartition(".")
    holder = at_path(copy, parent) if parent else copy
    key = int(last) if isinstance(holder, list) else last
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, (int, float)):
        holder[key] = value + 1
    elif isinstance(value, str) and re.fullmatch(r"[a-z_]+", value):
        holder[key] = f"not_{value}"
    else:
        return None
    return copy


def test_every_recorded_number_or_word_changed_makes_the_replay_fail(recording, tmp_path, capsys):
    twin = Twin(tmp_path / "sandbox.db")
    replay = Replay(in_process(twin))
    tried, missed = 0, []
    steps = read_recording(recording)
    replay.now = steps.get("recorded_start", replay.now)
    for step in steps["steps"]:
        replay.step(step)
        ran, expect = replay.answers[step["name"]], step["expect"]
        true_body = ran.body
        for path in expect.get("body", {}):
            if at_path(true_body, path) is MISSING or not isinstance(
                substituted(expect["body"][path], replay.saved), (int, float, str)
            ):
                continue
            mutant = changed(true_body, path)
            if mutant is None:
                continue
            tried += 1
            ran.body = mutant
            if not replay.compare({"status": ran.status, "body": expect["body"]}, ran):
                missed.append(f"{step['name']}: {path}")
        ran.body = true_body
        tried += 1
        ran.status += 1
        if not replay.compare({"status": expect["status"]}, ran):
            missed.append(f"{step['name']}: status")
        ran.status -= 1
    twin.close()
    with capsys.disabled():
        print(f"\n{recording.name}: {tried} mutations, {tried - len(missed)} noticed")
    assert missed == []
    assert replay.score.failures == []
