"""Scenes: what a fixture does to a profile is done once in a session, and copied for every other test."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Seatctl

SECONDS = 20.0

Contents = dict[str, tuple[int, bytes | None]]
"""The mode and the bytes of everything in a folder, by its path there; a folder has no bytes."""


def made_once(scene: Callable[[Seatctl], object]) -> Callable[[Seatctl], Seatctl]:
    """The scene, whose result is copied if it was made of the same contents before.

    It may depend on nothing but the profile, and may leave nothing open. After a while it is made again: of
    a subscription that was bought too long ago, Stripe prorates less than the whole.
    """
    results: dict[frozenset[tuple[str, tuple[int, bytes | None]]], tuple[float, Contents]] = {}

    @functools.wraps(scene)
    def prepare(seatctl: Seatctl) -> Seatctl:
        before = _contents(seatctl.home)
        key = frozenset(before.items())
        made, after = results.get(key, (-SECONDS, {}))
        if time.monotonic() - made < SECONDS:
            _put(seatctl.home, before, after)
        else:
            started = time.monotonic()
            scene(seatctl)
            for stale in [one for one, (made, _) in results.items() if started - made > SECONDS]:
                del results[stale]
            results[key] = started, _contents(seatctl.home)
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
