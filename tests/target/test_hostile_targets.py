"""Everything a target may do to a client: it becomes a failure with a reason, soon, and never raises."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import zlib
from typing import Any

import pytest
from loopback import Handler, always, answer, request, run, send, serving, target_of, unused_port

from conformance.model import NOT_SENT, Failure, Purpose
from conformance.target import Sent, Session
from conformance.target.budget import FIRST_ANSWER_WITHIN


def _hang(connection: socket.socket, _: bytes) -> None:
    time.sleep(30)


def _trickle(connection: socket.socket, _: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    while True:
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.05)


def _trickle_head(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x-more: 1\r\n")
        time.sleep(0.05)


def _flood(connection: socket.socket, _: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def _endless_header(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        connection.sendall(b"x" * 65536)


def _stop_in_body(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    time.sleep(30)


def _reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


_HALF = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
_CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_BOMB = gzip.compress(b"0" * 50_000_000)


@pytest.mark.parametrize(
    ("handler", "failure", "status"),
    [
        (_hang, Failure.TIMEOUT, None),
        (_trickle, Failure.ENDLESS, 200),
        (_trickle_head, Failure.TIMEOUT, None),
        (_flood, Failure.ENDLESS, 200),
        (_endless_header, Failure.BROKEN, None),
        (_stop_in_body, Failure.TIMEOUT, 200),
        (_reset, Failure.BROKEN, None),
        (always(b"", close=True), Failure.BROKEN, None),
        (always(b"no HTTP at all\r\n\r\n"), Failure.BROKEN, None),
        (always(b"HTTP/1.1 999999 what\r\n\r\n"), Failure.BROKEN, None),
        (always(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), Failure.BROKEN, None),
        (always(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), Failure.BROKEN, None),
        (
            always(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
            Failure.BROKEN,
            None,
        ),
        (always(_HALF, close=True), Failure.TRUNCATED, 200),
        (always(_CHUNK + b"5\r\nab", close=True), Failure.TRUNCATED, 200),
        (always(_CHUNK + b"zz\r\nab\r\n"), Failure.BROKEN, 200),
        (always(answer(_BOMB, extra=("content-encoding: gzip",))), Failure.ENDLESS, 200),
        (always(answer(b"not gzip", extra=("content-encoding: gzip",))), Failure.BROKEN, 200),
        (
            always(answer(gzip.compress(b"x" * 99)[:-9], extra=("content-encoding: gzip",))),
            Failure.TRUNCATED,
            200,
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_it_does_is_named(handler: Handler, failure: Failure, status: int | None) -> None:
    """Each trick ends within seconds, under its own failure, with the status if there was one."""
    began = time.monotonic()
    with serving(handler) as server:
        (sent,) = send(target_of(server.url, max_body_bytes=1_000_000), request())
    exchange = sent.exchange
    assert time.monotonic() - began < 5
    assert exchange.failure is failure, exchange.detail
    assert exchange.detail
    assert "\n" not in exchange.detail
    assert (exchange.response.status if exchange.response else None) == status
    assert len(sent.raw) <= 1_000_000


def test_a_closed_port_is_no_connection() -> None:
    """Nobody listening is CONNECT, at once."""
    (sent,) = send(target_of(f"http://127.0.0.1:{unused_port()}/v1"), request())
    assert sent.exchange.failure is Failure.CONNECT
    assert sent.exchange.detail == "Connection refused"
    assert sent.exchange.response is None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "identity", "two members"])
def test_honest_codings_are_undone(coding: str) -> None:
    """A coded body arrives as what it was; judged is the text, not its packing."""
    plain = b'{"object": "list"}' * 50
    packed = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": zlib.compress(plain, wbits=-15),
        "identity": plain,
        "two members": gzip.compress(plain[:7]) + gzip.compress(plain[7:]),
    }[coding]
    name = {"raw deflate": "deflate", "two members": "gzip"}.get(coding, coding)
    with serving(always(answer(packed, extra=(f"content-encoding: {name}",)))) as server:
        (sent,) = send(target_of(server.url), request())
    assert sent.exchange.failure is None
    assert sent.raw == plain
    assert sent.exchange.response is not None
    assert sent.exchange.response.body == plain


def test_html_everywhere_is_an_answer() -> None:
    """A page instead of JSON is a response to judge, no failure of the exchange."""
    with serving(always(answer(b"<html></html>", media="text/html"))) as server:
        sent = send(target_of(server.url), *[request() for _ in range(12)])
    assert {one.exchange.failure for one in sent} == {None}
    assert {one.exchange.response.media_type for one in sent if one.exchange.response} == {"text/html"}


def _many(count: int, **changes: Any) -> Any:
    async def scenario(session: Session) -> list[Sent]:
        return await asyncio.gather(
            *(session.send(request(operation=f"operation{number % 5}", **changes)) for number in range(count))
        )

    return scenario


def test_a_closed_port_opens_the_breaker() -> None:
    """After eight refusals in a row nothing more is sent, and each request says why."""
    found = run(target_of(f"http://127.0.0.1:{unused_port()}/v1"), _many(200))
    failures = [one.exchange.failure for one in found]
    assert 8 <= failures.count(Failure.CONNECT) <= 16
    assert failures.count(Failure.BREAKER) == 200 - failures.count(Failure.CONNECT)
    assert "in a row" in found[-1].exchange.detail


def test_a_silent_port_costs_one_timeout() -> None:
    """A port that accepts and never answers ends a smoke execution by one probe's patience."""
    began = time.monotonic()
    with serving(_hang) as server:
        found = run(target_of(server.url), _many(300))
    assert time.monotonic() - began < 6
    assert {one.exchange.failure for one in found} == {Failure.TIMEOUT, Failure.BREAKER}
    assert len(server.requests) <= 16


def test_patience_with_a_target_that_never_answered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generous timeouts hold only once the target has answered something; before, silence is cut."""
    monkeypatch.setattr("conformance.target.session.PROBE_TIMEOUT", 0.3)
    patient = {"connect": 1, "read": 600, "total": 600, "stream": 600}
    assert FIRST_ANSWER_WITHIN < 30
    with serving(_hang) as server:
        began = time.monotonic()
        (sent,) = send(target_of(server.url, timeouts=patient), request())
    assert sent.exchange.failure is Failure.TIMEOUT
    assert time.monotonic() - began < 2


def _slow_images(connection: socket.socket, message: bytes) -> None:
    if b"/images" in message:
        time.sleep(30)
    connection.sendall(answer())


def test_one_slow_operation_does_not_silence_the_others() -> None:
    """Timeouts of a single operation close that operation; the rest of the target is still judged."""

    async def scenario(session: Session) -> list[Sent]:
        await session.send(request())
        slow = [session.send(request(operation="createImage", path="/images")) for _ in range(40)]
        found = await asyncio.gather(*slow)
        return [*found, await session.send(request())]

    with serving(_slow_images) as server:
        found = run(target_of(server.url, timeouts={"connect": 1, "read": 0.4, "total": 1}), scenario)
    failures = [one.exchange.failure for one in found]
    assert failures[-1] is None
    assert 8 <= failures.count(Failure.TIMEOUT) <= 16
    assert failures.count(Failure.BREAKER) == 40 - failures.count(Failure.TIMEOUT)


def test_cleanup_is_still_tried_through_an_open_breaker() -> None:
    """What we made is asked to be removed a few times even of a target that looks dead."""

    async def scenario(session: Session) -> list[Sent]:
        await _many(20)(session)
        cleanup = request(method="DELETE", purpose=Purpose.CLEANUP)
        return [await session.send(cleanup) for _ in range(5)]

    found = run(target_of(f"http://127.0.0.1:{unused_port()}/v1"), scenario)
    assert [one.exchange.failure for one in found] == [Failure.CONNECT] * 3 + [Failure.BREAKER] * 2


def test_a_stale_kept_connection_is_asked_again_once() -> None:
    """A reused connection that closes without an answer is our race to lose: one more try, if harmless."""

    def once_per_connection(connection: socket.socket, message: bytes) -> None:
        seen = getattr(once_per_connection, "seen", set())
        key = connection.getpeername()
        once_per_connection.seen = seen | {key}  # type: ignore[attr-defined]
        if key in seen:
            connection.close()
        else:
            connection.sendall(answer())

    with serving(once_per_connection) as server:
        first, again, post = send(
            target_of(server.url), request(), request(), request(method="POST", content=b"{}")
        )
    assert first.exchange.failure is None
    assert again.exchange.failure is None
    assert again.exchange.facts["resent"] is True
    assert post.exchange.failure is Failure.BROKEN
    assert sum(message.startswith(b"POST") for message in server.requests) == 1


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every address that the socket layer is asked to connect to."""
    seen: list[tuple[str, int]] = []
    direct = socket.socket.connect
    loop = asyncio.SelectorEventLoop
    original = loop.sock_connect

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        seen.append(address[:2])
        await original(self, sock, address)

    def connect(self: socket.socket, address: Any) -> None:
        seen.append(address[:2])
        direct(self, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


def test_no_request_leaves_the_named_hosts(addresses: list[tuple[str, int]], monkeypatch: Any) -> None:
    """Redirects, proxies of the environment, hosts in paths and headers: none leads a byte elsewhere."""
    with serving(always(answer())) as elsewhere:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{elsewhere.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{elsewhere.port}")
        away = f"location: http://127.0.0.1:{elsewhere.port}/v1/models"
        with serving(always(answer(status="307 Moved", extra=(away,)))) as server:

            async def scenario(session: Session) -> list[Sent]:
                return [
                    await session.send(request()),
                    await session.send(request(path=f"/..//127.0.0.1:{elsewhere.port}/x")),
                    await session.send(request(path=f"//127.0.0.1:{elsewhere.port}/x")),
                    await session.send(request(path=f"@127.0.0.1:{elsewhere.port}/x")),
                    await session.send(request(path=f":{elsewhere.port}/x")),
                    await session.send(request(headers=(("Host", f"127.0.0.1:{elsewhere.port}"),))),
                    await session.send(request(headers=(("x-portkey-custom-host", "http://127.0.0.1:1"),))),
                    await session.websocket(request(path="/realtime")),
                ]

            found = run(target_of(server.url), scenario)
            assert {port for _, port in addresses} == {server.port}
            assert not elsewhere.connections
            assert [one.exchange.failure for one in found].count(Failure.REFUSED) == 2
            assert found[0].exchange.response is not None
            assert found[0].exchange.response.status == 307
            assert found[-1].exchange.response is not None
            assert found[-1].exchange.response.status == 307
            assert all(f"127.0.0.1:{server.port}".encode() in one for one in server.requests)


def test_a_root_base_url_is_no_way_out(addresses: list[tuple[str, int]]) -> None:
    """Where the base URL has no path, a path that looks like a host is still a path."""
    with serving(always(answer())) as server:
        target = target_of(f"http://127.0.0.1:{server.port}")
        paths = [
            "//evil.example/x",
            "@evil.example/x",
            ".evil.example/x",
            "/\\evil.example",
            "/http://evil.example",
        ]
        found = send(target, *[request(path=path) for path in paths])
    assert {port for _, port in addresses} <= {server.port}
    assert all(one.exchange.failure in (None, *NOT_SENT) for one in found)


def test_bytes_behind_an_answer_are_not_the_next_answer() -> None:
    """A target that says more than its length cannot plant an answer for another request."""
    planted = answer(b'{"planted": true}')

    def handle(connection: socket.socket, message: bytes) -> None:
        connection.sendall(answer() + planted if b"/first" in message else answer(b'{"honest": true}'))

    async def scenario(session: Session) -> list[Sent]:
        first = await session.send(request(path="/first"))
        await asyncio.sleep(0.05)
        return [first, await session.send(request(path="/second"))]

    with serving(handle) as server:
        first, second = run(target_of(server.url), scenario)
    assert first.exchange.facts["bytes_behind_body"] is True
    assert "bytes_behind_body" not in second.exchange.facts
    assert second.raw == b'{"honest": true}'


_CHUNKED = _CHUNK + b"2\r\n{}\r\n0\r\n"


@pytest.mark.parametrize(
    "content",
    [
        answer(b""),
        answer(b"x" * 300_000),
        answer(b"{}\r\n\r\n"),
        answer(b"{}").replace(b"\r\n", b"\n"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer(),
        _CHUNKED + b"\r\n",
        _CHUNKED + b"x-trailer: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_honest_ends_are_not_taken_for_more(content: bytes) -> None:
    """Every legal way to end a body keeps the connection and raises no suspicion."""
    with serving(always(content)) as server:
        found = send(target_of(server.url), *[request() for _ in range(3)])
        assert server.connections == 1
    assert {one.exchange.failure for one in found} == {None}
    assert not any("bytes_behind_body" in one.exchange.facts for one in found)


def test_a_target_that_never_reads_does_not_hold_us() -> None:
    """A large upload nobody takes is a timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        (sent,) = send(target_of(url), request(method="POST", content=b"x" * 20_000_000))
    assert sent.exchange.failure is Failure.TIMEOUT


def test_an_early_refusal_of_a_large_upload_is_heard() -> None:
    """A target may answer and hang up before it took the whole body; its answer counts."""

    def accept(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(answer(b'{"error": {}}', status="413 Too large", extra=("connection: close",)))
        connection.shutdown(socket.SHUT_WR)
        time.sleep(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        (sent,) = send(target_of(url), request(method="POST", content=b"x" * 3_000_000))
    assert sent.exchange.response is not None, sent.exchange.detail
    assert sent.exchange.response.status == 413


def test_a_large_upload_arrives_whole() -> None:
    """Several megabytes go out and come in unchanged."""
    content = bytes(range(256)) * 20_000
    with serving(always(answer())) as server:
        (sent,) = send(target_of(server.url), request(method="POST", content=content))
        assert server.requests[0].endswith(content)
    assert sent.ok
