"""Operations: purchases and other changes in Stripe that survive a kill at any point (docs/billing.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from seatctl.errors import Code, JsonValue


class OperationState(StrEnum):
    """`pending`: must be finished or reverted; `waiting`: for an authentication or a hosted page."""

    PENDING = "pending"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether the operation is not finished."""
        return self in {OperationState.PENDING, OperationState.WAITING}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation is determined by its payload. `reserved_name` is the name key that a purchase reserves."""

    id: int
    run: int
    kind: str
    payload: dict[str, JsonValue]
    state: OperationState
    subscription_id: int | None
    reserved_name: str | None
    request_id: str | None
    created_at: datetime
    actor: str
    outcome: dict[str, JsonValue] | None = None

    @property
    def waits_for_bank(self) -> bool:
        """Whether a bank is processing its payment, which may take two weeks."""
        code = None if self.outcome is None else self.outcome.get("code")
        return self.state is OperationState.WAITING and code == Code.PAYMENT_PROCESSING.code


@dataclass(frozen=True, slots=True)
class Step:
    """A call to Stripe: the exact form that is sent, and the stored answer once there is one."""

    name: str
    attempt: int
    form: dict[str, JsonValue]
    answer: dict[str, JsonValue] | None
    sent_at: datetime
    answered_at: datetime | None
