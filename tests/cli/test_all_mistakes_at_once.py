"""Everything that is wrong with the arguments of a command is named at once, not one by one."""

from __future__ import annotations

import pytest


@pytest.fixture
def people(sandbox):
    sandbox("users", "add", "zoe@example.com", "bob@example.com", "cyd@example.com", "dan@example.com")
    return sandbox


def test_addresses_that_are_not_addresses(people):
    refused = people("users", "add", "bad1", "good@example.com", "bad2", "x@y")
    assert refused.code == 3
    assert all(word in refused.err for word in ("bad1: ", "bad2: ", "x@y: ", "3 of 4"))
    one = people("users", "add", "bad1", "good@example.com", "-o", "json")
    assert (one.code, one.error["code"]) == (3, "bad_email")
    assert "good@example.com" not in people("users", "list", "-q").out


@pytest.mark.parametrize("verb", ["suspend", "reactivate", "remove"])
def test_people_who_are_not_there(people, verb):
    refused = people("users", verb, "no1@example.com", "zoe@example.com", "no2@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (9, "unknown_user")
    assert refused.error["emails"] == ["no1@example.com", "no2@example.com"]


def test_people_who_were_removed(people):
    people("users", "remove", "zoe@example.com", "bob@example.com")
    refused = people(
        "users", "suspend", "zoe@example.com", "cyd@example.com", "bob@example.com", "-o", "json"
    )
    assert (refused.code, refused.error["code"]) == (4, "user_removed")
    assert refused.error["emails"] == ["zoe@example.com", "bob@example.com"]


def test_people_with_faults_of_several_kinds(people, team):
    people("users", "suspend", "zoe@example.com")
    people("users", "remove", "bob@example.com")
    named = ("no1@example.com", "bad1", "zoe@example.com", "bob@example.com")
    refused = people("seats", "assign", team, *named, "cyd@example.com", "-o", "json")
    assert (refused.code, [row["email"] for row in refused.error["rows"]]) == (3, list(named))
    made = people(
        "seats", "assign", team, "no1@example.com", "zoe@example.com", "--create-users", "-o", "json"
    )
    assert (made.code, made.error["code"], made.error["emails"]) == (
        4,
        "user_not_active",
        ["zoe@example.com"],
    )
    assert people("seats", "list", team, "-q").out == ""


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("users list --fields email,nme,grp", ("'nme'", "'grp'")),
        ("plans export nope1 pro nope2", ("nope1", "nope2")),
        ("ledger adopt nope1 design nope2 --yes", ("nope1", "nope2")),
        ("plans add x --price 1 --currency usd --set a --set b", ("'a'", "'b'")),
        ("requests approve 1 x 2 y", ("'x'", "'y'")),
        ("requests cancel x y", ("'x'", "'y'")),
        ("users import - --map email --map name", ("'email'", "'name'")),
        ("users import - --map colour=x --map size=y", ("colour=", "size=")),
        ("config auto-approve design --domain a_b --domain 'c d'", ("a_b", "c d")),
    ],
)
def test_names_that_do_not_exist(sandbox, team, words, named):
    import shlex

    refused = sandbox(*shlex.split(words), stdin="email\na@x.org\n")
    assert refused.code in {2, 3, 9}
    assert all(word in refused.err.splitlines()[0] for word in named), refused.err


def test_quiet_prints_the_handles_that_lists_print(people, team):
    """What one command prints with --quiet, the next one reads."""
    told = people("users", "list", "-q").out
    imported = people("users", "import", "-", "-q", stdin=told)
    assert imported.out == told
    assigned = people("seats", "assign", team, "--from", "-", "-q", stdin=told)
    assert (assigned.code, assigned.out) == (0, told)
    assert sorted(people("seats", "list", team, "-q").out.split()) == sorted(told.split())
    revoked = people("seats", "revoke", team, "--from", "-", "-q", stdin=told)
    assert (revoked.code, revoked.out) == (0, told)
    applied = people("seats", "apply", "-", "-s", team, "-q", stdin=told)
    assert (applied.code, sorted(applied.out.split())) == (0, sorted(told.split()))
    people("users", "suspend", "zoe@example.com")
    run = people("runs", "list", "-q").out.split()[0]
    assert people("runs", "undo", run, "-q").out == "zoe@example.com\n"
