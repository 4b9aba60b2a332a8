"""What a start costs: modules that must not be loaded before a command needs them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from seatctl.cli.role_table import ONESELF, READS
from tests.services.users.test_roles import CALLS, OF_WHAT, office  # noqa: F401 - a fixture

HEAVY = {
    *("stripe", "rich", "sqlite_utils", "pydantic", "babel", "keyring", "platformdirs", "typer.rich_utils"),
    *("asyncio", "http.client", "logging", "tomli_w", "tomlkit", "email", "requests"),
    *("psycopg", "seatctl.models.ledger_url", "ssl", "socket"),
}
PROBE = """
import json, sys
{body}
sys.stdout.flush()
sys.stderr.write("\\nMODULES " + json.dumps(sorted(sys.modules)))
"""


def loaded(seatctl, body: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(body=body)],
        env=seatctl.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.rpartition("MODULES ")[2]))


@pytest.mark.parametrize(
    "module", ["seatctl.cli.framework.app", "seatctl.cli", "seatctl.__main__", "seatctl.app.context"]
)
def test_importing_the_command_line_loads_nothing_heavy(seatctl, module):
    assert not loaded(seatctl, f"import {module}") & HEAVY


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["help", "exit-codes"],
        ["config", "show"],
        ["config", "get", "actor"],
        ["status", "-o", "json"],
        ["seats", "--help"],
        ["check", "--help"],
        ["users", "list", "-o", "json"],
        ["seats", "list", "-o", "csv"],
    ],
    ids=" ".join,
)
def test_a_command_that_only_reads_loads_nothing_heavy(sandbox, argv):
    body = f"from seatctl.__main__ import main\nassert main({argv!r}) == 0"
    assert not loaded(sandbox, body) & HEAVY


EACH_COMMAND = """
import contextlib, io, os, shutil
from seatctl.__main__ import main
for n, argv in enumerate({commands!r}):
    shutil.copytree({home!r}, home := {folder!r} + f"/{{n}}")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*argv, "--yes"], {{**os.environ, "SEATCTL_CONFIG": home}})
    assert code not in (1, 2, 8), (argv, code, err.getvalue())
    shutil.rmtree(home)
"""


def test_no_command_on_a_file_loads_what_only_a_server_needs(office, tmp_path):  # noqa: F811 - a fixture
    made, words = office
    words = {**words, "folder": tmp_path, "home": made.home}
    calls = [CALLS[command] for command in sorted({*CALLS} | ONESELF) if not command.startswith("ledger ")]
    # It writes the SQL for a server, wherever the ledger is.
    calls += [f"{command} {OF_WHAT.get(command, '')}" for command in sorted(READS - {"ledger grants"})]
    commands = [call.format(**words).split() for call in calls]
    assert len(commands) > 70
    body = EACH_COMMAND.format(commands=commands, home=str(made.home), folder=str(tmp_path))
    modules = loaded(made, body)
    assert "seatctl.ledger.engines.sqlite" in modules
    servers = ("psycopg", "seatctl.ledger.engines.postgres", "seatctl.ledger.schema.postgres")
    assert not {name for name in modules if name.startswith(servers)}


ONE_ROW = [["check", "zoe@example.com", "-o", "json"], ["seats", "list", "design", "-o", "json"]]
NOT_FOR_ONE_ROW = {
    *("dataclasses", "hashlib", "shlex", "tempfile", "socket", "urllib", "urllib.parse", "decimal"),
    *("seatctl.models.plan", "seatctl.models.subscription", "seatctl.models.report"),
    "seatctl.ledger.schema.tables",
    *("seatctl.ledger.subscriptions", "seatctl.billing", "seatctl.output.tables", "seatctl.output.delimited"),
}


@pytest.mark.parametrize("argv", ONE_ROW, ids=" ".join)
def test_a_one_row_question_loads_little_more_than_a_bare_command(sandbox, team, argv):
    assert sandbox("users", "add", "zoe@example.com").code == 0
    assert sandbox("seats", "assign", team, "zoe@example.com").code == 0
    bare = loaded(
        sandbox,
        "import json, sqlite3, typer\nfrom bench import bare\nbare.app(['--help'], standalone_mode=False)",
    )
    asked = loaded(sandbox, f"from seatctl.__main__ import main\nassert main({argv!r}) == 0")
    more = asked - bare
    assert not more & NOT_FOR_ONE_ROW
    # A package holds a sentence only. The clock of `bench start-up` would tell, but not the same everywhere.
    modules = {name for name in more if not any(other.startswith(f"{name}.") for other in more)}
    assert len(modules) <= 48, sorted(modules)


def test_the_help_imports_no_noun(seatctl):
    modules = loaded(seatctl, "from seatctl.__main__ import main\nmain(['--help'])")
    ours = {name for name in modules if name.startswith("seatctl.cli.")}
    framework = ("app", "catalogue", "global_options", "commands")
    assert ours <= {
        *("seatctl.cli.program", "seatctl.cli.framework"),
        *(f"seatctl.cli.framework.{name}" for name in framework),
    }


def test_a_noun_imports_no_other(sandbox):
    modules = loaded(sandbox, "from seatctl.__main__ import main\nmain(['config', 'path'])")
    assert "seatctl.cli.config" in modules
    assert not modules & {"seatctl.cli.seats", "seatctl.cli.subs", "seatctl.ledger.ledger"}
