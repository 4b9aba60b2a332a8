"""Lookup of several named things, with one error that lists all missing ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from seatctl.errors import JsonValue, NotFound

Found = TypeVar("Found")


def find_all(find: Callable[[str], Found], handles: Sequence[str], what: str, key: str) -> list[Found]:
    """Return `find(handle)` for each handle. Raises its NotFound, with all missing handles in the data `key`.

    `what` is the plural, such as "users"; the command that lists them is `seatctl WHAT list`.
    """
    results: list[Found] = []
    missing: dict[str, NotFound] = {}
    for handle in handles:
        try:
            results.append(find(handle))
        except NotFound as error:
            missing[handle] = error
    errors = list(missing.values())
    if len(errors) > 1:
        listed: list[JsonValue] = [*missing]
        raise type(errors[0])(
            f"there are no {what} {', '.join(missing)}", hint=f"seatctl {what} list", data={key: listed}
        )
    if errors:
        raise errors[0]
    return results
