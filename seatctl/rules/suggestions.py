"""The known names nearest to an unknown one, for hints. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], limit: int = 3, likeness: float = 0.6) -> list[str]:
    """Return at most `limit` candidates that resemble `word`, best first, ignoring case."""
    from difflib import get_close_matches  # takes 4 ms, and is needed only after a mistake

    by_key = {candidate.casefold(): candidate for candidate in candidates}
    key = word.casefold()
    starting = [name for folded, name in by_key.items() if key and folded.startswith(key)]
    close = [by_key[folded] for folded in get_close_matches(key, by_key, n=limit, cutoff=likeness)]
    return list(dict.fromkeys([*close, *sorted(starting)]))[:limit]


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str) -> str:
    """Return the hint `did you mean a, b?` if a candidate is near, else `otherwise`."""
    names = nearest(word, candidates)
    return f"did you mean {', '.join(names)}?" if names else otherwise
