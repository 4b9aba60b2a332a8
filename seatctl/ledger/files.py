"""The ledger as a file among others: made for its owner alone, on a file system that can carry it."""

from __future__ import annotations

import os
from pathlib import Path

from seatctl.ledger.failures import LedgerReadOnly

_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "ceph", "glusterfs"))


def is_frozen(path: Path) -> bool:
    """Whether the file lies on a file system that is mounted read-only, and its log holds nothing.

    Nothing is written through that mount, so it is read as it is: SQLite could not make the files by which
    readers and writers of a log find each other. A log that was left behind holds changes; that is not
    passed over.
    """
    try:
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
        log = path.with_name(f"{path.name}-wal")
        return not log.exists() or not log.stat().st_size
    except (OSError, AttributeError):  # no such file, no such call on this system
        return False


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
        raise LedgerReadOnly(
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
