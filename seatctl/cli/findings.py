"""The result of one check of `doctor`."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """The result of one check and, if something is wrong, what to type. `doctor` names the check."""

    result: Literal["ok", "warning", "problem"]
    detail: str
    repair: str | None = None
    check: str = ""
