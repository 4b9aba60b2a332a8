"""A history: steps played in a world, with everything checked after each."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random
from urllib.parse import urlencode

from seatctl.sandbox.api import control
from seatctl.sandbox.errors import ApiError
from tests.simulator import invariants, limits, modes, money
from tests.simulator.actions import ASKS, COMMANDS, DAY, Sight, Step, is_read
from tests.simulator.books import Books
from tests.simulator.invariants import Violation
from tests.simulator.weather import Weather, meeting, next_step, weather
from tests.simulator.world import Result, World, Worlds

TICK = 7
"""Seconds that pass before each step."""


@dataclass
class History:
    """What has happened so far."""

    world: World
    seed: str
    steps: list[Step] = field(default_factory=list)
    accounts: money.Accounts = field(default_factory=money.Accounts)
    trace: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    synced: bool = False
    """Whether a sync has ended well since anything happened outside of the program."""

    def __post_init__(self) -> None:
        self._digest = sha256()
        self.books = self.world.books()

    @property
    def digest(self) -> str:
        """The same for the same seed: every word that was printed, every row of both sides."""
        whole = self._digest.copy()
        whole.update(repr((self.world.sandbox.dump(), self.world.ledger.dump())).encode())
        return whole.hexdigest()

    def note(self, *what: object) -> None:
        text = self.world.anonymous(repr(what))
        self._digest.update(text.encode())

    def play(self, step: Step) -> None:
        """Let a step happen, and look at everything. Raises Violation."""
        self.steps.append(step)
        self.outcomes.append("")
        self.world.pins.reseed(self.seed, step.index)
        self._passes(TICK, "clock")
        before = self.books
        done = _DO[step.kind](self, step)
        if step.kind not in {"command", "rest"}:
            self.synced = False
            self._after(step.kind, before)
        self.note(step, done)

    def _passes(self, seconds: int, kind: str) -> None:
        before = self.books
        self.world.advance(seconds)
        self._after(kind, before)

    def _after(self, kind: str, before: Books, shown: int | None = None) -> Books:
        self.books = after = self.world.books()
        self.accounts.look(kind, before, after, shown)
        money.check_charges(before, after, kind, self.accounts)
        return after

    # kinds of steps ------------------------------------------------------------------------------------

    def command(self, step: Step) -> str:
        """A command, perhaps after a dry run of the same."""
        if step.meeting is not None:
            return self.two_commands(step)
        reading = is_read(step)
        shown = None if reading or not _shows(step) or step.index % 2 else self._dry_run(step)
        said = None
        if step.words[:2] == ("subs", "cancel") and "--refund" in step.words and not reading:
            said = money.unused(self.world, self.books, step.words[2])
        before, facts = self.books, invariants.facts_of(self.world.ledger)
        was = self._dump() if reading else {}
        objects = self.world.sandbox.dump() if step.faults else []
        waits, leases = self.world.leases_last() > 0, self.world.leases
        result = self._run(step)
        after = self._after("command", before, _amount(shown))
        invariants.check_leases(result, leases, self.world.leases)
        if reading:
            invariants.check_untouched(step, result, was, self._dump())
        invariants.check_exit(step, result, before, waits=waits)
        invariants.check_lease(result)
        invariants.check_seats(before, after)
        became = invariants.facts_of(self.world.ledger)
        invariants.check_refusal(step, result, before, after, (facts, became))
        invariants.check_nothing_changed(step, result, before, after, (facts, became))
        invariants.check_run(result, after)
        invariants.check_open(step, result, before, after)
        invariants.check_ended(step, result, before, after)
        money.check_ends(before, after, self.accounts)
        money.check_request_ids(after, self.accounts)
        money.check_tax(before, after, self.accounts)
        for told in (result, *([shown] if shown else [])):
            money.check_told_tax(told.row)
        money.check_shown(step, result, shown, before, after)
        money.check_next_invoice(self.world, result, shown, before, after)
        invariants.check_sent(step, result, before)
        invariants.check_forms(result)
        invariants.check_ways(step, result)
        invariants.check_way_out(step, result)
        invariants.check_entitled(step, result, before)
        invariants.check_promise(step, result, before)
        invariants.check_hint(step, result, synced=self.synced and not before.open_operations)
        invariants.check_moment(result, before)
        invariants.check_under_way(before, after)
        invariants.check_payer(step, result, before)
        invariants.check_coupon(step, result, shown)
        invariants.check_rate_limit(result, before, after, self._moved(objects, step))
        limits.check_limits(result, before, after)
        invariants.check_looked(step, result)
        invariants.check_guards(step, result, before, after)
        modes.check_modes(step, result, before, after)
        modes.check_interval(step, result, before, after)
        invariants.check_collecting(step, before, after)
        invariants.check_trials(before, after)
        if step.words[0] == "sync" and result.code == 0 and not reading:
            self.synced = not result.hit
        if not reading:
            money.check_refund(result, said, before, after)
            money.note_end(step, result, after, self.accounts)
        return self._told(result)

    def two_commands(self, step: Step) -> str:
        """A command in the middle of which another process runs another one: what holds for both together."""
        before, waits = self.books, self.world.leases_last() > 0
        result = self._run(step)
        after = self._after("meeting", before)
        self.synced = False
        for one in (result, *([result.met] if result.met else [])):
            words = step.words if one is result or step.meeting is None else step.meeting.words
            invariants.check_exit(
                replace(step, words=words), one, before, waits=waits or result.met is not None
            )
            invariants.check_lease(one)
            invariants.check_run(one, after)
            invariants.check_forms(one)
            invariants.check_ways(replace(step, words=words), one)
        invariants.check_seats(before, after)
        money.check_ends(before, after, self.accounts)
        money.check_request_ids(after, self.accounts)
        invariants.check_under_way(before, after)
        told = self._told(result)
        if result.met is not None:
            error = result.met.error.get("code", "")
            self.outcomes[-1] += f"; other: exit {result.met.code} {error}".rstrip()
            told += result.met.out + result.met.err
        return told

    def _moved(self, objects: list[tuple], step: Step) -> bool:
        """Whether anything in Stripe has changed in a disturbed step."""
        return bool(step.faults) and objects != self.world.sandbox.dump()

    def _told(self, result: Result) -> str:
        code = "killed" if result.code is None else f"exit {result.code}"
        error = f" {result.error['code']}" if result.error else ""
        hit = f" ({'; '.join(result.hit[:3])})" if result.hit else ""
        self.outcomes[-1] = f"{code}{error}{hit}"
        return self.outcomes[-1] + result.out + result.err

    def _run(self, step: Step) -> Result:
        return self.world.seatctl(
            *step.words, actor=step.actor, stdin=step.stdin, faults=step.faults, meeting=step.meeting
        )

    def _dry_run(self, step: Step) -> Result:
        was = self._dump()
        dry = replace(step, words=(*step.words, "--dry-run"), faults=())
        result = self._run(dry)
        invariants.check_exit(dry, result)
        invariants.check_untouched(dry, result, was, self._dump())
        self.world.pins.reseed(self.seed, step.index, "run")
        return result

    def _dump(self) -> dict[str, object]:
        return {"sandbox": self.world.sandbox.dump(), **self.world.ledger.dump()}

    def dashboard(self, step: Step) -> str:
        """Somebody else than the program calls Stripe."""
        status, body = self.world.stripe(*step.words)
        self.outcomes[-1] = str(status)
        return f"{status} {body}"

    def portal(self, step: Step) -> str:
        """The customer changes the card, of the customer and of all its subscriptions."""
        customer, card = step.words
        status, body = self.world.stripe(
            "POST", f"/v1/payment_methods/{card}/attach", urlencode({"customer": customer})
        )
        self.outcomes[-1] = str(status)
        if status == 200:
            form = urlencode({"invoice_settings[default_payment_method]": body["id"]})
            self.world.stripe("POST", f"/v1/customers/{customer}", form)
            for one in self.books.stripe["subscription"]:
                if one["customer"] == customer:
                    self.world.stripe(
                        "POST", f"/v1/subscriptions/{one['id']}", f"default_payment_method={body['id']}"
                    )
        return f"{status} {body}"

    def clock(self, step: Step) -> str:
        """Time passes."""
        self.world.advance(step.seconds)
        return ""

    def skewed(self, step: Step) -> str:
        """The machine's clock is set otherwise than Stripe's."""
        self.world.skew = step.seconds
        return ""

    def cardholder(self, step: Step) -> str:
        """The bank's question is answered."""
        invoice, answer = step.words
        try:
            return self.world.authenticate(invoice, succeeds=answer == "yes")
        except (ValueError, ApiError) as error:
            return str(error)

    def page(self, step: Step) -> str:
        """A Checkout page is filled in."""
        try:
            answer = control.complete_checkout(self.world.twin, *step.words)
        except ApiError as error:
            return error.message
        pages = {one["id"]: one for one in self.books.stripe["checkout.session"]}
        invariants.check_page(step.words, answer, pages.get(step.words[0]))
        return answer

    def elsewhere(self, step: Step) -> str:
        """A subscription that the dashboard makes, with a customer and a card of its own."""
        price, quantity, trial, card = step.words
        _, customer = self.world.stripe("POST", "/v1/customers", f"email=other{step.index}@example.com")
        status, method = self.world.stripe(
            "POST", f"/v1/payment_methods/{card}/attach", f"customer={customer['id']}"
        )
        form = {"customer": customer["id"], "items[0][price]": price, "items[0][quantity]": quantity}
        if status == 200:
            form["default_payment_method"] = method["id"]
        if trial != "0":
            form["trial_period_days"] = trial
        status, body = self.world.stripe("POST", "/v1/subscriptions", urlencode(form))
        self.outcomes[-1] = f"{status} {body.get('id')}"
        return f"{status} {body}"

    def schedule(self, step: Step) -> str:
        """The dashboard schedules other seats for the next period."""
        subscription, seats, end = step.words
        path = "/v1/subscription_schedules"
        status, made = self.world.stripe("POST", path, f"from_subscription={subscription}")
        self.outcomes[-1] = str(status)
        if status != 200:
            return f"{status} {made}"
        (first,) = made["phases"]
        form = {f"phases[0][{name}]": first[name] for name in ("start_date", "end_date")}
        form["end_behavior"] = end
        for place, item in enumerate(first["items"]):
            for phase, quantity in enumerate((item["quantity"], seats)):
                form[f"phases[{phase}][items][{place}][price]"] = item["price"]
                form[f"phases[{phase}][items][{place}][quantity]"] = quantity
        status, body = self.world.stripe("POST", f"{path}/{made['id']}", urlencode(form))
        return f"{status} {body}"

    def retries(self, step: Step) -> str:
        """The account's setting changes."""
        self.world.retries(step.words[0])
        return ""

    def tampered(self, step: Step) -> str:
        """Stripe holds what the sandbox itself does not make."""
        identifier, what = step.words
        there = {one["id"]: one for one in self.books.stripe["subscription"]}
        one = there.get(identifier)
        if what == "classic" and one and one["billing_mode"]["updated_at"] not in {None, one["created"]}:
            return "migrated"  # Stripe takes no migration back
        fields: dict[str, object] = {
            "classic": {"billing_mode": {"type": "classic", "flexible": None, "updated_at": None}},
        }[what]
        self.world.tamper("subscription", identifier, **fields)
        return ""

    # rest ----------------------------------------------------------------------------------------------

    def rest(self, step: Step) -> str:
        """All faults off: `sync` ends whatever is open, and both sides say the same."""
        self.world.skew = 0
        if (seconds := self.world.leases_last()) > 0:  # of those who were killed
            self._passes(int(seconds) + 1, "clock")
        for _ in range(4):
            told = self._sync()
            if not self.books.open_operations:
                break
            told = self._sync()
            if not self.books.open_operations:
                break
            self._let_banks_decide()
            self._passes(DAY + 60, "clock")
        left = self.books.open_operations
        if left:
            raise Violation(
                "an operation that sync cannot end", f"{left[0]}; {told.out[-700:]} {told.err[-300:]}"
            )
        last = self._sync()
        if last.code != 0:
            raise Violation(f"sync ends with {last.code} when all is quiet", (last.out + last.err)[-800:])
        invariants.check_in_step(self.books)
        for words in (("audit", "verify"), ("ledger", "check")):
            done = self.world.seatctl(*words)
            if done.code != 0:
                raise Violation(f"{' '.join(words)} ends with {done.code}", (done.out + done.err)[-800:])
        invariants.check_audit(self.world.ledger)  # after the command that links all entries of a server
        invariants.check_record(self.world.ledger)
        self._reconcile()
        shown = self.world.seatctl("status", "-o", "json")
        invariants.check_status(json.loads(shown.out)["attention"], self.books)
        listed = self.world.seatctl("invoices", "list", "-o", "json")
        invariants.check_invoices(json.loads(listed.out), self.books)
        self._check_empty_subscriptions()
        return ""

    def _let_banks_decide(self) -> None:
        """What is under way at a bank is paid or fails: until then an operation waits, be it two weeks."""
        before = self.books
        under_way = {
            one["_invoice"]: one["_failure"] is None
            for one in before.stripe["payment_intent"]
            if one["status"] == "processing"
        }
        for name, invoice in before.invoices.items():
            if name in under_way and invoice["status"] in {"open", "uncollectible"}:
                control.settle(self.world.twin, name, succeeds=under_way[name])
        self._after("cardholder", before)

    def _check_empty_subscriptions(self) -> None:
        """Who sits in a subscription of no seats is not entitled by it."""
        for subscription in self.books.subscriptions:
            if subscription["quantity"] == 0 and subscription["status"] == "active":
                for row in self.world.ledger.rows(
                    "SELECT email FROM seats s JOIN users u ON u.id = user_id"
                    " WHERE subscription_id = ? AND revoked_at IS NULL ORDER BY s.id LIMIT 1",
                    subscription["id"],
                ):
                    told = self.world.seatctl("check", row["email"], "-s", subscription["name"], "-o", "json")
                    if told.code == 0 and subscription["capacity"] == 0:
                        raise Violation("entitled by no seats", told.out[-400:])

    def _sync(self) -> Result:
        before = self.books
        step = Step(0, "command", ("sync", "-o", "json"))
        result = self._run(step)
        after = self._after("command", before)
        invariants.check_exit(step, result)
        invariants.check_seats(before, after)
        money.check_ends(before, after, self.accounts)
        self.note(result.code, result.out, result.err)
        return result

    def _reconcile(self) -> None:
        done = self.world.seatctl("reconcile", "-o", "json")
        found = [row["drift"] for row in _rows(done) if row["drift"] not in {None, "over_assigned"}]
        if done.code != 0 or found:
            raise Violation("reconcile finds a drift after a sync", (done.out + done.err)[-800:])


def _rows(result: Result) -> list[dict]:
    return json.loads(result.out)["rows"]


def _shows(step: Step) -> bool:
    """Whether a command says beforehand what it will charge or give back."""
    if step.words[:2] == ("invoices", "pay"):
        return True
    return step.words[0] == "subs" and step.words[1] in ASKS and step.words[1] in COMMANDS


def _amount(shown: Result | None) -> int | None:
    if shown is None or shown.code != 0:
        return None
    found = shown.row.get("due_now", shown.row.get("billed_now"))
    return found if isinstance(found, int) else None


_DO = {
    "command": History.command,
    "dashboard": History.dashboard,
    "portal": History.portal,
    "clock": History.clock,
    "skew": History.skewed,
    "cardholder": History.cardholder,
    "page": History.page,
    "elsewhere": History.elsewhere,
    "retries": History.retries,
    "schedule": History.schedule,
    "tamper": History.tampered,
    "rest": History.rest,
}


@dataclass(frozen=True)
class Ended:
    """How a history ended."""

    seed: str
    steps: tuple[Step, ...]
    outcomes: tuple[str, ...]
    digest: str
    violation: Violation | None


def roll(worlds: Worlds, seed: str, length: int, leave_out: Sequence[str] = (), theme: str = "") -> Ended:
    """A history of random steps that rests at its end, without what `leave_out` begins the name of."""
    sky: Weather = weather(Random(f"{seed}:weather"), theme, server=worlds.are_on_server)

    def steps(history: History) -> None:
        last: Step | None = None
        for index in range(length):
            chance = Random(f"{seed}:step:{index}")
            made = next_step(history.world, history.books, sky, chance, last)
            if made.kind.startswith(tuple(leave_out)):
                made = Step(0, "clock", seconds=3600)
            if sky.meetings and not "meeting".startswith(tuple(leave_out)):
                see = Sight(
                    history.world, history.books, Random(f"{seed}:meeting:{index}"), sky.plans, sky.cards
                )
                made = replace(made, meeting=meeting(see, sky, made))
            faults = tuple(one for one in made.faults if not one.kind.startswith(tuple(leave_out)))
            last = replace(made, index=index, faults=faults)
            history.play(last)
        history.play(Step(length, "rest"))

    return _play(worlds, seed, steps)


def replay(worlds: Worlds, seed: str, steps: Sequence[Step]) -> Ended:
    """The same steps again, or some of them."""

    def again(history: History) -> None:
        for step in steps:
            history.play(step)

    return _play(worlds, seed, again)


def _bug(log: str) -> str:
    """A name for a bug: its error and the last place in this program."""
    places = re.findall(r'/seatctl/(\S+)", line \d+, in (\S+)', log)
    errors = re.findall(r"^(\w*(?:Error|Exception|Iteration|Interrupt)\w*)\b", log, re.MULTILINE)
    where = ":".join(places[-1]) if places else "an unknown place"
    return f"a bug: {errors[-1] if errors else 'unknown'} at {where}"


def _play(worlds: Worlds, seed: str, act) -> Ended:
    with worlds.world() as world:
        history = History(world, seed)
        violation = None
        try:
            act(history)
        except Violation as found:
            violation = found
            if found.name == "a bug was told":
                last = world.log().rpartition("Traceback")[2]
                violation = Violation(_bug(last), last[-700:])
        return Ended(seed, tuple(history.steps), tuple(history.outcomes), history.digest, violation)
