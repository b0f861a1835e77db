"""Named deviations the gateway can be told to show: ``name`` everywhere, ``name@operationId`` on one.

Those declared here are shown by the application itself; a behaviour's own are asked for with
``call.fault(name)`` and declared beside it.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .core import Call, Record, Refusal
from .streams import encode_json

if TYPE_CHECKING:
    from .app import App, Incoming, Reply

FAULTS: dict[str, str] = {
    "missing-required-field": "a success body lacks a field its schema requires",
    "wrong-field-type": "a success body holds a field of another type than its schema says",
    "undocumented-status": "success is answered with 299",
    "wrong-content-type": "a success body is labelled text/html",
    "missing-content-type": "a success body has no content type",
    "malformed-json": "a success body is cut in the middle, its length stated correctly",
    "invalid-utf8": "a success body holds bytes that are not UTF-8",
    "empty-body": "success is answered without a body",
    "truncated-body": "the connection closes before the stated length is reached",
    "endless-body": "a success body never ends",
    "html-error": "errors are HTML pages",
    "error-without-body": "errors have no body",
    "error-reveals-key": "an error repeats the key that was sent",
    "error-as-success": "errors are answered with status 200",
    "server-error-on-invalid": "invalid input is answered with 500",
    "redirect-on-invalid": "invalid input is answered with a redirect",
    "hang-on-invalid": "invalid input is never answered",
    "accepts-invalid": "invalid input is answered as if it were valid",
    "refuses-canonical": "valid requests are refused with 400",
    "server-error": "valid requests are answered with 500",
    "unknown-id-succeeds": "an unknown id is answered with 200",
    "unknown-id-is-500": "an unknown id is answered with 500",
    "unknown-id-is-400": "an unknown id is answered with 400",
    "key-not-checked": "absent and unknown keys are let in",
    "revoked-key-accepted": "revoked keys are let in",
    "scope-not-checked": "a narrow key may do everything",
    "tenants-not-separated": "every key sees the first tenant's records",
    "unauthorised-is-500": "refused keys are answered with 500",
    "undocumented-method-succeeds": "an undocumented method is answered with 200",
    "undocumented-method-is-500": "an undocumented method is answered with 500",
    "missing-allow-header": "405 comes without Allow",
    "missing-documented-header": "headers the contract requires of an answer are left out",
    "stale-get": "reads repeat the first answer they gave",
    "create-not-stored": "what a POST creates is forgotten at once",
    "update-not-stored": "what a PUT or an updating POST changes is forgotten at once",
    "delete-not-effective": "what a DELETE removes stays",
    "list-ignores-limit": "lists ignore limit and page_size",
    "list-ignores-order": "lists ignore order",
    "list-ignores-cursor": "lists ignore after, before and current_page",
    "stream-without-end": "a stream lacks its last event",
    "stream-malformed-event": "an event's data is not JSON",
    "stream-wrong-content-type": "a stream is labelled application/json",
    "stream-truncated": "a stream breaks off in the middle of an event",
    "stream-never-ends": "a stream stays open after its last event",
    "stream-as-json": "stream is ignored: the answer is one JSON body",
}
READS = frozenset({"GET", "HEAD"})
FORGOTTEN = {
    "create-not-stored": frozenset({"POST"}),
    "update-not-stored": frozenset({"PUT", "PATCH"}),
    "delete-not-effective": frozenset({"DELETE"}),
}
DROPPED = {
    "list-ignores-limit": ("limit", "page_size", "pageSize"),
    "list-ignores-order": ("order",),
    "list-ignores-cursor": ("after", "before", "current_page", "currentPage"),
}


def declare(name: str, description: str) -> str:
    """Add a behaviour's own fault to the registry; returns its name."""
    FAULTS.setdefault(name, description)
    return name


def unknown(names: frozenset[str] | tuple[str, ...]) -> list[str]:
    """Those names (an ``@operation`` part aside) that no fault has."""
    return sorted(one for one in names if one.split("@")[0] not in FAULTS)


def before(app: App, call: Call) -> None:
    """Faults that change what a behaviour sees. Raises what it is told to."""
    if call.fault("refuses-canonical"):
        raise Refusal(400, "This request is refused.")
    if call.fault("server-error"):
        raise Refusal(500, "The gateway failed.")
    for name, dropped in DROPPED.items():
        if call.fault(name):
            for one in dropped:
                call.query.pop(one, None)
    if call.fault("tenants-not-separated"):
        call.tenant = next(iter(app.gateway.tenants.values()))
    if call.fault("stream-as-json") and isinstance(call.body, dict):
        call.body.pop("stream", None)
    if any(call.method in methods and call.fault(name) for name, methods in FORGOTTEN.items()):
        # The behaviour works on a copy of its tenant, which nobody keeps.
        call.tenant = copy.deepcopy(call.tenant)


async def distort(app: App, incoming: Incoming, reply: Reply, refused: Refusal | None) -> Reply:
    """The reply as the faults that are on would have it."""
    operation = incoming.endpoint.operation if incoming.endpoint else ""

    def on(name: str) -> bool:
        return app.gateway.faulty(name, operation)

    if refused is None:
        return _stream(reply, on) if reply.stream is not None else _success(app, incoming, reply, on)
    if refused.status in (400, 413, 415, 422):
        if refused.param == "limit" and on("bad-limit-gives-nothing"):
            empty: Record = {
                "object": "list",
                "data": [],
                "first_id": None,
                "last_id": None,
                "has_more": True,
            }
            return replace(reply, status=200, body=encode_json(empty))
        if on("hang-on-invalid"):
            await asyncio.sleep(3600)
        if on("server-error-on-invalid"):
            reply = app.refuse(Refusal(500, "The gateway failed."), incoming.endpoint)
        elif on("redirect-on-invalid"):
            reply = replace(reply, status=307, headers={**reply.headers, "Location": "/v1/elsewhere"})
        elif on("accepts-invalid"):
            return _pretend(app, operation)
    elif refused.status in (403, 404) and incoming.path:
        if on("unknown-id-succeeds"):
            return _pretend(app, operation)
        if on("unknown-id-is-500"):
            reply = app.refuse(Refusal(500, "The gateway failed."), incoming.endpoint)
        elif on("unknown-id-is-400"):
            reply = app.refuse(Refusal(400, refused.message), incoming.endpoint)
    elif refused.status == 401 and on("unauthorised-is-500"):
        reply = app.refuse(Refusal(500, "The gateway failed."), incoming.endpoint)
    elif refused.status == 405:
        if on("undocumented-method-succeeds"):
            return _pretend(app, "")
        if on("undocumented-method-is-500"):
            reply = app.refuse(Refusal(500, "The gateway failed."), incoming.endpoint)
        if on("missing-allow-header"):
            reply.headers.pop("Allow", None)
    return _error(reply, incoming, on)


def _error(reply: Reply, incoming: Incoming, on: Any) -> Reply:
    if on("html-error"):
        page = b"<!doctype html><title>Error</title><h1>Something went wrong</h1>"
        reply = replace(reply, body=page, media_type="text/html; charset=utf-8")
    if on("error-without-body"):
        reply = replace(reply, body=b"", media_type=None)
    if on("error-reveals-key"):
        key = incoming.headers.get("x-portkey-api-key") or incoming.headers.get("authorization", "")
        body = json.loads(reply.body) if reply.body.startswith(b"{") else {}
        reply = replace(reply, body=encode_json({**body, "key": key}))
    if on("error-as-success"):
        reply = replace(reply, status=200)
    return reply


def _pretend(app: App, operation: str) -> Reply:
    """A success: the last one this operation gave, else an empty object."""
    from .app import Reply

    return app.memory.get(f"last {operation}") or Reply(200, b"{}")


def _success(app: App, incoming: Incoming, reply: Reply, on: Any) -> Reply:
    endpoint = incoming.endpoint
    assert endpoint is not None
    app.memory[f"last {endpoint.operation}"] = reply
    if incoming.method in READS and on("stale-get"):
        seen = f"get {incoming.raw_path!r} {incoming.query!r} {incoming.headers.get('x-portkey-api-key')}"
        reply = app.memory.setdefault(seen, reply)
    if reply.media_type == "application/json" and reply.body:
        if on("missing-required-field"):
            reply = replace(reply, body=encode_json(_damage(reply.body, endpoint, remove=True)))
        if on("wrong-field-type"):
            reply = replace(reply, body=encode_json(_damage(reply.body, endpoint, remove=False)))
    if on("undocumented-status"):
        reply = replace(reply, status=299)
    if on("wrong-content-type"):
        reply = replace(reply, media_type="text/html; charset=utf-8")
    if on("missing-content-type"):
        reply = replace(reply, media_type=None)
    if on("malformed-json"):
        reply = replace(reply, body=reply.body[: max(1, len(reply.body) // 2)])
    if on("invalid-utf8"):
        reply = replace(reply, body=b'"\xff\xfe' + reply.body)
    if on("empty-body"):
        reply = replace(reply, body=b"")
    if on("missing-documented-header"):
        names = endpoint.documented_headers
        kept = {name: value for name, value in reply.headers.items() if name.lower() not in names}
        reply = replace(reply, headers=kept, chunked=False)
    if on("truncated-body"):
        reply = replace(reply, declared_length=len(reply.body) + 64, chunked=False)
    if on("endless-body"):
        reply = replace(reply, stream=_endless(reply.body))
    return reply


def _damage(body: bytes, endpoint: Any, *, remove: bool) -> Any:
    """The body without, or with a mistyped, required field: the first that the schema requires."""
    value = json.loads(body)
    content = endpoint.schemas.resolve(endpoint.definition["responses"].get("200", {})).get("content", {})
    schema = endpoint.schemas.resolve(content.get("application/json", {}).get("schema", {}))
    holder, required = _holder(value, schema, endpoint.schemas)
    if holder is None:
        return [None] if remove else {"unexpected": [value]}
    name = next((one for one in required if one in holder), next(iter(holder), None))
    if name is not None:
        if remove:
            del holder[name]
        else:
            holder[name] = {"unexpected": True} if not isinstance(holder[name], dict) else "unexpected"
    return value


def _holder(value: Any, schema: Record, schemas: Any, level: int = 0) -> tuple[Record | None, list[str]]:
    """The first object, outermost first, whose schema requires fields, and those fields."""
    if level > 6:
        return None, []
    schema = schemas.resolve(schema)
    if isinstance(value, dict):
        required = [*schema.get("required", ())]
        for branch in schema.get("allOf", ()):
            required += schemas.resolve(branch).get("required", ())
        if required:
            return value, required
        for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            found = _holder(value, branch, schemas, level + 1)
            if found[1]:
                return found
        for name, one in schema.get("properties", {}).items():
            found = _holder(value.get(name), one, schemas, level + 1)
            if found[1]:
                return found
        return value, []
    if isinstance(value, list) and value:
        return _holder(value[0], schema.get("items", {}), schemas, level + 1)
    return None, []


async def _endless(body: bytes) -> AsyncIterator[bytes]:
    yield body
    while True:
        yield b" " * 65536
        await asyncio.sleep(0.01)


def _stream(reply: Reply, on: Any) -> Reply:
    source = reply.stream
    assert source is not None
    if on("stream-wrong-content-type"):
        reply = replace(reply, media_type="application/json")
    return replace(reply, stream=_distorted(source, on))


async def _distorted(chunks: AsyncIterator[bytes], on: Any) -> AsyncIterator[bytes]:
    held: bytes | None = None
    count = 0
    async for chunk in chunks:
        count += 1
        if count == 2 and on("stream-malformed-event"):
            chunk = chunk.replace(b"{", b"", 1)
        if count == 2 and on("stream-truncated"):
            yield (held or b"") + chunk[: len(chunk) // 2]
            return
        if held is not None:
            yield held
        held = chunk
    if held is not None and not on("stream-without-end"):
        yield held
    while on("stream-never-ends"):
        await asyncio.sleep(0.5)
        yield b": still here\n\n"
