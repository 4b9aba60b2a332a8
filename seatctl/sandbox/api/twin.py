"""The twin: answers one request at a time, each in one transaction.

It does what all endpoints have in common: API key, version, armed faults, idempotency, parameters, errors.
What an endpoint does is in the module that routes.py names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from seatctl.sandbox import clock
from seatctl.sandbox.api import check, keys, routes
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.errors import ApiError, lock_timeout, rate_limited, unrecognized
from seatctl.sandbox.objects import API_VERSION, Obj, new_id, new_key
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store
from seatctl.sandbox.test_clocks import KIND as CLOCK
from seatctl.sandbox.test_clocks import require_ready, session_at

_TEST_CLOCKS = "/v1/test_helpers/test_clocks"
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `body` is JSON text."""

    status: int
    headers: dict[str, str]
    body: str


class TimedOut(ConnectionError):
    """Raised for an armed fault: there is no answer. `worked` says whether the request was carried out."""

    def __init__(self, *, worked: bool) -> None:
        super().__init__("the request timed out (a fault armed by `sandbox fail`)")
        self.worked = worked


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    params: Obj
    headers: Mapping[str, str]
    identifier: str

    @property
    def key(self) -> str | None:
        """The idempotency key; only a POST has one."""
        return self.headers.get("idempotency-key") if self.method == "POST" else None

    @property
    def version(self) -> str:
        return self.headers.get("stripe-version", API_VERSION)

    def fingerprint(self) -> str:
        """Return what must be the same if an idempotency key is used again."""
        return f"{self.method} {self.path} {json.dumps(self.params, sort_keys=True)}"


class Twin:
    """A Stripe account in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def clear(self) -> None:
        """Delete everything: objects, stored answers, faults and the clock's setting."""
        with self.store.transaction():
            self.store.clear()

    def now(self) -> int:
        """Return the sandbox's time in epoch seconds."""
        return clock.now(self.store)

    def handle(self, method: str, url: str, headers: Mapping[str, str], form: str | None) -> Answer:
        """Answer one request. Raises `TimedOut` if an armed fault withholds the answer."""
        path, _, query = url.partition("?")
        params = {**check.decode(query), **check.decode(form)}
        lowered = {name.lower(): value for name, value in headers.items()}
        request = _Request(method.upper(), unquote(path), params, lowered, new_id("req")[:18])
        lost = False
        with self.store.transaction():
            self._catch_up(request)
            fault = self._fault(request)
            if fault == "timeout":
                answer = None
            elif isinstance(fault, Answer):
                answer = fault
            else:
                answer, lost = self._handle(request, failing=fault == "500"), fault == "lost"
        if answer is None or lost:
            raise TimedOut(worked=lost)
        return _with_headers(answer, {"Date": clock.http_date(self.now())})

    def _catch_up(self, request: _Request) -> None:
        moment = request.headers.get("sandbox-time", "")
        if moment.isdigit():
            clock.freeze(self.store, int(moment))
        due = self.store.next_due()
        if due is not None and due[0] <= self.now():
            from seatctl.sandbox.billing.due_work import work_until

            work_until(self.store, self.now())

    def _fault(self, request: _Request) -> Answer | str | None:
        for fault in self.store.faults():
            method, path = fault["method"], fault["path"]
            if (method is None or method == request.method) and (
                path is None or request.path.startswith(path)
            ):
                self.store.use_fault(fault["id"])
                if fault["kind"] in ("429", "lock_timeout"):
                    return self._slow_down(request, fault)
                return str(fault["kind"])
        return None

    def _slow_down(self, request: _Request, fault: Obj) -> Answer:
        answer = _refusal(request, rate_limited() if fault["kind"] == "429" else lock_timeout())
        retry_after = fault["retry_after"]
        return answer if retry_after is None else _with_headers(answer, {"Retry-After": str(retry_after)})

    def _handle(self, request: _Request, *, failing: bool) -> Answer:
        try:
            session = Session(self.store, self.now(), request.version)
            keys.authenticate(session, request.headers)
            _check_version(request.version)
            route, ids = _find_route(request)
            expand = request.params.get("expand") or []
            keys.check_permission(session, keys.key_of(request.headers), request.method, request.path, expand)
            return self._replay(request) or self._execute(request, route, ids, failing=failing)
        except ApiError as error:
            return _refusal(request, error)

    def _replay(self, request: _Request) -> Answer | None:
        stored = self.store.answer(request.key, self.now() - DAY) if request.key else None
        if stored is None:
            return None
        fingerprint, original, status, body = stored
        if fingerprint != request.fingerprint():
            raise _key_refusal(request, fingerprint.split(" ", 2)[1])
        headers = {"Idempotent-Replayed": "true", "Original-Request": original}
        return Answer(status, {**_headers(request), **headers}, body)

    def _execute(
        self, request: _Request, route: routes.Route, ids: tuple[str, ...], *, failing: bool
    ) -> Answer:
        is_stored = True
        try:
            answer = _answer(request, 200, self._serve(request, route, ids, failing=failing))
        except ApiError as error:
            is_stored = error.is_stored
            answer = _refusal(request, error)
        if request.key and is_stored:
            self.store.save_answer(
                request.key, request.fingerprint(), request.identifier, self.now(), answer.status, answer.body
            )
        return answer

    def _serve(self, request: _Request, route: routes.Route, ids: tuple[str, ...], *, failing: bool) -> Obj:
        if failing:
            raise ApiError(500, "An unknown error occurred", kind="api_error")
        params = check.check(route.params, request.params, request.version)
        # An event names a key for every POST, even if the client sent none (recorded).
        key = request.key or (new_key() if request.method == "POST" else None)
        session = self._session(request, ids, key)
        self.store.savepoint()
        try:
            body = route.serve(session, params, ids)
            if params.get("expand"):
                from seatctl.sandbox.api.expand import expanded

                body = expanded(session, body, params["expand"])
        except ApiError as error:
            (self.store.release if error.keeps_changes else self.store.roll_back)()
            raise
        self.store.release()
        return body

    def _session(self, request: _Request, ids: tuple[str, ...], key: str | None) -> Session:
        """Return the session of a request, at the time of the test clock that what it names is on, if any."""
        values = () if request.path.startswith(_TEST_CLOCKS) else (*ids, *request.params.values())
        fields = {"version": request.version, "request_id": request.identifier, "idempotency_key": key}
        session = session_at(self.store, self.now(), values, **fields)
        if session.clock is not None and request.method != "GET":
            require_ready(session.find(CLOCK, session.clock, None))
        return session


def _key_refusal(request: _Request, path: str) -> ApiError:
    """Return the refusal of a key that was first used for `path`, perhaps with other parameters."""
    condition = (
        "with the same parameters they were first used with"
        if path == request.path
        else f"for the same endpoint they were first used for ('{path}')"
    )
    message = (
        f"Keys for idempotent requests can only be used {condition}. Try using a key other than "
        f"'{request.key}' if you meant to execute a different request."
    )
    return ApiError(400, message, kind="idempotency_error")


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise ApiError(400, f"Invalid Stripe API version: {version}", logged=False)


def _find_route(request: _Request) -> tuple[routes.Route, tuple[str, ...]]:
    route = routes.find(request.method, request.path)
    if route is None:
        raise unrecognized(request.method, request.path)
    return route


def _headers(request: _Request) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Request-Id": request.identifier,
        "Stripe-Version": request.version,
    }
    if request.key:
        headers["Idempotency-Key"] = request.key
        headers["Original-Request"] = request.identifier
    return headers


def _answer(request: _Request, status: int, body: Obj) -> Answer:
    return Answer(status, _headers(request), json.dumps(body, separators=(",", ":")))


def _refusal(request: _Request, error: ApiError) -> Answer:
    return _answer(request, error.status, error.body(request.identifier))


def _with_headers(answer: Answer, headers: dict[str, str]) -> Answer:
    return Answer(answer.status, {**answer.headers, **headers}, answer.body)
