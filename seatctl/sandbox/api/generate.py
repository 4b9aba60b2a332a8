"""A development tool: writes contract.json from the installed SDK's parameter and resource types.

`python -m seatctl.sandbox.api.generate [--check] [--older FOLDER]`. It reads the SDK's source as a syntax
tree, because `typing.get_type_hints` fails on these types. Nothing imports this module at run time; in
`sandbox/`, only this module may import stripe.

The notation: `s` string, `i` integer, `n` number, `b` boolean, `x` anything, `e:a|b` one of these words;
`?` before it allows the empty string or null too. `{"f": {…}}` is an object with these fields, `{"a": …}` an
array, `{"m": …}` a map, `{"u": […]}` one of these, `@name` another resource or its id. The name of a field
ends in `!` if the SDK requires it.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatctl.sandbox.api.routes import ROUTES

CONTRACT = Path(__file__).with_name("contract.json")
OLDER = Path(__file__).with_name("contract_dahlia.json")
RESOURCES = [
    "Account",
    "Charge",
    "Coupon",
    "CreditNote",
    "CreditNoteLineItem",
    "Customer",
    "CustomerBalanceTransaction",
    "Discount",
    "Dispute",
    "Event",
    "Invoice",
    "InvoiceItem",
    "InvoiceLineItem",
    "InvoicePayment",
    "Mandate",
    "PaymentIntent",
    "PaymentMethod",
    "Plan",
    "Price",
    "Product",
    "PromotionCode",
    "Refund",
    "SetupIntent",
    "Subscription",
    "SubscriptionItem",
    "SubscriptionSchedule",
    "TaxId",
    "TaxRate",
    "checkout.Session",
    "billing_portal.Session",
    "billing_portal.Configuration",
    "test_helpers.TestClock",
]
_SCALARS = {
    "str": "s", "int": "i", "float": "n", "Decimal": "n", "bool": "b", "Any": "x", "object": "x",
    "UntypedStripeObject": {"m": "x"},
}  # fmt: skip
Resolve = Callable[[str], Any]


def snake(name: str) -> str:
    """Return `InvoiceLineItem` as the SDK names its file: `invoice_line_item`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def classes(path: Path) -> dict[str, ast.ClassDef]:
    """Return the top-level classes of a source file."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def optional(spec: Any) -> Any:
    """Return the spec with the empty string or null allowed too."""
    if isinstance(spec, str):
        return spec if spec.startswith("?") else f"?{spec}"
    return {**spec, "?": 1}


def union(members: list[Any]) -> Any:
    """Return the spec of one of these; enums of the SDK are open (`Literal[…]|str`), Stripe's are not."""
    empty = [member for member in members if member in ("e:", None)]
    words = [
        member for member in members if isinstance(member, str) and member.startswith("e:") and member != "e:"
    ]
    maps = [member for member in members if isinstance(member, dict) and "m" in member]
    others = [member for member in members if member not in [*empty, *words, *maps]]
    if words:
        others = [member for member in others if member != "s"]
    every = [*words, *others, *maps[:1]]
    spec = every[0] if len(every) == 1 else {"u": every}
    return optional(spec) if empty else spec


def alternatives(node: ast.expr) -> list[ast.expr]:
    """Return the members of `a | b | c`, in order."""
    if isinstance(node, ast.BinOp):
        return [*alternatives(node.left), *alternatives(node.right)]
    return [node]


def annotation(node: ast.expr, resolve: Resolve) -> Any:
    """Return what an annotation allows, in the notation above."""
    match node:
        case ast.Constant(value=str(text)):
            return annotation(ast.parse(text.strip(), mode="eval").body, resolve)
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name):
            return _SCALARS.get(name) or resolve(name)
        case ast.Attribute(attr=name):
            return resolve(name)
        case ast.BinOp():
            return union([annotation(member, resolve) for member in alternatives(node)])
        case ast.Subscript(value=ast.Name(id=outer), slice=inner):
            return subscript(outer, inner, resolve)
    raise TypeError(ast.dump(node))


def subscript(outer: str, inner: ast.expr, resolve: Resolve) -> Any:  # noqa: PLR0911 - one for each kind
    """Return what `List[…]`, `Optional[…]` or another subscripted type allows."""
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match outer:
        case "NotRequired":
            return annotation(inner, resolve)
        case "Optional":
            return union([annotation(inner, resolve), None])
        case "Union":
            return union([annotation(part, resolve) for part in parts])
        case "Literal":
            return "e:" + "|".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
        case "List" | "list":
            return {"a": annotation(inner, resolve)}
        case "ListObject":
            return {"l": annotation(inner, resolve)}
        case "Dict" | "UntypedStripeObject":
            return {"m": annotation(parts[-1], resolve)}
        case "ExpandableField":
            return {"r": annotation(inner, resolve)}
    raise TypeError(outer)


def fields(node: ast.ClassDef, outer: dict[str, ast.ClassDef], depth: int = 0) -> Any:
    """Return the annotated fields of a class; a name that the file does not define is another resource."""
    inner = {**outer, **{n.name: n for n in node.body if isinstance(n, ast.ClassDef)}}

    def resolve(name: str) -> Any:
        if name in inner and depth < 12:
            return fields(inner[name], inner, depth + 1)
        return f"@{snake(name)}"

    specs: dict[str, Any] = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            text = ast.unparse(item.annotation)
            if item.target.id.startswith("_") or text.startswith("ClassVar"):
                continue
            mark = "" if text.startswith("NotRequired") else "!"
            specs[item.target.id + mark] = annotation(item.annotation, resolve)
    return {"f": specs}


def params(sdk: Path, name: str) -> Any:
    """Return the parameters of an endpoint."""
    folder, _, bare = name.rpartition(".")
    defined = classes(sdk / "params" / folder / f"_{snake(bare)}.py")
    return fields(defined[bare], defined)["f"]


def resource(sdk: Path, name: str) -> Any:
    """Return the fields of a resource, without the `!` of their names, which has no meaning here."""
    folder, _, bare = name.rpartition(".")
    node = classes(sdk / folder / f"_{snake(bare)}.py")[bare]
    text = json.dumps(fields(node, {})["f"])
    return json.loads(re.sub(r'!":', '":', text))


def older(old: Path) -> str:
    """Return how the parameters of an older SDK differ: its spec, or null for a field that it does not have.

    `old` is the unpacked package `stripe` 15.6.2, the last one of the API version that was recorded.
    """
    import stripe

    new = Path(stripe.__file__).parent
    differences: dict[str, Any] = {}
    for route in ROUTES:
        before, after = params(old, route.params), params(new, route.params)
        changed = {
            name: before.get(name) for name in {**before, **after} if before.get(name) != after.get(name)
        }
        if changed:
            differences[route.params] = changed
    return _object(differences)


def _object(entries: dict[str, Any]) -> str:
    """Return a JSON object with one entry a line: diffs are readable, and check.py parses single lines."""
    lines = (
        f'"{name}":{json.dumps(entries[name], separators=(",", ":"), sort_keys=True)}'
        for name in sorted(entries)
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def contract() -> str:
    """Return the contract: each endpoint's parameters, each resource's fields, and the SDK's version."""
    import stripe

    sdk = Path(stripe.__file__).parent
    endpoints = _object({route.params: params(sdk, route.params) for route in ROUTES})
    resources = _object({snake(name.replace(".", "")): resource(sdk, name) for name in RESOURCES})
    head = f'{{"sdk":"{stripe.VERSION}","api_version":"{stripe.api_version}"'
    return f'{head},"params":{endpoints.rstrip()},"resources":{resources.rstrip()}}}\n'


def main(argv: list[str]) -> int:
    """Write the contract; with `--check`, exit with 1 if it is out of date."""
    if "--older" in argv:
        OLDER.write_text(older(Path(argv[argv.index("--older") + 1])), "utf-8")
    text = contract()
    if "--check" in argv:
        return 0 if CONTRACT.read_text("utf-8") == text else 1
    CONTRACT.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
