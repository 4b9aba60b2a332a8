"""Every parser of the program: valid inputs of it, and the command that hands it another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from tests.fuzz.world import World


class Given(NamedTuple):
    """A command line, and what it reads."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    file: str = ""
    content: bytes = b""


class Parser(NamedTuple):
    name: str
    seeds: tuple[bytes, ...]
    given: Callable[[bytes], Given]
    most: int = 400_000
    """Bytes of an input."""


_CSV = (
    b'email,name,group,last_active\nann@example.com,Ann,art,2026-10-01\nzoe@example.com,"Zoe, Z",,\n',
    b"Name;E-Mail\r\nBob;bob@example.com\r\n",
    b"email\tname\nb\xc3\xb6b@example.com\t'x\n",
    b"a@x.org\nb@x.org\n",
    b'\xef\xbb\xbf"Email","Name"\r\n"=a@x.org","\'=1"\r\n',
)
_JSON = (
    b'{"email": "ann@example.com", "name": "Ann", "last_active": "2026-10-01"}\n{"email": "b@x.org"}',
    b'[\n  {"email": "ann@example.com", "seats": [], "group": null},\n  {"email": "b@x.org", "name": 7}\n]\n',
    b'[{"email": "zoe@example.com"}, {"email": "bob@example.com"}]',
)
_TOML = (
    b"""[subscriptions]
design = ["zoe@example.com", "bob@example.com"]

[[seats]]
email = "ann@example.com"
subscription = "design"
until = 2027-01-31
""",
    b"""[[seats]]
email = "zoe@example.com"
subscription = "design"
until = "never"
name = "Z"
""",
)
_PLANS = (
    b"""[[plans]]
slug = "team"
name = "Team"
price = "12.00"
currency = "usd"
interval = "month"
interval_count = 1
""",
    b"""[[plans]]
slug = "t2"
price = "1200"
currency = "jpy"
interval = "year"
[plans.policy]
min_seats = 5
max_seats = "none"
increase = "full_price"
""",
)
_BATCH = (
    b"users add c@x.org --name 'C D'\nseats assign design c@x.org\n# so\n\nusers suspend bob@example.com\n",
    b'users edit zoe@example.com --group art\r\nrequests create zoe@example.com -s design --note "a b"\r\n',
    b"line,command,error\n3,users add d@x.org,\n",
)
_TEMPLATE = (b'email,name\nc@x.org,C\nd@x.org,"=x, y"\n', b"Name;Email\n\xc3\x89;c@x.org\n")
_CONFIG = (
    b"""profile = "default"

[profiles.default]  # ours
mode = "sandbox"
actor = "ann@example.com"
output = "csv"
undo_window = 5
mail = { host = "127.0.0.1", port = 2525, security = "none", from = "a@x.org" }
""",
    b"""[profiles.default]
mode = "sandbox"
actor = "ci:x"
sync.requests_per_second = 20
stripe.automatic_tax = true
[profiles.test]
mode = "test"
actor = "b@x.org"
[profiles.test.mail]
code_days = 7
""",
)
_EVENTS = (
    b"""{"id": "evt_1", "object": "event", "type": "customer.subscription.updated", "created": 1790000000,
"data": {"object": {"id": "sub_1", "object": "subscription", "customer": "cus_1"}}}
""",
    b"""{
  "id": "evt_2",
  "type": "invoice.paid",
  "created": 1790000001,
  "data": {"object": {"id": "in_1"}}
}
""",
)
_PAYING = "--owner ann@example.com --billing-email pay@example.com"
_AMOUNTS = (b"12.00", b"1200", b"0.5", b"1,200.00", b"12.00 USD")
_TIMES = (
    b"2027-01-31",
    b"2026-10-01",
    b"2027-01-31T09:00:00Z",
    b"2027-01-31T09:00:00+02:00",
    b"30d",
    b"2w",
    b"12h",
)
_EMAILS = (b"ann@example.com", b'"a b"@x.org', b"m\xc3\xbcller@stra\xc3\x9fe.example", b"a+b@sub.x-y.org")
_NAMES = (b"Ann", b"Zo\xc3\xab Zhang", b"=1+1", b"-dash")
_DOMAINS = (b"example.com", b"@b\xc3\xbccher.example", b"a.b.c")
_POLICY = (
    b"min_seats=5",
    b"max_seats=none",
    b"increase=full_price",
    b"features=a,b c",
    b"sign_in_url=https://x.org/in",
    b"on_account=no",
    b"grace_days=7",
)
_ROLES = (b"admin", b"assignor", b"viewer", b"ci:deploy", b"ann@example.com")
_FIELDS = (b"email,name", b"email", b"seats,status")
_MAPS = (b"name=last_active", b"email=E-Mail", b"group = NAME")
_NUMBERS = (b"1\n2\n", b"number\n1\n", b'{"number": 1}\n', b'[{"number": 1}]\n')
_VALUES = (
    b"output=csv",
    b"actor=ann@example.com",
    b"color=never",
    b"undo_window=10",
    b"mail.port=587",
    b"mail.from=Seats <seats@example.com>",
    b"sync.requests_per_second=20",
    b"stripe.automatic_tax=on",
    b"stripe.api_base=https://127.0.0.1:1",
)


def _text(data: bytes) -> str:
    """As an argument reaches the program: no NUL, bytes that are not UTF-8 as lone surrogates."""
    return data.replace(b"\0", b"").decode("utf-8", "surrogateescape")


def sealed(data: bytes) -> bytes:
    """A saved comparison with the digest of what it says now, so that more of it is read than its digest."""
    lines = data.splitlines(keepends=True)[:-1]
    return b"".join(lines) + json.dumps({"sha256": sha256(b"".join(lines)).hexdigest()}).encode() + b"\n"


def _stdin(*argv: str) -> Callable[[bytes], Given]:
    return lambda data: Given(argv, data)


def _file(name: str, *argv: str) -> Callable[[bytes], Given]:
    return lambda data: Given(argv, b"", name, data)


def _argument(*argv: str, stdin: bytes = b"") -> Callable[[bytes], Given]:
    """The input in place of `TEXT`."""
    return lambda data: Given(tuple(word.replace("TEXT", _text(data)) for word in argv), stdin)


def _setting(data: bytes) -> Given:
    key, _, value = _text(data).partition("=")
    return Given(("config", "set", key, value))


def _arguments(name: str, seeds: tuple[bytes, ...], *lines: str) -> list[Parser]:
    """One parser for each command line that takes such a text."""
    return [
        Parser(f"{name} {n}", seeds, _argument(*line.split()), most=60_000)
        for n, line in enumerate(lines, start=1)
    ]


def parsers(world: World) -> list[Parser]:
    """All of them; a saved plan is made in this world."""
    saved = _saved(world)
    return [
        Parser("people on stdin", (*_CSV, *_JSON), _stdin("users", "import", "-")),
        Parser("people.csv", _CSV, _file("people.csv", "users", "import", "people.csv", "--skip-bad")),
        Parser(
            "people.tsv",
            _CSV,
            _file("people.tsv", "seats", "assign", "design", "--from", "people.tsv", "--create-users"),
        ),
        Parser("people.jsonl", _JSON, _file("people.jsonl", "users", "import", "people.jsonl")),
        Parser(
            "people.json", _JSON, _file("people.json", "seats", "revoke", "design", "--from", "people.json")
        ),
        Parser("seats.toml", _TOML, _file("seats.toml", "seats", "apply", "seats.toml", "--create-users")),
        Parser(
            "seats.csv",
            _CSV,
            _file("seats.csv", "seats", "apply", "seats.csv", "-s", "design", "--prune", "-n"),
        ),
        Parser("saved plan", saved, _file("saved.plan", "seats", "apply", "--saved", "saved.plan")),
        Parser(
            "saved plan, sealed", saved, lambda data: Given(("seats", "apply", "--saved", "-"), sealed(data))
        ),
        Parser("plans.toml", _PLANS, _file("plans.toml", "plans", "import", "plans.toml")),
        Parser("batch", _BATCH, _file("changes.txt", "batch", "changes.txt", "--yes")),
        Parser(
            "batch --csv",
            _TEMPLATE,
            _file("t.csv", "batch", "--csv", "t.csv", "--", "users", "add", "{email}", "--name", "{name}"),
        ),
        Parser(
            "template",
            (b"users add {email}", b"users edit {email} --name {name}"),
            lambda data: Given(("batch", "--csv", "-", "--", *_text(data).split()), _TEMPLATE[0]),
        ),
        Parser("config.toml", _CONFIG, _file("seatctl/config.toml", "status")),
        Parser(
            "config.toml written", _CONFIG, _file("seatctl/config.toml", "config", "set", "output", "json")
        ),
        Parser("setting", _VALUES, _setting, most=60_000),
        Parser("events", _EVENTS, _stdin("sync", "--events", "-")),
        Parser("numbers", _NUMBERS, _stdin("requests", "deny", "--from", "-")),
        Parser("code", (b"ABCD-EFGH-JKLM\n", b"\n"), _stdin("seats", "claim", "--code", "-")),
        Parser(
            "--map", _MAPS, _argument("users", "import", "-", "--map", "TEXT", stdin=_CSV[0]), most=60_000
        ),
        *_arguments(
            "amount",
            _AMOUNTS,
            "plans add x --price TEXT --currency usd -n",
            "plans add x --price TEXT --currency jpy",
            "plans edit pro --price TEXT -n",
            "subs add-seats design 1 --max-spend TEXT -n",
        ),
        *_arguments(
            "billing",
            (b"eu_vat:DE123456789", b"line1=Main St 1", b"country=DE", b"a@x.org", b"pm_card_visa"),
            "subs billing design --tax-id TEXT --yes",
            "subs billing design --address TEXT --yes",
            "subs billing design --email TEXT --yes",
            "subs billing design --payment-method TEXT -n",
        ),
        *_arguments(
            "key",
            (b"order-1", b"SPRING", b"pro", b"eur", b"output", b"design", b"1"),
            "subs add-seats design 1 --request-id TEXT -n",
            f"subs buy --plan pro --seats 1 --name x {_PAYING} --payment-method pm_card_visa --promo TEXT -n",
            f"subs buy --plan TEXT --seats 1 --name x {_PAYING} --payment-method pm_card_visa -n",
            f"subs buy --plan pro --seats 1 --name TEXT {_PAYING} --payment-method pm_card_visa -n",
            "plans add TEXT --price 1 --currency usd",
            "plans add x --price 1 --currency TEXT",
            "requests deny 1 --reason TEXT",
            "config get TEXT",
            "invoices list TEXT",
            "notify show TEXT",
        ),
        *_arguments("limit", (b"25%", b"3"), "seats reclaim design --suspended --max-revoke TEXT"),
        *_arguments("hash", (b"1:" + b"0" * 64,), "audit verify --expect TEXT"),
        *_arguments(
            "days",
            (b"30d", b"14"),
            f"subs buy --plan pro --seats 1 --name x {_PAYING} --on-account --due-in TEXT -n",
        ),
        *_arguments(
            "time",
            _TIMES,
            "seats assign design ann@example.com --until TEXT",
            "seats assign design ann@example.com --for TEXT",
            "seats list design --as-of TEXT",
            "requests create zoe@example.com --expires TEXT",
            "sandbox advance TEXT -n",
            "config auto-approve design on --until TEXT",
            "audit log --since TEXT",
            "seats reclaim design --suspended --grace TEXT",
        ),
        *_arguments(
            "e-mail",
            _EMAILS,
            "users add TEXT",
            "users add b@x.org TEXT c@x.org",
            "users edit bob@example.com --email TEXT",
            "users show TEXT",
            "seats assign design TEXT --create-users",
            "check TEXT --subscription design",
            "seats list --user TEXT",
        ),
        *_arguments(
            "name",
            _NAMES,
            "users add n@x.org --name TEXT",
            "users edit bob@example.com --group TEXT",
            "users list TEXT",
            "subs rename design TEXT",
            "requests create zoe@example.com --note TEXT",
            "subs show TEXT",
            "plans show TEXT",
            "requests create zoe@example.com --feature TEXT",
            "seats history TEXT",
            "seats list --search TEXT",
        ),
        *_arguments(
            "domain",
            _DOMAINS,
            "config auto-approve design on --domain TEXT",
            "config auto-approve design --group TEXT",
        ),
        *_arguments(
            "policy",
            _POLICY,
            "plans add x --price 1 --currency usd --set TEXT",
            "plans edit pro --set TEXT -n",
        ),
        *_arguments(
            "role",
            _ROLES,
            "roles grant ann@example.com TEXT",
            "roles grant TEXT viewer",
            "roles revoke TEXT admin -n",
        ),
        *_arguments(
            "fields",
            _FIELDS,
            "users list --fields TEXT -o csv",
            "users show zoe@example.com --fields TEXT -o json",
        ),
        *_arguments(
            "word",
            (b"users", b"json", b"1", b"default"),
            "TEXT list",
            "users TEXT",
            "users list -o TEXT",
            "runs show TEXT",
            "requests approve TEXT 1",
            "users list -p TEXT",
            "help TEXT",
            "subs add-seats design TEXT -n",
            "users list --as TEXT",
        ),
    ]


def _saved(world: World) -> tuple[bytes, ...]:
    """Comparisons as `seats apply --save` writes them."""
    found = []
    for content in (
        b"email\nzoe@example.com\nbob@example.com\n",
        b"email,until\nzoe@example.com,2027-01-31\n",
    ):
        done = world.run(("seats", "apply", "-", "-s", "design", "--save", "-"), content)
        assert done.code == 0, done.err
        found.append(done.out.encode())
    for plan in found:
        assert json.loads(plan.splitlines()[0])
    return tuple(found)
