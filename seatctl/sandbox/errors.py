"""Stripe's errors: one exception, and a function for each refusal that several endpoints share.

As on Stripe, `code`, `param` and `doc_url` are left out if they do not apply; they are never null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import KW_ONLY, dataclass, field

from seatctl.sandbox.objects import Obj


@dataclass(eq=False)
class ApiError(Exception):
    """A refusal in Stripe's words.

    If `keeps_changes`, what the request has written stays, as after a declined payment of an invoice.
    If `is_stored`, the answer is stored for the idempotency key; refusals of malformed parameters are not.
    """

    status: int
    message: str
    _: KW_ONLY
    code: str | None = None
    param: str | None = None
    kind: str = "invalid_request_error"
    extra: Obj = field(default_factory=dict)
    doc_url: bool = True
    logged: bool = True
    keeps_changes: bool = False
    is_stored: bool = True

    def __str__(self) -> str:
        return self.message

    def body(self, request_id: str) -> Obj:
        """Return the JSON body of the answer."""
        error: Obj = {}
        if self.code is not None:
            error["code"] = self.code
            if self.doc_url:
                error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        if self.logged:
            error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**error, **self.extra, "type": self.kind}}


@contextmanager
def renamed_params(rename: Callable[[str], str]) -> Iterator[None]:
    """Give the parameter of a refusal in the block another name, in the message too."""
    try:
        yield
    except ApiError as error:
        if error.param:
            name = rename(error.param)
            error.message = error.message.replace(f"param: {error.param}.", f"param: {name}.")
            error.param = name
        raise


def nested_params(outer: str) -> AbstractContextManager[None]:
    """Name the parameter of a refusal in the block inside another: `lines[0][price_data][product]`."""

    def rename(param: str) -> str:
        head, bracket, rest = param.partition("[")
        return f"{outer}[{head}]{bracket}{rest}"

    return renamed_params(rename)


def invalid(
    message: str, param: str | None = None, *, code: str | None = None, status: int = 400
) -> ApiError:
    """Return an `invalid_request_error`; most have neither code nor param."""
    return ApiError(status, message, code=code, param=param)


def no_such(noun: str, identifier: str, param: str | None, *, status: int = 400) -> ApiError:
    """Return the refusal `No such …`: status 400 for an id in a parameter, 404 for an id in the path."""
    return ApiError(status, f"No such {noun}: '{identifier}'", code="resource_missing", param=param)


def missing_param(name: str) -> ApiError:
    """Return the refusal of a request that lacks a required parameter."""
    return malformed(f"Missing required param: {name}.", name, code="parameter_missing")


def empty_param(name: str) -> ApiError:
    """Return the refusal of an empty string for a parameter that cannot be unset."""
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value."
    )
    return malformed(message, name, code="parameter_invalid_empty")


def unknown_params(names: Sequence[str]) -> ApiError:
    """Return the refusal of parameters that the endpoint does not have; `param` is the first of them."""
    word = "parameter" if len(names) == 1 else "parameters"
    message = f"Received unknown {word}: {', '.join(names)}"
    return malformed(message, names[0], code="parameter_unknown")


def malformed(message: str, param: str, *, code: str | None = None) -> ApiError:
    """Return the refusal of a malformed parameter; it is not stored for the idempotency key."""
    return ApiError(400, message, code=code, param=param, is_stored=False)


def rate_limited() -> ApiError:
    """Return the refusal of one request too many: nothing was carried out, or stored for the key."""
    return ApiError(429, "Too many requests hit the API too quickly.", code="rate_limit", is_stored=False)


def lock_timeout() -> ApiError:
    """Return the refusal of a request for an object that Stripe is changing just then."""
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request. If you see this error "
        "frequently and are making multiple concurrent requests to a single object, make your requests "
        "serially or at a lower rate. For more details, see "
        "https://stripe.com/docs/rate-limits#object-lock-timeouts."
    )
    return ApiError(429, message, code="lock_timeout", is_stored=False)


def unrecognized(method: str, path: str) -> ApiError:
    """Return the refusal of an unknown endpoint, or of a method that it does not have."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs "
        "or we can help at https://support.stripe.com/."
    )
    return ApiError(404, message, logged=False)


def check_not_negative(value: int, param: str) -> None:
    """Refuse a negative number."""
    if value < 0:
        raise invalid("Invalid non-negative integer", param, code="parameter_invalid_integer")


def mutually_exclusive(first: str, second: str) -> ApiError:
    """Return the refusal of two parameters that exclude each other; `param` is the first of them."""
    return invalid(f"You may only specify one of these parameters: {first}, {second}.", first)
