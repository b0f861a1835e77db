"""A real server and plain HTTP against it, for what only shows on the wire."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from schema_help import assert_valid

from conformance.reference.server import Options, Running


class Wire:
    """One running gateway; ``data`` is its base URL, ``headers`` the owner's."""

    def __init__(self, running: Running, timeout: float = 5.0) -> None:
        self.announcement = running.announcement
        self.data = self.announcement["base_urls"]["data"]
        self.root = self.announcement["base_urls"]["public"]
        self.headers = self.announcement["credentials"]["owner"]
        self.client = httpx.Client(timeout=timeout)

    def ask(self, method: str, path: str, *, who: str | None = "owner", **options: Any) -> httpx.Response:
        """``path`` starts at the data plane's base; ``who`` None sends no key."""
        headers = {**(self.announcement["credentials"][who] if who else {}), **options.pop("headers", {})}
        return self.client.request(method, self.data + path, headers=headers, **options)

    def json(self, path: str, raw: bytes, **options: Any) -> httpx.Response:
        """POST raw bytes that claim to be JSON."""
        return self.ask("POST", path, content=raw, headers={"content-type": "application/json"}, **options)

    def raw(self, request: bytes, timeout: float = 3.0) -> bytes:
        """Everything that comes back for raw bytes until the server closes or is silent."""
        host, _, port = self.root.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=timeout) as connection:
            connection.sendall(request)
            chunks: list[bytes] = []
            try:
                while chunk := connection.recv(65536):
                    chunks.append(chunk)
            except TimeoutError:
                pass
            return b"".join(chunks)


@contextmanager
def serving(*faults: str, speed: float = 0.0, latency: float = 0.0, timeout: float = 5.0) -> Iterator[Wire]:
    with Running(Options(faults=faults, speed=speed, latency=latency)) as running:
        wire = Wire(running, timeout)
        yield wire
        wire.client.close()


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """Names and data of server-sent events; ``[DONE]`` stays text."""
    found: list[tuple[str | None, Any]] = []
    for block in filter(None, text.split("\n\n")):
        name: str | None = None
        data: list[str] = []
        for line in block.split("\n"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        whole = "\n".join(data)
        found.append((name, whole if whole == "[DONE]" else json.loads(whole)))
    return found


def ok(response: httpx.Response, operation: str) -> Any:
    """The JSON of an answer that is 200 and fits the contract."""
    assert response.status_code == 200, response.text
    body = response.json()
    assert_valid(operation, 200, body)
    return body


def upload(wire: Wire, content: bytes, purpose: str = "assistants", name: str = "a.txt") -> str:
    """The id of a new file."""
    made = wire.ask("POST", "/files", data={"purpose": purpose}, files={"file": (name, content)})
    return str(ok(made, "createFile")["id"])
