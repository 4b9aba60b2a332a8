"""Finding several things that arguments name: all that are not there are named at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from seatctl.errors import JsonValue, NotFound

Found = TypeVar("Found")


def find_all(find: Callable[[str], Found], handles: Sequence[str], what: str, key: str) -> list[Found]:
    """What `find` finds of each handle. Raises its NotFound, of several one that lists them under `key`.

    `what` is the plural: "users". The command that lists them is `seatctl WHAT list`.
    """
    found: list[Found] = []
    missing: dict[str, NotFound] = {}
    for handle in handles:
        try:
            found.append(find(handle))
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
    return found
