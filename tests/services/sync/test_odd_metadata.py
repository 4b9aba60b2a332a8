"""Anybody may edit metadata and amounts in the dashboard: what cannot be is left out, and nothing stops."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import objects, sandbox_path, twin
from tests.support.subscriptions import query

ODD = ("x", "-5", "99999999999999999999", "[]", '{"enabled":true,"until":"soon","keep_free":"q"}', "\x1b[31m")
KEYS = (
    "seatctl_paid_seats",
    "seatctl_paid_until",
    "seatctl_next_quantity",
    "seatctl_auto_approval",
    "seatctl_owner",
    "seatctl_policy_pack_size",
)


@pytest.mark.parametrize("key", KEYS)
def test_metadata_that_cannot_be_says_nothing(sandbox, team, key):
    assert sandbox("subs", "set-seats", team, "4", "--yes").code == 0  # so that there is all of it
    (bought,) = objects(sandbox, "subscription")
    for text in ODD:
        with twin(sandbox) as stripe:
            send(stripe, f"subscriptions/{bought['id']}", {"metadata": {key: text}})
        synced = sandbox("sync", "-o", "json")
        assert (synced.code, synced.json["skipped"]) == (0, 0), (text, synced.err)
        assert sandbox("reconcile", "--check").code == 0
        (subscription,) = sandbox.rows("subs", "list")
        assert subscription["seats"] in (4, 5), text  # what is paid for, else what Stripe's item says
    with twin(sandbox) as stripe:
        send(stripe, f"subscriptions/{bought['id']}", {"metadata": {key: bought["metadata"][key]}})
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["seats"] == 5


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("price", "$.unit_amount", -1),
        ("invoice", "$.created", 10**18),
        ("subscription", "$.billing_cycle_anchor", 10**18),
    ],
)
def test_a_value_that_cannot_be_is_skipped(sandbox, team, kind, path, value):
    statement = "UPDATE objects SET body = json_set(body, ?, ?) WHERE kind = ?"
    query(sandbox_path(sandbox), statement, path, value, kind)
    synced = sandbox("sync", "--full", "-o", "json")
    assert synced.code == 0, synced.err
    assert {row["kind"] for row in synced.rows if row["result"] == "skipped"} == {kind}
