"""Writing config.toml: under a lock, whole or not at all, readable by its owner only."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seatctl.errors import BadInput, LedgerError
from seatctl.output_files import CannotWrite, new_file
from seatctl.settings import PROFILE_NAME, Environment, Profile, Settings, Value, load


class ConfigNotWritable(LedgerError):
    """config.toml or its directory cannot be written."""

    code = "config_not_writable"


def change(environment: Environment, edit: Callable[[Settings], Settings]) -> Settings:
    """Read, edit and replace config.toml; two at once both keep their change.

    Raises ConfigNotWritable, and whatever reading raises.
    """
    before = load(environment)
    try:
        # Without the lock two `init` of different profiles would each write a file that lacks the other's.
        with locked(before.home / ".config.lock"):
            after = edit(load(environment))
            _replace(after.path, _text(after))
    except CannotWrite as error:
        raise ConfigNotWritable(error.message) from error
    except OSError as error:
        raise ConfigNotWritable(f"{before.path} cannot be written: {error.strerror}") from error
    return after


def with_profile(settings: Settings, profile: Profile) -> Settings:
    """The settings with this profile added or replaced; the first one becomes the one in use."""
    if not re.fullmatch(PROFILE_NAME, profile.name):
        raise BadInput(f"{profile.name!r} is no name for a profile: lower-case letters, digits, - and _")
    profiles = {**settings.profiles, profile.name: profile}
    return settings._replace(profiles=profiles, current=settings.current or profile.name)


def with_value(settings: Settings, name: str, key: str, value: Value | None) -> Settings:
    """The settings with one value of a profile set, or unset by None."""
    profile = settings.profile(name)
    values = {**profile.values, key: value} if value is not None else dict(profile.values)
    if value is None:
        values.pop(key, None)
    kept: dict[str, Value] = {known: kept for known, kept in values.items() if kept is not None}
    return settings._replace(profiles={**settings.profiles, profile.name: profile._replace(values=kept)})


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is made with its directory; freed even by SIGKILL.

    Raises ConfigNotWritable if it cannot be made.
    """
    import fcntl

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        raise ConfigNotWritable(
            f"{path.parent} cannot be written: {error.strerror}",
            hint="give yourself write access to it, or set SEATCTL_CONFIG to another folder",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    """Write it whole. A config.toml that is a symlink, as with managed dotfiles, stays one."""
    with new_file(Path(os.path.realpath(path)), overwrite=True) as part:
        part.write_text(text, encoding="utf-8")


def _text(settings: Settings) -> str:
    import tomli_w

    document: dict[str, object] = {"profile": settings.current} if settings.current else {}
    document["profiles"] = {name: _nested(profile.values) for name, profile in settings.profiles.items()}
    return tomli_w.dumps(document)


def _nested(values: Mapping[str, Value]) -> dict[str, object]:
    """`stripe.api_base` as a key of the table `stripe`."""
    table: dict[str, object] = {key: value for key, value in values.items() if "." not in key}
    for key, value in values.items():
        group, dot, name = key.partition(".")
        if dot:
            inner = table.setdefault(group, {})
            if isinstance(inner, dict):
                inner[name] = value
    return table
