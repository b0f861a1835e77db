"""One WebSocket: opened, its first event taken, closed; or the answer that refused it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

CLOSE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Opened:
    """``status`` 101 and the first event (empty when none came), or what refused the upgrade."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    events: int = 0
    close_code: int | None = None


class _Straight(connect):
    """Never follows a redirect: it might lead off the hosts that the user named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_websocket(
    url: str,
    *,
    headers: list[tuple[str, str]],
    tls: ssl.SSLContext | None,
    proxy: str | None,
    open_timeout: float,
    read_timeout: float,
    max_bytes: int,
) -> Opened:
    """Connect to an http(s) URL as ws(s). Raises what websockets raises for broken handshakes, and
    OSError or TimeoutError; times are seconds."""
    agent = next((value for name, value in headers if name.lower() == "user-agent"), None)
    settings = {} if tls is None else {"ssl": tls}
    try:
        connection = await _Straight(
            "ws" + url.removeprefix("http"),
            additional_headers=[pair for pair in headers if pair[0].lower() != "user-agent"],
            user_agent_header=agent,
            proxy=proxy,
            open_timeout=open_timeout,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,
            max_size=max_bytes,
            **settings,  # type: ignore[arg-type]  # passed on to create_connection
        )
    except InvalidStatus as refusal:
        answer = refusal.response
        body = bytes(answer.body or b"")[:max_bytes]
        return Opened(answer.status_code, tuple(answer.headers.raw_items()), body)
    first: str | bytes | None = None
    try:
        async with asyncio.timeout(read_timeout):
            first = await connection.recv()
    except (ConnectionClosed, TimeoutError):
        first = None  # it opened, which is what was asked; an event is a bonus
    finally:
        await connection.close()
    answer_headers = tuple(connection.response.headers.raw_items()) if connection.response else ()
    content = first.encode("utf-8", "replace") if isinstance(first, str) else first or b""
    return Opened(101, answer_headers, content, int(first is not None), connection.close_code)
