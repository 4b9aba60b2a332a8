"""A ledger in several places: the commands of one profile, with the ledger in a file or on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.ledger.ledger import open_ledger
from seatctl.models.ledger_url import ServerUrl
from tests.support import postgres
from tests.support.both_sides import sandbox_path

if TYPE_CHECKING:
    from tests.conftest import Seatctl

LISTS = (
    *("users list", "seats list --all", "requests list", "subs list", "plans list", "invoices list"),
    *("roles list", "runs list", "audit log", "notify list"),
)


class At:
    """Runs commands with the ledger at a place; the sandbox is that of the profile."""

    def __init__(self, seatctl: Seatctl, place: str | Path) -> None:
        self.seatctl, self.place = seatctl, str(place)
        self.variables = {"SEATCTL_LEDGER": self.place, "SEATCTL_SANDBOX": str(sandbox_path(seatctl))}

    def __call__(self, *argv, **options):
        return self.seatctl(*argv, env=self.variables, **options)

    def rows(self, *argv):
        result = self(*argv, "-o", "json")
        assert result.code == 0, result.err
        return result.rows

    @property
    def database(self) -> str:
        """The name of the database, if the ledger is on a server."""
        return self.place.partition("?")[0].rpartition("/")[2]

    def done(self, command: str):
        """The result of a command that must succeed."""
        result = self(*command.split())
        assert result.code == 0, (command, result.err)
        return result

    def move(self, place: str | Path) -> At:
        """Move the ledger, and return the other place."""
        moved = self("ledger", "copy", self.place, place, "--yes", "-o", "json")
        assert moved.code == 0, moved.err
        return At(self.seatctl, place)

    def head(self) -> str:
        """The head of the audit."""
        return self("audit", "verify", "-o", "json").json["head"]

    def contents(self, folder: Path) -> dict[str, str]:
        """Every file of an export, and every list."""
        exported = self("ledger", "export", folder, "-o", "json")
        assert exported.code == 0, exported.err
        found = {path.name: path.read_text() for path in sorted(folder.iterdir())}
        return found | {words: json.dumps(self.rows(*words.split())) for words in LISTS}

    def assert_sound(self, head: str) -> None:
        """The checks find nothing, and the chain holds an earlier head."""
        checked = self("ledger", "check")
        assert checked.code == 0, checked.out
        verified = self("audit", "verify", "--expect", head)
        assert verified.code == 0, verified.err


def expire_leases(url: str) -> None:
    """What half a minute does to the leases of a process that was killed."""
    with closing(open_ledger(ServerUrl(url), in_use=False)) as ledger:
        ledger.engine.execute("UPDATE leases SET until = now()")


@contextmanager
def database(template: str | None = None) -> Iterator[str]:
    """The URL of a database of its own."""
    name = postgres.server().create(template)
    try:
        yield postgres.server().url(name)
    finally:
        postgres.server().drop(name)
