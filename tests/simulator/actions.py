"""What may happen in a step: commands of two actors, the dashboard, the cardholder, the clock.

A step is a value. It is made once, by looking at the world and throwing dice, and can then be played again
without either: that is what makes a failing history shrink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.simulator.books import ENDED, Books
from tests.simulator.faults import Fault, Meeting
from tests.simulator.world import World

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
PEOPLE = (*(f"u{number}@example.org" for number in range(7)), "bob@example.com", "new@example.org")
CARDS = (
    *("pm_card_visa",) * 5,
    *("pm_card_mastercard", "pm_card_amex"),
    *("pm_card_chargeDeclined", "pm_card_chargeCustomerFail"),
    *("pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_threeDSecure2Required"),
    *("pm_usBankAccount_success", "pm_usBankAccount_insufficientFunds"),
)
PLANS = ("pro", "pro", "team", "later", "later", "loose", "year", "contract", "dime", "try", "taste")
ON_TRIAL = frozenset({"try", "taste"})
COUPONS = ("TENTH", "FREE", "EURO", "NONE")
PARTS = ("--address city=Bonn", "--address postal_code=53111", "--address state=ON")
TAX_IDS = ("eu_vat:DE123456789", "us_ein:12-3456789")
BOB = "bob@example.com"
HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class Step:
    """One thing that happens. `index` names the random stream in which it plays."""

    index: int
    kind: str
    """command, dashboard, clock, skew, cardholder, page, rest."""
    words: tuple[str, ...] = ()
    actor: str = ""
    stdin: str = ""
    faults: tuple[Fault, ...] = ()
    seconds: int = 0
    meeting: Meeting | None = None

    def __str__(self) -> str:
        if self.kind == "command":
            who = f"{self.actor or 'ann'}: "
            faults = f"   [{', '.join(map(str, self.faults))}]" if self.faults else ""
            given = f" <<< {self.stdin!r}" if self.stdin else ""
            meeting = f"   {{{self.meeting}}}" if self.meeting else ""
            return f"{who}seatctl {' '.join(self.words)}{given}{faults}{meeting}"
        if self.kind in {"clock", "skew"}:
            return f"{self.kind}: {self.seconds:+} s"
        return f"{self.kind}: {' '.join(self.words)}".rstrip(": ")


class Sight:
    """What who throws the dice sees of the world."""

    def __init__(
        self,
        world: World,
        books: Books,
        chance: Random,
        plans: Sequence[str] = PLANS,
        cards: Sequence[str] = (),
    ) -> None:
        self.world, self.books, self.chance, self.plans = world, books, chance, plans
        self.cards = cards or CARDS
        rows = world.ledger.rows
        self.running = [row for row in books.subscriptions if row["status"] not in ENDED]
        self.open_requests = [
            str(row[0])
            for row in rows(
                "SELECT number FROM requests WHERE status IN ('pending', 'waitlisted') ORDER BY 1"
            )
        ]
        self.invoices = [
            row[0] or row[1]
            for row in rows(
                "SELECT number, stripe_id FROM invoices WHERE status IN ('open', 'draft') ORDER BY id"
            )
        ]
        self.runs = [str(number) for number in range(max(1, books.last_run - 6), books.last_run + 1)]

    def pick(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def subscription(self) -> str:
        """A subscription, most often one that runs."""
        if self.running and self.chance.random() < 0.96:
            return self.chance.choice(self.running)["name"]
        return self.pick(*NAMES)

    def new_name(self) -> str:
        """One that no subscription ever had, most often: names of ended ones stay taken."""
        number = len(self.books.subscriptions)
        return f"{NAMES[number % len(NAMES)]}{number // len(NAMES) or ''}"

    def people(self, most: int = 3) -> list[str]:
        return self.chance.sample(PEOPLE, self.chance.randint(1, most))

    def seated(self, subscription: str) -> list[str]:
        rows = self.world.ledger.rows(
            "SELECT u.email FROM seats s JOIN users u ON u.id = user_id JOIN subscriptions p"
            " ON p.id = s.subscription_id WHERE revoked_at IS NULL AND p.name = ? ORDER BY s.id",
            subscription,
        )
        return [row[0] for row in rows] or [*PEOPLE]

    def maybe(self, share: float, *words: str) -> list[str]:
        return [*words] if self.chance.random() < share else []

    def limit(self) -> list[str]:
        return self.maybe(0.15, "--max-spend", f"{self.chance.choice([0, 5, 20, 60, 200, 900])}.00")

    def request(self) -> list[str]:
        return self.maybe(0.25, "--request-id", f"po-{self.chance.randint(1, 10**6)}")

    def address(self) -> list[str]:
        """An address; Stripe cannot compute the tax for the last one."""
        return ["--address", self.pick("country=DE", "country=CA"), *self.pick(*PARTS).split()]

    def coupon(self) -> list[str]:
        return self.maybe(0.12, "--coupon", self.pick(*COUPONS))


Maker = Callable[[Sight], list[str]]


def _buy(see: Sight) -> list[str]:
    plan = see.pick(*see.plans)
    seats = see.chance.randint(1, 6) * (5 if plan == "year" and see.chance.random() < 0.9 else 1)
    name = see.new_name() if see.chance.random() < 0.92 else see.subscription()
    owner = see.pick(BOB, BOB, "ann@example.com", "u0@example.org")
    words = ["subs", "buy", "--plan", plan, "--seats", str(seats), "--name", name, "--owner", owner]
    how = see.chance.random()
    if plan in ON_TRIAL:
        words += see.maybe(0.1, "--no-trial")
        if how > 0.6:
            return [*words, "--billing-email", f"pay-{name}@example.com", "--no-card", *see.limit()]
    if how < 0.12 and see.running:
        words += ["--bill-to", see.subscription()]
    elif how < 0.27:
        words += ["--billing-email", f"pay-{name}@example.com", "--on-account", "--due-in", "30d"]
    elif how < 0.33:
        return [*words, "--checkout", "--billing-email", f"pay-{name}@example.com", *see.coupon()]
    else:
        words += ["--billing-email", f"pay-{name}@example.com", "--payment-method", see.pick(*see.cards)]
        words += see.maybe(0.3, *see.address()) + see.maybe(0.1, "--tax-id", see.pick(*TAX_IDS))
    return words + see.coupon() + see.limit() + see.request()


def _add_seats(see: Sight) -> list[str]:
    number = see.chance.choice([1, 1, 2, 3, 5, 5])
    on_account = see.maybe(0.1, "--on-account")
    return [
        *("subs", "add-seats", see.subscription(), str(number)),
        *(see.coupon() + on_account + see.limit() + see.request()),
    ]


def _set_seats(see: Sight) -> list[str]:
    revoke = see.maybe(0.5, "--revoke", see.pick("newest", "oldest", "suspended", "unclaimed"))
    number = see.chance.choice([1, 2, 3, 4, 5, 8, 10, 15])
    return ["subs", "set-seats", see.subscription(), str(number), *revoke, *see.limit(), *see.request()]


def _change_plan(see: Sight) -> list[str]:
    when = see.maybe(0.35, "--at-renewal")
    plan = see.pick(*see.plans)
    return [
        "subs",
        "change-plan",
        see.subscription(),
        plan,
        *when,
        *see.coupon(),
        *see.limit(),
        *see.request(),
    ]


def _renew(see: Sight) -> list[str]:
    manual = [row["name"] for row in see.running if '"renewal":"manual"' in (row["policy"] or "")]
    name = see.pick(*manual) if manual else see.subscription()
    seats = see.maybe(0.4, "--seats", str(see.chance.choice([1, 2, 5, 10])), "--revoke", "newest")
    how = see.maybe(0.2, "--on-account", "--due-in", "30d")
    return ["subs", "renew", name, *seats, *how, *see.coupon(), *see.limit(), *see.request()]


def _cancel(see: Sight) -> list[str]:
    how = see.chance.choice([[], ["--now"], ["--now", "--refund"], ["--now", "--refund"]])
    return ["subs", "cancel", see.subscription(), *how]


def _pause(see: Sight) -> list[str]:
    behavior = see.maybe(0.6, "--behavior", see.pick("void", "keep_as_draft", "mark_uncollectible"))
    until = see.maybe(0.4, "--until", see.pick("3d", "20d", "40d"))
    return ["subs", "pause", see.subscription(), *behavior, *until]


def _billing(see: Sight) -> list[str]:
    what = see.chance.choice(
        [
            ["--payment-method", see.pick(*see.cards)],
            ["--payment-method", see.pick(*see.cards)],
            ["--name", see.pick("Acme", "Umbrella")],
            ["--email", f"pay{see.chance.randint(1, 9)}@example.com"],
            see.address(),
            ["--tax-id", see.pick(*TAX_IDS)],
        ]
    )
    return ["subs", "billing", see.subscription(), *what, *see.limit(), *see.request()]


def _swap(see: Sight) -> list[str]:
    subscription = see.subscription()
    return ["seats", "swap", subscription, see.pick(*see.seated(subscription)), see.pick(*PEOPLE)]


def _revoke(see: Sight) -> list[str]:
    subscription = see.subscription()
    return ["seats", "revoke", subscription, see.pick(*see.seated(subscription))]


def _move(see: Sight) -> list[str]:
    subscription = see.subscription()
    return ["seats", "move", subscription, see.subscription(), see.pick(*see.seated(subscription))]


def _reclaim(see: Sight) -> list[str]:
    how = see.chance.choice([["--suspended"], ["--inactive", "30"], ["--never-claimed", "20"]])
    return ["seats", "reclaim", see.subscription(), *how, *see.maybe(0.7, "--max-revoke", "100%")]


def _auto_approve(see: Sight) -> list[str]:
    rules = see.chance.choice(
        [[], [], ["--domain", "example.org"], ["--keep-free", "1"], ["--daily-limit", "2"], ["--reset"]]
    )
    return ["config", "auto-approve", see.subscription(), see.pick("on", "on", "off"), *rules]


def _invoice(verb: str) -> Maker:
    def made(see: Sight) -> list[str]:
        invoice = see.pick(*(see.invoices or ["none-1"]))
        more = []
        if verb == "pay":
            more = see.maybe(0.4, "--payment-method", see.pick(*see.cards)) + see.limit()
        return ["invoices", verb, invoice, *more]

    return made


def _users_remove(see: Sight) -> list[str]:
    email = see.pick(*PEOPLE)
    return ["users", "remove", email, *see.maybe(0.3, "--new-owner", BOB), *see.maybe(0.1, "--erase")]


COMMANDS: dict[str, tuple[int, Maker]] = {
    "buy": (9, _buy),
    "add-seats": (12, _add_seats),
    "set-seats": (8, _set_seats),
    "change-plan": (6, _change_plan),
    "renew": (5, _renew),
    "cancel": (5, _cancel),
    "pause": (2, _pause),
    "resume": (
        3,
        lambda see: [
            *("subs", "resume", see.subscription()),
            *see.maybe(0.4, see.pick("--collection", "--cancellation")),
        ],
    ),
    "adopt": (2, lambda see: ["ledger", "adopt"]),
    "rename": (
        2,
        lambda see: ["subs", "rename", see.subscription(), see.pick("left", "right", see.subscription())],
    ),
    "transfer": (2, lambda see: ["subs", "transfer", see.subscription(), see.pick(BOB, "u0@example.org")]),
    "billing": (5, _billing),
    "plan-add": (
        1,
        lambda see: [
            *("plans", "add", f"plan{see.chance.randint(1, 4)}", "--price", see.pick("3.00", "4.50", "0.10")),
            *("--currency", "usd", "--policy", see.pick("flexible", "term"), "--set", "pack_size=1"),
            *("--set", "addon_cutoff_days=5", "--set", "renewal_window_days=12"),
            *see.maybe(0.3, "--tax-behavior", see.pick("exclusive", "inclusive")),
        ],
    ),
    "plan-edit": (
        2,
        lambda see: [
            *("plans", "edit", see.pick(*PLANS)),
            *see.chance.choice(
                [
                    ["--price", see.pick("12.00", "13.00", "20.00")],
                    ["--name", "Another"],
                    ["--tax-behavior", see.pick("exclusive", "inclusive")],
                ]
            ),
        ],
    ),
    "plan-archive": (1, lambda see: ["plans", "archive", see.pick(*PLANS), *see.maybe(0.6, "--undo")]),
    "assign": (
        8,
        lambda see: ["seats", "assign", see.subscription(), *see.people(), *see.maybe(0.3, "--fill")],
    ),
    "assign-until": (
        2,
        lambda see: [
            *("seats", "assign", see.subscription(), *see.people(2)),
            *("--for", see.pick("2d", "10d", "40d"), *see.maybe(0.3, "--create-users")),
        ],
    ),
    "revoke": (4, _revoke),
    "move": (2, _move),
    "swap": (2, _swap),
    "reclaim": (1, _reclaim),
    "request": (
        4,
        lambda see: [
            *("requests", "create", see.pick(*PEOPLE), *see.maybe(0.8, "--subscription", see.subscription())),
            *see.maybe(0.2, "--expires", "3d"),
            *see.maybe(0.3, "--create-users"),
        ],
    ),
    "approve": (3, lambda see: ["requests", "approve", see.pick(*(see.open_requests or ["1"]))]),
    "approve-all": (1, lambda see: ["requests", "approve", "--all"]),
    "deny": (1, lambda see: ["requests", "deny", see.pick(*(see.open_requests or ["1"]))]),
    "take-back": (1, lambda see: ["requests", "cancel", see.pick(*(see.open_requests or ["1"]))]),
    "pay": (4, _invoice("pay")),
    "send": (1, _invoice("send")),
    "void": (2, _invoice("void")),
    "user-add": (1, lambda see: ["users", "add", *see.people(2)]),
    "suspend": (2, lambda see: ["users", "suspend", see.pick(*PEOPLE)]),
    "reactivate": (2, lambda see: ["users", "reactivate", see.pick(*PEOPLE)]),
    "user-remove": (2, _users_remove),
    "auto-approve": (2, _auto_approve),
    "undo": (4, lambda see: ["runs", "undo", see.pick(*see.runs)]),
    "resume-run": (1, lambda see: ["runs", "resume", see.pick(*see.runs)]),
    "sync": (8, lambda see: ["sync", *see.maybe(0.1, "--full")]),
    "reconcile": (2, lambda see: ["reconcile", *see.maybe(0.3, "--fix"), *see.maybe(0.3, "--check")]),
    "status": (1, lambda see: ["status"]),
    "list": (1, lambda see: [see.pick("subs", "users", "seats", "requests", "invoices", "runs"), "list"]),
    "show": (1, lambda see: ["subs", "show", see.subscription()]),
    "invoice-show": (1, lambda see: ["invoices", "show", see.pick(*(see.invoices or ["none-1"]))]),
    # These only in histories about them.
    "annual": (
        0,
        lambda see: [
            *("plans", "add", "annual", "--price", "90.00", "--currency", "usd", "--interval", "year"),
            *("--policy", "flexible", *see.maybe(0.3, "--set", "increase=prorate_next_invoice")),
        ],
    ),
    "migrate": (0, lambda see: ["ledger", "adopt", *see.maybe(0.5, see.subscription()), "--migrate"]),
    "check": (1, lambda see: ["check", see.pick(*PEOPLE), *see.maybe(0.5, "-s", see.subscription())]),
}
READS = frozenset({"status", "list", "show", "invoice-show", "check"})
ASKS = frozenset(
    {"buy", "add-seats", "set-seats", "change-plan", "renew", "cancel", "pause", "resume", "billing", "pay"}
)
LINES = ("assign", "revoke", "add-seats", "buy", "request", "user-add", "suspend", "set-seats", "move")
"""What a batch is made of."""


def command(see: Sight, name: str) -> Step:
    """A command, not yet disturbed; somebody always says yes."""
    shy = 0.03 if name in {"buy", "sync"} else 0.2
    words = (*COMMANDS[name][1](see), "--yes", "-o", "json")
    return Step(0, "command", words, BOB if see.chance.random() < shy else "")


def tax(see: Sight) -> Step:
    """Stripe's tax is turned on, or off: then it has to know where a customer is."""
    return Step(0, "command", ("config", "set", "stripe.automatic_tax", see.pick("on", "on", "on", "off")))


def rate(see: Sight) -> Step:
    """The account has to add a tax of 19 %, on top of prices that do not say whether they include it."""
    return Step(0, "command", ("sandbox", "tax", "19", "--default", "exclusive"))


def batch(see: Sight) -> Step:
    lines = []
    for _ in range(see.chance.randint(2, 4)):
        name = see.pick(*LINES)
        words = COMMANDS[name][1](see)
        lines.append(" ".join(words))
    more = see.maybe(0.3, "--stop-on-error")
    return Step(0, "command", ("batch", "-", "--yes", *more, "-o", "json"), stdin="\n".join(lines) + "\n")


def apply(see: Sight) -> Step:
    subscription, people = see.subscription(), see.people(4)
    rows = "".join(f"{email},{subscription}\n" for email in people)
    more = see.maybe(0.5, "--prune", "--max-revoke", "100%") + see.maybe(0.3, "--create-users")
    more += see.maybe(0.25, "--buy-shortfall", "--max-spend", "200.00")
    return Step(
        0,
        "command",
        ("seats", "apply", "-", *more, "--yes", "-o", "json"),
        stdin="email,subscription\n" + rows,
    )


def import_(see: Sight) -> Step:
    rows = "".join(f"{email},{see.pick('lab', 'ops', '')}\n" for email in see.people(4))
    return Step(0, "command", ("users", "import", "-", "-o", "json"), stdin="email,group\n" + rows)


def is_read(step: Step) -> bool:
    """Whether a command may change nothing at all."""
    if "--dry-run" in step.words:
        return True
    group = step.words[:2]
    return step.words[0] in {"status", "check"} or (len(group) == 2 and group[1] in {"list", "show"})
