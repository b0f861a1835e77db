"""Assistants, threads, messages, steps and streams of runs: what each fault breaks, and what is no fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from areas.harness import failed, judged, tell
from conformance.checks.assistants import same_model
from conformance.checks.comparing import carries, differing
from conformance.checks.registry import Context, Outcome, Undecided, get_check
from conformance.contract import Contract, load_contract, validators
from conformance.contract.requirements import Requirements, load_requirements
from conformance.contract.resources import load_graph
from conformance.exercise.scenarios import scenarios
from conformance.model import Credential, Exchange, Kind, Purpose, Request, Requirement, Response

AREAS = frozenset({"assistants", "threads", "messages", "run-steps", "sse-assistants"})
STORIES = tuple(
    name
    for name, one in scenarios().items()
    if one.tell.__module__.rsplit(".", 1)[-1] in ("assistants", "assistant_streams")
)
# Requirement → what else, of any area, the bug behind its fault breaks. All others fail alone.
ELSE: Mapping[str, frozenset[str]] = {
    "AST-04": frozenset({"AST-01", "AST-02", "RESP-BODY-01"}),  # it answers with another assistant
    "AST-05": frozenset({"RUN-ID-07", "RUN-ST-05"}),  # what a run is made with changes
    "THR-06": frozenset({"THR-01", "THR-03", "RESP-BODY-01"}),  # it answers with another thread
    "MSG-10": frozenset({"PAG-02"}),  # last_id names what is left out
    "STEP-02": frozenset({"STEP-17"}),  # a step of another type creates no message
    "STEP-03": frozenset({"STEP-12"}),  # what reopens is open in a run that ended
    "STEP-05": frozenset({"STEP-13"}),  # it expires after its run
    "STEP-17": frozenset({"PAG-02"}),  # last_id names what is left out
    "SSE-01": frozenset({"SSE-09", "RESP-BODY-01"}),  # a step without the event that opens it
    "SSE-02": frozenset({"SSE-07"}),  # waiting, too, ends with [DONE]
    "SSE-03": frozenset({"RUN-TS-START-3"}),  # queued, and yet started
    "SSE-17": frozenset({"RESP-BODY-01"}),  # the error lacks fields
    "SSE-18": frozenset({"RUN-TS-FAILED-2"}),  # the same field, as the run's own rule has it
}


def _requirements() -> Requirements:
    contract = load_contract()
    return load_requirements(contract, load_graph(contract))


REQUIREMENTS = _requirements()
JUDGED = {one.id: one for one in REQUIREMENTS.all if one.area in AREAS and one.kind is Kind.JUDGED}


@pytest.mark.parametrize("requirement", JUDGED.values(), ids=JUDGED.keys())
def test_a_requirement_is_failed_by_its_fault(requirement: Requirement, tmp_path: Path) -> None:
    """The fault must fail its requirement, and beside it only what the same bug breaks."""
    found = failed(tell(tmp_path, requirement.scenarios, requirement.fault))
    assert requirement.id in found
    assert found <= {requirement.id, *ELSE.get(requirement.id, ())}


def test_a_thread_told_as_new_that_is_not_is_noticed(tmp_path: Path) -> None:
    """thread.created in the stream of a run on an old thread must be refused."""
    assert "SSE-04" in failed(tell(tmp_path, ["stream-run"], "thread-created-again"))


def test_honest_stories_fail_nothing_and_leave_nothing_unjudged(tmp_path: Path) -> None:
    """No finding at any level, no story broken off, every unit of these areas judged."""
    reports = tell(tmp_path, STORIES)
    assert [
        (one.requirement, one.operation, one.message) for report in reports for one in report.findings
    ] == []
    assert [(report.nodeid, report.reason) for report in reports if report.reason] == []
    assert {unit for unit in REQUIREMENTS.universe if unit[0] in JUDGED} <= judged(reports)


def test_every_judged_requirement_says_where_it_is_occasioned() -> None:
    """A requirement whose scenarios do not exist, or lack one of its operations, must be refused."""
    for requirement in JUDGED.values():
        assert requirement.scenarios, requirement.id
        assert set(requirement.scenarios) <= set(STORIES)


# single checks


CONTRACT: Contract = REQUIREMENTS.contract
CONTEXT = Context(CONTRACT, validators(CONTRACT), lambda: validators(CONTRACT))
THREAD, RUN = "thread_1", "run_1"
STREAM_URL = f"/threads/{THREAD}/runs"


def exchange(
    operation: str,
    url: str,
    told: Any = None,
    *,
    asked: Any = None,
    status: int = 200,
    at: float = 0.0,
    until: float | None = None,
    stream: bytes = b"",
    purpose: Purpose = Purpose.SCENARIO,
) -> Exchange:
    """An exchange of one second that begins at ``at``."""
    ended = at + 1.0 if until is None else until
    body = stream or json.dumps(told).encode()
    media = "text/event-stream" if stream else "application/json"
    sent = b"" if asked is None else json.dumps(asked).encode()
    return Exchange(
        id=f"{operation}-{at}",
        item="item",
        operation=operation,
        purpose=purpose,
        credential=Credential.OWNER,
        request=Request("POST", f"http://gateway.test/v1{url}", (), sent),
        started=at,
        ended=ended,
        response=Response(status, (("content-type", media),), body),
    )


def outcomes(name: str, *exchanges: Exchange) -> list[Outcome]:
    """What a check says, what it does not speak of left out."""
    return [outcome for _, outcome in get_check(name)(exchanges, CONTEXT) if outcome is not None]


def kinds(name: str, *exchanges: Exchange) -> list[str]:
    """The kinds of all violations that a check finds."""
    return [
        one.kind
        for outcome in outcomes(name, *exchanges)
        if outcome is not None and not isinstance(outcome, Undecided)
        for one in outcome
    ]


def events(*told: tuple[str, Any], done: bool = True) -> bytes:
    """A stream of named events, [DONE] at its end."""
    lines = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told]
    return "".join([*lines, "event: done\ndata: [DONE]\n\n"] if done else lines).encode()


def run(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": RUN, "object": "thread.run", "thread_id": THREAD, "status": status, **fields}


def run_event(status: str, **fields: Any) -> tuple[str, Any]:
    return f"thread.run.{status}", run("queued" if status == "created" else status, **fields)


def step(name: str, **fields: Any) -> tuple[str, Any]:
    data = {"id": "step_1", "object": "thread.run.step", "run_id": RUN, "thread_id": THREAD, **fields}
    return f"thread.run.step.{name}", data


def message(name: str, **fields: Any) -> tuple[str, Any]:
    return f"thread.message.{name}", {
        "id": "msg_1",
        "object": "thread.message",
        "thread_id": THREAD,
        **fields,
    }


def streamed(*told: tuple[str, Any], operation: str = "createRun", done: bool = True) -> Exchange:
    url = {"createRun": STREAM_URL, "createThreadAndRun": "/threads/runs"}.get(
        operation, f"{STREAM_URL}/{RUN}/submit_tool_outputs"
    )
    return exchange(operation, url, asked={"stream": True}, stream=events(*told, done=done))


BEGIN = [run_event("created"), run_event("queued"), run_event("in_progress")]


@pytest.mark.parametrize(
    "names",
    [
        ["created", "queued", "in_progress", "completed"],
        ["created", "queued", "in_progress", "requires_action"],
        ["created", "queued", "failed"],
        ["created", "queued", "cancelling", "cancelled"],
        ["created", "queued", "in_progress", "cancelling", "cancelled"],
        ["created", "queued", "expired"],
    ],
)
def test_a_run_may_end_before_it_works(names: Sequence[str]) -> None:
    """No honest beginning of a run is a violation, nor is its end."""
    told = streamed(*(run_event(name) for name in names))
    assert kinds("assistant_streams.begins", told) == []
    assert kinds("assistant_streams.one_end", told) == []


@pytest.mark.parametrize(
    ("names", "check"),
    [
        (["created", "in_progress", "queued", "completed"], "begins"),
        (["created", "queued", "completed"], "begins"),
        (["created", "queued", "queued", "in_progress", "completed"], "begins"),
        (["queued", "in_progress", "completed"], "begins"),
        (["created", "queued", "in_progress"], "one_end"),
        (["created", "queued", "in_progress", "completed", "completed"], "one_end"),
        (["created", "queued", "in_progress", "completed", "in_progress"], "one_end"),
        (["created", "queued", "in_progress", "failed", "completed"], "one_end"),
    ],
)
def test_a_run_told_in_the_wrong_order_is_refused(names: Sequence[str], check: str) -> None:
    """Events of a run that are missing, doubled or out of order must be refused."""
    assert kinds(f"assistant_streams.{check}", streamed(*(run_event(name) for name in names)))


def test_an_event_of_an_unknown_name_does_no_harm() -> None:
    """Events that the contract does not know yet are tolerated before the end."""
    told = streamed(
        *BEGIN, ("thread.run.step.thinking", {"id": "step_9"}), ("rate_limits", {}), run_event("completed")
    )
    for name in ("begins", "steps_in_order", "messages_in_order", "done_last", "status_of_event"):
        assert kinds(f"assistant_streams.{name}", told) == []


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (events(*BEGIN, done=False), "no-done"),
        (events(*BEGIN) + events(), "done-again"),
        (events(*BEGIN) + events(run_event("completed"), done=False), "after-done"),
    ],
)
def test_done_must_come_once_and_last(stream: bytes, kind: str) -> None:
    """[DONE] that is missing, doubled or followed by anything must be refused."""
    told = exchange("createRun", STREAM_URL, asked={"stream": True}, stream=stream)
    assert kinds("assistant_streams.done_last", told) == [kind]


def test_done_needs_no_name() -> None:
    """Data-only [DONE] is as honest as the named one."""
    stream = events(*BEGIN, run_event("completed"), done=False) + b"data: [DONE]\n\n"
    told = exchange("createRun", STREAM_URL, asked={"stream": True}, stream=stream)
    assert kinds("assistant_streams.done_last", told) == []
    assert kinds("assistant_streams.framing", told) == []


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"data: {}\n\n", "no-name"),
        (b"event: thread.created\n\n" + events(), "no-data-thread.created"),
        (events() + b"event: thread.created\ndata: {}", "unfinished"),
    ],
)
def test_events_must_be_framed(stream: bytes, kind: str) -> None:
    """Events without name or data, or cut before their end, must be refused."""
    told = exchange("createRun", STREAM_URL, asked={"stream": True}, stream=stream)
    assert kind in kinds("assistant_streams.framing", told)


def test_a_waiting_step_may_stay_open_and_is_closed_in_the_next_stream() -> None:
    """The step of the calls is created in one stream and completed in that of the submitted outputs."""
    calls = {"type": "tool_calls"}
    waiting = streamed(
        *BEGIN, step("created", **calls), step("in_progress", **calls), run_event("requires_action")
    )
    closing = streamed(
        step("completed", **calls),
        run_event("queued"),
        run_event("in_progress"),
        run_event("completed"),
        operation="submitToolOuputsToRun",
    )
    assert kinds("assistant_streams.steps_in_order", waiting, closing) == []
    assert kinds("assistant_streams.resumed", closing) == []
    writing = streamed(
        *BEGIN, step("created"), step("in_progress"), run_event("completed")
    )  # not waiting, still open
    assert len(kinds("assistant_streams.steps_in_order", writing)) == 1


def test_a_run_that_waits_again_after_its_outputs_is_honest() -> None:
    """A model may ask for more outputs; the stream of the first ones then ends there."""
    told = streamed(
        step("completed", type="tool_calls"),
        run_event("queued"),
        run_event("in_progress"),
        run_event("requires_action"),
        operation="submitToolOuputsToRun",
    )
    for name in ("one_end", "resumed", "done_last", "status_of_event"):
        assert kinds(f"assistant_streams.{name}", told) == []


def _delta(value: str, index: int = 0) -> tuple[str, Any]:
    part = {"index": index, "type": "text", "text": {"value": value}}
    return "thread.message.delta", {
        "id": "msg_1",
        "object": "thread.message.delta",
        "delta": {"content": [part]},
    }


def _text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


@pytest.mark.parametrize(
    ("deltas", "content", "wrong"),
    [
        ([("Hel", 0), ("lo", 0)], [_text("Hello")], False),
        ([("B", 1), ("A", 0), ("b", 1)], [_text("A"), _text("Bb")], False),
        ([("Hel", 0)], [_text("Hello")], True),
        ([], [_text("Hello")], True),
        ([("lo", 0), ("Hel", 0)], [_text("Hello")], True),
        ([], [_text("")], False),
        ([], [{"type": "image_file", "image_file": {"file_id": "file-1"}}], False),
    ],
)
def test_text_deltas_add_up_by_part(
    deltas: Sequence[tuple[str, int]], content: list[Any], wrong: bool
) -> None:
    """Lost, reordered or absent deltas must be refused; several parts are kept apart."""
    told = streamed(
        message("created"),
        message("in_progress"),
        *(_delta(*one) for one in deltas),
        message("completed", content=content),
    )
    assert bool(kinds("assistant_streams.text_adds_up", told)) is wrong


def test_the_text_of_an_unfinished_message_is_not_compared() -> None:
    """A message that was cut off may hold less than was told of it."""
    told = streamed(message("created"), _delta("Hello"), message("incomplete", content=[]))
    assert outcomes("assistant_streams.text_adds_up", told) == []


def _final(at: float = 2.0, **fields: Any) -> Exchange:
    return exchange("getRun", f"{STREAM_URL}/{RUN}", run("completed", **fields), at=at)


def test_the_end_of_a_stream_is_compared_with_what_was_read_afterwards() -> None:
    """Other fields afterwards are refused; null for absent, and reads that overlap, are not."""
    told = streamed(*BEGIN, run_event("completed", usage=None, model="m"))
    name = "assistant_streams.end_confirmed"
    assert kinds(name, told, _final(model="other")) == ["differs-model"]
    assert outcomes(name, told, _final(model="m")) == [[]]
    assert outcomes(name, told, _final(at=0.5, model="other")) == []
    modified = exchange("modifyRun", f"{STREAM_URL}/{RUN}", run("completed"), at=1.2, until=1.5)
    assert outcomes(name, told, modified, _final(model="other")) == []


# steps


def _step(at: float = 0.0, operation: str = "getRunStep", **fields: Any) -> Exchange:
    value = {
        "id": "step_1",
        "object": "thread.run.step",
        "thread_id": THREAD,
        "run_id": RUN,
        "created_at": 100,
        "status": "completed",
        "type": "tool_calls",
        "step_details": {"type": "tool_calls", "tool_calls": []},
        "completed_at": 101,
        **fields,
    }
    url = f"{STREAM_URL}/{RUN}/steps"
    if operation == "listRunSteps":
        return exchange(operation, url, {"object": "list", "data": [value], "has_more": False}, at=at)
    return exchange(operation, f"{url}/step_1", value, at=at)


def _calling(output: Any = None, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments, "output": output}
    return {"type": "tool_calls", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


@pytest.mark.parametrize(
    ("name", "fields", "wrong"),
    [
        ("type_of_details", {"type": "message_creation"}, True),
        ("times_of_status", {"completed_at": None}, True),
        ("times_of_status", {"status": "failed", "completed_at": None, "failed_at": 5}, False),
        ("times_of_status", {"failed_at": 5}, True),
        ("usage_while_open", {"status": "in_progress", "usage": {}}, True),
        ("usage_sum", {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}, False),
        ("usage_sum", {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 4}}, True),
        ("usage_sum", {"usage": {"prompt_tokens": "1", "completion_tokens": 2}}, False),
        ("error_of_status", {"last_error": {}}, True),
        ("error_of_status", {"status": "expired", "last_error": {}}, False),
        ("expired", {"status": "expired", "completed_at": None}, False),
        ("expired", {"status": "expired", "expired_at": None}, True),
        ("expired", {"expired_at": 5}, True),
    ],
)
def test_rules_over_one_step(name: str, fields: Mapping[str, Any], wrong: bool) -> None:
    """Fields that contradict the status are refused; absent ones, and odd types, are left to the schema."""
    assert bool(kinds(f"run_steps.{name}", _step(**fields))) is wrong


def test_outputs_are_compared_only_where_the_order_is_proven() -> None:
    """A step read while the outputs were on their way may show them or not."""
    body = {"tool_outputs": [{"tool_call_id": "call_1", "output": "sunny"}]}
    url = f"{STREAM_URL}/{RUN}/submit_tool_outputs"
    submit = exchange("submitToolOuputsToRun", url, run("queued"), asked=body, at=10.0)
    name = "run_steps.outputs"
    assert kinds(name, _step(step_details=_calling("sunny")), submit) == ["output-early"]
    assert kinds(name, submit, _step(20.0, step_details=_calling(None))) == ["output"]
    assert outcomes(name, submit, _step(20.0, step_details=_calling("sunny"))) == [()]
    assert outcomes(name, submit, _step(9.5, step_details=_calling("sunny"))) == []


def test_calls_of_an_earlier_round_are_not_held_against_a_later_one() -> None:
    """A run may ask twice: each step is compared with the round whose calls it shows."""

    def asking(name: str, at: float) -> Exchange:
        call = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        action = {"submit_tool_outputs": {"tool_calls": [call]}}
        return exchange(
            "getRun", f"{STREAM_URL}/{RUN}", run("requires_action", required_action=action), at=at
        )

    first, second = asking("call_1", 0.0), asking("call_2", 2.0)
    assert kinds("run_steps.calls", first, second, _step(4.0, step_details=_calling())) == []
    assert kinds("run_steps.calls", first, _step(4.0, step_details=_calling(arguments='{"a":1}'))) == ["call"]
    assert kinds("run_steps.calls", second, _step(4.0, "listRunSteps", step_details=_calling())) == [
        "no-step-of-call"
    ]


def test_steps_may_be_late_by_the_rounding_of_clocks() -> None:
    """Two seconds of difference are tolerated, more are refused."""
    made = exchange("getRun", f"{STREAM_URL}/{RUN}", run("completed", created_at=102, completed_at=102))
    assert kinds("run_steps.in_time", made, _step(2.0)) == []
    assert kinds("run_steps.in_time", made, _step(2.0, created_at=99)) != []
    assert kinds("run_steps.in_time", made, _step(2.0, completed_at=105)) != []


# assistants, threads, messages


def test_an_assistant_modified_meanwhile_is_not_compared_with_its_creation() -> None:
    """Only reads that no modification can have overtaken are held against what was asked for."""
    told = {"id": "asst_1", "object": "assistant", "name": "one"}
    made = exchange("createAssistant", "/assistants", told, asked={"name": "one", "model": None})
    later = exchange("getAssistant", "/assistants/asst_1", {**told, "name": "two"}, at=5.0)
    name = "assistants.round_trip"
    assert kinds(name, made, later) == ["echo-name"]
    for at in (2.0, 4.5):  # before the read, and overlapping it
        change = exchange("modifyAssistant", "/assistants/asst_1", {}, asked={}, at=at)
        assert kinds(name, made, change, later) == []
    refused = exchange("modifyAssistant", "/assistants/asst_1", {}, asked={}, at=2.0, status=400)
    assert kinds(name, made, refused, later) == ["echo-name"]


def _listing(ids: Iterable[tuple[str, int]], query: str, *, more: bool) -> Exchange:
    data = [{"id": one, "object": "assistant", "created_at": at} for one, at in ids]
    return exchange("listAssistants", f"/assistants?{query}", {"data": data, "has_more": more}, at=5.0)


@pytest.mark.parametrize(
    ("listing", "wrong"),
    [
        (_listing([("asst_2", 7)], "order=desc", more=False), True),
        (_listing([("asst_2", 7)], "order=desc", more=True), True),  # older ones are there, ours is not
        (_listing([("asst_2", 8)], "order=desc", more=True), False),  # of the same second: perhaps behind it
        (_listing([("asst_2", 7)], "order=asc", more=True), False),
        (_listing([("asst_2", 7)], "after=asst_9", more=False), False),
        (_listing([("asst_1", 8)], "", more=False), False),
    ],
)
def test_a_list_must_show_what_was_made_only_where_it_reaches(listing: Exchange, wrong: bool) -> None:
    """A page that cannot hold the assistant yet, or not any more, says nothing."""
    told = {"id": "asst_1", "object": "assistant", "created_at": 8}
    made = exchange("createAssistant", "/assistants", told, asked={})
    assert ("not-listed" in kinds("assistants.round_trip", made, listing)) is wrong


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("@provider/gpt-4o", "gpt-4o", True),
        ("gpt-4o", "provider/gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4", False),
        ("gpt-4", "gpt-4o", False),
        ("gpt-4", None, False),
    ],
)
def test_models_are_the_same_under_their_providers_and_dates(asked: str, told: Any, same: bool) -> None:
    """A provider before the name and a date behind it make no other model."""
    assert same_model(asked, told) is same


@pytest.mark.parametrize(
    ("asked", "told", "held"),
    [
        (None, 5, True),
        ({}, None, True),
        ({"a": 1}, {"a": 1.0, "b": 2}, True),
        ([{"type": "function"}], [{"type": "function", "strict": False}], True),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": True}, False),
        (0.1, 0.10000000149, True),
        ("x", None, False),
    ],
)
def test_what_was_asked_for_is_held(asked: Any, told: Any, held: bool) -> None:
    """Defaults that were added and single precision are honest; other values and orders are not."""
    assert carries(asked, told) is held


def test_null_empty_and_absent_are_the_same() -> None:
    """Gateways that leave out what is null are honest."""
    assert differing({"a": None, "b": {}, "c": [], "d": {"e": None}}, {}, "abcd") == []
    assert differing({"a": 0}, {}, "a") == ["a"]


def test_what_overlaps_a_deletion_may_still_be_there() -> None:
    """A read that began before the deletion was answered proves nothing."""
    gone = {"id": THREAD, "object": "thread.deleted", "deleted": True}
    deletion = exchange("deleteThread", f"/threads/{THREAD}", gone)
    for at, wrong in ((0.5, False), (1.5, True)):
        read = exchange("getThread", f"/threads/{THREAD}", {"id": THREAD, "object": "thread"}, at=at)
        assert bool(kinds("threads.deleted", deletion, read)) is wrong


def test_files_that_messages_lend_may_show_in_their_thread() -> None:
    """Tool resources are not compared where a message attached a file."""
    told = {"id": THREAD, "object": "thread", "tool_resources": {}}
    made = exchange("createThread", "/threads", told, asked={})
    attached = {"role": "user", "content": "x", "attachments": [{"file_id": "file-1", "tools": []}]}
    wrote = exchange("createMessage", f"/threads/{THREAD}/messages", {}, asked=attached, at=2.0)
    lent = {**told, "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}}}
    read = exchange("getThread", f"/threads/{THREAD}", lent, at=4.0)
    assert kinds("threads.round_trip", made, wrote, read) == []
    assert kinds("threads.round_trip", made, read) == ["differs-tool_resources"]


def test_a_message_still_being_written_may_change_while_it_is_modified() -> None:
    """Only finished messages must stay as they are but for their metadata."""
    url = f"/threads/{THREAD}/messages/msg_1"
    for status, wrong in (("in_progress", False), ("completed", True)):
        told = {"id": "msg_1", "object": "thread.message", "status": status, "content": []}
        before = exchange("getMessage", url, told)
        after = exchange("modifyMessage", url, {**told, "content": [_text("x")]}, asked={}, at=2.0)
        assert bool(kinds("messages.modified", before, after)) is wrong


HOSTILE: tuple[Any, ...] = (
    None,
    5,
    "text",
    [],
    [None, 5, "x", {"id": 5}],
    {"data": 5, "has_more": "x"},
    {"data": [None, {"id": [], "object": {}}]},
    *(
        {"id": "x1", "object": kind, **dict.fromkeys(fields, value)}
        for kind, fields in {
            "assistant": ("name", "tools", "metadata", "created_at", "response_format", "tool_resources"),
            "thread": ("metadata", "tool_resources", "created_at"),
            "thread.message": ("status", "content", "incomplete_details", "run_id", "attachments", "role"),
            "thread.run": ("status", "required_action", "created_at", "assistant_id", "tools"),
            "thread.run.step": ("status", "step_details", "usage", "created_at", "last_error", "expired_at"),
        }.items()
        for value in (5, "x", [1], {"type": 5, "text": 5, "tool_calls": 5, "reason": []}, [{"type": []}])
    ),
)


@pytest.mark.parametrize("purpose", [Purpose.SCENARIO, Purpose.VALID])
def test_no_check_raises_whatever_a_target_sends(purpose: Purpose) -> None:
    """Fields of any type, as bodies, list entries, events and requests, must not break a check."""
    operations = sorted({name for one in JUDGED.values() for name in one.operations})
    checks = [get_check(name) for name in sorted({one.check for one in JUDGED.values()})]
    ran = 0
    for number, value in enumerate(HOSTILE):
        asked = HOSTILE[(number * 7 + 3) % len(HOSTILE)]
        exchanges = [
            one
            for at, operation in enumerate(operations)
            for one in _hostile(operation, value, asked, 4.0 * at, purpose)
        ]
        ran += sum(len(list(check(exchanges, CONTEXT))) for check in checks)
    assert ran


def _hostile(operation: str, value: Any, asked: Any, at: float, purpose: Purpose) -> Iterable[Exchange]:
    url = CONTRACT.operation(operation).path
    for name in ("thread_id", "run_id", "step_id", "message_id", "assistant_id", "vector_store_id"):
        url = url.replace(f"{{{name}}}", "x1")
    yield exchange(operation, url, value, asked=asked, at=at, purpose=purpose)
    yield exchange(operation, url, {"data": [value]}, asked=value, at=at + 1, purpose=purpose)
    if "Run" in operation:
        body = {"stream": True, "thread": value, "tool_outputs": value}
        stream = events(*((name, value) for name in STREAM_NAMES))
        yield exchange(operation, url, asked=body, stream=stream, at=at + 2, purpose=purpose)


STREAM_NAMES = (
    "thread.created",
    "thread.run.created",
    "thread.run.completed",
    "thread.run.requires_action",
    "thread.run.step.created",
    "thread.run.step.delta",
    "thread.run.step.completed",
    "thread.message.created",
    "thread.message.delta",
    "thread.message.completed",
    "error",
)
