"""How a list of Stripe is divided to be read in parallel: nothing twice, nothing missed, little in vain."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from seatctl.billing.listings import BEGINNING, PAGE, rest
from seatctl.models.stripe_objects import Span

NOW = 1_795_000_000


class Reading(NamedTuple):
    """What was read of a list as Stripe pages it."""

    objects: list[int]
    """By their places in the list."""
    requests: int
    rounds: int
    """Of requests that are sent at once."""


def read(created: list[int]) -> Reading:
    newest_first = sorted(range(len(created)), key=lambda n: (-created[n], n))
    place = {f"id_{n}": where for where, n in enumerate(newest_first)}
    spans, found, asked, rounds = [Span(BEGINNING, NOW)], list[int](), 0, 0
    while spans:
        todo, spans, rounds = spans, [], rounds + 1
        asked += len(todo)
        for span in todo:
            begin = 0 if span.after is None else place[span.after] + 1
            inside = [n for n in newest_first[begin:] if span.first <= created[n] <= span.last]
            page = inside[:PAGE]
            found += page
            if len(inside) > PAGE:
                spans += rest(span, [created[n] for n in page], f"id_{page[-1]}")
    return Reading(found, asked, rounds)


@given(st.lists(st.integers(NOW - 5_000, NOW - 4_000) | st.integers(BEGINNING, NOW), max_size=900))
def test_every_object_is_read_once_whenever_it_was_made(created):
    assert sorted(read(created).objects) == list(range(len(created)))


def test_a_list_that_grew_evenly_takes_few_rounds_and_hardly_more_requests_than_pages():
    done = read([NOW - 6_000 * n for n in range(10_000)])
    assert len(done.objects) == 10_000
    assert done.requests <= 110
    assert done.rounds <= 8
    assert read([NOW - 40_000 * n for n in range(3_000)]).rounds <= 5


def test_a_list_that_grew_unevenly_takes_at_most_two_requests_for_a_page():
    done = read([NOW - n * n for n in range(10_000)])
    assert len(done.objects) == 10_000
    assert done.requests <= 200


def test_a_list_that_grows_in_bursts_takes_hardly_more_requests_than_pages():
    months = [NOW - month * 30 * 86_400 - n * 18 for month in range(50) for n in range(200)]
    assert read(months).requests <= 110
