"""Runs: create (alone or with a thread), list, read, modify, cancel, submit tool outputs."""

from __future__ import annotations

from functools import partial
from typing import Any

from conformance.reference.assistants import check_response_format
from conformance.reference.core import Call, EventStream, Record, Refusal, handles, new_id, not_found
from conformance.reference.message_objects import check_message
from conformance.reference.objects import declared, metadata_of, page, public, update_metadata
from conformance.reference.run_engine import (
    TERMINAL,
    begin,
    cancel,
    refuse_when_locked,
    settle,
    submit,
)
from conformance.reference.run_streams import stream_run
from conformance.reference.threads import add_message, check_thread, new_thread, thread_of
from conformance.reference.tool_resources import check_tool_resources, searchable_files

FAULTS = declared(
    {
        "run-skips-to-completed-then-back": "a completed run is every second time shown in progress",
        "run-completed-without-usage": "completed runs have no usage",
        "run-no-required-action": "runs in requires_action do not say what is required",
        "wrong-echo": "runs show other instructions than they were given",
    }
)

# Taken from the assistant when the request does not override them.
INHERITED = ("model", "tools", "temperature", "top_p", "response_format")
# Said by the request, or else this.
OWN_DEFAULTS: Record = {
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}


@handles("createRun")
def create(call: Call) -> Record | EventStream:
    body, thread = call.body, thread_of(call)
    assistant, fields = check_run(call, body)
    for number, message in enumerate(body.get("additional_messages") or ()):
        check_message(call, message, f"additional_messages[{number}].")
    refuse_when_locked(thread, "a run")
    for message in body.get("additional_messages") or ():
        add_message(call, thread, message)
    return launch(call, thread, assistant, fields)


@handles("createThreadAndRun")
def create_with_thread(call: Call) -> Record | EventStream:
    """A refused request leaves no thread behind: everything is checked before anything is made."""
    body = call.body
    assistant, fields = check_run(call, body)
    check_tool_resources(call, body.get("tool_resources"))
    check_thread(call, body.get("thread") or {}, "thread.")
    thread = new_thread(call, body.get("thread") or {})
    return launch(call, thread, assistant, fields, new=True)


@handles("listRuns")
def list_runs(call: Call) -> Record:
    return page(call, thread_of(call)["_runs"].values(), partial(show, call))


@handles("getRun")
def get(call: Call) -> Record:
    return show(call, run_of(call))


@handles("modifyRun")
def modify(call: Call) -> Record:
    run = run_of(call)
    update_metadata(call, run)
    return show(call, run)


@handles("cancelRun")
def cancel_run(call: Call) -> Record:
    run = run_of(call)
    if run["status"] in TERMINAL:
        raise Refusal(400, f"Cannot cancel run with status '{run['status']}'.", code="invalid_run_state")
    cancel(run)
    return show(call, run)


@handles("submitToolOuputsToRun")
def submit_outputs(call: Call) -> Record | EventStream:
    run = run_of(call)
    if run["status"] != "requires_action":
        message = f'Runs in status "{run["status"]}" do not accept tool outputs.'
        raise Refusal(400, message, code="invalid_run_state")
    outputs = checked_outputs(run, call.body["tool_outputs"])
    streamed = bool(call.body.get("stream"))
    submit(run, outputs, streamed=streamed)
    return stream_run(call, run) if streamed else show(call, run)


def run_of(call: Call) -> Record:
    """The run the path names, in its present state, or an honest 404 (also through a wrong thread)."""
    run: Record | None = thread_of(call)["_runs"].get(call.path["run_id"])
    if run is None:
        raise not_found("run", call.path["run_id"])
    return settle(run)


def check_run(call: Call, body: Record) -> tuple[Record, Record]:
    """The assistant and the run's fields as the request and the assistant give them, or Refusal(400)."""
    assistant = call.tenant.of("assistants").get(body["assistant_id"])
    if assistant is None:
        message = f"No assistant found with id '{body['assistant_id']}'."
        raise Refusal(400, message, param="assistant_id", code="invalid_assistant_id")
    fields: Record = {name: given(body, name, assistant[name]) for name in INHERITED}
    fields.update({name: given(body, name, default) for name, default in OWN_DEFAULTS.items()})
    fields["instructions"] = instructions_of(body, assistant)
    fields["metadata"] = metadata_of(body.get("metadata"))
    check_response_format(fields["response_format"], fields["tools"])
    check_tool_choice(fields["tool_choice"], fields["tools"])
    return assistant, fields


def given(body: Record, name: str, otherwise: Any) -> Any:
    """What the request says; null is the same as nothing."""
    value = body.get(name)
    return otherwise if value is None else value


def instructions_of(body: Record, assistant: Record) -> str | None:
    base: str | None = given(body, "instructions", assistant["instructions"])
    more = body.get("additional_instructions")
    if not more:
        return base
    return f"{base}\n\n{more}" if base else str(more)


def check_tool_choice(choice: Any, tools: list[Record]) -> None:
    """Raises Refusal(400) when the choice names a tool the run does not have."""
    kinds = [tool["type"] for tool in tools]
    if choice == "required" and not tools:
        raise refused_choice("tool_choice 'required' needs at least one tool.")
    if not isinstance(choice, dict):
        return
    if choice["type"] != "function":
        if choice["type"] not in kinds:
            raise refused_choice(f"The run has no tool {choice['type']} to choose.")
        return
    name = (choice.get("function") or {}).get("name")
    if name is None:
        raise refused_choice("A tool_choice of type function needs function.name.")
    if name not in [tool["function"]["name"] for tool in tools if tool["type"] == "function"]:
        raise refused_choice(f"The run has no function '{name}' to choose.")


def refused_choice(message: str) -> Refusal:
    return Refusal(400, message, param="tool_choice", code="invalid_value")


def checked_outputs(run: Record, outputs: list[Record]) -> dict[str, str]:
    """One output for each pending call, by call id, or Refusal(400)."""
    pending = [call["id"] for call in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
    answered: dict[str, str] = {}
    for output in outputs:
        call_id = output.get("tool_call_id")
        if call_id is None or call_id not in pending or call_id in answered:
            message = f"{call_id or 'An output without tool_call_id'} answers no open tool call of this run."
            raise Refusal(400, message, param="tool_outputs", code="invalid_tool_call_id")
        answered[call_id] = output.get("output") or ""
    missing = [call_id for call_id in pending if call_id not in answered]
    if missing:
        message = f"Outputs are expected for all pending tool calls; missing: {', '.join(missing)}."
        raise Refusal(400, message, param="tool_outputs", code="missing_tool_outputs")
    return answered


def launch(
    call: Call, thread: Record, assistant: Record, fields: Record, *, new: bool = False
) -> Record | EventStream:
    """Put a run with checked fields into the thread and answer with it, queued."""
    run: Record = {
        "id": new_id("run_"),
        "object": "thread.run",
        "created_at": 0,  # set when its life begins
        "thread_id": thread["id"],
        "assistant_id": assistant["id"],
        "status": "queued",
        "required_action": None,
        "last_error": None,
        "expires_at": None,
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "incomplete_details": None,
        "usage": None,
        **fields,
    }
    streamed = bool(call.body.get("stream"))
    lent = (thread["tool_resources"], call.body.get("tool_resources") or assistant["tool_resources"])
    begin(call, thread, run, searchable_files(call, *lent), streamed=streamed)
    if call.fault("wrong-echo"):
        run["instructions"] = "You are somebody else."
    if streamed:
        return stream_run(call, run, thread=thread if new else None)
    return show(call, run)


def show(call: Call, run: Record) -> Record:
    """The run as an answer."""
    shown = public(run)
    completed = run["status"] == "completed"
    if completed and call.fault("run-completed-without-usage"):
        shown["usage"] = None
    if run["status"] == "requires_action" and call.fault("run-no-required-action"):
        shown["required_action"] = None
    if completed and call.fault("run-skips-to-completed-then-back"):
        run["_seen"] = run.get("_seen", 0) + 1
        if run["_seen"] % 2 == 0:
            expires_at = run["created_at"] + 600
            shown.update(status="in_progress", completed_at=None, usage=None, expires_at=expires_at)
    return shown
