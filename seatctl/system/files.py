"""Output files: the path is checked first, and the file appears only when it is complete.

A mistyped path may be another name of an important file (a symlink, a hard link, a relative path, the ledger
of another profile). It is compared with all of these before anything is written, and before the user is
asked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, LedgerError, NotFound, Refusal, SeatctlError, refuse

STDOUT = "-"

_BESIDE_A_DATABASE = ("-wal", "-shm", "-journal", ".lock", ".mail-lock", ".batch-lock", ".sync-lock")
_IN_USE = ("-wal", "-journal")
_ANOTHER = "name another file"


class ProtectedFile(NamedTuple):
    """A file that a command must not overwrite, and its description."""

    description: str
    path: Path


class CannotWrite(LedgerError):
    """The file cannot be written."""

    kind = Code.CANNOT_WRITE


def database(description: str, path: Path) -> Iterator[ProtectedFile]:
    """Yield a database and the files beside it."""
    yield ProtectedFile(description, path)
    for ending in _BESIDE_A_DATABASE:
        yield ProtectedFile(f"a part of {description}", path.with_name(path.name + ending))


def check_target(
    path: Path,
    own: Iterable[ProtectedFile],
    *,
    overwrite: bool,
    existing: bool = True,
    hint: str = _ANOTHER,
) -> Path:
    """Return the file to write, with symlinks resolved.

    `overwrite` allows an existing file to be replaced; with `existing=False` the caller handles existing
    files. Raises `own_file`, `not_a_file`, `file_exists`, NotFound.
    """
    target = Path(os.path.realpath(path))
    for protected in own:
        if is_same(target, protected.path):
            raise _refused(Code.OWN_FILE, path, f"is {protected.description}; nothing was written", hint)
    try:
        status = path.stat()  # of the path as typed: /dev/stdout leads to a pipe, which has no path
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except OSError as error:
        raise cannot_write(path, error) from error
    if status is not None and not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise _refused(Code.NOT_A_FILE, path, f"is {kind}; nothing was written", hint)
    if status is not None and existing:
        _check_existing(path, target, overwrite=overwrite)
    if os.path.lexists(target.parent) and not target.parent.is_dir():
        raise cannot_write(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not target.parent.is_dir():
        # Not created silently: that would hide that the disk for backups is not mounted.
        raise NotFound(f"there is no folder {path.parent}", hint="create it first, or name another file")
    return target if path.is_symlink() else path


def _check_existing(path: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise _refused(Code.FILE_EXISTS, path, "exists already", f"{_ANOTHER}, or add --overwrite")
    for ending in _IN_USE:
        # SQLite would apply the old file's log to the new file.
        with suppress(OSError):
            if target.with_name(target.name + ending).stat().st_size:
                in_use = f"is a database in use: there is {target.name}{ending} beside it"
                raise _refused(Code.FILE_EXISTS, path, in_use)


def is_same(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, which need not exist, by symlinks, hard links or dots."""
    first, second = Path(os.path.realpath(path)), Path(os.path.realpath(other))
    try:
        return first == second or first.samefile(second)
    except OSError:  # one of the files does not exist, and the paths differ
        return False


@contextmanager
def new_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a private file (mode 0600) that becomes `target` on leaving, or is deleted on an exception.

    It is created beside the target and renamed: readers see the old file or the complete new one, also after
    a kill or on a full disk. Without `overwrite`, a file that was created there meanwhile is kept. Raises
    CannotWrite, `file_exists`.
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
        raise _refused(Code.FILE_EXISTS, target, "exists already") from None
    except OSError:  # a file system without hard links
        part.replace(target)


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """Return the refusal for an error of the operating system."""
    data: dict[str, JsonValue] = {"path": str(path)}
    return CannotWrite(f"{path} cannot be written: {error.strerror}", hint=_ANOTHER, data=data)


def _refused(code: Refusal, path: Path, problem: str, hint: str = _ANOTHER) -> SeatctlError:
    return refuse(code, f"{path} {problem}", hint=hint, data={"path": str(path)})


def _flush(path: Path) -> None:
    """Flush what was written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def for_stdout() -> Iterator[Path]:
    """Yield a file for output that goes to stdout once it is complete; deleted afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="seatctl-") as folder:
        yield Path(folder) / "output"


@contextmanager
def input_file(text: str) -> Iterator[Path]:
    """Yield the file at a path; for `-` a copy of stdin, deleted afterwards."""
    if text != STDOUT:
        from seatctl.system.refusals import expanded

        yield expanded(text)
        return
    import shutil
    import sys

    with for_stdout() as path:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
