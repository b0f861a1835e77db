"""The only network client: sends one request, never elsewhere than to the target, and says what came.

Nothing a target does makes ``send`` raise: silence, garbage, endless bodies and refused connections
are Failure values of the exchange. Only cancellation (Ctrl-C) passes through.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from conformance.errors import TargetFileError
from conformance.model import Credential, Exchange, Failure, Plane, Purpose, Request, Response
from conformance.sse import Parser
from conformance.target.budget import Breaker, Budget, Pacer
from conformance.target.outcome import Outcome, explain, has_body
from conformance.target.profile import Target
from conformance.target.recording import Intent, Recorder
from conformance.target.redaction import Redactor
from conformance.target.streams import Backend, Stream
from conformance.target.websocket import open_websocket
from conformance.target.wire import (
    Body,
    UnsendableError,
    join_url,
    sendable,
    shown,
    ssl_context,
)

PROBE_TIMEOUT = 10.0  # seconds of silence while the target has never answered anything
KEEP_ALIVE = 4.0  # seconds; under the 5 of common servers, so that idle connections are ours to close
MAX_EVENT_TIMES = 1000  # of one stream, kept as facts
MAX_THROTTLED = 3  # times one request is sent again after a Retry-After
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_ENCODED = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, ready: ``path`` filled in and percent-encoded, ``content`` the body bytes.

    ``needs`` names allowances (see Target.allow) without which it is not sent; ``creates`` puts its
    intent on disk before sending; ``credential_headers`` replace those of ``credential``, for keys
    made during the execution; ``timeout`` (seconds) replaces the total of the target file.
    """

    operation: str
    plane: Plane
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    credential: Credential = Credential.OWNER
    purpose: Purpose = Purpose.CANONICAL
    item: str = ""
    case: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    needs: frozenset[str] = frozenset()
    creates: bool = False
    credential_headers: tuple[tuple[str, str], ...] | None = None
    retry_throttled: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """The exchange as recorded (redacted) and, in memory only, the body as it came, for its ids."""

    exchange: Exchange
    raw: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        response = self.exchange.response
        return self.exchange.failure is None and response is not None and response.status < 300


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request with its URL checked and its headers final."""

    url: httpcore.URL
    address: str
    headers: list[tuple[bytes, bytes]]
    request: Request  # redacted


class Session:
    """One worker's share of an execution against one target. Use as ``async with``.

    ``started`` is the time.monotonic() at which the execution began: exchanges count from there.
    Raises TargetFileError when the target's certificates cannot be loaded.
    """

    def __init__(
        self,
        target: Target,
        *,
        worker: str = "0",
        workers: int = 1,
        started: float | None = None,
        recorder: Recorder | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.target = target
        self.worker = worker
        self.redactor = redactor or Redactor(target.named_secrets())
        self.recorder = recorder
        self.budget = Budget(target.budget.share(workers))
        self.breaker = Breaker()
        self.pacer = Pacer(target.pace, workers)
        self.concurrency = max(1, target.concurrency // workers)
        self._started = time.monotonic() if started is None else started
        self._count = 0
        self._slots = asyncio.Semaphore(self.concurrency)
        self._bases = dict(target.base_urls)
        self._origins = {_origin(httpx.URL(url)) for url in self._bases.values()}
        self._hosts = {plane: httpx.URL(url).netloc or b"" for plane, url in self._bases.items()}
        self._base_headers = sendable(
            [
                ("accept", "application/json, text/event-stream, */*"),
                ("accept-encoding", "gzip, deflate"),
                ("user-agent", "gateway-conformance"),
                *((name, value.reveal()) for name, value in target.headers.items()),
            ]
        )
        tls = any(url.startswith("https:") for url in self._bases.values())
        try:
            self._tls = ssl_context(target.tls, needed=tls)
        except (OSError, ValueError) as error:
            raise TargetFileError(target.source or target.name, "tls", f"cannot be loaded: {error}") from None
        self._pool = self._open_pool(tls)

    def _open_pool(self, tls: bool) -> httpcore.AsyncConnectionPool:
        limits: dict[str, Any] = {
            "ssl_context": self._tls,
            "max_connections": self.concurrency + 2,
            "max_keepalive_connections": self.concurrency + 2,
            "keepalive_expiry": KEEP_ALIVE,
            "retries": 0,
        }
        if self.target.proxy is None:
            return httpcore.AsyncConnectionPool(network_backend=Backend(plain=not tls), **limits)
        proxy = httpx.Proxy(self.target.proxy.reveal())
        return httpcore.AsyncHTTPProxy(
            proxy_url=str(proxy.url),
            proxy_auth=proxy.raw_auth,
            network_backend=Backend(plain=False),
            proxy_ssl_context=httpx.create_ssl_context(trust_env=False)
            if proxy.url.scheme == "https"
            else None,
            **limits,
        )

    async def __aenter__(self) -> Session:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pool.aclose()

    def now(self) -> float:
        """Seconds since the execution began, as precise as evidence stores them."""
        return round(time.monotonic() - self._started, 6)

    async def send(self, out: Outgoing) -> Sent:
        """Send one request and return what came of it; a throttled one is sent again in time."""
        return await self._run(out, self._attempt)

    async def websocket(self, out: Outgoing) -> Sent:
        """Open a WebSocket, take its first event as body (if one comes), close it.

        Status 101 for an open one, with facts ``websocket`` (events, close_code); a refused upgrade
        gives the status and body it was refused with.
        """
        return await self._run(out, self._upgrade)

    async def _run(self, out: Outgoing, attempt: Callable[[Outgoing, _Ready], Awaitable[Outcome]]) -> Sent:
        try:
            ready = self._ready(out)
        except UnsendableError as error:
            return self._not_sent(out, Failure.REFUSED, str(error))
        missing = self._missing(out)
        if missing:
            return self._not_sent(out, Failure.REFUSED, missing, ready)
        async with self._slots:
            for again in range(MAX_THROTTLED, -1, -1):
                await self.pacer.wait()
                held_back = self._held_back(out)
                if held_back:
                    return self._not_sent(out, *held_back, ready)
                self.budget.requests += 1
                sent, throttled = await self._once(out, ready, attempt, last=again == 0)
                if not throttled:
                    return sent
        raise AssertionError("the last attempt is never throttled")

    def _missing(self, out: Outgoing) -> str:
        if out.credential_headers is None and not self.target.has(out.credential):
            return f"the target file has no credential {out.credential.value!r}"
        needs = set(out.needs)
        if out.purpose is Purpose.METHOD:
            needs.add("undocumented-methods")
        lacking = self.target.lacking(needs)
        return f"the target file does not allow {', '.join(lacking)}" if lacking else ""

    def _held_back(self, out: Outgoing) -> tuple[Failure, str] | None:
        cleanup = out.purpose is Purpose.CLEANUP
        refusal = self.breaker.refuses(out.operation, cleanup=cleanup)
        if refusal:
            return Failure.BREAKER, refusal
        if cleanup:  # what we made is removed whatever it costs
            return None
        used_up = self.budget.used_up(self.now())
        return (Failure.BUDGET, used_up) if used_up else None

    def _ready(self, out: Outgoing) -> _Ready:
        address = join_url(self._bases[out.plane], out.path, out.query)
        try:
            url = httpx.URL(address)
            origin = _origin(url)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise UnsendableError(f"the URL cannot be sent: {error}") from None
        if origin not in self._origins:
            raise UnsendableError(f"{url.host} is none of the target's hosts")
        credential = out.credential_headers
        if credential is None:
            credential = self.target.credentials.of(out.credential)
        own = sendable(credential)
        taken = {name.lower() for name, _ in own}
        case = [(name, value) for name, value in sendable(out.headers) if name.lower() not in taken]
        taken |= {name.lower() for name, _ in case}
        headers = [(b"host", self._hosts[out.plane])]
        headers += [pair for pair in self._base_headers if pair[0].lower() not in taken]
        headers += own + case
        if out.content is not None:
            headers.append((b"content-length", str(len(out.content)).encode("ascii")))
        request = Request(
            out.method,
            self.redactor.url(str(url)),
            self.redactor.headers(shown(headers)),
            self.redactor.body(out.content or b""),
        )
        wire = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        return _Ready(wire, str(url), headers, request)

    async def _once(
        self,
        out: Outgoing,
        ready: _Ready,
        attempt: Callable[[Outgoing, _Ready], Awaitable[Outcome]],
        *,
        last: bool,
    ) -> tuple[Sent, bool]:
        self._count += 1
        identifier = f"{self.worker}-{self._count}"
        started = self.now()
        if self.recorder is not None:
            self.recorder.intent(
                Intent(identifier, out.item, out.operation, out.method, ready.request.url, started),
                flush=out.creates,
            )
        outcome = await attempt(out, ready)
        ended = self.now()
        self._note(out, outcome, started, ended)
        throttled = (
            not last
            and out.retry_throttled
            and outcome.status in (429, 503)
            and self.pacer.pause(outcome.header("retry-after"))
        )
        if throttled:
            outcome.facts["throttled"] = True
        exchange = self._exchange(out, ready.request, identifier, started, ended, outcome)
        if self.recorder is not None:
            self.recorder.outcome(exchange)
        return Sent(exchange, outcome.body), throttled

    def _note(self, out: Outgoing, outcome: Outcome, started: float, ended: float) -> None:
        if outcome.status or outcome.failure in (Failure.BROKEN, None):
            self.breaker.success(out.operation)
        elif outcome.failure in (Failure.CONNECT, Failure.TIMEOUT):
            connect = outcome.failure is Failure.CONNECT
            self.breaker.failure(out.operation, outcome.detail, connect=connect, started=started, now=ended)
        if outcome.body:
            self.budget.count_tokens(outcome.media_type, outcome.body)

    def _exchange(
        self, out: Outgoing, request: Request, identifier: str, started: float, ended: float, outcome: Outcome
    ) -> Exchange:
        redactor = self.redactor
        response = None
        if outcome.status:
            redactor.learn_from(outcome.body)
            response = Response(
                outcome.status, redactor.headers(outcome.headers), redactor.body(outcome.body), outcome.http
            )
        return Exchange(
            id=identifier,
            item=out.item,
            operation=out.operation,
            purpose=out.purpose,
            credential=out.credential,
            request=request,
            started=started,
            ended=ended,
            response=response,
            failure=outcome.failure,
            detail=redactor.text(outcome.detail),
            case=out.case,
            facts={**out.facts, **outcome.facts} if outcome.facts else out.facts,
        )

    def _not_sent(self, out: Outgoing, failure: Failure, detail: str, ready: _Ready | None = None) -> Sent:
        self._count += 1
        now = self.now()
        if ready is not None:
            request = ready.request
        else:
            url = self.redactor.url(f"{self._bases[out.plane]}{out.path}")
            request = Request(out.method, url, (), self.redactor.body(out.content or b""))
        outcome = Outcome(failure=failure, detail=detail)
        exchange = self._exchange(out, request, f"{self.worker}-{self._count}", now, now, outcome)
        if self.recorder is not None:
            self.recorder.outcome(exchange)
        return Sent(exchange)

    async def _attempt(self, out: Outgoing, ready: _Ready) -> Outcome:
        outcome = await self._request(out, ready)
        unanswered = outcome.failure is Failure.BROKEN and not outcome.status and not outcome.connected
        if unanswered and out.method.upper() in _IDEMPOTENT:
            # A kept connection that the server closed as we wrote: RFC 9110, 9.2.2 lets us ask again.
            outcome = await self._request(out, ready)
            outcome.facts["resent"] = True
        return outcome

    async def _request(self, out: Outgoing, ready: _Ready) -> Outcome:
        outcome = Outcome()
        times = self.target.timeouts
        silence = times.read if self.breaker.answered else min(times.read, PROBE_TIMEOUT)
        total = out.timeout or times.total
        if not self.breaker.answered:
            total = min(total, times.connect + PROBE_TIMEOUT)

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.started":
                outcome.connected = True

        request = httpcore.Request(
            out.method,
            ready.url,
            headers=ready.headers,
            content=out.content or b"",
            extensions={
                "timeout": {"connect": times.connect, "read": silence, "write": silence, "pool": total},
                "trace": trace,
            },
        )
        try:
            async with asyncio.timeout(total) as deadline:
                await self._exchange_bytes(request, out, outcome, deadline)
        except Exception as error:
            explain(error, outcome, total)
        if outcome.read is not None:
            outcome.body = outcome.read.content
        return outcome

    async def _exchange_bytes(
        self, request: httpcore.Request, out: Outgoing, outcome: Outcome, deadline: asyncio.Timeout
    ) -> None:
        response = await self._pool.handle_async_request(request)
        try:
            outcome.headers = shown(response.headers)
            outcome.http = str(response.extensions.get("http_version", b"HTTP/1.1"), "latin-1")
            outcome.status = response.status
            body = outcome.read = Body(outcome.header("content-encoding"), self.target.max_body_bytes)
            events = outcome.media_type == "text/event-stream"
            longest = self.target.timeouts.stream if events else self.target.timeouts.total
            deadline.reschedule(asyncio.get_running_loop().time() + (out.timeout or longest))
            chunks, parser, times = 0, Parser(), list[float]()
            async for chunk in response.aiter_stream():
                if events and chunk:
                    outcome.facts.setdefault("first_byte", self.now())
                    chunks += 1
                    if len(times) < MAX_EVENT_TIMES and not outcome.header("content-encoding"):
                        times += [round(self.now(), 4)] * len(parser.feed(chunk))
                body.feed(chunk)
            if events:
                outcome.facts["chunks"] = chunks
                outcome.facts["event_times"] = times[:MAX_EVENT_TIMES]
            stream = response.extensions.get("network_stream")
            if isinstance(stream, Stream) and has_body(out.method, outcome):
                chunked = outcome.header("transfer-encoding")
                length = None if chunked else outcome.header("content-length")
                if not stream.ends_with(int(length) if length else None):
                    outcome.facts["bytes_behind_body"] = True
            body.finish()
        finally:
            await response.aclose()

    async def _upgrade(self, out: Outgoing, ready: _Ready) -> Outcome:
        times = self.target.timeouts
        silence = times.read if self.breaker.answered else min(times.read, PROBE_TIMEOUT)
        outcome = Outcome()
        names = (b"host", b"content-length", b"accept-encoding")
        try:
            async with asyncio.timeout(out.timeout or times.total):
                opened = await open_websocket(
                    ready.address,
                    headers=[pair for pair in shown(ready.headers) if pair[0].lower().encode() not in names],
                    tls=self._tls if ready.url.scheme == b"https" else None,
                    proxy=self.target.proxy.reveal() if self.target.proxy else None,
                    open_timeout=min(silence, times.connect + silence),
                    read_timeout=silence,
                    max_bytes=self.target.max_body_bytes,
                )
        except Exception as error:
            explain(error, outcome, out.timeout or times.total)
            return outcome
        outcome.status, outcome.headers, outcome.body = opened.status, opened.headers, opened.body
        if opened.status == 101:
            outcome.facts["websocket"] = {"events": opened.events, "close_code": opened.close_code}
        return outcome


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    port = url.port or (443 if url.scheme == "https" else 80)
    return url.scheme, url.raw_host.lower(), port
