"""config.toml is a person's file: what they wrote stays, comments, order and all."""

from __future__ import annotations

import tomllib

import pytest

WRITTEN = """# Seats of the company
profile = "default"  # the one in use

[profiles.default]   # a throw-away Stripe
mode = "sandbox"
# who acts
actor = 'ann@example.com'  # Ann
mail = { host = "smtp.example.com", port = 2525, password_command = "pass show mail" } # inline
stripe.api_base = "http://127.0.0.1:1"

# the end
"""


@pytest.fixture
def file(sandbox):
    path = sandbox.home / "config.toml"
    path.write_text(WRITTEN)
    return path


def test_setting_one_value_changes_one_line(sandbox, file):
    assert sandbox("config", "set", "actor", "bob@example.com").code == 0
    before, after = WRITTEN.splitlines(), file.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("actor = 'ann@example.com'  # Ann", 'actor = "bob@example.com"  # Ann')]


def test_all_that_writes_it_keeps_the_comments(sandbox, file):
    for argv in (
        "config set mail.port 25",
        "config set mail.password_command cat",
        "config set stripe.api_base http://127.0.0.1:2",
        "config set color never",
        "config unset stripe.api_base",
        "config unset mail.host",
        "init second --actor ann@example.com",
        "config use second",
        "config set mail.password_command ls -p second",
    ):
        assert sandbox(*argv.split()).code == 0, argv
    for line in WRITTEN.splitlines():
        if "#" in line:
            assert line[line.index("#") :] in file.read_text()
    assert tomllib.loads(file.read_text()) == {
        "profile": "second",
        "profiles": {
            "default": {
                "mode": "sandbox",
                "actor": "ann@example.com",
                "mail": {"password_command": "cat"},
                "color": "never",
            },
            "second": {"mode": "sandbox", "actor": "ann@example.com", "mail": {"password_command": "ls"}},
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        "[profiles.default]\nmode = 'sandbox'\n",
        "[profiles]\ndefault.mode = 'sandbox'\n",
        "profiles.default.mode = 'sandbox'\n",
        "profiles = { default = { mode = 'sandbox' } }\n",
        "[profiles.default.mail]\nport=25\n[profiles.x]\nmode='test'\n[profiles.default]\nmode = 'sandbox'\n",
        "\ufeff# from Windows\n[profiles.default]\nmode = 'sandbox'\n",
    ],
)
def test_however_it_is_written_it_can_be_changed(sandbox, text):
    (sandbox.home / "config.toml").write_text(text)
    for argv in ("set color never", "set mail.password_command ls", "use default", "unset color"):
        done = sandbox("config", *argv.split(), "-o", "json")
        assert done.code == 0, (argv, done.err)
    assert sandbox("init", "another", "--actor", "bob@example.com").code == 0
    kept = tomllib.loads((sandbox.home / "config.toml").read_text())
    assert kept["profile"] == "default"
    assert {"mode": "sandbox"}.items() < kept["profiles"]["default"].items()
    assert kept["profiles"]["default"]["mail"]["password_command"] == "ls"
    assert kept["profiles"]["another"] == {"mode": "sandbox", "actor": "bob@example.com"}
