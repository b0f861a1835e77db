"""The gateway on the wire: routing, authentication, validation, dispatch, answers (an ASGI application)."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from . import deviations, faults
from .auth import authenticate, authorise
from .core import (
    HANDLERS,
    SOCKETS,
    Answer,
    ApiKey,
    Call,
    EventStream,
    Gateway,
    Receive,
    Record,
    Refusal,
    Send,
    Upload,
    new_uuid,
)
from .errors import choose, envelopes
from .routing import Router
from .schemas import first_problem, load_document
from .streams import encode_event, encode_json
from .validation import Endpoint, Parameter, parse_json, plain_form, read_form

Message = MutableMapping[str, Any]
logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # bad forms are answered, not logged
MAX_BODY = 32 * 1024 * 1024


@dataclass
class Reply:
    """What goes out: a whole body, or a stream of chunks."""

    status: int
    body: bytes = b""
    media_type: str | None = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    declared_length: int | None = None  # when a fault lies about it
    chunked: bool = False  # the body goes out without its length


@dataclass
class Incoming:
    """One HTTP request before it is understood."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Mapping[str, str]
    body: bytes = b""
    too_large: bool = False
    endpoint: Endpoint | None = None
    path: dict[str, str] = field(default_factory=dict)


class App:
    """The ASGI application over one gateway's state. ``document`` is the compiled contract."""

    def __init__(self, gateway: Gateway, document: Record | None = None) -> None:
        from . import behaviours  # registers every behaviour; imported late, as they use this module

        behaviours.load()
        self.gateway = gateway
        self.router = gateway.router = Router(document if document is not None else load_document())
        self.memory: dict[str, Reply] = {}  # what faults replay

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        incoming = _incoming(scope)
        await _read_body(incoming, receive)
        if self.gateway.latency:
            await asyncio.sleep(self.gateway.latency)
        reply = await self.answer(incoming)
        trace = incoming.headers.get("x-portkey-trace-id") or new_uuid()
        reply.headers.setdefault("x-portkey-trace-id", trace)
        await _send_reply(reply, send, receive)

    async def answer(self, incoming: Incoming) -> Reply:
        """The reply to a request, distorted by whatever faults are on."""
        try:
            reply, refused = await self._serve(incoming), None
        except Refusal as refusal:
            reply, refused = self.refuse(refusal, incoming.endpoint), refusal
        except Exception:
            traceback.print_exc(file=sys.stderr)
            refused = Refusal(500, "The gateway failed.")
            reply = self.refuse(refused, incoming.endpoint)
        if self.gateway.faults:
            reply = await faults.distort(self, incoming, reply, refused)
        return reply

    def refuse(self, refusal: Refusal, endpoint: Endpoint | None) -> Reply:
        """The error answer, in the envelope the operation documents for this status."""
        plane = endpoint.plane if endpoint else "data"
        rule, names = endpoint.error_rule(refusal.status) if endpoint else (None, frozenset())
        body = choose(envelopes(refusal, plane), rule, names)
        headers = dict(refusal.headers)
        return Reply(refusal.status, encode_json(body), headers=headers)

    def route(self, incoming: Incoming) -> Endpoint:
        """The endpoint of a request; fills its path parameters. Raises Refusal 400, 404, 405."""
        try:
            segments = [unquote_to_bytes(one).decode("utf-8") for one in incoming.raw_path[1:].split(b"/")]
        except UnicodeDecodeError:
            raise Refusal(400, "The path is not valid UTF-8.") from None
        if any("\0" in one for one in segments):
            raise Refusal(400, "The path holds a NUL character.")
        found = self.router.find(segments)
        if found is None:
            raise Refusal(404, "There is nothing at this path.", code="unknown_path")
        endpoint = found.get(incoming.method)
        if endpoint is None:
            incoming.endpoint = next(iter(found.values()))  # for the envelope of its plane
            allow = {"Allow": ", ".join(sorted(found))}
            raise Refusal(405, f"{incoming.method} is not allowed here.", headers=allow)
        names = (one[1:-1] for one in endpoint.segments if one.startswith("{"))
        values = (real for real, one in zip(segments, endpoint.segments, strict=True) if one.startswith("{"))
        incoming.endpoint, incoming.path = endpoint, dict(zip(names, values, strict=True))
        return endpoint

    def admit(self, incoming: Incoming, endpoint: Endpoint) -> ApiKey:
        """Authentication and scope. Raises Refusal 401, 403."""
        if endpoint.public:
            return next(iter(self.gateway.keys.values()))
        key = authenticate(self.gateway, incoming.headers, endpoint.operation)
        authorise(self.gateway, key, endpoint.method, endpoint.operation)
        return key

    async def _serve(self, incoming: Incoming) -> Reply:
        endpoint = self.route(incoming)
        key = self.admit(incoming, endpoint)
        if incoming.too_large:
            raise Refusal(413, f"The body is larger than {MAX_BODY} bytes.")
        path, query, headers = read_parameters(incoming, endpoint)
        body = await read_body(incoming, endpoint)
        call = Call(
            endpoint.operation, endpoint.method, path, query, headers, body, key.tenant, key, self.gateway
        )
        if self.gateway.faults:
            faults.before(self, call)
        handler = HANDLERS.get(endpoint.operation)
        if handler is None:
            raise Refusal(501, f"{endpoint.operation} has no behaviour.", code="not_implemented")
        outcome = handler(call)
        if self.gateway.faults:
            outcome = deviations.apply(outcome, call)
        return self._reply(outcome, endpoint)

    def _reply(self, outcome: Any, endpoint: Endpoint) -> Reply:
        if isinstance(outcome, EventStream):
            chunks = (encode_event(name, data) async for name, data in outcome.events)
            headers = {"Cache-Control": "no-store", **endpoint.documented_headers, **outcome.headers}
            return Reply(200, media_type="text/event-stream; charset=utf-8", headers=headers, stream=chunks)
        answer = outcome if isinstance(outcome, Answer) else Answer(outcome)
        headers = {**endpoint.documented_headers, **answer.headers}
        if answer.media_type != "application/json":
            raw = answer.body.encode("utf-8") if isinstance(answer.body, str) else bytes(answer.body or b"")
            return Reply(answer.status, raw, answer.media_type, headers, chunked=endpoint.chunked)
        return Reply(answer.status, encode_json(answer.body), headers=headers)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        incoming = _incoming({**scope, "method": "GET"})
        try:
            endpoint = self.route(incoming)
            key = self.admit(incoming, endpoint)
            path, query, headers = read_parameters(incoming, endpoint)
            behave = SOCKETS.get(endpoint.operation)
            if behave is None:
                raise Refusal(400, "This path takes no WebSocket.")
        except Refusal as refusal:
            reply = self.refuse(refusal, incoming.endpoint)
            await _send_reply(reply, send, receive, prefix="websocket.http.response")
            return
        call = Call(endpoint.operation, "GET", path, query, headers, None, key.tenant, key, self.gateway)
        await behave(call, receive, send)


def read_parameters(
    incoming: Incoming, endpoint: Endpoint
) -> tuple[dict[str, str], dict[str, Any], Mapping[str, str]]:
    """Path, query and headers, typed and valid. Raises Refusal(400), or 404 for an impossible path."""
    query: dict[str, Any] = {}
    given: dict[str, list[str]] | None = None
    for one in endpoint.parameters:
        if one.place == "path":
            _check_path(incoming.path[one.name], one)
        elif one.place == "query":
            if given is None:
                given = parse_query(incoming.query)
            values = given.get(one.name)
            if values is None and one.plain.get("type") == "array":
                values = given.get(one.name + "[]")
            if values is not None:
                query[one.name] = one.read(values)
            elif one.required:
                raise Refusal(400, f"'{one.name}' is required.", param=one.name)
        elif one.place == "header":
            value = incoming.headers.get(one.name.lower())
            if value is not None:
                one.read([value])
            elif one.required:
                raise Refusal(400, f"The header '{one.name}' is required.", param=one.name)
    return incoming.path, query, incoming.headers


def _check_path(value: str, parameter: Parameter) -> None:
    """A value outside an enum is a bad request; an id no resource can have is simply not found."""
    problem = first_problem(parameter.validator, value)
    if problem:
        status = 400 if "enum" in parameter.plain else 404
        raise Refusal(status, f"Invalid '{parameter.name}': {problem.text}", param=parameter.name)


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Name → values in order. Raises Refusal(400) for what is not UTF-8."""
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise Refusal(400, "The query string cannot be read.") from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def read_body(incoming: Incoming, endpoint: Endpoint) -> Any:
    """The parsed and valid body, None where there is none. Raises Refusal 400, 415."""
    if not endpoint.body_content:
        return None
    declared = next(iter(endpoint.body_content))
    sent = incoming.headers.get("content-type", "").split(";")[0].strip().lower()
    if not incoming.body and declared != "multipart/form-data":
        if endpoint.body_required:
            raise Refusal(400, "A body is required.")
        return None
    if sent not in endpoint.body_content:
        raise Refusal(415, f"The body must be {declared}.")
    if sent == "multipart/form-data":
        body: Any = read_form(endpoint, await _parts(incoming))
        plain = plain_form(body)
    else:
        body = plain = parse_json(incoming.body)
    problem = first_problem(endpoint.body_validator, plain)
    if problem:
        raise Refusal(400, f"Invalid body: {problem.text}", param=problem.where or None)
    return body


async def _parts(incoming: Incoming) -> list[tuple[str, str | Upload]]:
    async def chunks() -> AsyncIterator[bytes]:
        yield incoming.body

    headers = Headers({"content-type": incoming.headers.get("content-type", "")})
    try:
        form = await MultiPartParser(headers, chunks(), max_part_size=MAX_BODY).parse()  # type: ignore[arg-type]
    except (MultiPartException, ValueError, KeyError, LookupError) as reason:
        raise Refusal(400, f"The form cannot be read: {reason}.") from None
    parts: list[tuple[str, str | Upload]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            kind = value.content_type or "application/octet-stream"
            parts.append((name, Upload(value.filename or "", kind, await value.read())))
            await value.close()
        else:
            parts.append((name, value))
    return parts


def _incoming(scope: Message) -> Incoming:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        headers[key] = (
            f"{headers[key]}, {value.decode('latin-1')}" if key in headers else value.decode("latin-1")
        )
    raw_path = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    return Incoming(scope["method"], raw_path.split(b"?")[0], scope.get("query_string", b""), headers)


async def _read_body(incoming: Incoming, receive: Receive) -> None:
    """Read the whole body, so that the connection can be kept; past the limit it is dropped."""
    length = incoming.headers.get("content-length", "0")
    incoming.too_large = length.isdigit() and int(length[:12]) > MAX_BODY
    chunks: list[bytes] = []
    size = 0
    while not incoming.too_large:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        incoming.too_large = size > MAX_BODY
        if not message.get("more_body"):
            break
    incoming.body = b"" if incoming.too_large else b"".join(chunks)


async def _send_reply(reply: Reply, send: Send, receive: Receive, prefix: str = "http.response") -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in reply.headers.items()
    ]
    if reply.media_type is not None:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
    if reply.stream is None:
        if not reply.chunked:
            length = len(reply.body) if reply.declared_length is None else reply.declared_length
            headers.append((b"content-length", str(length).encode()))
        await send({"type": f"{prefix}.start", "status": reply.status, "headers": headers})
        await send({"type": f"{prefix}.body", "body": reply.body})
        return
    await send({"type": f"{prefix}.start", "status": reply.status, "headers": headers})
    async for chunk in reply.stream:
        await send({"type": f"{prefix}.body", "body": chunk, "more_body": True})
    await send({"type": f"{prefix}.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
