"""Writes config.toml: under a lock, completely or not at all, for its owner and its group."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.config.settings import (
    PROFILE_NAME,
    BadConfig,
    Environment,
    Profile,
    Settings,
    Value,
    load,
    read,
    understand,
)
from seatctl.errors import BadInput, Code, refuse
from seatctl.system.files import CannotWrite, new_file

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


_SAME_TABLE = {"ledger": "ledger.url", "ledger.url": "ledger"}
"""Settings of which a profile has one at most, and the other one."""


def change(environment: Environment, edit: Callable[[Settings], Settings]) -> Settings:
    """Read, edit and replace config.toml; concurrent changes are both kept.

    Raises `config_not_writable`, and whatever reading raises.
    """
    before = load(environment)
    try:
        # Without the lock, two concurrent `init` would each write a file without the other's profile.
        with locked(before.home / ".config.lock"):
            now = load(environment)
            after = edit(now)
            _replace(after.path, _text(read(after.path), now, after))
    except CannotWrite as error:
        raise refuse(Code.CONFIG_NOT_WRITABLE, error.message) from error
    except OSError as error:
        raise refuse(
            Code.CONFIG_NOT_WRITABLE, f"{before.path} cannot be written: {error.strerror}"
        ) from error
    return after


def with_profile(settings: Settings, profile: Profile) -> Settings:
    """Return the settings with this profile added or replaced; the first profile becomes the one in use."""
    if not re.fullmatch(PROFILE_NAME, profile.name):
        raise BadInput(
            f"{profile.name!r} is not a valid profile name: use lower-case letters, digits, - and _"
        )
    profiles = {**settings.profiles, profile.name: profile}
    return settings._replace(profiles=profiles, current=settings.current or profile.name)


def with_value(settings: Settings, name: str, key: str, value: Value | None) -> Settings:
    """Return the settings with one value of a profile set, or unset by None."""
    profile = settings.profile(name)
    values = {**profile.values, key: value} if value is not None else dict(profile.values)
    if value is None:
        values.pop(key, None)
    elif key in _SAME_TABLE:  # TOML cannot have both `ledger = "…"` and `ledger.url = "…"`
        values.pop(_SAME_TABLE[key], None)
    kept: dict[str, Value] = {known: kept for known, kept in values.items() if kept is not None}
    return settings._replace(profiles={**settings.profiles, profile.name: profile._replace(values=kept)})


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, created with its folder; released even by SIGKILL.

    Raises `config_not_writable` if it cannot be created.
    """
    import fcntl

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        raise refuse(
            Code.CONFIG_NOT_WRITABLE,
            f"{path.parent} cannot be written: {error.strerror}",
            hint="give yourself write access to it, or set SEATCTL_CONFIG to another folder",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    """Write the file completely. If config.toml is a symlink, as with managed dotfiles, it stays one."""
    target = Path(os.path.realpath(path))
    with new_file(target, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
        if target.exists():
            _keep_group(part, target.stat())


def _keep_group(part: Path, before: os.stat_result) -> None:
    """Keep the group's read permission, for a service account. Nobody else gains access."""
    if before.st_mode & stat.S_IRGRP:
        with suppress(OSError):  # the user is not in that group
            os.chown(part, -1, before.st_gid)
            part.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)


def _text(text: str, before: Settings, after: Settings) -> str:
    """Return config.toml with the changes; everything else, comments too, stays as a person wrote it."""
    import tomlkit

    # A separate table reads best, but tomlkit refuses it inside braces and misplaces it below dotted keys.
    # So its result is parsed before it replaces a person's file.
    for new_table in (tomlkit.table, tomlkit.inline_table):
        try:
            written = _edited(tomlkit.parse(text), before, after, new_table).as_string()
            if understand(after, written) == after:
                return written
        except (BadConfig, ValueError, tomlkit.exceptions.TOMLKitError):
            continue
    raise BadConfig(f"{after.path} has a form that this command cannot change", hint="edit it by hand")


def _edited(
    document: TOMLDocument, before: Settings, after: Settings, new_table: Callable[[], object]
) -> TOMLDocument:
    if after.current is not None and after.current != before.current:
        document["profile"] = after.current
    for name, profile in after.profiles.items():
        old_values = before.profiles[name].values if name in before.profiles else {}
        for key in {**old_values, **profile.values}:
            if old_values.get(key) != profile.values.get(key):
                _put(document, ("profiles", name, *key.split(".")), profile.values.get(key), new_table)
    return document


def _put(
    table: MutableMapping[str, object],
    path: Sequence[str],
    value: Value | None,
    new_table: Callable[[], object],
) -> None:
    """Set a value, or remove it with None; tables on the way are created, or removed once empty."""
    key, *rest = path
    if rest:
        if key not in table:
            table[key] = new_table()
        inner = table[key]
        assert isinstance(inner, MutableMapping)  # `before` was validated
        _put(inner, rest, value, new_table)
        if value is None and not inner:
            del table[key]
    elif value is None:
        table.pop(key, None)
    else:
        table[key] = value
