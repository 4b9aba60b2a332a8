"""Help: every command explains itself, every topic is real, and whatever a message tells to type exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import seatctl as package
from seatctl.cli.framework import catalogue
from seatctl.cli.framework.app import Noun, build, first_sentence, load
from seatctl.cli.help import TOPICS
from seatctl.config.settings import LISTED
from seatctl.errors import ExitCode
from tests.support.pages import parse, typed_commands

ROOT = Path(package.__file__).parent


def commands() -> dict[str, object]:
    """Every command by its words, such as `seats assign`."""
    found = {}
    for entry in catalogue.ENTRIES:
        loaded = load(entry)
        if isinstance(loaded, Noun):
            found |= {f"{entry.name} {verb}": build(info) for verb, info in loaded.infos.items()}
        else:
            found[entry.name] = loaded
    return found


COMMANDS = commands()
GROUPS = {entry.name for entry in catalogue.ENTRIES if entry.group}


def test_the_catalogue_is_true_to_the_modules(seatctl):
    shown = seatctl("--help").out
    for entry in catalogue.ENTRIES:
        assert re.search(rf"^  {entry.name} +\S", shown, re.MULTILINE)
        assert (ROOT / "cli" / f"{entry.name}.py").exists()
    for entry in catalogue.ENTRIES:
        if not entry.group:
            assert load(entry).name == entry.name


def test_no_name_means_two_things():
    names = [name for entry in catalogue.ENTRIES for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


def test_every_module_with_commands_is_in_the_catalogue():
    with_app = {
        path.stem
        for path in (ROOT / "cli").glob("*.py")
        if re.search(r"^app = Commands\(", path.read_text(), re.MULTILINE)
    }
    assert with_app == {entry.name for entry in catalogue.ENTRIES}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(seatctl, words):
    shown = seatctl(*words.split(), "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: seatctl {words} ")
    _, _, examples = shown.out.partition("\nExamples:\n")
    assert f"  seatctl {words}" in examples
    assert shown.out == seatctl("help", *words.split()).out
    assert max(map(len, shown.out.splitlines())) <= 110


@pytest.mark.parametrize("words", COMMANDS)
def test_every_example_of_the_help_would_be_accepted(seatctl, words):
    shown = seatctl(*words.split(), "--help").out
    examples = shown.partition("\nExamples:\n")[2].partition("\n\n")[0]
    typed = typed_commands(examples)
    assert typed
    for arguments in typed:
        parse(arguments)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_and_argument_is_explained(words):
    for param in COMMANDS[words].params:
        assert param.help, f"{words}: {param.name}"


@pytest.mark.parametrize("noun", sorted(GROUPS))
def test_a_group_lists_each_command_with_one_sentence(seatctl, noun):
    shown = seatctl(noun, "--help").out
    for verb, info in load(catalogue.names()[noun]).infos.items():
        assert re.search(rf"^  {verb} +\S", shown, re.MULTILINE)
        assert first_sentence(info).endswith(".")


VALUE = "\x00"
TO_TYPE = re.compile(rf"\bseatctl(?: -{{1,2}}[a-z-]+(?: [A-Z{VALUE}]+)?)*((?: (?:[a-z][a-z-]*|{VALUE}))+)")
PROSE = {"is", "has", "needs", "takes", "at", "carries", "lists"}
"""Words with which a sentence goes on after the program's name."""


def to_type(text: str) -> list[str]:
    """The commands that a text tells to type: `seatctl seats assign …` in messages, hints and examples."""
    return [found[1].strip() for found in TO_TYPE.finditer(text)]


def known(command: str) -> bool:
    """Whether it begins with a command that exists; a value filled in may stand for any verb."""
    noun, _, rest = command.partition(" ")
    verb = rest.split(" ")[0]
    return (
        noun in {VALUE, *PROSE}
        or noun in COMMANDS
        or f"{noun} {verb}" in COMMANDS
        or (noun in GROUPS and verb == VALUE)
    )


def texts(path: Path) -> list[str]:
    """Every text of a module that is not its or a class's docstring; what is filled in stands as VALUE."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = [
        node.body[0] for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef)) and node.body
    ]
    skipped = {
        id(part) for document in documents for part in ast.walk(document) if isinstance(document, ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else VALUE for part in node.values]
            found.append("".join(map(str, parts)))
            skipped |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            found.append(node.value)
    return found


def test_whatever_a_message_tells_to_type_exists():
    unknown = {
        f"{path.relative_to(ROOT)}: seatctl {command}"
        for path in ROOT.rglob("*.py")
        for text in texts(path)
        for command in to_type(text)
        if not known(command)
    }
    assert unknown == set()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_a_text_and_names_only_commands_that_exist(seatctl, topic):
    shown = seatctl("help", topic)
    assert (shown.code, len(shown.out.splitlines()) > 3) == (0, True)
    assert [command for command in to_type(shown.out) if not known(command)] == []
    assert topic in seatctl("help").out


def test_every_exit_code_is_explained(seatctl):
    shown = seatctl("help", "exit-codes").out
    for code in ExitCode:
        assert re.search(rf"^ +{code.value}  \w", shown, re.MULTILINE)


def test_every_variable_and_setting_is_explained(seatctl):
    environment, settings = seatctl("help", "environment").out, seatctl("help", "settings").out
    for setting in LISTED.values():
        assert setting.key in settings
        for variable in setting.environment:
            assert variable in environment


def test_an_unknown_topic_offers_the_nearest(seatctl):
    refused = seatctl("help", "exit-code", "-o", "json")
    assert (refused.code, refused.error["hint"]) == (9, "did you mean exit-codes, error-codes?")


def test_the_topic_policies_names_every_word_that_a_field_takes(seatctl):
    from seatctl.models.plan import Decrease, Discounts, Increase, OnAccount, PlanChange, Renewal

    told = seatctl("help", "policies").out
    kinds = {
        "increase": Increase,
        "decrease": Decrease,
        "plan_change": PlanChange,
        "renewal": Renewal,
        "discounts": Discounts,
        "on_account": OnAccount,
    }
    for field, kind in kinds.items():
        assert re.search(rf"^  {field} +{', '.join(kind)}$", told, re.MULTILINE), field


@pytest.mark.parametrize(
    ("noun", "first"),
    [
        ("subs", ["list", "show", "buy"]),
        ("seats", ["list", "assign", "revoke"]),
        ("runs", ["list", "show", "undo"]),
        ("requests", ["list", "show", "create"]),
        ("config", ["show", "get", "set"]),
    ],
)
def test_a_group_begins_with_what_is_looked_for_first(seatctl, noun, first):
    listed = re.findall(r"^  ([a-z-]+) ", seatctl(noun, "--help").out.partition("Commands:")[2], re.MULTILINE)
    assert listed[:3] == first
