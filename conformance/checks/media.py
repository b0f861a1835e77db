"""Moderations, images and audio: counts, forms, and the first bytes of files."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from conformance.checks.answers import (
    HONEST,
    Findings,
    Problem,
    Record,
    answers,
    honest,
    mapping,
    must_refuse,
    number,
    question,
    records,
    refusal,
    sequence_of,
    told,
    violations,
    wanted,
)
from conformance.checks.objects import answer as json_of
from conformance.checks.objects import succeeded
from conformance.checks.registry import Context, Outcome, Undecided, check
from conformance.model import Exchange

MODERATE = "createModeration"
IMAGES = ("createImage", "createImageEdit", "createImageVariation")
SPEECH, TRANSCRIBE, TRANSLATE = "createSpeech", "createTranscription", "createTranslation"

# moderations


@answers("moderations.count", MODERATE)
def one_result_each(question: Record, answer: Record) -> Findings:
    given = question.get("input")
    parted = isinstance(given, list) and any(isinstance(one, str) for one in given)
    expected, found = len(given) if parted and given else 1, len(records(answer.get("results")))
    return () if found == expected else [("count", f"{found} results for {expected} inputs")]


@answers("moderations.flagged", MODERATE)
def flagged_by_a_category(question: Record, answer: Record) -> Iterator[Problem]:
    for one in records(answer.get("results")):
        expected = any(value is True for value in mapping(one.get("categories")).values())
        if one.get("flagged") is not expected:
            yield "flagged", f"flagged is {one.get('flagged')!r:.20}, its categories say {expected}"


@answers("moderations.scores", MODERATE)
def a_score_each(question: Record, answer: Record) -> Iterator[Problem]:
    for one in records(answer.get("results")):
        names, scores = set(mapping(one.get("categories"))), mapping(one.get("category_scores"))
        if names != set(scores):
            yield "names", f"categories and scores differ: {sorted(names ^ set(scores))[:4]}"
        for name, score in scores.items():
            value = number(score)
            if value is None or not 0 <= value <= 1:
                yield "range", f"the score of {name!r} is {score!r:.40}, expected 0 to 1"


@answers("moderations.threshold", MODERATE)
def one_threshold_each(question: Record, answer: Record) -> Iterator[Problem]:
    flagged: dict[str, float] = {}
    passed: dict[str, float] = {}
    for one in records(answer.get("results")):
        scores = mapping(one.get("category_scores"))
        for name, value in mapping(one.get("categories")).items():
            score = number(scores.get(name))
            if score is None:
                continue
            if value is True:
                flagged[name] = min(score, flagged.get(name, score))
            else:
                passed[name] = max(score, passed.get(name, score))
    for name in sorted(flagged.keys() & passed.keys()):
        if flagged[name] < passed[name]:
            yield "threshold", f"{name!r} is flagged at {flagged[name]} and not at {passed[name]}"


# images


@answers("images.count", *IMAGES)
def as_many_as_asked(question: Record, answer: Record) -> Findings:
    found, expected = len(sequence_of(answer.get("data"))), wanted(question)
    return () if found == expected else [("count", f"{found} images, expected {expected}")]


@answers("images.form", *IMAGES)
def in_the_form_asked(question: Record, answer: Record) -> Iterator[Problem]:
    asked = question.get("response_format")
    for one in records(answer.get("data")):
        found = [name for name in ("url", "b64_json") if one.get(name) is not None]
        if asked in ("url", "b64_json") and found != [asked]:
            yield "form", f"asked for {asked}, got {' and '.join(found) or 'neither url nor b64_json'}"
        elif len(found) != 1:
            yield "one-form", f"an image has {' and '.join(found) or 'neither url nor b64_json'}"


def size_of(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG or WebP file; None when it is none of them."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return int(width), int(height)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    return _jpeg(content) if content[:2] == b"\xff\xd8" else None


def _webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8 " and len(content) >= 30:
        width, height = struct.unpack("<HH", content[26:30])
        return int(width) & 0x3FFF, int(height) & 0x3FFF
    if kind == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return int(width), int(height)
        at += 2 + length
    return None


@answers("images.size", *IMAGES)
def of_the_size_asked(question: Record, answer: Record) -> Findings:
    packed = [one["b64_json"] for one in records(answer.get("data")) if one.get("b64_json") is not None]
    return _wrong_size(question.get("size"), packed) if packed else None


def _wrong_size(asked: Any, packed: list[Any]) -> Iterator[Problem]:
    for one in packed:
        size = size_of(_decoded(one))
        if size is None:
            yield "no-image", "b64_json is no PNG, JPEG or WebP image"
        elif isinstance(asked, str) and re.fullmatch(r"\d+x\d+", asked) and f"{size[0]}x{size[1]}" != asked:
            yield "size", f"an image of {size[0]}x{size[1]}, asked for {asked}"


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""


@answers("images.url", *IMAGES)
def urls_lead_somewhere(question: Record, answer: Record) -> Findings:
    given = [one["url"] for one in records(answer.get("data")) if one.get("url") is not None]
    return [("url", f"{str(one)[:60]!r} leads to no image") for one in given if not _leads(one)]


def _leads(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    if url.startswith("data:"):
        head, _, content = url.partition(",")
        return head.endswith(";base64") and size_of(_decoded(content)) is not None
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


_SIZES = frozenset({"256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "auto"})


@must_refuse("images.unsupported", "createImage")
def unsupported_image(question: Record) -> str:
    size = question.get("size")
    if isinstance(size, str) and size not in _SIZES and not re.fullmatch(r"\d{3,4}x\d{3,4}", size):
        return f"the size {size!r}"
    several = "dall-e-3" in str(question.get("model")) and wanted(question) > 1
    return "several images of dall-e-3" if several else ""


@must_refuse("images.no_picture", "createImageEdit", "createImageVariation")
def no_picture(question: Record) -> str:
    content = question.get("image")
    if not isinstance(content, bytes):
        return ""
    size = size_of(content)
    return "an image that is no image file" if size is None else ""


# audio

MP3, OPUS, AAC, FLAC, WAV = "mp3", "opus", "aac", "flac", "wav"
_MAGIC: Mapping[str, Callable[[bytes], bool]] = {
    MP3: lambda head: head[:3] == b"ID3" or (_sync(head, 0xE0) and head[1] & 0x06 != 0),
    OPUS: lambda head: head[:4] == b"OggS",
    AAC: lambda head: _sync(head, 0xF0) and head[1] & 0x06 == 0,
    FLAC: lambda head: head[:4] == b"fLaC",
    WAV: lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
}
_TYPES: Mapping[str, frozenset[str]] = {
    MP3: frozenset({"audio/mpeg", "audio/mp3", "audio/x-mp3"}),
    OPUS: frozenset({"audio/opus", "audio/ogg", "application/ogg"}),
    AAC: frozenset({"audio/aac", "audio/x-aac", "audio/aacp"}),
    FLAC: frozenset({"audio/flac", "audio/x-flac"}),
    WAV: frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    "pcm": frozenset({"audio/pcm", "audio/l16"}),
}


def _sync(head: bytes, mask: int) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & mask == mask


@check("audio.format")
def in_its_format(exchange: Exchange, context: Context) -> Outcome:
    if not honest(exchange, SPEECH) or not succeeded(exchange):
        return None
    shape = question(exchange).get("response_format") or MP3
    response = exchange.response
    if response is None or shape not in _TYPES or response.media_type == "text/event-stream":
        return None
    return violations(list(_misformed(str(shape), response.media_type, response.body)))


def _misformed(shape: str, media_type: str, body: bytes) -> Iterator[Problem]:
    if not body:
        yield "empty", "no audio at all"
    elif shape in _MAGIC and not _MAGIC[shape](body[:16]):
        yield "bytes", f"asked for {shape}, and the bytes begin {body[:4].hex()}"
    elif shape == "pcm" and any(_MAGIC[one](body[:16]) for one in (OPUS, FLAC, WAV)):
        yield "bytes", "asked for pcm, and the bytes are those of a container"
    if media_type != "application/octet-stream" and media_type not in _TYPES[shape]:
        yield "type", f"asked for {shape}, and the content type is {media_type or 'none'!r}"


VOICES = frozenset({"alloy", "echo", "fable", "onyx", "nova", "shimmer"})


@must_refuse("audio.speech_limits", SPEECH)
def beyond_speech(question: Record) -> str:
    text, speed, voice = question.get("input"), number(question.get("speed")), question.get("voice")
    if isinstance(text, str) and len(text) > 4096:
        return f"an input of {len(text)} characters"
    if speed is not None and not 0.25 <= speed <= 4:
        return f"a speed of {speed}"
    return "a voice nobody has" if isinstance(voice, str) and voice.startswith("no-such-") else ""


@check("audio.transcript_form")
def written_as_asked(exchange: Exchange, context: Context) -> Outcome:
    if not honest(exchange, TRANSCRIBE) or not succeeded(exchange):
        return None
    shape = question(exchange).get("response_format") or "json"
    response = exchange.response
    if response is None or response.media_type == "text/event-stream":
        return None
    return violations(list(_transcript(str(shape), response.media_type, response.body, json_of(exchange))))


def _transcript(shape: str, media_type: str, body: bytes, value: Any) -> Iterator[Problem]:
    if shape in ("json", "verbose_json"):
        if not isinstance(mapping(value).get("text"), str):
            yield "no-text", f"response_format is {shape}, and the answer has no text"
        if shape == "verbose_json":
            for name in ("language", "duration"):
                if mapping(value).get(name) is None:
                    yield f"no-{name}", f"response_format is verbose_json, and the answer has no {name}"
    elif "json" in media_type or isinstance(value, dict):
        yield "json", f"response_format is {shape}, and the answer is JSON"
    elif shape == "vtt" and not body.lstrip(b"\xef\xbb\xbf").startswith(b"WEBVTT"):
        yield "vtt", "response_format is vtt, and the body does not begin with WEBVTT"
    elif shape == "srt" and body.strip() and b"-->" not in body:
        yield "srt", "response_format is srt, and the body has no time line"


TOLERANCE_S = 1.0


@answers("audio.timeline", TRANSCRIBE)
def in_time_order(question: Record, answer: Record) -> Findings:
    if question.get("response_format") != "verbose_json":
        return None
    return _untimely(answer)


def _untimely(answer: Record) -> Iterator[Problem]:
    try:
        duration = float(answer.get("duration") or 0)
    except (TypeError, ValueError):
        duration = 0.0
    for name in ("segments", "words"):
        last = 0.0
        for one in records(answer.get(name)):
            start, end = number(one.get("start")), number(one.get("end"))
            if start is None or end is None or not 0 <= start <= end:
                yield f"{name}-times", f"one of {name} lasts from {start} to {end}"
                break
            if start < last:
                yield f"{name}-order", f"one of {name} begins at {start}, after one that begins at {last}"
            if duration and end > duration + TOLERANCE_S:
                yield f"{name}-end", f"one of {name} ends at {end}, the recording at {duration}"
            last = start
    spoken = "".join(str(one.get("text", "")) for one in records(answer.get("segments")))
    if spoken and _letters(spoken) != _letters(str(answer.get("text"))):
        yield "text", "the segments do not add up to the text"


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


_GRANULAR: Iterable[tuple[str, str]] = (("word", "words"), ("segment", "segments"))


@check("audio.granularities")
def as_fine_as_asked(exchange: Exchange, context: Context) -> Outcome:
    if exchange.operation != TRANSCRIBE or exchange.purpose not in HONEST:
        return None
    asked = question(exchange)
    grains = asked.get("timestamp_granularities[]")
    if not grains:
        return None
    if asked.get("response_format") != "verbose_json":
        return refusal(exchange, "timestamp granularities without verbose_json")
    found = told(exchange, TRANSCRIBE)
    if found is None:
        return None
    lacking = [name for grain, name in _GRANULAR if grain in grains and not records(found[1].get(name))]
    if lacking and not found[1].get("text"):
        return Undecided("nothing was heard in the recording")
    return violations([("missing", f"granularities {grains}, and no {one}") for one in lacking])


@answers("audio.english", TRANSLATE)
def always_english(question: Record, answer: Record) -> Findings:
    if question.get("response_format") != "verbose_json":
        return None
    language = str(answer.get("language")).lower()
    return () if language in ("english", "en") else [("language", f"language is {language[:40]!r}")]
