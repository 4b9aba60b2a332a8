"""Searches for users find the same people on both engines."""

from __future__ import annotations

import pytest

from seatctl.ledger import users
from seatctl.ledger.transaction import Journal
from tests.support.engines import ENGINES, NOW, T, new_ledger

PEOPLE = {
    "ann.lee@example.com": "Ann Lee",
    "bo@example.org": "Bo Ångström",
    "c_d%e@example.com": 'Chloë O\'Hara "CH"',
    "li@example.com": "李明",
    "wei.li@example.com": "Wei Li",
    "noname@example.net": None,
    "ÉMILE@example.com": "Émile ZOLA",
    "straße@example.com": "Klaus Straße",
}

FOUND = {
    "ann": ["ann.lee@example.com"],
    "ANN lee": ["ann.lee@example.com"],
    "example.org": ["bo@example.org"],
    "ångs": ["bo@example.org"],
    "ÅNGS": ["bo@example.org"],
    "li": ["li@example.com", "wei.li@example.com"],
    "Li": ["li@example.com", "wei.li@example.com"],
    "李明": ["li@example.com"],
    "明": [],
    "le": ["ann.lee@example.com"],
    "ee": [],
    "w": ["wei.li@example.com"],
    "wei l": ["wei.li@example.com"],
    "lee n": ["ann.lee@example.com"],
    'hara "ch': ["c_d%e@example.com"],
    "_d%": ["c_d%e@example.com"],
    "_d% _": ["c_d%e@example.com"],
    "émile": ["ÉMILE@example.com"],
    "zola émi": ["ÉMILE@example.com"],
    "noname": ["noname@example.net"],
    "straße": ["straße@example.com"],
    "AND OR NOT": [],
    "nobody": [],
}


@pytest.fixture(params=ENGINES, scope="module")
def journal(request, tmp_path_factory):
    with new_ledger(request.param, tmp_path_factory.mktemp("search")) as open_engine:
        engine = open_engine()
        engine.begin_writing()
        for email, name in PEOPLE.items():
            values = {"email": email, "email_key": users.email_key(email), "name": name, "created_at": T}
            number = engine.insert("users", values)
            engine.users.insert("SELECT :id", {"id": number})
        engine.commit()
        engine.begin_scratch()
        yield Journal(engine)
        engine.rollback()


@pytest.mark.parametrize("text", FOUND)
def test_it_finds_the_same_people(journal, text):
    found = users.records(journal, text=text, now=NOW)
    assert sorted(row["email"] for row in found) == FOUND[text]
    assert users.total(journal, text=text) == len(FOUND[text])


@pytest.mark.parametrize(
    ("typed", "similar"),
    [("anne.lee@example.com", "ann.lee@example.com"), ("bu@example.org", "bo@example.org")],
)
def test_it_suggests_similar_addresses(journal, typed, similar):
    assert similar in users.similar_emails(journal, typed)


def test_a_changed_name_is_found_and_the_former_one_is_not(journal):
    engine = journal.engine
    (number,) = journal.column("SELECT id FROM users WHERE email_key = 'bo@example.org'")
    engine.users.remove("SELECT :id", {"id": number})
    journal.update_row("users", number, {"name": "Dora Quartz"})
    engine.users.insert("SELECT :id", {"id": number})
    assert [row["email"] for row in users.records(journal, text="quartz", now=NOW)] == ["bo@example.org"]
    assert users.total(journal, text="ångström") == 0
