"""Restricted keys: each command needs what docs/adopting.md says, and `doctor` finds what is missing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest

from seatctl.billing import listings
from seatctl.billing.permissions import PROBES, Access, Known, Permission, needed, needed_by, try_out
from seatctl.billing.stripe import connect
from seatctl.cli import permission_table
from seatctl.cli.permission_table import NEEDS, all_permissions
from seatctl.models.stripe_objects import Kind, Span
from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.services.operations.test_damaged_answers import EVERYTHING, calls_of
from tests.support.front import Account, Front

PAGE = Path(__file__).parents[2] / "docs" / "adopting.md"
OF_STRIPE = {
    "customer portal": "customer_portal",
    "prices": "plan",
    "refunds": "charge",
    "subscription schedules": "subscription",
    "tax ids": "customer",
}
"""Stripe's names of permissions that are not called like the objects."""


def stripes_name(permission: Permission) -> str:
    """The permission as Stripe calls it, such as `credit_note_write`."""
    objects = OF_STRIPE.get(permission.objects, permission.objects.replace(" ", "_").removesuffix("s"))
    return f"{objects}_{permission.access}"


def covered(permissions) -> set[Permission]:
    """These permissions, and those to read that are included."""
    return {*permissions, *(Permission(one.objects, Access.READ) for one in permissions)}


def allowed(*words: str) -> set[Permission]:
    """What the table grants to a command, with some of its options."""
    named = [" ".join(words[:2]), words[0]]
    of_command = next((NEEDS[name] for name in named if name in NEEDS), ())
    command = next(name for name in named if name in NEEDS)
    of_options = (NEEDS.get(f"{command} {word}", ()) for word in words)
    return covered([*of_command, *(one for more in of_options for one in more)])


def test_the_page_has_the_table():
    page = PAGE.read_text("utf-8")
    assert permission_table.with_table(page) == page, "run: python -m seatctl.cli.permission_table"


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_command_calls_nothing_that_the_table_does_not_name(proofs, name):
    proof = proofs.of(EVERYTHING[name])
    used = {one for call in calls_of(proof) for one in needed(*call.split())}
    assert used
    assert used <= allowed(*proof.argv)


@pytest.fixture
def used(monkeypatch) -> set[Permission]:
    """The permissions of all calls since the last `clear`, but the account's."""
    handle, found = Twin.handle, set()

    def noting(self, method, url, headers, form):
        path, _, query = url.partition("?")
        sent = {**parse_qs(query), **parse_qs(form or "")}
        expanded = [value for name, values in sent.items() if name.startswith("expand") for value in values]
        found.update(needed(method, path, expanded) - {Permission("account", Access.READ)})
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", noting)
    return found


MORE = (
    "plans edit pro --name Professional",
    "plans edit pro --price 13",
    "plans archive pro",
    "plans archive pro --undo",
    "subs buy --plan pro --seats 1 --name b --billing-email b@example.com --payment-method tok_visa",
    "subs buy --plan pro --seats 1 --name c --bill-to design",
    "subs rename design drawing",
    "config auto-approve drawing on",
    "subs add-seats drawing 1",
    "subs billing drawing --portal",
    "subs billing drawing --payment-method pm_card_visa --tax-id eu_vat:DE123456789",
    "subs cancel drawing --now --refund",
    "sync",
    "sync --full",
)


def test_what_the_stories_do_not_do_needs_what_the_table_says_too(sandbox, team, used):
    for command in MORE:
        used.clear()
        done = sandbox(*command.split(), "--yes")
        assert done.code == 0, (command, done.err)
        assert used <= allowed(*command.split()), command
    assert used == {*NEEDS["sync"]}


def test_every_list_of_a_sync_is_in_the_table_with_what_it_expands():
    read = [listings.page(kind, Span(0, 1)) for kind in Kind] + [listings.newest_events()]
    assert {one for call in read for one in needed_by(call)} == {*NEEDS["sync"]}


# With restricted keys ---------------------------------------------------------------------------------


class Restricted(Account):
    """A profile in test mode whose key is chosen by the test."""

    key = "sk_test_everything"

    @property
    def environment(self):
        return {"SEATCTL_STRIPE_KEY": self.key, "SEATCTL_STRIPE_API_BASE": self.front.url}

    def restrict(self, permissions) -> None:
        names = ["connected_account_read", *map(stripes_name, permissions)]
        self.key = control.restricted_key(self.front.twin, names)

    def findings(self) -> dict[str, dict]:
        return {row["check"]: row for row in self("doctor", "-o", "json").json}


@pytest.fixture
def front(tmp_path):
    made = Front(tmp_path / "stripe.db")
    yield made
    made.close()


@pytest.fixture
def acme(seatctl, front):
    return Restricted(seatctl, front)


BUY = "subs buy --plan pro --seats 2 --name lab --billing-email pay@example.com --payment-method pm_card_visa"


def test_a_key_with_what_the_table_says_can_do_it(acme):
    for command in (
        "plans add pro --price 12 --currency usd",
        BUY,
        "subs add-seats lab 1",
        "subs rename lab studio",
        "subs cancel studio --now --refund",
        "sync --full",
    ):
        acme.restrict(allowed(*command.split()))
        done = acme(*command.split(), "--yes")
        assert done.code == 0, (command, done.err)


def test_the_doctor_of_a_whole_key_says_how_sure_it_is_and_writes_nothing(acme):
    assert acme("plans", "add", "pro", "--price", "12", "--currency", "usd").code == 0
    assert acme(*BUY.split(), "--yes").code == 0
    before = [*acme.front.twin.store._db.execute("SELECT * FROM objects ORDER BY seq")]
    checked = acme("doctor", "--dry-run", "-o", "json")
    assert checked.code == 0, checked.out
    (found,) = [row for row in checked.json if row["check"].startswith("permission")]
    assert found["result"] == "ok"
    assert found["detail"].startswith(
        f"the key has all {len(all_permissions())} permissions, 12 for certain, 12 probably"
    )
    assert [*acme.front.twin.store._db.execute("SELECT * FROM objects ORDER BY seq")] == before


def test_a_key_that_only_reads_is_told_what_it_cannot_do(acme):
    acme.restrict(NEEDS["sync"])
    assert acme("sync").code == 0
    checked = acme("doctor", "-o", "json")
    found = {row["check"]: row for row in checked.json}
    assert (checked.code, found["permissions"]["result"]) == (0, "warning")
    lacking = {name for name in found if name.startswith("permission ")}
    names = {*map(stripes_name, NEEDS["sync"])}
    assert lacking == {f"permission {one}" for one in all_permissions() if stripes_name(one) not in names}
    products = found["permission products write"]
    assert products["result"] == "warning"
    assert "which these need: plans add, plans import, plans edit, plans archive" in products["detail"]
    assert "Having the 'rak_product_write' permission" in products["detail"]


@pytest.mark.parametrize("lost", NEEDS["sync"], ids=str)
def test_a_key_that_cannot_sync_is_a_problem(acme, lost):
    name = stripes_name(lost).removesuffix("_read")
    acme.restrict(one for one in all_permissions() if not stripes_name(one).startswith(f"{name}_"))
    refused = acme("sync", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "key_lacks_permission")
    found = acme.findings()
    assert found[f"permission {lost}"]["result"] == found["permissions"]["result"] == "problem"
    assert "sync" in found[f"permission {lost}"]["detail"]


@pytest.mark.parametrize("missing", all_permissions(), ids=str)
def test_each_permission_that_is_missing_is_found(front, missing):
    """Whatever else the key may do."""
    name = stripes_name(missing)
    others = {stripes_name(one) for one in all_permissions()} - {name, name.replace("_read", "_write")}
    for key, known in (
        (control.restricted_key(front.twin, sorted(others)), {Known.NO}),
        (control.restricted_key(front.twin, [name]), {Known.YES, Known.PROBABLY}),
        ("sk_test_everything", {Known.YES, Known.PROBABLY}),
    ):
        stripe = connect(key, api_base=front.url, read_only=True, sleep=lambda _: None)
        assert try_out(stripe, missing).known in known


def test_each_probe_is_for_the_permission_that_it_tries():
    for permission, call in PROBES.items():
        assert needed_by(call) == {permission}
    assert {*all_permissions()} <= {*PROBES}
