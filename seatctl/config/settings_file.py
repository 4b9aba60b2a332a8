"""Writing config.toml: under a lock, whole or not at all, for its owner and a group it was given to."""

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


def change(environment: Environment, edit: Callable[[Settings], Settings]) -> Settings:
    """Read, edit and replace config.toml; two at once both keep their change.

    Raises `config_not_writable`, and whatever reading raises.
    """
    before = load(environment)
    try:
        # Without the lock two `init` of different profiles would each write a file that lacks the other's.
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
    """The settings with this profile added or replaced; the first one becomes the one in use."""
    if not re.fullmatch(PROFILE_NAME, profile.name):
        raise BadInput(f"{profile.name!r} is not a name for a profile: lower-case letters, digits, - and _")
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

    Raises `config_not_writable` if it cannot be made.
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
    """Write it whole. A config.toml that is a symlink, as with managed dotfiles, stays one."""
    target = Path(os.path.realpath(path))
    with new_file(target, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
        if target.exists():
            _keep_group(part, target.stat())


def _keep_group(part: Path, before: os.stat_result) -> None:
    """A service account that could read the file still can. Nobody else gets any right by it."""
    if before.st_mode & stat.S_IRGRP:
        with suppress(OSError):  # not a group of this user's
            os.chown(part, -1, before.st_gid)
            part.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)


def _text(text: str, before: Settings, after: Settings) -> str:
    """config.toml with what has changed; everything else, comments too, stays as a person wrote it."""
    import tomlkit

    # A table of its own reads best, but tomlkit refuses one between braces, and puts it wrongly below keys
    # with dots. What it made is therefore read before it replaces a person's file.
    for new_table in (tomlkit.table, tomlkit.inline_table):
        try:
            written = _edited(tomlkit.parse(text), before, after, new_table).as_string()
            if understand(after, written) == after:
                return written
        except (BadConfig, ValueError, tomlkit.exceptions.TOMLKitError):
            continue
    raise BadConfig(f"{after.path} is written in a way that cannot be changed here", hint="edit it by hand")


def _edited(
    document: TOMLDocument, before: Settings, after: Settings, new_table: Callable[[], object]
) -> TOMLDocument:
    if after.current is not None and after.current != before.current:
        document["profile"] = after.current
    for name, profile in after.profiles.items():
        was = before.profiles[name].values if name in before.profiles else {}
        for key in {**was, **profile.values}:
            if was.get(key) != profile.values.get(key):
                _put(document, ("profiles", name, *key.split(".")), profile.values.get(key), new_table)
    return document


def _put(
    table: MutableMapping[str, object],
    path: Sequence[str],
    value: Value | None,
    new_table: Callable[[], object],
) -> None:
    """Set or, with None, remove a value; tables on the way are made, or removed once empty."""
    key, *rest = path
    if rest:
        if key not in table:
            table[key] = new_table()
        inner = table[key]
        assert isinstance(inner, MutableMapping)  # `before` was understood
        _put(inner, rest, value, new_table)
        if value is None and not inner:
            del table[key]
    elif value is None:
        table.pop(key, None)
    else:
        table[key] = value
