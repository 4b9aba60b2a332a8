"""A company's proxy signs what passes through it with a CA of its own: how seatctl is told to trust it."""

from __future__ import annotations

import pytest

from tests.support.front import KEY, Front

INIT = ("init", "--mode", "test", "--no-input", "--actor", "ann@example.com", "-o", "json")


@pytest.fixture
def behind_tls(tmp_path, certificate):
    """The environment of a profile whose Stripe has a certificate that only one CA vouches for."""
    context, _ = certificate
    front = Front(tmp_path / "stripe.db")
    front._http.socket = context.wrap_socket(front._http.socket, server_side=True)
    yield {
        "SEATCTL_STRIPE_KEY": KEY,
        "SEATCTL_STRIPE_API_BASE": front.url.replace("http:", "https:"),
    }
    front.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_usual_variables_name_a_ca(seatctl, behind_tls, certificate, variable):
    assert seatctl(*INIT, env={**behind_tls, variable: certificate[1]}).code == 0


def test_a_setting_names_a_ca_and_doctor_looks_at_it(seatctl, behind_tls, certificate, tmp_path):
    refused = seatctl(*INIT, env=behind_tls)
    assert (refused.code, refused.error["code"]) == (75, "stripe_unreachable")
    assert "stripe.ca_bundle" in refused.error["hint"]

    assert seatctl(*INIT, env={**behind_tls, "REQUESTS_CA_BUNDLE": certificate[1]}).code == 0
    assert seatctl("config", "set", "stripe.ca_bundle", certificate[1]).code == 0
    assert seatctl("sync", env=behind_tls).code == 0
    examined = seatctl("doctor", "-o", "json", env=behind_tls)
    (found,) = [row for row in examined.json if row["check"] == "certificates"]
    assert (found["result"], found["detail"]) == ("ok", f"trusts {certificate[1]}")

    (tmp_path / "empty.pem").touch()
    for path in ("empty.pem", "none.pem"):
        env = {**behind_tls, "REQUESTS_CA_BUNDLE": str(tmp_path / path)}
        unreadable = seatctl("sync", "-o", "json", env=env)
        assert (unreadable.code, unreadable.error["code"]) == (3, "bad_ca_bundle")
        assert [row["check"] for row in seatctl("doctor", "-o", "json", env=env).json][-1] == "certificates"


def test_the_sdk_leaves_no_file_behind(sandbox, pro, tmp_path):
    places = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert sandbox.run("plans", "add", "team", "--price", "5", "--currency", "usd", env=places).code == 0
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "config").exists()
