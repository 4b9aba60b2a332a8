"""Where the ledgers of a test run are: in files, or each in a database of its own on the tests' server.

`pytest --ledger postgres` keeps the ledger of every configuration directory on a server, and `--ledger
pgbouncer` reaches it by way of PgBouncer in transaction mode. SEATCTL_LEDGER names the database to the
program, which logs in as its owner: without superuser, without the right to create databases or roles, and
without any extension. The directory still holds config.toml and the sandbox.

What a directory's ledger contained at some time can be kept as a template; others can have a copy of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from seatctl.ledger.engines.postgres_link import DEFAULT_SCHEMA, Link
from seatctl.ledger.engines.postgres_target import parameters
from seatctl.models.ledger_url import ServerUrl
from tests.support import postgres

KINDS = ("sqlite", "postgres", "pgbouncer")
OWNER = "seatctl"
"""The login of the program: it owns the databases, and may do nothing else in the server."""

_TRACES = {"commits", "leases", "pace", "staged_loads"}

_kind = KINDS[0]
_templates: set[str] = set()
_states = count(1)


@dataclass
class _Ledger:
    """The ledger of one configuration directory: a copy of `template`, made when it is first needed."""

    template: str | None = None
    database: str | None = None
    brief: bool = False
    """Whether it is dropped when the test ends."""


_ledgers: dict[Path, _Ledger] = {}


def use(kind: str) -> None:
    """Keep the ledgers of this process there."""
    global _kind  # noqa: PLW0603 - an option of pytest counts for the process
    _kind = kind
    if on_server():
        # It looks at every database again and again, and most of them last for a second.
        postgres.configure("autovacuum=off")


def on_server() -> bool:
    """Whether this run keeps its ledgers on a server."""
    return _kind != KINDS[0]


def through_pgbouncer() -> bool:
    """Whether the program reaches the server by way of PgBouncer."""
    return _kind == KINDS[2]


def variables(home: Path) -> dict[str, str]:
    """What the environment of a command names: the ledger, if it is on a server, and the sandbox then."""
    if not on_server():
        return {}
    return {
        "SEATCTL_LEDGER": _url(_database(home), pooled=through_pgbouncer()).secret,
        "SEATCTL_SANDBOX": str(home / "default" / "sandbox.db"),
    }


def place(home: Path) -> Path | ServerUrl:
    """Where the ledger of a directory is; of a server, its own address: no test reads through PgBouncer."""
    return _url(_database(home)) if on_server() else home / "default" / "ledger.db"


def port() -> int:
    """The port at which commands reach the ledgers."""
    if _kind != "pgbouncer":
        return postgres.server().port
    from tests.support.pgbouncer import pooled_port

    return pooled_port()


def new_place(home: Path, name: str) -> Path | ServerUrl:
    """Where another ledger can be created: a file of this name in the directory, or an empty database."""
    path = home / f"{name}.db"
    return _url(_database(path), pooled=through_pgbouncer()) if on_server() else path


# -- copies --------------------------------------------------------------------------------------------


def state(home: Path) -> str:
    """A name for what the ledger contains; it is new whenever something may have changed in it."""
    ledger = _ledgers.get(home, _Ledger())
    return str(ledger.template) if ledger.database is None else f"state {next(_states)}"


def keep(home: Path) -> str | None:
    """The template with what the ledger contains now; None if there is nothing."""
    ledger = _ledgers.get(home, _Ledger())
    if ledger.database is not None:
        _disconnect(ledger.database)
        _templates.add(ledger.database)
        ledger.template, ledger.database = ledger.database, None
    return ledger.template


def put(home: Path, template: str | None) -> None:
    """Let the ledger of a directory contain what the template does."""
    drop(home)
    _ledgers[home] = _Ledger(template)


def forget(template: str | None) -> None:
    """Drop a template of which nobody makes copies any more."""
    if template is None or template not in _templates:
        return
    for home, ledger in _ledgers.items():
        if ledger.template == template:
            _database(home)
    _templates.discard(template)
    postgres.server().drop(template)


def copy(home: Path, to: Path, *, brief: bool = False) -> None:
    """Copy a configuration directory with its ledgers; `brief`: no later test needs those of a server."""
    shutil.copytree(home, to)
    for path, ledger in [*_ledgers.items()]:
        if path == home or home in path.parents:
            _ledgers[to / path.relative_to(home)] = other = _Ledger(ledger.template, brief=brief)
            if ledger.database is not None:
                _disconnect(ledger.database)
                other.database = postgres.server().create(ledger.database, owner=OWNER)


def delete(home: Path) -> None:
    """Delete a configuration directory with its ledgers."""
    shutil.rmtree(home)
    for other in [other for other in _ledgers if other == home or home in other.parents]:
        drop(other)


def drop(home: Path) -> None:
    """Drop the database of a directory."""
    ledger = _ledgers.pop(home, None)
    if ledger is not None and ledger.database is not None:
        postgres.server().drop(ledger.database)


def drop_unused(folder: Path) -> None:
    """Drop the databases of configuration directories in a folder, and all that no later test needs."""
    for home, ledger in [*_ledgers.items()]:
        if ledger.brief or folder in home.parents or not home.parent.exists():
            drop(home)


def _database(home: Path) -> str:
    """The database of a directory's ledger, made if there is none yet."""
    ledger = _ledgers.setdefault(home, _Ledger())
    if ledger.database is None:
        _owner()
        ledger.database = postgres.server().create(ledger.template, owner=OWNER)
    return ledger.database


def _disconnect(database: str) -> None:
    """End all connections to a database: it cannot be copied while there are any."""
    with closing(postgres.server().connect()) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (database,)
        )


@cache
def _owner() -> None:
    with closing(postgres.server().connect()) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")


def _url(database: str, *, pooled: bool = False) -> ServerUrl:
    server = postgres.server()
    if not pooled:
        return ServerUrl(server.url(database, OWNER))
    from tests.support.pgbouncer import pooled_port

    return ServerUrl(server.tcp_url(database, OWNER, pooled_port()))


def share(home: Path, other: Path) -> None:
    """Let another directory have the same ledger, as a second machine does; in files, the caller names it."""
    if on_server():
        _ledgers[other] = _Ledger(database=_database(home))


def expire_leases(home: Path) -> None:
    """What half a minute does to the locks of a process that was killed; a file has none that outlive it."""
    if on_server():
        with statements(_url(_database(home))) as rows:
            rows("UPDATE leases SET until = now()")


def stored(home: Path) -> bytes:
    """Everything that is stored in a ledger: the bytes of its files, or the values of all tables."""
    if not on_server():
        files = (home / "default").glob("ledger.db*")
        return b"".join(file.read_bytes() for file in sorted(files) if not file.name.endswith("-shm"))
    with statements(_url(_database(home))) as rows:
        return repr([rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables(rows)]).encode()


def tables(rows: Callable[..., list[tuple]]) -> list[str]:
    """The tables of a ledger on a server, without what a command leaves that changes nothing."""
    found = rows("SELECT tablename FROM pg_tables WHERE schemaname = ? ORDER BY 1", DEFAULT_SCHEMA)
    return [table for (table,) in found if table not in _TRACES and not table.startswith("staged_")]


# -- statements ----------------------------------------------------------------------------------------


@contextmanager
def statements(url: ServerUrl) -> Iterator[Callable[..., list[tuple]]]:
    """Runs statements of SQL in the ledger's schema, without the program; commits if nothing is raised."""
    link = Link(str(url), lambda: parameters(url))
    try:
        link.exchange([b"BEGIN", f"SET LOCAL search_path TO {DEFAULT_SCHEMA}".encode()])
        yield lambda sql, *params: [tuple(row) for row in link.exchange([link.written(sql, params)])[0].rows]
        link.exchange([b"COMMIT"])
    finally:
        link.drop()


@contextmanager
def unguarded(url: ServerUrl) -> Iterator[psycopg.Connection]:
    """A connection of the superuser, who writes past triggers and references; commits what it wrote."""
    database = url.secret.partition("@")[2].partition("/")[2].partition("?")[0]
    with closing(postgres.server().connect(database)) as connection:
        connection.execute(f"SET search_path TO {DEFAULT_SCHEMA}")
        connection.execute("SET session_replication_role TO replica")
        yield connection
