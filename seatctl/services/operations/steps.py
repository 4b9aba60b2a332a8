"""The steps of an operation: calls to Stripe that are journalled before they are sent (billing.md).

A step stores the exact form it sends, then its answer. What a whole operation is, how it begins and how
it ends is in `submit.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import UnreadableObject, require_readable
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
)
from seatctl.errors import JsonValue, NotAllowed, SeatctlError, StripeRefused
from seatctl.ledger import operations
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.operation import Operation, Step
from seatctl.rules.metadata import made_by

KEYS_LAST = timedelta(hours=23)
"""Stripe replays the answer of a key for 24 hours; an hour is left for clocks that differ."""

_CLOCKS_DIFFER = timedelta(days=1)
"""By how much ours may have been ahead of Stripe's when an operation began."""

_STRIPE_TIME = "stripe_time"
"""Stripe's clock when a step was sent, as far as it was known: keys are forgotten by that clock."""

_ATTEMPTS_A_RUN = 2

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


class NothingLeftInStripe(Exception):
    """A handler's word that nothing of the operation is left in Stripe; `error` is what the user sees."""

    def __init__(self, error: SeatctlError) -> None:
        super().__init__(error.message)
        self.error = error


def _nothing_to_undo() -> None:
    """The undo of a first step."""


@dataclass(frozen=True, slots=True)
class OperationRun:
    """An operation while its handler works: the payload, and the way to take a step."""

    ledger: Ledger
    billing: Billing
    call: Call
    operation: Operation

    @property
    def payload(self) -> dict[str, JsonValue]:
        """What was decided when the operation was begun."""
        return self.operation.payload

    @property
    def reference(self) -> str:
        """This operation in Stripe's metadata: unique over all ledgers."""
        return f"{self.ledger.id}:{self.operation.id}"

    def answered(self, name: str) -> StripeJson | None:
        """The recorded answer of a step, None while there is none or where it was refused."""
        with self.ledger.reading() as reader:
            last = operations.last_attempt(reader, self.operation.id, name)
        return None if last is None or _is_refusal(last) or not _is_answered(last) else _recorded(last)

    def was_sent(self, name: str) -> bool:
        """Whether a step may have reached Stripe."""
        with self.ledger.reading() as reader:
            return operations.last_attempt(reader, self.operation.id, name) is not None

    def is_settled(self) -> bool:
        """Whether it is known of every call that was sent what became of it."""
        with self.ledger.reading() as reader:
            return all(map(_is_answered, operations.steps(reader, self.operation.id)))

    def find_in(self, listing: Read, mark: str | None = None) -> StripeJson | None:
        """The object of a list that this operation made, or marked with `mark`; None if there is none.

        Raises UnreadableObject if one does not say whose work it is: it may be ours.
        """
        unknown = 0
        for one in self.billing.every(listing):
            if made_by(one, mark or self.reference):
                return one
            unknown += not isinstance(one.get("metadata"), dict)
        if unknown:
            raise UnreadableObject(f"an object of GET {listing.path} has no metadata: it may be ours")
        return None

    def find_at(self, read: Read, mark: str | None = None) -> StripeJson | None:
        """One object if this operation made or changed it last, or marked it with `mark`; else None."""
        found = self.billing.read(read)
        return found if made_by(found, mark or self.reference) else None

    def step(self, name: str, write: Write, find: Find) -> StripeJson:
        """The recorded answer of the step, or `write` sent under a key of its own and its answer recorded.

        `find` looks for the object in Stripe by what its metadata says; it decides where the key cannot:
        after a fault of Stripe, after an answer that cannot be read, and after 23 hours. A refusal is an
        answer too and is raised again.
        """
        with self.ledger.reading() as reader:
            last = operations.last_attempt(reader, self.operation.id, name)
        if last is not None and _is_answered(last):
            return _recorded(last)
        if last is None:
            return self._send(self._note(name, 1, write), find, _ATTEMPTS_A_RUN, first=True)
        if self._age(last) > KEYS_LAST:
            found = self._look(last, find)
            if found is not None:
                return found
            last = self._again(last)
        return self._send(last, find, _ATTEMPTS_A_RUN)

    def step_or_nothing(
        self,
        name: str,
        write: Write,
        find: Find,
        undo: Callable[[], None] = _nothing_to_undo,
        but: tuple[type[StripeRefused], ...] = (),
    ) -> StripeJson:
        """As `step`, for a step whose refusal ends the operation, once `undo` has cleaned up.

        The refusals of `but` are raised as they are: there the operation goes on in another way.
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

    def step_at_last(self, name: str, write: Write, find: Find) -> StripeJson:
        """As `step`, for what has to be done sooner or later: money has moved, or half is taken back.

        The refusal of an earlier run is no answer then. What was in the way (a key without a permission, say)
        may be gone: it is asked anew, and under another key, because the old one might replay the refusal.
        """
        with self.ledger.reading() as reader:
            last = operations.last_attempt(reader, self.operation.id, name)
        if last is None or not _is_refusal(last):
            return self.step(name, write, find)
        found = self._look(last, find)
        return found or self._send(
            self._note(name, last.attempt + 1, write), find, _ATTEMPTS_A_RUN, first=True
        )

    def was_refused(self, name: str) -> bool:
        """Whether a refusal is the answer of the step, so that nothing of it can be in Stripe."""
        with self.ledger.reading() as reader:
            last = operations.last_attempt(reader, self.operation.id, name)
        return last is not None and _is_refusal(last)

    def delete(self, name: str, write: Write, gone: Callable[[], bool]) -> None:
        """A DELETE, sooner or later: keys do nothing there, so "no such object" is done if `gone` agrees."""

        def find() -> StripeJson | None:
            return {"deleted": True} if gone() else None

        try:
            self.step_at_last(name, write, find)
        except MissingInStripe:
            if not gone():
                raise

    def _send(self, step: Step, find: Find, attempts: int, *, first: bool = False) -> StripeJson:
        try:
            # The key makes the repetition of a call whose answer was lost safe: Stripe charges once and
            # answers again. It names this attempt, because a refused attempt's key replays the refusal.
            answer = self.billing.write(
                _as_write(step.form), f"seatctl:{self.reference}:{step.name}:{step.attempt}"
            )
        except StripeRefused as refusal:
            self._answer(step, {"error": refusal.as_json()})
            raise
        except (NotAllowed, RateLimited) as refusal:
            # That Stripe does not look at it today says nothing about what the lost call of yesterday did.
            if first:
                self._answer(step, {"error": refusal.as_json()})
            raise
        except UnreadableAnswer as unusable:
            # Noted, so that it is known that the call is not under way any more. The key stays: it replays
            # what Stripe has answered, or does what has never reached it. But an answer that Stripe itself
            # gives in a form that is not understood it will give again: then its objects tell.
            self._answer(step, {"unusable": unusable.as_json()})
            found = self._look(step, find)
            if found is None:
                raise
            return found
        except StripeFault:
            # The key now replays the fault for a day; only Stripe's own objects tell what happened.
            found = self._look(step, find)
            if found is not None:
                return found
            if attempts == 1:
                raise
            return self._send(self._again(step), find, attempts - 1)
        self._answer(step, {"object": answer})
        return answer

    def _look(self, step: Step, find: Find) -> StripeJson | None:
        """What Stripe holds of this step, recorded as its answer; None if it was never carried out.

        Raises UnreadableObject before anything is recorded: no later run could do anything with it.
        """
        found = find()
        if found is not None:
            require_readable(found)
            self._answer(step, {"object": found})
        return found

    def _again(self, step: Step) -> Step:
        return self._note(step.name, step.attempt + 1, _as_write(step.form))

    def earliest(self) -> int:
        """The moment (Unix seconds, Stripe's clock) before which nothing of this operation was made there."""
        began = self.operation.created_at
        there = stripe_now(self.billing, self.call) - (self.call.now - began)
        return int((min(began, there) - _CLOCKS_DIFFER).timestamp())

    def _age(self, step: Step) -> timedelta:
        """How long ago a step was sent, by whichever clock says more: ours may have been set back since."""
        noted, now = step.form.get(_STRIPE_TIME), self.billing.clock()
        there = now.timestamp() - noted if now is not None and isinstance(noted, int) else 0.0
        return max(self.call.now - step.sent_at, timedelta(seconds=there))

    def _note(self, name: str, attempt: int, write: Write) -> Step:
        form: dict[str, JsonValue] = {"method": write.method, "path": write.path, "form": dict(write.form)}
        if (there := self.billing.clock()) is not None:
            form[_STRIPE_TIME] = int(there.timestamp())
        step = Step(name, attempt, form, None, self.call.now, None)
        with self.ledger.journal() as journal:
            operations.note_sending(journal, self.operation.id, step)
        return step

    def _answer(self, step: Step, answer: dict[str, JsonValue]) -> None:
        with self.ledger.journal() as journal:
            operations.note_answer(journal, self.operation.id, step, answer, self.call.now)


def _is_answered(step: Step) -> bool:
    """Whether there is an answer to go on with. Older versions have recorded any body as one."""
    found = None if step.answer is None else step.answer.get("object")
    is_object = isinstance(found, dict) and (isinstance(found.get("id"), str) or found.get("deleted") is True)
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
    """The answer of a step as it was; a refusal is raised as it was."""
    answer = step.answer or {}
    refused, found = answer.get("error"), answer.get("object")
    if isinstance(refused, dict):
        data = {name: value for name, value in refused.items() if name not in {"code", "message", "hint"}}
        hint = refused.get("hint")
        raise _REFUSALS.get(str(refused.get("code")), StripeRefused)(
            str(refused.get("message")), hint=hint if isinstance(hint, str) else None, data=data
        )
    return found if isinstance(found, dict) else {}
