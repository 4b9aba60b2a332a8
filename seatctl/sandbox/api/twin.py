"""The door of the sandbox: one request in, one answer out, inside one transaction.

Here are the things every endpoint has in common: the key, the version, the armed faults, idempotency,
parameters, the error envelope. What an endpoint does is in the module that `routes.py` names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from seatctl.sandbox import clock
from seatctl.sandbox.api import check, routes
from seatctl.sandbox.api.form import decode
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.errors import ApiError, unrecognized
from seatctl.sandbox.objects import API_VERSION, Obj, new_id, new_key
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire; `body` is JSON text."""

    status: int
    headers: dict[str, str]
    body: str


class TimedOut(ConnectionError):
    """An armed fault: no answer comes. `worked` says whether the work was done all the same."""

    def __init__(self, *, worked: bool) -> None:
        super().__init__("the request timed out (a fault armed by `sandbox fail`)")
        self.worked = worked


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    sent: Obj
    headers: Mapping[str, str]
    identifier: str

    @property
    def key(self) -> str | None:
        """The idempotency key; only POST has one."""
        return self.headers.get("idempotency-key") if self.method == "POST" else None

    @property
    def version(self) -> str:
        return self.headers.get("stripe-version", API_VERSION)

    def meaning(self) -> str:
        """What must be the same when a key is used again."""
        return f"{self.method} {self.path} {json.dumps(self.sent, sort_keys=True)}"


class Twin:
    """A Stripe account in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def clear(self) -> None:
        """Forget everything: objects, saved answers, faults and the clock."""
        with self.store.transaction():
            self.store.clear()

    def now(self) -> int:
        """The sandbox's time in epoch seconds: real time plus the kept offset."""
        return clock.now(self.store)

    def handle(self, method: str, url: str, headers: Mapping[str, str], form: str | None) -> Answer:
        """Answer one request; raises `TimedOut` where a fault is armed that gives none."""
        path, _, query = url.partition("?")
        sent = {**decode(query), **decode(form)}
        lowered = {name.lower(): value for name, value in headers.items()}
        request = _Request(method.upper(), unquote(path), sent, lowered, new_id("req")[:18])
        lost = False
        with self.store.transaction():
            self._catch_up(request)
            fault = self._fault(request)
            if fault == "timeout":
                answer = None
            elif isinstance(fault, Answer):
                answer = fault
            else:
                answer, lost = self._answer(request, failing=fault == "500"), fault == "lost"
        if answer is None or lost:
            raise TimedOut(worked=lost)
        return _with(answer, {"Date": clock.http_date(self.now())})

    def _catch_up(self, request: _Request) -> None:
        moment = request.headers.get("sandbox-time", "")
        if moment.isdigit():
            clock.freeze(self.store, int(moment))
        due = self.store.next_due()
        if due is not None and due[0] <= self.now():
            from seatctl.sandbox.api.scheduler import work_until

            work_until(self.store, self.now())

    def _fault(self, request: _Request) -> Answer | str | None:
        for fault in self.store.faults():
            method, path = fault["method"], fault["path"]
            if (method is None or method == request.method) and (
                path is None or request.path.startswith(path)
            ):
                self.store.spend(fault["id"])
                if fault["kind"] == "429":
                    return self._limited(request, fault["retry_after"])
                return str(fault["kind"])
        return None

    def _limited(self, request: _Request, retry_after: int | None) -> Answer:
        error = ApiError(
            429, "Too many requests hit the API too quickly.", code="rate_limit", kind="invalid_request_error"
        )
        answer = _plain(request, error)
        return answer if retry_after is None else _with(answer, {"Retry-After": str(retry_after)})

    def _answer(self, request: _Request, *, failing: bool) -> Answer:
        try:
            _authenticate(request.headers)
            _check_version(request.version)
            route, ids = _route(request)
            return self._replayed(request) or self._worked(request, route, ids, failing=failing)
        except ApiError as error:
            return _plain(request, error)

    def _replayed(self, request: _Request) -> Answer | None:
        saved = self.store.answer(request.key, self.now() - DAY) if request.key else None
        if saved is None:
            return None
        meaning, original, status, body = saved
        if meaning != request.meaning():
            raise _clash(request, meaning.split(" ", 2)[1])
        headers = {"Idempotent-Replayed": "true", "Original-Request": original}
        return Answer(status, {**_headers(request), **headers}, body)

    def _worked(
        self, request: _Request, route: routes.Route, ids: tuple[str, ...], *, failing: bool
    ) -> Answer:
        saved = True
        try:
            answer = _failed(request) if failing else _made(request, 200, self._serve(request, route, ids))
        except ApiError as error:
            saved = error.replayed
            answer = _plain(request, error)
        if request.key and saved:
            self.store.save_answer(
                request.key, request.meaning(), request.identifier, self.now(), answer.status, answer.body
            )
        return answer

    def _serve(self, request: _Request, route: routes.Route, ids: tuple[str, ...]) -> Obj:
        params = check.check(route.params, request.sent, request.version)
        # An event names a key for every POST, also where the client sent none (core facts).
        key = request.key or (new_key() if request.method == "POST" else None)
        session = Session(self.store, self.now(), request.version, request.identifier, key)
        handler = route.handler()
        self.store.mark()
        try:
            body = handler(session, params, *ids)
            if params.get("expand"):
                from seatctl.sandbox.api.expand import expanded

                body = expanded(session, body, params["expand"])
        except ApiError as error:
            (self.store.keep if error.keeps_changes else self.store.back)()
            raise
        self.store.keep()
        return body


def _clash(request: _Request, path: str) -> ApiError:
    """The key was first used for `path`, there or here with other parameters."""
    only = (
        "with the same parameters they were first used with"
        if path == request.path
        else f"for the same endpoint they were first used for ('{path}')"
    )
    message = (
        f"Keys for idempotent requests can only be used {only}. Try using a key other than '{request.key}' "
        "if you meant to execute a different request."
    )
    return ApiError(400, message, kind="idempotency_error")


def _authenticate(headers: Mapping[str, str]) -> None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        from base64 import b64decode

        key = b64decode(key).decode("utf-8", "replace").partition(":")[0]
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise ApiError(401, message, logged=False)
    if not key.startswith("sk_test_"):
        shown = key[:7] + "*" * max(0, len(key) - 11) + key[-4:] if len(key) > 14 else "****"
        raise ApiError(401, f"Invalid API Key provided: {shown}", logged=False)


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise ApiError(400, f"Invalid Stripe API version: {version}", logged=False)


def _route(request: _Request) -> tuple[routes.Route, tuple[str, ...]]:
    found = routes.find(request.method, request.path)
    if found is None:
        raise unrecognized(request.method, request.path)
    return found


def _failed(request: _Request) -> Answer:
    return _plain(request, ApiError(500, "An unknown error occurred", kind="api_error"))


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


def _made(request: _Request, status: int, body: Obj) -> Answer:
    return Answer(status, _headers(request), json.dumps(body, separators=(",", ":")))


def _plain(request: _Request, error: ApiError) -> Answer:
    return _made(request, error.status, error.body(request.identifier))


def _with(answer: Answer, headers: dict[str, str]) -> Answer:
    return Answer(answer.status, {**answer.headers, **headers}, answer.body)
