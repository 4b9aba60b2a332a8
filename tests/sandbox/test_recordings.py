"""Replays every shared recording of the real Stripe, in process and over HTTP: all facts must hold."""

import http.client
import json
import threading

from seatctl.sandbox.api.twin import Twin
from tests.sandbox.replay import Replay, in_process, read_recording


def over_http(port):
    def send(method, url, headers, form):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        connection.request(method, url, body=form, headers={**headers, **kind})
        answer = connection.getresponse()
        status, body = answer.status, json.loads(answer.read())
        connection.close()
        return status, body

    return send


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
    from seatctl.sandbox.api.server import SandboxServer

    steps = read_recording(recording)
    server = SandboxServer(tmp_path / "sandbox.db", port=0, empty=True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        score = Replay(over_http(server.port)).run(steps)
    finally:
        server.stop()
        thread.join(10)
    assert score.failures == []
    assert score.passed == score.tried > 0
