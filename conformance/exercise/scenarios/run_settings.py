"""What runs are created with: overrides, defaults, threads, metadata; and what they are refused for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.runs import CHEAP, FORCED, function, in_thread, path_of, until, waiting
from conformance.exercise.scenarios.story import Reply, Story

OVERRIDES: Mapping[str, Any] = {
    "model": {"$model": "chat"},
    "instructions": "Answer in one word.",
    "metadata": {"purpose": "overrides", "empty": ""},
}
SETTINGS: Mapping[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "max_prompt_tokens": 4000,
    "max_completion_tokens": 1000,
    "truncation_strategy": {"type": "last_messages", "last_messages": 5},
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "response_format": {"type": "text"},
}
NULLS: Mapping[str, Any] = dict.fromkeys(
    (
        "model",
        "instructions",
        "tools",
        "temperature",
        "top_p",
        "max_prompt_tokens",
        "max_completion_tokens",
        "truncation_strategy",
        "tool_choice",
        "response_format",
    )
)
TWO_TOOLS = [function("get_weather"), function("get_population")]


async def with_thread(story: Story, **options: Any) -> Reply:
    """A run created together with its thread, which is not bound to anything."""
    return await story.send("createThreadAndRun", keep=False, **options)


async def overridden(story: Story, settings: Mapping[str, Any]) -> None:
    """A run in the story's thread and one with its own, both with these settings, seen to their end."""
    thread = await in_thread(story)
    run = path_of(await story.send("createRun", merge=settings))
    other = path_of(await with_thread(story, merge=settings))
    await until(story, run)
    await until(story, other)
    await story.send("listRuns", path=thread)


@scenario("run-overrides", "createRun", "createThreadAndRun", needs=("chat",))
async def run_overrides(story: Story) -> None:
    """Model, instructions and metadata of the request are those of the run."""
    await overridden(story, OVERRIDES)


@scenario("run-settings", "createRun", "createThreadAndRun", "getRun", "listRuns", needs=("chat",))
async def run_settings(story: Story) -> None:
    """Sampling, token caps, truncation, tool choice and format of the request are those of the run."""
    await overridden(story, SETTINGS)


@scenario("run-defaults", "createRun", "createThreadAndRun", "listMessages", needs=("chat",))
async def run_defaults(story: Story) -> None:
    """Runs that set nothing, or null, take what the assistant has, and a thread of their own."""
    await in_thread(story)
    await story.make("assistant")
    bare = {"assistant_id": {"$bind": "assistant"}}
    for body in (bare, {**bare, **NULLS}):
        await until(story, path_of(await story.send("createRun", body=body)))
    first = path_of(await with_thread(story, body=bare))
    second = path_of(
        await with_thread(story, body={**bare, **NULLS, "thread": {"messages": [user("Hello")]}})
    )
    await story.send(
        "listMessages", path={"thread_id": first["thread_id"]}, query={"order": "asc"}, about="RUN-CMD-19"
    )
    for run in (first, second):
        await story.send("getThread", path={"thread_id": run["thread_id"]}, about="RUN-ID-04")


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@scenario(
    "run-with-its-thread",
    "createThreadAndRun",
    "getRun",
    "listRuns",
    "listRunSteps",
    "deleteThread",
    needs=("chat",),
)
async def run_with_its_thread(story: Story) -> None:
    """A run created with its thread: what it was given is there, it is like any run, and goes with it."""
    given = {"messages": [user("My name is Ada."), user(CHEAP["content"])], "metadata": {"topic": "names"}}
    run = path_of(await with_thread(story, merge={"thread": given}))
    thread = {"thread_id": run["thread_id"]}
    await story.send("getThread", path=thread)
    await story.send("listMessages", path=thread, query={"order": "asc"}, about="RUN-CMD-20")
    await until(story, run)
    await story.send("listRuns", path=thread)
    await story.send("listRunSteps", path=run, query={})
    await story.send("deleteThread", path=thread)
    await story.send("getRun", path=run, about="RUN-CMD-11", expect="refused")


@scenario("run-additions", "createRun", needs=("chat",))
async def run_additions(story: Story) -> None:
    """A run brings messages and instructions of its own; both come after what was there."""
    thread = await in_thread(story)
    more = [user("The word is blue."), user("Reply with the word.")]
    settings = {"additional_messages": more, "additional_instructions": "Use lower case."}
    run = path_of(await story.send("createRun", merge=settings))
    await until(story, run)
    await story.send("listMessages", path=thread, query={"order": "asc"}, about="RUN-OV-additional_messages")


@scenario("run-tool-choice", "createRun", "createThreadAndRun", "getRun", needs=("chat", "function-tools"))
async def run_tool_choice(story: Story) -> None:
    """A tool must be called, and one at a time; no tool may be called."""
    required = {"tools": TWO_TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
    run = path_of(await with_thread(story, merge=required))
    await waiting(story, run)
    await in_thread(story)
    free = path_of(await story.send("createRun", merge={"tools": TWO_TOOLS, "tool_choice": "none"}))
    await until(story, free, "requires_action")


@scenario("run-json-answer", "createRun", "createThreadAndRun", needs=("chat",))
async def run_json_answer(story: Story) -> None:
    """A run that must answer in JSON does."""
    asking = "Reply with a JSON object that has the key ok."
    settings = {"response_format": {"type": "json_object"}, "instructions": "Reply in JSON."}
    await in_thread(story, content=asking)
    runs = [
        path_of(await story.send("createRun", merge=settings)),
        path_of(await with_thread(story, merge={**settings, "thread": {"messages": [user(asking)]}})),
    ]
    for run in runs:
        await until(story, run)
        await story.send("listMessages", path={"thread_id": run["thread_id"]}, query={}, about="RUN-CMD-17")


@scenario(
    "run-refusals",
    "createRun",
    "createThreadAndRun",
    "getRun",
    "modifyRun",
    "cancelRun",
    "submitToolOuputsToRun",
    "listRunSteps",
    needs=("chat",),
)
async def run_refusals(story: Story) -> None:
    """Runs of no assistant, with unknown fields, or looked for in another thread are refused."""
    thread = await in_thread(story)
    for operation in ("createRun", "createThreadAndRun"):
        await story.send(
            operation,
            merge={"assistant_id": {"$unknown": "asst_"}},
            about="RUN-CMD-10",
            expect="refused",
            keep=False,
        )
        await story.send(
            operation, merge={"not_a_field": True}, about="RUN-CMD-16", expect="refused", keep=False
        )
    await story.send("listRuns", path=thread, about="RUN-CMD-10")
    run = path_of(await with_thread(story))
    wrong = {**thread, "run_id": run["run_id"]}
    outputs = {"tool_outputs": [{"tool_call_id": "call_none", "output": "none"}]}
    for operation, body in (
        ("getRun", None),
        ("listRunSteps", None),
        ("modifyRun", {"metadata": {"seen": "elsewhere"}}),
        ("cancelRun", None),
        ("submitToolOuputsToRun", outputs),
    ):
        await story.send(operation, path=wrong, query={}, body=body, about="RUN-CMD-09", expect="refused")


LIMITS: Mapping[str, Mapping[str, str]] = {
    "seventeen pairs": {f"pair{number}": "x" for number in range(17)},
    "a key of 65 characters": {"k" * 65: "x"},
    "a value of 513 characters": {"word": "v" * 513},
}
AT_LIMITS = {"k" * 64: "v" * 512, **{f"pair{number}": "x" for number in range(15)}}


async def metadata_limits(story: Story, operation: str, **options: Any) -> Reply:
    """Metadata a little too large in three ways, then as large as it may be."""
    for note, metadata in LIMITS.items():
        await story.send(
            operation,
            merge={"metadata": metadata},
            about="RUN-MD-01",
            expect="refused",
            facts={"note": note},
            keep=False,
            **options,
        )
    return await story.send(
        operation,
        merge={"metadata": AT_LIMITS},
        about="RUN-MD-01",
        expect="accepted",
        keep=False,
        **options,
    )


@scenario("run-metadata-limits", "createRun", "createThreadAndRun", "modifyRun", needs=("chat",))
async def run_metadata_limits(story: Story) -> None:
    """Metadata of runs holds sixteen pairs of bounded length, and no more."""
    await in_thread(story)
    await metadata_limits(story, "createThreadAndRun")
    run = path_of(await metadata_limits(story, "createRun"))
    await metadata_limits(story, "modifyRun", path=run)


@scenario("thread-metadata-limits", "createThread", "modifyThread", "createMessage", "modifyMessage")
async def thread_metadata_limits(story: Story) -> None:
    """Metadata of threads and messages holds sixteen pairs of bounded length, and no more."""
    await story.make("message")
    for operation in ("createThread", "modifyThread", "createMessage", "modifyMessage"):
        await metadata_limits(story, operation)


@scenario(
    "assistant-metadata-limits",
    "createAssistant",
    "modifyAssistant",
    needs=("chat",),
)
async def assistant_metadata_limits(story: Story) -> None:
    """Metadata of assistants holds sixteen pairs of bounded length, and no more."""
    await story.make("assistant")
    for operation in ("createAssistant", "modifyAssistant"):
        await metadata_limits(story, operation)


@scenario("vector-store-metadata-limits", "createVectorStore", "modifyVectorStore")
async def vector_store_metadata_limits(story: Story) -> None:
    """Metadata of vector stores holds sixteen pairs of bounded length, and no more."""
    await story.make("vector_store")
    for operation in ("createVectorStore", "modifyVectorStore"):
        await metadata_limits(story, operation)


@scenario("run-forced-tools", "createRun", "createThreadAndRun", needs=("chat", "function-tools"))
async def run_forced_tools(story: Story) -> None:
    """The tools of a run are those of its request, and the one that is named is called."""
    await in_thread(story)
    for created in (await story.send("createRun", merge=FORCED), await with_thread(story, merge=FORCED)):
        await waiting(story, path_of(created))
