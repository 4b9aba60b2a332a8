"""Stripe over the official SDK: the only importer of `stripe`, and the only place that retries.

The SDK's own retries are off: they cover 409, 5xx and time-outs, but not 429. Ours use jitter, honour
Retry-After, and never repeat a 402. Answers are read as raw JSON, because the SDK's objects take four times
as long as the fetch.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import requests
import stripe

from seatctl.billing.answers import Failure, as_error, complete, is_preview, pause_before_retry, problem
from seatctl.billing.objects import UnreadableObject, require_readable
from seatctl.billing.port import Billing, Read, StripeJson, Write
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.rules import hints

if TYPE_CHECKING:
    from pathlib import Path

    from seatctl.sandbox.api.twin import Twin

stripe.enable_telemetry = False  # it would store an id in ~/.config/stripe and report how long calls take

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that every request names, so that neither the account's default version nor an
update of the SDK changes what the answers look like. To change it: CONTRIBUTING.md, "The version of Stripe's
API"."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TRIES = 4
_PAGE = 100
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0

_Text = TypeVar("_Text", str, bytes)


class StripeBilling:
    """The Billing port over one StripeClient. `sleep` takes seconds; `patience` scales the backoff.

    `pace` is called with the path before each request and returns when the request may be sent. `check` runs
    once, before anything is written and before the first answer is returned, and raises to stop both. `trace`
    gets one line about each call, without forms and keys. `context` is what `client` sends as Stripe-Context.
    Safe to use from several threads: each has its own HTTP session.
    """

    def __init__(
        self,
        client: stripe.StripeClient,
        *,
        read_only: bool,
        sleep: Callable[[float], None],
        patience: float = 1.0,
        pace: Callable[[str], None] | None = None,
        check: Callable[[Billing], None] | None = None,
        trace: Callable[[str], None] = lambda _: None,
        context: str | None = None,
    ) -> None:
        self._client = client
        self._read_only = read_only
        self._sleep = sleep
        self._patience = patience
        self._pace = pace
        self._check = check
        self._checking = threading.RLock()
        self._trace = trace
        self.context = context
        self._clock: datetime | None = None

    def write(self, call: Write, key: str) -> StripeJson:
        """Carry out a change. A dry run is stopped here at the latest.

        Lists in the answer are not completed: a failure to read more would look like one of the write.
        """
        if self._read_only:
            raise refuse(
                Code.WRITE_IN_DRY_RUN, f"a dry run tried to write to Stripe: {call.method} {call.path}"
            )
        return self._call(call, key)

    def read(self, call: Read) -> StripeJson:
        """Return one object, a page of a list, or a preview. Lists inside of objects are complete."""
        answer = self._call(call) if self._check is None else self._call_during_check(call)
        complete(answer, self._call)
        return answer

    def every(self, call: Read) -> Iterator[StripeJson]:
        """Yield every object of a list, page after page. Lists inside of objects are complete."""
        form, count = {**call.form, "limit": _PAGE}, 0
        while True:
            answer = self._send(Read(call.path, form))
            entries = cast("list[StripeJson]", answer["data"])
            for entry in entries:
                complete(entry, self._call)
                yield entry
            count += len(entries)
            if not answer["has_more"] or not entries:
                break
            last = entries[-1]["id"]
            if last == form.get("starting_after"):
                raise UnreadableObject(f"the answer to GET {call.path} is always the same page")
            form["starting_after"] = last
        self._trace(f"stripe: GET {call.path}: {count} in all")

    def clock(self) -> datetime | None:
        """Return Stripe's time at its last answer."""
        self._run_check()
        return self._clock

    def _run_check(self) -> None:
        """Run `check` if it has not succeeded yet; its own calls, in this thread, are let through."""
        with self._checking:
            check, self._check = self._check, None
            if check is None:
                return
            try:
                check(self)
            except BaseException:
                self._check = check
                raise

    def _call_during_check(self, call: Read) -> StripeJson:
        """Send a read while `check` waits for its own answer, which saves a round trip.

        A read changes nothing, and its answer is not returned if the check fails.
        """
        answer = Future[StripeJson]()

        def send() -> None:
            try:
                answer.set_result(self._call(call, is_checked=True))
            except BaseException as error:  # noqa: BLE001  # raised by `result` in the thread that waits
                answer.set_exception(error)

        threading.Thread(target=send, daemon=True).start()
        try:
            self._run_check()
        except SeatctlError:
            answer.exception()  # waited for: nothing of this command may go on after it has failed
            raise
        return answer.result()

    def _call(self, call: Read | Write, key: str | None = None, *, is_checked: bool = False) -> StripeJson:
        """Send a call, check that its answer can be read, and log it."""
        name, started = f"{call.method.upper()} {call.path}", time.monotonic()
        label = name if key is None else f"{name} ({key})"
        try:
            answer = self._send(call, key, is_checked=is_checked)
            _require_readable(call, name, answer)
        except SeatctlError as error:
            self._trace(f"stripe: {label}: {error.code} after {_since(started)}")
            raise
        self._trace(f"stripe: {label}: {answer.get('id') or 'done'} in {_since(started)}")
        return answer

    def _send(self, call: Read | Write, key: str | None = None, *, is_checked: bool = False) -> StripeJson:
        """Send one call, with retries. After a lost answer it is unknown what a write has done."""
        if not is_checked:
            self._run_check()
        method, path, params = call.method, call.path, dict(call.form)
        # Without the key, a retry after a lost answer would charge twice. DELETE ignores it.
        if key is not None and method == "post":
            params["idempotency_key"] = key
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
                    self._note_time(response.headers)  # an answer that is not Stripe's has another clock
                    return cast("StripeJson", response.body.answer)
            pause = pause_before_retry(failure, attempt, random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            if pause is None or attempt == _TRIES:
                if doubt is not None and isinstance(call, Write) and failure.status in {401, 403, 429}:
                    failure = doubt  # this try was not carried out, but the one before may have been
                raise as_error(failure) from cause
            doubt = failure if failure.proves_nothing else doubt
            self._sleep(pause * self._patience)
        raise AssertionError("the loop returns or raises")

    def _note_time(self, headers: object) -> None:
        """Read the `Date` header, which refusals have as well."""
        self._clock = _moment(_by_name(headers).get("date", "")) or self._clock


def _require_readable(call: Read | Write, name: str, answer: StripeJson) -> None:
    try:
        if not is_preview(call.path):
            require_readable(answer)
    except UnreadableObject as error:
        # Not retried: Stripe itself would send the object in the same form again.
        error.message = f"the answer to {name} cannot be used: {error.message}"
        raise


def _by_name(headers: object) -> dict[str, str]:
    """Return headers by their names in lower case."""
    listed = headers.items() if isinstance(headers, Mapping) else ()
    return {str(name).lower(): str(value) for name, value in listed}


def _since(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"


def _moment(text: str) -> datetime | None:
    """Return the time of a `Date` header in HTTP's one form, or None if it is not such a date."""
    try:
        _, day, month, year, clock, _ = text.split()
        hour, minute, second = map(int, clock.split(":"))
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


class _Parsed(str):
    """A body that has been parsed. To the SDK it is `{}`.

    From the whole body the SDK would build ordered dictionaries, which takes longer than everything else that
    is done with a page of a list. An answer that is not Stripe's would be shown, or raise.
    """

    __slots__ = ("answer", "problem", "status")
    answer: JsonValue
    problem: str | None
    status: int


def _parsed(body: _Text, status: int) -> tuple[_Text | _Parsed, int]:
    """Return what the SDK is given: Stripe's errors for it to classify, anything else as a success."""
    answer, problem = _as_json(body)
    if problem is None and not 200 <= status < 300:
        if not 300 <= status < 400 and _is_error_of_stripe(answer):
            return body, status
        problem = (
            "it redirects to another address" if 300 <= status < 400 else "it is not one of Stripe's errors"
        )
    parsed = _Parsed("{}")
    parsed.answer, parsed.problem, parsed.status = answer, problem, status
    return parsed, 200


def _as_json(body: str | bytes) -> tuple[JsonValue, str | None]:
    """Return the JSON of a body, or why it is not JSON."""
    try:
        return json.loads(body), None
    except (ValueError, RecursionError):
        begin = body[:100].decode("utf-8", "replace") if isinstance(body, bytes) else body[:100]
    if not begin.strip():
        return None, "it is empty"
    if begin.lstrip("\ufeff \t\r\n").startswith("<"):
        return None, "it is a web page, perhaps of a proxy or of a network that requires a login"
    return None, "it is not JSON, or it was cut off"


def _is_error_of_stripe(answer: JsonValue) -> bool:
    inner = answer.get("error") if isinstance(answer, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("type"), str)


def _unusable(method: str, path: str, body: object) -> Failure | None:
    """Return the failure if the answer does not belong to this call, else None."""
    assert isinstance(body, _Parsed)
    unusable = body.problem or problem(method, path, body.answer)
    if unusable is None:
        return None
    return Failure(body.status, unusable=unusable, call=f"{method.upper()} {path}")


class _Sessions(requests.Session):
    """A session for each thread, as the SDK itself keeps them, which does not follow redirects.

    After a proxy's redirect a POST would be repeated as a GET, and the form sent to another server.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__()
        self._kept = threading.local()
        # By default the SDK passes its own certificates, and REQUESTS_CA_BUNDLE has no effect.
        self._trusted = {} if ca_bundle is None else {"verify": ca_bundle}

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send one request without following redirects."""
        if getattr(self._kept, "session", None) is None:
            self._kept.session = requests.Session()
        options |= {"allow_redirects": False, **self._trusted}
        return cast("requests.Response", self._kept.session.request(*args, **options))


class _OverTheNetwork(stripe.RequestsClient):
    """The SDK's HTTP client; answers are checked here before the SDK sees them."""

    def request(  # type: ignore[override]  # the SDK passes text where it declares bytes
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: str | None = None
    ) -> tuple[str | bytes, int, Mapping[str, str]]:
        """Send one call to Stripe."""
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
        """Send one call to the sandbox; an armed time-out becomes the SDK's connection error."""
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
                f"the sandbox's file cannot be written: {error}",
                hint=f"free some disk space, then {hints.AGAIN}" if full else hints.command("doctor"),
            ) from error
        # The SDK looks up headers in lower case, as an HTTP library provides them.
        headed = {name.lower(): value for name, value in answer.headers.items()}
        return *_parsed(answer.body, answer.status), headed

    def close(self) -> None:
        """Close the sandbox's file."""
        self._twin.close()


def _failure(error: stripe.StripeError, call: str) -> Failure:
    """Return the SDK's exception as a plain value. Stripe's messages never contain the whole key."""
    body = error.json_body if isinstance(error.json_body, dict) else {}
    inner = body.get("error")
    detail: Mapping[str, object] = inner if isinstance(inner, dict) else {}

    def text(name: str) -> str | None:
        value = detail.get(name)
        return value if isinstance(value, str) else None

    after = _by_name(error.headers).get("retry-after", "")
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
    """Return why no answer came, in one line: the SDK puts the reason after several lines of advice."""
    text = " ".join((error.user_message or "no answer").split())
    advice, _, reason = text.partition("(Network error: ")
    if "certificate" in advice:
        return "its certificate cannot be verified"
    system_messages = re.findall(r"\[Errno -?\d+\] ([^()'\"]+)", reason)
    if system_messages:  # wrapped by two libraries
        return str(system_messages[-1]).strip()
    if "timed out" in reason:
        return "it took too long"
    return reason.removesuffix(")") or text


def connect(
    key: str,
    *,
    api_base: str | None,
    context: str | None = None,
    ca_bundle: str | None = None,
    read_only: bool,
    sleep: Callable[[float], None],
    pace: Callable[[str], None] | None = None,
    check: Callable[[Billing], None] | None = None,
    trace: Callable[[str], None] = lambda _: None,
) -> StripeBilling:
    """Return Stripe itself, or another server that speaks its API at `api_base` (validated by settings).

    `context`: the account to act on, as seen from the key's own. `ca_bundle`: the file or folder of
    certificates to trust instead of the SDK's own.
    """
    http = _OverTheNetwork(timeout=(_CONNECT_SECONDS, _READ_SECONDS), session=_Sessions(ca_bundle))
    client = stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        stripe_context=context,
        http_client=http,
        base_addresses={"api": api_base} if api_base else {},
        max_network_retries=0,
    )
    return StripeBilling(
        client, read_only=read_only, sleep=sleep, pace=pace, check=check, trace=trace, context=context
    )


def connect_sandbox(
    path: Path,
    *,
    read_only: bool,
    sleep: Callable[[float], None],
    trace: Callable[[str], None] = lambda _: None,
) -> StripeBilling:
    """Return the embedded sandbox with its file at `path`, behind the real SDK. Retries wait only briefly."""
    from seatctl.sandbox.api.twin import Twin

    client = stripe.StripeClient(
        "sk_test_embedded_sandbox",
        stripe_version=API_VERSION,
        http_client=_InProcess(Twin(path)),
        max_network_retries=0,
    )
    return StripeBilling(client, read_only=read_only, sleep=sleep, patience=0.01, trace=trace)
