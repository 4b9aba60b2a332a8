"""Refusals for errors of the operating system: no home folder, no more file descriptors, no permission.

Imported only after an error, so that other commands do not pay for it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from seatctl.errors import Code, LedgerError, SeatctlError, refuse

_REFUSALS = frozenset(
    (
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
        errno.ESTALE,
    )
)
"""Error numbers that depend on files, disks and permissions only. ENOENT is not one: it may be a bug."""

_TOO_MANY = frozenset((errno.EMFILE, errno.ENFILE))


class SystemRefused(LedgerError):
    """The operating system refused to read or write a file."""

    kind = Code.SYSTEM_REFUSED


def no_home() -> SeatctlError:
    """Return the refusal for a user without a home folder."""
    return refuse(
        Code.NO_HOME,
        f"HOME is not set, and user {os.getuid()} has no home folder",
        hint="set HOME, or set SEATCTL_CONFIG to a folder for everything",
    )


def expanded(text: str) -> Path:
    """Return a path with ~ expanded. Raises `no_home`, and `unknown_home` for `~name` of an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        name = text.partition("/")[0]
        if name == "~":
            raise no_home() from None
        raise refuse(
            Code.UNKNOWN_HOME, f"{text}: there is no home folder {name}", hint="use an absolute path"
        ) from None


def too_many_files() -> SeatctlError:
    """Return the refusal if no file descriptor is left."""
    return refuse(
        Code.TOO_MANY_FILES, "too many files are open", hint="raise the limit, for example: ulimit -n 256"
    )


def is_out_of_files() -> bool:
    """Return whether no more files can be opened. SQLite says only that it cannot open its own file."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in _TOO_MANY
    return False


def as_refusal(error: Exception) -> SeatctlError | None:
    """Return the refusal for an error of the system or of text that is not UTF-8; None for other errors."""
    refusal = _refusal(error)
    if refusal is not None:
        refusal.__cause__ = error
    return refusal


def _missing_folder(error: OSError) -> SystemRefused | None:
    """Return the refusal if a folder is missing that every program needs; None for other missing files."""
    if "temporary directory" in (error.strerror or ""):
        return SystemRefused(
            "no folder for temporary files is writable", hint="set TMPDIR to a folder that you can write to"
        )
    try:
        Path.cwd()
    except OSError:
        return SystemRefused("the current folder was deleted", hint="change to another folder: cd")
    return None


def _refusal(error: Exception) -> SeatctlError | None:
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        shown = ascii(error.object[max(0, error.start - 20) : error.end + 20])
        return refuse(Code.TEXT_NOT_UTF8, f"{shown} is not UTF-8", hint="save or type it again as UTF-8")
    if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):
        return too_many_files()
    if isinstance(error, MemoryError):
        return refuse(
            Code.OUT_OF_RESOURCES, "there is not enough memory", hint="free some memory, or raise the limit"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return refuse(
            Code.OUT_OF_RESOURCES,
            "no thread can be started",
            hint="raise the limit of processes: ulimit -u",
        )
    return _refused_file(error) if isinstance(error, OSError) else None


def _refused_file(error: OSError) -> SeatctlError | None:
    if error.errno in _TOO_MANY:
        return too_many_files()
    if error.errno == errno.ENOENT:
        return _missing_folder(error)
    if error.errno not in _REFUSALS:
        return None
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return SystemRefused(f"{where}{error.strerror}", hint="seatctl doctor")
