"""Stripe's error envelope: one exception, and a function for each recurring refusal.

`code`, `param` and `doc_url` are left out, not null, when they do not apply.
"""

from __future__ import annotations

from collections.abc import Sequence

from seatctl.sandbox.objects import Obj


class ApiError(Exception):
    """A refusal as Stripe words it.

    `keep` says that the work done before it stays, as after a declined payment of an invoice; `saved`
    that the answer is kept for the idempotency key, which it is not when the parameters were malformed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        extra: Obj | None = None,
        doc_url: bool = True,
        logged: bool = True,
        keep: bool = False,
        saved: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.extra = extra or {}
        self.doc_url = doc_url
        self.logged = logged
        self.keep = keep
        self.saved = saved

    def body(self, request_id: str) -> Obj:
        """The whole JSON body of the answer."""
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


def nest_param(around: str, error: ApiError) -> ApiError:
    """The same refusal of a parameter that stands inside another: `lines[0][price_data][product]`."""
    if error.param:
        head, bracket, rest = error.param.partition("[")
        named = f"{around}[{head}]{bracket}{rest}"
        error.message = error.message.replace(f"param: {error.param}.", f"param: {named}.")
        error.param = named
    return error


def invalid(
    message: str, param: str | None = None, *, code: str | None = None, status: int = 400
) -> ApiError:
    """An `invalid_request_error`; most have neither code nor param."""
    return ApiError(status, message, code=code, param=param)


def no_such(noun: str, identifier: str, param: str | None, *, status: int = 400) -> ApiError:
    """`No such …`: 400 for an id in a parameter, 404 for one in the path."""
    return ApiError(status, f"No such {noun}: '{identifier}'", code="resource_missing", param=param)


def missing_param(name: str) -> ApiError:
    """A required parameter was not sent."""
    return ApiError(
        400, f"Missing required param: {name}.", code="parameter_missing", param=name, saved=False
    )


def empty_param(name: str) -> ApiError:
    """A parameter that cannot be unset was sent as the empty string."""
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value."
    )
    return malformed(message, name, code="parameter_invalid_empty")


def unknown_params(names: Sequence[str]) -> ApiError:
    """Parameters that the endpoint does not have; `param` is the first."""
    word = "parameter" if len(names) == 1 else "parameters"
    message = f"Received unknown {word}: {', '.join(names)}"
    return ApiError(400, message, code="parameter_unknown", param=names[0], saved=False)


def malformed(message: str, param: str, *, code: str | None = None) -> ApiError:
    """A parameter of the wrong type; the answer is not kept for the idempotency key."""
    return ApiError(400, message, code=code, param=param, saved=False)


def unrecognized(method: str, path: str) -> ApiError:
    """No such endpoint, or it lacks this method."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs "
        "or we can help at https://support.stripe.com/."
    )
    return ApiError(404, message, logged=False)


def mutually_exclusive(first: str, second: str) -> ApiError:
    """Two parameters that exclude each other; `param` is the first."""
    return invalid(f"You may only specify one of these parameters: {first}, {second}.", first)
