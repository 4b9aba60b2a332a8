"""`refuses(Code.X)`: what `pytest.raises` is to classes, for refusals of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seatctl.errors import Refusal, SeatctlError


@contextmanager
def refuses(*kinds: Refusal, match: str | None = None) -> Iterator[pytest.ExceptionInfo[SeatctlError]]:
    """Fail unless the block raises a refusal of one of these kinds."""
    with pytest.raises(SeatctlError, match=match) as caught:
        yield caught
    assert caught.value.kind in kinds
