"""Model responses: stored and not, continued, cut short, streamed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.storage import INDEXED_WITHIN_S, settled, uploaded
from conformance.exercise.scenarios.story import Reply, Story

ECHO = {
    "type": "function",
    "name": "note",
    "description": "Takes a note.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
    "strict": True,
}
TALK = [
    {"role": "user", "content": "Say one."},
    {"role": "assistant", "content": "One."},
    {"role": "user", "content": "Say two."},
]


def named(reply: Reply) -> dict[str, Any]:
    """The path of the response that an answer, or the first event of a stream, names."""
    return {"response_id": reply.get("id") or _in_events(reply)}


def _in_events(reply: Reply) -> Any:
    for event in reply.events:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return json.loads(event.data)["response"]["id"]
    return None


@scenario(
    "response-kept", "createResponse", "getResponse", "listInputItems", "deleteResponse", needs=("chat",)
)
async def response_kept(story: Story) -> None:
    """A response to a short talk is read back, its input listed; then it is deleted and looked for."""
    created = await story.send(
        "createResponse",
        merge={
            "input": TALK,
            "instructions": "Answer with one word.",
            "max_output_tokens": 64,
            "metadata": {"colour": "green", "size": "small"},
            "truncation": "disabled",
            "store": True,
        },
    )
    path = named(created)
    await story.send("getResponse", path=path)
    await story.send("listInputItems", path=path, about="RSP-07")
    await story.send("listInputItems", path=path, query={"order": "desc"}, about="RSP-07")
    await story.send("deleteResponse", path=path)
    await story.send("getResponse", path=path, about="RSP-06")


@scenario("response-not-stored", "createResponse", "getResponse", needs=("chat",))
async def response_not_stored(story: Story) -> None:
    """A response that is not to be stored is looked for."""
    created = await story.send("createResponse", merge={"store": False})
    await story.send("getResponse", path=named(created), about="RSP-05")


@scenario("response-continued", "createResponse", needs=("chat",))
async def response_continued(story: Story) -> None:
    """A response with instructions is continued by one without."""
    first = await story.send("createResponse", merge={"instructions": "Answer with one word."})
    await story.send("createResponse", merge={"previous_response_id": first.get("id")}, about="RSP-11")


@scenario("response-cut-short", "createResponse", "getResponse", needs=("chat",))
async def response_cut_short(story: Story) -> None:
    """A response that may have only a few tokens."""
    merge = {"input": "Count from one to two hundred, in words.", "max_output_tokens": 16}
    await story.send("getResponse", path=named(await story.send("createResponse", merge=merge)))


@scenario("response-called", "createResponse", needs=("chat", "function-tools"))
async def response_called(story: Story) -> None:
    """A response that is made to call a function."""
    choice = {"type": "function", "name": ECHO["name"]}
    await story.send("createResponse", merge={"tools": [ECHO], "tool_choice": choice})


@scenario("response-searched", "createResponse", needs=("chat", "uploads"))
async def response_searched(story: Story) -> None:
    """A response that is made to search a store, without asking for the results."""
    store = await story.send("createVectorStore", merge={"file_ids": [await uploaded(story)]})
    path = {"vector_store_id": store.get("id")}
    await story.poll("getVectorStore", settled, within=INDEXED_WITHIN_S, path=path)
    tool = {"type": "file_search", "vector_store_ids": [store.get("id")]}
    merge = {"tools": [tool], "tool_choice": {"type": "file_search"}}
    await story.send("createResponse", merge=merge, about="RSP-10")


@scenario("response-streamed", "createResponse", "getResponse", needs=("chat", "streaming"))
async def response_streamed(story: Story) -> None:
    """A response comes as a stream, and is then read."""
    created = await story.send("createResponse", merge={"stream": True, "input": "Count to five, in words."})
    await story.send("getResponse", path=named(created), about="RSE-05")


@scenario("response-call-streamed", "createResponse", needs=("chat", "streaming", "function-tools"))
async def response_call_streamed(story: Story) -> None:
    """A function call comes as a stream."""
    choice = {"type": "function", "name": ECHO["name"]}
    await story.send("createResponse", merge={"stream": True, "tools": [ECHO], "tool_choice": choice})
