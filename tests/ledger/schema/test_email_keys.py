"""International domains: one mailbox is one person, in a new ledger and in one of an earlier version."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.support.postbox import use
from tests.support.subscriptions import add_subscription, ledger_place, query

STRASSE = "a@straße.de"
SAME = "a@xn--strae-oqa.de"
OTHER = "a@strasse.de"


def earlier(sandbox, email: str = "", key: str = "") -> None:
    """Make the ledger one of schema 2, in which the user of this e-mail had this key."""
    with closing(sqlite3.connect(ledger_place(sandbox))) as db:
        db.execute("UPDATE users SET email_key = ? WHERE email = ?", (key, email))
        db.execute("DROP TABLE former_email_keys")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'keys_of_emails'")
        db.execute("PRAGMA user_version = 2")
        db.commit()


def test_two_domains_are_two_people_and_mail_goes_to_the_right_one(sandbox, postbox):
    use(sandbox, postbox)
    design = add_subscription(ledger_place(sandbox))
    added = sandbox("users", "add", STRASSE, OTHER, "-q")
    assert (added.code, added.out.split()) == (0, [STRASSE, OTHER])
    assert sandbox("users", "show", SAME, "-q").out.strip() == STRASSE
    assert sandbox("seats", "assign", design, STRASSE).code == 0
    assert [letter.to for letter in postbox.letters] == [SAME]


def test_the_password_of_the_mail_server_goes_to_no_other_domain(sandbox, monkeypatch):
    asked = []
    monkeypatch.setattr("seatctl.mail.smtp._connected", lambda host, *_: asked.append(host) or refuse())
    sandbox("config", "set", "mail.host", "mail.straße.de")
    sandbox("config", "set", "mail.security", "tls")
    sandbox("config", "set", "mail.from", "seats@example.com")
    assert sandbox("notify", "test").code == 75
    assert asked == ["mail.xn--strae-oqa.de"]


def refuse():
    raise ConnectionRefusedError


def test_a_rule_for_a_domain_applies_to_that_domain_only(sandbox, team):
    sandbox("users", "add", STRASSE, OTHER)
    assert sandbox("config", "auto-approve", team, "on", "--domain", "STRAßE.de").code == 0
    outcomes = [
        sandbox("config", "auto-approve", team, "--test", email, "-o", "json").json["outcome"]
        for email in (STRASSE, OTHER)
    ]
    assert outcomes == ["seat", "ask"]
    refused = sandbox("config", "auto-approve", team, "on", "--domain", "☃.net", "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "bad_rule")
    assert "IDNA 2008" in refused.error["message"]


def test_bad_addresses_in_a_file_are_named_with_the_reason(sandbox, file):
    path = file("email", "ann.@x.com", ".lee@x.com", "a..b@x.com", "a@x..com", "a@xn--n3h.net")
    refused = sandbox("users", "import", path, "-o", "json")
    assert (refused.code, len(refused.error["rows"])) == (3, 5)


@pytest.fixture
def moved(sandbox):
    """A ledger of an earlier version, in which a@straße.de was found as a@strasse.de and held a role."""
    design = add_subscription(ledger_place(sandbox))
    sandbox("users", "add", STRASSE)
    sandbox("roles", "grant", OTHER, "viewer")  # what the earlier rule made of a@straße.de
    sandbox("seats", "assign", design, STRASSE)
    earlier(sandbox, STRASSE, OTHER)
    return sandbox


def test_a_migrated_ledger_finds_everybody_by_the_typed_address(moved):
    assert moved("users", "show", STRASSE, "-q").out.strip() == STRASSE
    assert moved("users", "show", OTHER).code == 9
    assert moved("users", "add", OTHER, "-q").out.strip() == OTHER
    actors = [row["actor"] for row in moved("roles", "list", "-o", "json").rows]
    assert (SAME in actors, OTHER in actors) == (True, False)
    checked = moved("ledger", "check")
    assert checked.code == 0
    assert f"an earlier version treated {STRASSE} as {OTHER} and sent its messages there" in checked.err
    assert f"{STRASSE} ({OTHER})" in moved("doctor").out


def test_changes_after_the_migration_are_checked_by_the_new_rule(moved):
    assert moved("roles", "grant", OTHER, "viewer").code == 0
    assert moved("roles", "revoke", STRASSE, "viewer").code == 0
    run = moved("users", "edit", STRASSE, "--email", "a@new.example", "-o", "json").json["run"]
    assert moved("ledger", "check").code == 0
    assert moved("runs", "undo", str(run), "--yes").code == 0
    assert moved("ledger", "check").code == 0


def test_undoing_a_revocation_of_the_earlier_version_returns_the_role(sandbox):
    sandbox("users", "add", STRASSE)
    sandbox("roles", "grant", OTHER, "viewer")
    revoked = sandbox("roles", "revoke", OTHER, "viewer", "-o", "json").json["run"]
    earlier(sandbox, STRASSE, OTHER)
    assert sandbox("runs", "undo", str(revoked), "--yes").code == 0
    assert query(ledger_place(sandbox), "SELECT actor FROM roles WHERE role = 'viewer'") == [(SAME,)]
    assert sandbox("ledger", "check").code == 0


def test_an_actor_who_is_not_a_user_keeps_the_role(sandbox):
    for email in (STRASSE, OTHER):
        sandbox("roles", "grant", email, "admin")
    sandbox("users", "add", "bob@example.com", "--as", STRASSE)
    sandbox("roles", "revoke", STRASSE, "admin")
    assert sandbox("users", "add", "eve@example.com", "--as", STRASSE).code == 8
    earlier(sandbox)
    assert sandbox("users", "add", "eve@example.com", "--as", STRASSE).code == 0
    assert sandbox("ledger", "check").code == 0


def test_two_users_with_one_address_now_are_named_and_distinguished(sandbox):
    sandbox("users", "add", STRASSE)
    number = query(ledger_place(sandbox), "SELECT id FROM users WHERE email = ?", STRASSE)[0][0]
    with closing(sqlite3.connect(ledger_place(sandbox))) as db:
        db.execute("UPDATE users SET email_key = ? WHERE id = ?", (OTHER, number))
        db.commit()
    assert sandbox("users", "add", SAME).code == 0
    earlier(sandbox)
    assert sandbox("users", "list", "-q").out.split().count(STRASSE) == 1
    assert sandbox("users", "show", STRASSE, "-q").out.strip() == SAME
    found = {row["check"]: row for row in sandbox("doctor", "-o", "json").rows}["e-mails"]
    handle = f"{STRASSE}#{number}"
    assert (found["result"], found["repair"]) == (
        "problem",
        f"seatctl users edit {handle!r} --email EMAIL",
    )
    checked = sandbox("ledger", "check")
    assert checked.code == 0
    assert f"to name the later one, type {handle!r}" in checked.err
    assert sandbox("users", "edit", handle, "--name", "Ann").code == 0
    assert sandbox("users", "edit", handle, "--email", OTHER).code == 0
    assert sandbox("users", "show", OTHER, "-q").out.strip() == OTHER
    assert sandbox("ledger", "check").code == 0


def test_an_erased_user_leaves_no_former_key(moved):
    moved("roles", "revoke", STRASSE, "viewer")
    moved("users", "remove", STRASSE, "--yes")
    assert moved("users", "remove", STRASSE, "--erase", "--yes").code == 0
    left = b"".join(path.read_bytes() for path in ledger_place(moved).parent.glob("ledger.db*"))
    assert STRASSE.encode() not in left
    assert SAME.encode() not in left
    assert moved("ledger", "check").code == 0


def test_two_letters_find_the_beginning_of_an_address(sandbox):
    sandbox("users", "add", "ßa@x.org", "ssa@x.org", "Öa@x.org")
    for text, found in (("ßA", "ßa@x.org"), ("öa", "Öa@x.org")):
        assert sandbox("users", "list", text, "-q").out.split() == [found]
