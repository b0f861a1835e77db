"""Connections for the pool: one write per request, and no byte of one answer left for the next.

The pool writes head and body apart; here they leave together when the pool turns to reading, which
saves a packet and a wake-up of the target for each request.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

_FLUSH_AT = 64 * 1024
_MOST_UNREAD = 256 * 1024
_BLANK_LINE = re.compile(rb"\n\r?\n")


class Backend(httpcore.AsyncNetworkBackend):
    """Opens connections for the pool; raises httpcore's ConnectError and ConnectTimeout.

    ``plain`` ones run straight on asyncio, faster than the pool's own, which is used for TLS.
    """

    def __init__(self, *, plain: bool) -> None:
        self._other = None if plain else httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if self._other is not None:
            return Stream(await self._other.connect_tcp(host, port, timeout, local_address, socket_options))
        try:
            async with asyncio.timeout(timeout):
                _, wire = await asyncio.get_running_loop().create_connection(_Wire, host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("connection timed out") from error
        except (OSError, UnicodeError) as error:
            number = getattr(error, "errno", None) or 0
            raise httpcore.ConnectError(os.strerror(number) if number > 0 else str(error)) from error
        return Stream(_PlainStream(wire))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Wire(asyncio.Protocol):
    """The bytes that came and have not been read, and whether either side has to wait."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = False
        self.error: Exception | None = None
        self.transport: asyncio.Transport
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > _MOST_UNREAD:
            self.transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake_reader()
        return True  # what we have to say may still be said

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        self._wake_reader()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writing = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writing is not None and not self._writing.done():
            self._writing.set_result(None)
        self._writing = None

    async def writable(self) -> None:
        if self._writing is not None:
            await self._writing

    async def readable(self) -> None:
        if not (self.received or self.ended):
            self._reading = asyncio.get_running_loop().create_future()
            await self._reading

    def take(self, most: int) -> bytes:
        found = bytes(self.received[:most])
        del self.received[:most]
        if not self.ended:
            self.transport.resume_reading()
        return found

    def _wake_reader(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)


class _PlainStream(httpcore.AsyncNetworkStream):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = self._wire
        try:
            async with asyncio.timeout(timeout):
                await wire.readable()
        except TimeoutError as error:
            raise httpcore.ReadTimeout("nothing to read in time") from error
        if not wire.received and wire.error is not None:
            raise httpcore.ReadError(str(wire.error) or type(wire.error).__name__)
        return wire.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._wire.transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        self._wire.transport.write(buffer)
        try:
            async with asyncio.timeout(timeout):
                await self._wire.writable()
        except TimeoutError as error:
            raise httpcore.WriteTimeout("nothing was taken in time") from error

    async def aclose(self) -> None:
        # Whatever is unsent has no reader any more; waiting for it would hang on a silent target.
        self._wire.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of an idle connection, which has nothing honest to say
            return bool(self._wire.received) or self._wire.ended
        return None


class Stream(httpcore.AsyncNetworkStream):
    """A connection that writes each request at once and knows when an answer said more than its length."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._pending: list[bytes] = []
        self._size = 0
        self._head = b""  # of the answer, until its end was seen
        self._head_length = 0
        self._head_ended = False
        self._received = 0
        self._last = b""
        self._spoilt = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._pending:
            await self._flush(timeout)
        content = await self._inner.read(max_bytes, timeout)
        self._received += len(content)
        self._last = content
        if not self._head_ended and len(self._head) < _MOST_UNREAD:
            self._measure(content)
        return content

    def _measure(self, content: bytes) -> None:
        """Find where the head of the answer ends; interim answers (1xx) stand before it."""
        self._head += content
        while match := _BLANK_LINE.search(self._head):
            self._head_length += match.end()
            self._head_ended = self._head[9:10] != b"1"
            self._head = self._head[match.end() :]
            if self._head_ended:
                return

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._pending.append(buffer)
            self._size += len(buffer)
            if self._size >= _FLUSH_AT:
                await self._flush(timeout)

    async def _flush(self, timeout: float | None) -> None:
        content = b"".join(self._pending)
        self._pending, self._size = [], 0
        self._head, self._head_length, self._head_ended = b"", 0, False
        self._received, self._last = 0, b""
        try:
            await self._inner.write(content, timeout)
        except httpcore.WriteError:
            return  # the target may have answered before it hung up: reading will tell

    def ends_with(self, length: int | None) -> bool:
        """Whether the answer that was just read ends where it said: after ``length`` bytes of body, or
        with the end of its chunks. Of one that does not, the rest would pass for the next answer:
        the connection is not used again."""
        if length is None:
            exact = self._last.endswith((b"\n\r\n", b"\n\n")) or not self._last
        else:
            exact = self._received == self._head_length + length
        self._spoilt = self._spoilt or not exact
        return exact

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        await self._flush(timeout)
        return Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._spoilt:
            return True  # what makes the pool drop an idle connection
        return self._inner.get_extra_info(info)
