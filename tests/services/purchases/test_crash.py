"""Money commands killed at every point: before and after each call to Stripe and each commit.

Afterwards `sync`, or the same command again, or a `sync` a day later, when Stripe has forgotten the keys:
charged once or not at all, nothing half-made on either side, and the command can be repeated. By default
every point of a buy that `sync` recovers, and every third of the rest; all of them with --whole-proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from seatctl.sandbox.api import control
from tests.conftest import Seatctl
from tests.support.both_sides import (
    advance,
    assert_agree,
    charges,
    live_subscriptions,
    objects,
    twin,
)
from tests.support.killing import Killed, Killing

ORDER = (
    "subs buy --plan pro --seats 3 --name lab --owner lee@example.com --billing-email pay@example.com --yes"
)


@dataclass(frozen=True)
class Story:
    """A command, its exit code when nothing disturbs it and when it is repeated after it was done."""

    command: str
    proof: Callable[[Seatctl], bool]
    """Whether what the command wants is so now."""
    code: int = 0
    repeated: tuple[int, ...] = (0,)
    charged: tuple[int, ...] = ()
    points: int = 8
    """The fewest points there can be: a proof that kills nowhere proves nothing."""

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(self.command.split())


def has_lab(seatctl) -> bool:
    return [(row["name"], row["seats"]) for row in seatctl.rows("subs", "list") if row["name"] == "lab"] == [
        ("lab", 3)
    ]


def has_no_lab(seatctl) -> bool:
    return not has_lab(seatctl) and len(live_subscriptions(seatctl)) == 1


def plan_costs(slug, amount) -> Callable[[Seatctl], bool]:
    return lambda seatctl: (
        (slug, amount) in [(row["slug"], row["unit_amount"]) for row in seatctl.rows("plans", "list")]
    )


def is_called_studio(seatctl) -> bool:
    return [row["name"] for row in seatctl.rows("subs", "list")] == ["studio"]


def approves_by_itself(seatctl) -> bool:
    return '"enabled":true' in objects(seatctl, "subscription")[0]["metadata"]["seatctl_auto_approval"]


BOUGHT = {"repeated": (4,), "charged": (3600,)}

STORIES = {
    "buy": Story(f"{ORDER} --payment-method pm_card_visa", has_lab, points=22, **BOUGHT),
    "buy with a token": Story(f"{ORDER} --payment-method tok_visa", has_lab, points=28, **BOUGHT),
    "buy on another's card": Story(
        "subs buy --plan pro --seats 3 --name lab --bill-to design --yes", has_lab, points=16, **BOUGHT
    ),
    "buy with a card that is declined": Story(
        f"{ORDER} --payment-method pm_card_chargeCustomerFail", has_no_lab, code=5, repeated=(5,)
    ),
    "plans add": Story("plans add eu --price 9 --currency eur", plan_costs("eu", 900), repeated=(4,)),
    "plans edit": Story("plans edit pro --price 14.00 --name Pro", plan_costs("pro", 1400)),
    "subs rename": Story("subs rename design studio", is_called_studio, repeated=(9,)),
    "config auto-approve": Story("config auto-approve design on", approves_by_itself),
}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture
def killed(sandbox, team, tmp_path, whole) -> Callable[..., Iterator[Killed]]:
    """Run a story's command on copies of a prepared profile, once undisturbed, then once for each point.

    `skip` is how many points are left out between two, unless the proof is wanted whole; `at` names one.
    """
    killing = Killing(tmp_path / "copies", whole)

    def points(story: Story, *, skip: int = 0, first: int = 1, at: str | None = None) -> Iterator[Killed]:
        _, ended = killing.undisturbed(sandbox, story.argv)
        assert ended.code == story.code, ended.err
        assert len(ended.points) >= story.points
        if at is not None:
            return killing.at(sandbox, story.argv, [ended.points.index(at) + 1])
        return killing.each(sandbox, story.argv, ended, first=first, step=skip + 1)

    return points


def expect_once(story: Story, seatctl: Seatctl, where: str) -> None:
    """At most one charge, both sides agree, and the repetition ends in what was wanted."""
    before = (6000,)
    assert charges(seatctl) in ([*before], [*before, *story.charged]), where
    assert_agree(seatctl)
    done = bool(story.charged or story.code == 0) and story.proof(seatctl)
    again = seatctl(*story.argv)
    assert again.code in (story.repeated if done else (story.code,)), (where, again.err)
    assert story.proof(seatctl), where
    assert charges(seatctl) == [*before, *story.charged], where
    assert_agree(seatctl)


@pytest.mark.parametrize("name", STORIES)
def test_killed_anywhere_then_sync(killed, name):
    story = STORIES[name]
    for way in killed(story, skip=0 if name == "buy" else 2):
        synced = way.seatctl("sync")
        assert synced.code == 0, (way.where, synced.err)
        expect_once(story, way.seatctl, way.where)


@pytest.mark.parametrize("name", STORIES)
def test_killed_anywhere_then_the_same_command(killed, name):
    story = STORIES[name]
    for way in killed(story, skip=2, first=2):
        again = way.seatctl(*story.argv)
        assert again.code in {story.code, *story.repeated}, (way.where, again.err)
        expect_once(story, way.seatctl, way.where)


@pytest.mark.parametrize("name", STORIES)
def test_killed_anywhere_then_sync_after_stripe_has_forgotten_the_keys(killed, name):
    story = STORIES[name]
    for way in killed(story, skip=2, first=3):
        advance(way.seatctl, hours=25)
        synced = way.seatctl("sync")
        assert synced.code == 0, (way.where, synced.err)
        expect_once(story, way.seatctl, way.where)


def authenticate(seatctl) -> None:
    """The cardholder agrees on the bank's page of every open invoice."""
    with twin(seatctl) as stripe:
        for invoice in [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]:
            control.authenticate(stripe, invoice)


def test_killed_anywhere_of_a_buy_that_the_bank_wants_to_authenticate(killed):
    story = Story(
        f"{ORDER} --payment-method pm_card_threeDSecure2Required", has_lab, code=10, charged=(3600,)
    )
    for way in killed(story, skip=2):
        seatctl = way.seatctl
        assert seatctl("sync").code in {0, 10}, way.where
        assert seatctl(*story.argv).code == 10, way.where
        assert charges(seatctl) == [6000], way.where
        authenticate(seatctl)
        assert seatctl("sync").code == 0, way.where
        assert has_lab(seatctl), way.where
        assert charges(seatctl) == [6000, 3600], way.where
        assert_agree(seatctl)


def test_killed_anywhere_of_a_trial_without_a_card(killed, sandbox):
    assert sandbox("plans", "edit", "pro", "--trial-days", "14", "--trial-without-card", "pause").code == 0
    story = Story(f"{ORDER} --no-card", has_lab, points=20, repeated=(4,))
    for way in killed(story, skip=2):
        assert way.seatctl("sync").code == 0, way.where
        expect_once(story, way.seatctl, way.where)
        assert [one["status"] for one in live_subscriptions(way.seatctl)] == ["active", "trialing"], way.where


def test_killed_while_sync_recovers_then_sync_again(killed, tmp_path):
    """A recovery is as safe to kill as what it recovers."""
    story = STORIES["buy"]
    cut = next(killed(story, at="before POST /v1/subscriptions"))
    killing = Killing(tmp_path / "again", whole=True)
    _, undisturbed = killing.undisturbed(cut.seatctl, ("sync",))
    assert undisturbed.code == 0
    # What was answered before the kill is read from the journal, not sent again.
    assert "before POST /v1/customers" not in undisturbed.points
    assert "before POST /v1/subscriptions" in undisturbed.points
    # What follows is read from Stripe in parallel: its points are not counted alike each time.
    recovery = undisturbed.points.index("before GET /v1/events")
    assert recovery >= 12
    for way in killing.at(cut.seatctl, ("sync",), [*range(1, recovery + 1)]):
        assert way.seatctl("sync").code == 0
        expect_once(story, way.seatctl, way.where)
