"""Lines of TOML files: what is wrong is named by the line on which a person finds it."""

from __future__ import annotations

import tomllib

import pytest

from seatctl.rules.toml_lines import line_of, toml_lines
from tests.support.subscriptions import add_subscription, ledger_place

TEXT = """# people ["

title = '''a "[b]"
[not.a.table] '''''
[subscriptions]
"de.sign" = ["ann", # the ] first
  'bob', "c\\"yd", \"\"\"
dot]\"\"\"]

[[seats]]
email = "zoe"
when = 2027-01-31 # at last
[[seats]]
inner = { a = 1, b.c = [
  1, 2] }
[seats.more]
x . y = true
"""


def test_everything_is_found_on_its_own_line():
    assert tomllib.loads(TEXT)["subscriptions"]["de.sign"][3] == "dot]"
    lines = toml_lines(TEXT)
    for path, begins in {
        ("title",): "title",
        ("subscriptions",): "[subscriptions]",
        ("subscriptions", "de.sign", 0): '"de.sign"',
        ("subscriptions", "de.sign", 3): "  'bob'",
        ("seats", 0): "[[seats]]",
        ("seats", 0, "when"): "when",
        ("seats", 1, "inner", "b", "c", 1): "  1, 2",
        ("seats", 1, "more", "x", "y"): "x . y",
        ("seats", 1, "missing"): "[[seats]]",
    }.items():
        line = line_of(lines, *path)
        assert TEXT.splitlines()[line - 1].startswith(begins), (path, line)
    assert line_of(lines, "nowhere") is None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bad_row_of_a_desired_state_is_named_by_its_line_several_on_one_too(sandbox, tmp_path, end):
    add_subscription(ledger_place(sandbox), seats=9)
    lines = ("# c", "", "[subscriptions]", 'design = ["ann@example.com", "bad",', '"worse"]', "", "[[seats]]")
    text = end.join((*lines, "# d", 'subscription = "design"', 'email = "worst"', ""))
    (tmp_path / "seats.toml").write_text(text, newline="")
    refused = sandbox("seats", "apply", tmp_path / "seats.toml", "--create-users", "-o", "json")
    assert [row["line"] for row in refused.error["rows"]] == [4, 5, 7]
    assert sandbox("seats", "apply", tmp_path / "seats.toml", "--create-users", "--skip-bad").code == 6
    assert [row["email"] for row in sandbox.rows("seats", "list", "design")] == ["ann@example.com"]


def test_a_bad_plan_is_named_by_its_line(sandbox):
    good = '[[plans]]\nslug = "a"\nprice = "1"\ncurrency = "usd"\ninterval = "month"\n'
    text = f"# plans\n\n{good}\n{good.replace('1', 'x')}"
    refused = sandbox("plans", "import", "-", stdin=text)
    assert refused.code == 3
    assert "  line 9: a: " in refused.err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n[profiles.x]\nmode = 'test'\n\ncolour = 1\n", 5),
        ("\n[profiles.x.mail]\nhost = 'h'\n", 2),
        ("# c\nprofile = 'x'\nprofil = 'y'\n", 3),
        ("[profiles.x]\nmode = 'test'\nmail = { host = 'h', port = 'many' }", 3),
        ("[profiles.x]\nmode =\n", 2),
    ],
)
def test_what_config_toml_has_wrong_is_named_by_its_line(seatctl, text, line):
    seatctl.home.mkdir()
    (seatctl.home / "config.toml").write_text(text)
    refused = seatctl("status", "-o", "json")
    assert refused.error["code"] == "bad_config"
    assert f"line {line}" in refused.error["message"]


@pytest.mark.parametrize("command", ["plans import", "seats apply"])
def test_brackets_without_end_are_bad_input(sandbox, tmp_path, command):
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    assert sandbox(*command.split(), tmp_path / "deep.toml").code == 3
