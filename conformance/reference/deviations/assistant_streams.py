"""How streams of runs may go wrong."""

from __future__ import annotations

import copy
from typing import Any

from conformance.reference.core import Call
from conformance.reference.deviations import Event, deviates_events

SUBMIT = "submitToolOuputsToRun"
STREAMS = ("createRun", "createThreadAndRun", SUBMIT)
_ENDS = frozenset(
    f"thread.run.{one}" for one in ("completed", "failed", "cancelled", "incomplete", "expired")
)


def _place(events: list[Event], name: str, kind: str = "") -> int | None:
    """Where the first event of a name (and of a step's type) stands."""
    found = (
        at
        for at, (one, data) in enumerate(events)
        if one == name and (not kind or (isinstance(data, dict) and data.get("type") == kind))
    )
    return next(found, None)


def _moved(events: list[Event], what: int | None, before: int | None) -> list[Event]:
    """The events with one of them earlier than it was."""
    if what is None or before is None or before >= what:
        return events
    kept = [*events[:what], *events[what + 1 :]]
    return [*kept[:before], events[what], *kept[before:]]


@deviates_events("stream-events-without-name", "events that open a step have no name", *STREAMS)
def events_without_name(events: list[Event], call: Call) -> list[Event]:
    return [(None if name == "thread.run.step.in_progress" else name, data) for name, data in events]


@deviates_events("run-event-status-lags", "in_progress events hold a run that is queued", *STREAMS)
def event_status_lags(events: list[Event], call: Call) -> list[Event]:
    return [
        (name, {**data, "status": "queued"} if name == "thread.run.in_progress" else data)
        for name, data in events
    ]


@deviates_events("stream-hides-new-thread", "streams lack thread.created", "createThreadAndRun")
def hides_new_thread(events: list[Event], call: Call) -> list[Event]:
    return [one for one in events if one[0] != "thread.created"]


@deviates_events("thread-created-again", "streams tell of a thread as new that was there before", "createRun")
def thread_created_again(events: list[Event], call: Call) -> list[Event]:
    thread = {
        "id": call.path["thread_id"],
        "object": "thread",
        "created_at": call.gateway.now(),
        "tool_resources": {},
        "metadata": {},
    }
    return [("thread.created", thread), *events]


@deviates_events("stream-queued-before-created", "a run is queued before it is created", *STREAMS)
def queued_before_created(events: list[Event], call: Call) -> list[Event]:
    return _moved(events, _place(events, "thread.run.queued"), _place(events, "thread.run.created"))


@deviates_events("stream-goes-on-while-waiting", "a delta follows when a run waits for outputs", *STREAMS)
def goes_on_while_waiting(events: list[Event], call: Call) -> list[Event]:
    waits, delta = _place(events, "thread.run.requires_action"), _place(events, "thread.run.step.delta")
    return events if waits is None or delta is None else _moved(events, waits, _last_delta(events))


def _last_delta(events: list[Event]) -> int:
    return max(at for at, (name, _) in enumerate(events) if name == "thread.run.step.delta")


@deviates_events(
    "submit-stream-creates-again", "after outputs were submitted the run is created again", SUBMIT
)
def creates_again(events: list[Event], call: Call) -> list[Event]:
    queued = _place(events, "thread.run.queued")
    if queued is None:
        return events
    return [*events[:queued], ("thread.run.created", copy.deepcopy(events[queued][1])), *events[queued:]]


@deviates_events("step-ends-twice", "the end of each step is told twice", *STREAMS)
def step_ends_twice(events: list[Event], call: Call) -> list[Event]:
    return [
        one for event in events for one in [event] * (2 if event[0] == "thread.run.step.completed" else 1)
    ]


@deviates_events(
    "delta-before-its-message", "the first delta of a message comes before the message", *STREAMS
)
def delta_before_its_message(events: list[Event], call: Call) -> list[Event]:
    return _moved(
        events, _place(events, "thread.message.delta"), _place(events, "thread.message.in_progress")
    )


@deviates_events("step-ends-before-its-message", "a step ends before the message it writes", *STREAMS)
def step_ends_before_its_message(events: list[Event], call: Call) -> list[Event]:
    ends = _place(events, "thread.run.step.completed", "message_creation")
    return _moved(events, ends, _place(events, "thread.message.completed"))


@deviates_events("stream-loses-a-delta", "the first text delta of a stream is lost", *STREAMS)
def loses_a_delta(events: list[Event], call: Call) -> list[Event]:
    lost = _place(events, "thread.message.delta")
    return events if lost is None else [*events[:lost], *events[lost + 1 :]]


@deviates_events(
    "stream-garbles-arguments", "the argument deltas of function calls are in capitals", *STREAMS
)
def garbles_arguments(events: list[Event], call: Call) -> list[Event]:
    for name, data in events:
        if name == "thread.run.step.delta":
            for made in data["delta"]["step_details"]["tool_calls"]:
                if "arguments" in made.get("function", {}):
                    made["function"]["arguments"] = made["function"]["arguments"].upper()
    return events


@deviates_events("stream-mixes-runs", "messages in a stream name another run", *STREAMS)
def mixes_runs(events: list[Event], call: Call) -> list[Event]:
    return [
        (name, {**data, "run_id": "run_of_somebody_else"} if _is_message(data) else data)
        for name, data in events
    ]


def _is_message(data: Any) -> bool:
    return isinstance(data, dict) and data.get("object") == "thread.message"


@deviates_events(
    "last-event-differs", "the last event of a run shows other metadata than the run has", *STREAMS
)
def last_event_differs(events: list[Event], call: Call) -> list[Event]:
    return [
        (name, {**data, "metadata": {"colour": "other"}} if name in _ENDS else data) for name, data in events
    ]


@deviates_events("stream-error-midway", "a bare error is told, and the run goes on", *STREAMS)
def error_midway(events: list[Event], call: Call) -> list[Event]:
    middle = len(events) // 2
    return [*events[:middle], ("error", {"message": "Something went wrong."}), *events[middle:]]


@deviates_events("run-event-failed-at-early", "in_progress events say when the run failed", *STREAMS)
def failed_at_early(events: list[Event], call: Call) -> list[Event]:
    return [
        (name, {**data, "failed_at": data["created_at"]} if name == "thread.run.in_progress" else data)
        for name, data in events
    ]
