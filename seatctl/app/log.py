"""The rotating, redacted log of calls to Stripe and bugs; imported at the first entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from seatctl.config.settings import places
from seatctl.output.redact import redact

MAX_BYTES = 1_000_000
BACKUPS = 3


class Log:
    """An open log file, readable by its owner only. If it cannot be written, the command goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handler = _open(path)

    def write(self, text: str) -> bool:
        """Add a redacted entry with UTC time and process id; return False if the log cannot be written."""
        if self._handler is None:
            return False
        self._handler.handle(logging.makeLogRecord({"msg": redact(text)}))
        return not self._handler.failed

    def close(self) -> None:
        """Close the file. On a full disk the last lines are lost; the exit code does not change."""
        if self._handler is not None:
            with suppress(OSError):
                self._handler.close()


def log_path(environment: Mapping[str, str]) -> Path:
    """Return the path of the log, even if config.toml cannot be read."""
    return places(environment).data / "log" / "seatctl.log"


class _Private(RotatingFileHandler):
    """A log whose rotated files are readable by their owner only, and which survives a full disk."""

    failed = False

    def _open(self):  # type: ignore[no-untyped-def]  # TextIOWrapper[_WrappedBuffer], private to typeshed
        Path(self.baseFilename).touch(mode=0o600)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:
        """Remember the failure without printing it."""
        self.failed = True


def _open(path: Path) -> _Private | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _Private(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
    except OSError:
        return None
    formatter = logging.Formatter("%(asctime)s %(process)d %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler
