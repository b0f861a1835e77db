"""Assistants, threads, messages, and what runs leave behind."""

from __future__ import annotations

import contextlib
from typing import Any

from conformance.exercise.binding import pick
from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.runs import ENDED, function
from conformance.exercise.scenarios.story import Reply, Story
from conformance.exercise.world import Unprepared

_WEATHER = function("get_weather")
_DETAILED: dict[str, Any] = {
    "description": "Answers short questions.",
    "instructions": "Answer in one word.",
    "tools": [{"type": "code_interpreter"}, _WEATHER],
    "metadata": {"purpose": "conformance", "colour": "blue"},
}
_ALL = {"limit": 100, "order": "desc"}
_TOO_LONG: tuple[dict[str, Any], ...] = (
    {"name": "n" * 257},
    {"description": "d" * 513},
    {"instructions": "i" * 256_001},
    {"tools": [{**_WEATHER, "function": {"name": f"get_weather_{at}"}} for at in range(129)]},
)


def ended(value: Any) -> bool:
    """Whether a run as JSON has ended."""
    return isinstance(value, dict) and value.get("status") in ENDED


def outputs_for(run: Any) -> list[dict[str, str]]:
    """An output for each call that a run as JSON asks for; Unprepared where it asks for none."""
    calls = pick(run, "required_action.submit_tool_outputs.tool_calls")
    names = [pick(call, "id") for call in calls] if isinstance(calls, list) else []
    found = [{"tool_call_id": one, "output": "Sunny, 21 degrees."} for one in names if isinstance(one, str)]
    if not found:
        raise Unprepared("a run with a forced function does not say which outputs it asks for")
    return found


# assistants


@scenario("assistant-echo", "createAssistant", "getAssistant", "listAssistants", needs=("chat",))
async def assistant_echo(story: Story) -> None:
    """An assistant with every plain field is created, read and listed."""
    settings = {"temperature": 0.5, "top_p": 0.5, "response_format": "auto"}
    created = await story.send("createAssistant", merge={**_DETAILED, **settings}, about="AST-01")
    if not created.ok:  # not every model takes all settings
        created = await story.send("createAssistant", merge=_DETAILED, about="AST-01")
    await story.send("getAssistant", about="AST-01")
    await story.send("listAssistants", query=_ALL, about="AST-01")


@scenario("assistant-modified", "modifyAssistant", "getAssistant", needs=("chat",))
async def assistant_modified(story: Story) -> None:
    """Some fields of an assistant are modified, then others; each time it is read again."""
    await story.send("createAssistant", merge=_DETAILED)
    for change in ({"metadata": {"colour": "red"}}, {"instructions": "Answer in two words.", "tools": []}):
        await story.send("modifyAssistant", merge=change, about="AST-02")
        await story.send("getAssistant", about="AST-02")


@scenario("assistant-deleted", "deleteAssistant", "getAssistant", "listAssistants", needs=("chat",))
async def assistant_deleted(story: Story) -> None:
    """A deleted assistant is neither read nor listed."""
    await story.make("assistant")
    await story.send("deleteAssistant", about="AST-03")
    await story.send("getAssistant", about="AST-03", expect="refused")
    await story.send("listAssistants", query=_ALL, about="AST-03")


@scenario("assistant-limits", "createAssistant", "modifyAssistant", needs=("chat",))
async def assistant_limits(story: Story) -> None:
    """Names, descriptions, instructions and tools beyond their limits are sent."""
    await story.make("assistant")
    for too_long in _TOO_LONG:
        await story.send("createAssistant", merge=too_long, about="AST-04", expect="refused", keep=False)
        await story.send("modifyAssistant", body=too_long, about="AST-04", expect="refused")


@scenario("assistant-modified-under-run", "modifyAssistant", "getRun", needs=("chat",))
async def assistant_modified_under_run(story: Story) -> None:
    """An assistant is modified after a run was made with it."""
    await story.send("createAssistant", merge=_DETAILED)
    run = await _run(story)
    change = {"instructions": "Answer in three words.", "tools": []}
    await story.send("modifyAssistant", merge=change, about="AST-05")
    await story.send("getRun", path=run, about="AST-05")


@scenario("assistant-json-mode", "createAssistant", needs=("chat",))
async def assistant_json_mode(story: Story) -> None:
    """JSON mode is asked for together with a tool that is no function."""
    mixed = {"tools": [{"type": "file_search"}], "response_format": {"type": "json_object"}}
    await story.send("createAssistant", merge=mixed, about="AST-06", expect="refused", keep=False)


# threads


@scenario("thread-round-trip", "createThread", "getThread", "modifyThread", "listMessages")
async def thread_round_trip(story: Story) -> None:
    """A thread with messages is made, read, listed, modified and read again."""
    said = [{"role": "user", "content": "First."}, {"role": "assistant", "content": "Second."}]
    parts = [{"type": "text", "text": "Third,"}, {"type": "text", "text": "in two parts."}]
    body = {"messages": [*said, {"role": "user", "content": parts}], "metadata": {"colour": "blue"}}
    await story.send("createThread", body=body, about=("THR-01", "THR-02"))
    await story.send("getThread", about="THR-01")
    await story.send("listMessages", query={"order": "asc"}, about="THR-02")
    await story.send("modifyThread", body={"metadata": {"colour": "red"}}, about="THR-03")
    await story.send("getThread", about="THR-03")


@scenario("thread-deleted", "deleteThread", "getThread")
async def thread_deleted(story: Story) -> None:
    """A deleted thread is read."""
    await story.make("thread")
    await story.send("deleteThread", about="THR-04")
    await story.send("getThread", about="THR-04", expect="refused")


@scenario("thread-resources", "createThread", "getThread", "getVectorStore", needs=("uploads",))
async def thread_resources(story: Story) -> None:
    """A thread is made with a file for code and a vector store described in place."""
    file = (await story.make("file")).id
    resources = {
        "code_interpreter": {"file_ids": [file]},
        "file_search": {"vector_stores": [{"file_ids": [file]}]},
    }
    created = await story.send(
        "createThread", merge={"tool_resources": resources}, about=("THR-01", "THR-05")
    )
    made = {"vector_store_id": created.get("tool_resources.file_search.vector_store_ids.0")}
    await story.send("getThread", about="THR-01")
    if made["vector_store_id"]:
        try:
            await story.send("getVectorStore", path=made, about="THR-05")
        finally:  # nothing but its thread told of this store
            await story.send("deleteVectorStore", path=made)


@scenario("thread-limits", "createThread", "modifyThread", "createAssistant", needs=("uploads", "chat"))
async def thread_limits(story: Story) -> None:
    """More files and vector stores than allowed are lent to threads and assistants."""
    files = [(await story.make("file")).id] * 21
    stores = [(await story.make("vector_store")).id] * 2
    await story.make("thread")
    for lent in ({"code_interpreter": {"file_ids": files}}, {"file_search": {"vector_store_ids": stores}}):
        merge = {"tool_resources": lent}
        await story.send("createThread", merge=merge, about="THR-06", expect="refused", keep=False)
        await story.send("createAssistant", merge=merge, about="THR-06", expect="refused", keep=False)
        await story.send("modifyThread", body=merge, about="THR-06", expect="refused")


# messages


@scenario("message-life", "createMessage", "getMessage", "listMessages", "modifyMessage", "deleteMessage")
async def message_life(story: Story) -> None:
    """Messages of text are written, read, listed, modified, and one of them deleted."""
    await story.send("createThread", body={})
    await story.send("createMessage", merge={"role": "user", "content": "One plain text."}, about="MSG-02")
    await story.send("getMessage")
    parts = [{"type": "text", "text": "One part."}, {"type": "text", "text": "Another part."}]
    await story.send("createMessage", body={"role": "user", "content": parts}, about="MSG-02")
    await story.send("getMessage")
    await story.send("listMessages", query=_ALL)
    await story.send("modifyMessage", body={"metadata": {"colour": "red"}}, about="MSG-08")
    await story.send("getMessage")
    await story.send("deleteMessage", about="MSG-11")
    await story.send("getMessage", about="MSG-11", expect="refused")
    await story.send("listMessages", query=_ALL, about="MSG-11")


@scenario("message-attached", "createMessage", "getMessage", "listMessages", needs=("uploads",))
async def message_attached(story: Story) -> None:
    """A message with a file attached is written, read and listed."""
    file = (await story.make("file")).id
    attached = [{"file_id": file, "tools": [{"type": "code_interpreter"}]}]
    await story.send("createThread", body={})
    await story.send("createMessage", merge={"attachments": attached}, about="MSG-12")
    await story.send("getMessage", about="MSG-12")
    await story.send("listMessages", about="MSG-12")


# what runs leave behind


async def _run(story: Story, **merge: Any) -> dict[str, Any]:
    """A run on the story's thread, polled to its end; its path parameter."""
    await story.make("thread")
    created = await story.send("createRun", merge=merge)
    run = {"run_id": created.get("id")}
    await story.poll("getRun", ended, path=run, within=120)
    return run


async def _read_steps(story: Story, run: dict[str, Any], *about: str) -> list[dict[str, Any]]:
    """The steps of a run, listed and then each read by itself."""
    listed = await story.send("listRunSteps", path=run, query={"order": "asc"}, about=about)
    steps = _entries(listed)
    for step in steps[:4]:
        await story.send("getRunStep", path={**run, "step_id": step["id"]}, about=about)
    return steps


async def _read_messages(story: Story, run: dict[str, Any], *about: str) -> None:
    """The messages of a run: the list filtered, then the newest by itself."""
    listed = await story.send("listMessages", query=run, about=about)
    for message in _entries(listed)[:1]:
        await story.send("getMessage", path={"message_id": message["id"]}, about=about)


def _entries(reply: Reply) -> list[dict[str, Any]]:
    data = reply.get("data")
    found = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    return [one for one in found if isinstance(one.get("id"), str)]


@scenario("run-left-behind", "listRunSteps", "getRunStep", "listMessages", "getMessage", needs=("chat",))
async def run_left_behind(story: Story) -> None:
    """After a run has completed its messages and steps are read, and the messages its steps name."""
    run = await _run(story)
    await _read_messages(story, run, "MSG-07", "MSG-10")
    for step in await _read_steps(story, run, "STEP-15"):
        made = pick(step, "step_details.message_creation.message_id")
        if isinstance(made, str):
            await story.send("getMessage", path={"message_id": made}, about="STEP-09")
    await story.send("listRunSteps", path=run, about="STEP-03")
    await story.send("listMessages", query=_ALL)


@scenario("run-tool-steps", "listRunSteps", "getRunStep", needs=("chat", "function-tools"))
async def run_tool_steps(story: Story) -> None:
    """The step of a function call is read while the run waits for its output, and after it was given."""
    made = await story.make("run_requiring_action")
    run = {"run_id": made.id}
    await _read_steps(story, run, "STEP-06", "STEP-10", "STEP-11")
    await story.send("submitToolOuputsToRun", path=run, body={"tool_outputs": outputs_for(made.value)})
    with contextlib.suppress(Unprepared):  # a forced model may ask again; what it left is read all the same
        await story.poll("getRun", _settled, path=run, within=120)
    await _read_steps(story, run, "STEP-03", "STEP-10", "STEP-12")


def _settled(value: Any) -> bool:
    return ended(value) or (isinstance(value, dict) and value.get("status") == "requires_action")


@scenario("run-failed-traces", "listMessages", "getMessage", "listRunSteps", needs=("chat", "failing"))
async def run_failed_traces(story: Story) -> None:
    """A run with a model that fails ends; its messages and steps are read."""
    run = await _run(story, model={"$model": "failing"})
    await _read_messages(story, run, "MSG-06")
    await _read_steps(story, run, "STEP-04")


@scenario(
    "run-searched", "listRunSteps", "getRunStep", "listMessages", "getMessage", needs=("chat", "uploads")
)
async def run_searched(story: Story) -> None:
    """A run searches a file that its thread lends; its steps and its annotated message are read."""
    await story.make("vector_store_file")
    store = story.id("vector_store")
    files = {"vector_store_id": store, "file_id": story.id("vector_store_file")}
    await story.poll(
        "getVectorStoreFile", lambda value: value.get("status") != "in_progress", path=files, within=120
    )
    asked = [{"role": "user", "content": "Cite the first sentence of the file."}]
    lent = {"file_search": {"vector_store_ids": [store]}}
    await story.send("createThread", body={"messages": asked, "tool_resources": lent})
    search = [{"type": "file_search"}]
    run = await _run(story, tools=search, tool_choice={"type": "file_search"})
    await _read_steps(story, run, "STEP-16")
    await _read_messages(story, run, "MSG-09")
