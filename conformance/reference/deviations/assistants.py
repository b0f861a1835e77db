"""What assistants, threads, messages and steps may wrongly say."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record
from conformance.reference.deviations import deviates, deviates_body

STEP, MESSAGE = "thread.run.step", "thread.message"
_LATER = 3  # places by which an annotation misses


@deviates("assistant-forgets-description", "assistants have no description, whatever was sent", "assistant")
def assistant_forgets_description(record: Record, call: Call) -> None:
    record["description"] = None


@deviates("run-follows-its-assistant", "runs show the instructions their assistant has now", "thread.run")
def run_follows_its_assistant(record: Record, call: Call) -> None:
    assistant = call.tenant.of("assistants").get(record["assistant_id"])
    if assistant is not None:
        record["instructions"] = assistant["instructions"]


# messages


@deviates("message-of-another-thread", "messages name a thread that they are not in", MESSAGE)
def message_of_another_thread(record: Record, call: Call) -> None:
    record["thread_id"] = "thread_of_somebody_else"


@deviates("manual-message-names-a-run", "messages that no run wrote name a run", MESSAGE)
def manual_message_names_a_run(record: Record, call: Call) -> None:
    record["run_id"] = record["run_id"] or "run_of_nobody"


@deviates("complete-message-says-why-not", "completed messages say why they are incomplete", MESSAGE)
def complete_message_says_why_not(record: Record, call: Call) -> None:
    record["incomplete_details"] = {"reason": "max_tokens"}


@deviates("message-stays-in-progress", "messages are in progress and yet completed at a time", MESSAGE)
def message_stays_in_progress(record: Record, call: Call) -> None:
    record["status"] = "in_progress"


@deviates(
    "fetched-message-unfinished", "a fetched message is in progress, whatever was seen", MESSAGE, "getMessage"
)
def fetched_message_unfinished(record: Record, call: Call) -> None:
    record.update(status="in_progress", completed_at=None, incomplete_at=None, incomplete_details=None)


@deviates("message-blames-expiry", "every unfinished message blames the expiry of its run", MESSAGE)
def message_blames_expiry(record: Record, call: Call) -> None:
    if record["incomplete_details"] is not None:
        record["incomplete_details"] = {"reason": "run_expired"}


@deviates("modify-rewrites-message", "modifying a message adds to its text", MESSAGE, "modifyMessage")
def modify_rewrites_message(record: Record, call: Call) -> None:
    for part in record["content"]:
        if part["type"] == "text":
            part["text"]["value"] += " (edited)"


@deviates("annotation-misplaced", "annotations mark other text than they quote", MESSAGE)
def annotation_misplaced(record: Record, call: Call) -> None:
    for part in record["content"]:
        for note in part["text"]["annotations"] if part["type"] == "text" else ():
            note["start_index"] -= _LATER
            note["end_index"] -= _LATER


@deviates_body("run-messages-hidden", "lists of messages leave out what runs wrote", "listMessages")
def run_messages_hidden(body: Any, call: Call) -> Any:
    body["data"] = [one for one in body["data"] if one["run_id"] is None]
    return body


@deviates("attachments-lost", "messages show no attachments", MESSAGE)
def attachments_lost(record: Record, call: Call) -> None:
    record["attachments"] = []


# steps


@deviates("step-of-another-run", "steps name a run that they are not of", STEP)
def step_of_another_run(record: Record, call: Call) -> None:
    record["run_id"] = "run_of_somebody_else"


@deviates("step-type-contradicts-details", "the type of a step is not that of its details", STEP)
def step_type_contradicts_details(record: Record, call: Call) -> None:
    record["type"] = "tool_calls" if record["type"] == "message_creation" else "message_creation"


@deviates(
    "step-reopens", "a fetched step is in progress, though it was listed as completed", STEP, "getRunStep"
)
def step_reopens(record: Record, call: Call) -> None:
    record.update(status="in_progress", completed_at=None, failed_at=None, usage=None, last_error=None)


@deviates("step-completed-without-time", "completed steps do not say when", STEP)
def step_completed_without_time(record: Record, call: Call) -> None:
    record["completed_at"] = None


@deviates("step-expired-at-always", "every step says when it expired", STEP)
def step_expired_at_always(record: Record, call: Call) -> None:
    record["expired_at"] = record["created_at"] + 600


@deviates("step-usage-early", "steps in progress have a usage", STEP)
def step_usage_early(record: Record, call: Call) -> None:
    record["usage"] = record["usage"] or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@deviates("step-usage-does-not-add-up", "the total of a step's tokens is one too many", STEP)
def step_usage_does_not_add_up(record: Record, call: Call) -> None:
    if record["usage"] is not None:
        record["usage"]["total_tokens"] += 1


@deviates("step-error-on-success", "every step has a last error", STEP)
def step_error_on_success(record: Record, call: Call) -> None:
    record["last_error"] = {"code": "server_error", "message": "Nothing went wrong."}


@deviates("step-names-no-message", "steps name a message that does not exist", STEP)
def step_names_no_message(record: Record, call: Call) -> None:
    if "message_creation" in record["step_details"]:
        record["step_details"]["message_creation"]["message_id"] = "msg_of_nobody"


@deviates("tool-output-lost", "function calls never show the outputs submitted for them", STEP)
def tool_output_lost(record: Record, call: Call) -> None:
    for made in _functions(record):
        made["output"] = None


@deviates("step-arguments-differ", "function calls in steps show other arguments than their run", STEP)
def step_arguments_differ(record: Record, call: Call) -> None:
    for made in _functions(record):
        made["arguments"] = '{"city":"Nowhere"}'


@deviates("steps-never-close", "steps stay in progress when their run has ended", STEP)
def steps_never_close(record: Record, call: Call) -> None:
    record.update(status="in_progress", completed_at=None, failed_at=None, usage=None, last_error=None)


@deviates("step-before-its-run", "steps are created an hour before their run", STEP)
def step_before_its_run(record: Record, call: Call) -> None:
    record["created_at"] -= 3600


@deviates("fetched-step-differs", "a fetched step has another usage than the listed one", STEP, "getRunStep")
def fetched_step_differs(record: Record, call: Call) -> None:
    if record["usage"] is not None:
        record["usage"]["prompt_tokens"] += 1
        record["usage"]["total_tokens"] += 1


@deviates("file-search-tells-results", "file searches in steps tell their results", STEP)
def file_search_tells_results(record: Record, call: Call) -> None:
    for made in record["step_details"].get("tool_calls", ()):
        if made["type"] == "file_search":
            made["file_search"] = {"results": []}


@deviates_body("message-steps-unlisted", "lists of steps leave out those that write messages", "listRunSteps")
def message_steps_unlisted(body: Any, call: Call) -> Any:
    body["data"] = [one for one in body["data"] if one["type"] != "message_creation"]
    return body


def _functions(record: Record) -> list[Record]:
    made = record["step_details"].get("tool_calls", ())
    return [one["function"] for one in made if one["type"] == "function"]
