"""Server-sent events on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any


def encode_json(value: Any) -> bytes:
    """Compact UTF-8 JSON; refuses NaN and infinities with ValueError."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def encode_event(name: str | None, data: Any) -> bytes:
    """One event: ``data`` is JSON, or raw text when it is a string (such as ``[DONE]``)."""
    text = data.encode("utf-8") if isinstance(data, str) else encode_json(data)
    lines = b"".join(b"data: " + line + b"\n" for line in text.split(b"\n"))
    return (f"event: {name}\n".encode() if name else b"") + lines + b"\n"


async def each(events: Iterable[tuple[str | None, Any]]) -> AsyncIterator[tuple[str | None, Any]]:
    """Ready-made events as an asynchronous iterator."""
    for event in events:
        yield event
