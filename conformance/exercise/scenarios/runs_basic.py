"""Runs that end well."""

from __future__ import annotations

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import Story

ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})


@scenario("run-completed", "createRun", "getRun", "listRuns", needs=("chat",))
async def run_completed(story: Story) -> None:
    """A run on a thread with one message is polled to its end, then seen in the list."""
    await story.make("thread")
    created = await story.send("createRun")
    run = {"run_id": created.get("id")}
    await story.poll("getRun", lambda value: value["status"] in ENDED, path=run)
    await story.send("listRuns")
