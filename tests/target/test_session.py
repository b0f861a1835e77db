"""The session: what goes out is what was asked, within the target's limits, and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import OWNER, always, answer, request, run, send, serving, target_of
from websockets.sync.server import ServerConnection, serve

from conformance.model import Credential, Failure, Plane, Purpose
from conformance.target import Recorder, Sent, Session, read_evidence
from conformance.target.wire import sendable


def test_a_request_goes_out_as_asked() -> None:
    """Method, path, encoded query, headers, credential and body arrive as given; the host is ours."""
    with serving(always(answer())) as server:
        send(
            target_of(server.url, headers={"x-tenant": "blue"}),
            request(
                method="POST",
                path="/a%2Fb",
                query=(("q", "ä & b"), ("q", "2")),
                headers=(("content-type", "application/json"), ("OpenAI-Beta", "assistants=v2")),
                content=b'{"a": 1}',
            ),
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/a%2Fb?q=%C3%A4%20%26%20b&q=2 HTTP/1.1"
    assert body == b'{"a": 1}'
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["x-portkey-api-key"] == OWNER
    assert headers["x-tenant"] == "blue"
    assert headers["openai-beta"] == "assistants=v2"


def test_each_credential_sends_its_own_headers() -> None:
    """Absent sends none, another its own; a case cannot overwrite them; one not configured is not sent."""
    with serving(always(answer())) as server:
        target = target_of(
            server.url, credentials={"owner": {"key": OWNER}, "other": {"authorization": "Bearer pk-other"}}
        )
        sent = send(
            target,
            request(credential=Credential.ABSENT),
            request(credential=Credential.OTHER),
            request(headers=(("X-Portkey-Api-Key", "nonsense"),)),
            request(credential_headers=(("x-portkey-api-key", "made-just-now-1234"),)),
            request(credential=Credential.NARROW),
        )
    assert b"pk-" not in server.requests[0]
    assert b"Bearer pk-other" in server.requests[1]
    assert b"nonsense" not in server.requests[2]
    assert b"made-just-now-1234" in server.requests[3]
    assert OWNER.encode() not in server.requests[3]
    assert sent[4].exchange.failure is Failure.REFUSED
    assert "narrow" in sent[4].exchange.detail
    assert len(server.requests) == 4


def test_planes_have_their_own_base() -> None:
    """The public plane lies at the root of the data plane unless the file says otherwise."""
    with serving(always(answer())) as server:
        target = target_of(server.url, control_url=f"http://localhost:{server.port}/admin/v1")
        send(target, *[request(plane=plane) for plane in Plane])
    assert [one.split(b" ")[1] for one in server.requests] == [b"/v1/models", b"/admin/v1/models", b"/models"]


def test_what_is_not_allowed_is_not_sent() -> None:
    """Without the allowance a costly operation or a foreign method never reaches the socket."""
    costly, foreign = request(needs=frozenset({"cost"})), request(purpose=Purpose.METHOD, method="PATCH")
    with serving(always(answer())) as server:
        refused = send(target_of(server.url), costly, foreign)
        assert not server.requests
        allowed = send(target_of(server.url, allow=["cost", "undocumented-methods"]), costly, foreign)
    assert [one.exchange.failure for one in refused] == [Failure.REFUSED] * 2
    assert "cost" in refused[0].exchange.detail
    assert [one.exchange.failure for one in allowed] == [None] * 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=5))
def test_no_header_stops_a_request(headers: list[tuple[str, str]]) -> None:
    """Whatever text a case puts into headers, what is left of it is legal for the HTTP library."""
    import h11

    found = sendable(headers)
    h11.Request(method="GET", target="/", headers=[("host", "x"), *found])
    assert not {name.lower() for name, _ in found} & {b"host", b"content-length", b"transfer-encoding"}


@pytest.mark.parametrize("value", ["Bearer ", "a\r\nx-evil: 1", "\0", "käse", "日本", " ", "a\tb"])
def test_awkward_header_values_do_go_out(value: str) -> None:
    """A value the library would refuse is mended, not lost with its request, and injects nothing."""
    with serving(always(answer())) as server:
        (sent,) = send(target_of(server.url), request(headers=(("x-odd", value),)))
    assert sent.exchange.failure is None
    assert b"\r\nx-evil" not in server.requests[0]
    assert b"x-odd:" in server.requests[0]


def test_text_that_no_url_can_hold_is_refused_with_a_reason() -> None:
    """A path the client cannot send is REFUSED in one line; surrogates in a query still go out."""
    with serving(always(answer())) as server:
        odd, long, lone = send(
            target_of(server.url),
            request(path="/\n"),
            request(path="/" + "x" * 70_000),
            request(query=(("a", "\ud800"),)),
        )
    assert odd.exchange.failure is Failure.REFUSED
    assert long.exchange.failure is Failure.REFUSED
    assert len(long.exchange.detail) < 600
    assert lone.exchange.failure is None


def test_the_budget_of_requests_is_kept() -> None:
    """Once used up nothing but cleanup goes out, and the exchange says which budget."""
    with serving(always(answer())) as server:
        found = send(
            target_of(server.url, budget={"requests": 3}),
            *[request() for _ in range(5)],
            request(method="DELETE", purpose=Purpose.CLEANUP),
        )
    assert [one.exchange.failure for one in found] == [None] * 3 + [Failure.BUDGET] * 2 + [None]
    assert "3 requests" in found[3].exchange.detail
    assert len(server.requests) == 4


def test_the_budget_of_tokens_counts_what_was_spent() -> None:
    """Reported usage is summed; the same object polled twice counts once."""
    usage = json.dumps({"id": "run_1", "usage": {"total_tokens": 60}}).encode()
    with serving(always(answer(usage))) as server:
        same = send(target_of(server.url, budget={"tokens": 100}), *[request() for _ in range(4)])
    assert [one.exchange.failure for one in same] == [None] * 4
    with serving(always(answer(b'{"usage": {"total_tokens": 60}}'))) as server:
        more = send(target_of(server.url, budget={"tokens": 100}), *[request() for _ in range(4)])
    assert [one.exchange.failure for one in more] == [None, None, Failure.BUDGET, Failure.BUDGET]


def test_the_budget_of_seconds_ends_the_sending() -> None:
    """After the last second of the budget nothing is sent."""

    async def scenario(session: Session) -> list[Sent]:
        before = await session.send(request())
        await asyncio.sleep(0.3)
        return [before, await session.send(request())]

    with serving(always(answer())) as server:
        found = run(target_of(server.url, budget={"seconds": 0.25}), scenario)
    assert [one.exchange.failure for one in found] == [None, Failure.BUDGET]


def test_workers_share_the_budget_and_the_concurrency() -> None:
    """Two workers of one target get half each."""
    target = target_of("http://127.0.0.1:1/v1", budget={"requests": 9}, concurrency=8)
    assert target.budget.share(2).requests == 5

    async def scenario(session: Session) -> int:
        return session.concurrency

    assert run(target, scenario, workers=2) == 4
    assert run(target, scenario, workers=20) == 1


def test_no_more_requests_at_once_than_the_concurrency() -> None:
    """A target never has more open requests than the file allows."""
    lock, state = threading.Lock(), {"now": 0, "most": 0}

    def slow(connection: socket.socket, _: bytes) -> None:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        time.sleep(0.02)
        with lock:
            state["now"] -= 1
        connection.sendall(answer())

    async def scenario(session: Session) -> Any:
        return await asyncio.gather(*(session.send(request()) for _ in range(30)))

    with serving(slow) as server:
        found = run(target_of(server.url, concurrency=3), scenario)
    assert {one.exchange.failure for one in found} == {None}
    assert state["most"] == 3
    assert server.connections <= 3


def test_the_rate_is_kept() -> None:
    """Twenty a second means that eleven requests take half a second."""
    began = time.monotonic()
    with serving(always(answer())) as server:
        send(target_of(server.url, rate={"per_second": 20}), *[request() for _ in range(11)])
    assert time.monotonic() - began >= 0.45


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    """A throttled request is sent again when the target said so; both attempts are evidence."""
    times: list[float] = []

    def throttle(connection: socket.socket, _: bytes) -> None:
        times.append(time.monotonic())
        busy = answer(status="429 Slow down", extra=("retry-after: 0.3",))
        connection.sendall(busy if len(times) == 1 else answer())

    with serving(throttle) as server, Recorder(tmp_path / "evidence-0.jsonl") as recorder:
        (sent,) = send(target_of(server.url), request(), recorder=recorder)
    first, second = read_evidence([recorder.path])
    assert sent.ok
    assert times[1] - times[0] >= 0.29
    assert first.facts["throttled"] is True
    assert "throttled" not in second.facts
    assert second == sent.exchange


@pytest.mark.parametrize("retry_after", ["3600", "never", "-1", "1e9", ""])
def test_a_wait_beyond_the_bounds_is_not_granted(retry_after: str) -> None:
    """The answer stands when its wait is absurd; a hostile target cannot stall the execution."""
    began = time.monotonic()
    busy = answer(status="429 Slow down", extra=(f"retry-after: {retry_after}",))
    with serving(always(busy)) as server:
        (sent,) = send(target_of(server.url), request())
    assert sent.exchange.response is not None
    assert sent.exchange.response.status == 429
    assert time.monotonic() - began < 1


def test_all_waits_together_are_bounded() -> None:
    """A target that always says "in a moment" is soon taken at its word."""
    began = time.monotonic()
    busy = answer(status="503 Busy", extra=("retry-after: 0.2",))
    with serving(always(busy)) as server:
        target = target_of(server.url, rate={"max_total_wait": 0.5})
        found = send(target, *[request() for _ in range(10)])
    assert time.monotonic() - began < 2
    assert {one.exchange.response.status for one in found if one.exchange.response} == {503}
    assert len(server.requests) < 15


def test_a_stream_shows_when_its_first_byte_came() -> None:
    """The facts of an event stream tell a stream from a body that was collected first."""

    def stream(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number in range(3):
            connection.sendall(f"data: {number}\n\n".encode())
            time.sleep(0.1)
        connection.close()

    with serving(stream) as server:
        (sent,) = send(target_of(server.url), request())
    exchange = sent.exchange
    assert exchange.failure is None
    assert sent.raw == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert exchange.facts["chunks"] == 3
    times = exchange.facts["event_times"]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 0.1, "events that came apart must show times apart"
    assert exchange.facts["first_byte"] - exchange.started < 0.1
    assert exchange.ended - exchange.facts["first_byte"] >= 0.2


def test_connections_are_kept() -> None:
    """Requests in a row share a connection."""
    with serving(always(answer())) as server:
        send(target_of(server.url), *[request() for _ in range(20)])
    assert server.connections == 1


def _websocket_server(handler: Any) -> Any:
    server = serve(handler, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_websocket_opens_shows_its_first_event_and_closes() -> None:
    """GET /realtime: status 101, the first event as body, a clean close; the key goes along."""
    keys = []

    def realtime(connection: ServerConnection) -> None:
        assert connection.request is not None
        keys.append(connection.request.headers["x-portkey-api-key"])
        connection.send('{"type": "session.created"}')
        for _ in connection:
            pass

    server = _websocket_server(realtime)
    port = server.socket.getsockname()[1]

    async def scenario(session: Session) -> Sent:
        return await session.websocket(request(path="/realtime", query=(("model", "m"),)))

    sent = run(target_of(f"http://127.0.0.1:{port}/v1"), scenario)
    server.shutdown()
    exchange = sent.exchange
    assert exchange.failure is None, exchange.detail
    assert exchange.response is not None
    assert exchange.response.status == 101
    assert exchange.response.body == b'{"type": "session.created"}'
    assert exchange.facts["websocket"] == {"events": 1, "close_code": 1000}
    assert keys == [OWNER]


def test_a_refused_upgrade_shows_its_status() -> None:
    """An HTTP answer to the upgrade is that answer; nonsense is BROKEN."""

    async def scenario(session: Session) -> Sent:
        return await session.websocket(request(path="/realtime"))

    with serving(always(answer(b'{"error": 1}', status="401 No"))) as server:
        refused = run(target_of(server.url), scenario)
    with serving(always(b"HTTP/1.1 101 Switching\r\n\r\n")) as server:
        nonsense = run(target_of(server.url), scenario)
    assert refused.exchange.response.status == 401
    assert refused.exchange.failure is None
    assert nonsense.exchange.failure is Failure.BROKEN


def test_exchanges_are_numbered_and_timed() -> None:
    """Ids carry the worker; times count from the start of the execution and never run backwards."""

    async def main() -> list[Sent]:
        started = time.monotonic() - 5
        async with Session(target, worker="gw1", started=started) as session:
            return [await session.send(request()) for _ in range(3)]

    with serving(always(answer())) as server:
        target = target_of(server.url)
        found = [one.exchange for one in asyncio.run(main())]
    assert [one.id for one in found] == ["gw1-1", "gw1-2", "gw1-3"]
    moments = [moment for one in found for moment in (one.started, one.ended)]
    assert moments == sorted(moments)
    assert 5 <= moments[0] < 10


def test_the_owners_key_is_nowhere_in_what_is_returned_or_stored(tmp_path: Path) -> None:
    """Echoed, encoded, in errors and in URLs: the evidence shows placeholders only; ``raw`` is ours."""
    body = json.dumps(
        {"key": "sk-made-by-the-target-42", "echo": OWNER, "max_tokens": 7, "passed": True}
    ).encode()
    with serving(always(answer(body, extra=(f"x-echo: {OWNER}", "set-cookie: s=abcdef; Path=/")))) as server:
        recorder = Recorder(tmp_path / "evidence-0.jsonl")
        found = send(
            target_of(server.url),
            request(method="POST", query=(("token", OWNER),), content=OWNER.encode()),
            request(content=b"again sk-made-by-the-target-42"),
            recorder=recorder,
        )
        recorder.close()
    stored = recorder.path.read_text()
    for secret in (OWNER, "sk-made-by-the-target-42", "abcdef;"):
        assert secret not in stored
        assert secret not in repr(found)
    assert b"sk-made-by-the-target-42" in found[0].raw
    assert '\\"max_tokens\\": 7, \\"passed\\": true' in stored
    assert found == [
        replace(one, exchange=again) for one, again in zip(found, read_evidence([recorder.path]), strict=True)
    ]
