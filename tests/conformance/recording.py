"""Distils the requests of a story into a recording: the facts of Stripe's answers, without names of anybody.

The format is that of the recordings of the real Stripe, which `tests/sandbox/replay.py` reads: each step has
a request and what its answer was. Ids become names (`$sub1`), times become relations, and whatever is a URL,
a secret, a number or an address of the account is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.relay import Exchange

SLACK = 20
"""Seconds that a time may differ in a replay: Stripe takes some for its work."""

_KINDS = (
    "ba|bpc|bps|cbtxn|ch|clock|cn|cnli|cs_test|cus|di|dp|evt|ii|il|in|inpay|mandate|pi|pm|price|prod|promo|py|pyr|re"
    "|seti|setatt|si|sub|sub_sched|txi|txn|txr"
)
_ID = re.compile(rf"\b(?:{_KINDS})_[A-Za-z0-9]{{10,}}")
_OF_A_PREVIEW = re.compile(r"(?:upcoming|[a-z]+_tmp)_\w+")
_INVOICE_NUMBER = re.compile(r"\b[A-Z0-9]{8}-\d{4}\b")
_URLS = ("http://", "https://", "data:")
_OF_SOMEBODY = (*_URLS, "acct_", "ca_", "sk_", "rk_", "pk_", "whsec_")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TIME = 1_200_000_000
_LEFT_OUT = frozenset({
    "account_country", "account_name", "account_tax_ids", "application", "authorization_code",
    "balance_transaction", "branding_settings", "business_profile", "calculated_statement_descriptor",
    "city", "client_secret", "custom_text", "default_for", "doc_url", "fingerprint", "hosted_invoice_url",
    "ip_address", "user_agent",
    "invoice_pdf", "invoice_prefix", "issuer", "line1", "line2", "network_status", "number", "on_behalf_of",
    "network_transaction_id", "outcome", "payment_method_configuration_details", "phone", "postal_code",
    "receipt_number", "receipt_url", "request_log_url", "risk_score", "state", "statement_descriptor", "url",
    "verification",
})  # fmt: skip
"""Fields of the account or of the moment, which no other account repeats."""

_OF_THE_ACCOUNT = ("/v1/events", "/v1/products", "/v1/prices", "/v1/customers", "/v1/refunds", "/v1/disputes")
"""Lists that show what others have made: of these, only the status is a fact."""

Step = dict[str, Any]


class Distiller:
    """Turns exchanges into steps, one after the other, and remembers the names of ids and addresses."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._people: dict[str, str] = {}
        self._advanced_at = 0

    def steps(self, exchanges: Iterable[Exchange]) -> Iterator[Step]:
        """Yield a step for each exchange that others can repeat."""
        for exchange in exchanges:
            if exchange.path == "/v1/account" or _is_still_advancing(exchange):
                continue
            if self._is_repeatable(exchange.path) and self._is_repeatable(json.dumps(exchange.params)):
                yield self._step(exchange)

    def _is_repeatable(self, request: str) -> bool:
        """Whether a request names only what earlier answers have shown."""
        return all(one in self._names for one in _ID.findall(request))

    def _step(self, exchange: Exchange) -> Step:
        path, params = self._named(exchange.path), self._named(exchange.params)
        at = exchange.at
        if exchange.path.endswith("/advance"):
            self._advanced_at = at
        elif exchange.path.startswith("/v1/test_helpers/test_clocks/"):
            at = max(at, self._advanced_at + 3)  # it is not ready before, in a replay either
        step: Step = {"name": f"{exchange.method} {path}", "method": exchange.method, "path": path}
        step["headers"] = {"Stripe-Version": exchange.version}
        step |= {"params": params, "at": at, "expect": {"status": exchange.status}}
        if exchange.method == "GET" and _is_of_the_account(exchange):
            return step
        facts = _Facts(self)
        facts.read(exchange.body, "")
        step["expect"] |= {name: found for name, found in facts.found.items() if found}
        if facts.saved:
            step["save"] = facts.saved
        return step

    def _named(self, value: Any) -> Any:
        """Return the value with the names of ids and with other addresses, of mail and of pages."""
        if isinstance(value, dict):
            return {key: self._named(below) for key, below in value.items()}
        if isinstance(value, list):
            return [self._named(below) for below in value]
        if not isinstance(value, str):
            return value
        if value.startswith(_URLS):
            return "https://example.test/"
        text = _ID.sub(lambda match: self.name_of(match[0]) or match[0], value)
        return _EMAIL.sub(lambda match: self._person(match[0]), text)

    def _person(self, address: str) -> str:
        return self._people.setdefault(address, f"person{len(self._people) + 1}@example.test")

    def text(self, value: str) -> str:
        """Return a text of an answer as a replay has it."""
        return str(self._named(value))

    def name_of(self, identifier: str) -> str | None:
        """Return `$name` of an id that an answer has shown."""
        name = self._names.get(identifier)
        return None if name is None else f"${name}"

    def new_name(self, identifier: str) -> str:
        """Give an id a name, such as `sub1`."""
        kind = identifier.rpartition("_")[0].replace("_", "")
        name = f"{kind}{sum(one.rstrip('0123456789') == kind for one in self._names.values()) + 1}"
        self._names[identifier] = name
        return name


class _Facts:
    """What an answer says: values, nulls, fields that are there, relations; and the ids that are new."""

    def __init__(self, distiller: Distiller) -> None:
        self._distiller = distiller
        self.found: dict[str, Any] = {"body": {}, "null": [], "present": [], "relations": []}
        self.saved: dict[str, str] = {}

    def read(self, value: Any, path: str) -> None:
        """Note the facts of a value and of what is in it."""
        if isinstance(value, dict | list) and value:
            keyed = value.items() if isinstance(value, dict) else enumerate(value)
            for key, below in keyed:
                if key not in _LEFT_OUT:
                    self.read(below, f"{path}.{key}" if path else str(key))
        elif value is None:
            self.found["null"].append(path)
        elif isinstance(value, str):
            self._text(value, path)
        elif isinstance(value, int) and not isinstance(value, bool) and value > _TIME:
            self.found["relations"] += [f"{path} >= {value - SLACK}", f"{path} <= {value + SLACK}"]
        else:
            self.found["body"][path] = value

    def _text(self, value: str, path: str) -> None:
        if value.startswith(_OF_SOMEBODY) or _INVOICE_NUMBER.search(value):
            return
        if _OF_A_PREVIEW.fullmatch(value):
            self.found["present"].append(path)
            return
        if _ID.fullmatch(value):
            if self._distiller.name_of(value) is None:
                self.saved[self._distiller.new_name(value)] = path
                self.found["present"].append(path)
                return
        elif _ID.search(self._distiller.text(value)):
            return  # it names something that no answer has shown
        self.found["body"][path] = self._distiller.text(value)


def _is_still_advancing(exchange: Exchange) -> bool:
    """Whether this only asks a clock that is not ready yet: how often depends on the moment."""
    return exchange.method == "GET" and exchange.body.get("status") == "advancing"


def _is_of_the_account(exchange: Exchange) -> bool:
    owned = {"customer", "subscription", "test_clock", "payment_intent", "invoice", "product"}
    return exchange.path in (*_OF_THE_ACCOUNT, "/v1/test_helpers/test_clocks") and not owned & set(
        exchange.params
    )


def recording_of(exchanges: list[Exchange]) -> dict[str, Any]:
    """Return the recording of a story."""
    return {
        "source": "a run of tests/conformance",
        "version": exchanges[0].version,
        "recorded_start": exchanges[0].at,
        "steps": [*Distiller().steps(exchanges)],
    }


def write_recording(path: Path, exchanges: list[Exchange], key: str) -> None:
    """Write the recording of a story to a file. Raises ValueError rather than write the key."""
    text = json.dumps(recording_of(exchanges), indent=1)
    if key in text:
        raise ValueError("the recording would have the key in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
