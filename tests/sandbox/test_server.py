"""`sandbox serve`: the twin over HTTP on the loopback address, with faults."""

import http.client
import json
import socket

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.sandbox.replay import request, serving

KEY = {"Authorization": "Bearer sk_test_wire"}


@pytest.fixture
def served(tmp_path):
    with serving(tmp_path / "sandbox.db") as server:
        yield server


def test_it_listens_on_loopback_only_and_answers_like_the_twin(served):
    assert served.url == f"http://127.0.0.1:{served.port}"
    status, body, headers = request(served, "POST", "/v1/customers", KEY, "name=Wire&metadata[a]=1")
    assert (status, body["name"], body["metadata"]) == (200, "Wire", {"a": "1"})
    assert headers["Request-Id"].startswith("req_")
    assert request(served, "GET", "/v1/nothing", KEY)[0] == 404


def test_an_answer_on_an_open_connection_is_sent_in_one_piece(served, monkeypatch):
    """If it were sent in two parts, the second would wait 40 ms until the client acknowledges the first."""
    sent = []

    def spy_on(name):
        original = getattr(socket.socket, name)

        def send(self, *data):
            if self.getsockname()[1] == served.port:
                sent.append(self.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
            return original(self, *data)

        monkeypatch.setattr(socket.socket, name, send)

    spy_on("send")
    spy_on("sendall")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    for number in range(3):
        assert len(sent) == number
        connection.request("POST", "/v1/customers", "name=Wire", headers=KEY)
        assert json.loads(connection.getresponse().read())["name"] == "Wire"
    connection.close()
    assert sent == [True] * 3


def test_an_armed_time_out_closes_the_connection_without_an_answer(served, tmp_path):
    other = Twin(tmp_path / "sandbox.db")  # as if in another process
    control.fail(other, "lost", path="/v1/customers")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        request(served, "POST", "/v1/customers", KEY, "name=Lost")
    assert [obj["name"] for obj in request(served, "GET", "/v1/customers", KEY)[1]["data"]] == ["Lost"]
    other.close()


def test_the_header_sets_the_clock_and_it_stays_there(served):
    for headers in ({"Sandbox-Time": "1790000000"}, {}):
        assert request(served, "POST", "/v1/customers", {**KEY, **headers})[1]["created"] == 1790000000


def test_empty_deletes_earlier_objects(tmp_path):
    twin = Twin(tmp_path / "sandbox.db")
    twin.handle("POST", "/v1/customers", KEY, "name=Old")
    twin.close()
    with serving(tmp_path / "sandbox.db", empty=True) as server:
        assert request(server, "GET", "/v1/customers", KEY)[1]["data"] == []
