"""Honest error bodies: the envelope each answer documents, else the one its plane uses."""

from __future__ import annotations

from typing import Any

from .core import Record, Refusal

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    426: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
}
CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "insufficient_permissions",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    426: "upgrade_required",
    500: "internal_error",
}


def envelopes(refusal: Refusal, plane: str) -> list[Record]:
    """Every envelope we know, the plane's own first."""
    status = refusal.status
    error: Record = {
        "message": refusal.message,
        "type": KINDS.get(status, "invalid_request_error"),
        "param": refusal.param,
        "code": refusal.code or CODES.get(status, str(status)),
    }
    nested: Record = {"error": error}
    admin: Record = {"success": False, "data": {"message": refusal.message, "errorCode": error["code"]}}
    flat: Record = {"error": refusal.message}
    first = {"control": admin, "public": flat}.get(plane, nested)
    return [first, *(one for one in (nested, admin, flat, error) if one is not first)]


def choose(candidates: list[Record], documented: Any, names: frozenset[str]) -> Record:
    """The first envelope that the documented validator takes and whose keys it names.

    ``documented`` is a validator or None; ``names`` the properties its schema declares (may be empty).
    """
    if documented is None:
        return candidates[0]
    fitting = [one for one in candidates if documented.is_valid(one)]
    named = [one for one in fitting if not names or names & one.keys()]
    return (named or fitting or candidates)[0]
