"""A sandbox behind a loopback port that adds latency, counts what arrives, and can refuse or fail.

`account()` makes a profile in test mode whose Stripe is that port, so that a test sees the wire.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from seatctl.models.ledger_url import ServerUrl
from seatctl.sandbox.api.twin import Twin
from tests.support import ledgers

KEY = "sk_test_front"


class Front:
    """The twin and what is done to requests on their way to it."""

    def __init__(self, path: Path, latency: float = 0.0) -> None:
        self.twin = Twin(path)
        self.latency = latency
        self.requests: list[tuple[float, str, str]] = []
        self.refuse = lambda number, method, path: None
        """Called with the number of the request; a status answers instead of the twin."""
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, method: str, path: str) -> int:
        with self._lock:
            self.requests.append((time.monotonic(), method, path))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            return len(self.requests)

    def done(self) -> None:
        with self._lock:
            self.under_way -= 1

    def counts(self) -> Counter[str]:
        """Requests by endpoint since the last `forget`."""
        return Counter("/".join(path.partition("?")[0].split("/")[:3]) for _, _, path in self.requests)

    def forget(self) -> None:
        self.requests.clear()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.twin.close()


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize, disable_nagle_algorithm = -1, True  # as the sandbox's own server

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = self.rfile.read(length).decode() if length else None
            number = front.take(self.command, self.path)
            time.sleep(front.latency)
            refused = front.refuse(number, self.command, self.path)
            if refused is not None:
                front.done()
                kind = "invalid_request_error" if refused < 500 else "api_error"
                self._write(
                    refused, {}, json.dumps({"error": {"type": kind, "message": "refused by the test"}})
                )
                return
            try:
                answer = front.twin.handle(self.command, self.path, dict(self.headers.items()), form)
            finally:
                front.done()
            self._write(answer.status, answer.headers, answer.body)

        def _write(self, status: int, headers: dict[str, str], body: str) -> None:
            data = body.encode()
            self.send_response_only(status)  # the date is that of the sandbox's clock
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    return Handler


class Account:
    """Runs `seatctl` with the profile in test mode, which is made unless there is one."""

    def __init__(self, seatctl, front: Front) -> None:
        self.seatctl, self.front = seatctl, front
        if not (seatctl.home / "config.toml").exists():
            made = self("init", "--mode", "test", "--no-input", "--actor", "ann@example.com")
            assert made.code == 0, made.err
            self.set("sync.requests_per_second", "1000")

    @property
    def environment(self) -> dict[str, str]:
        return {"SEATCTL_STRIPE_KEY": KEY, "SEATCTL_STRIPE_API_BASE": self.front.url}

    @property
    def ledger(self) -> Path | ServerUrl:
        return ledgers.place(self.seatctl.home)

    def __call__(self, *argv, **options):
        env = {**self.environment, **options.pop("env", {})}
        return self.seatctl(*argv, env=env, **options)

    def set(self, key: str, value: str) -> None:
        assert self("config", "set", key, value).code == 0

    def rows(self, *argv):
        result = self(*argv, "-o", "json")
        assert result.code == 0, result.err
        return result.rows

    def process(self, *argv):
        return self.seatctl.process(*argv, env=self.environment)


@contextmanager
def account(seatctl, path: Path, latency: float = 0.0):
    """A profile in test mode and its front; everything stops at the end."""
    front = Front(path)
    try:
        made = Account(seatctl, front)
        front.latency = latency
        yield made
    finally:
        front.close()


def spread(twin: Twin, days: int = 700) -> None:
    """Give the objects of a seeded twin times of their own, in the order in which they were made."""
    with twin.store.transaction():
        db = twin.store._db
        now = twin.now()
        for kind in ("customer", "subscription", "invoice"):
            found = db.execute("SELECT seq FROM objects WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
            step = days * 86400 // max(len(found), 1)
            db.executemany(
                "UPDATE objects SET created = ?, body = json_set(body, '$.created', ?) WHERE seq = ?",
                [
                    (at, at, seq)
                    for at, (seq,) in ((now - days * 86400 + step * n, row) for n, row in enumerate(found))
                ],
            )
