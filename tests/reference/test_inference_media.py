"""Images, audio, embeddings, moderations, models and files of the reference gateway."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from wire import Wire, ok, serving, upload


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving() as found:
        yield found


def pixels(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose data is whole."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, size = 8, b"", (0, 0)
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length :][:4])[0] == zlib.crc32(kind + chunk)
        size = struct.unpack(">II", chunk[:8]) if kind == b"IHDR" else size
        data += chunk if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(data)) == size[1] * (1 + (size[0] + 7) // 8)
    return size


def test_images_are_real_and_as_large_as_asked(wire: Wire) -> None:
    """n pictures of the size, as base64 or as a URL that can be opened; other prompts, other pictures."""
    body = {"prompt": "a cat", "n": 2, "size": "512x512", "response_format": "b64_json"}
    found = ok(wire.ask("POST", "/images/generations", json=body), "createImage")
    assert [pixels(base64.b64decode(one["b64_json"])) for one in found["data"]] == [(512, 512)] * 2
    form = {"prompt": "a dog", "size": "256x256"}
    picture = {"image": ("a.png", base64.b64decode(found["data"][0]["b64_json"]), "image/png")}
    edited = ok(wire.ask("POST", "/images/edits", data=form, files=picture), "createImageEdit")
    url = edited["data"][0]["url"]
    assert pixels(base64.b64decode(url.removeprefix("data:image/png;base64,"))) == (256, 256)
    varied = wire.ask("POST", "/images/variations", data={"n": "3"}, files=picture)
    assert len(ok(varied, "createImageVariation")["data"]) == 3


STARTS = {
    "mp3": b"\xff\xfb",
    "opus": b"OggS",
    "aac": b"\xff\xf1",
    "flac": b"fLaC",
    "wav": b"RIFF",
    "pcm": b"",
}


@pytest.mark.parametrize("kind", sorted(STARTS))
def test_speech_is_audio_of_the_format_asked_for(wire: Wire, kind: str) -> None:
    """The content type names the format and the bytes begin as it does; sent in chunks, as documented."""
    body = {"model": "reference-speech", "input": "Hello", "voice": "nova", "response_format": kind}
    response = wire.ask("POST", "/audio/speech", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"] == {"mp3": "audio/mpeg"}.get(kind, f"audio/{kind}")
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.content.startswith(STARTS[kind])
    assert len(response.content) > 40


def speech(wire: Wire, **fields: Any) -> bytes:
    body = {"model": "reference-speech", "voice": "echo", "response_format": "wav", **fields}
    return wire.ask("POST", "/audio/speech", json=body).content


def test_longer_texts_take_longer_to_speak(wire: Wire) -> None:
    """A WAV a library opens; more words, or a slower voice, last longer."""

    def seconds(**fields: Any) -> float:
        with wave.open(io.BytesIO(speech(wire, **fields))) as sound:
            return float(sound.getnframes() / sound.getframerate())

    words = "one two three four five"
    assert seconds(input="one") < seconds(input=words) < seconds(input=words, speed=0.5)


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
@pytest.mark.parametrize("shape", ["json", "text", "srt", "verbose_json", "vtt"])
def test_recordings_are_written_down_in_every_shape(wire: Wire, path: str, shape: str) -> None:
    """The type of the answer and its form fit the shape; the length of the sound is told right."""
    sound = speech(wire, input="one two three four five six")
    form = {"model": "reference-transcription", "response_format": shape, "temperature": "0.5"}
    response = wire.ask("POST", f"/audio/{path}", data=form, files={"file": ("talk.wav", sound, "audio/wav")})
    assert response.status_code == 200
    kinds = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
    assert response.headers["content-type"].split(";")[0] == kinds.get(shape, "application/json")
    assert "talk.wav" in response.text
    if shape in ("json", "verbose_json"):
        body = ok(response, "createTranscription" if path == "transcriptions" else "createTranslation")
        if shape == "verbose_json":
            assert body["duration"] == pytest.approx((len(sound) - 44) / 48_000, abs=0.01)
            assert body["segments"][0]["end"] == body["duration"]
    else:
        assert ("-->" in response.text) == (shape != "text")


def test_words_are_timed_when_asked(wire: Wire) -> None:
    """timestamp_granularities[] of word gives words, in order, and no segments."""
    form = {"model": "m", "response_format": "verbose_json", "timestamp_granularities[]": ["word"]}
    response = wire.ask(
        "POST", "/audio/transcriptions", data=form, files={"file": ("a.wav", speech(wire, input="a"))}
    )
    body = ok(response, "createTranscription")
    assert "segments" not in body
    assert [one["start"] for one in body["words"]] == sorted(one["start"] for one in body["words"])
    assert " ".join(one["word"] for one in body["words"]) == body["text"]


def test_embeddings_are_unit_vectors_of_their_text(wire: Wire) -> None:
    """Length one, as long as asked, equal for equal texts, nearer for nearer ones, the same as base64."""
    texts = ["a red apple", "a red apple", "a red pear", "quantum law"]
    body = {"model": "reference-embedding", "input": texts, "dimensions": 64}
    found = ok(wire.ask("POST", "/embeddings", json=body), "createEmbedding")
    vectors = [one["embedding"] for one in found["data"]]
    assert [one["index"] for one in found["data"]] == [0, 1, 2, 3]
    assert all(math.isclose(sum(x * x for x in one), 1, rel_tol=1e-9) and len(one) == 64 for one in vectors)
    near = [sum(x * y for x, y in zip(vectors[0], one, strict=True)) for one in vectors]
    assert vectors[0] == vectors[1]
    assert near[2] > near[3]
    raw = ok(wire.ask("POST", "/embeddings", json={**body, "encoding_format": "base64"}), "createEmbedding")
    packed = struct.unpack("<64f", base64.b64decode(raw["data"][0]["embedding"]))
    assert packed == pytest.approx(vectors[0], abs=1e-6)


def test_moderations_judge_every_text_in_every_category(wire: Wire) -> None:
    """One result a text; flagged exactly when a category is; scores agree with the flags."""
    body = {"input": ["a kind word", "I will kill and murder"], "model": "reference-moderation"}
    calm, violent = ok(wire.ask("POST", "/moderations", json=body), "createModeration")["results"]
    assert not calm["flagged"]
    assert violent["flagged"]
    assert violent["categories"]["violence"]
    for result in (calm, violent):
        assert result["flagged"] == any(result["categories"].values())
        assert set(result["categories"]) == set(result["category_scores"])
        assert all(
            flag == (result["category_scores"][name] >= 0.5) for name, flag in result["categories"].items()
        )


# models, files


def test_models_are_listed_sorted_read_and_the_own_deleted(wire: Wire) -> None:
    """Pages and order hold; only a tenant's own model can be deleted, and is then gone."""
    every = ok(wire.ask("GET", "/models"), "listModels")["data"]
    names = [one["id"] for one in every]
    assert names == sorted(names)
    page = ok(wire.ask("GET", "/models?limit=2&offset=1&order=desc"), "listModels")["data"]
    assert [one["id"] for one in page] == names[::-1][1:3]
    own = wire.announcement["given"]["disposable_model"]
    assert ok(wire.ask("GET", f"/models/{own}"), "retrieveModel")["id"] == own
    assert wire.ask("DELETE", f"/models/{own}", who="other").status_code == 404
    assert ok(wire.ask("DELETE", f"/models/{own}"), "deleteModel")["deleted"] is True
    assert wire.ask("GET", f"/models/{own}").status_code == 404
    assert wire.ask("DELETE", f"/models/{own}").status_code == 404
    assert wire.ask("DELETE", "/models/reference-chat").status_code == 403


def test_files_come_back_byte_for_byte(wire: Wire) -> None:
    """Size, name, purpose and content are what was uploaded; the list filters; deleting ends it."""
    content = bytes(range(256))
    made = upload(wire, content, "vision", "a.png")
    read = ok(wire.ask("GET", f"/files/{made}"), "retrieveFile")
    assert (read["bytes"], read["filename"], read["purpose"]) == (256, "a.png", "vision")
    body = wire.ask("GET", f"/files/{made}/content")
    assert (body.content, body.headers["content-type"]) == (content, "application/octet-stream")
    assert made in [one["id"] for one in ok(wire.ask("GET", "/files?purpose=vision"), "listFiles")["data"]]
    assert made not in [one["id"] for one in ok(wire.ask("GET", "/files?purpose=batch"), "listFiles")["data"]]
    assert ok(wire.ask("DELETE", f"/files/{made}"), "deleteFile")["deleted"] is True
    for path in ("", "/content"):
        assert wire.ask("GET", f"/files/{made}{path}").status_code == 404
