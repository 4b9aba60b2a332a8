"""The way to a ledger's server: TLS, certificates, passwords and services, and that no password is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from seatctl.cli.role_table import BY_CODE, CHANGES, OF_ITS_LINES, OF_THE_MACHINE, READS
from seatctl.ledger.engines import postgres_report, postgres_target
from tests.conftest import Seatctl
from tests.services.users.test_roles import CALLS, OF_WHAT
from tests.support import postgres
from tests.support.database_roles import ANN, Office, furnish
from tests.support.tls import FAR, NAME, Authority, TlsServer, tls_server

PASSWORD = "hunter2-of-the-server"


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("authority")
    with tls_server(folder) as server:
        server.create_user("ann", PASSWORD)
        yield server


class Client:
    """A machine without configuration, and the URL of its ledger."""

    def __init__(self, seatctl: Seatctl, server: TlsServer, database: str) -> None:
        self.seatctl, self.server, self.database = seatctl, server, database
        home = seatctl.home.parent
        self.variables = {"SEATCTL_ACTOR": ANN, "SEATCTL_SANDBOX": f"{home}/sandbox.db", "HOME": str(home)}
        self.shown: list[str] = []
        """Everything that its commands printed."""

    def url(self, host: str = FAR, user: str = f"ann:{PASSWORD}", **parameters: object) -> str:
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"postgresql://{user}@{host}:{self.server.port}/{self.database}?{query}".rstrip("?")

    def __call__(self, url: str, *argv: str, env: dict[str, str] | None = None):
        done = self.seatctl(*argv, env={**self.variables, "SEATCTL_LEDGER": url, **(env or {})})
        self.shown.append(done.out + done.err)
        return done

    def works(self, url: str, **env: str) -> None:
        done = self(url, "users", "list", env=env)
        assert done.code == 0, done.err

    def refused(self, url: str, code: int, name: str, *argv: str, **env: str) -> dict:
        """The error of a command that must be refused, without a word of the password."""
        done = self(url, *(argv or ("users", "list")), "-v", "-o", "json", env=env)
        assert done.code == code, done
        (line,) = [line for line in done.err.splitlines() if line.startswith('{"error"')]
        error = json.loads(line)["error"]
        assert error["code"] == name, error
        assert PASSWORD not in done.out + done.err
        return error


@pytest.fixture
def client(tls, seatctl) -> Iterator[Client]:
    """A ledger in sandbox mode, made over TLS by a login that is no superuser."""
    found = Client(seatctl, tls, tls.create_for("ann"))
    made = found(found.url(), "init", "--no-input", "--actor", ANN)
    assert made.code == 0, made.err
    (seatctl.home / "config.toml").unlink()
    yield found
    assert PASSWORD not in "".join(found.shown)
    tls.drop(found.database)


def findings(client: Client, url: str) -> dict[str, dict]:
    done = client(url, "doctor", "-o", "json")
    return {row["check"]: row for row in done.json}


def test_off_loopback_the_connection_is_encrypted_without_being_told(client):
    client.works(client.url())
    assert findings(client, client.url())["encryption"]["detail"] == "TLS"


def test_doctor_says_what_a_certificate_that_is_not_verified_costs(client, monkeypatch):
    """As for a server on another machine: the address here is a loopback address after all."""
    monkeypatch.setattr(postgres_report, "is_local", lambda _: False)
    found = findings(client, client.url())["encryption"]
    assert (found["result"], found["detail"].partition(":")[0]) == (
        "warning",
        "TLS, but the server's certificate is not verified",
    )
    assert "sslmode=verify-full" in found["repair"]
    verified = client.url(sslmode="verify-full", sslrootcert=client.server.authority.certificate)
    found = findings(client, verified)["encryption"]
    assert found["detail"] == "TLS, and the server's certificate is verified"


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_off_loopback_a_connection_without_tls_is_refused_before_it_is_made(client, mode):
    client.refused(client.url(sslmode=mode), 4, "tls_required")
    client.refused(client.url(sslmode=mode), 4, "tls_required", "init", "--no-input")


def test_off_loopback_a_server_without_tls_is_refused(client):
    plain = client.url().replace(str(client.server.port), str(postgres.server().port))
    error = client.refused(plain, 4, "server_not_trusted")
    assert "does not support SSL" in error["message"]
    assert "ssl = on" in error["hint"]


def test_the_ca_and_the_name_of_the_server_are_verified(client, tmp_path):
    ca = client.server.authority.certificate
    verified = {"sslmode": "verify-full", "sslrootcert": ca}
    for url in (
        client.url(**verified),
        client.url("127.0.0.1", **verified),
        client.url(NAME, hostaddr="127.0.0.1", **verified),
    ):
        client.works(url)

    for host in ("other.example.com", "localhost"):
        error = client.refused(client.url(host, hostaddr="127.0.0.1", **verified), 4, "server_not_trusted")
        assert f'does not match host name "{host}"' in error["message"]
        assert "the host in the URL" in error["hint"]
        client.works(client.url(host, hostaddr="127.0.0.1", sslmode="verify-ca", sslrootcert=ca))

    stranger = Authority(tmp_path, "stranger").certificate
    for wrong in (stranger, "system", tmp_path / "missing.crt"):
        error = client.refused(client.url(sslmode="verify-full", sslrootcert=wrong), 4, "server_not_trusted")
        assert "sslrootcert" in error["hint"]
    error = client.refused(client.url(sslmode="verify-full"), 4, "server_not_trusted")
    assert "root.crt" in error["message"]
    for command in (("check", ANN), ("seats", "list"), ("ledger", "path")):
        done = client(client.url(sslmode="verify-full", sslrootcert=stranger), *command)
        assert done.code == 4, done


def test_variables_password_files_and_services_count_as_for_other_clients(client, tmp_path):
    ca, bare = client.server.authority.certificate, client.url(user="ann")
    client.refused(bare, 8, "ledger_refused")
    client.works(bare, PGPASSWORD=PASSWORD)
    client.works(bare, PGPASSWORD=PASSWORD, PGSSLMODE="verify-full", PGSSLROOTCERT=str(ca))
    client.refused(bare, 4, "tls_required", PGPASSWORD=PASSWORD, PGSSLMODE="disable")

    passwords = tmp_path / "passwords"
    passwords.write_text(f"{FAR}:{client.server.port}:*:ann:{PASSWORD}\n")
    passwords.chmod(0o600)
    client.works(bare, PGPASSFILE=str(passwords))
    passwords.chmod(0o644)  # libpq does not use a password that others can read
    client.refused(bare, 8, "ledger_refused", PGPASSFILE=str(passwords))
    passwords.chmod(0o600)

    services = tmp_path / "services.conf"
    services.write_text(
        f"[seats]\nhost={FAR}\nport={client.server.port}\nuser=ann\ndbname={client.database}\n"
        f"sslmode=verify-full\nsslrootcert={ca}\npassfile={passwords}\n"
        f"[wrong]\nhost={FAR}\nport={client.server.port}\nuser=ann\ndbname={client.database}\n"
        f"sslmode=disable\n"
    )
    client.works("postgresql://?service=seats", PGSERVICEFILE=str(services))
    client.works("postgresql://", PGSERVICE="seats", PGSERVICEFILE=str(services))
    client.refused("postgresql://?service=wrong", 4, "tls_required", PGSERVICEFILE=str(services))
    client.refused("postgresql://?service=missing", 3, "bad_ledger_url", PGSERVICEFILE=str(services))


@pytest.mark.parametrize(
    "query",
    [
        *("sslmode=nonsense", "target_session_attrs=x", "connect_timeout=z", "channel_binding=x"),
        "sslrootcert=system&sslmode=require",
        "nonsense=1",
    ],
)
def test_a_parameter_that_libpq_does_not_take_is_bad_input(client, query):
    client.refused(f"{client.url()}?{query}", 3, "bad_ledger_url")


def test_the_certificates_of_the_system_are_found(client, monkeypatch):
    """psycopg's own OpenSSL looks for them in a folder that no system has."""
    if psycopg.pq.__impl__ != "binary":
        pytest.skip("only psycopg[binary] brings an OpenSSL")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    ca = client.server.authority.certificate
    client.refused(client.url(sslrootcert="system"), 4, "server_not_trusted")
    client.works(client.url(sslrootcert="system"), SSL_CERT_FILE=str(ca))
    monkeypatch.setattr(postgres_target, "SYSTEM_BUNDLES", ("/nonexistent", str(ca)))
    client.works(client.url(sslrootcert="system"))
    client.works(client.url(sslrootcert="system", sslmode="verify-full"))
    client.works(client.url(), PGSSLROOTCERT="system")
    client.refused(client.url("localhost", sslrootcert="system"), 4, "server_not_trusted")
    client.refused(client.url(sslrootcert="system", sslmode="require"), 3, "bad_ledger_url")


def test_a_client_certificate_is_used(client, tmp_path):
    server, user = client.server, "with_certificate"
    certificate, key = server.authority.certify(user)
    with server.connect() as connection:
        connection.execute(f"DROP ROLE IF EXISTS {user}")
        connection.execute(f"CREATE ROLE {user} LOGIN IN ROLE ann")
    printed = client(client.url(), "ledger", "grants", "viewer", user)
    with server.connect(client.database) as connection:
        connection.execute(printed.out)
    own = {"sslmode": "verify-full", "sslrootcert": server.authority.certificate}
    client.works(client.url(user=user, sslcert=certificate, sslkey=key, **own))
    error = client.refused(client.url(user=user, **own), 8, "ledger_refused")
    assert "client certificate" in error["message"]
    foreign = Authority(tmp_path, "stranger").certify(user)
    client.refused(
        client.url(user=user, sslcert=foreign[0], sslkey=foreign[1], **own), 4, "server_not_trusted"
    )
    key.chmod(0o644)
    error = client.refused(
        client.url(user=user, sslcert=certificate, sslkey=key, **own), 4, "server_not_trusted"
    )
    assert "chmod 600" in error["hint"]


# -- no password leaks --------------------------------------------------------------------------


class Distant(Office):
    """An office on the server with TLS, whose owner logs in with a password."""

    def url(self, name: str) -> str:
        return f"postgresql://ann:{PASSWORD}@{FAR}:{self.words['port']}/{self.database}"


FORTHCOMING = {"sandbox serve", "demo"}
"""They run until they are stopped, or with a ledger of their own."""
LAST = ("ledger new-id", "ledger copy")
MORE = {
    "init": "init --no-input --actor ann@example.com",
    "batch": "batch {lines}",
    "runs resume": "runs resume 1",
    "seats claim": "seats claim",
    "config set": "config set ledger.url {url}",
    "config unset": "config unset undo_window",
    "config use": "config use default",
    "ledger restore": "ledger restore {folder}/backup.db",
    "sandbox advance": "sandbox advance 1d",
    "sandbox fail": "sandbox fail --list",
    "sandbox complete": "sandbox complete 1",
    "sandbox authenticate": "sandbox authenticate 1",
}


def test_no_command_shows_or_stores_the_password(tls, tmp_path):
    """Every command, with the URL in the environment and on the command line; and the ledger afterwards."""
    database = tls.create_for("ann")
    office = Distant(database, Seatctl(tmp_path / "home"), {"port": str(tls.port)})
    furnish(office, tmp_path)
    (tmp_path / "lines.txt").write_text(f"users list --ledger {office.url('led')}\n")
    office.words.update(
        url=office.url("led"), folder=str(tmp_path), home=str(tmp_path), lines=str(tmp_path / "lines.txt")
    )
    known = {*CHANGES, *BY_CODE, *OF_ITS_LINES, *OF_THE_MACHINE, *READS} - FORTHCOMING
    ordered = [*sorted(READS), *sorted(known - READS - set(LAST)), *LAST]
    examples = {**CALLS, **MORE}
    examples["ledger copy"] = "ledger copy {url} {folder}/moved.db"
    for command in ordered:
        typed = examples.get(command) or f"{command} {OF_WHAT.get(command, '')}"
        for more in ((), ("--ledger", office.url("led"), "--dry-run"), (f"--ledger={office.url('led')}",)):
            done = office.run("led", typed, "-v", *more, SEATCTL_ACTOR=ANN)
            assert done.code != 1, (typed, done.err)
            assert PASSWORD not in done.out + done.err, (typed, more)
            if command in LAST:
                break
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name not in {"lines.txt", "config.toml"}:  # those have it by request
            assert PASSWORD.encode() not in path.read_bytes(), path
    assert (tmp_path / "home" / "log" / "seatctl.log").exists()
    with tls.connect(database) as connection:
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'seatctl'"
        ).fetchall():
            rows = str(connection.execute(f"SELECT * FROM seatctl.{table}").fetchall())
            assert PASSWORD not in rows, table
    assert PASSWORD not in (tls.folder / "log").read_text()
    tls.drop(database)


def test_a_bug_shows_no_password(client, monkeypatch):
    from seatctl.ledger.ledger import Ledger

    def broken(self) -> None:
        raise RuntimeError(f"cannot use {client.url()!r}, nor {client.url()}")

    monkeypatch.setattr(Ledger, "reading", broken)
    done = client(client.url(), "users", "list", "-v")
    assert done.code == 1
    assert "RuntimeError" in done.err
    log = (client.seatctl.home / "log" / "seatctl.log").read_text()
    assert "RuntimeError" in log
    assert PASSWORD not in log


def test_children_do_not_get_the_password_as_an_argument(client, tmp_path):
    """The command that prints the mail server's password looks at the command lines of all processes."""
    seen, script = tmp_path / "seen", tmp_path / "password.sh"
    script.write_text(f"cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' > {seen}\necho secret\n")
    (client.seatctl.home / "config.toml").write_text(
        f"[profiles.default]\nmode = 'sandbox'\nmail.password_command = 'sh {script}'\n"
    )
    variables = {**client.variables, "SEATCTL_LEDGER": client.url()}
    for setting in (
        "mail.host 127.0.0.1",
        "mail.port 1",
        "mail.security none",
        "mail.user me",
        "mail.from a@b.cd",
    ):
        done = client.seatctl("config", "set", *setting.split(), env=variables)
        assert done.code == 0, done.err
    done = subprocess.run(
        [sys.executable, "-m", "seatctl", "notify", "test", ANN],
        env=client.seatctl.environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 75, done.stderr
    assert f"-m seatctl notify test {ANN}" in seen.read_text()
    assert PASSWORD not in seen.read_text() + done.stdout + done.stderr
