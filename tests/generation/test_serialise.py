"""Bytes on the wire, and the files that go into them."""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from typing import Any

import pytest
from python_multipart.multipart import parse_options_header
from starlette.testclient import TestClient

from conformance.errors import SuiteError, UnknownNameError
from conformance.generation.files import KINDS, content
from conformance.generation.serialise import fill_path, wire
from conformance.generation.text import on_the_wire, query_pairs
from conformance.model import Case, Purpose


def case(**fields: Any) -> Case:
    return Case(id="op:valid:0", operation="op", purpose=Purpose.VALID, **fields)


def test_json_goes_out_as_utf8() -> None:
    """The body is what was drawn, byte for byte the same each time."""
    body = {"name": "Grüße 東京", "n": 1, "on": True, "none": None}
    sent = wire(case(body=body, has_body=True, media_type="application/json"))
    assert sent.content_type == "application/json"
    assert json.loads(sent.content or b"") == body
    assert sent == wire(case(body=body, has_body=True, media_type="application/json"))


def test_no_body_is_no_body() -> None:
    """A request without a body has neither bytes nor a content type."""
    assert wire(case())[2:] == (None, None)


def test_raw_text_is_sent_as_it_is() -> None:
    """Malformed JSON must reach the gateway malformed."""
    sent = wire(case(body={"$raw": '{"a":'}, has_body=True, media_type="application/json"))
    assert sent.content == b'{"a":'


def test_query_and_headers_are_text() -> None:
    """Booleans are spelt as in JSON; a header holds printable ASCII only."""
    sent = wire(case(query=(("a", True), ("b", 2), ("c", "ü")), headers=(("x", " h\r\nü "),)))
    assert sent.query == [("a", "true"), ("b", "2"), ("c", "ü")]
    assert sent.headers == [("x", "h???")]


def test_a_symbol_left_unbound_is_our_own_fault() -> None:
    """An unbound id may not be sent as text."""
    for broken in (
        case(query=(("after", {"$bind": "thread"}),)),
        case(body={"deep": [{"$model": "chat"}]}, has_body=True, media_type="application/json"),
        case(
            body=[{"name": "a", "value": {"$unique": "x"}}], has_body=True, media_type="multipart/form-data"
        ),
        case(body=[{"name": "a", "file": {"$bind": "x"}}], has_body=True, media_type="multipart/form-data"),
    ):
        with pytest.raises(SuiteError, match="not bound"):
            wire(broken)


def test_json_schemas_inside_a_body_are_no_symbols() -> None:
    """``$ref`` in the parameters of a function tool is data."""
    body = {"parameters": {"$ref": "#/x"}}
    assert json.loads(wire(case(body=body, has_body=True)).content or b"") == body


def test_multipart_is_read_back_by_a_server() -> None:
    """Order, names, file names and bytes survive; the boundary is the same each time."""
    parts = [
        {"name": "purpose", "value": "assistants"},
        {"name": "n", "value": 2},
        {"name": "file", "file": {"$file": "png"}},
    ]
    sent = wire(case(body=parts, has_body=True, media_type="multipart/form-data"))
    assert sent == wire(case(body=parts, has_body=True, media_type="multipart/form-data"))
    kind, options = parse_options_header(sent.content_type)
    assert kind == b"multipart/form-data"
    assert options[b"boundary"]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request
        from starlette.responses import JSONResponse

        async with Request(scope, receive).form() as form:
            file = form["file"]
            assert not isinstance(file, str)
            shown = [form["purpose"], form["n"], file.filename, file.content_type, len(await file.read())]
        await JSONResponse(shown)(scope, receive, send)

    answer = TestClient(app).post(
        "/", content=sent.content, headers={"content-type": sent.content_type or ""}
    )
    name, media_type, data = content("png")
    assert answer.json() == ["assistants", "2", name, media_type, len(data)]


def test_urlencoded_forms() -> None:
    """Spaces, ampersands and umlauts are encoded."""
    parts = [{"name": "a", "value": "x & ü"}]
    sent = wire(case(body=parts, has_body=True, media_type="application/x-www-form-urlencoded"))
    assert sent.content == b"a=x+%26+%C3%BC"


def test_an_empty_form_is_still_a_form() -> None:
    """A form that lost its only field keeps its content type."""
    sent = wire(case(body=[], has_body=True, media_type="multipart/form-data"))
    assert sent.content is not None
    assert (sent.content_type or "").startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("abc", "/x/abc"),
        ("@openai/gpt-4o", "/x/@openai%2Fgpt-4o"),
        ("a b?c#d", "/x/a%20b%3Fc%23d"),
        ("..", "/x/%2E%2E"),
        (7, "/x/7"),
    ],
)
def test_a_path_value_cannot_leave_its_segment(value: Any, path: str) -> None:
    """Slashes, dots, question marks and hashes stay inside the id."""
    assert fill_path("/x/{id}", {"id": value}) == path


def test_a_path_without_a_value_is_refused() -> None:
    """``/threads//runs`` would be another operation."""
    for values in ({}, {"id": ""}):
        with pytest.raises(SuiteError, match="id"):
            fill_path("/x/{id}", values)


@pytest.mark.parametrize(
    ("style", "explode", "value", "pairs"),
    [
        ("form", True, ["a", "b"], [("p", "a"), ("p", "b")]),
        ("form", False, ["a", 2], [("p", "a,2")]),
        ("pipeDelimited", False, ["a", "b"], [("p", "a|b")]),
        ("form", True, {"r": 1}, [("r", 1)]),
        ("form", False, {"r": 1}, [("p", "r,1")]),
        ("deepObject", True, {"r": 1}, [("p[r]", 1)]),
        ("form", True, {"$bind": "thread"}, [("p", {"$bind": "thread"})]),
        ("form", True, [], []),
    ],
)
def test_query_styles(style: str, explode: bool, value: Any, pairs: list[Any]) -> None:
    """Lists and objects take the form OpenAPI gives them."""
    assert query_pairs("p", value, style=style, explode=explode) == pairs


def test_scalars_as_text() -> None:
    """JSON's spelling, not Python's."""
    assert [on_the_wire(one) for one in (True, None, 1.5, "x", [1])] == ["true", "null", "1.5", "x", "[1]"]


def test_the_sound_is_a_sound() -> None:
    """A transcription endpoint can decode it."""
    _, _, data = content("wav")
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getnframes() == 2000
        assert sound.getsampwidth() == 2


def test_the_image_is_a_square_with_transparency() -> None:
    """An image edit wants a square PNG with an alpha channel."""
    _, _, data = content("png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (width, depth, colour) == (height, 8, 6)
    size = data.index(b"IDAT")
    length = struct.unpack(">I", data[size - 4 : size])[0]
    assert len(zlib.decompress(data[size + 4 : size + 4 + length])) == height * (1 + 4 * width)


def test_line_files_hold_what_their_endpoint_reads() -> None:
    """Batch lines name an endpoint; training has at least ten chats."""
    batch = [json.loads(line) for line in content("jsonl-batch")[2].splitlines()]
    assert {line["url"] for line in batch} == {"/v1/chat/completions"}
    assert len({line["custom_id"] for line in batch}) == len(batch)
    training = [json.loads(line) for line in content("jsonl-finetune")[2].splitlines()]
    assert len(training) >= 10
    assert all(line["messages"][-1]["role"] == "assistant" for line in training)


def test_files_are_small_and_the_same_each_time() -> None:
    """Uploads cost little and can be compared."""
    for kind in KINDS:
        assert content(kind) == content(kind)
        assert 0 < len(content(kind)[2]) < 20_000


def test_an_unknown_kind_of_file_is_refused() -> None:
    """A misspelt kind is named with its neighbours."""
    with pytest.raises(UnknownNameError, match="wave"):
        content("wave")
