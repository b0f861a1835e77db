"""Real, short audio in every format speech is asked for. Tones where samples are stored, else silence."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import lru_cache

RATE = 24_000  # samples a second of wav, pcm and flac
LONGEST = 1.0  # seconds


@lru_cache(maxsize=32)
def pcm(pitch: int, seconds: float) -> bytes:
    """Mono, 16 bit, little-endian: a sine tone."""
    step = 2 * math.pi * pitch / RATE
    samples = (int(6000 * math.sin(step * place)) for place in range(int(RATE * seconds)))
    return b"".join(struct.pack("<h", one) for one in samples)


def wav(pitch: int, seconds: float) -> bytes:
    data = pcm(pitch, seconds)
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 2, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def wav_seconds(content: bytes) -> float | None:
    """How long a WAV lasts; None for anything else."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or len(content) < 44:
        return None
    per_second: int = struct.unpack("<I", content[28:32])[0]
    return (len(content) - 44) / per_second if per_second else None


def mp3(pitch: int, seconds: float) -> bytes:
    """MPEG-1 Layer III, 128 kbit/s at 44.1 kHz: frames whose side information says silence."""
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    return frame * max(1, round(seconds * 44_100 / 1152))


def aac(pitch: int, seconds: float) -> bytes:
    """ADTS frames of an empty AAC-LC channel at 44.1 kHz."""
    frame = b"\xff\xf1\x50\x40\x01\xbf\xfc" + b"\x00\xc8\x00\x80\x23\x80"
    return frame * max(1, round(seconds * 44_100 / 1024))


def _crc(data: bytes, polynomial: int, width: int) -> int:
    top, mask, value = 1 << (width - 1), (1 << width) - 1, 0
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & mask
    return value


def flac(pitch: int, seconds: float) -> bytes:
    """A stream of constant (silent) mono frames, 16 bit."""
    block, frames = 4096, max(1, round(seconds * RATE / 4096))
    sizes = struct.pack(">HH", block, block) + bytes(6)
    packed = (RATE << 44) | (0 << 41) | (15 << 36) | (block * frames)
    info = sizes + packed.to_bytes(8, "big") + bytes(16)
    out = b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info
    for number in range(frames):
        # 4096 samples, rate from STREAMINFO, mono, 16 bit, then the frame number in one byte
        head = b"\xff\xf8\xc0\x08" + bytes([number])
        head += bytes([_crc(head, 0x07, 8)])
        frame = head + b"\x00\x00\x00"  # a constant subframe of value 0
        out += frame + struct.pack(">H", _crc(frame, 0x8005, 16))
    return out


def _ogg_page(kind: int, position: int, number: int, packets: list[bytes]) -> bytes:
    table = b"".join(b"\xff" * (len(one) // 255) + bytes([len(one) % 255]) for one in packets)
    head = b"OggS\x00" + bytes([kind]) + struct.pack("<qII", position, 1, number)
    tail = bytes([len(table)]) + table + b"".join(packets)
    checksum = _crc(head + bytes(4) + tail, 0x04C11DB7, 32)
    return head + struct.pack("<I", checksum) + tail


def opus(pitch: int, seconds: float) -> bytes:
    """Ogg Opus: mono, 20 ms packets of silence."""
    packets = max(1, min(200, round(seconds * 50)))
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    vendor = b"reference"
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    silence = [b"\xf8\xff\xfe"] * packets
    pages = (
        _ogg_page(2, 0, 0, [head]),
        _ogg_page(0, 0, 1, [tags]),
        _ogg_page(4, packets * 960, 2, silence),
    )
    return b"".join(pages)


FORMATS: dict[str, tuple[str, Callable[[int, float], bytes]]] = {
    "mp3": ("audio/mpeg", mp3),
    "opus": ("audio/opus", opus),
    "aac": ("audio/aac", aac),
    "flac": ("audio/flac", flac),
    "wav": ("audio/wav", wav),
    "pcm": ("audio/pcm", pcm),
}


@lru_cache(maxsize=64)
def sound(kind: str, pitch: int, seconds: float) -> tuple[str, bytes]:
    """Media type and bytes of a sound; ``kind`` is a key of FORMATS."""
    media, make = FORMATS[kind]
    return media, make(pitch, seconds)
