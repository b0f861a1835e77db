"""What a run leaves behind while it lives: its steps, its message, the events that tell of them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

from conformance.reference.core import Record, new_id
from conformance.reference.message_objects import blank_message
from conformance.reference.objects import public
from conformance.reference.run_model import Plan, tokens

Event = tuple[str, Any]


@dataclass
class Life:
    """What the client does not see of a run. Times are monotonic seconds but ``born_wall``."""

    thread: Record
    plan: Plan
    scale: float
    born: float
    born_wall: float
    since: float  # when the present status began
    resumed: bool = False
    journal: list[Event] | None = None  # kept only while somebody may stream
    message: Record | None = None
    step: Record | None = None  # the step that is open
    restless: bool = False  # a fault: goes on without the outputs it waits for
    stuck: bool = False  # a fault: cancelling for ever

    def wall(self, moment: float) -> int:
        """Unix seconds of a monotonic moment, never before the creation."""
        return int(self.born_wall + max(0.0, moment - self.born))

    def moment(self, wall: int) -> float:
        return self.born + (wall - self.born_wall)


def tell(run: Record, event: str, data: Record) -> None:
    """Write an event for the streams, as the object is at this moment."""
    journal = run["_life"].journal
    if journal is not None:
        journal.append((event, copy.deepcopy(public(data))))


# steps


def open_step(run: Record, details: Record, moment: float) -> Record:
    life: Life = run["_life"]
    step: Record = {
        "id": new_id("step_"),
        "object": "thread.run.step",
        "created_at": life.wall(moment),
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "run_id": run["id"],
        "type": details["type"],
        "status": "in_progress",
        "step_details": details,
        "last_error": None,
        "expired_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "metadata": {},
        "usage": None,
    }
    run["_steps"][step["id"]] = step
    life.step = step
    tell(run, "thread.run.step.created", step)
    tell(run, "thread.run.step.in_progress", step)
    return step


def close_step(run: Record, status: str, moment: float, spent: Record) -> None:
    life: Life = run["_life"]
    step = life.step
    assert step is not None
    step["status"], step["usage"] = status, spent
    step[f"{status}_at"] = life.wall(moment)
    if status == "failed":
        step["last_error"] = {"code": "server_error", "message": "The model failed to answer."}
    life.step = None
    tell(run, f"thread.run.step.{status}", step)


def tell_call(run: Record, index: int, call: Record) -> None:
    """A function call in pieces: first whose it is, then its arguments."""
    arguments = call["function"]["arguments"]
    first = {"name": call["function"]["name"], "arguments": "", "output": None}
    tell_step_delta(run, {"index": index, "id": call["id"], "type": "function", "function": first})
    for piece in pieces(arguments):
        tell_step_delta(run, {"index": index, "type": "function", "function": {"arguments": piece}})


def tell_step_delta(run: Record, tool_call: Record) -> None:
    step = run["_life"].step
    details = {"type": "tool_calls", "tool_calls": [tool_call]}
    delta = {"id": step["id"], "object": "thread.run.step.delta", "delta": {"step_details": details}}
    tell(run, "thread.run.step.delta", delta)


# the message


def open_message(run: Record, moment: float) -> None:
    life: Life = run["_life"]
    message = blank_message(run["thread_id"], "assistant", life.wall(moment))
    message.update(run_id=run["id"], assistant_id=run["assistant_id"])
    open_step(run, {"type": "message_creation", "message_creation": {"message_id": message["id"]}}, moment)
    life.thread["_messages"][message["id"]] = message
    life.message = message
    tell(run, "thread.message.created", message)
    tell(run, "thread.message.in_progress", message)


def tell_message_delta(run: Record, message: Record, part: Record) -> None:
    delta = {"id": message["id"], "object": "thread.message.delta", "delta": {"content": [part]}}
    tell(run, "thread.message.delta", delta)


def finish_message(run: Record, status: str, moment: float, reason: str) -> None:
    life: Life = run["_life"]
    message = life.message
    assert message is not None
    message["status"] = status
    message[f"{status}_at"] = life.wall(moment)
    if status == "incomplete":
        message["incomplete_details"] = {"reason": reason}
    life.message = None
    tell(run, f"thread.message.{status}", message)


# tokens


def outputs_of(run: Record) -> list[str]:
    """What the tools gave so far."""
    calls = [
        call
        for step in run["_steps"].values()
        if step["type"] == "tool_calls"
        for call in step["step_details"]["tool_calls"]
    ]
    return [call["function"]["output"] or "" for call in calls if call["type"] == "function"]


def spent_on(run: Record, kind: str) -> int:
    steps = run["_steps"].values()
    return sum(step["usage"][kind] for step in steps if step["usage"] is not None)


def prompt_of_turn(run: Record) -> int:
    """The prompt of this turn: everything said, and what the tools gave."""
    prompt: int = run["_life"].plan.prompt_tokens
    return prompt + sum(tokens(output) for output in outputs_of(run))


def out_of_prompt(run: Record) -> bool:
    """Whether this turn's prompt goes beyond what the run may use in all its turns."""
    most = run["max_prompt_tokens"]
    return most is not None and spent_on(run, "prompt_tokens") + prompt_of_turn(run) > most


def pieces(text: str) -> list[str]:
    """The text in some two dozen pieces at most, each of at least eight characters."""
    size = max(8, math.ceil(len(text) / 24))
    return [text[at : at + size] for at in range(0, len(text), size)]
