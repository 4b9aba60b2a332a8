"""The layers, read from the source: who may import what, where SQL, Stripe, printing and the clock live."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import seatctl

ROOT = Path(seatctl.__file__).parent

VALUES = {"errors", "models", "rules"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "models": {"errors"},
    "rules": {"errors", "models"},
    "ledger": {*VALUES, "output_files", "system"},
    "billing": {*VALUES, "sandbox"},
    "sandbox": set(),
    "redact": set(),
    "output_files": VALUES,
    "streams": {"errors"},
    "system": {"errors"},
    "file_kinds": VALUES,
    "columns": {*VALUES, "file_kinds"},
    "textlines": {*VALUES, "file_kinds"},
    "tabular": {*VALUES, "columns", "file_kinds", "json_rows", "textlines"},
    "json_rows": {"columns", "tabular"},
    "mail": VALUES,
    "services": {*VALUES, "ledger", "billing", "mail", "output_files", "tabular", "textlines", "file_kinds"},
    "known_settings": {*VALUES, "system"},
    "settings": {*VALUES, "known_settings", "system"},
    "settings_file": {*VALUES, "output_files", "settings"},
    "keys": {*VALUES, "settings"},
    "mailing": {*VALUES, "keys", "mail", "settings"},
    "log": {"redact", "settings"},
    "styles": VALUES,
    "output": {*VALUES, "redact", "report_columns", "streams", "styles", "tables", "delimited"},
    "report_columns": {"styles"},
    "delimited": {*VALUES, "styles", "tables"},
    "tables": {*VALUES, "styles", "table_layout"},
    "table_layout": set(),
    "belonging": {*VALUES, "billing", "ledger", "settings"},
    "connecting": {*VALUES, "billing", "sandbox", "settings"},
    "invocation": {"styles"},
    "context": {
        *VALUES,
        "connecting",
        "invocation",
        "ledger",
        "billing",
        "settings",
        "settings_file",
        "keys",
        "output",
    }
    | {"belonging", "cli", "log", "mail", "mailing", "output_files", "redact", "styles", "system"},
    "cli": {*VALUES, "ledger", "billing", "sandbox", "services", "tabular", "columns", "context", "output"}
    | {
        "connecting",
        "invocation",
        "styles",
        "belonging",
        "textlines",
        "settings",
        "settings_file",
        "keys",
        "mailing",
        "output_files",
        "redact",
        "system",
        "__version__",
        "program",
        "__main__",
    },
    "__main__": {"program"},
    "program": {"errors", "context", "cli", "log", "output", "redact", "streams", "system"},
}
SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+(OR|INTO)\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|TEMP|INDEX|TRIGGER"
    r"|VIRTUAL|UNIQUE)\s|PRAGMA\s|BEGIN\s|WITH\s+\w+\s+AS\s|DROP\s|ALTER\s)"
)


class Source:
    def __init__(self, path: Path) -> None:
        self.name = path.relative_to(ROOT).as_posix()
        self.layer = self.name.split("/")[0].removesuffix(".py")
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.nodes = list(ast.walk(self.tree))

    def imports(self) -> Iterator[str]:
        """Every module that is imported, inside functions too."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = f"{'.' * node.level}{node.module or ''}"
                names = [f"{module}.{alias.name}" for alias in node.names]
                yield from names if module == "seatctl" else [module]

    def packages(self) -> set[str]:
        return {module.split(".")[0] for module in self.imports()}

    def layers(self) -> set[str]:
        """The layers of ours that are imported."""
        return {module.split(".")[1] for module in self.imports() if module.startswith("seatctl.")}

    def calls(self) -> set[str]:
        return {ast.unparse(node.func) for node in self.nodes if isinstance(node, ast.Call)}

    def texts(self) -> list[str]:
        return [
            node.value
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [Source(path) for path in sorted(ROOT.rglob("*.py"))]


def offenders(sources: list[Source], find, *, but: set[str]) -> dict[str, object]:
    """What each file outside of `but` (layers, files) does that it may not."""
    found = {source.name: find(source) for source in sources if not but & {source.name, source.layer}}
    return {name: what for name, what in found.items() if what}


def test_imports_go_one_way(sources):
    def upwards(source):
        return source.layers() - MAY_IMPORT[source.layer] - {source.layer}

    assert offenders(sources, upwards, but=set()) == {}


def test_imports_are_absolute(sources):
    assert offenders(sources, lambda source: "" in source.packages(), but=set()) == {}


def test_sql_lives_in_the_ledger_and_the_sandbox_store(sources):
    def sql(source):
        return [text for text in source.texts() if SQL.match(text)] or source.packages() & {
            "sqlite3",
            "sqlite_utils",
        }

    assert offenders(sources, sql, but={"ledger", "sandbox/store.py"}) == {}


def test_stripe_is_imported_in_one_place(sources):
    allowed = {"billing/stripe.py", "sandbox/api/generate.py"}  # the latter reads the SDK's types, for developers
    assert offenders(sources, lambda source: source.packages() & {"stripe"}, but=allowed) == {}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("smtplib", "mail/smtp.py"), ("email", "mail/smtp.py"), ("jinja2", "mail/rendering.py")],
)
def test_mail_is_written_and_sent_in_one_place(sources, package, allowed):
    assert offenders(sources, lambda source: source.packages() & {package}, but={allowed}) == {}


def test_typer_is_touched_by_the_command_line_only(sources):
    assert offenders(sources, lambda source: source.packages() & {"typer", "click"}, but={"cli"}) == {}


def test_typers_internals_are_touched_by_six_files(sources):
    def internals(source):
        return [module for module in source.imports() if module.startswith("typer.")]

    allowed = {
        f"cli/{name}.py" for name in ("app", "global_options", "once", "usage", "completion", "batch_lines")
    }
    assert offenders(sources, internals, but=allowed) == {}


def test_printing_happens_in_output_and_cli(sources):
    prints = {"print", "sys.stdout.write", "sys.stderr.write"}
    allowed = {"output", "cli", "program", "sandbox/api/generate.py", "sandbox/api/server.py"}
    assert offenders(sources, lambda source: source.calls() & prints, but=allowed) == {}


def test_the_clock_is_read_in_the_context_and_the_sandbox(sources):
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    assert offenders(sources, lambda source: source.calls() & clocks, but={"context", "sandbox"}) == {}


def test_every_module_says_what_lives_there(sources):
    assert offenders(sources, lambda source: not ast.get_docstring(source.tree), but=set()) == {}
