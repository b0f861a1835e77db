"""The lives of runs: every status that a target can be brought to, without a word of its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.exercise.binding import pick
from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import NotShown, Reply, Story
from conformance.exercise.world import Unprepared

ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
WITHIN_S = 120.0  # what a run may take
CANCEL_WITHIN_S = 60.0  # what a cancel may take
EXPIRY_WITHIN_S = 120.0  # what a run of the model declared as expiring may take
EXPIRY_GRACE_S = 30.0  # how long after expires_at it may still be seen at work
HELD_S = 0.15  # how long a run is left waiting, to see that it does
TRIES = 3

CHEAP = {"content": "Reply with the word ok."}
LONG_ANSWER = "Write an exhaustive essay of 2000 words on the history of mathematics."
LONG_PROMPT = "Say ok. " + "The quick brown fox jumps over the lazy dog. " * 60


def function(name: str) -> Mapping[str, Any]:
    """A function tool that takes one text."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {
        "type": "function",
        "function": {"name": name, "description": f"{name} of a city", "parameters": parameters},
    }


#: What forces a run to wait for outputs, whatever its model would rather do.
FORCED = {
    "tools": [function("get_weather")],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
}


def path_of(run: Reply) -> dict[str, str]:
    """The path parameters of a run that was created. Raises Unprepared when it was not."""
    thread, identifier = run.get("thread_id"), run.get("id")
    if not run.ok or not isinstance(thread, str) or not isinstance(identifier, str):
        raise Unprepared(f"{run.exchange.operation} answered {run.status}, without a run")
    return {"thread_id": thread, "run_id": identifier}


def status_of(value: Any) -> str:
    return str(pick(value, "status"))


async def until(story: Story, run: Mapping[str, str], *statuses: str, within: float = WITHIN_S) -> Reply:
    """Poll a run until it has one of the statuses, or has ended."""
    wanted = ENDED | set(statuses)
    return await story.poll("getRun", lambda value: status_of(value) in wanted, path=run, within=within)


async def waiting(story: Story, run: Mapping[str, str]) -> Reply:
    """Poll a run until it waits for outputs. Raises Unprepared when it ends without."""
    seen = await until(story, run, "requires_action")
    if status_of(seen.value) != "requires_action":
        raise Unprepared(f"a forced tool call: the run is {status_of(seen.value)}, wanted requires_action")
    return seen


def outputs_for(run: Reply) -> list[dict[str, str]]:
    """An output for every call that a run waits for."""
    calls = run.get("required_action.submit_tool_outputs.tool_calls")
    ids = [pick(call, "id") for call in calls] if isinstance(calls, list) else []
    return [{"tool_call_id": str(one), "output": "22 degrees"} for one in ids]


async def in_thread(story: Story, **message: str) -> dict[str, str]:
    """The path of the story's thread, with a message in it."""
    await story.make("thread")
    await story.send("createMessage", merge=message or CHEAP)
    return {"thread_id": story.id("thread")}


@scenario(
    "run-completed",
    "createRun",
    "getRun",
    "listRuns",
    "modifyRun",
    "cancelRun",
    "submitToolOuputsToRun",
    needs=("chat",),
)
async def run_completed(story: Story) -> None:
    """A run ends well, and nothing changes it any more."""
    thread = await in_thread(story)
    run = path_of(await story.send("createRun"))
    await story.send("listRuns", path=thread)
    await story.send("modifyRun", path=run, merge={"metadata": {"seen": "early"}})
    ended = await until(story, run)
    if status_of(ended.value) != "completed":
        raise Unprepared(f"the run is {status_of(ended.value)}, wanted completed")
    await story.send("listRuns", path=thread)
    await story.send("modifyRun", path=run, merge={"metadata": {"seen": "late"}}, about="RUN-MD-02")
    await story.send("getRun", path=run)
    await story.send("cancelRun", path=run, about="RUN-CMD-05", expect="refused")
    await story.send(
        "submitToolOuputsToRun",
        path=run,
        body={"tool_outputs": [{"tool_call_id": "call_none", "output": "none"}]},
        about="RUN-CMD-01",
        expect="refused",
    )
    await story.send("getRun", path=run)
    await story.send("listRuns", path=thread)


@scenario(
    "run-waits-for-outputs",
    "submitToolOuputsToRun",
    "createRun",
    "getRun",
    "listRuns",
    "modifyRun",
    needs=("chat", "function-tools"),
)
async def run_waits_for_outputs(story: Story) -> None:
    """A forced tool call is waited for; none, foreign and doubled outputs are refused, all are taken."""
    thread = await in_thread(story)
    run = path_of(await story.send("createRun", merge=FORCED))
    seen = await waiting(story, run)
    await story.send("listRuns", path=thread)
    await story.send("modifyRun", path=run, merge={"metadata": {"seen": "waiting"}}, about="RUN-MD-02")
    await story.pause(HELD_S)
    await story.send("getRun", path=run, about="RUN-ST-06")
    await story.send("listRuns", path=thread)
    outputs = outputs_for(seen)
    foreign = [{"tool_call_id": "call_of_nobody", "output": "none"}]
    for wrong, about in (
        (outputs[:-1], "RUN-CMD-02"),
        ([*outputs, *foreign], "RUN-CMD-03"),
        ([*outputs, *outputs[:1]], "RUN-CMD-03"),
    ):
        await story.send(
            "submitToolOuputsToRun", path=run, body={"tool_outputs": wrong}, about=about, expect="refused"
        )
        await story.send("getRun", path=run)
    for _ in range(TRIES):  # a model may go on to call again
        outputs = outputs_for(seen)
        await story.send("submitToolOuputsToRun", path=run, body={"tool_outputs": outputs})
        seen = await until(story, run, "requires_action")
        if status_of(seen.value) in ENDED:
            break
    await story.send("listRuns", path=thread)


@scenario(
    "run-cancelled-waiting",
    "cancelRun",
    "createRun",
    "createMessage",
    "getRun",
    "listRuns",
    "submitToolOuputsToRun",
    needs=("chat", "function-tools"),
)
async def run_cancelled_waiting(story: Story) -> None:
    """A run that waits locks its thread; it is cancelled, and the thread is free again."""
    await in_thread(story)
    run = path_of(await story.send("createRun", merge=FORCED))
    seen = await waiting(story, run)
    await story.send("createMessage", merge=CHEAP, about="RUN-CMD-08", expect="refused", keep=False)
    await story.send("createRun", about="RUN-CMD-08", expect="refused", keep=False)
    await cancelled(story, run)
    await story.send("cancelRun", path=run, about="RUN-CMD-05", expect="refused")
    await story.send(
        "submitToolOuputsToRun",
        path=run,
        body={"tool_outputs": outputs_for(seen)},
        about="RUN-CMD-01",
        expect="refused",
    )
    await story.send("getRun", path=run)
    await story.send("createMessage", merge=CHEAP, about="RUN-CMD-08", expect="accepted", keep=False)
    await story.send("createRun", about="RUN-CMD-08", expect="accepted", keep=False)


async def cancelled(story: Story, run: Mapping[str, str]) -> Reply:
    """Cancel a run and see it end. Raises NotShown when the target refuses, or the run ends otherwise."""
    cancel = await story.send("cancelRun", path=run)
    if not cancel.ok:
        seen = await story.send("getRun", path=run)
        raise NotShown(f"no run was cancelled: {cancel.status}, and the run is {status_of(seen.value)}")
    clock = story.clock
    since, last = clock(), cancel
    while status_of(last.value) not in ENDED:
        waited = clock() - since
        facts = {"since_cancel": waited, "within": CANCEL_WITHIN_S}
        last = await story.send("getRun", path=run, facts=facts, about="RUN-ST-08")
        if waited >= CANCEL_WITHIN_S or (last.status and not last.ok):
            break
        await story.pause(min(max(waited, 0.02), 1.0))
    await story.send("listRuns", path={"thread_id": run["thread_id"]})
    await story.send("getRun", path=run)
    if status_of(last.value) != "cancelled":
        raise NotShown(f"no run was cancelled: it is {status_of(last.value)}")
    return last


@scenario("run-cancelled-at-work", "cancelRun", "createRun", "getRun", "listRuns", needs=("chat",))
async def run_cancelled_at_work(story: Story) -> None:
    """A run with a long answer to give is cancelled while it is in progress."""
    await in_thread(story, content=LONG_ANSWER)
    for _ in range(TRIES):
        run = path_of(await story.send("createRun", keep=False))
        seen = await until(story, run, "in_progress")
        if status_of(seen.value) == "in_progress":
            await cancelled(story, run)
            return
    raise NotShown("no run was seen in progress")


@scenario("run-incomplete", "getRun", "createRun", "listRuns", needs=("chat",))
async def run_incomplete(story: Story) -> None:
    """A token cap, of the prompt or of the answer, ends a run before its time."""
    thread = await in_thread(story, content=LONG_PROMPT)
    run = path_of(await story.send("createRun", merge={"max_prompt_tokens": 256}))
    seen = await until(story, run)
    if status_of(seen.value) != "incomplete":
        await story.send("createMessage", merge={"content": LONG_ANSWER}, keep=False)
        run = path_of(await story.send("createRun", merge={"max_completion_tokens": 256}))
        seen = await until(story, run)
    if status_of(seen.value) != "incomplete":
        raise NotShown(f"no token cap made a run incomplete: it is {status_of(seen.value)}")
    await story.send("listRuns", path=thread)
    await story.send("getRun", path=run)


@scenario("run-failed", "getRun", "createRun", "listRuns", needs=("chat", "failing"))
async def run_failed(story: Story) -> None:
    """A run of the model that is declared to fail says why."""
    thread = await in_thread(story)
    run = path_of(await story.send("createRun", merge={"model": {"$model": "failing"}}))
    seen = await until(story, run)
    if status_of(seen.value) != "failed":
        raise Unprepared(f"the model declared as failing: the run is {status_of(seen.value)}")
    await story.send("listRuns", path=thread)
    await story.send("getRun", path=run)


@scenario("run-expired", "getRun", "createRun", "listRuns", needs=("chat", "expiring"))
async def run_expired(story: Story) -> None:
    """A run of the model that is declared never to end expires, and in time."""
    thread = await in_thread(story)
    run = path_of(await story.send("createRun", merge={"model": {"$model": "expiring"}}))
    seen = await story.poll(
        "getRun",
        lambda value: status_of(value) in ENDED,
        path=run,
        within=EXPIRY_WITHIN_S,
        facts={"grace": EXPIRY_GRACE_S},
        about="RUN-ST-09",
    )
    if status_of(seen.value) != "expired":
        raise Unprepared(f"the model declared as expiring: the run is {status_of(seen.value)}")
    await story.send("listRuns", path=thread)
    await story.send("getRun", path=run)
