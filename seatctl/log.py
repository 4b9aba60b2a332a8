"""The rotating log, redacted. Imported only when there is something to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from seatctl.redact import redact

MAX_BYTES = 1_000_000
BACKUPS = 3


def log_path(environment: Mapping[str, str]) -> Path:
    """Where the log is, even where config.toml cannot be read."""
    from seatctl.settings import places

    return places(environment).data / "log" / "seatctl.log"


def append(path: Path, text: str) -> bool:
    """Add a redacted entry with its UTC time; false where the log cannot be written."""
    import logging
    import time
    from logging.handlers import RotatingFileHandler

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
    except OSError:
        return False
    formatter = logging.Formatter("%(asctime)s %(process)d %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    try:
        handler.emit(logging.makeLogRecord({"msg": redact(text), "process": os.getpid()}))
    finally:
        handler.close()
    return True
