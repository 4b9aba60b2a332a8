"""Which step comes next: the mix of a history, and the dice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from tests.simulator.actions import (
    COMMANDS,
    PLANS,
    READS,
    Sight,
    Step,
    apply,
    batch,
    command,
    import_,
    rate,
    tax,
)
from tests.simulator.books import Books
from tests.simulator.faults import LINE, Fault, Meeting, random_fault
from tests.simulator.outside import (
    card,
    cardholder,
    classic,
    clock,
    dashboard,
    elsewhere,
    empty,
    lose,
    refund,
    retries,
    schedule,
    take_off,
    tamper,
    unlocate,
)
from tests.simulator.world import World

OTHERS: dict[str, tuple[int, Callable[[Sight], Step]]] = {
    "batch": (3, batch),
    "apply": (3, apply),
    "import": (1, import_),
    "clock": (14, clock),
    "skew": (2, lambda see: Step(0, "skew", seconds=see.chance.choice([0, 0, -40, 40, -300, 300, 4000]))),
    "dashboard": (7, dashboard),
    "card": (4, card),
    "elsewhere": (1, elsewhere),
    "retries": (1, retries),
    "tamper": (1, tamper),
    "cardholder": (4, cardholder),
    "rest": (3, lambda see: Step(0, "rest")),
    # These only in histories about them.
    "classic": (0, classic),
    "empty": (0, empty),
    "lose": (0, lose),
    "refund": (0, refund),
    "schedule": (0, schedule),
    "take-off": (0, take_off),
    "tax": (0, tax),
    "rate": (0, rate),
    "unlocate": (0, unlocate),
}


@dataclass(frozen=True)
class Weather:
    """What a history is made of: swarm testing, so that not every history is the same soup."""

    weights: Mapping[str, float]
    faults: float
    """The share of commands that are disturbed."""
    repeats: float
    dry: float
    plans: tuple[str, ...]
    crowd: int
    """How many subscriptions there are at least."""
    cards: tuple[str, ...] = ()
    """What people pay with, where the history is about that."""
    kinds: tuple[str, ...] = ()
    """What goes wrong, where the history is about that."""
    server: bool = False
    meetings: float = 0.0
    """The share of commands in the middle of which another one runs: on a server only."""


@dataclass(frozen=True)
class Theme:
    """A history about one thing: these weights, and a little of everything else."""

    plans: tuple[str, ...]
    crowd: int
    weights: dict[str, int]
    cards: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


THEMES = {
    # An invoice of more than ten lines, which Stripe cuts short.
    "crowded": Theme(("later",), 1, {"add-seats": 40, "clock": 20, "cancel": 5, "sync": 4}),
    # Prorations under the least that can be charged become a debt on the balance.
    "small": Theme(("dime",), 1, {"add-seats": 24, "clock": 12, "cancel": 12}),
    "trial": Theme(PLANS, 1, {"elsewhere": 12, "adopt": 14, "add-seats": 20, "clock": 8, "sync": 8}),
    # Trials of our own plans, with and without a card.
    "on trial": Theme(
        ("try", "taste", "try"),
        3,
        {"buy": 30, "card": 8, "billing": 14, "clock": 24, "resume": 10, "check": 8, "cardholder": 6}
        | {"add-seats": 10, "cancel": 6},
    ),
    "paused": Theme(
        ("pro", "loose", "later", "try"),
        2,
        {"pause": 24, "resume": 12, "add-seats": 24, "set-seats": 12, "clock": 20, "cancel": 8, "pay": 8},
    ),
    "scheduled": Theme(
        ("pro", "loose", "team"),
        2,
        {"schedule": 16, "add-seats": 16, "set-seats": 10, "cancel": 10, "pause": 6, "resume": 6}
        | {"clock": 24, "change-plan": 8, "sync": 8},
    ),
    # Renewals that fail, and what is done about them.
    "unpaid": Theme(
        ("pro", "team", "loose"),
        2,
        {"card": 16, "retries": 4, "clock": 30, "pay": 14, "void": 6, "billing": 10, "rest": 6, "cancel": 6},
    ),
    "term": Theme(("year", "contract"), 2, {"renew": 20, "add-seats": 14, "clock": 24, "cancel": 8}),
    "clocks": Theme(PLANS, 1, {"skew": 12, "add-seats": 30, "clock": 14, "change-plan": 8, "sync": 4}),
    # Answers that prove nothing, at most purchases.
    "storm": Theme(PLANS, 1, {"buy": 30, "add-seats": 30, "clock": 6, "sync": 12, "change-plan": 6}),
    # Pages: Checkout, the bank's question, the portal.
    "pages": Theme(PLANS, 1, {"buy": 40, "cardholder": 30, "clock": 12, "sync": 8, "change-plan": 8}),
    "dashboard": Theme(
        PLANS,
        2,
        {"dashboard": 40, "tamper": 6, "add-seats": 18, "assign": 8, "sync": 10, "cancel": 8, "rest": 6},
    ),
    # Errors that are not Stripe's, at writes.
    "proxy": Theme(
        PLANS,
        1,
        {"buy": 30, "add-seats": 20, "sync": 12, "change-plan": 6},
        kinds=("damaged: error object", "damaged: error text", "damaged: portal 403"),
    ),
    # More changes in a day than Stripe makes invoices for.
    "rushed": Theme(("pro", "loose"), 1, {"add-seats": 90, "set-seats": 30, "sync": 6, "clock": 1}),
    "limits": Theme(PLANS, 1, {"buy": 30, "add-seats": 20, "sync": 8, "change-plan": 6}, kinds=("429",)),
    # Bank debits, which take days.
    "debit": Theme(
        ("pro", "team", "loose", "contract"),
        2,
        {"card": 14, "clock": 30, "cancel": 10, "void": 8, "billing": 8, "pay": 6, "sync": 10}
        | {"buy": 10, "add-seats": 14, "renew": 10, "undo": 8, "change-plan": 4, "set-seats": 6},
        cards=(
            *("pm_card_visa", "pm_usBankAccount_success", "pm_usBankAccount_success"),
            *("pm_usBankAccount_insufficientFunds", "pm_usBankAccount_accountClosed"),
            "pm_usBankAccount_processing",
        ),
    ),
    # An item is removed while an operation of its subscription is unfinished.
    "taken": Theme(
        ("contract", "pro"),
        2,
        {"take-off": 40, "add-seats": 24, "set-seats": 10, "renew": 8, "sync": 10, "billing": 6, "rest": 6},
        cards=("pm_card_visa", "pm_card_threeDSecure2Required"),
        kinds=("lost after", "lost before", "500", "kill"),
    ),
    "empty": Theme(("pro", "loose"), 2, {"empty": 12, "assign": 30, "check": 40, "sync": 20}),
    "classic": Theme(
        ("pro", "later", "team"),
        2,
        {"classic": 12, "set-seats": 24, "add-seats": 24, "cancel": 8, "change-plan": 8, "sync": 4},
    ),
    # Monthly to yearly and back, and from classic billing to flexible.
    "interval": Theme(
        ("pro", "annual", "team", "annual", "later"),
        2,
        {"annual": 10, "change-plan": 40, "clock": 20, "classic": 8, "migrate": 8, "set-seats": 10}
        | {"add-seats": 12, "cancel": 6, "sync": 6},
    ),
    "tax": Theme(PLANS, 1, {"tax": 10, "buy": 50, "billing": 8, "add-seats": 12}),
    # A tax that is not 0, with prices that include it and others that do not.
    "taxed": Theme(
        PLANS,
        2,
        {"tax": 8, "rate": 8, "unlocate": 6, "buy": 30, "billing": 12, "add-seats": 24, "plan-edit": 8}
        | {"renew": 12, "clock": 16, "cancel": 10, "change-plan": 6, "cardholder": 6},
    ),
    "disputed": Theme(
        PLANS,
        2,
        {"buy": 20, "add-seats": 10, "rest": 12, "sync": 8},
        cards=("pm_card_visa", "pm_card_createDispute"),
    ),
    "given back": Theme(("pro", "team"), 2, {"refund": 30, "cancel": 24, "clock": 10, "add-seats": 10}),
    "deleted": Theme(("pro",), 3, {"lose": 8, "sync": 24, "buy": 30, "billing": 30}),
    # Lists and the comparison with Stripe, of what cannot be read.
    "unreadable": Theme(
        PLANS,
        3,
        {"reconcile": 50, "sync": 10, "elsewhere": 8},
        kinds=("damaged: null fields", "damaged: odd fields"),
    ),
    # Runs that are given up.
    "given up": Theme(
        PLANS,
        2,
        {"undo": 40, "add-seats": 20, "buy": 20, "dashboard": 20, "clock": 10, "billing": 10, "renew": 8},
        kinds=("lost after", "500", "kill"),
    ),
    "late": Theme(
        ("pro", "team"), 2, {"buy": 20, "add-seats": 10, "clock": 20, "rest": 10, "card": 10, "cancel": 16}
    ),
}


ON_SERVER = {
    # Two who work on the same few seats at the same time.
    "meetings": Theme(
        ("pro", "loose"),
        1,
        {"assign": 30, "revoke": 16, "request": 12, "approve": 12, "swap": 6, "move": 6, "set-seats": 6}
        | {"user-add": 6, "auto-approve": 4, "undo": 6, "buy": 4, "add-seats": 6, "import": 3, "apply": 5},
    ),
    # Two who buy.
    "buyers": Theme(
        PLANS, 2, {"buy": 20, "add-seats": 30, "set-seats": 10, "sync": 16, "cancel": 6, "pay": 6}
    ),
    # Connections that are cut.
    "line": Theme(
        ("pro", "loose"),
        1,
        {"assign": 24, "revoke": 24, "swap": 10, "move": 6, "user-add": 4, "suspend": 6, "request": 6}
        | {"set-seats": 6, "add-seats": 6},
        kinds=LINE,
    ),
}
"""Themes that only a server has."""


def weather(chance: Random, theme: str = "", *, server: bool = False) -> Weather:
    """The mix of one history: a theme, or everything with weights of its own."""
    if not server:
        return _weather(chance, theme, THEMES)
    about = theme or (chance.choice([*ON_SERVER]) if chance.random() < 0.3 else "")
    made = _weather(chance, about, {**THEMES, **ON_SERVER})
    meetings = chance.choice([0.0, 0.15, 0.3])
    if about in {"meetings", "buyers"}:
        meetings = 0.5
    return replace(made, server=True, meetings=meetings)


def _weather(chance: Random, theme: str, themes: Mapping[str, Theme]) -> Weather:
    if theme or chance.random() < 0.6:
        about = themes[theme or chance.choice([*themes])]
        whole = {name: 0.12 * weight for name, (weight, _) in {**COMMANDS, **OTHERS}.items()}
        weights = {**whole, **about.weights}
        faults = 0.7 if about is THEMES["storm"] else 0.5 if about.kinds else _share_of_faults(chance)
        return Weather(weights, faults, 0.06, 0.06, about.plans, about.crowd, about.cards, about.kinds)
    return _soup(chance)


def _soup(chance: Random) -> Weather:
    weights = {
        name: weight * chance.choice([0, 1, 1, 2, 4]) for name, (weight, _) in {**COMMANDS, **OTHERS}.items()
    }
    for needed in ("buy", "sync", "clock"):
        weights[needed] = max(weights[needed], COMMANDS.get(needed, OTHERS.get(needed, (1,)))[0])
    if chance.random() < 0.35:
        for name in ("dashboard", "card", "elsewhere", "tamper"):
            weights[name] = 0
    plans = tuple(chance.sample(PLANS, chance.choice([1, 2, 4, len(PLANS)])))
    return Weather(weights, _share_of_faults(chance), 0.08, 0.12, plans, chance.choice([1, 2, 2, 3]))


def _share_of_faults(chance: Random) -> float:
    """Some histories are calm: what goes wrong there, no fault explains."""
    return chance.choice([0.0, 0.0, 0.0, 0.15, 0.15, 0.15, 0.15, 0.4, 0.4, 0.4])


def next_step(world: World, books: Books, sky: Weather, chance: Random, last: Step | None) -> Step:
    """The next thing that happens, chosen by looking at the world."""
    if last is not None and last.kind == "command" and chance.random() < sky.repeats:
        return replace(last, faults=_faults(sky, chance) if chance.random() < 0.3 else ())
    see = Sight(world, books, chance, sky.plans, sky.cards)
    weights = dict(sky.weights)
    if len(see.running) < sky.crowd:
        weights["buy"] += 40
    name = chance.choices(list(weights), list(weights.values()))[0]
    step = OTHERS[name][1](see) if name in OTHERS else command(see, name)
    if step.kind != "command":
        return step
    if name not in READS and chance.random() < sky.dry:
        return replace(step, words=(*step.words, "--dry-run"))
    return replace(step, faults=_faults(sky, chance))


def meeting(see: Sight, sky: Weather, step: Step) -> Meeting | None:
    """What another process does in the middle of this step: often the same, or something like it."""
    chance = see.chance
    if step.kind != "command" or chance.random() >= sky.meetings:
        return None
    if chance.random() < 0.2:
        other = replace(step, words=tuple(word for word in step.words if word != "--dry-run"))
    else:
        weights = {name: sky.weights[name] for name in COMMANDS}
        other = command(see, chance.choices(list(weights), list(weights.values()))[0])
    suspended = chance.choice([0, 0, 0, 40])
    place = int(chance.expovariate(1 / chance.choice([6, 25, 50])))
    return Meeting(place, other.words, other.actor, other.stdin, suspended)


def _faults(sky: Weather, chance: Random) -> tuple[Fault, ...]:
    if chance.random() >= sky.faults:
        return ()
    number = chance.choice([1, 1, 1, 2])
    return tuple(random_fault(chance, sky.kinds, server=sky.server) for _ in range(number))
