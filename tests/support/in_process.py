"""What makes thousands of commands in one process cheap."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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
