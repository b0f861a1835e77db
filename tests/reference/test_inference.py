"""Chat, completions, responses and realtime: derived from the request, valid by the contract."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from schema_help import assert_valid, complain, response_validator
from wire import Wire, events_of, ok, serving

CHAT: dict[str, Any] = {
    "model": "reference-chat",
    "messages": [{"role": "user", "content": "Hello there, world"}],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
        },
    },
}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving() as found:
        yield found


def chat(wire: Wire, **fields: Any) -> Any:
    return ok(wire.ask("POST", "/chat/completions", json={**CHAT, **fields}), "createChatCompletion")


# chat


def test_chat_answers_with_the_words_it_was_sent(wire: Wire) -> None:
    """Model and words come back; token counts add up; the same request has the same answer."""
    first, second = chat(wire), chat(wire)
    assert first["model"] == "reference-chat"
    assert "Hello there, world" in first["choices"][0]["message"]["content"]
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
    usage = first["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_chat_gives_as_many_choices_as_asked(wire: Wire) -> None:
    """n choices, numbered, not all alike."""
    choices = chat(wire, n=3)["choices"]
    assert [one["index"] for one in choices] == [0, 1, 2]
    assert len({one["message"]["content"] for one in choices}) == 3


def test_chat_stops_where_it_is_told(wire: Wire) -> None:
    """A token limit ends with length and that many tokens; a stop sequence with stop, and is left out."""
    short = chat(wire, max_completion_tokens=2)
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 2
    stopped = chat(wire, stop=["there"])["choices"][0]
    assert stopped["finish_reason"] == "stop"
    assert "there" not in stopped["message"]["content"]


@pytest.mark.parametrize(
    "choice", [{"type": "function", "function": {"name": "get_weather"}}, "required", "auto"]
)
def test_chat_calls_the_function(wire: Wire, choice: Any) -> None:
    """Forced, required, or named in the message: tool_calls with arguments that fit the parameters."""
    messages = [{"role": "user", "content": "use get_weather"}]
    made = chat(wire, tools=[WEATHER], tool_choice=choice, messages=messages)["choices"][0]
    assert made["finish_reason"] == "tool_calls"
    (called,) = made["message"]["tool_calls"]
    arguments = json.loads(called["function"]["arguments"])
    assert called["function"]["name"] == "get_weather"
    assert isinstance(arguments["city"], str)
    assert arguments["days"] >= 3
    assert made["message"]["content"] is None


def test_chat_with_no_tool_choice_or_a_tool_result_answers_in_words(wire: Wire) -> None:
    """none forbids calls; after a tool's output the model speaks, of that output."""
    assert chat(wire, tools=[WEATHER], tool_choice="none")["choices"][0]["finish_reason"] == "stop"
    called = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "use get_weather"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": "seventeen degrees"},
    ]
    made = chat(wire, tools=[WEATHER], messages=messages)["choices"][0]
    assert made["finish_reason"] == "stop"
    assert "seventeen degrees" in made["message"]["content"]


def test_chat_keeps_to_a_response_format(wire: Wire) -> None:
    """json_object is an object; json_schema fits its schema."""
    plain = chat(wire, response_format={"type": "json_object"})
    assert isinstance(json.loads(plain["choices"][0]["message"]["content"]), dict)
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}, "n": {"type": "array"}}}
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    value = json.loads(chat(wire, response_format=shape)["choices"][0]["message"]["content"])
    assert value["yes"] is True
    assert isinstance(value["n"], list)


def test_chat_log_probabilities_cover_the_text(wire: Wire) -> None:
    """The tokens join to the content, their bytes are theirs, alternatives as many as asked."""
    choice = chat(wire, logprobs=True, top_logprobs=2)["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(one["token"] for one in content) == choice["message"]["content"]
    assert all(bytes(one["bytes"]).decode() == one["token"] for one in content)
    assert all(len(one["top_logprobs"]) == 2 and one["logprob"] < 0 for one in content)


def test_a_failing_model_is_refused(wire: Wire) -> None:
    """The model declared as failing never answers 2xx, nor 5xx."""
    response = wire.ask("POST", "/chat/completions", json={**CHAT, "model": "reference-failing"})
    assert response.status_code == 424
    assert response.json()["error"]["code"] == "model_failed"


@pytest.mark.parametrize(
    "extra", [{}, {"n": 2}, {"logprobs": True}, {"tools": [WEATHER], "tool_choice": "required"}]
)
def test_a_chat_stream_tells_what_the_whole_answer_tells(wire: Wire, extra: dict[str, Any]) -> None:
    """Valid chunks: role first, one finish reason a choice, texts and calls join, usage, then the end."""
    body = {**CHAT, **extra, "stream": True, "stream_options": {"include_usage": True}}
    response = wire.ask("POST", "/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [data for _, data in events_of(response.text)]
    assert events.pop() == "[DONE]"
    for event in events:
        validator = response_validator("createChatCompletion", 200, "text/event-stream")
        complain("chunk", validator, event)
    assert len({(one["id"], one["created"], one["model"]) for one in events}) == 1
    usage = events.pop()
    assert usage["choices"] == []
    assert all(one["usage"] is None for one in events)
    whole = chat(wire, **extra)
    assert usage["usage"] == whole["usage"]
    for choice in whole["choices"]:
        parts = [one["choices"][0] for one in events if one["choices"][0]["index"] == choice["index"]]
        assert parts[0]["delta"]["role"] == "assistant"
        assert [one["finish_reason"] for one in parts if one["finish_reason"]] == [choice["finish_reason"]]
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
        text = "".join(one["delta"].get("content") or "" for one in parts)
        assert text == (choice["message"]["content"] or "")
        calls = [call for one in parts for call in one["delta"].get("tool_calls", ())]
        written = "".join(call["function"].get("arguments", "") for call in calls)
        expected = choice["message"].get("tool_calls", [])
        assert written == "".join(one["function"]["arguments"] for one in expected)


# completions


def test_completions_echo_number_and_stop(wire: Wire) -> None:
    """echo repeats the prompt, every prompt has n choices, the default limit is 16 tokens."""
    body = {"model": "reference-instruct", "prompt": ["one", "two"], "n": 2, "echo": True, "logprobs": 1}
    found = ok(wire.ask("POST", "/completions", json=body), "createCompletion")
    assert [one["index"] for one in found["choices"]] == [0, 1, 2, 3]
    assert [one["text"].split(" ")[0][:3] for one in found["choices"]] == ["one", "one", "two", "two"]
    for choice in found["choices"]:
        assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
        offsets = choice["logprobs"]["text_offset"]
        assert all(
            choice["text"][at:].startswith(one)
            for at, one in zip(offsets, choice["logprobs"]["tokens"], strict=True)
        )
    long = {"model": "m", "prompt": " ".join(["word"] * 40)}
    cut = ok(wire.ask("POST", "/completions", json=long), "createCompletion")
    assert (cut["choices"][0]["finish_reason"], cut["usage"]["completion_tokens"]) == ("length", 16)


def test_a_completion_stream_joins_to_the_whole(wire: Wire) -> None:
    """Valid events, the same text, usage when asked for, the end."""
    body = {"model": "m", "prompt": "one two", "n": 2, "max_tokens": 40}
    whole = ok(wire.ask("POST", "/completions", json=body), "createCompletion")
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    events = [data for _, data in events_of(wire.ask("POST", "/completions", json=streamed).text)]
    assert events.pop() == "[DONE]"
    for event in events:
        complain("event", response_validator("createCompletion", 200, "text/event-stream"), event)
    for choice in whole["choices"]:
        text = "".join(
            one["text"] for event in events for one in event["choices"] if one["index"] == choice["index"]
        )
        assert text == choice["text"]
    assert events[-1]["usage"] == whole["usage"]


# responses


def respond(wire: Wire, **fields: Any) -> Any:
    body = {"model": "reference-chat", "input": "Tell me more", **fields}
    return ok(wire.ask("POST", "/responses", json=body), "createResponse")


def test_a_response_is_kept_until_it_is_deleted(wire: Wire) -> None:
    """Read as made, then deleted, then 404 for itself and its items."""
    made = respond(wire, metadata={"a": "b"}, temperature=0.3, instructions="Be brief.")
    assert "Tell me more" in made["output_text"]
    assert (made["metadata"], made["temperature"], made["instructions"]) == ({"a": "b"}, 0.3, "Be brief.")
    assert ok(wire.ask("GET", f"/responses/{made['id']}"), "getResponse") == made
    assert ok(wire.ask("DELETE", f"/responses/{made['id']}"), "deleteResponse")["deleted"] is True
    for path in ("", "/input_items"):
        assert wire.ask("GET", f"/responses/{made['id']}{path}").status_code == 404
    assert wire.ask("DELETE", f"/responses/{made['id']}").status_code == 404


def test_a_response_that_is_not_stored_cannot_be_read(wire: Wire) -> None:
    """store false leaves nothing behind."""
    made = respond(wire, store=False)
    assert wire.ask("GET", f"/responses/{made['id']}").status_code == 404


def test_input_items_are_listed_in_pages(wire: Wire) -> None:
    """Every kind of item has an id and fits the list; cursors walk it both ways without loss."""
    items = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "input_text", "text": "three"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "four"},
    ]
    made = respond(wire, input=items)
    assert "four" in made["output_text"]
    path = f"/responses/{made['id']}/input_items"
    every = ok(wire.ask("GET", f"{path}?order=asc"), "listInputItems")["data"]
    assert len(every) == 5
    seen: list[Any] = []
    query = "?order=asc&limit=2"
    while True:
        page = ok(wire.ask("GET", path + query), "listInputItems")
        seen += page["data"]
        if not page["has_more"]:
            break
        query = f"?order=asc&limit=2&after={page['last_id']}"
    assert seen == every
    assert ok(wire.ask("GET", path), "listInputItems")["data"] == every
    assert ok(wire.ask("GET", f"{path}?order=desc"), "listInputItems")["data"] == every[::-1]
    before = ok(wire.ask("GET", f"{path}?order=asc&before={every[2]['id']}"), "listInputItems")
    assert before["data"] == every[:2]
    assert wire.ask("GET", f"{path}?after=item_none").status_code == 400


def test_responses_follow_one_another(wire: Wire) -> None:
    """A previous response counts into the input; an unknown one is 404."""
    first = respond(wire)
    second = respond(wire, previous_response_id=first["id"])
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    body = {"model": "m", "input": "x", "previous_response_id": "resp_none"}
    assert wire.ask("POST", "/responses", json=body).status_code == 404


TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": None},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "web_search_preview"},
    {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "mac"},
]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: str(tool["type"]))
@pytest.mark.parametrize("limited", [False, True])
def test_a_response_stream_tells_its_items_in_order(wire: Wire, tool: dict[str, Any], limited: bool) -> None:
    """Created first, numbered without gaps, items opened and closed, texts join, the whole at last."""
    limit = {"max_output_tokens": 2} if limited else {}
    body = {"model": "m", "input": "go", "tools": [tool], "tool_choice": "required", "stream": True, **limit}
    events = events_of(wire.ask("POST", "/responses", json=body).text)
    for name, data in events:
        assert name == data["type"]
        complain(str(name), response_validator("createResponse", 200, "text/event-stream"), data)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    final = events[-1][1]["response"]
    names = [name for name, _ in events]
    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == f"response.{final['status']}"
    assert_valid("getResponse", 200, final)
    assert wire.ask("GET", f"/responses/{final['id']}").json() == final
    added = [data["output_index"] for name, data in events if name == "response.output_item.added"]
    done = [data["item"] for name, data in events if name == "response.output_item.done"]
    assert added == list(range(len(final["output"])))
    assert done == final["output"]
    text = "".join(data["delta"] for name, data in events if name == "response.output_text.delta")
    assert text == final["output_text"]
    assert (final["status"] == "incomplete") == (limited and tool["type"] != "function")


# realtime


async def talk(wire: Wire, *, who: str | None = "owner", greeted: bool = True) -> list[dict[str, Any]]:
    headers = wire.announcement["credentials"][who] if who else {}
    url = wire.data.replace("http", "ws") + "/realtime?model=reference-realtime"
    heard: list[dict[str, Any]] = []
    async with websockets.connect(url, additional_headers=headers) as socket:
        if greeted:
            heard.append(json.loads(await socket.recv()))
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Good morning"}],
        }
        for event in ({"type": "conversation.item.create", "item": item}, {"type": "response.create"}, {}):
            await socket.send(json.dumps(event))
        while not heard or heard[-1]["type"] != "error":
            heard.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
    assert socket.close_code == 1000
    return heard


def test_realtime_greets_answers_and_closes(wire: Wire) -> None:
    """session.created first; an item and a response in events; nonsense is an error event; a clean close."""
    heard = asyncio.run(talk(wire))
    assert heard[0]["type"] == "session.created"
    assert heard[0]["session"]["model"] == "reference-realtime"
    assert heard[1]["type"] == "conversation.item.created"
    text = "".join(one["delta"] for one in heard if one["type"] == "response.text.delta")
    done = next(one for one in heard if one["type"] == "response.done")
    assert done["response"]["output"][0]["content"][0]["text"] == text
    assert "Good morning" in text
    assert len({one["event_id"] for one in heard}) == len(heard)


def test_realtime_needs_a_key_and_an_upgrade(wire: Wire) -> None:
    """The handshake without a key is 401; a plain GET is 426, at once."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        asyncio.run(talk(wire, who=None))
    assert refused.value.response.status_code == 401
    plain = wire.ask("GET", "/realtime")
    assert (plain.status_code, plain.headers["upgrade"]) == (426, "websocket")


def test_realtime_faults_show() -> None:
    """A silent connection says nothing until it is spoken to; an aborted one closes with 1011."""
    with serving("realtime-silent") as wire:
        assert asyncio.run(talk(wire, greeted=False))[0]["type"] == "conversation.item.created"
    with serving("realtime-aborts") as wire, pytest.raises(websockets.ConnectionClosedError) as closed:
        asyncio.run(talk(wire))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
