"""Runs told as events, to every end that a target can be brought to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from conformance.exercise.scenarios.assistants import ended, outputs_for
from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.runs import FORCED
from conformance.exercise.scenarios.story import POLL_MOST_S, POLL_S, Reply, Story

_STREAMED = {"stream": True}
_AT_LENGTH = "Count from 1 to 1000, each number in digits, without leaving one out."


def told(reply: Reply) -> dict[str, Any]:
    """The run as the last event of a stream about it shows it; empty where none does."""
    last: dict[str, Any] = {}
    for event in reply.events:
        with contextlib.suppress(ValueError, RecursionError):
            data = json.loads(event.data)
            if isinstance(data, dict) and data.get("object") == "thread.run":
                last = data
    return last


async def _confirm(story: Story, reply: Reply) -> dict[str, Any]:
    """Read the run that a stream told of; its last state in the stream."""
    run = told(reply)
    if isinstance(run.get("id"), str) and isinstance(run.get("thread_id"), str):
        path = {"thread_id": run["thread_id"], "run_id": run["id"]}
        await story.send("getRun", path=path, about="SSE-15")
    return run


@scenario("stream-run", "createRun", "getRun", needs=("chat", "streaming"))
async def stream_run(story: Story) -> None:
    """A run is followed as events to its end, then read."""
    await _confirm(story, await story.send("createRun", merge=_STREAMED))


@scenario("stream-thread-and-run", "createThreadAndRun", "getRun", needs=("chat", "streaming"))
async def stream_thread_and_run(story: Story) -> None:
    """A thread and its run are followed as events, then read."""
    await _confirm(story, await story.send("createThreadAndRun", merge=_STREAMED))


@scenario(
    "stream-outputs",
    "submitToolOuputsToRun",
    "createRun",
    "getRun",
    needs=("chat", "streaming", "function-tools"),
)
async def stream_outputs(story: Story) -> None:
    """A run asks for outputs in its stream, is given them, and is followed from there to its end."""
    await story.make("thread")
    run = await _confirm(story, await story.send("createRun", merge={**_STREAMED, **FORCED}))
    body = {"tool_outputs": outputs_for(run), **_STREAMED}
    path = {"thread_id": run.get("thread_id"), "run_id": run.get("id")}
    reply = await story.send("submitToolOuputsToRun", path=path, body=body)
    await _confirm(story, reply)


@scenario(
    "stream-thread-and-run-waiting",
    "createThreadAndRun",
    "getRun",
    needs=("chat", "streaming", "function-tools"),
)
async def stream_thread_and_run_waiting(story: Story) -> None:
    """A thread and its run are followed as events until the run waits for outputs."""
    await _confirm(story, await story.send("createThreadAndRun", merge={**_STREAMED, **FORCED}))


@scenario("stream-incomplete", "createRun", "getRun", needs=("chat", "streaming"))
async def stream_incomplete(story: Story) -> None:
    """A run that may not write all it is asked for is followed as events."""
    asked = [{"role": "user", "content": _AT_LENGTH}]
    await story.send("createThread", body={"messages": asked})
    await _confirm(story, await story.send("createRun", merge={**_STREAMED, "max_completion_tokens": 256}))


@scenario("stream-failed", "createRun", "getRun", needs=("chat", "streaming", "failing"))
async def stream_failed(story: Story) -> None:
    """A run with a model that fails is followed as events."""
    await story.make("thread")
    await _confirm(story, await story.send("createRun", merge={**_STREAMED, "model": {"$model": "failing"}}))


@scenario("stream-expired", "createRun", "getRun", needs=("chat", "streaming", "expiring"))
async def stream_expired(story: Story) -> None:
    """A run of the model that is declared never to end is followed as events until it expires."""
    await story.make("thread")
    await _confirm(story, await story.send("createRun", merge={**_STREAMED, "model": {"$model": "expiring"}}))


@scenario("stream-overrides", "createRun", "getRun", needs=("chat", "streaming"))
async def stream_overrides(story: Story) -> None:
    """What a streamed run was asked for is what its events and the run itself show."""
    await story.make("thread")
    asked = {"instructions": "Answer briefly.", "metadata": {"streamed": "yes"}, "temperature": 0.5}
    await _confirm(story, await story.send("createRun", merge={**_STREAMED, **asked}))


@scenario("stream-cancelled", "createRun", "getRun", needs=("chat", "streaming"))
async def stream_cancelled(story: Story) -> None:
    """A run is cancelled while it is followed as events, if it is slow enough for that."""
    await story.make("run")  # on a thread of its own: a list of runs is only asked for once there is one
    asked = [{"role": "user", "content": _AT_LENGTH}]
    thread = await story.send("createThread", body={"messages": asked})
    merge = {**_STREAMED, "max_completion_tokens": 1024}
    path = {"thread_id": thread.get("id")}
    followed = asyncio.create_task(story.send("createRun", path=path, merge=merge))
    try:
        await _cancel_first(story, path, followed)
    finally:
        reply = await followed
    await _confirm(story, reply)


async def _cancel_first(story: Story, path: dict[str, Any], followed: asyncio.Task[Reply]) -> None:
    """Cancel the first run that a thread lists, unless its stream is over before."""
    pause = POLL_S
    while not followed.done():
        listed = await story.send("listRuns", path=path)
        run = listed.get("data.0.id")
        if isinstance(run, str):
            await story.send("cancelRun", path={**path, "run_id": run})
            return
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, POLL_MOST_S)


@scenario("run-not-streamed", "createRun", "createThreadAndRun", needs=("chat",))
async def run_not_streamed(story: Story) -> None:
    """Runs are made with stream false, null, and not mentioned."""
    await story.make("thread")
    created = await story.send("createRun", merge={"stream": False}, about="SSE-19")
    await story.poll("getRun", ended, path={"run_id": created.get("id")}, within=120)
    await story.send("createRun", merge={"stream": None}, about="SSE-19")
    await story.send("createThreadAndRun", about="SSE-19")
