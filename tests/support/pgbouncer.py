"""PgBouncer in transaction mode, in front of the tests' server: each transaction may get another session."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import time
from functools import cache

from tests.support.needs import find, need
from tests.support.postgres import UNPRIVILEGED, _die_with_parent, _free_port, server

_STARTS_WITHIN = 10.0


_running: list[subprocess.Popen[bytes]] = []


def let_in(user: str) -> None:
    """Let PgBouncer know another login of the server."""
    pooled_port()
    with (server().folder / "pgbouncer" / "users.txt").open("a") as users:
        users.write(f'"{user}" ""\n')
    _running[0].send_signal(signal.SIGHUP)


@cache
def pooled_port() -> int:
    """The port of a PgBouncer that runs as long as this process; the test is skipped if there is none."""
    need("pgbouncer")
    behind, port = server(), _free_port()
    folder = behind.folder / "pgbouncer"
    folder.mkdir()
    (folder / "users.txt").write_text('"postgres" ""\n"seatctl" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
* = host={behind.folder} port={behind.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
"""
    )
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(find("pgbouncer")), folder / "pgbouncer.ini"],
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls one function of the system
        )
    atexit.register(_stop, process)
    _running.append(process)
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "pgbouncer does not answer"
            time.sleep(0.02)
        else:
            return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
