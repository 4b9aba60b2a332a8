"""The files that no command may overwrite: databases, config.toml, locks, the log, and what is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.app.log import log_path
from seatctl.config.settings import Environment, Profile, Settings
from seatctl.system.files import ProtectedFile, database
from seatctl.system.refusals import expanded

if TYPE_CHECKING:
    from seatctl.models.ledger_url import ServerUrl


def own_files(
    settings: Settings,
    in_use: Profile,
    ledger: Path | ServerUrl,
    environment: Environment,
    reads: Iterable[str | None] = (),
) -> Iterator[ProtectedFile]:
    """Yield the files of all profiles and of the one in use; `reads` are files that the command reads."""
    places = {"the ledger in use": ledger}
    for profile in (in_use, *settings.profiles.values()):
        places[f"the sandbox of profile {profile.name}"] = settings.sandbox_path(profile, {})
    places["the sandbox in use"] = settings.sandbox_path(in_use, environment)
    for profile in settings.profiles.values():
        places[f"the ledger of profile {profile.name}"] = settings.ledger_place(profile, {})
    for description, place in places.items():
        if isinstance(place, Path):
            yield from database(description, place)
    yield ProtectedFile("config.toml", settings.path)
    yield ProtectedFile("the lock of config.toml", settings.home / ".config.lock")
    yield ProtectedFile("the lock of init", settings.data / ".init.lock")
    log = log_path(environment)
    yield from (ProtectedFile("the log", path) for path in (log, *log.parent.glob(f"{log.name}.*")))
    yield from (ProtectedFile("the file that is read", expanded(read)) for read in reads if read)
