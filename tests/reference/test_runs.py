"""Runs of the reference gateway: their life, their steps, their streams."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from run_rules import ENDS, WITHOUT_SUBMIT, check_run, check_steps, check_stream
from world import World, calls_of, function

from conformance.reference.core import HANDLERS

WEATHER = function("get_weather", city={"type": "string"}, days={"type": "integer"})
CLOCK = function("get_time")
FORCED = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def slow() -> World:
    """Its runs stay where they are for seconds."""
    return World(speed=200.0)


def waiting(world: World, **fields: Any) -> dict[str, Any]:
    """A run that requires action."""
    assistant = world.assistant(tools=[WEATHER, CLOCK])
    thread = world.thread("How is the weather?")
    run = world.run(thread, assistant, **{"tool_choice": FORCED, **fields})
    return world.until(run, "requires_action")


def where(run: dict[str, Any]) -> dict[str, Any]:
    return {"thread_id": run["thread_id"], "run_id": run["id"]}


def answers(run: dict[str, Any]) -> dict[str, Any]:
    outputs = [
        {"tool_call_id": call["id"], "output": f"output {number}"}
        for number, call in enumerate(calls_of(run))
    ]
    return {"tool_outputs": outputs}


def test_a_run_is_queued_runs_and_completes() -> None:
    """Every observation fits its status and follows from the one before; the end is final."""
    world = World(speed=10.0)
    thread = world.thread("Hello")
    run = world.run(thread, world.assistant(instructions="Be kind."))
    assert (run["status"], run["started_at"]) == ("queued", None)
    assert run["expires_at"] == run["created_at"] + 600
    seen = [run]
    deadline = time.monotonic() + 5
    while seen[-1]["status"] not in ENDS and time.monotonic() < deadline:
        seen.append(world.look(run))
        check_run(seen[-1])
        check_steps(seen[-1], world.steps(run))
        assert seen[-1]["status"] in WITHOUT_SUBMIT[seen[-2]["status"]]
        time.sleep(0.003)
    assert {"queued", "in_progress", "completed"} == {one["status"] for one in seen}
    for field in ("id", "created_at", "model", "instructions", "tools", "metadata", "tool_choice"):
        assert all(one[field] == run[field] for one in seen)
    time.sleep(0.05)
    assert world.look(run) == seen[-1]
    assert world.ok("listRuns", thread_id=thread["id"])["data"] == [seen[-1]]


def test_a_completed_run_leaves_a_message_and_its_steps(world: World) -> None:
    """The answer names run and assistant, is found by run_id, and is what the step created."""
    thread = world.thread("Hello")
    run = world.until(world.run(thread, world.assistant()))
    (message,) = world.messages(thread["id"], run_id=run["id"])
    assert (message["role"], message["status"]) == ("assistant", "completed")
    assert (message["run_id"], message["assistant_id"]) == (run["id"], run["assistant_id"])
    assert "Hello" in message["content"][0]["text"]["value"]
    (step,) = world.steps(run)
    assert step["step_details"]["message_creation"]["message_id"] == message["id"]
    assert world.ok("getRunStep", step_id=step["id"], **where(run)) == step
    world.refused(404, "getRunStep", step_id="step_none", **where(run))
    assert len(world.messages(thread["id"])) == 2
    assert world.messages(thread["id"], run_id="run_none") == []


def test_a_run_takes_from_its_assistant_what_the_request_leaves_out(world: World) -> None:
    """Model, instructions, tools and sampling are inherited; null is the same as nothing."""
    assistant = world.assistant(instructions="Base.", tools=[WEATHER], temperature=0.5, top_p=0.25)
    nothing: dict[str, Any] = dict.fromkeys(
        ("model", "instructions", "tools", "temperature", "metadata", "tool_choice", "stream")
    )
    for fields in ({}, nothing):
        run = world.run(world.thread(), assistant, **fields)
        for field in ("model", "instructions", "tools", "temperature", "top_p", "response_format"):
            assert run[field] == assistant[field]
        assert (run["tool_choice"], run["parallel_tool_calls"], run["metadata"]) == ("auto", True, {})
        assert (run["max_prompt_tokens"], run["max_completion_tokens"]) == (None, None)
        assert run["truncation_strategy"]["type"] == "auto"
    world.ok("modifyAssistant", {"instructions": "New."}, assistant_id=assistant["id"])
    assert world.look(run)["instructions"] == "Base."


def test_a_run_shows_what_the_request_overrides(world: World) -> None:
    """Every override is echoed; additional instructions follow the others; messages are appended."""
    given = {
        "model": "reference-chat-2",
        "instructions": "Base.",
        "tools": [WEATHER, {"type": "file_search", "file_search": {"max_num_results": 3}}],
        "metadata": {"a": "b"},
        "temperature": 0.1,
        "top_p": 0.2,
        "max_prompt_tokens": 900,
        "max_completion_tokens": 800,
        "truncation_strategy": {"type": "last_messages", "last_messages": 2},
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "response_format": {"type": "text"},
    }
    thread = world.thread("first")
    run = world.run(thread, world.assistant(), **given)
    assert {name: run[name] for name in given} == given
    more = [{"role": "user", "content": "second"}, {"role": "assistant", "content": "third"}]
    world.until(run)
    run = world.run(
        thread,
        world.assistant(instructions="Base."),
        additional_instructions="More.",
        additional_messages=more,
    )
    assert run["instructions"].startswith("Base.")
    assert run["instructions"].endswith("More.")
    texts = [one["content"][0]["text"]["value"] for one in world.messages(thread["id"])]
    assert texts[-3:-1] == ["second", "third"]


def test_a_forced_function_must_be_answered(world: World) -> None:
    """requires_action stays until all outputs come; then the run goes on and completes."""
    run = waiting(world)
    check_run(run)
    (call,) = calls_of(run)
    assert call["function"]["name"] == "get_weather"
    assert set(json.loads(call["function"]["arguments"])) == {"city", "days"}
    (step,) = world.steps(run)
    assert (step["type"], step["status"]) == ("tool_calls", "in_progress")
    (shown,) = step["step_details"]["tool_calls"]
    assert shown == {**call, "function": {**call["function"], "output": None}}
    time.sleep(0.05)
    assert world.look(run) == run
    queued = world.ok("submitToolOuputsToRun", answers(run), **where(run))
    check_run(queued)
    assert queued["status"] == "queued"
    done = world.until(run)
    assert done["status"] == "completed"
    check_run(done)
    steps = world.steps(run)
    check_steps(done, steps)
    assert [one["type"] for one in steps] == ["tool_calls", "message_creation"]
    assert steps[0]["step_details"]["tool_calls"][0]["function"]["output"] == "output 0"
    (message,) = world.messages(run["thread_id"], run_id=run["id"])
    assert "output 0" in message["content"][0]["text"]["value"]


@pytest.mark.parametrize(("parallel", "number"), [(True, 2), (False, 1)])
def test_required_tools_are_called(world: World, parallel: bool, number: int) -> None:
    """tool_choice required calls every function at once, or one when calls may not be parallel."""
    run = waiting(world, tool_choice="required", parallel_tool_calls=parallel)
    assert len(calls_of(run)) == number


def test_wrong_outputs_are_refused_and_change_nothing(world: World) -> None:
    """Missing, foreign, doubled and unnamed outputs are 400; the run waits on as it was."""
    run = waiting(world, tool_choice="required")
    first, second = answers(run)["tool_outputs"]
    foreign = {"tool_call_id": "call_none", "output": ""}
    for outputs in ([], [first], [first, first, second], [first, second, foreign], [{"output": "x"}]):
        world.refused(400, "submitToolOuputsToRun", {"tool_outputs": outputs}, **where(run))
        assert world.look(run) == run
    world.ok("submitToolOuputsToRun", {"tool_outputs": [second, first]}, **where(run))
    done = world.until(run)
    world.refused(400, "submitToolOuputsToRun", {"tool_outputs": [second, first]}, **where(run))
    assert world.look(run) == done


def test_outputs_are_refused_while_the_run_is_queued(slow: World) -> None:
    """Only a run that requires action takes outputs."""
    run = slow.run(slow.thread(), slow.assistant())
    slow.refused(400, "submitToolOuputsToRun", {"tool_outputs": []}, **where(run))


def test_a_queued_run_can_be_cancelled() -> None:
    """cancelling, then cancelled, with nothing done and nothing spent."""
    world = World(speed=20.0)
    run = world.run(world.thread(), world.assistant())
    gone = world.ok("cancelRun", **where(run))
    check_run(gone)
    assert gone["status"] == "cancelling"
    assert world.ok("cancelRun", **where(run))["status"] == "cancelling"
    done = world.until(run)
    check_run(done)
    assert (done["status"], world.steps(run)) == ("cancelled", [])


def test_a_run_in_progress_can_be_cancelled() -> None:
    """Its step is cancelled with it, and its message says that it is incomplete and why."""
    world = World(speed=20.0)
    run = world.run(world.thread("Hello"), world.assistant())
    world.until(run, "in_progress")
    assert world.ok("cancelRun", **where(run))["status"] == "cancelling"
    done = world.until(run)
    check_run(done)
    check_steps(done, world.steps(run))
    assert [done["status"], *(step["status"] for step in world.steps(run))] == ["cancelled", "cancelled"]
    (message,) = world.messages(run["thread_id"], run_id=run["id"])
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_cancelled"})
    assert message["incomplete_at"] is not None


def test_a_waiting_run_can_be_cancelled_and_an_ended_one_cannot(world: World) -> None:
    """The end stays the end: 400, and the run is as it was."""
    run = waiting(world)
    gone = world.ok("cancelRun", **where(run))
    assert (gone["status"], gone["required_action"]) == ("cancelling", None)
    done = world.until(run)
    check_run(done)
    check_steps(done, world.steps(run))
    world.refused(400, "cancelRun", **where(run))
    assert world.look(run) == done


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        ("x" * 2000, {"max_prompt_tokens": 256}, "max_prompt_tokens"),
        ("Write 2000 words.", {"max_completion_tokens": 256}, "max_completion_tokens"),
    ],
)
def test_a_run_that_may_not_use_enough_tokens_is_incomplete(
    world: World, text: str, fields: dict[str, int], reason: str
) -> None:
    """It says which limit it met; a cut answer is an incomplete message."""
    thread = world.thread(text)
    done = world.until(world.run(thread, world.assistant(), **fields))
    check_run(done)
    check_steps(done, world.steps(done))
    assert (done["status"], done["incomplete_details"]) == ("incomplete", {"reason": reason})
    for message in world.messages(thread["id"], run_id=done["id"]):
        assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "max_tokens"})
    enough = world.until(world.run(thread, world.assistant(), **dict.fromkeys(fields, 10_000)))
    assert enough["status"] == "completed"


def test_tool_outputs_count_against_the_prompt(world: World) -> None:
    """Outputs larger than what is left of max_prompt_tokens make the run incomplete."""
    run = waiting(world, max_prompt_tokens=256)
    body = answers(run)
    body["tool_outputs"][0]["output"] = "y" * 2000
    world.ok("submitToolOuputsToRun", body, **where(run))
    done = world.until(run)
    check_run(done)
    check_steps(done, world.steps(run))
    assert done["incomplete_details"] == {"reason": "max_prompt_tokens"}


def test_a_failing_model_fails_the_run(world: World) -> None:
    """failed, with an error that says so; step and message end with it."""
    done = world.until(world.run(world.thread("hi"), world.assistant(model="reference-failing")))
    check_run(done)
    check_steps(done, world.steps(done))
    assert (done["status"], done["last_error"]["code"]) == ("failed", "server_error")
    (message,) = world.messages(done["thread_id"], run_id=done["id"])
    assert message["incomplete_details"] == {"reason": "run_failed"}


def test_an_endless_model_expires_the_run(world: World) -> None:
    """expired once expires_at has passed, not before; what was open expires with it."""
    run = world.run(world.thread("hi"), world.assistant(), model="reference-expiring")
    done = world.until(run)
    check_run(done)
    check_steps(done, world.steps(run))
    assert done["status"] == "expired"
    assert done["expires_at"] <= time.time()


def test_an_active_run_locks_its_thread(world: World) -> None:
    """No second run and no message meanwhile (400, nothing added); afterwards both work."""
    run = waiting(world)
    assistant = world.assistant()
    extra = {"assistant_id": assistant["id"], "additional_messages": [{"role": "user", "content": "x"}]}
    message = {"role": "user", "content": "x"}
    before = world.messages(run["thread_id"])
    world.refused(400, "createRun", extra, thread_id=run["thread_id"])
    world.refused(400, "createMessage", message, thread_id=run["thread_id"])
    assert world.messages(run["thread_id"]) == before
    assert len(world.ok("listRuns", thread_id=run["thread_id"])["data"]) == 1
    world.ok("cancelRun", **where(run))
    world.until(run)
    world.ok("createMessage", message, thread_id=run["thread_id"])
    world.ok("createRun", extra, thread_id=run["thread_id"])


def test_a_run_of_an_unknown_assistant_leaves_nothing(world: World) -> None:
    """400, no run and no thread."""
    thread, body = world.thread(), {"assistant_id": "asst_none"}
    world.refused(400, "createRun", body, thread_id=thread["id"])
    assert world.ok("listRuns", thread_id=thread["id"])["data"] == []
    threads = [tenant.of("threads") for tenant in world.gateway.tenants.values()]
    number = sum(map(len, threads))
    world.refused(400, "createThreadAndRun", body)
    body = {"assistant_id": world.assistant()["id"]}
    wrong = {"messages": [{"role": "user", "content": "x", "attachments": [{"file_id": "f", "tools": []}]}]}
    world.refused(400, "createThreadAndRun", {**body, "thread": wrong})
    assert sum(map(len, threads)) == number


@pytest.mark.parametrize(
    "wrong",
    [
        {"tool_choice": {"type": "function"}},
        {"tool_choice": {"type": "function", "function": {"name": "unknown"}}},
        {"tool_choice": {"type": "code_interpreter"}},
        {"tool_choice": "required", "tools": []},
        {"response_format": {"type": "json_object"}, "tools": [{"type": "file_search"}]},
        {"metadata": {"k" * 65: ""}},
        {"max_prompt_tokens": 255},
        {"thread_id": "thread_x"},
    ],
)
def test_an_impossible_run_is_refused(world: World, wrong: dict[str, Any]) -> None:
    """A choice among tools the run does not have, JSON mode with a search, too much metadata: 400."""
    thread, assistant = world.thread(), world.assistant(tools=[WEATHER])
    world.refused(400, "createRun", {"assistant_id": assistant["id"], **wrong}, thread_id=thread["id"])
    assert world.ok("listRuns", thread_id=thread["id"])["data"] == []


def test_a_run_is_known_in_its_thread_only(world: World) -> None:
    """Through another thread, or with an unknown id, everything about it is 404."""
    run, other = waiting(world), world.thread()
    for path in ({**where(run), "thread_id": other["id"]}, {**where(run), "run_id": "run_none"}):
        world.refused(404, "getRun", **path)
        world.refused(404, "modifyRun", {}, **path)
        world.refused(404, "cancelRun", **path)
        world.refused(404, "submitToolOuputsToRun", answers(run), **path)
        world.refused(404, "listRunSteps", **path)
    assert world.look(run) == run


def test_modifying_a_run_changes_its_metadata_only(world: World) -> None:
    """Also while it waits, and also when it has ended."""
    run = waiting(world)
    changed = world.ok("modifyRun", {"metadata": {"a": "b"}}, **where(run))
    assert changed == {**run, "metadata": {"a": "b"}}
    assert world.look(run) == changed
    world.ok("cancelRun", **where(run))
    done = world.until(run)
    assert world.ok("modifyRun", {"metadata": {}}, **where(run)) == {**done, "metadata": {}}


def test_a_thread_is_made_with_its_run(world: World) -> None:
    """A new thread each time, with what was given, or empty."""
    assistant = world.assistant()
    given = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    runs = [
        world.ok("createThreadAndRun", {"assistant_id": assistant["id"], **extra})
        for extra in ({}, {"thread": given})
    ]
    empty, full = [world.ok("getThread", thread_id=run["thread_id"]) for run in runs]
    assert empty["id"] != full["id"]
    assert full["metadata"] == {"a": "b"}
    assert [one["role"] for one in world.messages(empty["id"]) if one["role"] == "user"] == []
    assert next(one["role"] for one in world.messages(full["id"])) == "user"
    assert world.until(runs[0])["status"] == "completed"


def test_json_mode_answers_json(world: World) -> None:
    """The text of the answer parses as a JSON object."""
    run = world.run(world.thread('say "hi"'), world.assistant(), response_format={"type": "json_object"})
    (message,) = world.messages(world.until(run)["thread_id"], run_id=run["id"])
    assert isinstance(json.loads(message["content"][0]["text"]["value"]), dict)


def test_a_file_search_cites_what_it_found(world: World) -> None:
    """A tool step with an empty detail, then an answer whose annotations cover their text."""
    file_id = world.file()
    store = world.store(file_ids=[file_id])
    resources = {"file_search": {"vector_store_ids": [store["id"]]}}
    assistant = world.assistant(tools=[{"type": "file_search"}], tool_resources=resources)
    run = world.until(world.run(world.thread("What is in it?"), assistant))
    steps = world.steps(run)
    check_steps(run, steps)
    assert steps[0]["step_details"]["tool_calls"][0]["file_search"] == {}
    (message,) = world.messages(run["thread_id"], run_id=run["id"])
    text = message["content"][0]["text"]
    (note,) = text["annotations"]
    assert note["file_citation"]["file_id"] == file_id
    assert text["value"][note["start_index"] : note["end_index"]] == note["text"]


# streams


def stream(world: World, **fields: Any) -> list[tuple[str, Any]]:
    """The stream of a run, held against the rules of streams and against what getRun then says."""
    thread = world.thread(fields.pop("text", "Hello"))
    assistant = world.assistant(tools=[WEATHER, CLOCK])
    body = {"assistant_id": assistant["id"], "stream": True, **fields}
    events = world.events("createRun", body, thread_id=thread["id"])
    check_stream(events)
    assert world.look(events[-2][1]) == events[-2][1]
    return events


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_a_stream_tells_the_whole_run(speed: float) -> None:
    """Every event in its order; the pieces add up; the last run event is what getRun says."""
    names = [name for name, _ in stream(World(speed=speed)) if not name.endswith(".delta")]
    assert names == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        ({"model": "reference-failing"}, "failed"),
        ({"text": "Write 2000 words.", "max_completion_tokens": 256}, "incomplete"),
        ({"text": "x" * 2000, "max_prompt_tokens": 256}, "incomplete"),
        ({"model": "reference-expiring"}, "expired"),
        ({"tools": [{"type": "code_interpreter"}], "tool_choice": "required"}, "completed"),
        ({"response_format": {"type": "json_object"}}, "completed"),
    ],
)
def test_a_stream_ends_as_its_run_ends(world: World, fields: dict[str, Any], last: str) -> None:
    """The terminal event of every kind of end, followed by done and nothing else."""
    assert stream(world, **fields)[-2][0] == f"thread.run.{last}"


def test_a_stream_pauses_for_outputs_and_another_goes_on(world: World) -> None:
    """The first ends at requires_action; the stream of the submit closes the step and ends the run."""
    first = stream(world, tool_choice="required")
    run = first[-2][1]
    assert first[-2][0] == "thread.run.requires_action"
    second = world.events("submitToolOuputsToRun", {**answers(run), "stream": True}, **where(run))
    check_stream(second)
    names = [name for name, _ in second]
    assert names[:3] == ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
    assert "thread.run.created" not in names
    assert names[-2] == "thread.run.completed"
    assert world.look(run) == second[-2][1]


def test_the_stream_of_a_thread_and_its_run_begins_with_the_thread(world: World) -> None:
    """thread.created first, with the thread of the run."""
    body = {"assistant_id": world.assistant()["id"], "stream": True}
    (name, thread), *rest = world.events("createThreadAndRun", body)
    check_stream(rest)
    assert (name, thread["id"]) == ("thread.created", rest[0][1]["thread_id"])
    assert world.ok("getThread", thread_id=thread["id"]) == thread


@pytest.mark.parametrize(
    ("operation", "names", "end"),
    [
        ("cancelRun", ["thread.run.cancelling", "thread.run.step.cancelled"], "thread.run.cancelled"),
        ("deleteThread", [], "error"),
    ],
)
def test_a_stream_tells_what_others_do_to_its_run(operation: str, names: list[str], end: str) -> None:
    """A cancel is told to its end; the thread deleted, an error says so; done comes last in both."""
    world = World(speed=10.0)
    thread = world.thread("Hello")
    body = {"assistant_id": world.assistant()["id"], "stream": True}
    stream = HANDLERS["createRun"](world.call("createRun", body, thread_id=thread["id"]))

    async def follow() -> list[tuple[str, Any]]:
        told: list[tuple[str, Any]] = []
        async for name, data in stream.events:
            told.append((name, data))
            if name == "thread.message.in_progress":
                path = {"thread_id": thread["id"]}
                world.ok(operation, **path | ({"run_id": data["run_id"]} if operation == "cancelRun" else {}))
        return told

    events = asyncio.run(follow())
    told = [name for name, _ in events]
    assert set(names) <= set(told)
    assert told[-2:] == [end, "done"]
    if operation == "cancelRun":
        check_stream(events)
        assert world.look(events[-2][1]) == events[-2][1]


# faults


def test_faulty_runs_show() -> None:
    """Runs that go back, have no usage, do not say what they require, show other instructions."""
    world = World(faults=("run-skips-to-completed-then-back",))
    run = world.run(world.thread(), world.assistant())
    assert [world.look(run)["status"] for _ in range(3)] == ["completed", "in_progress", "completed"]
    world = World(
        faults=("run-completed-without-usage", "run-no-required-action", "wrong-echo", "steps-empty")
    )
    assert waiting(world)["required_action"] is None
    run = world.run(world.thread(), world.assistant(), instructions="Mine.")
    assert run["instructions"] != "Mine."
    assert world.until(run)["usage"] is None
    assert world.steps(run) == []


def test_faulty_streams_show() -> None:
    """Streams without their terminal event, and without done."""
    world = World(faults=("stream-no-done", "lost-terminal-event"))
    body = {"assistant_id": world.assistant()["id"], "stream": True}
    names = [name for name, _ in world.events("createThreadAndRun", body)]
    assert "done" not in names
    assert "thread.run.completed" not in names
    assert names[-1] == "thread.run.step.completed"
