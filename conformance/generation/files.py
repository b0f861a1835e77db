"""Real small files for uploads: made here, the same bytes every time."""

from __future__ import annotations

import io
import json
import math
import struct
import wave
import zlib
from collections.abc import Callable
from functools import cache

from conformance.errors import UnknownNameError

RATE = 8000  # samples a second
SIDE = 64  # pixels; image edits want a square with transparency


def content(kind: str) -> tuple[str, str, bytes]:
    """(file name, content type, bytes) of a kind: wav, png, jsonl-batch, jsonl-finetune, txt.

    Raises UnknownNameError for another kind.
    """
    if kind not in _MAKERS:
        raise UnknownNameError("kind of file", kind, _MAKERS)
    return _content(kind)


@cache
def _content(kind: str) -> tuple[str, str, bytes]:
    name, media_type, make = _MAKERS[kind]
    return name, media_type, make()


def _wav() -> bytes:
    """A quarter of a second of a 440 Hz tone, 16 bit mono PCM."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        samples = (int(12000 * math.sin(2 * math.pi * 440 * t / RATE)) for t in range(RATE // 4))
        sound.writeframes(b"".join(struct.pack("<h", one) for one in samples))
    return buffer.getvalue()


def _png() -> bytes:
    """A square of RGBA pixels, opaque outside, transparent in the middle."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    quarter = range(SIDE // 4, 3 * SIDE // 4)
    rows = b"".join(
        b"\x00"
        + b"".join(bytes((200, 40, 40, 0 if x in quarter and y in quarter else 255)) for x in range(SIDE))
        for y in range(SIDE)
    )
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _lines(values: list[object]) -> bytes:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values).encode()


def _batch() -> bytes:
    return _lines(
        [
            {
                "custom_id": f"request-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": "gpt-4o-mini",
                    "messages": [{"role": "user", "content": f"Reply with the number {number}."}],
                    "max_tokens": 16,
                },
            }
            for number in (1, 2)
        ]
    )


def _finetune() -> bytes:
    """Twelve chats: ten is the least that training takes."""
    return _lines(
        [
            {
                "messages": [
                    {"role": "system", "content": "Answer with one number."},
                    {"role": "user", "content": f"What is {number} plus one?"},
                    {"role": "assistant", "content": str(number + 1)},
                ]
            }
            for number in range(12)
        ]
    )


def _text() -> bytes:
    return "A small text of the conformance suite.\nIts second line: Grüße, 東京.\n".encode()


_MAKERS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "wav": ("tone.wav", "audio/wav", _wav),
    "png": ("square.png", "image/png", _png),
    "jsonl-batch": ("batch.jsonl", "application/jsonl", _batch),
    "jsonl-finetune": ("training.jsonl", "application/jsonl", _finetune),
    "txt": ("note.txt", "text/plain", _text),
}
KINDS = frozenset(_MAKERS)
