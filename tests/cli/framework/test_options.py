"""The command line: names, aliases, global options on either side, wrong usage."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from typer._click.core import Context as ClickContext

from seatctl.cli.framework import catalogue
from seatctl.cli.framework.app import Noun, load
from seatctl.cli.framework.global_options import GLOBAL_OPTIONS
from seatctl.errors import UsageError


def test_global_options_count_on_either_side_of_the_command(sandbox):
    expected = sandbox("config", "profiles", "-o", "json").out
    for argv in (
        ["-o", "json", "config", "profiles"],
        ["config", "-o", "json", "profiles"],
        ["--output=json", "config", "profiles"],
        ["-ojson", "config", "profiles"],
    ):
        assert sandbox(*argv).out == expected


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["-o", "csv", "config", "profiles", "-o", "json"], "--output"),
        (["config", "profiles", "-otsv", "--output", "csv"], "--output"),
        (["--as", "ci:a", "status", "--as=ci:b"], "--as"),
        (["seats", "assign", "design", "--until", "2031-01-31", "--until", "2032-01-31"], "--until"),
        (["users", "edit", "ann@example.com", "--exempt", "--no-exempt"], "--exempt"),
        (["users", "import", "p.csv", "--map", "name=A", "--map", "name=B"], "--map name"),
        (["plans", "edit", "pro", "--set", "grace_days=1", "--set", "grace_days=2"], "--set grace_days"),
        (["subs", "billing", "design", "--address", "city=Bonn", "--address", "city=Ulm"], "--address city"),
    ],
)
def test_an_option_that_says_two_things_is_refused(sandbox, tmp_path, argv, named):
    (tmp_path / "p.csv").write_text("email,A,B\nzoe@example.com,a,b\n")
    result = sandbox(*(str(tmp_path / word) if word == "p.csv" else word for word in argv))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"seatctl: {named} ")
    assert "hint: leave one of" in result.err


def test_the_same_thing_said_twice_is_said_once(sandbox):
    assert sandbox("-o", "json", "config", "profiles", "-o", "json", "-q", "-q").code == 0


def test_every_option_that_takes_one_value_is_refused_with_two():
    tried = 0
    for _path, command in every_command():
        for option in command.get_params(ClickContext(command)):
            if option.param_type_name != "option" or option.multiple or option.is_eager:
                continue
            words = [option.opts[0], "1", option.opts[0], "2"]
            if option.is_flag:
                words = [option.opts[0], *option.secondary_opts]
            if len(words) == 1:
                continue
            parser = command.make_parser(ClickContext(command))
            with pytest.raises(UsageError, match=f"^{max(option.opts, key=len)} "):
                parser.parse_args(words)
            tried += 1
    assert tried > 300


def test_a_flag_on_the_left_is_not_undone_on_the_right(sandbox):
    assert sandbox("-q", "config", "profiles").out == "default\n"


@pytest.mark.parametrize("alias", ["seat", "licenses", "licences", "slots", "spots"])
def test_the_field_has_many_words_for_seats(sandbox, alias):
    shown = sandbox(alias, "--help")
    assert (shown.code, shown.out) == (0, sandbox("seats", "--help").out)


def test_aliases_are_not_listed(seatctl):
    assert "licenses" not in seatctl("--help").out


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["seats", "asign"], "seatctl seats assign"),
        (["asign"], "seatctl seats assign"),
        (["statsu"], "seatctl status"),
        (["config", "shwo"], "seatctl config show"),
        (["licences", "asign"], "seatctl seats assign"),
    ],
)
def test_a_typo_gets_the_nearest_command(sandbox, argv, hint):
    refused = sandbox(*argv)
    assert refused.code == 2
    assert refused.err.startswith("seatctl: unknown command")
    assert hint in refused.err.splitlines()[-1]
    assert refused.out == ""


def test_a_word_near_to_nothing_gets_the_way_to_the_list(seatctl):
    assert "seatctl --help" in seatctl("zzzzzz").err


def test_an_unknown_option_gets_the_nearest(seatctl):
    refused = seatctl("config", "show", "--profil", "x")
    assert refused.code == 2
    assert (
        refused.err == "seatctl: seatctl config show has no option --profil\nhint: did you mean --profile?\n"
    )


def test_wrong_usage_is_an_object_where_json_is_asked_for(seatctl):
    for argv in (["nonsense", "-o", "json"], ["nonsense", "--output=json"], ["-ojsonl", "nonsense"]):
        error = seatctl(*argv).error
        assert error["code"] == "unknown_command"
        assert error["message"] == "unknown command 'nonsense'"
    assert seatctl("nonsense", env={"SEATCTL_OUTPUT": "json"}).error["code"] == "unknown_command"


def test_a_noun_alone_names_its_commands(seatctl):
    refused = seatctl("config")
    assert refused.code == 2
    assert "show, get, set" in refused.err
    assert refused.err.endswith("hint: seatctl config --help\n")


def test_a_missing_argument_is_named(seatctl):
    refused = seatctl("config", "get")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "seatctl: missing argument 'KEY'")


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "jso", "status"],
        ["--color", "blue", "status"],
        ["--fields", ",", "status"],
        ["--as", "x", "status"],
    ],
)
def test_a_bad_value_of_a_global_option_is_wrong_usage(sandbox, argv):
    assert sandbox(*argv).code == 2


def test_the_version_is_one_line(seatctl):
    from seatctl import __version__

    assert seatctl("--version").out == f"seatctl {__version__}\n"


def test_no_command_shows_the_help(seatctl):
    assert seatctl().out == seatctl("--help").out
    assert seatctl().code == 0


def test_a_word_of_a_megabyte_is_not_repeated_to_a_person_whole(sandbox):
    long, page = "y" * 1_000_000, "https://checkout.stripe.com/" + "c" * 2000
    assert len(sandbox("subs", "show", long).err) < 1000
    assert len(sandbox("users", long).err) < 1000
    assert page in sandbox("subs", "show", page).err
    assert sandbox("subs", "show", long, "-o", "json").error["message"].count("y") >= len(long)


def test_a_key_as_an_argument_is_refused_and_not_repeated(seatctl):
    key = "sk_live_" + "51abcdefghijkl"
    refused = seatctl("config", "set", "stripe_key_command", key, "-o", "json")
    assert (refused.code, refused.error["code"]) == (2, "key_in_arguments")
    assert key not in refused.err


def test_what_was_typed_cannot_act_on_the_terminal(seatctl):
    refused = seatctl("\x1b[31mred\u202e")
    assert "\x1b" not in refused.err
    assert "\u202e" not in refused.err


def test_an_interrupt_is_130_and_says_so_without_a_traceback(seatctl):
    waiting = seatctl.process("init", "--mode", "test", "--key-stdin", "-o", "json", stdin=subprocess.PIPE)
    wait_until_reading(waiting.pid)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert json.loads(err)["error"]["code"] == "interrupted"
    assert not seatctl.home.exists()


def wait_until_reading(pid):
    """Until the process has worked and stopped working: it waits for its stdin."""
    before = -1
    for _ in range(300):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        worked = int(fields[11]) + int(fields[12])
        if fields[0] == "S" and worked == before:
            return
        before = worked
        time.sleep(0.2)
    pytest.fail("it never waited for its stdin")


def test_a_bug_goes_to_the_log_and_not_to_the_user(sandbox, monkeypatch):
    def broken(_environment):
        raise ZeroDivisionError("with sk_test_" + "abcdefgh12345678")

    monkeypatch.setattr("seatctl.app.context.load", broken)
    failed = sandbox("status", "-o", "json")
    assert (failed.code, failed.error["code"]) == (1, "unexpected")
    log = sandbox.home / "log" / "seatctl.log"
    assert failed.error["log"] == str(log)
    assert "ZeroDivisionError: with sk_test_…" in log.read_text()
    assert "Traceback" not in failed.err
    assert log.stat().st_mode & 0o077 == 0
    assert "ZeroDivisionError: with sk_test_…" in sandbox("status", "-v").err


def test_a_reader_that_has_enough_is_no_error(sandbox):
    script = f'"{sandbox.python}" -m seatctl help exit-codes | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = sandbox.shell(script)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "0"


def test_json_errors_are_one_line(seatctl):
    assert json.loads(seatctl("status", "-o", "json").err)["error"]["hint"] == "seatctl init"


def every_command():
    """(its path, the command itself) of everything that can be typed."""
    for entry in catalogue.ENTRIES:
        loaded = load(entry)
        ctx = ClickContext(loaded, info_name=entry.name)
        for verb in loaded.infos if isinstance(loaded, Noun) else [None]:
            yield f"{entry.name} {verb or ''}".strip(), loaded.get_command(ctx, verb) if verb else loaded


def test_no_command_takes_a_name_that_a_global_option_has():
    """Either would get what was meant for the other, and nobody would be told."""
    taken = {name for option in GLOBAL_OPTIONS for name in (option.name, *option.opts)}
    seen = 0
    for path, command in every_command():
        own = [param for param in command.get_params(ClickContext(command)) if param not in GLOBAL_OPTIONS]
        names = {name for param in own for name in (param.name, *param.opts, *param.secondary_opts)}
        assert names & taken == set(), path
        seen += len(names)
    assert seen > 100


def test_an_argument_and_a_global_option_of_the_same_meaning_do_not_mix(sandbox):
    assert sandbox("init", "second", "-p", "default", "--actor", "ann@example.com").code == 0
    assert sandbox("config", "use", "second", "--profile", "default").code == 0
    assert sandbox("status", "-o", "json").json["profile"] == "second"
