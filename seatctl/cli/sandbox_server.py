"""Serving the sandbox until it is stopped: by Ctrl-C, by SIGTERM, or by its own time limit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Thread, Timer
from types import FrameType

from seatctl.errors import Code, refuse
from seatctl.output.emit import note, write_text


def serve_until_stopped(path: Path | None, *, port: int, seconds: int | None) -> None:
    """Serve the file, or an empty one that is thrown away; the base URL is the first line on stdout.

    Raises `port_taken`.
    """
    import sys
    from tempfile import TemporaryDirectory

    from seatctl.sandbox.api.server import SandboxServer

    with ExitStack() as stack:
        if path is None:
            path = Path(stack.enter_context(TemporaryDirectory(prefix="seatctl-"))) / "sandbox.db"
        try:
            server = SandboxServer(path, port=port)
        except OSError as error:
            raise refuse(
                Code.PORT_TAKEN,
                f"port {port} cannot be opened: {error.strerror}",
                hint="seatctl sandbox serve --port 0",
            ) from None
        _stop_on_signals(stack, server.stop)  # before the address is told: who reads it may stop us at once
        write_text(server.url)
        sys.stdout.flush()
        note("any key that begins with sk_test_ is accepted; Ctrl-C stops")
        if seconds:
            timer = Timer(seconds, server.stop)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        server.run()


def _stop_on_signals(stack: ExitStack, stop: Callable[[], None]) -> None:
    """Ctrl-C and SIGTERM end the serving, not the program: the port and the file are closed as ever.

    `stop` waits for the loop to end, so it must not run on the thread that serves.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        Thread(target=stop, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        stack.callback(signal.signal, number, signal.signal(number, handle))
