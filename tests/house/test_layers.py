"""The layers, read from the source: who may import what, where SQL, Stripe, printing and the clock live."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import seatctl

ROOT = Path(seatctl.__file__).parent

VALUES = {"errors", "models", "rules"}
MAY_IMPORT = {
    "errors": set(),
    "models": {"errors"},
    "rules": {"errors", "models"},
    "system": VALUES,
    "sandbox": set(),
    "ledger": {*VALUES, "system"},
    "billing": {*VALUES, "sandbox"},
    "mail": VALUES,
    "input": VALUES,
    "output": {*VALUES, "system"},
    "services": {*VALUES, "system", "ledger", "billing", "mail", "input"},
    "config": {*VALUES, "system", "mail", "output"},
    "app": {*VALUES, "system", "ledger", "billing", "mail", "sandbox", "input", "output", "config"},
    "cli": {
        *VALUES,
        "system",
        "ledger",
        "billing",
        "sandbox",
        "services",
        "input",
        "output",
        "config",
        "app",
    },
    "__main__": {"cli"},
}
"""Each package and what it may import besides itself."""

MOST_FLOORS = 5
"""Of packages in `services`, one above the other."""

SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+(OR|INTO)\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|TEMP|INDEX|TRIGGER"
    r"|VIRTUAL|UNIQUE)\s|PRAGMA\s|BEGIN\s|WITH\s+\w+\s+AS\s|DROP\s|ALTER\s)"
)


class Source:
    def __init__(self, path: Path) -> None:
        self.name = path.relative_to(ROOT).as_posix()
        self.layer = self.name.split("/")[0].removesuffix(".py")
        self.module = "seatctl." + self.name.removesuffix(".py").removesuffix("__init__").replace(
            "/", "."
        ).rstrip(".")
        self.module = self.module.rstrip(".")
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

    def targets(self, modules: set[str]) -> Iterator[str]:
        """Which of `modules` are imported; of a package, the module that is taken from it."""
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from names & modules or {node.module} & modules
            elif isinstance(node, ast.Import):
                yield from {alias.name for alias in node.names} & modules

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
        return source.layers() - MAY_IMPORT.get(source.layer, set()) - {source.layer, "__version__"}

    assert offenders(sources, upwards, but={"__init__"}) == {}
    assert {source.layer for source in sources} - set(MAY_IMPORT) == {"__init__"}


def arrows(sources: list[Source]) -> dict[str, set[str]]:
    """Each module of ours and those that it imports, inside functions too."""
    names = {source.module for source in sources}
    return {
        source.module: {found for found in source.targets(names) if found != source.module}
        for source in sources
    }


def rooms(graph: dict[str, set[str]], base: str) -> dict[str, set[str]]:
    """The folders and files directly in the package `base`, and the arrows between them."""
    inside = f"{base}."

    def room(module: str) -> str:
        return module.removeprefix(inside).split(".")[0]

    drawn: dict[str, set[str]] = {}
    for module, targets in graph.items():
        if module.startswith(inside):
            others = {room(target) for target in targets if target.startswith(inside)}
            drawn.setdefault(room(module), set()).update(others - {room(module)})
    return drawn


def circles(graph: dict[str, set[str]]) -> list[str]:
    """A circle of arrows, if there is one."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other(sources):
    assert circles(arrows(sources)) == []


@pytest.mark.parametrize(
    "base", ["seatctl", *(f"seatctl.{name}" for name in ("services", "ledger", "sandbox", "cli"))]
)
def test_no_packages_import_each_other(sources, base):
    assert circles(rooms(arrows(sources), base)) == []


def test_services_stand_on_few_floors(sources):
    graph = rooms(arrows(sources), "seatctl.services")

    def floor(name):
        return 1 + max((floor(below) for below in graph[name]), default=0)

    assert max(map(floor, graph)) <= MOST_FLOORS


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
    allowed = {
        "billing/stripe.py",
        "sandbox/api/generate.py",
    }  # the latter reads the SDK's types, for developers
    assert offenders(sources, lambda source: source.packages() & {"stripe"}, but=allowed) == {}


def test_the_driver_of_postgresql_is_imported_by_its_engine_only(sources):
    def driver(source):
        is_engine = source.name.startswith("ledger/engines/postgres")
        return set() if is_engine else source.packages() & {"psycopg"}

    assert offenders(sources, driver, but=set()) == {}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("smtplib", "mail/smtp.py"), ("email", "mail/smtp.py"), ("jinja2", "mail/rendering.py")],
)
def test_mail_is_written_and_sent_in_one_place(sources, package, allowed):
    assert offenders(sources, lambda source: source.packages() & {package}, but={allowed}) == {}


def test_typer_is_touched_by_the_framework_only(sources):
    def typer(source):
        framework = source.name.startswith("cli/framework/")
        return set() if framework else source.packages() & {"typer", "click"}

    assert offenders(sources, typer, but=set()) == {}


def test_printing_happens_in_output_and_cli(sources):
    prints = {"print", "sys.stdout.write", "sys.stderr.write"}
    allowed = {"output", "cli", "app/prompt.py", "sandbox/api/generate.py", "sandbox/api/server.py"}
    assert offenders(sources, lambda source: source.calls() & prints, but=allowed) == {}


def test_the_clock_is_read_in_the_context_and_the_sandbox(sources):
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    assert offenders(sources, lambda source: source.calls() & clocks, but={"app/context.py", "sandbox"}) == {}


def test_every_module_says_what_lives_there(sources):
    assert offenders(sources, lambda source: not ast.get_docstring(source.tree), but=set()) == {}
