"""Scenes: what a fixture does to a profile is done once in a session, and copied for every other test."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Seatctl

Contents = dict[str, tuple[int, bytes | None]]
"""The mode and the bytes of everything in a folder, by its path there; a folder has no bytes."""


def made_once(scene: Callable[[Seatctl], object]) -> Callable[[Seatctl], Seatctl]:
    """The scene, whose result is copied if it was made of the same contents before.

    It may depend on nothing but the profile, and may leave nothing open.
    """
    results: dict[frozenset[tuple[str, tuple[int, bytes | None]]], Contents] = {}

    @functools.wraps(scene)
    def prepare(seatctl: Seatctl) -> Seatctl:
        before = _contents(seatctl.home)
        key = frozenset(before.items())
        if key in results:
            _put(seatctl.home, before, results[key])
        else:
            scene(seatctl)
            results[key] = _contents(seatctl.home)
        return seatctl

    return prepare


def _contents(home: Path) -> Contents:
    if not home.exists():
        return {}
    return {
        str(path.relative_to(home)): (path.stat().st_mode, None if path.is_dir() else path.read_bytes())
        for path in (home, *sorted(home.rglob("*")))
    }


def _put(home: Path, before: Contents, after: Contents) -> None:
    """Make the folder's contents `after`; `before` are those that it has."""
    for name in sorted(before.keys() - after.keys(), reverse=True):
        (home / name).rmdir() if before[name][1] is None else (home / name).unlink()
    for name, (mode, data) in after.items():
        path = home / name
        if before.get(name) == (mode, data):
            continue
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.write_bytes(data)
        path.chmod(mode & 0o7777)
