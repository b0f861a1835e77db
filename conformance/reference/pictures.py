"""Real, tiny PNG files."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@lru_cache(maxsize=64)
def png(width: int, height: int, colour: int) -> bytes:
    """A PNG of one colour (24-bit RGB), one bit a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    rows = zlib.compress((b"\0" * (1 + (width + 7) // 8)) * height, 6)
    palette = struct.pack(">I", colour & 0xFFFFFF)[1:]
    parts = (_chunk(b"IHDR", header), _chunk(b"PLTE", palette), _chunk(b"IDAT", rows), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
