"""The mail server of a profile: tested, refused without TLS, its password never shown."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest
from aiosmtpd.smtp import AuthResult

from tests.support import ledgers
from tests.support.postbox import Postbox, use
from tests.support.subscriptions import add_subscription, ledger_place

ANN = "ann@example.com"


@pytest.fixture
def design(sandbox, postbox):
    use(sandbox, postbox)
    add_subscription(ledger_place(sandbox), seats=3)
    return "design"


def test_the_server_can_be_tried(sandbox, design, postbox):
    dry = sandbox("notify", "test", "--dry-run", "-o", "json")
    assert (dry.json["result"], dry.json["dry_run"]) == ("sent", True)
    assert (dry.err, postbox.subjects()) == (f"would have sent a test message to {ANN}\n", [])
    tried = sandbox("notify", "test", "-o", "json")
    assert (tried.code, tried.json["to"], tried.json["result"]) == (0, ANN, "sent")
    assert postbox.subjects() == [(ANN, "A test of seatctl's notifications")]
    sandbox("config", "set", "mail.security", "starttls")
    refused = sandbox("notify", "test", "-o", "json")
    assert (refused.code, refused.error["code"]) == (75, "mail_server")
    assert "STARTTLS" in refused.error["message"]


def test_mail_never_travels_in_clear_to_another_machine(sandbox, design):
    sandbox("config", "set", "mail.host", "mail.example.com")
    refused = sandbox("notify", "test", "-o", "json")
    assert (refused.code, refused.error["hint"]) == (4, "seatctl config set mail.security starttls")


def test_the_password_comes_from_the_environment_or_a_command_and_is_never_shown(sandbox, design):
    sandbox("config", "set", "mail.user", "seats")
    missing = sandbox("notify", "test", "-o", "json")
    assert (missing.code, missing.error["code"]) == (8, "no_key")
    sandbox("config", "set", "mail.password_command", "printf hunter2-of-the-command")
    for env in ({"SEATCTL_MAIL_PASSWORD": "hunter2"}, {}):
        tried = sandbox("notify", "test", "-v", env=env)  # this server does not support a login
        assert tried.code == 75
        assert "hunter2" not in tried.out + tried.err


def test_addresses_with_letters_of_their_own_are_reached(sandbox, design, postbox):
    sandbox("users", "add", "zoë@bücher.example.com", "--name", "Zoë Žižka")
    sandbox("seats", "assign", design, "zoë@bücher.example.com")
    (letter,) = postbox.letters
    assert letter.to == "zoë@xn--bcher-kva.example.com"
    written = letter["To"].addresses[0].display_name.encode("utf-8", "surrogateescape").decode()
    assert written == "Zoë Žižka"  # SMTPUTF8: the header is plain UTF-8


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # over TLS from the start, which aiosmtpd does not count
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_logs_in_over_tls_and_trusts_no_unknown_certificate(sandbox, certificate, security):
    context, file = certificate
    seen = []

    def authenticate(_server, _session, _envelope, _mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"hunter2", handled=False)

    how = {"tls_context": context, "require_starttls": True}
    box = Postbox()
    box.open(
        **(how if security == "starttls" else {"ssl_context": context, "auth_require_tls": False}),
        authenticator=authenticate,
        auth_required=True,
    )
    try:
        use(sandbox, box)
        sandbox("config", "set", "mail.security", security)
        sandbox("config", "set", "mail.user", "seats")
        env = {"SEATCTL_MAIL_PASSWORD": "hunter2", "SSL_CERT_FILE": file}
        assert sandbox.run("notify", "test", env=env).code == 0
        assert (len(box.letters), seen) == (1, [(b"seats", b"hunter2")])
        wrong = sandbox.run("notify", "test", "-o", "json", env={**env, "SEATCTL_MAIL_PASSWORD": "hunter3"})
        assert (wrong.code, "hunter3" in wrong.err, "535" in wrong.err) == (75, False, True)
        del env["SSL_CERT_FILE"]
        stranger = sandbox.run("notify", "test", "-o", "json", env=env)
        assert (stranger.code, "certificate verify failed" in stranger.err) == (75, True)
        assert len(box.letters) == 1
    finally:
        box.close()


def test_reading_and_changing_without_mail_load_none_of_it(sandbox):
    add_subscription(ledger_place(sandbox), seats=3)
    sandbox("users", "add", "bob@example.com")
    for argv in (["seats", "list"], ["seats", "assign", "design", "bob@example.com"]):
        probe = (
            "import sys; from seatctl.__main__ import main; assert main(sys.argv[1:]) == 0;"
            "sys.stderr.write('MODULES ' + ' '.join(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", probe, *argv],
            env=sandbox.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(done.stderr.rpartition("MODULES ")[2].split())
        mail = {"smtplib", "email", "jinja2", "ssl", "seatctl.services.notifications.delivery"}
        if ledgers.on_server():
            mail -= {"email", "ssl"}  # the driver imports them
        assert loaded & mail == set()


# -- never longer than five seconds -------------------------------------------------------------


@pytest.fixture
def slow_dns(tmp_path):
    """A `sitecustomize` for a separate process, whose DNS never answers."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\n"
        "asked = socket.getaddrinfo\n"
        "def never(host, *more, **how):\n"
        "    time.sleep(60) if host == 'mail.example.com' else None\n"
        "    return asked(host, *more, **how)\n"
        "socket.getaddrinfo = never\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


def attempts(sandbox) -> int:
    return sum(row["attempts"] for row in sandbox.rows("notify", "list"))


def test_a_dns_that_does_not_answer_holds_a_command_up_for_five_seconds_at_most(sandbox, design, slow_dns):
    for key, value in (("mail.host", "mail.example.com"), ("mail.security", "starttls")):
        sandbox("config", "set", key, value)
    sandbox("users", "add", "bob@example.com", "cyd@example.com")
    started = time.monotonic()
    assert sandbox.run("seats", "assign", design, "bob@example.com", env=slow_dns).code == 0
    assert 4 < time.monotonic() - started < 15
    (waiting,) = sandbox.rows("notify", "list", "--waiting")
    assert "takes too long" in waiting["error"]
    assert sandbox.run("seats", "assign", design, "cyd@example.com", env=slow_dns).code == 0
    assert attempts(sandbox) == 1  # the next command does not ask again


def test_a_server_that_says_one_letter_a_second_is_late(sandbox, design):
    sandbox("users", "add", "bob@example.com")
    stop = threading.Event()

    def drip(listener):
        peer, _ = listener.accept()
        with peer:
            for letter in "220 " + "x" * 60 + "\r\n":
                if stop.wait(0.5):
                    return
                peer.sendall(letter.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sandbox("config", "set", "mail.port", str(listener.getsockname()[1]))
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        started = time.monotonic()
        assert sandbox("seats", "assign", design, "bob@example.com").code == 0
        assert 4 < time.monotonic() - started < 15
        stop.set()
        thread.join()
    assert [row["state"] for row in sandbox.rows("notify", "list")] == ["waiting"]


def test_a_password_that_is_not_found_in_time_holds_nothing_up_and_is_told(sandbox, design):
    sandbox("config", "set", "mail.user", "seats")
    sandbox("config", "set", "mail.password_command", "sleep 30")
    sandbox("users", "add", "bob@example.com", "cyd@example.com")
    started = time.monotonic()
    assert sandbox("seats", "assign", design, "bob@example.com").code == 0
    assert time.monotonic() - started < 15
    (waiting,) = sandbox.rows("notify", "list", "--waiting")
    assert waiting["error"].startswith("no connection: ")
    assert "password" in waiting["error"]
    assert sandbox("seats", "assign", design, "cyd@example.com").code == 0
    assert attempts(sandbox) == 1


@pytest.mark.parametrize("to", ["a@example.com,b@example.com", "x@example.com\nBcc: y@example.com", "ann@"])
def test_a_test_message_goes_to_one_address(sandbox, design, postbox, to):
    refused = sandbox("notify", "test", to, "-o", "json")
    assert (refused.code, refused.error["code"], postbox.letters) == (3, "bad_email", [])
