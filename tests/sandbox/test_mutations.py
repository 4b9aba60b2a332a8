"""The replay must notice: each recorded number or word, changed in the sandbox's answer, makes it fail."""

import json
import re

from seatctl.sandbox.api.twin import Twin
from tests.sandbox.relations import MISSING, at_path
from tests.sandbox.replay import Replay, filled, in_process, told


def changed(body, path):
    """A copy of the body with one number or word changed, or None where there is neither."""
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
    steps = told(recording)
    replay.now = steps.get("recorded_start", replay.now)
    for step in steps["steps"]:
        replay.step(step)
        ran, expect = replay.answers[step["name"]], step["expect"]
        true_body = ran.body
        for where in expect.get("body", {}):
            if at_path(true_body, where) is MISSING or not isinstance(
                filled(expect["body"][where], replay.saved), (int, float, str)
            ):
                continue
            mutant = changed(true_body, where)
            if mutant is None:
                continue
            tried += 1
            ran.body = mutant
            if not replay.compare({"status": ran.status, "body": expect["body"]}, ran):
                missed.append(f"{step['name']}: {where}")
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
