"""The ledger as a file among others: made for its owner alone, on a file system that can carry it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from seatctl.errors import Code, refuse

_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "ceph", "glusterfs"))


def may_write(path: Path) -> bool:
    """Whether this user may write the file, and have the files beside it that SQLite needs to do so.

    False as well where the file system is mounted read-only, and of a file that is not there.
    """
    if not os.access(path, os.W_OK):
        return False
    return os.access(_beside(path, "").parent, os.W_OK) or all(
        os.access(_beside(path, end), os.W_OK) for end in ("-wal", "-shm")
    )


def is_shared(path: Path) -> bool:
    """Whether the files are there by which readers and writers of the write-ahead log find each other."""
    return _beside(path, "-wal").exists() and _beside(path, "-shm").exists()


def has_log(path: Path) -> bool:
    """Whether a log or journal beside the file holds what the file itself does not."""
    for end in ("-wal", "-journal"):
        with suppress(OSError):
            if _beside(path, end).stat().st_size:
                return True
    return False


def _beside(path: Path, end: str) -> Path:
    """SQLite puts its files beside the ledger itself, not beside a symlink to it."""
    return Path(f"{os.path.realpath(path)}{end}")


def fingerprint(path: Path) -> tuple[int, ...]:
    """What differs after the file was written to or replaced."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def create_file(path: Path) -> None:
    """An empty file that only its owner can read, from its first byte; an existing one is left alone.

    SQLite gives `-wal` and `-shm` the mode of the file beside which they stand. O_EXCL, because opening
    and closing an existing ledger here would drop the locks that this process holds on it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise refuse(
            Code.LEDGER_READ_ONLY,
            f"cannot create the ledger {path}: {error.strerror}",
            hint="name another place: seatctl --ledger PATH init",
        ) from error


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The kind of network file system that `path` lies on, as Linux tells it; None: local, or not known.

    SQLite's locks and its shared memory do not work across machines.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
        target = str(path.resolve())
    except OSError:
        return None
    best, kind = "", ""
    for line in lines:
        point, found = line.split(" ")[1:3]
        point = point.replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind if kind in _NETWORK else None
