"""Faults of the PostgreSQL engine, put back one at a time: the simulator has to find each of them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.simulator.sabotage import PutBack, fault, within

POINT = 10
"""The part of the project that they are about."""

_DONE_NOTHING = "LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"


def server_fault(name: str, theme: str, what: str) -> Any:
    """Register a way to put a fault of the engine back."""

    def register(put_back: PutBack) -> PutBack:
        return fault(name, POINT, theme, what, calm=False, server=True)(put_back)

    return register


@server_fault("token ignored", "line", "a change whose COMMIT got no answer is taken for not made")
def _token_ignored(stack: ExitStack) -> None:
    from seatctl.ledger.engines.postgres_session import PostgresSession

    within(stack, PostgresSession, "_is_committed", lambda *_: False)


@server_fault("token trusted", "line", "a change whose COMMIT got no answer is taken for made")
def _token_trusted(stack: ExitStack) -> None:
    from seatctl.ledger.engines.postgres_session import PostgresSession

    within(stack, PostgresSession, "_is_committed", lambda *_: True)


@server_fault("token read", "line", "the token of a COMMIT is looked up, which a late one may still follow")
def _token_read(stack: ExitStack) -> None:
    from seatctl.ledger.engines.postgres_session import PostgresSession

    def is_committed(self: Any, token: str) -> bool:
        self.link.open(30.0)
        query = f"SELECT token FROM \"{self.link.schema}\".commits WHERE token = '{token}'"
        return bool(self.link.exchange([query.encode()])[0].rows)

    within(stack, PostgresSession, "_is_committed", is_committed)


@server_fault("lease not required", "buyers", "who has lost the lease goes on writing to Stripe")
def _lease_not_required(stack: ExitStack) -> None:
    from seatctl.ledger.engines.postgres_leases import Leases

    within(stack, Leases, "require", lambda *_: None)


@server_fault("lease of another", "buyers", "a lease is taken though another process holds it")
def _lease_of_another(stack: ExitStack) -> None:
    from seatctl.ledger.engines import postgres_leases

    within(stack, postgres_leases, "_TAKE", postgres_leases._TAKE.rpartition("WHERE")[0])


@server_fault("seats not counted", "meetings", "a revoked seat still counts as assigned")
def _seats_not_counted(stack: ExitStack) -> None:
    from tests.simulator.server import prepared

    stack.enter_context(
        prepared(f"CREATE OR REPLACE FUNCTION count_revoked() RETURNS trigger {_DONE_NOTHING}")
    )


@server_fault("nothing locked", "meetings", "changes lock neither the ledger nor its rows")
def _nothing_locked(stack: ExitStack) -> None:
    from seatctl.ledger.engines.postgres import PostgresEngine
    from tests.simulator.server import prepared

    within(stack, PostgresEngine, "lock_rows", lambda *_: None)
    stack.enter_context(
        prepared(
            "CREATE OR REPLACE FUNCTION lock_ledger(whole boolean) RETURNS void LANGUAGE plpgsql AS"
            " $$ BEGIN END $$"
        )
    )


@server_fault(
    "entries not linked", "", "an entry is linked into the chain of the audit without its predecessor"
)
def _entries_not_linked(stack: ExitStack) -> None:
    from tests.simulator.server import prepared

    stack.enter_context(
        prepared(
            "CREATE OR REPLACE FUNCTION hash_of_entry(seq bigint, run bigint, at text, actor text,"
            " os_user text, command_hash text, digest text, previous text, origin text) RETURNS text"
            " LANGUAGE sql IMMUTABLE RETURN hash_of(seq::text || previous)"
        )
    )
