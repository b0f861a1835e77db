"""Requirements of inference: each fails under its fault, all hold without, and no honest oddity alarms."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from areas.harness import failed, judged, tell
from conformance.checks import chat_streams, embeddings, media
from conformance.checks import known_checks as checks_by_name
from conformance.checks.answers import form, same_model
from conformance.checks.registry import Undecided
from conformance.contract.locate import find_specs
from conformance.generation.files import content
from conformance.model import Credential, Exchange, Purpose, Request, Response

ENTRIES = yaml.safe_load(
    (find_specs(None) / "portkey" / "requirements" / "inference.yaml").read_text("utf-8")
)["requirements"]
JUDGED = {entry["id"]: entry for entry in ENTRIES if entry["kind"] == "judged"}
SCENARIOS = sorted({name for entry in JUDGED.values() for name in entry["scenarios"]})

#: What else a fault fails in the scenarios of its requirement, since one bug shows in several places.
BESIDE: Mapping[str, set[str]] = {
    "chat-stream-index-off": {"CHS-09"},  # the stream then has another choice than the whole answer
    "embedding-ignores-encoding": {"EMB-02"},  # its made-up vectors are short
    "accepts-invalid": {"RESP-BODY-01", "RESP-TYPE-01"},  # an empty object is no image and no speech
    "realtime-aborts": {"RT-01"},  # closed before the greeting
}
#: Further ways to break a requirement: (requirement, fault).
MORE = (
    ("MDL-01", "list-ignores-limit"),
    ("MDL-01", "list-ignores-order"),
    ("AUD-05", "transcript-takes-idle-granularities"),
    ("CHS-01", "stream-as-json"),
    ("CHS-01", "stream-without-end"),
)


@pytest.mark.parametrize("name", JUDGED)
def test_fails_under_its_fault(name: str, tmp_path: Path) -> None:
    """Every judged requirement must fail when the gateway shows the fault that it names."""
    entry = JUDGED[name]
    found = failed(tell(tmp_path, entry["scenarios"], entry["fault"]))
    assert name in found
    assert found - {name} <= BESIDE.get(entry["fault"], set())


def test_nothing_fails_without_a_fault(tmp_path: Path) -> None:
    """On the honest gateway no scenario has a finding of any level, and every unit is judged."""
    reports = tell(tmp_path, SCENARIOS)
    assert [(one.nodeid, one.reason) for one in reports if one.verdict != "pass"] == []
    assert [finding for one in reports for finding in one.findings] == []
    units = {(name, operation) for name, entry in JUDGED.items() for operation in entry["operations"]}
    assert units - judged(reports) == set()


@pytest.mark.parametrize(("name", "fault"), MORE)
def test_fails_in_other_ways_too(name: str, fault: str, tmp_path: Path) -> None:
    """A requirement of several clauses must fail when another of them is broken."""
    assert name in failed(tell(tmp_path, JUDGED[name]["scenarios"], fault))


# small predicates, on exchanges made by hand


def exchange(
    operation: str,
    asked: Any,
    answered: Any,
    *,
    number: int = 0,
    status: int = 200,
    media_type: str = "application/json",
    url: str = "http://gateway.invalid/v1/x",
    method: str = "POST",
    **more: Any,
) -> Exchange:
    """An exchange that lasts one second, the ``number``-th of several."""
    body = answered if isinstance(answered, bytes) else json.dumps(answered).encode()
    sent = b"" if asked is None else json.dumps(asked).encode()
    request = Request(method, url, (("content-type", "application/json"),), sent)
    return Exchange(
        id=f"x{number}",
        item="item",
        operation=operation,
        purpose=Purpose.SCENARIO,
        credential=Credential.OWNER,
        request=request,
        started=float(more.pop("started", 2 * number)),
        ended=float(more.pop("ended", 2 * number + 1)),
        response=Response(status, (("content-type", media_type), *more.pop("headers", ())), body),
        facts=more,
    )


def kinds(check: str, *exchanges: Exchange) -> list[str] | None:
    """The kinds of violation a check raises; None when it decides nothing."""
    rulings = [outcome for _, outcome in checks_by_name()[check](exchanges, None)]  # type: ignore[arg-type]
    decided = [one for one in rulings if one is not None and not isinstance(one, Undecided)]
    return [violation.kind for one in decided for violation in one] if decided else None


CHAT = "createChatCompletion"


def chat(
    asked: Mapping[str, Any], *messages: Mapping[str, Any], reason: str = "stop", **more: Any
) -> Exchange:
    choices = [
        {"index": place, "message": message, "logprobs": None, "finish_reason": reason}
        for place, message in enumerate(messages)
    ]
    answered = {"id": "c1", "object": "chat.completion", "created": 1_700_000_000, "model": "m"}
    return exchange(CHAT, asked, {**answered, "choices": choices}, **more)


SAYS = {"role": "assistant", "content": "ok"}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("chat.choices", chat({"n": None}, SAYS)),
        ("chat.finish_calls", chat(TOOLS, CALLS, reason="stop")),
        ("chat.tool_choice", chat({**TOOLS, "tool_choice": "required"}, SAYS, reason="length")),
        ("chat.tool_choice", chat({**TOOLS, "tool_choice": "auto"}, SAYS)),
        ("chat.content_null", chat({}, {"role": "assistant", "content": None, "refusal": "no"})),
        ("chat.content_null", chat({}, {"role": "assistant", "content": None}, reason="content_filter")),
        ("chat.structured", chat({"response_format": {"type": "json_object"}}, SAYS, reason="length")),
        ("chat.logprobs", chat({"logprobs": False}, SAYS)),
        ("chat.logprobs", chat({"logprobs": True, **TOOLS}, CALLS)),
    ],
)
def test_honest_chats_raise_nothing(check: str, told: Exchange) -> None:
    """Null beside absent, answers cut short, and refusals must not raise an alarm."""
    assert kinds(check, told) == []


@pytest.mark.parametrize("junk", [None, 7, "x", [], [None], [7], {"a": 1}, [{"index": {}}], [{"message": 7}]])
@pytest.mark.parametrize("field", ["choices", "data", "results", "usage", "id", "embedding"])
def test_no_check_breaks_on_junk(field: str, junk: Any) -> None:
    """Whatever type a field has, in a question or in an answer, a check must answer, not raise."""
    names = {entry["check"]: entry["operations"] for entry in JUDGED.values()}
    for check, operations in names.items():
        for operation in operations:
            asked = {field: junk, "n": junk, "stop": junk, "input": junk, "tools": junk, "stream": True}
            shapes = (
                exchange(operation, asked, {field: junk}),
                exchange(operation, {**asked, "stream": False}, {field: junk}),
                exchange(operation, junk, junk),
                exchange(operation, asked, b"data: " + json.dumps({field: junk}).encode() + b"\n\n",
                         media_type="text/event-stream"),
            )  # fmt: skip
            kinds(check, *shapes)


def test_ids_may_repeat_from_a_cache_and_must_not_otherwise() -> None:
    """An answer out of the gateway's cache has its old id; any other must have a new one."""
    first, again = chat({}, SAYS), chat({}, SAYS, number=1)
    stored = chat({}, SAYS, number=1, headers=(("x-portkey-cache-status", "HIT"),))
    assert kinds("chat.identity", first, stored) == []
    assert kinds("chat.identity", first, again) == ["id-again"]


def test_milliseconds_are_no_seconds() -> None:
    """A time of creation in milliseconds must be found out."""
    told = exchange(CHAT, {}, {"id": "a", "object": "chat.completion", "created": 1_700_000_000_000})
    assert kinds("chat.identity", told) == ["created"]


@pytest.mark.parametrize(
    ("asked", "named", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("@openai-prod/gpt-4o", "gpt-4o", True),
        ("openai/GPT-4o", "gpt-4o", True),
        ("gpt-4o", "claude-3", False),
    ],
)
def test_models_may_have_prefixes_and_versions(asked: str, named: str, same: bool) -> None:
    """A provider before the name or a date behind it is the same model; another name is another."""
    assert same_model(asked, named) is same


def stream(*chunks: Any, asked: Mapping[str, Any] | None = None) -> Exchange:
    body = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in chunks)
    question = {"stream": True, **(asked or {})}
    return exchange(CHAT, question, body.encode(), media_type="text/event-stream")


def chunk(delta: Mapping[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    choices = [{"index": index, "delta": delta, "finish_reason": finish}]
    return {"id": "c", "created": 1, "object": "chat.completion.chunk", "choices": choices}


BEGIN, END, DONE = chunk({"role": "assistant", "content": ""}), chunk({}, "stop"), "[DONE]"


def test_a_stream_may_end_in_an_error() -> None:
    """An error event may stand for [DONE], or before it; no chunk may follow it."""
    error = {"error": {"message": "overloaded", "type": "server_error"}}
    assert kinds("chat_stream.framing", stream(BEGIN, error)) == []
    assert kinds("chat_stream.framing", stream(BEGIN, error, DONE)) == []
    assert kinds("chat_stream.framing", stream(BEGIN, error, END, DONE)) == ["after-error"]
    assert kinds("chat_stream.finish", stream(BEGIN, error)) is None


@pytest.mark.parametrize(
    ("check", "chunks", "expected"),
    [
        ("framing", (BEGIN, END), ["done"]),
        ("framing", (BEGIN, DONE, END), ["after-done"]),
        ("framing", (BEGIN, END, DONE, DONE), ["done"]),
        ("framing", (BEGIN, "{", DONE), ["no-object"]),
        ("finish", (BEGIN, DONE), ["finish"]),
        ("finish", (BEGIN, END, chunk({"content": "more"}), DONE), ["after-finish"]),
        ("finish", (BEGIN, END, chunk({}), DONE), []),
        ("identity", (BEGIN, {**END, "id": "d"}, DONE), ["id"]),
        ("indexes", (BEGIN, chunk({}, "stop", 1), DONE), ["index"]),
        ("no_usage", (BEGIN, {**END, "usage": None}, DONE), []),
    ],
)
def test_order_of_chunks(check: str, chunks: tuple[Any, ...], expected: list[str]) -> None:
    """Ends, ids and indexes out of order are found, and what may be null may be."""
    assert kinds(f"chat_stream.{check}", stream(*chunks)) == expected


def test_usage_comes_last_and_alone() -> None:
    """The chunk of usage has no choices and is the last; null usage before it is fine."""
    asked = {"stream_options": {"include_usage": True}}
    usage = {**BEGIN, "choices": [], "usage": {"total_tokens": 1}}
    early = {**END, "usage": {"total_tokens": 1}}
    nothing = {**BEGIN, "usage": None}
    assert kinds("chat_stream.usage_last", stream(nothing, END, usage, DONE, asked=asked)) == []
    assert kinds("chat_stream.usage_last", stream(BEGIN, early, DONE, asked=asked)) == ["missing"]
    assert kinds("chat_stream.usage_last", stream(BEGIN, early, usage, DONE, asked=asked)) == ["early"]


def test_calls_come_in_fragments() -> None:
    """Two calls may take turns; the head of each stands in its first fragment alone."""

    def part(index: int, **function: Any) -> dict[str, Any]:
        identifier = function.pop("id", None)
        call = {"index": index, "function": function, **({"id": identifier} if identifier else {})}
        return chunk({"tool_calls": [call]})

    first, second = part(0, id="a", name="f", arguments=""), part(1, id="b", name="f", arguments="")
    mixed = (first, part(0, arguments="{"), second, part(0, arguments="}"), part(1, arguments="{}"))
    assert kinds("chat_stream.tool_deltas", stream(*mixed, DONE)) == []
    assert kinds("chat_stream.tool_deltas", stream(first, first, DONE)) == ["again"]
    assert kinds("chat_stream.tool_deltas", stream(second, DONE)) == ["index"]
    assert kinds("chat_stream.tool_deltas", stream(part(0, arguments="{"), DONE)) == ["head"]


def test_shapes_are_compared_only_where_the_request_decides() -> None:
    """With a free choice of tools one answer may call and the next may not."""
    plain: dict[str, Any] = {"messages": []}
    free = {**TOOLS, **plain}
    streamed = (BEGIN, END, DONE)
    assert kinds("chat_stream.same_shape", chat(free, CALLS), stream(*streamed, asked=free)) is None
    assert kinds("chat_stream.same_shape", chat(plain, SAYS), stream(*streamed, asked=plain)) == []
    assert kinds("chat_stream.same_shape", chat(plain, SAYS, SAYS), stream(*streamed, asked=plain)) == [
        "shape"
    ]
    assert chat_streams.alike({0: ("None", "says")}, {0: ("assistant", "says")})


def embedding(asked: Mapping[str, Any], *vectors: Any, number: int = 0) -> Exchange:
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    return exchange(
        "createEmbedding", {"model": "m", **asked}, {"object": "list", "data": data}, number=number
    )


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_both_forms_of_a_vector_agree() -> None:
    """base64 must hold the vector that numbers showed, however the two exchanges overlap."""
    plain = embedding({"input": "a"}, [0.6, 0.8])
    asked = {"input": "a", "encoding_format": "base64"}
    assert kinds("embeddings.encoding", plain, embedding(asked, packed(0.6, 0.8), number=1)) == []
    assert kinds("embeddings.encoding", plain, embedding(asked, packed(0.8, -0.6), number=1)) == ["differs"]
    assert kinds("embeddings.encoding", embedding(asked, "???")) == ["base64"]
    assert kinds("embeddings.encoding", embedding(asked, [0.6, 0.8])) == ["form"]


def test_only_models_documented_so_have_unit_vectors() -> None:
    """Another length is fine unless the model is known for length 1; infinity never is."""
    assert kinds("embeddings.length_one", embedding({}, [3.0, 4.0])) == []
    known = {"model": "@openai/text-embedding-3-small"}
    assert kinds("embeddings.length_one", embedding(known, [3.0, 4.0])) == ["length"]
    assert kinds("embeddings.length_one", embedding({}, packed(float("inf"), 1.0))) == ["infinite"]


def test_one_list_of_token_ids_is_one_input() -> None:
    """Texts and lists of ids count each; one list of ids counts once."""
    assert len(embeddings.inputs([1, 2, 3])) == 1
    assert len(embeddings.inputs([[1, 2], [3]])) == 2
    assert len(embeddings.inputs(["a", "b"])) == 2


def test_pictures_tell_their_size() -> None:
    """PNG, JPEG and WebP are read; anything else, and what is cut short, is no picture."""
    assert media.size_of(content("png")[2]) == (64, 64)
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 20, 30)
    assert media.size_of(jpeg) == (30, 20)
    webp = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\x1d\x00\x00\x13\x00\x00"
    assert media.size_of(webp) == (30, 20)
    assert media.size_of(b"\xff\xd8\xff") is None
    assert media.size_of(content("txt")[2]) is None


@pytest.mark.parametrize(
    ("shape", "media_type", "body", "expected"),
    [
        ("mp3", "audio/mpeg", b"\xff\xf3\x84\xc4", []),
        ("mp3", "application/octet-stream", b"ID3\x04", []),
        ("mp3", "audio/mpeg", b"\xff\xf1\x50\x40", ["bytes"]),
        ("aac", "audio/aac", b"\xff\xf1\x50\x40", []),
        ("wav", "audio/x-wav", b"RIFF\x00\x00\x00\x00WAVE", []),
        ("wav", "audio/mpeg", b"RIFF\x00\x00\x00\x00WAVE", ["type"]),
        ("pcm", "audio/pcm", b"\x00\x01", []),
        ("opus", "audio/ogg", b"", ["empty"]),
    ],
)
def test_first_bytes_of_speech(shape: str, media_type: str, body: bytes, expected: list[str]) -> None:
    """Formats are told by their first bytes; plain bytes are an honest content type."""
    told = exchange("createSpeech", {"response_format": shape}, body, media_type=media_type)
    assert kinds("audio.format", told) == expected


def test_forms_are_read_back() -> None:
    """Text fields as text, files as bytes, repeated names as a list; a broken form as none."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n'
        b'--b\r\nContent-Disposition: form-data; name="g[]"\r\n\r\nword\r\n'
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n"
    )
    found = form("multipart/form-data; boundary=b", body)
    assert found == {"n": "2", "g[]": ["word"], "image": b"\x89PNG\r\n\x1a\n"}
    assert form("multipart/form-data; boundary=other", body) == {}
    assert form("multipart/form-data", body) == {}


def listed(number: int, *names: str, query: str = "", **times: Any) -> Exchange:
    data = [{"id": name, "object": "model"} for name in names]
    url = f"http://gateway.invalid/v1/models{query}"
    return exchange(
        "listModels", None, {"object": "list", "data": data}, number=number, url=url, method="GET", **times
    )


def test_a_window_is_judged_only_in_a_quiet_list() -> None:
    """Where the whole list changed meanwhile, or was seen at the same time, a window proves nothing."""
    window = listed(1, "c", query="?limit=1&offset=1")
    assert kinds("models.list", listed(0, "a", "b"), window, listed(2, "a", "b")) == ["window"]
    assert kinds("models.list", listed(0, "a", "b"), window, listed(2, "a", "c")) == []
    overlapping = listed(0, "a", "b", started=0, ended=3)
    assert kinds("models.list", overlapping, window, listed(2, "a", "b")) == []


def test_backwards_is_told_by_any_field() -> None:
    """Models of equal sort value may stand in any order, as long as some field runs backwards."""
    whole = [listed(0, "a", "b"), listed(2, "a", "b")]
    back, same = (listed(1, *names, query="?order=desc") for names in (("b", "a"), ("a", "b")))
    assert kinds("models.list", whole[0], back, whole[1]) == []
    assert kinds("models.list", whole[0], same, whole[1]) == ["order"]


def test_a_model_read_under_a_prefix_is_the_same() -> None:
    """A path with a provider before the name, encoded or not, names the model that is answered."""

    def read(path: str, identifier: str) -> Exchange:
        url = f"http://gateway.invalid/v1/models/{path}"
        value = {"id": identifier, "object": "model"}
        return exchange("retrieveModel", None, value, url=url, method="GET")

    assert kinds("models.retrieve", read("%40openai%2Fgpt-4o", "@openai/gpt-4o")) == []
    assert kinds("models.retrieve", read("%40openai%2Fgpt-4o", "gpt-4o")) == []
    assert kinds("models.retrieve", read("gpt-4o", "gpt-4")) == ["id"]


def test_a_realtime_path_must_not_hang() -> None:
    """Without an upgrade: a refusal in time passes; success, silence and a late answer do not."""

    def plain(status: int, took: float) -> Exchange:
        return exchange("connectRealtime", None, {}, status=status, started=0, ended=took, plain=True)

    assert kinds("realtime.no_upgrade", plain(426, 0.1)) == []
    assert kinds("realtime.no_upgrade", plain(200, 0.1)) == ["taken"]
    assert kinds("realtime.no_upgrade", plain(426, 30)) == ["slow"]
    assert kinds("realtime.no_upgrade", plain(0, 60)) == ["unanswered"]
