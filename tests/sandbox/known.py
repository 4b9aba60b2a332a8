"""What a test knows of an answer of Stripe, as dotted paths."""

from tests.sandbox.relations import MISSING, at_path


def holds(body, known=None, *, null="", absent="", present="") -> bool:
    """Whether an answer has these values, and these fields as null, not at all, or filled.

    The names of fields are dotted paths, separated by spaces; fails by an assertion that names them.
    """
    expected = dict(known or {})
    expected |= dict.fromkeys(null.split()) | dict.fromkeys(absent.split(), MISSING)
    found = {path: at_path(body, path) for path in expected}
    assert found == expected
    for path in present.split():
        assert at_path(body, path) not in (None, MISSING), path
    return True


def refusal(error, status, message, *, code=None, param=None, kind="invalid_request_error") -> bool:
    """Whether an error says exactly this. A code, and only a code, comes with a page of documentation."""
    found = {name: error.get(name) for name in ("status", "type", "message", "code", "param", "doc_url")}
    page = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}" if code else None
    assert found == {
        "status": status,
        "type": kind,
        "message": message,
        "code": code,
        "param": param,
        "doc_url": page,
    }
    assert code or "code" not in error
    assert param is not None or "param" not in error
    return True


def missing(error, what, name, param, status=404) -> bool:
    """Whether an error says that there is no such object."""
    return refusal(error, status, f"No such {what}: '{name}'", code="resource_missing", param=param)
