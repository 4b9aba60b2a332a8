"""The relations of the recordings: a small language, and the sentences that can be checked.

A relation is an expression (`period_end == created`, `add_months(x, 1)`, `a =~ regex`) or a sentence. A
sentence that can be checked has a function in this module; the others are counted and listed.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime

OPERATORS = ("==", "!=", ">=", "<=", "<", ">")
TOKEN = re.compile(r"\s*(?:(\d+)|(\$?[A-Za-z_][\w.]*)|([()+,-]))")
MISSING = object()


def at_path(body, path):
    """Return the value at a dotted path, or MISSING."""
    for part in path.split("."):
        if isinstance(body, list) and part.isdigit():
            body = body[int(part)] if int(part) < len(body) else MISSING
        elif isinstance(body, dict):
            body = body.get(part, MISSING)
        else:
            return MISSING
        if body is MISSING:
            return MISSING
    return body


def add_months(moment, months):
    """Add calendar months; the day is at most the last day of the month."""
    start = datetime.fromtimestamp(moment, UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def evaluate(text, body, saved):
    """Return the value of an expression of integers, paths, saved values, + and -, add_months."""
    tokens = TOKEN.findall(text)
    if "".join("".join(token) for token in tokens) != text.replace(" ", ""):
        raise SyntaxError(text)
    value, rest = _sum(tokens, body, saved)
    if rest:
        raise SyntaxError(text)
    return value


def _sum(tokens, body, saved):
    value, tokens = _term(tokens, body, saved)
    while tokens and tokens[0][2] in ("+", "-"):
        sign = 1 if tokens[0][2] == "+" else -1
        other, tokens = _term(tokens[1:], body, saved)
        value += sign * other
    return value, tokens


def _term(tokens, body, saved):
    number, name, _ = tokens[0]
    if number:
        return int(number), tokens[1:]
    if name == "add_months":
        moment, tokens = _sum(tokens[2:], body, saved)
        months, tokens = _sum(tokens[1:], body, saved)
        return add_months(moment, months), tokens[1:]
    if name.startswith("$"):
        return saved[name[1:]], tokens[1:]
    value = at_path(body, name)
    if value is MISSING:
        raise LookupError(f"{name} is not in the answer")
    return value, tokens[1:]


def is_expression(text):
    """Whether a relation is an expression, not a sentence."""
    if " =~ " in text:
        return True
    for operator in OPERATORS:
        left, separator, right = text.partition(f" {operator} ")
        if separator:
            return all(_parses(side) for side in (left, right))
    return False


def _parses(side):
    joined = "".join("".join(token) for token in TOKEN.findall(side))
    words = re.findall(r"[A-Za-z_$][\w.]*", side)
    return joined == side.replace(" ", "") and len(words) <= 2


def holds(text, body, saved):
    """Whether an expression holds."""
    if " =~ " in text:
        path, _, pattern = text.partition(" =~ ")
        return re.search(pattern, str(at_path(body, path))) is not None
    operator = next(name for name in OPERATORS if f" {name} " in text)
    left, _, right = text.partition(f" {operator} ")
    a, b = evaluate(left, body, saved), evaluate(right, body, saved)
    return {
        "==": a == b, "!=": a != b, ">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b,
    }[operator]  # fmt: skip


# Sentences. Each function gets the result of the step, which also has earlier answers and `request`.


def _keys(step, *names):
    return set(step.body) == set(names)


def _same_as(step, name, *paths):
    earlier = step.answers[name].body
    return all(at_path(step.body, path) == at_path(earlier, path) for path in paths)


def _creation_of(step):
    """Return the answer that created the object of this step."""
    return next(answer.body for answer in step.answers.values() if answer.body.get("id") == step.body["id"])


def _test_card_expiry(step):
    today = datetime.fromtimestamp(step.now, UTC)
    card = step.body["card"]
    return (card["exp_month"], card["exp_year"]) == (today.month, today.year + 1)


def _same_fingerprint(step):
    other = step.request("POST", "/v1/payment_methods", {"type": "card", "card": {"token": "tok_visa"}})
    return other["card"]["fingerprint"] == step.body["card"]["fingerprint"] and other["id"] != step.body["id"]


def _left_unattached(step):
    return step.request("GET", f"/v1/payment_methods/{step.saved['declined']}", {})["customer"] is None


def _unsent_fields_stay(step):
    before = _creation_of(step)
    return all(step.body[name] == value for name, value in before.items() if name not in step.params)


def _newest_first(step):
    entries = step.body["data"]
    positions = [
        next(i for i, answer in enumerate(step.answers.values()) if _created(answer.body, entry))
        for entry in entries
    ]
    return positions == sorted(positions, reverse=True)


def _created(body, entry):
    return entry["id"] in (body.get("id"), body.get("default_price"))


def _holder_without_key(step):
    before = {**_creation_of(step), "lookup_key": None}
    return step.body == before


def _new_product(step):
    product = step.request("GET", f"/v1/products/{step.body['product']}", {})
    return product["name"] == step.params["product_data"]["name"]


SENTENCES = {
    "the error object has exactly type and message": lambda s: set(s.body["error"]) == {"type", "message"},
    "invoice_prefix is 8 capital letters and digits": lambda s: bool(
        re.fullmatch(r"[A-Z0-9]{8}", s.body["invoice_prefix"])
    ),
    "body equals the create response": lambda s: s.body == _creation_of(s),
    "created and invoice_prefix are unchanged": lambda s: all(
        s.body[name] == _creation_of(s)[name] for name in ("created", "invoice_prefix")
    ),
    "fields not sent keep their values": _unsent_fields_stay,
    "the test card expires in the month of the request, one year later (recorded September 2026: 9/2027)": (
        _test_card_expiry
    ),
    "card.fingerprint is the same for every tok_visa card of the account": _same_fingerprint,
    "creation succeeds: the decline comes only at attach or charge": lambda s: s.status == 200,
    "attaching turns card.checks.cvc_check from unchecked into pass": lambda s: (
        _creation_of(s)["card"]["checks"]["cvc_check"], s.body["card"]["checks"]["cvc_check"]
    ) == ("unchecked", "pass"),
    "attaching again to the same customer is no error and changes nothing": lambda s: (
        s.body == s.answers["attach-visa"].body
    ),
    "the refused attach left the card unattached": _left_unattached,
    "same missing id: 404 with param id when it stands in the path, 400 with the parameter's name when it is "
    "a parameter": lambda s: (
        s.status == 404
        and s.body["error"]["param"] == "id"
        and s.answers["list-methods-unknown-customer-as-filter"].status == 400
        and s.answers["list-methods-unknown-customer-as-filter"].body["error"]["param"] == "customer"
    ),
    "data has exactly 1 entry; the declined card is not in it": lambda s: (
        [obj["id"] for obj in s.body["data"]] == [s.saved["visa"]]
    ),
    "neither attached nor unattached payment methods are listed without a customer": lambda s: (
        s.body["data"] == []
    ),
    "data has exactly 1 entry": lambda s: len(s.body["data"]) == 1,
    "url carries the customer's id": lambda s: s.saved["cus"] in s.body["url"],
    "attach does not set the customer's default payment method": lambda s: (
        s.body["customer"]["invoice_settings"]["default_payment_method"] is None
    ),
    "type may be left out of the list request": lambda s: "type" not in s.params and s.status == 200,
    "the body has exactly these three keys": lambda s: _keys(s, "id", "object", "deleted"),
    "the missing customer is reported before anything about the detached payment method": lambda s: (
        s.body["error"]["param"] == "customer"
    ),
    "updated moves to the time of the update, created stays": lambda s: (
        s.body["updated"] == s.now and s.body["created"] == _creation_of(s)["created"]
    ),
    "default_price is a plain id beginning with price_": lambda s: (
        s.body["default_price"].startswith("price_")
    ),
    "updated == created although a price was made in the same request": lambda s: (
        s.body["updated"] == s.body["created"]
    ),
    "a deleted product answers as one that never existed": lambda s: (
        {**s.request("GET", "/v1/products/prod_never", {})["error"], "message": "", "request_log_url": ""}
        == {**s.body["error"], "message": "", "request_log_url": ""}
    ),
    "deleted and unknown ids in the ids filter are skipped without an error": lambda s: s.body["data"] == [],
    "currency_options is accepted but not in the response": lambda s: "currency_options" not in s.body,
    "the former holder stays active and loses only its lookup_key": _holder_without_key,
    "tiers are accepted but not in the response": lambda s: "tiers" not in s.body,
    "with a fractional decimal amount the integer unit_amount is null": lambda s: (
        s.body["unit_amount"] is None
    ),
    "product is the plain id of a newly made product": _new_product,
    "newest first, also among prices created in the same second": _newest_first,
    "exactly as many entries as limit and has_more false: has_more looks beyond the page": lambda s: (
        len(s.body["data"]) == s.params["limit"] and s.body["has_more"] is False
    ),
    "the price made by default_price_data is an ordinary price": lambda s: (
        s.saved["first_price"] in [obj["id"] for obj in s.body["data"]]
    ),
    "only the present holder of the key is listed": lambda s: (
        [obj["id"] for obj in s.body["data"]] == [s.saved["transferee"]]
    ),
    "an inactive price keeps its lookup_key": lambda s: (
        s.body["active"] is False and s.body["lookup_key"] == _creation_of(s)["lookup_key"]
    ),
    "an empty string unsets the field": lambda s: (
        s.params["lookup_key"] == "" and s.body["lookup_key"] is None
    ),
    "one-time prices are left out": lambda s: all(obj["type"] == "recurring" for obj in s.body["data"]),
    "id is 8 letters and digits without a prefix": lambda s: bool(
        re.fullmatch(r"[A-Za-z0-9]{8}", s.body["id"])
    ),
    "param of a nested parameter is written with square brackets": lambda s: (
        re.fullmatch(r"\w+\[\w+\]", s.body["error"]["param"]) is not None
    ),
    "a missing cursor answers 400, not 404": lambda s: s.status == 400,
}  # fmt: skip
