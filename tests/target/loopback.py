"""Servers on loopback sockets that answer with exactly the bytes a test wants, and shorthands."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from conformance.model import Plane
from conformance.target import Outgoing, Recorder, Sent, Session, Target, target_from

OWNER = "pk-owner-0123456789abcdef"
Handler = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """A server that gives each request (head and body) of each connection to the handler."""
    server = Server(handler)
    try:
        yield server
    finally:
        server.close()


class Server:
    """``requests`` are the raw requests in order; ``connections`` counts accepted sockets."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._handler = handler
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while request := self._read(connection):
                self.requests.append(request)
                self._handler(connection, request)

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


def answer(
    body: bytes = b"{}",
    *,
    status: str = "200 OK",
    media: str = "application/json",
    extra: tuple[str, ...] = (),
) -> bytes:
    """The bytes of an ordinary response."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {media}", f"content-length: {len(body)}", *extra]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def always(content: bytes, *, close: bool = False) -> Handler:
    """A handler that sends these bytes to every request."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(content)
        if close:
            connection.close()

    return handle


def target_of(url: str, **keys: Any) -> Target:
    """A target with an owner's key and short timeouts."""
    table = {
        "base_url": url,
        "credentials": {"owner": {"key": OWNER}},
        "timeouts": {"connect": 1, "read": 1, "total": 2, "stream": 2},
        **keys,
    }
    return target_from(table, env={})


def request(**changes: Any) -> Outgoing:
    """A plain GET /models."""
    values: dict[str, Any] = {
        "operation": "listModels",
        "plane": Plane.DATA,
        "method": "GET",
        "path": "/models",
    }
    return Outgoing(**{**values, **changes})


def run(
    target: Target,
    scenario: Callable[[Session], Coroutine[Any, Any, Any]],
    *,
    recorder: Recorder | None = None,
    workers: int = 1,
) -> Any:
    """What a scenario returns that was given an open session."""

    async def main() -> Any:
        async with Session(target, recorder=recorder, workers=workers) as session:
            return await scenario(session)

    return asyncio.run(main())


def send(target: Target, *outgoing: Outgoing, recorder: Recorder | None = None) -> list[Sent]:
    """Send one after another."""

    async def scenario(session: Session) -> list[Sent]:
        return [await session.send(one) for one in outgoing]

    found: list[Sent] = run(target, scenario, recorder=recorder)
    return found


def unused_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
