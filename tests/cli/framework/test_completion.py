"""Shell completion: the kept scripts are the generated ones, and a shell really completes with them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seatctl.cli.framework import completion
from tests.support.needs import need

KEPT = Path(__file__).parents[3] / "completions"


def test_the_kept_scripts_are_the_generated_ones(tmp_path):
    completion.write(tmp_path)
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert generated == {path.name: path.read_text() for path in KEPT.iterdir()}, (
        "run: python -m seatctl.cli.framework.completion"
    )


@pytest.mark.parametrize("shell", completion.FILES)
def test_the_program_gives_out_its_scripts_in_the_way_that_the_help_says(seatctl, shell):
    told = seatctl("help", "completion").out
    assert f"_SEATCTL_COMPLETE=source_{shell} seatctl" in told
    given = seatctl.run(env={"_SEATCTL_COMPLETE": f"source_{shell}"})
    assert (given.code, given.out) == (0, (KEPT / completion.FILES[shell]).read_text())


def test_the_line_for_bash_teaches_a_bash(sandbox, tmp_path):
    program = tmp_path / "bin" / "seatctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m seatctl "$@"\n')
    program.chmod(0o755)
    line = next(line for line in sandbox("help", "completion").out.splitlines() if "source_bash" in line)
    typed = line.removeprefix("  bash").partition("#")[0]
    done = sandbox.shell(f"PATH={shlex.quote(str(program.parent))}:$PATH; {typed}; complete -p seatctl")
    assert "_seatctl_completion" in done.stdout


@pytest.fixture
def bash(sandbox, tmp_path):
    """Completes a line with the kept script in a real bash, `seatctl` being this one."""
    program = tmp_path / "bin" / "seatctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m seatctl "$@"\n')
    program.chmod(0o755)

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        script = f"""
            source {shlex.quote(str(KEPT / "seatctl.bash"))}
            COMP_WORDS=({" ".join(map(shlex.quote, words))})
            COMP_CWORD={len(words) - 1}
            _seatctl_completion seatctl {shlex.quote(words[-1])} {shlex.quote(words[-2])}
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        env = {**sandbox.environment(), "PATH": f"{program.parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("seatctl s", ["status", "sync", "subs", "seats", "sandbox"]),
        ("seatctl config pro", ["profiles"]),
        ("seatctl licences ass", ["assign"]),
        ("seatctl -o json con", ["config"]),
        ("seatctl seats assign --sk", ["--skip-bad"]),
        ("seatctl status --pro", ["--profile"]),
        ("seatctl status -o j", ["json", "jsonl"]),
        ("seatctl config get acto", ["actor"]),
        ("seatctl sandbox fail t", ["timeout"]),
    ],
)
def test_bash_completes_nouns_commands_options_and_values(bash, line, offered):
    assert bash(line) == offered


def test_pressing_tab_loads_nothing_heavy(sandbox):
    for shell in ("bash", "zsh", "fish"):
        env = {
            "_SEATCTL_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": "seatctl ",
            "COMP_CWORD": "1",
            "_TYPER_COMPLETE_ARGS": "seatctl ",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        probe = (
            "import sys; from seatctl.__main__ import main; main([]); sys.stderr.write(' '.join(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", probe],
            env=sandbox.environment(env),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "seats" in done.stdout
        assert not {"rich", "stripe", "seatctl.cli.seats"} & set(done.stderr.split())


def test_zsh_takes_the_script():
    need("zsh")
    subprocess.run(["zsh", "-n", KEPT / "_seatctl"], check=True)


def test_fish_takes_the_script():
    need("fish")
    subprocess.run(["fish", "--no-execute", KEPT / "seatctl.fish"], check=True)
