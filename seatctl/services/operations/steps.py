"""The steps of an operation: calls to Stripe that are stored before they are sent (docs/billing.md).

A step stores the exact form that it sends, then the answer. `submit.py` begins and ends operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Generic, TypeVar

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject, read_subscription, require_readable
from seatctl.billing.port import (
    AuthenticationRequired,
    Billing,
    CardDeclined,
    InvalidRequest,
    KeyLacksPermission,
    KeyRejected,
    MissingInStripe,
    RateLimited,
    Read,
    StripeFault,
    StripeJson,
    UnreadableAnswer,
    Write,
    stripe_now,
)
from seatctl.errors import Code, JsonValue, NotAllowed, SeatctlError, StripeRefused
from seatctl.ledger import operations
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.operation import Operation, Step
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.rules import hints
from seatctl.rules.metadata import made_by, marks
from seatctl.rules.purchases import ShownCharge

KEYS_LAST = timedelta(hours=23)
"""How long the idempotency key of a step is trusted. It must stay below the 24 hours for which Stripe replays
the answer of a key; one hour is subtracted for clocks that differ.

Once keys have expired, a purchase is undone instead of charged a day late (`undo_if_too_old` in submit.py),
and an operation stops waiting for a cardholder (`OperationRun.wait_for_cardholder`). Both must happen at the
same moment: an operation that waited longer would be undone by the next `sync`."""

STILL_CARRIED_OUT = timedelta(minutes=2)
"""How long Stripe may still carry out a call without an answer: longer than any time-out."""

_CLOCKS_DIFFER = timedelta(days=1)
"""By how much our clock may have been ahead of Stripe's when an operation began."""

_STRIPE_TIME = "stripe_time"
"""The key in a step's form for Stripe's clock when it was sent, if known: keys expire by that clock."""

_CONTEXT = "stripe_context"
"""The key in a step's form for the context in which it was sent, if there was one: Stripe knows its
idempotency key in this context only."""

_ATTEMPTS_PER_RUN = 2

_REFUSALS: dict[str, type[SeatctlError]] = {
    refusal.kind.code: refusal
    for refusal in (
        CardDeclined,
        AuthenticationRequired,
        InvalidRequest,
        MissingInStripe,
        KeyRejected,
        KeyLacksPermission,
        RateLimited,
    )
}

Find = Callable[[], StripeJson | None]
"""Looks for what a step did in Stripe: returns the object, or None if the step was never carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What operations of every kind store when they begin: their handlers know nothing else.

    Each kind adds its own fields in a frozen dataclass beside its handler; `rules/typed_json.py` dumps and
    loads it. The keys in the ledger never change: a field that gets a better name keeps its key by
    `stored_as`. A new field has a default that means what the version without the field did.
    """

    kind: ClassVar[str]
    """The name of the kind in the ledger."""
    summary: str = ""
    """What the run's report says once the operation is done."""
    due_now: int = 0
    """What was shown as due, in minor units."""
    shown: ShownCharge | None = None
    warnings: tuple[str, ...] = ()
    customer: str | None = None
    """The Stripe customer who pays, None if the operation makes one or charges nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPayload(Payload):
    """What operations on a running subscription store."""

    subscription: int
    """Its id in the ledger."""
    stripe_id: str
    """The id of its Stripe subscription."""


P_co = TypeVar("P_co", bound=Payload, covariant=True)


class WaitingForCardholder(SeatctlError):
    """The bank wants the cardholder to authenticate on Stripe's page; nothing is charged until then."""

    kind = Code.WAITING_FOR_CARDHOLDER


class NothingLeftInStripe(Exception):
    """Raised by a handler to end its operation as failed: Stripe has nothing of it. The user sees `error`."""

    def __init__(self, error: SeatctlError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class OperationRun(Generic[P_co]):
    """An operation while its handler runs: the payload, and the means to take steps."""

    ledger: Ledger
    billing: Billing
    call: Call
    operation: Operation
    payload: P_co
    """What was decided when the operation began."""
    fresh: bool = False
    """Whether it has just begun, so that Stripe is as it was when it was decided."""

    @property
    def reference(self) -> str:
        """The mark of this operation in Stripe's metadata, unique over all ledgers."""
        return f"{self.ledger.id}:{self.operation.id}"

    @property
    def marks(self) -> dict[str, JsonValue]:
        """The metadata of every object that this operation makes."""
        return marks(self.ledger.id, self.reference, self.operation.request_id)

    @property
    def keys_expired(self) -> bool:
        """Whether the operation is so old that Stripe may have forgotten its keys: nobody is charged then."""
        return self.call.now - self.operation.created_at >= KEYS_LAST

    def subscription(self: OperationRun[SubscriptionPayload]) -> StripeSubscription:
        """Return the Stripe subscription of the operation as it is now."""
        return read_subscription(self.billing.read(endpoints.subscription(self.payload.stripe_id)))

    def wait_for_cardholder(self, reason: str, url: str | None) -> None:
        """Raise WaitingForCardholder while keys last; return once the operation has to be given up."""
        if not self.keys_expired:
            data: dict[str, JsonValue] = {"url": url, "run": self.operation.run}
            raise WaitingForCardholder(f"{reason}: {url}", hint=hints.page(url), data=data)

    def answered(self, name: str) -> StripeJson | None:
        """Return the recorded answer of a step, None if it has none or was refused."""
        last = self._last_attempt(name)
        return None if last is None or _is_refusal(last) or not _is_answered(last) else _recorded(last)

    def was_sent(self, name: str) -> bool:
        """Whether a step may have reached Stripe."""
        return self._last_attempt(name) is not None

    def was_refused(self, name: str) -> bool:
        """Whether Stripe refused the step, so that nothing of it can be in Stripe."""
        last = self._last_attempt(name)
        return last is not None and _is_refusal(last)

    def is_settled(self) -> bool:
        """Whether every call that was sent has an answer, or was not found in Stripe afterwards.

        A step is sent under another key only after its earlier attempt was looked for, or refused.
        """
        with self.ledger.reading() as reader:
            last = {step.name: step for step in operations.steps(reader, self.operation.id)}
        return all(map(_is_answered, last.values()))

    # What Stripe has of the operation --------------------------------------------------------------------

    def find_in(self, listing: Read) -> StripeJson | None:
        """Return the object of a list that this operation made, None if there is none.

        Raises UnreadableObject if an object has no metadata, because it may be ours.
        """
        unknown = 0
        for raw in self.listed(listing):
            if made_by(raw, self.reference):
                return raw
            unknown += not isinstance(raw.get("metadata"), dict)
        if unknown:
            raise UnreadableObject(f"an object of GET {listing.path} has no metadata: it may be ours")
        return None

    def listed(self, listing: Read) -> Iterator[StripeJson]:
        """Yield the objects of a list.

        Stripe lists nothing of a deleted customer, but what was made for it is still there: then every object
        made since the operation began is yielded.
        """
        try:
            yield from self.billing.every(listing)
        except MissingInStripe:
            if "customer" not in listing.form:
                raise
            others = {name: value for name, value in listing.form.items() if name != "customer"}
            yield from self.billing.every(Read(listing.path, {**others, "created": {"gte": self.earliest()}}))

    def mine(self, listing: Read) -> Find:
        """A `Find` of the object of a list that this operation made."""
        return lambda: self.find_in(listing)

    def marked(self, read: Read, mark: str | None = None) -> Find:
        """A `Find` of one object, if this operation made it or changed it last."""

        def find() -> StripeJson | None:
            raw = self.billing.read(read)
            return raw if made_by(raw, mark or self.reference) else None

        return find

    def changed(self: OperationRun[SubscriptionPayload], mark: str | None = None) -> Find:
        """`marked`, of the Stripe subscription that the operation changes."""
        return self.marked(endpoints.subscription(self.payload.stripe_id), mark)

    def when(self, read: Read, is_done: Callable[[StripeJson], bool]) -> Find:
        """A `Find` of one object that tells by itself, without a mark, whether the step was carried out."""

        def find() -> StripeJson | None:
            raw = self.billing.read(read)
            return raw if is_done(raw) else None

        return find

    def gone_from(self, listing: Read, identifier: str) -> Callable[[], bool]:
        """Return what tells whether a list no longer has an object; a deleted customer has no list."""

        def gone() -> bool:
            try:
                return all(raw.get("id") != identifier for raw in self.billing.every(listing))
            except MissingInStripe:
                return True

        return gone

    def is_missing(self, read: Read) -> bool:
        """Whether Stripe does not have an object, or has deleted it."""
        try:
            return self.billing.read(read).get("deleted") is True
        except MissingInStripe:
            return True

    # Steps -----------------------------------------------------------------------------------------------

    def step(self, name: str, write: Write, find: Find) -> StripeJson:
        """Return the recorded answer of the step; if it has none, send `write` under a new key and record it.

        `find` decides if the key cannot: after a fault of Stripe, after an answer that cannot be read, and
        when the key has expired or belongs to another context. A refusal is an answer, too, and is raised
        again.
        """
        last = self._last_attempt(name)
        if last is not None and _is_answered(last):
            return _recorded(last)
        if last is None:
            return self._send(self._note(name, 1, write), find, _ATTEMPTS_PER_RUN, first=True)
        if self._age(last) > KEYS_LAST or last.form.get(_CONTEXT) != self.billing.context:
            done = self._look(last, find)
            if done is not None:
                return done
            return self._send(self._again(last), find, _ATTEMPTS_PER_RUN, first=True)
        return self._send(last, find, _ATTEMPTS_PER_RUN)

    def step_or_fail(
        self,
        name: str,
        write: Write,
        find: Find,
        undo: Callable[[], None] = lambda: None,
        but: tuple[type[StripeRefused], ...] = (),
    ) -> StripeJson:
        """Like `step`; if it is refused, the operation ends as failed after `undo` has cleaned up.

        Refusals of the types `but` are raised as they are: the operation then continues in another way.
        """
        try:
            return self.step(name, write, find)
        except but:
            raise
        except (StripeRefused, NotAllowed, RateLimited) as refusal:
            if not self.was_refused(name):
                raise
            undo()
            raise NothingLeftInStripe(refusal) from refusal

    def step_must_succeed(self, name: str, write: Write, find: Find) -> StripeJson:
        """Like `step`, for steps that must eventually succeed because money has already moved.

        If an earlier run was refused, try again with a new idempotency key; the old key would replay the
        refusal, and the reason for it (a key without a permission, say) may be gone.
        """
        last = self._last_attempt(name)
        if last is None or not _is_refusal(last):
            return self.step(name, write, find)
        done = self._look(last, find)
        return done or self._send(
            self._note(name, last.attempt + 1, write), find, _ATTEMPTS_PER_RUN, first=True
        )

    def delete(self, name: str, write: Write, gone: Callable[[], bool]) -> None:
        """Send a DELETE that must succeed. Keys have no effect on it: a 404 means done if `gone` agrees."""
        try:
            self.step_must_succeed(name, write, lambda: {"deleted": True} if gone() else None)
        except MissingInStripe:
            if not gone():
                raise

    def _send(self, step: Step, find: Find, attempts: int, *, first: bool = False) -> StripeJson:
        self.ledger.require_money_lock()
        try:
            # The key makes it safe to repeat a call whose answer was lost: Stripe charges once and answers
            # again. It names the attempt, because the key of a refused attempt replays the refusal.
            answer = self.billing.write(
                _as_write(step.form), f"seatctl:{self.reference}:{step.name}:{step.attempt}"
            )
        except StripeRefused as refusal:
            self._answer(step, {"error": refusal.as_json()})
            raise
        except (NotAllowed, RateLimited) as refusal:
            raw = self._not_accepted(step, find, refusal, first=first)
            if raw is None:
                raise
            return raw
        except UnreadableAnswer as unusable:
            # Noted, so that `runs undo` knows that the call is not under way any more. The key stays: it
            # replays Stripe's answer, or makes the call if it never arrived. But if Stripe itself answers in
            # an unreadable form, it will do so again: then its objects decide.
            self._answer(step, {"unusable": unusable.as_json()})
            raw = self._look(step, find)
            if raw is None:
                raise
            return raw
        except StripeFault:
            # The key replays the fault for a day: only Stripe's own objects tell what happened.
            raw = self._look(step, find)
            if raw is not None:
                return raw
            if attempts == 1:
                raise
            return self._send(self._again(step), find, attempts - 1, first=True)
        self._answer(step, {"object": answer})
        return answer

    def _not_accepted(
        self, step: Step, find: Find, refusal: SeatctlError, *, first: bool
    ) -> StripeJson | None:
        """Record that Stripe does not accept a call today; return what an earlier try of it has done.

        The refusal says nothing about an earlier call whose answer was lost. Stripe's objects do, once that
        call cannot be under way any more: a limit may last for a day. Until then nothing is recorded.
        """
        if not first:
            if not isinstance(refusal, RateLimited) or self._age(step) <= STILL_CARRIED_OUT:
                return None
            raw = self._look(step, find)
            if raw is not None:
                return raw
        self._answer(step, {"error": refusal.as_json()})
        return None

    def _look(self, step: Step, find: Find) -> StripeJson | None:
        """Return what Stripe has of this step and record it as the answer; None if it was never carried out.

        Raises UnreadableObject before anything is recorded, because no later run could use it.
        """
        raw = find()
        if raw is not None:
            require_readable(raw)
            self._answer(step, {"object": raw})
        return raw

    def _again(self, step: Step) -> Step:
        return self._note(step.name, step.attempt + 1, _as_write(step.form))

    def earliest(self) -> int:
        """The time (unix seconds, Stripe's clock) before which this operation made nothing in Stripe."""
        began = self.operation.created_at
        there = stripe_now(self.billing, self.call) - (self.call.now - began)
        return int((min(began, there) - _CLOCKS_DIFFER).timestamp())

    def _age(self, step: Step) -> timedelta:
        """How long ago a step was sent, by the clock that says more: ours may have been set back since."""
        noted, now = step.form.get(_STRIPE_TIME), self.billing.clock()
        there = now.timestamp() - noted if now is not None and isinstance(noted, int) else 0.0
        return max(self.call.now - step.sent_at, timedelta(seconds=there))

    def _last_attempt(self, name: str) -> Step | None:
        with self.ledger.reading() as reader:
            return operations.last_attempt(reader, self.operation.id, name)

    def _note(self, name: str, attempt: int, write: Write) -> Step:
        form: dict[str, JsonValue] = {"method": write.method, "path": write.path, "form": dict(write.form)}
        if (there := self.billing.clock()) is not None:
            form[_STRIPE_TIME] = int(there.timestamp())
        if self.billing.context is not None:
            form[_CONTEXT] = self.billing.context
        step = Step(name, attempt, form, None, self.call.now, None)
        with self.ledger.journal() as journal:
            operations.note_sending(journal, self.operation.id, step)
        return step

    def _answer(self, step: Step, answer: dict[str, JsonValue]) -> None:
        with self.ledger.journal() as journal:
            operations.note_answer(journal, self.operation.id, step, answer, self.call.now)


def _is_answered(step: Step) -> bool:
    """Whether a step has a usable answer. Older versions have recorded any body as one."""
    raw = None if step.answer is None else step.answer.get("object")
    is_object = isinstance(raw, dict) and (isinstance(raw.get("id"), str) or raw.get("deleted") is True)
    return _is_refusal(step) or is_object


def _is_refusal(step: Step) -> bool:
    return step.answer is not None and "error" in step.answer


def _as_write(form: dict[str, JsonValue]) -> Write:
    inner = form["form"]
    return Write(
        "delete" if form["method"] == "delete" else "post",
        str(form["path"]),
        inner if isinstance(inner, dict) else {},
    )


def _recorded(step: Step) -> StripeJson:
    """The recorded answer of a step; a refusal is raised again."""
    answer = step.answer or {}
    refused, raw = answer.get("error"), answer.get("object")
    if isinstance(refused, dict):
        data = {name: value for name, value in refused.items() if name not in {"code", "message", "hint"}}
        hint = refused.get("hint")
        raise _REFUSALS.get(str(refused.get("code")), StripeRefused)(
            str(refused.get("message")), hint=hint if isinstance(hint, str) else None, data=data
        )
    return raw if isinstance(raw, dict) else {}
