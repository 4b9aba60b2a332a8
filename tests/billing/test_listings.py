"""How a list of Stripe is divided to be read in parallel: nothing twice, nothing missed, little in vain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seatctl.billing.listings import BEGINNING, PAGE, rest
from seatctl.models.stripe_objects import Span

NOW = 1_795_000_000


def read(created: list[int]) -> tuple[list[int], int]:
    """Every object of a list as Stripe pages it, by its place, and how many pages were asked for."""
    newest_first = sorted(range(len(created)), key=lambda n: (-created[n], n))
    place = {f"id_{n}": where for where, n in enumerate(newest_first)}
    todo, found, asked = [Span(BEGINNING, NOW)], list[int](), 0
    while todo:
        span, asked = todo.pop(), asked + 1
        begin = 0 if span.after is None else place[span.after] + 1
        inside = [n for n in newest_first[begin:] if span.first <= created[n] <= span.last]
        page = inside[:PAGE]
        found += page
        if len(inside) > PAGE:
            todo += rest(span, [created[n] for n in page], f"id_{page[-1]}")
    return found, asked


@given(st.lists(st.integers(NOW - 5_000, NOW - 4_000) | st.integers(BEGINNING, NOW), max_size=900))
def test_every_object_is_read_once_whenever_it_was_made(created):
    found, _ = read(created)
    assert sorted(found) == list(range(len(created)))


def test_a_list_that_grew_evenly_takes_hardly_more_requests_than_pages():
    found, asked = read([NOW - 6_000 * n for n in range(10_000)])
    assert len(found) == 10_000
    assert asked <= 110


def test_a_list_that_grew_unevenly_takes_at_most_two_requests_for_a_page():
    found, asked = read([NOW - n * n for n in range(10_000)])
    assert len(found) == 10_000
    assert asked <= 200
