"""Scenes: what a fixture does to a profile is done once in a session, and copied for every other test."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import ledgers

if TYPE_CHECKING:
    from tests.conftest import Seatctl

Contents = dict[str, tuple[int, bytes | None]]
"""The mode and the bytes of everything in a folder, by its path there; a folder has no bytes."""

Kept = tuple[float, Contents, str | None]
"""When a scene was made, and what it left: in the folder, and in a ledger on a server."""

Scene = Callable[["Seatctl"], object]


def made_once(scene: Scene, *, seconds: float = math.inf) -> Callable[[Seatctl], Seatctl]:
    """The scene, whose result is copied if it was made of the same contents before, for so many seconds.

    It may depend on nothing but the profile, and may leave nothing open. `__wrapped__` makes it anew.
    """
    results: dict[tuple[object, str], Kept] = {}

    @functools.wraps(scene)
    def prepare(seatctl: Seatctl) -> Seatctl:
        before = _contents(seatctl.home)
        key = frozenset(before.items()), ledgers.state(seatctl.home)
        made, after, template = results.get(key, (-math.inf, {}, None))
        if time.monotonic() - made < seconds:
            _put(seatctl.home, before, after)
            ledgers.put(seatctl.home, template)
        else:
            started = time.monotonic()
            scene(seatctl)
            ledgers.forget(template)
            results[key] = started, _contents(seatctl.home), ledgers.keep(seatctl.home)
        return seatctl

    return prepare


@made_once
def initialised(seatctl: Seatctl) -> None:
    """A default profile; its admin is ann@example.com."""
    made = seatctl("init", "--no-input", "--actor", "ann@example.com")
    assert made.code == 0, made.err


@made_once
def with_plan(seatctl: Seatctl) -> None:
    """The flexible plan `pro`, 12.00 USD a seat and month."""
    added = seatctl("plans", "add", "pro", "--price", "12.00", "--currency", "usd")
    assert added.code == 0, added.err


# Of a subscription that was bought longer ago, Stripe prorates less than a month.
@functools.partial(made_once, seconds=20)
def with_subscription(seatctl: Seatctl) -> None:
    """`design`: five free seats of `pro`, bought by card."""
    words = "subs buy --plan pro --seats 5 --name design --owner ann@example.com"
    paid = "--billing-email pay@example.com --payment-method pm_card_visa --yes"
    bought = seatctl(*words.split(), *paid.split())
    assert bought.code == 0, bought.err


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
