"""Stories of changes to running subscriptions: scenes, commands, and what has to be so afterwards.

A story runs once undisturbed; whatever disturbs another run of it, both sides must come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seatctl.sandbox.api import control
from tests.conftest import Seatctl
from tests.sandbox.seed import send
from tests.support import ledgers
from tests.support.both_sides import advance, charges, objects, twin
from tests.support.killing import Killed, Killing
from tests.support.office import RENEWED, TEN_DAYS_LEFT, change_card, done, freeze, until
from tests.support.scenes import Scene, initialised, made_once
from tests.support.second_ledger import SecondLedger
from tests.support.state import assert_in_step, assert_sound, counts, differences, state
from tests.support.subscriptions import ledger_place, query

START = "2040-06-01T00:00:00Z"
REFUSED, ASKS_THE_BANK = "pm_card_chargeCustomerFail", "pm_card_threeDSecure2Required"
PAYER = "pay@example.com"
BUY = (
    "subs buy --plan {} --seats {} --name {} --owner lee@example.com"
    f" --billing-email {PAYER} --payment-method pm_card_visa"
)


# Scenes -----------------------------------------------------------------------------------------------


@made_once
def flexible(seatctl: Seatctl) -> None:
    """`design`: five seats of 12.00 a month, four of them taken; ten days of June are left."""
    freeze(seatctl, START)
    for slug, price, more in (
        ("pro", 12, ""),
        ("team", 24, ""),
        ("later", 12, " --set increase=prorate_next_invoice"),
        ("loose", 12, " --set decrease=now"),
    ):
        done(seatctl, f"plans add {slug} --price {price} --currency usd --policy flexible{more}")
    for slug, name in (("pro", "design"), ("later", "later"), ("loose", "loose")):
        done(seatctl, BUY.format(slug, 5, name))
    for person in "abcd":
        done(seatctl, f"users add {person}@example.org")
        done(seatctl, f"seats assign design {person}@example.org")
    until(seatctl, TEN_DAYS_LEFT)


@made_once
def invoiced(seatctl: Seatctl) -> None:
    """`design`: five seats of 12.00 a month, on account; ten days of June are left."""
    freeze(seatctl, START)
    done(seatctl, "plans add pro --price 12 --currency usd --policy flexible")
    done(
        seatctl,
        f"{BUY.format('pro', 5, 'design').removesuffix('--payment-method pm_card_visa')} --on-account",
    )
    until(seatctl, TEN_DAYS_LEFT)


@cache
def after(command: str, scene: Scene) -> Scene:
    """A scene in which something was done already."""

    @made_once
    def prepare(seatctl: Seatctl) -> None:
        scene(seatctl)
        done(seatctl, command)

    return prepare


@made_once
def contract(seatctl: Seatctl) -> None:
    """`acme`: twenty seats of 5.00 for a year, in packs of five, renewed by hand."""
    freeze(seatctl, START)
    for slug, price in (("year", 5), ("year-plus", 7)):
        done(seatctl, f"plans add {slug} --price {price} --currency usd --interval year --policy term")
    done(seatctl, BUY.format("year", 20, "acme"))
    until(seatctl, "2040-09-01T00:00:00Z")


@made_once
def prorated_contract(seatctl: Seatctl) -> None:
    """`acme` renewed by hand, in the term that was: added seats are prorated, and may be on account."""
    freeze(seatctl, START)
    more = "--set increase=prorate_now --set on_account=yes --set addon_cutoff_days=0"
    done(seatctl, f"plans add year --price 5 --currency usd --interval year --policy term {more}")
    done(seatctl, BUY.format("year", 20, "acme"))
    until(seatctl, "2041-05-22T00:00:00Z")
    done(seatctl, "subs renew acme")
    until(seatctl, "2041-06-11T00:00:00Z")


@made_once
def in_window(seatctl: Seatctl) -> None:
    """The contract, ten days before it ends."""
    contract(seatctl)
    until(seatctl, "2041-05-22T00:00:00Z")


@cache
def with_card(card: str, scene: Scene) -> Scene:
    """A scene in which another card has become the one that is charged."""

    @made_once
    def prepare(seatctl: Seatctl) -> None:
        scene(seatctl)
        change_card(seatctl, PAYER, card)
        assert seatctl("sync").code == 0

    return prepare


@made_once
def foreign(seatctl: Seatctl) -> None:
    """`design` was bought by another ledger of the same account."""
    freeze(seatctl, START)
    done(seatctl, "plans add pro --price 12 --currency usd --policy flexible")
    other = SecondLedger(seatctl)
    assert other("sync").code == 0
    assert other(*BUY.format("pro", 5, "design").split(), "--yes").code == 0


@made_once
def classic(seatctl: Seatctl) -> None:
    """`acme`, five seats of 12.00 a month in classic billing, made elsewhere; a decrease waits."""
    freeze(seatctl, START)
    done(seatctl, "plans add pro --price 12 --currency usd --policy flexible")
    (price,) = [one["id"] for one in objects(seatctl, "price")]
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    with twin(seatctl) as stripe:
        customer = send(stripe, "customers", {"name": "acme", "email": PAYER, **card})["id"]
        items = [{"price": price, "quantity": 5}]
        request = {"customer": customer, "items": items, "billing_mode": {"type": "classic"}}
        send(stripe, "subscriptions", request)
    assert seatctl("sync").code == 0
    done(seatctl, "ledger adopt")
    done(seatctl, "users add lee@example.com")
    done(seatctl, "subs transfer acme lee@example.com")
    done(seatctl, "subs set-seats acme 3")


@made_once
def with_annual(seatctl: Seatctl) -> None:
    """The flexible scene, and `annual`, which costs 120.00 a seat and year."""
    flexible(seatctl)
    done(seatctl, "plans add annual --price 120 --currency usd --interval year --policy flexible")


@made_once
def failed(seatctl: Seatctl) -> None:
    """The card of `design` failed at the renewal; its invoice is open."""
    with_card(REFUSED, flexible)(seatctl)
    until(seatctl, RENEWED)


@made_once
def unpaid(seatctl: Seatctl) -> None:
    """Stripe has given up on `design`: its oldest invoice is open, its newest stays a draft."""
    assert seatctl("sandbox", "retries", "unpaid").code == 0
    with_card(REFUSED, flexible)(seatctl)
    until(seatctl, "2040-08-01T03:00:00Z")


@made_once
def paused(seatctl: Seatctl) -> None:
    """`acme`, two seats of 12.00 a month, made elsewhere: its trial ended without a card, it has one now."""
    freeze(seatctl, START)
    done(seatctl, "plans add pro --price 12 --currency usd --policy flexible")
    (price,) = [one["id"] for one in objects(seatctl, "price")]
    with twin(seatctl) as stripe:
        customer = send(stripe, "customers", {"name": "acme", "email": PAYER})["id"]
        trial = {
            "customer": customer,
            "items": [{"price": price, "quantity": 2}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
        send(stripe, "subscriptions", trial)
    assert seatctl("sync").code == 0
    done(seatctl, "ledger adopt")
    done(seatctl, "users add lee@example.com")
    done(seatctl, "subs transfer acme lee@example.com")
    until(seatctl, TEN_DAYS_LEFT)
    done(seatctl, "subs billing acme --payment-method pm_card_visa")


@made_once
def not_collecting(seatctl: Seatctl) -> None:
    """Somebody has paused the collection of `design` in the dashboard."""
    flexible(seatctl)
    subscription = objects(seatctl, "subscription")[0]["id"]
    with twin(seatctl) as stripe:
        send(stripe, f"subscriptions/{subscription}", {"pause_collection": {"behavior": "void"}})
    assert seatctl("sync").code == 0


owing = with_card("pm_card_visa", failed)
unpaid_with_a_card = with_card("pm_card_visa", unpaid)
on_account = after("subs renew acme --on-account --due-in 30d", in_window)
canceling = after("subs cancel design", flexible)
decreasing = after("subs set-seats design 4", flexible)
renewed = after("subs renew acme --seats 25", in_window)


# Stories ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A command that is disturbed; `charged`, in minor units, is what it charges undisturbed.

    `{}` in it is the open invoice, `{draft}` the draft.
    """

    kind: str
    scene: Scene
    command: str
    charged: tuple[int, ...] = ()
    code: int = 0
    again: tuple[int, ...] = (0,)
    """The exit codes of a repetition after it was done, which changes nothing any more."""
    points: int = 10
    """The fewest points there can be: a proof that kills nowhere proves nothing."""
    changes: bool = True
    """Whether both sides look otherwise afterwards."""


ONCE = " --request-id po-7"

STORIES = {
    "increase": Story("change", flexible, f"subs add-seats design 2{ONCE}", (800,)),
    "increase on the next invoice": Story("change", flexible, f"subs add-seats later 2{ONCE}"),
    "increase after a decrease that waits": Story(
        "change", decreasing, f"subs add-seats design 2{ONCE}", (800,), points=14
    ),
    "increase with a card that is declined": Story(
        "change", with_card(REFUSED, flexible), "subs add-seats design 2", code=5
    ),
    "decrease at the renewal": Story("change", flexible, "subs set-seats design 2 --revoke newest"),
    "decrease now": Story("change", flexible, "subs set-seats loose 2"),
    "upgrade": Story("change", flexible, "subs change-plan design team", (2000,)),
    "month to year": Story(
        # A third of 60.00 comes back; 345 of 365 days of 600.00 are left.
        "change", with_annual, "subs change-plan design annual", (54712,)
    ),
    "year to month": Story(
        "change", after("subs change-plan design annual", with_annual), "subs change-plan design pro"
    ),
    "plan at the renewal": Story("change", flexible, "subs change-plan design team --at-renewal"),
    "add-on at full price": Story("addon", contract, f"subs add-seats acme 5{ONCE}", (2500,), points=18),
    "add-on after the renewal": Story("addon", renewed, f"subs add-seats acme 5{ONCE}", (2500,), points=18),
    "add-on with a card that is declined": Story(
        "addon", with_card(REFUSED, contract), "subs add-seats acme 5", code=5, points=18
    ),
    "renewal": Story(
        "renew", in_window, "subs renew acme --seats 25 --plan year-plus", (17500,), again=(4,), points=18
    ),
    "renewal on account": Story(
        "renew", in_window, "subs renew acme --on-account --due-in 30d", again=(4,), points=16
    ),
    "renewal with a card that is declined": Story(
        "renew", with_card(REFUSED, in_window), "subs renew acme", code=5, points=18
    ),
    "cancel": Story("cancel", flexible, "subs cancel design"),
    "cancel now": Story("cancel", flexible, "subs cancel design --now", again=(0, 4)),
    "cancel now with a refund": Story("cancel", flexible, "subs cancel design --now --refund", again=(0, 4)),
    "cancel now and owe less": Story(
        "cancel", failed, "subs cancel design --now --refund", again=(0, 4)
    ),
    "add-on of a term renewed by hand": Story(
        # 355 of 365 days of 25.00
        "addon", prorated_contract, f"subs add-seats acme 5{ONCE}", (2432,), points=18
    ),
    "add-on on account": Story(
        "addon", prorated_contract, f"subs add-seats acme 5 --on-account{ONCE}", points=16
    ),
    "cancel after a decrease": Story("cancel", decreasing, "subs cancel design"),
    "resume": Story("cancel", canceling, "subs resume design"),
    "transfer": Story("subscription_metadata", flexible, "subs transfer design b@example.org", again=(0, 4)),
    "billing details": Story(
        "billing", flexible, "subs billing design --email new@example.com --name Acme --tax-id eu_vat:DE1"
    ),
    "invoice paid": Story("invoice_pay", owing, "invoices pay {}", (6000,)),
    "invoice paid by a card that is declined": Story("invoice_pay", failed, "invoices pay {}", code=5),
    "draft of an unpaid one paid": Story(
        "invoice_pay", unpaid_with_a_card, "invoices pay {draft}", (6000,)
    ),
    "pause in collection": Story("cancel", flexible, "subs pause design --behavior void"),
    "pause in collection ended": Story("cancel", not_collecting, "subs resume design"),
    "paused one resumed": Story("resume", paused, f"subs resume acme{ONCE}", (2400,)),
    "invoice made void": Story("invoice_void", owing, "invoices void {}"),
    "invoice sent": Story("invoice_send", on_account, "invoices send {}", changes=False),
    "adoption": Story("adopt", foreign, "ledger adopt"),
    "migration": Story("adopt", classic, "ledger adopt --migrate"),
    "billing by another card": Story(
        "billing", flexible, f"subs billing design --payment-method pm_card_mastercard{ONCE}"
    ),
    "increase on account": Story("change", invoiced, f"subs add-seats design 2{ONCE}"),
}  # fmt: skip

WAITING = {
    "increase": Story(
        "change", with_card(ASKS_THE_BANK, flexible), f"subs add-seats design 2{ONCE}", (800,), code=10
    ),
    "add-on": Story(
        "addon", with_card(ASKS_THE_BANK, contract), f"subs add-seats acme 5{ONCE}", (2500,), code=10
    ),
    "renewal": Story(
        "renew", with_card(ASKS_THE_BANK, in_window), f"subs renew acme{ONCE}", (10000,), code=10
    ),
}


# Proofs -----------------------------------------------------------------------------------------------


@dataclass
class Proof:
    """A story with what was before it and what it leads to."""

    story: Story
    start: Seatctl
    killing: Killing

    def __post_init__(self) -> None:
        self.before = state(self.start)
        owed = [one["id"] for one in objects(self.start, "invoice") if one["status"] == "open"]
        drafts = [one["id"] for one in objects(self.start, "invoice") if one["status"] == "draft"]
        command = self.story.command.format(*owed, draft=drafts[0] if drafts else "")
        self.argv = (*command.split(), "--yes")
        finished, self.ended = self.killing.undisturbed(self.start, self.argv)
        assert self.ended.code == self.story.code, self.ended.err
        assert len(self.ended.points) >= self.story.points
        assert kind_of_the_last(finished) == self.story.kind
        assert finished("sync").code in {0, self.story.code}
        if self.story.code == 10:
            authenticate(finished)
            assert finished("sync").code == 0
        assert_in_step(finished)
        self.after = state(finished)
        assert charges(finished) == [*charges(self.start), *self.story.charged]
        changed = differences(self.before, self.after)
        assert bool(changed) == (self.story.changes and self.story.code != 5), changed

    def points(self, *, first: int, step: int) -> Iterator[Killed]:
        return self.killing.each(self.start, self.argv, self.ended, first=first, step=step)

    def is_done(self, seatctl: Seatctl, where: str) -> bool:
        """Whether all was done or nothing; the ledger and Stripe agree, and nothing is half done."""
        assert_in_step(seatctl)
        found = state(seatctl)
        if found != self.before:
            assert differences(self.after, found) == [], where
        return found == self.after and self.story.code == 0

    def expect_done_once(self, seatctl: Seatctl, where: str, *, late: bool = False) -> None:
        """Whatever the command has come to: once more, and what was wanted is there, once."""
        codes = self.story.again if self.is_done(seatctl, where) else (self.story.code,)
        again = seatctl(*self.argv)
        assert again.code in codes, (where, again.err)
        assert seatctl("sync").code == 0
        assert_in_step(seatctl)
        assert_sound(seatctl)
        found = state(seatctl)
        assert differences(self.after, found) == [] or (late and counts(found) == counts(self.after)), where

    def expect_authenticated_once(self, seatctl: Seatctl, where: str, *, agrees: bool = True) -> None:
        """Repeated, the command waits and charges nothing; then it is paid once, or undone after a day."""
        assert seatctl(*self.argv).code == 10, where
        assert charges(seatctl) == charges(self.start), where
        authenticate(seatctl) if agrees else advance(seatctl, hours=25)
        assert seatctl("sync").code == 0, where
        assert_in_step(seatctl)
        assert_sound(seatctl)
        assert differences(self.after if agrees else self.before, state(seatctl)) == [], where


def kind_of_the_last(seatctl: Seatctl) -> str:
    return query(ledger_place(seatctl), "SELECT kind FROM operations ORDER BY id DESC LIMIT 1")[0][0]


def authenticate(seatctl: Seatctl) -> None:
    """The cardholder completes each page of Checkout, and agrees on the bank's page of each open invoice."""
    with twin(seatctl) as stripe:
        for page in [one["id"] for one in stripe.store.walk("checkout.session") if one["status"] == "open"]:
            control.complete_checkout(stripe, page)
        for invoice in [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]:
            control.authenticate(stripe, invoice)


@dataclass
class Proofs:
    """A scene is prepared once for all its stories, and a story run undisturbed once for all its proofs."""

    directory: Callable[[str], Path]
    whole: bool

    def __post_init__(self) -> None:
        self.prepared, self.of = cache(self._prepare), cache(self._prove)

    def of_scene(self, scene: Scene) -> Seatctl:
        """A copy of a scene, to do with as one likes."""
        return self.copy(self.prepared(scene))

    def copy(self, seatctl: Seatctl) -> Seatctl:
        """A copy of a profile."""
        home = self.directory("copy") / "seatctl"
        ledgers.copy(seatctl.home, home)
        return Seatctl(home)

    def _prepare(self, scene: Scene) -> Seatctl:
        seatctl = initialised(Seatctl(self.directory("scene") / "seatctl"))
        scene(seatctl)
        assert seatctl("sync").code == 0
        return seatctl

    def _prove(self, story: Story) -> Proof:
        return Proof(story, self.prepared(story.scene), Killing(self.directory("killed"), self.whole))
