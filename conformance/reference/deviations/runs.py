"""Runs that are shown otherwise than they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..core import Call, Record
from . import deviates, deviates_body

RUN = "thread.run"
WORKING = frozenset({"queued", "in_progress"})
WAITING = frozenset({"requires_action"})
STOPPING = frozenset({"cancelling"})
ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
READS = ("getRun", "listRuns")
_looks = itertools.count(1)  # no two looks alike


def calls_nothing() -> Record:
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": []}}


def tokens(prompt: int, written: int, total: int | None = None) -> Record:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written if total is None else total,
    }


def created(run: Record) -> Any:
    return run["created_at"]


Value = Callable[[Record], Any]
#: name, what it does, the statuses in which it is seen, the field, and what that field then holds
WRONG_FIELDS: tuple[tuple[str, str, frozenset[str], str, Value], ...] = (
    (
        "run-requires-action-at-work",
        "runs that are queued or in progress require an action",
        WORKING,
        "required_action",
        lambda run: calls_nothing(),
    ),
    (
        "run-requires-action-at-its-end",
        "runs that are cancelling or have ended require an action",
        STOPPING | ENDED,
        "required_action",
        lambda run: calls_nothing(),
    ),
    (
        "run-failed-without-reason",
        "failed runs do not say why",
        frozenset({"failed"}),
        "last_error",
        lambda run: None,
    ),
    (
        "run-error-without-failure",
        "runs that did not fail have an error",
        WORKING | WAITING | {"completed"},
        "last_error",
        lambda run: {"code": "server_error", "message": "Nothing happened."},
    ),
    (
        "run-details-without-incompleteness",
        "runs that are not incomplete say why they are",
        WORKING | WAITING | STOPPING | (ENDED - {"incomplete"}),
        "incomplete_details",
        lambda run: {"reason": "max_completion_tokens"},
    ),
    (
        "run-incomplete-without-reason",
        "incomplete runs do not say why",
        frozenset({"incomplete"}),
        "incomplete_details",
        lambda run: {},
    ),
    (
        "run-usage-at-work",
        "runs at work show usage",
        WORKING | STOPPING,
        "usage",
        lambda run: tokens(0, 0),
    ),
    ("run-usage-while-waiting", "runs that wait show usage", WAITING, "usage", lambda run: tokens(1, 1)),
    (
        "run-usage-does-not-add-up",
        "the total of a run's tokens is one too many",
        frozenset({"completed"}),
        "usage",
        lambda run: tokens(5, 5, 11),
    ),
    (
        "run-completed-without-time",
        "completed runs do not say when",
        frozenset({"completed"}),
        "completed_at",
        lambda run: None,
    ),
    (
        "run-completed-time-too-early",
        "runs say when they were completed before they are",
        WORKING | WAITING | STOPPING,
        "completed_at",
        created,
    ),
    (
        "run-failed-without-time",
        "failed runs do not say when",
        frozenset({"failed"}),
        "failed_at",
        lambda run: None,
    ),
    (
        "run-failed-time-without-failure",
        "runs that did not fail say when they did",
        WORKING | WAITING | STOPPING | (ENDED - {"failed"}),
        "failed_at",
        created,
    ),
    (
        "run-cancelled-without-time",
        "cancelled runs do not say when",
        frozenset({"cancelled"}),
        "cancelled_at",
        lambda run: None,
    ),
    (
        "run-cancelled-time-without-cancel",
        "runs that were not cancelled say when they were",
        WORKING | WAITING | (ENDED - {"cancelled"}),
        "cancelled_at",
        created,
    ),
    (
        "run-never-started",
        "runs that wait or have ended were never started",
        WAITING | ENDED,
        "started_at",
        lambda run: None,
    ),
    (
        "run-in-progress-not-started",
        "runs in progress were never started",
        frozenset({"in_progress"}),
        "started_at",
        lambda run: None,
    ),
    (
        "run-started-while-queued",
        "queued runs have been started",
        frozenset({"queued"}),
        "started_at",
        created,
    ),
    (
        "run-never-expires",
        "runs that have not ended do not say when they expire",
        WORKING | WAITING | STOPPING,
        "expires_at",
        lambda run: None,
    ),
    (
        "run-expired-too-early",
        "expired runs expire in an hour",
        frozenset({"expired"}),
        "expires_at",
        lambda run: run["created_at"] + 3600,
    ),
    (
        "run-started-before-created",
        "runs that have ended were started an hour before they were created",
        ENDED,
        "started_at",
        lambda run: run["created_at"] - 3600,
    ),
)


def _wrong(name: str, text: str, statuses: frozenset[str], field: str, value: Value) -> None:
    @deviates(name, text, RUN)
    def show(run: Record, call: Call) -> None:
        if run["status"] in statuses:
            run[field] = value(run)


for _row in WRONG_FIELDS:
    _wrong(*_row)


@deviates("run-status-undocumented", "a run at work is said to be processing", RUN, "getRun")
def processing(run: Record, call: Call) -> None:
    if run["status"] in WORKING:
        run["status"] = "processing"


@deviates("run-usage-grows-after-end", "the usage of completed runs grows with each look", RUN, *READS)
def growing(run: Record, call: Call) -> None:
    if run["usage"]:
        run["usage"] = tokens(run["usage"]["prompt_tokens"] + next(_looks), 1)


@deviates("run-incomplete-blames-the-other-limit", "incomplete runs blame a limit that was not set", RUN)
def other_limit(run: Record, call: Call) -> None:
    if run["incomplete_details"]:
        unset = "max_completion_tokens" if run["max_completion_tokens"] is None else "max_prompt_tokens"
        run["incomplete_details"] = {"reason": unset}


@deviates("run-usage-beyond-limits", "completed runs use one token more than their limit", RUN)
def beyond(run: Record, call: Call) -> None:
    if run["usage"] and run["status"] == "completed" and run["max_completion_tokens"]:
        run["usage"] = tokens(run["usage"]["prompt_tokens"], run["max_completion_tokens"] + 1)


@deviates("run-times-in-milliseconds", "the times of runs are milliseconds", RUN)
def milliseconds(run: Record, call: Call) -> None:
    for name in ("created_at", "started_at", "expires_at", "completed_at", "failed_at", "cancelled_at"):
        if run[name] is not None:
            run[name] *= 1000


@deviates("run-end-moves", "the end of a run is later with each look", RUN, *READS)
def moving(run: Record, call: Call) -> None:
    for name in ("completed_at", "failed_at", "cancelled_at"):
        if run[name] is not None:
            run[name] += next(_looks)


@deviates(
    "run-names-another-thread",
    "runs name another thread than their own",
    RUN,
    *READS,
    "modifyRun",
    "cancelRun",
    "submitToolOuputsToRun",
)
def other_thread(run: Record, call: Call) -> None:
    run["thread_id"] = "thread_of_somebody_else"


@deviates("run-names-another-assistant", "runs name another assistant than their own", RUN)
def other_assistant(run: Record, call: Call) -> None:
    run["assistant_id"] = "asst_of_somebody_else"


@deviates("run-thread-not-found", "a run made with its thread names one that is not there", RUN)
def no_thread(run: Record, call: Call) -> None:
    if call.operation == "createThreadAndRun":
        run["thread_id"] = "thread_that_is_not_there"


@deviates("run-configuration-drifts", "reading a run shows another top_p than creating it", RUN)
def drifting(run: Record, call: Call) -> None:
    if call.operation in READS:
        run["top_p"] = 0.123


@deviates("run-calls-unknown-function", "tool calls name a function the run does not have", RUN)
def unknown_function(run: Record, call: Call) -> None:
    if run["required_action"]:
        for one in run["required_action"]["submit_tool_outputs"]["tool_calls"]:
            one["function"]["name"] = "something_else"


@deviates_body("run-missing-in-list", "the list of runs lacks the newest", "listRuns")
def missing(body: Any, call: Call) -> Any:
    return {**body, "data": body["data"][1:], "first_id": None}
