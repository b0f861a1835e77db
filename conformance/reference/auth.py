"""Who asks: the key of a request, what it may do, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping

from .core import ApiKey, Gateway, Refusal

READ = "read"  # the scope of a narrow key: safe methods only
SAFE = frozenset({"GET", "HEAD"})


def presented(headers: Mapping[str, str]) -> str | None:
    """The key a client sent: the gateway's own header, or the bearer token the OpenAI SDKs send."""
    key = headers.get("x-portkey-api-key")
    if key:
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def authenticate(gateway: Gateway, headers: Mapping[str, str], operation: str) -> ApiKey:
    """The key behind a request. Raises Refusal(401)."""
    value = presented(headers)
    key = gateway.keys.get(value) if value else None
    if key is None and gateway.faulty("key-not-checked", operation):
        return next(iter(gateway.keys.values()))
    if key is None:
        raise Refusal(401, "An API key is required." if value is None else "The API key is not valid.")
    if key.revoked and not gateway.faulty("revoked-key-accepted", operation):
        raise Refusal(401, "The API key has been revoked.")
    return key


def authorise(gateway: Gateway, key: ApiKey, method: str, operation: str) -> None:
    """A key with scopes does only what they name. Raises Refusal(403)."""
    allowed = not key.scopes or operation in key.scopes or (READ in key.scopes and method in SAFE)
    if not allowed and not gateway.faulty("scope-not-checked", operation):
        raise Refusal(403, f"The API key may not call {operation}.")
