"""The ledger as a file: creation with private permissions, access rights, and the kind of file system."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from seatctl.errors import Code, refuse

_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "ceph", "glusterfs"))


def may_write(path: Path) -> bool:
    """Return whether this user may write the file and the files that SQLite needs beside it.

    False also on a read-only file system, and if the file does not exist.
    """
    if not os.access(path, os.W_OK):
        return False
    return os.access(_beside(path, "").parent, os.W_OK) or all(
        os.access(_beside(path, end), os.W_OK) for end in ("-wal", "-shm")
    )


def is_shared(path: Path) -> bool:
    """Return whether the shared files of the write-ahead log exist."""
    return _beside(path, "-wal").exists() and _beside(path, "-shm").exists()


def has_log(path: Path) -> bool:
    """Return whether a log or journal beside the file has changes that are not in the file itself."""
    for end in ("-wal", "-journal"):
        with suppress(OSError):
            if _beside(path, end).stat().st_size:
                return True
    return False


def _beside(path: Path, end: str) -> Path:
    """Return a path beside the real file: SQLite does not put its files beside a symlink."""
    return Path(f"{os.path.realpath(path)}{end}")


def fingerprint(path: Path) -> tuple[int, ...]:
    """Return numbers that differ after the file was written to or replaced."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def create_file(path: Path) -> None:
    """Create an empty file that only its owner can read; an existing file is left alone.

    SQLite gives `-wal` and `-shm` the mode of the ledger. O_EXCL, because opening and closing an existing
    ledger here would drop the locks that this process holds on it.
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
            hint="choose another path: seatctl --ledger PATH init",
        ) from error


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the kind of network file system that holds `path`, on Linux; None if local or unknown.

    SQLite's locks and shared memory do not work across machines.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
        target = str(path.resolve())
    except OSError:
        return None
    best, kind = "", ""
    for line in lines:
        point, point_kind = line.split(" ")[1:3]
        point = point.replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, point_kind
    return kind if kind in _NETWORK else None
