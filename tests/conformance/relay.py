"""A relay between seatctl and Stripe: it keeps the pace, remembers what was said, and can answer 429 itself.

It listens on the loopback address, so that commands in processes of their own pass through it, too. What it
remembers has no header: neither the key nor who asked.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from seatctl.sandbox.api.check import decode

PASSED_ON = (
    "authorization",
    "content-type",
    "idempotency-key",
    "stripe-version",
    "stripe-account",
    "stripe-context",
)
"""The headers of a request that Stripe gets; what the SDK says of itself and of the machine is left out."""

SLOW_DOWN = {
    "error": {"message": "Too many requests hit the API too quickly.", "type": "invalid_request_error"}
}


@dataclass(frozen=True)
class Exchange:
    """A request and its answer; `at` is Stripe's time, in epoch seconds."""

    method: str
    path: str
    params: dict[str, Any]
    status: int
    body: dict[str, Any]
    at: int
    version: str


class Relay:
    """Passes requests on to `target`, at most `per_second` of them if that is given."""

    def __init__(self, target: str, *, per_second: float | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.forwarded: list[float] = []
        """When each request was passed on, by a clock that never goes back."""
        self._target = urlsplit(target)
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._refusals: list[tuple[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def slow_down(self, times: int, *, method: str = "POST", path: str = "/v1/") -> Iterator[None]:
        """Answer 429 to the next calls of a method to paths that begin so; they do not reach Stripe."""
        self._refusals = [(method, path)] * times
        try:
            yield
        finally:
            self._refusals = []

    def refuses(self, method: str, path: str) -> bool:
        """Whether this request is one that is answered 429; it is then counted."""
        with self._lock:
            for refusal in self._refusals:
                if method == refusal[0] and path.startswith(refusal[1]):
                    self._refusals.remove(refusal)
                    return True
        return False

    def wait_for_turn(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._gap
        if (wait := turn - time.monotonic()) > 0:
            time.sleep(wait)
        self.forwarded.append(time.monotonic())

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection to Stripe; its certificate is checked."""
        host, port = str(self._target.hostname), self._target.port
        if self._target.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=80, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=80)

    def remember(
        self, method: str, url: str, form: str | None, answer: http.client.HTTPResponse, body: bytes
    ) -> None:
        """Keep an exchange for a recording."""
        path, _, query = url.partition("?")
        params = {**decode(query), **decode(form)}
        at = int(parsedate_to_datetime(answer.headers["Date"]).timestamp())
        version = answer.headers.get("Stripe-Version", "")
        exchange = Exchange(method, unquote(path), params, answer.status, json.loads(body), at, version)
        self.exchanges.append(exchange)


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        """Passes each request of a connection on."""

        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.upstream = relay.connect()

        def finish(self) -> None:
            super().finish()
            self.upstream.close()

        def relayed(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = self.rfile.read(length) if length else None
            if relay.refuses(self.command, self.path):
                self._answer(429, {"Content-Type": "application/json"}, json.dumps(SLOW_DOWN).encode())
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
            relay.wait_for_turn()
            answer, body = self._ask(form, headers)
            relay.remember(self.command, self.path, form.decode() if form else None, answer, body)
            kept = (
                "content-type",
                "date",
                "request-id",
                "retry-after",
                "stripe-version",
                "stripe-should-retry",
            )
            self._answer(
                answer.status,
                {name: value for name, value in answer.headers.items() if name.lower() in kept},
                body,
            )

        def _ask(self, form: bytes | None, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
            """Ask Stripe, once more if it has closed an idle connection and repeating changes nothing."""
            for is_last in (self.command == "POST" and "Idempotency-Key" not in self.headers, True):
                try:
                    self.upstream.request(self.command, self.path, body=form, headers=headers)
                    answer = self.upstream.getresponse()
                    return answer, answer.read()
                except ConnectionError:
                    self.upstream.close()
                    if is_last:
                        raise
            raise AssertionError("the loop returns or raises")

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = relayed

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return RequestHandler
