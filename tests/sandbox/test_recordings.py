"""Replays every shared recording of the real Stripe, in process and over HTTP: all facts must hold."""

from seatctl.sandbox.api.twin import Twin
from tests.sandbox.replay import Replay, in_process, over_http, read_recording, serving


def report(path, score, capsys):
    with capsys.disabled():
        print(
            f"\n{path.name}: {score.passed} of {score.tried} steps passed, {score.facts} fields and "
            f"{score.relations} relations checked, {len(score.unread)} not machine-readable"
        )
        for relation in score.unread:
            print(f"  not machine-readable: {relation}")
    assert score.failures == []
    assert score.passed == score.tried > 0


def test_the_sandbox_answers_as_stripe_did(recording, tmp_path, capsys):
    twin = Twin(tmp_path / "sandbox.db")
    report(recording, Replay(in_process(twin)).run(read_recording(recording)), capsys)
    twin.close()


def test_the_served_sandbox_answers_as_stripe_did(recording, tmp_path):
    steps = read_recording(recording)
    with serving(tmp_path / "sandbox.db", empty=True) as server:
        score = Replay(over_http(server)).run(steps)
    assert score.failures == []
    assert score.passed == score.tried > 0
