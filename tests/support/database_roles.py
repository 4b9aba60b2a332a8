"""An office in a ledger on a server, whose owner is no superuser, and logins with each right."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.conftest import Result, Seatctl
from tests.support.needs import find, need
from tests.support.postgres import UNPRIVILEGED, _die_with_parent, _free_port, server

ANN, OLGA, ASH, ZOE, YAN = (f"{name}@example.com" for name in ("ann", "olga", "ash", "zoe", "yan"))
CI = "ci:design"

GRANTS = {
    "adm": ("admin", "--as", ANN),
    "own": ("owner", "--subscription", "design", "--as", OLGA),
    "ash": ("assignor", "--as", ASH),
    "one": ("assignor", "--subscription", "design", "--as", CI),
    "vic": ("viewer",),
    "req": ("requester", "--as", ZOE),
    "chk": ("check-only",),
}
"""What each login is given; its name in the server begins with that of the database."""

BUY = "--billing-email pay@example.com --payment-method"


class Office(NamedTuple):
    """A database with the office, and the folder with the sandbox and the files that commands read."""

    database: str
    seatctl: Seatctl
    words: dict[str, str]

    def login(self, name: str) -> str:
        """The login in the server: roles belong to the server, not to a database."""
        return f"{self.words['prefix']}_{name}"

    def url(self, name: str) -> str:
        return server().url(self.database, self.login(name))

    def env(self, name: str) -> dict[str, str]:
        sandbox = str(self.seatctl.home.parent / "sandbox.db")
        return {"SEATCTL_LEDGER": self.url(name), "SEATCTL_SANDBOX": sandbox}

    def run(self, name: str, command: str, *more: str, stdin: str = "", **env: str) -> Result:
        """Run a command from a machine without configuration, with the login of this name."""
        argv = command.format(**self.words).split()
        return self.seatctl(*argv, *more, "--yes", "-o", "json", stdin=stdin, env={**self.env(name), **env})

    def done(self, name: str, command: str, code: int = 0, **env: str) -> Result:
        """Run a command that must succeed."""
        result = self.run(name, command, **env)
        assert result.code == code, (command, result.err)
        return result

    def refused(self, name: str, command: str, *more: str, stdin: str = "") -> dict:
        """The error of a command that is not allowed."""
        result = self.run(name, command, *more, stdin=stdin)
        assert (result.code, result.error["code"]) == (8, "not_allowed"), (command, result)
        return result.error

    def connect(self, name: str) -> psycopg.Connection:
        connection = server().connect(self.database, self.login(name))
        connection.execute("SET search_path TO seatctl")
        return connection

    def sql(self, name: str, statement: str) -> list[tuple]:
        with self.connect(name) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def state(self, name: str, statement: str) -> str | None:
        """The SQLSTATE of a statement that fails; None if it does not."""
        with self.connect(name) as connection:
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                return error.sqlstate
            return None

    def everything(self) -> str:
        """All texts of all tables, without what a command leaves that changes nothing."""
        with self.connect("led") as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'seatctl' ORDER BY 1"
            ).fetchall()
            left_out = {"commits", "leases", "pace", "staged_loads"}
            return "\n".join(
                f"{table}: {sorted(map(str, connection.execute(f'SELECT * FROM {table}').fetchall()))}"
                for (table,) in tables
                if table not in left_out and not table.startswith("staged_")
            )


@contextmanager
def logins(prefix: str) -> Iterator[None]:
    """The owner of the ledger and the other logins; none of them is a superuser."""
    names = [f"{prefix}_{name}" for name in ("led", *GRANTS, "nob")]
    with closing(server().connect()) as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
    yield
    with closing(server().connect()) as connection:
        for name in names:
            with suppress(psycopg.Error):  # a database that still exists depends on it
                connection.execute(f"DROP ROLE {name}")


@contextmanager
def new_office(folder: Path) -> Iterator[Office]:
    """Set up the office with the owner's login, and give the others their rights by what is printed."""
    database = server().create()
    prefix = database
    with logins(prefix):
        with closing(server().connect()) as connection:
            connection.execute(f"GRANT CREATE ON DATABASE {database} TO {prefix}_led")
        folder.mkdir(parents=True, exist_ok=True)
        office = Office(database, Seatctl(folder / "home"), {"prefix": prefix})
        furnish(office, folder)
        for name, right in GRANTS.items():
            give(office, name, *right)
        shutil.rmtree(office.seatctl.home, ignore_errors=True)
        yield office
        server().drop(database)


def furnish(office: Office, folder: Path) -> None:
    """olga owns design and other, one request is open, one purchase waits for payment."""
    who = {"SEATCTL_ACTOR": ANN}

    def run(command: str, code: int = 0) -> Result:
        return office.done("led", command, code, **who)

    made = office.seatctl("init", "--no-input", "--actor", ANN, env=office.env("led"))
    assert made.code == 0, made.err
    for plan in ("pro", "spare"):
        run(f"plans add {plan} --price 12.00 --currency usd")
    for name, seats in (("design", 5), ("other", 1)):
        run(f"subs buy --plan pro --seats {seats} --name {name} --owner {OLGA} {BUY} pm_card_visa")
    run(f"seats assign design {OLGA}")
    run(f"users add {ZOE} {YAN}")
    run(f"requests create {YAN} --subscription design")
    waits = run(f"subs buy --plan pro --seats 1 --name waits {BUY} pm_card_authenticationRequired", 10)
    for actor, role in ((ASH, "assignor"), ("vic@example.com", "viewer")):
        run(f"roles grant {actor} {role}")
    run(f"roles grant {CI} assignor --subscription design")
    files = {
        "plans": office.seatctl("plans", "export", env={**office.env("led"), **who}).out,
        "people": "email\nnew@example.com\n",
        "desired": f"subscription,email\ndesign,{ZOE}\n",
    }
    office.words["waiting"] = str(waits.error["run"])
    office.words["invoice"] = run("invoices list design").rows[0]["number"]
    for name, text in files.items():
        path = folder / (f"{name}.toml" if name == "plans" else f"{name}.csv")
        path.write_text(text)
        office.words[name] = str(path)


def give(office: Office, name: str, role: str, *options: str) -> None:
    """Run what `ledger grants` prints, as the owner of the ledger."""
    printed = office.seatctl("ledger", "grants", role, office.login(name), *options, env=office.env("led"))
    assert printed.code == 0, printed.err
    with office.connect("led") as connection:
        connection.execute(printed.out)


@contextmanager
def pooled(office: Office) -> Iterator[int]:
    """The port of a PgBouncer that lets the logins in and gives each transaction another session."""
    need("pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer", dir=server().folder))
    port = _free_port()
    (folder / "users.txt").write_text("".join(f'"{office.login(name)}" ""\n' for name in GRANTS))
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{office.database} = host={server().folder} port={server().port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users.txt\npool_mode = transaction\n"
        "default_pool_size = 2\n"
    )
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    if user:
        subprocess.run(["chown", "-R", user, folder], check=True)
    process = subprocess.Popen(
        [str(find("pgbouncer")), "-q", folder / "pgbouncer.ini"],
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls one function of the system
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert process.poll() is None, "pgbouncer has ended"
            assert time.monotonic() < deadline, "pgbouncer does not answer"
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def copied(office: Office, folder: Path) -> Iterator[Office]:
    """A copy of the office: its database, and its sandbox."""
    database = server().create(office.database)
    shutil.copytree(office.seatctl.home.parent, folder)
    try:
        yield Office(database, Seatctl(folder / "home"), {**office.words})
    finally:
        server().drop(database)
