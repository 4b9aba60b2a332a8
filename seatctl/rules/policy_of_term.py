"""The policy of the running term, while another one waits for the term's end; in Stripe's metadata. Pure.

The metadata's policy belongs to what Stripe's item holds. Until that term begins, the earlier policy stays in
force: all of it while a plan change waits; if the next term is already paid, only what a seat grants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from seatctl.errors import JsonValue
from seatctl.models.plan import Policy
from seatctl.rules.policies import FLEXIBLE, BadPolicy, as_fields, as_metadata, from_fields

PAID_RULES: Final = "seatctl_paid_rules"
PAID_FEATURES: Final = "seatctl_paid_features"
PAID_SIGN_IN: Final = "seatctl_paid_sign_in_url"
PAID_CONTACT: Final = "seatctl_paid_support_contact"
PAID_POLICY: Final = (PAID_RULES, PAID_FEATURES, PAID_SIGN_IN, PAID_CONTACT)

_ALONE: Final = ("features", "sign_in_url", "support_contact")
"""Fields that may be as long as a metadata value, so each has its own key."""


@dataclass(frozen=True, slots=True)
class TermPolicies:
    """The policies of the running term and of the next one."""

    now: Policy
    next: Policy

    @property
    def metadata(self) -> dict[str, JsonValue]:
        """The metadata of both: the next term's policy, and the running term's while it differs."""
        kept = cleared_policy(self.now, self.next) or paid_policy(self.now)
        return {**as_metadata(self.next), **kept}


def cleared_policy(running: Policy, upcoming: Policy) -> dict[str, JsonValue]:
    """Return the metadata that removes a kept policy if both are the same; else nothing.

    A policy left over from an earlier term would be in force again as soon as the next change waits.
    """
    return dict.fromkeys(PAID_POLICY, "") if running == upcoming else {}


def paid_policy(policy: Policy) -> dict[str, JsonValue]:
    """Return the metadata that keeps a policy until the term's end."""
    fields, usual = as_fields(policy), as_fields(FLEXIBLE)
    rules = {name: value for name, value in fields.items() if name not in _ALONE and value != usual[name]}
    return {
        PAID_RULES: json.dumps(rules, separators=(",", ":")),
        PAID_FEATURES: ",".join(policy.features),
        PAID_SIGN_IN: policy.sign_in_url or "",
        PAID_CONTACT: policy.support_contact or "",
    }


def running_policy(metadata: Mapping[str, str], upcoming: Policy, *, renewed: bool) -> Policy:
    """Return the policy that is in force now, while `upcoming` begins with the next term.

    Once the next term is paid, its rules for buying apply; what its seats grant begins with the term.
    """
    kept = _kept(metadata)
    if kept is None:
        return upcoming
    if renewed:
        return replace(upcoming, features=kept.features, sign_in_url=kept.sign_in_url)
    return kept


def _kept(metadata: Mapping[str, str]) -> Policy | None:
    """Return the kept policy; None if there is none, or if it was edited by hand and is not valid."""
    try:
        rules = json.loads(metadata.get(PAID_RULES) or "null")
        if not isinstance(rules, dict):
            return None
        alone = {
            "features": metadata.get(PAID_FEATURES),
            "sign_in_url": metadata.get(PAID_SIGN_IN),
            "support_contact": metadata.get(PAID_CONTACT),
        }
        return from_fields({**rules, **{name: text for name, text in alone.items() if text}})
    except (ValueError, BadPolicy):
        return None
