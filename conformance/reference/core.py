"""The parts every behaviour of the reference gateway shares: calls, answers, tenants, handlers.

The reference gateway imports nothing of the suite; it only reads the files under ``specs/``.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]


class Refusal(Exception):
    """An honest 4xx: becomes the error body of the operation's plane."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})


def not_found(what: str, identifier: str) -> Refusal:
    return Refusal(404, f"No {what} found with id '{identifier}'.", code="not_found")


@dataclass
class Answer:
    """A response: ``body`` is JSON unless ``media_type`` says otherwise (then bytes or text)."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass
class EventStream:
    """Server-sent events: pairs of event name (None for data-only) and data (JSON value or raw text)."""

    events: AsyncIterator[tuple[str | None, Any]]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Upload:
    """One uploaded file of a multipart body."""

    filename: str
    content_type: str
    content: bytes


@dataclass
class ApiKey:
    """A credential of a tenant. ``scopes`` empty means everything."""

    value: str
    tenant: Tenant
    name: str
    scopes: frozenset[str] = frozenset()
    revoked: bool = False


@dataclass
class Tenant:
    """One organisation: nothing of it is visible to another. Collections keep insertion order."""

    id: str
    name: str
    collections: dict[str, dict[str, Record]] = field(default_factory=dict)

    def of(self, collection: str) -> dict[str, Record]:
        """The records of a collection by id; made on first use."""
        return self.collections.setdefault(collection, {})

    def get(self, collection: str, identifier: str, what: str | None = None) -> Record:
        """The record, or an honest 404."""
        record = self.of(collection).get(identifier)
        if record is None:
            raise not_found(what or collection.rstrip("s").replace("_", " "), identifier)
        return record


@dataclass
class Call:
    """One request that passed authentication and validation.

    ``path`` and ``query`` hold decoded values (query typed by its schema), ``body`` the parsed
    JSON or, for multipart, a mapping whose files are ``Upload`` values.
    """

    operation: str
    method: str
    path: dict[str, str]
    query: dict[str, Any]
    headers: Mapping[str, str]
    body: Any
    tenant: Tenant
    key: ApiKey
    gateway: Gateway

    def fault(self, name: str) -> bool:
        """Whether the gateway was told to show this fault (everywhere, or on this operation)."""
        return self.gateway.faulty(name, self.operation)


Handler = Callable[[Call], Any]  # returns Answer, EventStream, or a JSON value for 200
HANDLERS: dict[str, Handler] = {}

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Socket = Callable[[Call, Receive, Send], Awaitable[None]]
SOCKETS: dict[str, Socket] = {}  # operationId → behaviour of an upgraded connection (ASGI messages)


def handles(*operations: str) -> Callable[[Handler], Handler]:
    """Register the behaviour of one or more operations, by operationId."""

    def register(handler: Handler) -> Handler:
        for operation in operations:
            if operation in HANDLERS:
                raise ValueError(f"two behaviours for {operation}")
            HANDLERS[operation] = handler
        return handler

    return register


@dataclass
class Gateway:
    """The whole state of one reference gateway."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    faults: frozenset[str] = frozenset()  # "name" or "name@operation"
    speed: float = 1.0  # how fast timed transitions go; 0 makes them immediate
    latency: float = 0.0  # seconds added before each answer
    router: Any = None  # routing.Router of the contract, once an application serves it

    def faulty(self, name: str, operation: str) -> bool:
        """Whether a fault is on for an operation: as ``name`` or as ``name@operation``."""
        faults = self.faults
        return bool(faults) and (name in faults or f"{name}@{operation}" in faults)

    def now(self) -> int:
        """Unix time in whole seconds, as the contract writes it."""
        return int(time.time())


def new_id(prefix: str) -> str:
    """A fresh id such as ``thread_…`` (the prefix includes its separator)."""
    return prefix + secrets.token_hex(12)


def new_uuid() -> str:
    return str(uuid.uuid4())


def iso(timestamp: float | None = None) -> str:
    """RFC 3339 in UTC with milliseconds, as the control plane writes times."""
    at = time.time() if timestamp is None else timestamp
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"


def cursor_page(records: list[Record], query: Mapping[str, Any], *, default_limit: int = 20) -> Record:
    """``limit/order/after/before`` over records in creation order → the list envelope.

    An unknown cursor is an honest 400, as the contract's lists have no other way to say so.
    """
    ordered = list(records)
    if query.get("order", "desc") == "desc":
        ordered.reverse()
    ids = [record["id"] for record in ordered]
    for name in ("after", "before"):
        cursor = query.get(name)
        if cursor is not None and cursor not in ids:
            raise Refusal(400, f"No object found with id '{cursor}'.", param=name, code="invalid_cursor")
    limit = int(query.get("limit", default_limit))
    start, end = 0, len(ordered)
    if query.get("after") is not None:
        start = ids.index(query["after"]) + 1
    if query.get("before") is not None:
        end = min(end, ids.index(query["before"]))
    window = ordered[start:end]
    before_only = query.get("before") is not None and query.get("after") is None
    page = window[-limit:] if before_only else window[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(window) > len(page),
    }
