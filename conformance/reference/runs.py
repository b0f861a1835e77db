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
    pending_calls,
    refuse_when_locked,
    requeue,
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
        "run-created-at-its-end": "creating a run is answered when it has ended, or waits",
        "run-falls-back-to-queued": "a run that is cancelled at work is queued again",
        "run-cancel-forgotten": "a cancel is answered with cancelling, and the run goes on",
        "run-ids-repeat": "all runs of an assistant have the same id",
        "run-ignores-its-assistant": "runs that name no model get another than their assistant's",
        "run-default-differs": "runs do without parallel tool calls unless told otherwise",
        "run-ignores-additional-instructions": "additional instructions are dropped",
        "run-loses-additional-messages": "additional messages are dropped",
        "run-takes-null-as-a-value": "a temperature of null is zero",
        "run-thread-not-empty": "the thread of a run created without one begins with a message of the user",
        "run-thread-loses-messages": "the messages given with the thread of a run are dropped",
        "run-found-through-any-thread": "a run is found through any thread",
        "run-of-an-unknown-assistant": "a run of an unknown assistant gets some other assistant",
        "submit-changes-nothing": "outputs are accepted and change nothing",
        "submit-accepted-after-end": "outputs are accepted by runs that do not wait for them",
        "submit-accepts-some-outputs": "fewer outputs than calls are accepted",
        "submit-accepts-foreign-outputs": "outputs of unknown calls, or two for one call, are accepted",
        "cancel-shows-the-old-status": "cancelling a run answers with the run as it was",
        "cancel-refused-at-work": "a run in progress cannot be cancelled",
        "cancel-accepted-after-end": "cancelling a run that has ended is accepted",
        "thread-never-locked": "a thread takes messages and runs while a run is active",
    }
)

# Fault → the setting of the request that it drops.
IGNORED = {
    f"run-ignores-{name.replace('_', '-')}": name
    for name in (
        "model",
        "tools",
        "temperature",
        "top_p",
        "max_prompt_tokens",
        "max_completion_tokens",
        "truncation_strategy",
        "tool_choice",
        "response_format",
        "parallel_tool_calls",
        "metadata",
    )
}
declared({fault: f"runs ignore the {name} of their request" for fault, name in IGNORED.items()})
SERVERS_OWN = "reference-house-model"  # what faults put in place of the model that was meant

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
    if not call.fault("thread-never-locked"):
        refuse_when_locked(thread, "a run")
    if not call.fault("run-loses-additional-messages"):
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
    wanted = body.get("thread") or {}
    if not wanted and call.fault("run-thread-not-empty"):
        wanted = {"messages": [{"role": "user", "content": "Hello"}]}
    if call.fault("run-thread-loses-messages"):
        wanted = {name: value for name, value in wanted.items() if name != "messages"}
    thread = new_thread(call, wanted)
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
    was = run["status"]
    if was in TERMINAL and call.fault("cancel-accepted-after-end"):
        return show(call, run)
    if was in TERMINAL or (was == "in_progress" and call.fault("cancel-refused-at-work")):
        raise Refusal(400, f"Cannot cancel run with status '{was}'.", code="invalid_run_state")
    if call.fault("run-cancel-forgotten"):
        return {**show(call, run), "status": "cancelling", "required_action": None}
    if was == "in_progress" and call.fault("run-falls-back-to-queued"):
        requeue(run)
    else:
        cancel(run)
    shown = show(call, run)
    return {**shown, "status": was} if call.fault("cancel-shows-the-old-status") else shown


@handles("submitToolOuputsToRun")
def submit_outputs(call: Call) -> Record | EventStream:
    run = run_of(call)
    if run["status"] != "requires_action":
        if call.fault("submit-accepted-after-end"):
            return show(call, run)
        message = f'Runs in status "{run["status"]}" do not accept tool outputs.'
        raise Refusal(400, message, code="invalid_run_state")
    outputs = checked_outputs(call, run, call.body["tool_outputs"])
    if call.fault("submit-changes-nothing"):
        return show(call, run)
    streamed = bool(call.body.get("stream"))
    submit(run, outputs, streamed=streamed)
    return stream_run(call, run) if streamed else show(call, run)


def run_of(call: Call) -> Record:
    """The run the path names, in its present state, or an honest 404 (also through a wrong thread)."""
    run: Record | None = thread_of(call)["_runs"].get(call.path["run_id"])
    if call.fault("run-found-through-any-thread"):
        threads = call.tenant.of("threads").values()
        run = next(
            (one["_runs"][name] for one in threads if (name := call.path["run_id"]) in one["_runs"]), run
        )
    if run is None:
        raise not_found("run", call.path["run_id"])
    return settle(run)


def check_run(call: Call, body: Record) -> tuple[Record, Record]:
    """The assistant and the run's fields as the request and the assistant give them, or Refusal(400)."""
    assistant = call.tenant.of("assistants").get(body["assistant_id"])
    if assistant is None and call.fault("run-of-an-unknown-assistant"):
        assistant = next(iter(call.tenant.of("assistants").values()), None)
    if assistant is None:
        message = f"No assistant found with id '{body['assistant_id']}'."
        raise Refusal(400, message, param="assistant_id", code="invalid_assistant_id")
    wanted = heeded(call, body)
    fields: Record = {name: given(wanted, name, assistant[name]) for name in INHERITED}
    fields.update({name: given(wanted, name, default) for name, default in OWN_DEFAULTS.items()})
    fields["instructions"] = instructions_of(wanted, assistant)
    fields["metadata"] = metadata_of(
        wanted.get("metadata"), bounded=not call.fault("metadata-without-limits")
    )
    check_response_format(fields["response_format"], fields["tools"])
    check_tool_choice(fields["tool_choice"], fields["tools"])
    return assistant, fields


def heeded(call: Call, body: Record) -> Record:
    """What of a request is heeded: all of it, but for faults."""
    wanted = dict(body)
    for fault in IGNORED:
        if call.fault(fault):
            wanted.pop(IGNORED[fault], None)
    if call.fault("run-ignores-tools"):
        wanted.pop("tool_choice", None)
    if call.fault("run-ignores-model") and body.get("model"):
        wanted["model"] = SERVERS_OWN
    if call.fault("run-ignores-additional-instructions"):
        wanted.pop("additional_instructions", None)
    if call.fault("run-ignores-its-assistant") and not body.get("model"):
        wanted["model"] = SERVERS_OWN
    if call.fault("run-default-differs"):
        wanted.setdefault("parallel_tool_calls", False)
    if call.fault("run-takes-null-as-a-value") and body.get("temperature", 1) is None:
        wanted["temperature"] = 0
    return wanted


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


def checked_outputs(call: Call, run: Record, outputs: list[Record]) -> dict[str, str]:
    """One output for each pending call, by call id, or Refusal(400)."""
    pending = [made["id"] for made in pending_calls(run)]
    answered: dict[str, str] = {}
    for output in outputs:
        call_id = output.get("tool_call_id")
        strange = call_id is None or call_id not in pending or call_id in answered
        if strange and not call.fault("submit-accepts-foreign-outputs"):
            message = f"{call_id or 'An output without tool_call_id'} answers no open tool call of this run."
            raise Refusal(400, message, param="tool_outputs", code="invalid_tool_call_id")
        answered[str(call_id)] = output.get("output") or ""
    if call.fault("submit-accepts-some-outputs"):
        return {**dict.fromkeys(pending, ""), **answered}
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
        "id": f"run_{assistant['id']}" if call.fault("run-ids-repeat") else new_id("run_"),
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
    streamed = bool(call.body.get("stream")) or call.fault("streams-unasked")
    lent = (thread["tool_resources"], call.body.get("tool_resources") or assistant["tool_resources"])
    begin(call, thread, run, searchable_files(call, *lent), streamed=streamed)
    if call.fault("run-created-at-its-end"):
        run["_life"].scale = 0.0
        settle(run)
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
