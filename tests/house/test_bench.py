"""The budgets, bounded: small sizes and twice the slack, so that a busy machine does not fail them.

`python -m bench --whole` measures the real ones.
"""

from __future__ import annotations

import pytest

from bench import engines
from bench.batch import batch
from bench.bulk import apply_state, assign_seats, import_users
from bench.large_ledger import large_ledger
from bench.measure import Figure
from bench.memory import memory
from bench.questions import questions
from bench.startup import search, start_up

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SLACK = 2.0


START_SLACK = 1.35
"""A start takes a tenth of a second, so that its ratio is steadier."""


def within(figure: Figure, slack: float = SLACK) -> bool:
    return figure.budget is None or figure.ratio <= figure.budget * slack


def test_an_import_costs_a_small_multiple_of_writing_the_rows(tmp_path):
    figure = import_users(tmp_path, 20_000, rounds=3)
    assert within(figure), figure.line()


def test_so_does_an_assignment(tmp_path):
    figures = assign_seats(tmp_path, 20_000, rounds=1)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_so_does_a_desired_state_the_second_time_too(tmp_path):
    figures = apply_state(tmp_path, 20_000, rounds=1)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_a_batch_costs_a_small_part_of_as_many_processes(tmp_path):
    figure = batch(tmp_path, 600, sample=10)
    assert within(figure), figure.line()


def test_one_row_questions_start_as_fast_as_a_bare_command(tmp_path):
    figures = start_up(tmp_path, 2_000, rounds=9)
    assert all(within(figure, START_SLACK) for figure in figures), "\n".join(
        figure.line() for figure in figures
    )


def test_a_search_costs_no_more_than_starting_up(tmp_path):
    figures = search(tmp_path, 20_000, rounds=5)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_what_concerns_few_rows_costs_the_same_among_many(tmp_path):
    figures = questions(tmp_path, 5_000, rounds=3)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_memory_does_not_grow_with_the_file(tmp_path):
    figures = memory(tmp_path, 3_000, 30_000)
    assert all(figure.kept for figure in figures), "\n".join(figure.line() for figure in figures)


def test_on_a_server_an_import_costs_a_small_multiple_of_one_into_a_file(tmp_path):
    figures = engines.import_users(tmp_path, 10_000, rounds=1)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_on_a_server_so_does_an_assignment(tmp_path):
    figures = engines.assign_seats(tmp_path, 10_000, rounds=1)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)


def test_on_a_server_a_check_starts_as_fast_as_a_bare_script(tmp_path):
    figures = engines.check(tmp_path, 1_000, rounds=7)
    assert all(within(figure, START_SLACK) for figure in figures), "\n".join(
        figure.line() for figure in figures
    )


def test_on_a_server_lists_of_few_rows_cost_the_same_among_many(tmp_path):
    figures = large_ledger(tmp_path, 50_000, rounds=3)
    assert all(map(within, figures)), "\n".join(figure.line() for figure in figures)
