"""The kinds of operations: how each one is performed, and how it is undone.

A kind is a `Payload`, and an `OperationHandler` that its module registers: that is
`services/<noun>/<kind>_operation.py`, or the module of another kind with the same steps. Nothing else lists
the kinds: a module that is not imported yet is found by its name, or by looking into each.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import takewhile
from typing import Any, Generic, TypeVar

from seatctl import services
from seatctl.billing import endpoints
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, ExitCode, refuse
from seatctl.ledger.failures import LedgerDamaged, restore_hint
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.operation import Operation
from seatctl.models.report import Record
from seatctl.models.role import Action
from seatctl.rules.typed_json import load
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, Payload, SubscriptionPayload

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What the final transaction of an operation did; a repetition of the request reports it again."""

    summary: str
    rows: tuple[Record, ...]
    columns: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode.DONE
    charged: int | None = None
    """The total of the invoices that Stripe made for it, in minor units; None if it makes none."""


Apply = Callable[[Transaction], OperationResult]
"""The final transaction of an operation. It makes no calls to Stripe."""


@dataclass(frozen=True, slots=True)
class OperationHandler(Generic[P]):
    """How one kind of operation is performed and undone."""

    payload: type[P]
    run: Callable[[OperationRun[P]], Apply]
    undo: Callable[[OperationRun[P]], str | None] | None = None
    """For operations that must not be finished a day late: undo what reached Stripe and return in words what
    was done, or None if it must be finished. Kinds without it are finished however old they are."""
    abandon: Callable[[OperationRun[P]], str | None] | None = None
    """Like `undo`, for `runs undo`, if it can undo what is otherwise finished however old it is."""
    action: Action = field(kw_only=True)
    """What the actor must be allowed to do; abandoning the operation needs it too."""


_HANDLERS: dict[str, OperationHandler[Any]] = {}
_SUFFIX = "_operation"


def register(handler: OperationHandler[P]) -> None:
    """Make a kind of operation known: its name is that of its payload."""
    _HANDLERS[handler.payload.kind] = handler


def handler_for(kind: str) -> OperationHandler[Any]:
    """Return the handler of a kind. Raises `unknown_operation`."""
    if kind not in _HANDLERS:
        modules = sorted(_modules(), key=lambda name: not name.endswith(f".{kind}{_SUFFIX}"))
        for module in takewhile(lambda _: kind not in _HANDLERS, modules):
            import_module(module)
    if kind not in _HANDLERS:
        raise refuse(
            Code.UNKNOWN_OPERATION,
            f"this version does not know operations of the kind {kind!r}",
            hint="to upgrade, in an up-to-date clone of this program: python3 -m pip install .",
        )
    return _HANDLERS[kind]


def all_kinds() -> set[str]:
    """Return every kind of operation."""
    for module in _modules():
        import_module(module)
    return {*_HANDLERS}


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(services.__path__, f"{services.__name__}."):
        if module.name.endswith(_SUFFIX):
            yield module.name


def start(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> OperationRun[Payload]:
    """Return the run of an operation, with its payload loaded. Raises `unknown_operation`, LedgerDamaged."""
    try:
        payload = load(handler_for(operation.kind).payload, operation.payload)
    except (TypeError, ValueError) as error:
        raise LedgerDamaged(
            f"the ledger is damaged: the payload of operation {operation.id} cannot be read: {error}",
            hint=restore_hint(ledger.place),
        ) from error
    return OperationRun(ledger, billing, call, operation, payload)


def perform(running: OperationRun[Payload]) -> Apply:
    """Take the steps of an operation, as `OperationHandler.run`.

    Raises NothingLeftInStripe if Stripe no longer has the subscription (test data that was deleted): left
    pending, the operation would keep every later sync from being a success.
    """
    try:
        return handler_for(running.operation.kind).run(running)
    except MissingInStripe as missing:
        if not _is_gone(running):
            raise
        missing.hint = "to end what Stripe no longer has: seatctl reconcile --fix"
        raise NothingLeftInStripe(missing) from missing


def undo(running: OperationRun[Payload], *, on_request: bool = False) -> str | None:
    """Undo what reached Stripe, as `OperationHandler.undo`; None if the operation must be finished.

    `on_request`: a user wants it, so operations are undone, too, that are otherwise finished however late.
    """
    handler = handler_for(running.operation.kind)
    take_back = (handler.abandon if on_request else None) or handler.undo
    try:
        return None if take_back is None else take_back(running)
    except MissingInStripe:
        if not _is_gone(running):
            raise
        return "Stripe no longer has its subscription"


def _is_gone(running: OperationRun[Payload]) -> bool:
    payload = running.payload
    return isinstance(payload, SubscriptionPayload) and running.is_missing(
        endpoints.subscription(payload.stripe_id)
    )
