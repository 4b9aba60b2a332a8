"""The URL of a ledger on a server: its parts that are secret are in no text for people."""

from __future__ import annotations

import pytest

from seatctl.models.ledger_url import BadLedgerUrl, ServerUrl, hidden, is_url
from seatctl.output.redact import redact

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hunter2@db.example.com/seats", "postgresql://ann@db.example.com/seats"),
        ("postgres://ann:hunter2@db/seats", "postgresql://ann@db/seats"),
        ("postgresql://ann@db/seats?password=hunter2", "postgresql://ann@db/seats"),
        (
            "postgresql://ann:hunter2@one:5432,two:5433/seats?target_session_attrs=read-write&sslmode=require",
            "postgresql://ann@one:5432,two:5433/seats?target_session_attrs=read-write&sslmode=require",
        ),
        ("postgresql://:hunter2@db/seats", "postgresql://db/seats"),
        ("postgresql://ann:hunter2@[2001:db8::1]:5432/seats", "postgresql://ann@[2001:db8::1]:5432/seats"),
        ("postgresql://ann:hunter2@%2Frun%2Fpg/seats", "postgresql://ann@%2Frun%2Fpg/seats"),
        ("postgresql://ann:hunter2@/seats?host=/run/pg", "postgresql://ann@/seats?host=/run/pg"),
        ("postgresql://ann:hun%40ter2@db", "postgresql://ann@db"),
        ("postgresql://ann:hunter2?#:@db/seats", "postgresql://ann@db/seats"),
        (
            "postgresql://db/seats?sslpassword=hunter2&sslmode=verify-full",
            "postgresql://db/seats?sslmode=verify-full",
        ),
        ("postgresql://?service=seats&oauth_client_secret=hunter2", "postgresql://?service=seats"),
        ("postgresql://ann:hunter2@", "postgresql://ann@"),
    ],
)
def test_everything_but_the_secrets_is_shown(url, shown):
    parsed = ServerUrl(url)
    assert parsed.shown == shown
    assert parsed.secret == url
    assert parsed.has_secret
    assert [str(parsed), repr(parsed)] == [shown, f"ServerUrl({shown})"]
    assert hidden(f"--ledger={url}") == f"--ledger={shown}"
    assert redact(f"the ledger {url} is away: 'x'") == f"the ledger {shown} is away: 'x'"
    assert ServerUrl(shown).shown == shown
    assert not ServerUrl(shown).has_secret


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@x@db/seats",  # libpq would look for a host `x@db`
        "postgresql://ann:hunter2/x@db/seats",  # libpq would look for a host `ann`
        "postgresql://ann:hunter2 x@db/seats",
        "postgresql://ann:hunter2%@db/seats",
        "postgresql://ann:hunter2%00@db/seats",
        "postgresql://ann:hunter2\x7f@db/seats",
        "postgresql://db:hunter2/seats",
        "postgresql://db/seats?password",
        "POSTGRESQL://ann:hunter2@db/seats",
        "postgresql+psycopg://ann:hunter2@db/seats",
        "mysql://ann:hunter2@db/seats",
        "https://ann:hunter2@db/seats",
    ],
)
def test_what_libpq_would_misread_is_refused_without_repeating_it(url):
    assert is_url(url)
    with pytest.raises(BadLedgerUrl) as refused:
        ServerUrl(url)
    assert "hunter" not in f"{refused.value.message} {refused.value.hint} {refused.value.data}"
    assert refused.value.__cause__ is None
    if "postgres" in url.lower():
        assert "hunter" not in hidden(url)


@pytest.mark.parametrize("path", ["ledger.db", "/var/lib/ledger.db", "a:/b", "./http:/x", "postgresql:/x"])
def test_a_path_is_not_a_url(path):
    assert not is_url(path)
    assert hidden(path) == path
