"""What libpq is given: off this machine only an encrypted connection, else what users of libpq expect."""

from __future__ import annotations

import builtins

import pytest

from seatctl.errors import Code
from seatctl.ledger.engines.postgres import connect
from seatctl.ledger.engines.postgres_target import parameters
from seatctl.models.ledger_url import ServerUrl
from tests.support.refusals import refuses

FAR = "postgresql://ann:hunter2@db.example.com/seats"


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch, tmp_path):
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def given(url: str) -> dict[str, str]:
    return parameters(ServerUrl(url))


def test_libpq_is_told_to_insist_on_encryption():
    assert given(FAR)["sslmode"] == "require"
    assert given(f"{FAR}?sslmode=verify-full")["sslmode"] == "verify-full"
    assert given("postgresql://one,localhost/seats")["sslmode"] == "require"
    assert given("postgresql://localhost/seats?hostaddr=10.0.0.1")["sslmode"] == "require"


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_mode_without_encryption_is_refused(mode):
    with refuses(Code.TLS_REQUIRED) as refused:
        given(f"{FAR}?sslmode={mode}")
    assert "hunter2" not in refused.value.message + str(refused.value.hint)
    assert "sslmode" in str(refused.value.hint)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///seats",
        "postgresql://localhost/seats",
        "postgresql://127.0.0.1:5433/seats?sslmode=disable",
        "postgresql://[::1]/seats",
        "postgresql:///seats?host=/run/postgresql",
        "postgresql://%2Frun%2Fpostgresql/seats",
        "postgresql://localhost,127.0.0.2/seats",
        "postgresql://db.example.com/seats?hostaddr=127.0.0.1",
    ],
)
def test_on_this_machine_it_need_not_be_encrypted(url):
    assert given(url).get("sslmode") in {None, "disable"}


def test_the_variables_of_libpq_count(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert given("postgresql:///seats")["sslmode"] == "require"
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert "sslmode" not in given("postgresql:///seats")  # libpq takes it from the variable
    monkeypatch.setenv("PGSSLMODE", "disable")
    with refuses(Code.TLS_REQUIRED):
        given("postgresql:///seats")
    assert given(f"{FAR}?sslmode=require")["sslmode"] == "require"
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert "connect_timeout" not in given(FAR)


def test_a_service_file_counts(monkeypatch, tmp_path):
    services = tmp_path / "services.conf"
    services.write_text(
        "[safe]\nhost=db.example.com\nsslmode=verify-full\n[plain]\nhost=db.example.com\nsslmode=disable\n"
        "[near]\nhost=/run/pg\n[far]\nhost=db.example.com\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert "sslmode" not in given("postgresql://?service=safe")
    assert "sslmode" not in given("postgresql://?service=near")
    assert given("postgresql://?service=far")["sslmode"] == "require"
    with refuses(Code.TLS_REQUIRED):
        given("postgresql://?service=plain")
    monkeypatch.setenv("PGSERVICE", "plain")
    with refuses(Code.TLS_REQUIRED):
        given("postgresql:///seats")
    assert "sslmode" not in given("postgresql://?service=near")


def test_the_certificates_of_the_system_are_always_verified():
    assert "sslmode" not in given(f"{FAR}?sslrootcert=system")


def test_a_parameter_that_libpq_does_not_know_is_refused():
    with refuses(Code.BAD_LEDGER_URL, match='"schema"$') as refused:
        given(f"{FAR}?schema=x")
    assert "sslmode" in refused.value.hint


def test_without_the_driver_the_refusal_says_how_to_install_it(monkeypatch):
    find = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "psycopg":
            raise ImportError("No module named 'psycopg'")
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with refuses(Code.POSTGRES_MISSING) as refused:
        connect(ServerUrl(FAR))
    assert refused.value.hint == "pip install 'seatctl[postgres]'"
