"""A new kind of operation is one module, with one dataclass and one handler; a new refusal is one line."""

from __future__ import annotations

import importlib
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest

from seatctl import services
from seatctl.app.connections import to_sandbox
from seatctl.cli import error_codes
from seatctl.errors import Code, ExitCode, Refusal, Refused, TryAgain, refuse
from seatctl.ledger.ledger import open_ledger
from seatctl.models.call import Call
from seatctl.services.operations import handlers
from seatctl.services.operations.submit import OperationRequest, submit
from tests.support.both_sides import fail, objects, sandbox_path
from tests.support.subscriptions import ledger_place, query

MODULE = """
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.models.role import Action
from seatctl.services.operations.handlers import OperationHandler, OperationResult, register
from seatctl.services.operations.steps import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetPayload(Payload):
    kind = "greet"
    name: str


def _run(running):
    form = {"name": running.payload.name, "metadata": running.marks}
    customers = endpoints.customers(created_since=running.earliest())
    running.step_or_fail("customer", endpoints.create_customer(form), running.mine(customers))
    return lambda tx: OperationResult(running.payload.summary, ({"result": "greeted"},))


register(OperationHandler(GreetPayload, _run, action=Action.BUY))
"""


@pytest.fixture
def greetings(tmp_path, monkeypatch):
    """A package of services with the new module; what was known before is known again afterwards."""
    folder = tmp_path / "services" / "greetings"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "greet_operation.py").write_text(MODULE)
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(folder.parent)])
    monkeypatch.setattr(handlers, "_HANDLERS", dict(handlers._HANDLERS))
    yield
    forget()


def forget() -> None:
    """As in a new process: the module was not imported, and its kind not registered."""
    handlers._HANDLERS.pop("greet", None)
    for name in [name for name in sys.modules if "greetings" in name]:
        del sys.modules[name]


def greet(sandbox):
    """Submit an operation of the new kind, as a command would."""
    module = importlib.import_module("seatctl.services.greetings.greet_operation")
    payload = module.GreetPayload(name="Ann", summary="greeted Ann")
    request = OperationRequest(payload.kind, {"greet": "Ann"}, payload)
    call = Call("ann@example.com", "ann", "seatctl greet Ann", datetime.now(UTC).replace(microsecond=0))
    billing = to_sandbox(sandbox_path(sandbox), read_only=False, trace=lambda _: None)
    with closing(open_ledger(ledger_place(sandbox))) as ledger:
        return submit(ledger, billing, call, request, lambda _: None)


def customers(sandbox) -> list[str]:
    return [customer["name"] for customer in objects(sandbox, "customer")]


def is_sound(sandbox) -> bool:
    return sandbox("ledger", "check").code == sandbox("audit", "verify").code == 0


def test_a_new_kind_is_performed(sandbox, greetings):
    report = greet(sandbox)
    assert (report.summary, report.rows) == ("greeted Ann", ({"result": "greeted"},))
    assert customers(sandbox) == ["Ann"]
    assert is_sound(sandbox)


@pytest.mark.parametrize("kind", ["timeout", "lost"])
def test_a_new_kind_that_was_interrupted_is_finished_by_a_sync_that_finds_its_module(
    sandbox, greetings, kind
):
    fail(sandbox, kind, times=1000, path="/v1/customers", method="POST")
    with pytest.raises(TryAgain):
        greet(sandbox)
    query(sandbox_path(sandbox), "DELETE FROM faults")
    forget()
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"], synced.rows[0]["summary"]) == (
        *(0, "finished"),
        "greeted Ann",
    )
    assert customers(sandbox) == ["Ann"]
    assert is_sound(sandbox)


def test_a_new_refusal_is_one_line(monkeypatch):
    line = Refusal(4, "The coffee is out.")
    line.__set_name__(Code, "NO_COFFEE")
    monkeypatch.setattr(Code, "NO_COFFEE", line, raising=False)
    error = refuse(Code.NO_COFFEE, "no coffee is left", hint="make some", data={"cups": 0})
    assert isinstance(error, Refused)
    assert (error.code, error.exit_code) == ("no_coffee", ExitCode.REFUSED)
    assert error.as_json() == {
        "code": "no_coffee",
        "message": "no coffee is left",
        "hint": "make some",
        "cups": 0,
    }
    assert "| `no_coffee` | The coffee is out. |" in error_codes.page()
