"""What lets one process run thousands of commands: quickly, and each as if it were alone."""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from seatctl.cli.framework import app

_load = functools.cache(app.load)


@contextmanager
def commands_built_once() -> Iterator[None]:
    """Keep the commands that Typer has built for the next time, as a batch does for its lines."""
    load, app.load = app.load, _load
    try:
        yield
    finally:
        app.load = load


@contextmanager
def connections_closed() -> Iterator[None]:
    """Close what was opened of ledgers and sandboxes, as the end of a process does.

    A connection that stays open keeps its locks, or loses them, while other processes write.
    """
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remember(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    sqlite3.connect = remember
    try:
        yield
    finally:
        sqlite3.connect = connect
        for connection in opened:
            connection.close()


@contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Exactly these variables; those of before afterwards. Only what differs is touched."""
    before = dict(os.environ)
    _change(before, wanted)
    try:
        yield
    finally:
        _change(dict(os.environ), before)


def _change(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for name in before.keys() - after.keys():
        del os.environ[name]
    for name, value in after.items():
        if before.get(name) != value:
            os.environ[name] = value
