"""Stripe over the official SDK: the only importer of `stripe`, and the only place that retries.

The SDK's own retries are off (they cover 409, 5xx and time-outs, but not 429); ours have jitter, honour
Retry-After, and never repeat a 402. Raw JSON is read instead of SDK objects, which cost four times a fetch.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import requests
import stripe

from seatctl.billing.answers import is_preview, problem
from seatctl.billing.failures import Failure, as_error, pause_before_retry
from seatctl.billing.objects import UnreadableObject, require_readable
from seatctl.billing.port import Form, Read, StripeJson, Write
from seatctl.errors import Code, JsonValue, refuse
from seatctl.rules import hints

if TYPE_CHECKING:
    from pathlib import Path

    from seatctl.sandbox.api.twin import Twin

stripe.enable_telemetry = False  # it would keep an id in ~/.config/stripe and send how long calls take

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TRIES = 4
_PAGE = 100
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0


_Text = TypeVar("_Text", str, bytes)


class StripeBilling:
    """The Billing port over one StripeClient. `sleep` takes seconds; `patience` scales the backoff.

    `pace` is called with the path before each request and returns when it may leave. Safe to use from
    several threads: the SDK's HTTP client keeps a session for each.
    """

    def __init__(
        self,
        client: stripe.StripeClient,
        *,
        read_only: bool,
        sleep: Callable[[float], None],
        patience: float = 1.0,
        pace: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._read_only = read_only
        self._sleep = sleep
        self._patience = patience
        self._pace = pace
        self._clock: datetime | None = None

    def write(self, call: Write, key: str) -> StripeJson:
        """Carry out a change; a dry run stops here, whatever the caller believed."""
        if self._read_only:
            raise refuse(
                Code.WRITE_IN_DRY_RUN, f"a dry run tried to write to Stripe: {call.method} {call.path}"
            )
        # Without the key a lost answer, retried, would charge twice. DELETE ignores it.
        key_sent = key if call.method == "post" else None
        return self._readable(call, self._send(call.method, call.path, call.form, key_sent, changes=True))

    def read(self, call: Read) -> StripeJson:
        """One object, a page of a list, or a preview."""
        return self._readable(call, self._send(call.method, call.path, call.form, None))

    def every(self, call: Read) -> Iterator[StripeJson]:
        """Every object of a list, paged on by cursor."""
        form = {**call.form, "limit": _PAGE}
        while True:
            answer = self._send("get", call.path, form, None)
            entries = cast("list[StripeJson]", answer["data"])
            yield from entries
            if not answer["has_more"] or not entries:
                return
            last = entries[-1]["id"]
            if last == form.get("starting_after"):
                raise UnreadableObject(f"the answer to GET {call.path} is the same page again and again")
            form["starting_after"] = last

    def clock(self) -> datetime | None:
        """Stripe's time when it last answered."""
        return self._clock

    @staticmethod
    def _readable(call: Read | Write, answer: StripeJson) -> StripeJson:
        try:
            if not is_preview(call.path):
                require_readable(answer)
        except UnreadableObject as error:
            # Not asked for again: what Stripe itself sends in another form, it sends in that form again.
            error.message = f"the answer to {call.method.upper()} {call.path} cannot be used: {error.message}"
            raise
        return answer

    def _send(
        self, method: str, path: str, form: Form, key: str | None, *, changes: bool = False
    ) -> StripeJson:
        """One call with its retries. `changes`: it is not known what a try did whose answer was lost."""
        params = dict(form) if key is None else {**form, "idempotency_key": key}
        doubt: Failure | None = None
        for attempt in range(1, _TRIES + 1):
            if self._pace is not None:
                self._pace(path)
            failure, cause = None, None
            try:
                response = self._client.raw_request(method, path, **params)
            except stripe.StripeError as error:
                failure, cause = _failure(error, f"{method.upper()} {path}"), error
                self._note_time(error.headers)
            else:
                failure = _unusable(method, path, response.body)
                if failure is None:
                    self._note_time(response.headers)  # what is not Stripe's has a clock of its own
                    return cast("StripeJson", response.body.answer)
            pause = pause_before_retry(failure, attempt, random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            if pause is None or attempt == _TRIES:
                if doubt is not None and changes and failure.status in {401, 403, 429}:
                    failure = doubt  # that Stripe will not look at this one says nothing of the one before
                raise as_error(failure) from cause
            doubt = failure if failure.proves_nothing else doubt
            self._sleep(pause * self._patience)
        raise AssertionError("the loop returns or raises")

    def _note_time(self, headers: object) -> None:
        """The `Date` header: refusals have one too."""
        named = (
            {str(name).lower(): str(value) for name, value in headers.items()}
            if isinstance(headers, Mapping)
            else {}
        )
        self._clock = _moment(named.get("date", "")) or self._clock


def _moment(text: str) -> datetime | None:
    """The time of a `Date` header, in the one form that HTTP sends; None where it is no such date."""
    try:
        _, day, month, year, clock, _ = text.split()
        hour, minute, second = map(int, clock.split(":"))
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


class _Parsed(str):
    """A body that was looked at already. To the SDK it is `{}`: of the whole one it would build ordered
    dictionaries, which costs more than everything else that is done with a page of a list; and what is not
    Stripe's it would show, or trip over.
    """

    __slots__ = ("answer", "problem", "status")
    answer: JsonValue
    problem: str | None
    status: int


def _parsed(body: _Text, status: int) -> tuple[_Text | _Parsed, int]:
    """What the SDK is handed: Stripe's errors, for it to tell apart, and anything else as a success."""
    answer, problem = _as_json(body)
    if problem is None and not 200 <= status < 300:
        if not 300 <= status < 400 and _is_error_of_stripe(answer):
            return body, status
        problem = "it leads to another address" if 300 <= status < 400 else "it is not one of Stripe's errors"
    parsed = _Parsed("{}")
    parsed.answer, parsed.problem, parsed.status = answer, problem, status
    return parsed, 200


def _as_json(body: str | bytes) -> tuple[JsonValue, str | None]:
    """The JSON of a body, or why it has none."""
    try:
        return json.loads(body), None
    except (ValueError, RecursionError):
        begin = body[:100].decode("utf-8", "replace") if isinstance(body, bytes) else body[:100]
    if not begin.strip():
        return None, "it is empty"
    if begin.lstrip("\ufeff \t\r\n").startswith("<"):
        return None, "it is a web page, perhaps of a proxy, or of a network that wants a login"
    return None, "it is not JSON, or was cut off"


def _is_error_of_stripe(answer: JsonValue) -> bool:
    inner = answer.get("error") if isinstance(answer, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("type"), str)


def _unusable(method: str, path: str, body: object) -> Failure | None:
    """Why what came back is not the answer to this call; None if it is."""
    assert isinstance(body, _Parsed)
    found = body.problem or problem(method, path, body.answer)
    if found is None:
        return None
    return Failure(
        status=body.status,
        type=None,
        code=None,
        param=None,
        decline_code=None,
        message="",
        request_id=None,
        retry_after=None,
        unusable=found,
        call=f"{method.upper()} {path}",
    )


class _Sessions(requests.Session):
    """A session for each thread, as the SDK itself keeps them, none of which goes where it is led.

    A proxy's redirect would repeat a POST as a GET, and hand the form to whoever waits there.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__()
        self._kept = threading.local()
        # Else the SDK names its own certificates for each request, which REQUESTS_CA_BUNDLE does not change.
        self._trusted = {} if ca_bundle is None else {"verify": ca_bundle}

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """One request, answered by whoever it was sent to."""
        if getattr(self._kept, "session", None) is None:
            self._kept.session = requests.Session()
        options |= {"allow_redirects": False, **self._trusted}
        return cast("requests.Response", self._kept.session.request(*args, **options))


class _OverTheNetwork(stripe.RequestsClient):
    """The SDK's HTTP client, whose answers are looked at here first."""

    def request(  # type: ignore[override]  # the SDK takes a text where it says bytes
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: str | None = None
    ) -> tuple[str | bytes, int, Mapping[str, str]]:
        """One call to Stripe."""
        body, status, answered = super().request(method, url, headers, post_data)
        return *_parsed(body, status), answered


class _InProcess(stripe.HTTPClient):
    """The SDK's HTTP client with the sandbox behind it: serialisation and error mapping stay the SDK's."""

    name = "sandbox"

    def __init__(self, twin: Twin) -> None:
        super().__init__()
        self._twin = twin

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One call to the sandbox; an armed time-out becomes the SDK's connection error."""
        from seatctl.sandbox.store import Unusable

        path = url.removeprefix("https://api.stripe.com")
        try:
            answer = self._twin.handle(method.upper(), path, headers or {}, post_data)
        except ConnectionError as error:
            lost = stripe.APIConnectionError(str(error), should_retry=True)  # type: ignore[no-untyped-call] # the SDK
            raise lost from error
        except Unusable as error:
            full = "full" in str(error)
            raise refuse(
                Code.SANDBOX_UNUSABLE,
                f"the sandbox cannot be written: {error}",
                hint=f"free some disk space, then {hints.AGAIN}" if full else hints.command("doctor"),
            ) from error
        # The SDK looks its headers up in lower case, as an HTTP library would hand them over.
        headed = {name.lower(): value for name, value in answer.headers.items()}
        return *_parsed(answer.body, answer.status), headed

    def close(self) -> None:
        """Close the sandbox's file."""
        self._twin.close()


def _failure(error: stripe.StripeError, call: str) -> Failure:
    """The SDK's exception as a plain value. Messages of Stripe never hold the whole key."""
    body = error.json_body if isinstance(error.json_body, dict) else {}
    inner = body.get("error")
    detail: Mapping[str, object] = inner if isinstance(inner, dict) else {}

    def text(name: str) -> str | None:
        value = detail.get(name)
        return value if isinstance(value, str) else None

    headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
    after = headers.get("retry-after", "")
    return Failure(
        status=error.http_status,
        type=text("type"),
        code=text("code"),
        param=text("param"),
        decline_code=text("decline_code"),
        message=text("message") or _why_unreached(error),
        untrusted=error.http_status is None and "certificate" in (error.user_message or ""),
        request_id=error.request_id,
        retry_after=float(after) if after.isdecimal() else None,
        call=call,
    )


def _why_unreached(error: stripe.StripeError) -> str:
    """Why no answer came, in one line: the SDK puts the reason behind lines of advice of its own."""
    text = " ".join((error.user_message or "no answer").split())
    advice, _, reason = text.partition("(Network error: ")
    if "certificate" in advice:
        return "its certificate cannot be verified"
    told = re.findall(r"\[Errno -?\d+\] ([^()'\"]+)", reason)
    if told:  # the operating system's own words stand inside the wrappers of two libraries
        return str(told[-1]).strip()
    if "timed out" in reason:
        return "it took too long"
    return reason.removesuffix(")") or text


def connect(
    key: str,
    *,
    api_base: str | None,
    ca_bundle: str | None = None,
    read_only: bool,
    sleep: Callable[[float], None],
    pace: Callable[[str], None] | None = None,
) -> StripeBilling:
    """Stripe itself, or another server that speaks its API at `api_base` (already checked by settings).

    `ca_bundle`: the file or folder of certificates to trust instead of those that come with the SDK.
    """
    http = _OverTheNetwork(timeout=(_CONNECT_SECONDS, _READ_SECONDS), session=_Sessions(ca_bundle))
    client = stripe.StripeClient(
        key,
        http_client=http,
        base_addresses={"api": api_base} if api_base else {},
        max_network_retries=0,
    )
    return StripeBilling(client, read_only=read_only, sleep=sleep, pace=pace)


def connect_sandbox(path: Path, *, read_only: bool, sleep: Callable[[float], None]) -> StripeBilling:
    """The embedded sandbox over its file at `path`, behind the real SDK. Backoff is short: no network."""
    from seatctl.sandbox.api.twin import Twin

    client = stripe.StripeClient(
        "sk_test_embedded_sandbox", http_client=_InProcess(Twin(path)), max_network_retries=0
    )
    return StripeBilling(client, read_only=read_only, sleep=sleep, patience=0.01)
