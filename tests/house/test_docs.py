"""Every example of README.md and docs/ runs here as it is written, page by page, in a fresh home.

How a block runs, and which few do not, is said by the page (tests/support/pages.py).
"""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from typer._click.exceptions import BadOptionUsage, MissingParameter

from seatctl.sandbox.api.twin import Twin
from tests.cli.test_help import COMMANDS
from tests.services.sync.test_foreign_objects import customer, product, subscribe
from tests.support.pages import (
    IN_A_CLONE,
    ON_A_SERVER,
    PAGES,
    ROOT,
    Block,
    blocks,
    blocks_of,
    page,
    parse,
    typed_commands,
    workflow_steps,
)
from tests.support.tls import NAME, TlsServer, tls_server

PEOPLE = 3000
STANDS_FOR = {"N": "1", "ROLE": "assignor"}
"""Values for the words in capitals that are not any text."""


def scripts(name: str) -> list[str]:
    return [block.text for block in blocks(f"docs/{name}") if block.runs]


@pytest.fixture
def programs(tmp_path):
    """A folder with `seatctl`, and a `gh` that keeps the comment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {
        "seatctl": f'exec {shlex.quote(sys.executable)} -m seatctl "$@"',
        "gh": 'cp "$5" posted.md',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


class Reader:
    """Somebody with a fresh home who types what a page says, in a folder of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.work, self.home = folder / "work", folder / "home"
        for made in (self.work, self.home):
            made.mkdir(parents=True)
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def write(self, name: str, text: str) -> None:
        path = self.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def types(self, script: str, code: int = 0, **env: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=self.work,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{script}\n{done.stderr}"
        return done

    def continues(self, block: Block) -> subprocess.CompletedProcess:
        """Type a block in the shell of the earlier ones: what they exported is still set."""
        done = self.types(block.text)
        self.env |= dict(re.findall(r"^export (\w+)='(.+)'$", block.text, re.MULTILINE))
        return done

    def follows(self, name: str, **account: str) -> list[subprocess.CompletedProcess]:
        """Do what a page says from its first block to its last; `account`: the key that some blocks need."""
        done = []
        for block in blocks(name):
            for file in block.files:
                self.write(file, block.text)
            if block.runs:
                done.append(self.types(block.text, **(account if block.mark else {})))
        return done


@pytest.fixture
def reader(tmp_path, programs):
    return Reader(tmp_path, programs)


@contextmanager
def account_at_stripe(path: Path, *subscribed: tuple[str, str]):
    """An account in which customers have subscribed to products; yields the settings that lead to it.

    The served sandbox stands in for Stripe.
    """
    from seatctl.sandbox.api.server import SandboxServer

    with closing(Twin(path)) as stripe:
        for who, what in subscribed:
            interval = "year" if what == "Enterprise" else "month"
            price = product(stripe, what, recurring={"interval": interval})
            subscribe(stripe, customer(stripe, who), price)
    server = SandboxServer(path, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield {
            "SEATCTL_STRIPE_API_BASE": f"http://127.0.0.1:{server.port}",
            "SEATCTL_STRIPE_KEY": "sk_test_of_the_pages",
        }
    finally:
        server.stop()
        thread.join(10)


def test_the_readme_works_from_an_empty_folder(reader, tmp_path):
    with account_at_stripe(tmp_path / "stripe.db") as account:
        main_job, scripts, own_account = reader.follows("README.md", **account)
    assert "zoe@example.com" in main_job.stdout
    assert scripts.stdout.endswith("new@example.com has no seat\n")
    assert "pro" in own_account.stdout


def test_adopting_works_as_it_is_written(reader, tmp_path):
    with account_at_stripe(tmp_path / "stripe.db", ("Acme", "Pro"), ("Globex", "Enterprise")) as account:
        reader.follows("docs/adopting.md", **account)
        seated = reader.types("seatctl seats list acme -q", **account)
        assert seated.stdout.split() == ["zoe@example.com", "bob@example.com"]
        followed = json.loads(reader.types("seatctl subs show acme -o json", **account).stdout)
        assert (followed["policy"]["decrease"], followed["calendar"] != []) == ("at_renewal", True)
        assert reader.types("seatctl notify list -q", **account).stdout == ""


def test_scripting_works_as_it_is_written(reader):
    reader.follows("docs/scripting.md")
    assert len((reader.work / "done.csv").read_text().splitlines()) == 3


def test_a_nightly_export_of_many_people(reader):
    once, role, nightly, buying, idle, single = scripts("scripting.md")
    reader.types(once + role)
    reader.types(f"seatctl subs add-seats design {PEOPLE - 5} --yes")
    header = "Work Email,Full Name,Department,Product,Last Day\n"
    staff = [f"p{n}@example.com,Person {n},group {n % 20},design,\n" for n in range(PEOPLE - 2)]
    known = "zoe@example.com,Zoe Zhang,design,design,\nbob@example.com,Bob Builder,design,design,2031-01-31\n"
    reader.write("hr-export.csv", header + known + "".join(staff))
    reader.write("activity.csv", "email,last_active\np5@example.com,2020-01-01\n")

    reader.types(nightly)
    assert len((reader.work / "done.csv").read_text().splitlines()) == PEOPLE + 1
    reader.types(nightly)  # nothing to do: it ends before the backup
    assert len(list(reader.work.glob("before-*.db"))) == 1
    reader.write("hr-export.csv", header + known + "".join(staff[: PEOPLE // 2]))
    refused = reader.types(nightly, code=4)
    assert "--max-revoke allows 150" in refused.stderr
    reader.write("hr-export.csv", header + known + "".join(staff[7:]))
    reader.types("rm before-*; " + nightly)
    assert len((reader.work / "done.csv").read_text().splitlines()) == 8

    new = "".join(f"n{n}@example.com,New {n},design,design,\n" for n in range(9))
    reader.write("hr-export.csv", header + known + "".join(staff[7:]) + new)
    # Stripe rounds the credit and the charge each for itself, and a few seconds of the term are over.
    assert re.search(r"short 2 → 2 seats, (24\.00|23\.99) USD", reader.types(buying).stderr)
    reader.types(idle)
    reader.types("seatctl seats revoke design zoe@example.com bob@example.com --yes")
    reader.types(single)
    reader.types("seatctl ledger check")
    assert reader.types("seatctl seats list design-eu -q").stdout == "bob@example.com\n"


def test_a_nightly_export_needs_the_role_that_its_page_grants(reader):
    once, _, nightly, *_ = scripts("scripting.md")
    (export,) = (block.text for block in blocks("docs/scripting.md") if block.files == ["hr-export.csv"])
    reader.write("hr-export.csv", export)
    reader.types(once)
    assert "ci:hr-nightly may not assign" in reader.types(nightly, code=8).stderr


class Runner:
    """A runner of GitHub: a job's steps with its `env` and nothing else of the page's."""

    def __init__(self, reader: Reader, block: Block) -> None:
        self.reader = reader
        self.env = dict(re.findall(r"^ {6}(\w+): (.+)$", block.text.partition("    env:\n")[2], re.MULTILINE))
        self.env |= {"PULL_REQUEST": "7"} if "PULL_REQUEST" in self.env else {}
        install, *steps = workflow_steps(block)
        assert "pip install --quiet tools/seatctl-*.whl" in install
        (self.script,) = steps

    def variables(self) -> set[str]:
        """What the step uses and the page does not define."""
        assigned = set(re.findall(r"\b([a-z_]+)=", self.script))
        return set(re.findall(r"\$\{?(\w+)", self.script)) - set(self.env) - assigned

    def works(self, code: int = 0) -> subprocess.CompletedProcess:
        return self.reader.types(self.script, code, **self.env)


def test_seats_as_code_work_as_they_are_written(reader):
    reader.follows("docs/ci.md")
    check, apply = (Runner(reader, one) for one in blocks("docs/ci.md") if one.language == "yaml")
    assert check.variables() == apply.variables() == set()
    backup = reader.home / "seatctl-backups" / "ledger.db"
    backup.chmod(0o400)
    check.works()
    assert (
        (reader.work / "posted.md").read_text().startswith("**Differences:** would have seated 3 in design")
    )
    assert reader.types("seatctl seats list -q").stdout == ""

    apply.works()
    assert reader.types("seatctl seats list design -q").stdout.count("@") == 3
    apply.works()
    backup.unlink()
    reader.types("seatctl ledger backup ~/seatctl-backups/ledger.db")
    check.works()
    assert (reader.work / "posted.md").read_text().startswith("**Differences:** nothing to do")
    reader.write("seats.toml", '[subscriptions]\ndesign = ["nobody"]\n')
    assert "not an e-mail address" in check.works(code=1).stderr


# -- docs/shared-ledger.md, on a server with TLS ---------------------------------------------------

SHARED = "docs/shared-ledger.md"
OWNER = "password-of-the-owner"
KEY = "SEATCTL_STRIPE_KEY"


class Company:
    """A server that is called db.example.com, and people with machines of their own."""

    def __init__(self, folder: Path, programs: Path, server: TlsServer, account: dict[str, str]) -> None:
        self.folder, self.programs, self.server = folder, programs, server
        self.account = account
        self.variables = {
            **account,
            "PGHOSTADDR": "127.0.0.1",
            "PGPORT": str(server.port),
            "PATH": f"{programs}:{server.programs}:{os.environ['PATH']}",
        }
        with server.connect() as connection:
            connection.execute("ALTER ROLE postgres PASSWORD 'root'")

    def person(self, name: str, **passwords: str) -> Reader:
        """Somebody with a machine that knows the CA and these passwords."""
        reader = Reader(self.folder / name, self.programs)
        reader.env |= self.variables
        ca = self.server.authority.certificate.read_text()
        reader.write("db-ca.crt", ca)
        (reader.home / ".postgresql").mkdir()
        (reader.home / ".postgresql" / "root.crt").write_text(ca)
        lines = (f"{NAME}:*:*:{login}:{password}\n" for login, password in passwords.items())
        (reader.home / ".pgpass").write_text("".join(lines))
        (reader.home / ".pgpass").chmod(0o600)
        return reader

    def runner(self) -> Reader:
        """A fresh machine with a check-out of the repository."""
        reader = Reader(self.folder / "runner", self.programs)
        reader.env |= {name: value for name, value in self.variables.items() if name != KEY}
        reader.write("db-ca.crt", self.server.authority.certificate.read_text())
        return reader


@pytest.fixture
def company(tmp_path, programs):
    folder = tmp_path / "authority"
    folder.mkdir()
    with tls_server(folder) as server, account_at_stripe(tmp_path / "stripe.db") as account:
        yield Company(tmp_path, programs, server, account)


def on_a_server(heading: str) -> list[Block]:
    return [block for block in blocks_of(SHARED, heading) if block.mark == ON_A_SERVER]


def has_configuration(reader: Reader) -> bool:
    return any(reader.home.rglob("config.toml"))


def test_a_shared_ledger_works_as_it_is_written(company):
    ann = company.person("ann", postgres="root")
    (ann.home / ".postgresql" / "root.crt").unlink()
    for block in on_a_server("Set up"):
        ann.continues(block)

    new_login, typed = on_a_server("Another administrator")
    ann.continues(new_login)
    eve = company.person("eve")
    eve.continues(typed)
    assert not has_configuration(eve)

    provision(company, ann)

    give, take, ask = on_a_server("Roles")
    ann.continues(give)
    with company.server.connect() as connection:
        connection.execute("ALTER ROLE zoe PASSWORD 'password-of-zoe'")
    zoe = company.person("zoe", zoe="password-of-zoe")
    assert "not yet" in zoe.continues(ask).stdout
    assert not has_configuration(zoe)
    ann.continues(take)
    assert "zoe@example.com" in ann.types("seatctl requests list").stdout

    ledger = ann.env["SEATCTL_LEDGER"]
    for block in on_a_server("Backup and restore"):
        ann.continues(block)
    assert ann.types("seatctl seats list design -q").stdout.split() == ["bob@example.com", "kim@example.com"]
    ann.env["SEATCTL_LEDGER"] = ledger
    for block in on_a_server("Upgrades"):
        ann.continues(block)


def provision(company: Company, ann: Reader) -> None:
    """Let a fresh machine run the workflow twice, with the two secrets of the page."""
    shown = blocks_of(SHARED, "A CI runner with two secrets")
    (new_login,) = on_a_server("A CI runner with two secrets")
    ann.continues(new_login)
    (secret,) = re.findall(r"^\| `SEATCTL_LEDGER` \| `(.+)` \|$", page(SHARED), re.MULTILINE)
    machine = company.runner()
    for block in shown:
        for file in block.files:
            machine.write(file, block.text)
    (workflow,) = (block for block in shown if block.language == "yaml")
    job = Runner(machine, workflow)
    assert job.env == {name: f"${{{{ secrets.{name} }}}}" for name in ("SEATCTL_LEDGER", KEY)}
    assert job.variables() == set()
    job.env = {"SEATCTL_LEDGER": secret, KEY: company.account[KEY]}
    for _ in range(2):
        job.works()
        seated = ann.types("seatctl seats list design -q").stdout.split()
        assert seated == ["bob@example.com", "kim@example.com"]
    assert not has_configuration(machine)
    assert "ci:seats" in ann.types("seatctl audit log").stdout


def test_a_ledger_moves_to_a_server_and_back_as_it_is_written(company):
    with company.server.connect() as connection:
        connection.execute(f"CREATE ROLE seatctl LOGIN PASSWORD '{OWNER}'")
        connection.execute("CREATE DATABASE seatctl OWNER seatctl TEMPLATE template0")
    dan = company.person("dan", seatctl=OWNER)
    dan.types("seatctl init --mode test --actor dan@example.com; seatctl users add zoe@example.com")
    for block in on_a_server("Moving a ledger"):
        dan.continues(block)
        assert dan.types("seatctl users list -q").stdout == "zoe@example.com\n"
    assert dan.types("seatctl ledger path").stdout == f"{dan.home}/ledger.db\n"


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is_and_what_does_not_run_is_valid(name):
    for block in blocks(name):
        assert block.language, f"a block without a language: {block.text}"
        scripts = workflow_steps(block) if block.language == "yaml" else [block.text]
        typed = [words for script in scripts for words in typed_commands(script)]
        assert block.language in {"sh", "yaml", "text"} or not typed
        assert (
            block.language != "sh"
            or block.runs
            or block.mark in IN_A_CLONE
            or block.mark == ON_A_SERVER
            or block.mark.startswith("by hand: ")
        )
        for words in typed:
            parse(words)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_in_the_text_of_a_page_is_valid(name):
    prose = re.sub(r"^```.*?^```", "", page(name), flags=re.MULTILINE | re.DOTALL)
    for text in re.findall(r"`([^`]+)`", prose):
        plain = re.sub(r"\s+", " ", text).translate(dict.fromkeys(map(ord, "[]…"))).removeprefix("seatctl ")
        if "seatctl " in text or " ".join(plain.split()[:2]) in COMMANDS:
            (words,) = typed_commands(f"seatctl {plain}")
            with suppress(MissingParameter, BadOptionUsage):  # a sentence names a command or an option alone
                parse([STANDS_FOR.get(word, word) for word in words])
    assert not re.search(r"^    seatctl ", prose, re.MULTILINE), "a command outside a fenced block"


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page(name)):
        assert target.startswith("https://") or (folder / target).exists(), target
