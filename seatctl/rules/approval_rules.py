"""The stored form of approval rules: JSON in the ledger, one metadata value in Stripe. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.call import parse_time
from seatctl.models.report import record_of
from seatctl.models.subscription import AutoApproval
from seatctl.rules.emails import check_email, domain_key
from seatctl.rules.names import group_key


def checked_domains(typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains normalised like those of e-mail keys, without duplicates.

    Raises `bad_rule`, which names every bad domain.
    """
    domains = [text.strip().removeprefix("@") for text in typed]
    checked = [(text, check_email(f"x@{domain}")) for text, domain in zip(typed, domains, strict=True)]
    bad = [(text, wrong) for text, wrong in checked if wrong]
    if bad:
        raise refuse(
            Code.BAD_RULE,
            "; ".join(f"{text!r} is not a domain: {wrong}" for text, wrong in bad),
            hint="give the part after the @ of an address, such as example.com",
            data={"domain": bad[0][0], "domains": [text for text, _ in bad]},
        )
    return tuple(dict.fromkeys(map(domain_key, domains)))


def checked_groups(typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups without outer spaces or duplicates, as first spelled.

    Raises `bad_rule` if one is empty.
    """
    groups: dict[str, str] = {}
    for group in typed:
        groups.setdefault(group_key(group), group.strip())
    if "" in groups:
        raise refuse(Code.BAD_RULE, "the name of a group is empty", hint="--reset removes all rules")
    return tuple(groups.values())


def auto_approval_fields(rules: AutoApproval) -> dict[str, JsonValue]:
    """Return the rules as JSON values; `until` is UTC."""
    return record_of(rules, "enabled domains groups daily_limit until keep_free")


def read_auto_approval(fields: Mapping[str, JsonValue]) -> AutoApproval:
    """Return the rules stored by `auto_approval_fields`; a missing field means off or unlimited."""
    daily, until, keep_free = fields.get("daily_limit"), fields.get("until"), fields.get("keep_free")
    return AutoApproval(
        enabled=fields.get("enabled") is True,
        domains=_texts(fields.get("domains")),
        groups=_texts(fields.get("groups")),
        daily_limit=daily if isinstance(daily, int) else None,
        until=parse_time(until) if isinstance(until, str) else None,
        keep_free=keep_free if isinstance(keep_free, int) else 0,
    )


def _texts(value: JsonValue | None) -> tuple[str, ...]:
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()
