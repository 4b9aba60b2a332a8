"""From any state, `seats apply` brings the ledger to the desired state, and a second run changes nothing."""

import contextlib
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Seatctl
from tests.support.scenes import initialised, made_once
from tests.support.subscriptions import add_subscription, ledger_place

PEOPLE = [f"p{n}@example.com" for n in range(6)]
SUBSCRIPTIONS = {"design": 6, "video": 3}
ENDS = [None, "never", "2031-01-31", "2032-01-31T12:00:00Z"]
WRITTEN = {
    "never": None,
    "2031-01-31": "2031-01-31T23:59:59Z",
    "2032-01-31T12:00:00Z": "2032-01-31T12:00:00Z",
}

pairs = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(list(SUBSCRIPTIONS)))
states = st.dictionaries(pairs, st.sampled_from(ENDS), max_size=9).filter(
    lambda state: all(
        sum(named == subscription for _, named in state) <= seats
        for subscription, seats in SUBSCRIPTIONS.items()
    )
)


@made_once
def staffed(seatctl):
    for name, seats in SUBSCRIPTIONS.items():
        add_subscription(ledger_place(seatctl), name, seats=seats)
    assert seatctl("users", "add", *PEOPLE).code == 0


@contextlib.contextmanager
def organisation():
    with tempfile.TemporaryDirectory() as home:
        yield staffed(initialised(Seatctl(Path(home) / "seatctl")))


def apply(seatctl, state, *options):
    rows = [
        {"email": email, "subscription": subscription, **({"until": until} if until else {})}
        for (email, subscription), until in state.items()
    ]
    # The file names both subscriptions, so both are pruned.
    file = seatctl.home / "state.toml"
    lines = ["[subscriptions]", *(f"{name} = []" for name in SUBSCRIPTIONS)]
    for row in rows:
        lines += ["[[seats]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    file.write_text("\n".join(lines))
    words = ("--prune", "--max-revoke", "100%", "-o", "json")
    return seatctl("seats", "apply", file, *words, *options)


def now_seated(seatctl):
    return {(row["email"], row["subscription"]): row["until"] for row in seatctl.rows("seats", "list")}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(wishes=st.lists(states, min_size=1, max_size=4))
def test_random_states_always_end_at_the_desired_state(wishes):
    with organisation() as seatctl:
        before: dict = {}
        for wish in wishes:
            expected_check = 7 if apply(seatctl, wish, "--dry-run").json["differs"] else 0
            assert apply(seatctl, wish, "--check").code == expected_check
            done = apply(seatctl, wish)
            assert done.code == 0
            if done.json["undo"]:
                undone = seatctl(*done.json["undo"].split()[1:])
                assert undone.code == 0, undone.err
                assert now_seated(seatctl) == before
                assert apply(seatctl, wish).code == 0
            found = now_seated(seatctl)
            assert set(found) == set(wish)
            for pair, until in wish.items():
                # Without an end in the file, an existing seat keeps its end.
                assert found[pair] == (WRITTEN[until] if until else before.get(pair))
            again = apply(seatctl, wish)
            assert (again.code, again.json["summary"], again.json["run"]) == (0, "nothing to do", None)
            before = found
        assert seatctl("ledger", "check").code == 0
