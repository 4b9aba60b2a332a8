"""Random states brought about by `seats apply`, and undone: the state before is the state again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PEOPLE = [f"p{n}@example.com" for n in range(7)]
ENDS = ("", "2040-01-01", "2041-06-30")

rows = st.fixed_dictionaries(
    {"name": st.sampled_from(("", "Ada", "Zoë O'Hara")), "until": st.sampled_from(ENDS)}
)
states = st.dictionaries(st.sampled_from(PEOPLE), rows, max_size=5)


def state(seatctl) -> tuple:
    people = [
        (row["email"], row["name"], row["group"], row["status"]) for row in seatctl.rows("users", "list")
    ]
    return people, sorted((row["email"], row["until"] or "") for row in seatctl.rows("seats", "list"))


def apply(seatctl, wanted: dict) -> int | None:
    """Bring a state about; the run, None where it was so already."""
    text = "email,subscription,name,until\n" + "".join(
        f"{email},design,{row['name']},{row['until']}\n" for email, row in wanted.items()
    )
    words = ("seats", "apply", "-", "--prune", "--create-users", "--max-revoke", "100%", "-o", "json")
    done = seatctl(*words, stdin=text)
    assert done.code == 0, done.err
    return done.json["run"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(states.filter(bool), min_size=1, max_size=3))
def test_an_applied_state_is_taken_back_whole(sandbox, team, wanted):
    """Several in a row, then undone one by one; the ledger goes on from example to example."""
    trail = []
    for one in wanted:
        before, run = state(sandbox), apply(sandbox, one)
        if run is not None:
            trail.append((before, run))
        assert [row[0] for row in state(sandbox)[1]] == sorted(one)
    for before, run in reversed(trail):
        undone = sandbox("runs", "undo", run, "-o", "json")
        assert undone.code == 0, undone.err
        assert state(sandbox) == before
    assert sandbox("audit", "verify").code == 0
    assert sandbox("ledger", "check").code == 0
