"""What seatctl writes into Stripe's metadata, so that a ledger can be rebuilt from Stripe alone. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.plan import Policy
from seatctl.models.subscription import AutoApproval
from seatctl.rules.approval_rules import auto_approval_fields, read_auto_approval
from seatctl.rules.policies import as_metadata

LEDGER: Final = "seatctl_ledger"
OPERATION: Final = "seatctl_operation"
REQUEST: Final = "seatctl_request"
SLUG: Final = "seatctl_plan"
NAME: Final = "seatctl_name"
OWNER: Final = "seatctl_owner"
SUBSCRIPTION: Final = "seatctl_subscription"
"""On an invoice of our own: the Stripe subscription that it bills."""
COVERS_FROM: Final = "seatctl_covers_from"
COVERS_UNTIL: Final = "seatctl_covers_until"
"""On an invoice of our own: the term that it pays for."""
AUTO_APPROVAL: Final = "seatctl_auto_approval"

_LONGEST_VALUE: Final = 500


def marks(ledger_id: str, reference: str, request_id: str | None) -> dict[str, JsonValue]:
    """Return the metadata of every object that we create: home ledger, operation, and any request id."""
    request: dict[str, JsonValue] = {REQUEST: request_id} if request_id else {}
    return {LEDGER: ledger_id, OPERATION: reference, **request}


def subscription_metadata(name: str, owner: str | None, policy: Policy) -> dict[str, JsonValue]:
    """Return name, owner, automatic approval (off) and the term's policy of a new subscription."""
    return {
        NAME: name,
        OWNER: owner or "",
        AUTO_APPROVAL: auto_approval_text(AutoApproval()),
        **as_metadata(policy),
    }


def plan_metadata(slug: str, policy: Policy) -> dict[str, JsonValue]:
    """Return slug and policy of a plan, for its product."""
    return {SLUG: slug, **as_metadata(policy)}


def auto_approval_text(rules: AutoApproval) -> str:
    """Return the rules as one metadata value. Raises `too_long_for_stripe`."""
    text = json.dumps(auto_approval_fields(rules), ensure_ascii=False, separators=(",", ":"))
    if len(text) > _LONGEST_VALUE:
        raise refuse(
            Code.TOO_LONG_FOR_STRIPE,
            "these approval rules are longer than the 500 characters that Stripe's metadata allows",
            hint="name fewer domains or groups",
            data={"length": len(text)},
        )
    return text


def auto_approval_of(metadata: Mapping[str, str]) -> AutoApproval:
    """Return the rules that `auto_approval_text` stored; off if there are none or they cannot be read."""
    try:
        fields = json.loads(metadata.get(AUTO_APPROVAL, "{}"))
        rules = read_auto_approval(fields if isinstance(fields, dict) else {})
    except ValueError:
        return AutoApproval()
    written = auto_approval_fields(rules)
    # Edited in the dashboard: a limit that cannot be read must not become "no limit".
    is_odd = isinstance(fields, dict) and any(fields[key] != written[key] for key in written.keys() & fields)
    return AutoApproval() if is_odd else rules


def made_by(holder: Mapping[str, JsonValue], reference: str) -> bool:
    """Return whether a Stripe object was made by this operation."""
    metadata = holder.get("metadata")
    return isinstance(metadata, dict) and metadata.get(OPERATION) == reference
