"""Files that a command writes where it is told to: the path is checked first, the file appears whole.

A path may be typed wrong, or be another name of something that matters (a symlink, a hard link, a relative
path, another profile's ledger). It is compared with all of that before anything is written or asked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from seatctl.errors import Code, LedgerError, NotFound, refuse

STDOUT = "-"

_BESIDE_A_DATABASE = ("-wal", "-shm", "-journal", ".lock", ".mail-lock", ".batch-lock")
_IN_USE = ("-wal", "-journal")


class ProtectedFile(NamedTuple):
    """A file that a command must not write over, and what it is."""

    what: str
    path: Path


class CannotWrite(LedgerError):
    """The file cannot be written."""

    kind = Code.CANNOT_WRITE


def database(what: str, path: Path) -> Iterator[ProtectedFile]:
    """A database, and what is kept beside it."""
    yield ProtectedFile(what, path)
    for ending in _BESIDE_A_DATABASE:
        yield ProtectedFile(f"a part of {what}", path.with_name(path.name + ending))


def check_target(
    path: Path,
    own: Iterable[ProtectedFile],
    *,
    overwrite: bool,
    existing: bool = True,
    hint: str = "name another file",
) -> Path:
    """The file to write, a symlink followed. Raises `own_file`, `not_a_file`, `file_exists`, NotFound.

    `overwrite` allows a file that is there to be replaced; `existing=False` leaves what to do about it to
    the caller.
    """
    target = Path(os.path.realpath(path))
    for one in own:
        if is_same(target, one.path):
            raise refuse(
                Code.OWN_FILE,
                f"{path} is {one.what}; nothing was written",
                hint=hint,
                data={"path": str(path)},
            )
    try:
        found = path.stat()  # of the path as it is typed: /dev/stdout leads to a pipe, which has no path
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError as error:
        raise cannot_write(path, error) from error
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise refuse(
            Code.NOT_A_FILE,
            f"{path} is {kind}; nothing was written",
            hint=hint,
            data={"path": str(path)},
        )
    if found is not None and existing:
        _check_existing(path, target, overwrite=overwrite)
    if os.path.lexists(target.parent) and not target.parent.is_dir():
        raise cannot_write(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not target.parent.is_dir():
        # Made silently, it would hide that the disk for backups is not mounted.
        raise NotFound(f"there is no folder {path.parent}", hint="make it first, or name another file")
    return target if path.is_symlink() else path


def _check_existing(path: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise refuse(
            Code.FILE_EXISTS,
            f"{path} is there already",
            hint="name another file, or add --overwrite",
            data={"path": str(path)},
        )
    for ending in _IN_USE:
        # A new file would be read together with the changes that the old one's log holds.
        with suppress(OSError):
            if target.with_name(target.name + ending).stat().st_size:
                raise refuse(
                    Code.FILE_EXISTS,
                    f"{path} is a database in use: {target.name}{ending} lies beside it",
                    hint="name another file",
                    data={"path": str(path)},
                )


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not be there: by symlinks, hard links or dots."""
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    try:
        return first == second or first.samefile(second)
    except OSError:  # one of them is not there, so that they are one only by name
        return False


@contextmanager
def new_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A private file to write (0600), which becomes `target` on leaving; after an exception nothing is left.

    It lies beside the target, so that a reader, a kill or a full disk find the old file or the new one.
    Without `overwrite`, a file that somebody else has put there meanwhile is kept. Raises CannotWrite,
    `file_exists`.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield part
        _flush(part)
        if overwrite:
            part.replace(target)
        else:
            _put(part, target)
        _flush(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _put(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise refuse(
            Code.FILE_EXISTS,
            f"{target} is there already",
            hint="name another file",
            data={"path": str(target)},
        ) from None
    except OSError:  # a file system without hard links
        part.replace(target)


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The refusal that an error of the system means."""
    return CannotWrite(
        f"{path} cannot be written: {error.strerror}", hint="name another file", data={"path": str(path)}
    )


def _flush(path: Path) -> None:
    """Have the disk hold what was written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
