"""The sandbox as an HTTP server on the loopback address: `seatctl sandbox serve`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from seatctl.sandbox.api.twin import Answer, TimedOut, Twin

HOST = "127.0.0.1"


class SandboxServer:
    """Serves a twin on a port of 127.0.0.1; the twin answers one request at a time."""

    def __init__(self, path: Path, *, port: int = 0, empty: bool = False) -> None:
        if empty:
            twin = Twin(path)
            twin.clear()
            twin.close()
        self._twin = Twin(path)
        self._http = ThreadingHTTPServer((HOST, port), _handler(self._twin))
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            self._http.serve_forever(poll_interval=0.1)
        finally:
            self._http.server_close()
            self._twin.close()

    def stop(self) -> None:
        """Stop serving; another thread may call this."""
        self._http.shutdown()


def serve(path: Path, port: int, empty: bool, started: Callable[[str], None]) -> None:
    """Serve a sandbox file until interrupted. `started` is called with the base URL once the port is open."""
    server = SandboxServer(path, port=port, empty=empty)
    started(server.url)
    try:
        server.run()
    except KeyboardInterrupt:
        return


def _handler(twin: Twin) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        """Passes each request to the twin."""

        protocol_version = "HTTP/1.1"
        # Head and body are sent together: otherwise the body waits 40 ms for the client to acknowledge the
        # head.
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self) -> None:
            """Answer a request; for an armed time-out, close the connection without an answer."""
            length = int(self.headers.get("Content-Length") or 0)
            form = self.rfile.read(length).decode("utf-8") if length else None
            try:
                answer = twin.handle(self.command, self.path, dict(self.headers.items()), form)
            except TimedOut:
                self.close_connection = True
                return
            except Exception as error:  # noqa: BLE001 - after a bug, the client gets an answer too
                sys.stderr.write(f"sandbox: {type(error).__name__}: {error}\n")
                body = json.dumps({"error": {"message": "An unknown error occurred", "type": "api_error"}})
                answer = Answer(500, {"Content-Type": "application/json"}, body)
            self._write(answer)

        def _write(self, answer: Answer) -> None:
            body = answer.body.encode("utf-8")
            self.send_response_only(answer.status)  # unlike send_response, without the real date
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = answer

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return RequestHandler
