"""Real processes that start in milliseconds: forks of a process that has loaded everything already.

`python(code, …)` runs code as `python -c` would, `program(…)` runs `python -m seatctl`. The new process is a
child of the one that asked: its signals, its streams, its exit code and its death are its own. Only what a
start itself loads cannot be seen here; tests of that start an interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]

PROGRAM = "import runpy; runpy.run_module('seatctl', run_name='__main__', alter_sys=True)"

LAZY = (
    *("runpy", "sqlite_utils.migrations", "stripe._stripe_client", "stripe.v2.core", "tomlkit", "tomllib"),
    *("psycopg", "tests.support.points"),
)
"""What functions and tests import that no module of ours imports."""

READ_AT_START = ("LC_", "LANG", "PYTHON")
"""How variables begin that an interpreter reads when it starts: other values need another warmed process."""

PR_SET_CHILD_SUBREAPER = 36


class Process:
    """A process that was forked; it is used like a `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: IO | None, stdout: IO | None, stderr: IO | None) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.returncode: int | None = None
        self._read: dict[IO, list] = {}
        self._readers: list[threading.Thread] = []

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self._reap(os.WNOHANG)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.returncode is None and deadline is None:
            self._reap(0)
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.002)
        return self.returncode or 0

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple:
        """Write `input`, read both outputs, and wait. After subprocess.TimeoutExpired, call it once more."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write(input or "")
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
            self.stdin = None
        if not self._read:
            for stream in filter(None, (self.stdout, self.stderr)):
                self._read[stream] = []
                self._readers.append(threading.Thread(target=self._take, args=(stream,), daemon=True))
                self._readers[-1].start()
        for reader in self._readers:
            reader.join(None if deadline is None else max(deadline - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        self.wait(None if deadline is None else max(deadline - time.monotonic(), 0))
        for stream in self._read:
            stream.close()
        read = (None if stream is None else self._read[stream][0] for stream in (self.stdout, self.stderr))
        return tuple(read)

    def finish(self, input: str | None = None, timeout: float = 60) -> tuple:
        """As `communicate`; what does not end in time is killed."""
        try:
            return self.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.communicate()
            raise

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in filter(None, (self.stdin, self.stdout, self.stderr)):
            stream.close()
        self.wait()

    def _take(self, stream: IO) -> None:
        self._read[stream].append(stream.read())

    def _reap(self, options: int) -> None:
        pid, status = os.waitpid(self.pid, options)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)


def program(*argv: str, env: Mapping[str, str], **streams: int | IO | None) -> Process:
    """Start the program with these arguments."""
    return python(PROGRAM, *argv, env=env, **streams)


def python(
    code: str,
    *argv: str,
    env: Mapping[str, str] | None = None,
    stdin: int | IO | None = subprocess.DEVNULL,
    stdout: int | IO | None = subprocess.PIPE,
    stderr: int | IO | None = subprocess.PIPE,
) -> Process:
    """Start a Python that that runs this code. The streams are those of `subprocess.Popen`, with text."""
    environment = dict(os.environ if env is None else env)
    with contextlib.ExitStack() as stack:
        pairs = [_ends(given, number, stack) for number, given in enumerate((stdin, stdout, stderr))]
        job = {
            "code": textwrap.dedent(code),
            "argv": argv,
            "env": environment,
            "cwd": str(Path.cwd()),
        }
        pid = _server(_read_at_start(environment)).start(job, [theirs for theirs, _ in pairs])
    return Process(pid, *(ours for _, ours in pairs))


def _read_at_start(env: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in env.items() if name.startswith(READ_AT_START))


def _ends(given: int | IO | None, number: int, stack: contextlib.ExitStack) -> tuple[int, IO | None]:
    """Their end of a stream, which is closed with the stack, and ours if there is one."""
    if given is None:
        return number, None
    if given == subprocess.DEVNULL:
        return stack.enter_context(Path(os.devnull).open("r+")).fileno(), None
    if given != subprocess.PIPE:
        return given if isinstance(given, int) else given.fileno(), None
    read, write = os.pipe()
    theirs, ours = (read, write) if number == 0 else (write, read)
    stack.callback(os.close, theirs)
    return theirs, open(ours, "w" if number == 0 else "r", encoding="utf-8")  # noqa: PTH123


class _Server:
    """The warmed process, and the socket over which it is asked to fork."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # Whoever is left without a parent becomes a child of this process: so are the forks.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._one = threading.Lock()
        self._socket, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", str(theirs.fileno())],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self.close)

    def start(self, job: dict, streams: list[int]) -> int:
        text = json.dumps(job).encode()
        with self._one:
            socket.send_fds(self._socket, [struct.pack("!Q", len(text))], streams)
            self._socket.sendall(text)
            (pid,) = struct.unpack("!Q", self._socket.recv(8, socket.MSG_WAITALL))
        return pid

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def _server(read_at_start: frozenset[tuple[str, str]]) -> _Server:
    return _Server(dict(read_at_start))


# In the warmed process --------------------------------------------------------------------------------


def load_everything() -> None:
    """All modules of the program, and what they load only when they need it."""
    import seatctl

    for module in pkgutil.walk_packages(seatctl.__path__, "seatctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LAZY:
        importlib.import_module(name)


def _serve(asked: socket.socket) -> None:
    """Fork for each job that is asked for, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for job, streams in _jobs(asked):
        read, write = os.pipe()
        between = os.fork()
        if not between:
            # The process in between ends at once, so that its child is a child of who asked.
            pid = os.fork()
            if pid:
                os.write(write, struct.pack("!Q", pid))
                os._exit(0)
            for number in (read, write, asked.fileno()):
                os.close(number)
            _become(job, streams)
        os.close(write)
        os.waitpid(between, 0)
        asked.sendall(os.read(read, 8))
        for number in (read, *streams):
            os.close(number)


def _jobs(asked: socket.socket) -> Iterator[tuple[dict, list[int]]]:
    while True:
        head, streams, _, _ = socket.recv_fds(asked, 8, 3)
        if not head:
            return
        (length,) = struct.unpack("!Q", head)
        yield json.loads(asked.recv(length, socket.MSG_WAITALL)), streams


def _become(job: dict, streams: list[int]) -> None:
    """The rest of the new process: what an interpreter does after it has started, until it ends."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(job["cwd"])
    started_with = dict(_read_at_start(os.environ))
    os.environ.clear()
    os.environ.update({**job["env"], **started_with})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (_opened(number) for number in range(3))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ["-c", *job["argv"]]
    code, interrupted = 1, False
    try:
        exec(compile(job["code"], "<string>", "exec"), {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
        interrupted = isinstance(error, KeyboardInterrupt)
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120
        if interrupted:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(code)


def _opened(number: int) -> io.TextIOWrapper:
    """A standard stream as an interpreter opens it."""
    was = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number]
    unbuffered = was.write_through
    mode = "rb" if number == 0 else "wb"
    raw = open(number, mode, 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        raw,
        encoding=was.encoding,
        errors=was.errors,
        line_buffering=number == 2 or raw.isatty(),
        write_through=unbuffered,
    )


if __name__ == "__main__":
    load_everything()
    gc.collect()
    gc.freeze()  # so that the collector of a fork writes to no page that it shares
    _serve(socket.socket(fileno=int(sys.argv[1])))
