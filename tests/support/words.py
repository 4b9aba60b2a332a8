"""A command line with another value for one of its options: no option is given twice."""

from __future__ import annotations

from collections.abc import Sequence


def instead(words: Sequence[str], *options: str) -> list[str]:
    """The words, with `--option value` pairs of `options` in the place of those that the words have."""
    named = {word for word in options if word.startswith("--")}
    kept, skip = [], False
    for word in words:
        if not skip and word not in named:
            kept.append(word)
        skip = not skip and word in named
    return [*kept, *options]
