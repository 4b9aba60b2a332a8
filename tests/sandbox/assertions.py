"""Assertions about answers of Stripe; fields are named by dotted paths."""

from tests.sandbox.relations import MISSING, at_path


def holds(body, values=None, *, null="", absent="", present="") -> bool:
    """Assert that an answer has these values, and that these fields are null, absent or present.

    The names of fields are dotted paths, separated by spaces.
    """
    expected = dict(values or {})
    expected |= dict.fromkeys(null.split()) | dict.fromkeys(absent.split(), MISSING)
    assert {path: at_path(body, path) for path in expected} == expected
    for path in present.split():
        assert at_path(body, path) not in (None, MISSING), path
    return True


def refusal(error, status, message, *, code=None, param=None, kind="invalid_request_error") -> bool:
    """Assert that an error is exactly this one. It has a `doc_url` if and only if it has a code."""
    fields = {name: error.get(name) for name in ("status", "type", "message", "code", "param", "doc_url")}
    doc_url = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}" if code else None
    assert fields == {
        "status": status,
        "type": kind,
        "message": message,
        "code": code,
        "param": param,
        "doc_url": doc_url,
    }
    assert code or "code" not in error
    assert param is not None or "param" not in error
    return True


def missing(error, noun, name, param, status=404) -> bool:
    """Assert that an error says that there is no such object."""
    return refusal(error, status, f"No such {noun}: '{name}'", code="resource_missing", param=param)
