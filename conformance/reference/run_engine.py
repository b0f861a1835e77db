"""The life of a run, derived from the clock whenever somebody looks.

queued → in_progress → completed, or requires_action until the outputs come, or incomplete, failed,
expired; a cancelled run passes through cancelling. Transitions happen at the time they were due,
not at the time they were noticed. What a stream tells is written here too, by the same code that
changes the state, so the two cannot disagree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from conformance.reference.core import Call, Record, Refusal, new_id
from conformance.reference.message_objects import text_of, text_part
from conformance.reference.objects import declared
from conformance.reference.run_life import (
    Life,
    close_step,
    finish_message,
    open_message,
    open_step,
    out_of_prompt,
    outputs_of,
    pieces,
    prompt_of_turn,
    spent_on,
    tell,
    tell_call,
    tell_message_delta,
    tell_step_delta,
)
from conformance.reference.run_model import (
    call_arguments,
    cut,
    plan_run,
    reply_text,
    tokens,
    total_usage,
    usage,
)

FAULTS = declared(
    {
        "run-outlives-its-expiry": "runs that never end do not expire either",
        "run-goes-on-without-outputs": "runs that wait for outputs go on without them after a while",
        "run-cancelling-for-ever": "runs that are cancelling stay so",
        "tool-choice-not-kept": "runs call no tool, whatever their tool choice says",
        "parallel-calls-all-the-same": "runs make several calls at once when they were told not to",
        "run-answers-no-json": "runs answer in plain text when they were told to answer in JSON",
    }
)

QUEUED_S, IN_PROGRESS_S, CANCELLING_S = 0.010, 0.030, 0.020  # at speed 1
RESTLESS_S = 0.120  # how long a run waits that does not wait: a fault
WORD_S = 0.0003  # what a word takes to write, where many are asked for
LIFETIME_S = 600
ENDLESS_LIFETIME_S = 1  # of a run whose model never ends
ACTIVE = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
TERMINAL = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})


@dataclass
class Reply:
    """The answer a run ends with."""

    text: str
    annotations: list[Record] = field(default_factory=list)
    truncated: bool = False


def begin(call: Call, thread: Record, run: Record, sources: list[str], *, streamed: bool) -> None:
    """Give a run (its fields complete, status queued) its life and its place in the thread."""
    said = [(message["role"], text_of(message)) for message in thread["_messages"].values()]
    plan = plan_run(heard(call, run), said, sources)
    now = time.monotonic()
    born_wall = time.time()
    run["created_at"] = int(born_wall)
    run["expires_at"] = run["created_at"] + (ENDLESS_LIFETIME_S if plan.endless else LIFETIME_S)
    if plan.endless and call.fault("run-outlives-its-expiry"):
        plan = replace(plan, immortal=True)
    life = Life(thread, plan, call.gateway.speed, now, born_wall, now, journal=[] if streamed else None)
    life.restless = call.fault("run-goes-on-without-outputs")
    life.stuck = call.fault("run-cancelling-for-ever")
    run["_life"] = life
    run["_steps"] = {}
    thread["_runs"][run["id"]] = run
    tell(run, "thread.run.created", run)
    tell(run, "thread.run.queued", run)


def heard(call: Call, run: Record) -> Record:
    """The run as the model takes it: faults make it deaf to some of its settings."""
    changed: Record = {}
    if call.fault("tool-choice-not-kept"):
        changed["tool_choice"] = "none"
    if call.fault("parallel-calls-all-the-same"):
        changed["parallel_tool_calls"] = True
    if call.fault("run-answers-no-json"):
        changed["response_format"] = "auto"
    return {**run, **changed}


def due(run: Record) -> float | None:
    """The monotonic moment of the next transition; None when the run has ended."""
    life: Life = run["_life"]
    status = run["status"]
    if status in TERMINAL:
        return None
    if status == "cancelling":
        return None if life.stuck else life.since + CANCELLING_S * life.scale
    if life.plan.immortal and status == "in_progress":
        return None
    expiry = life.moment(run["expires_at"])
    if status == "requires_action" and life.restless:
        return life.since + RESTLESS_S * life.scale
    if status == "queued":
        return min(expiry, life.since + QUEUED_S * life.scale)
    if status == "in_progress" and not life.plan.endless:
        return min(expiry, life.since + (IN_PROGRESS_S + WORD_S * words_to_write(run)) * life.scale)
    return expiry


def words_to_write(run: Record) -> int:
    """How long this turn's answer will be, if it was asked to be long."""
    life: Life = run["_life"]
    if out_of_prompt(run) or (life.plan.functions and not life.resumed):
        return 0
    most = run["max_completion_tokens"]
    return life.plan.wordy if most is None else min(life.plan.wordy, int(most))


def settle(run: Record) -> Record:
    """Carry out every transition that is due by now."""
    now = time.monotonic()
    while (moment := due(run)) is not None and moment <= now:
        life: Life = run["_life"]
        expired = run["status"] != "cancelling" and moment >= life.moment(run["expires_at"])
        if expired:
            end(run, "expired", moment)
        elif run["status"] == "queued":
            start(run, moment)
        elif run["status"] == "cancelling":
            end(run, "cancelled", moment)
        elif run["status"] == "requires_action":  # only by a fault
            submit(run, {made["id"]: "" for made in pending_calls(run)}, streamed=False)
        else:
            conclude(run, moment)
        life.since = moment
    return run


def settle_thread(thread: Record) -> Record:
    for run in thread["_runs"].values():
        settle(run)
    return thread


def active_run(thread: Record) -> Record | None:
    """The run that holds the thread now, if any."""
    runs = settle_thread(thread)["_runs"].values()
    return next((run for run in runs if run["status"] in ACTIVE), None)


# transitions


def start(run: Record, moment: float) -> None:
    life: Life = run["_life"]
    run["status"] = "in_progress"
    if run["started_at"] is None:
        run["started_at"] = life.wall(moment)
    tell(run, "thread.run.in_progress", run)
    if out_of_prompt(run):
        return
    if not life.resumed and (life.plan.functions or life.plan.builtin):
        open_step(run, {"type": "tool_calls", "tool_calls": []}, moment)
    else:
        open_message(run, moment)


def conclude(run: Record, moment: float) -> None:
    """The model is done with its turn."""
    life: Life = run["_life"]
    plan = life.plan
    if plan.failing:
        run["last_error"] = {"code": "server_error", "message": "The model failed to answer."}
        return end(run, "failed", moment)
    if out_of_prompt(run):
        run["incomplete_details"] = {"reason": "max_prompt_tokens"}
        return end(run, "incomplete", moment)
    if plan.functions and not life.resumed:
        return ask_for_outputs(run, moment)
    if plan.builtin and not life.resumed:
        use_builtin(run, moment)
        open_message(run, moment)
    reply = compose(run)
    write(run, reply, moment)
    if reply.truncated:
        run["incomplete_details"] = {"reason": "max_completion_tokens"}
        return end(run, "incomplete", moment)
    return end(run, "completed", moment)


def ask_for_outputs(run: Record, moment: float) -> None:
    """Show the function calls and wait for what they give."""
    life: Life = run["_life"]
    most = run["max_completion_tokens"]
    share = None if most is None else int(most) // (2 * len(life.plan.functions))
    calls: list[Record] = []
    for tool in life.plan.functions:
        function = tool["function"]
        arguments = call_arguments(function, share)
        call_id = new_id("call_")
        calls.append(
            {
                "id": call_id,
                "type": "function",
                "function": {"name": function["name"], "arguments": arguments},
            }
        )
        tell_call(run, len(calls) - 1, calls[-1])
    step = life.step
    assert step is not None
    shown = [{**made, "function": {**made["function"], "output": None}} for made in calls]
    step["step_details"] = {"type": "tool_calls", "tool_calls": shown}
    run["status"] = "requires_action"
    run["required_action"] = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    tell(run, "thread.run.requires_action", run)


def pending_calls(run: Record) -> list[Record]:
    """The calls a run in requires_action waits for."""
    calls: list[Record] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return calls


def submit(run: Record, outputs: dict[str, str], *, streamed: bool) -> None:
    """Take the outputs (one for every pending call, by call id) and queue the run again."""
    life: Life = run["_life"]
    step, now = life.step, time.monotonic()
    assert step is not None
    if streamed:
        life.journal = []
    made = step["step_details"]["tool_calls"]
    answered = [{**call, "function": {**call["function"], "output": outputs[call["id"]]}} for call in made]
    step["step_details"] = {"type": "tool_calls", "tool_calls": answered}
    written = sum(tokens(call["function"]["arguments"]) for call in made)
    close_step(run, "completed", now, usage(life.plan.prompt_tokens, written))
    run["status"], run["required_action"] = "queued", None
    life.since, life.resumed = now, True
    tell(run, "thread.run.queued", run)


def cancel(run: Record) -> None:
    """Ask an active run to stop. One that is stopping already is left alone."""
    if run["status"] == "cancelling":
        return
    run["status"], run["required_action"] = "cancelling", None
    run["_life"].since = time.monotonic()
    tell(run, "thread.run.cancelling", run)


def requeue(run: Record) -> None:
    """Put a run at work back into the queue: what no run does, but for a fault."""
    life: Life = run["_life"]
    if life.step is not None:
        del run["_steps"][life.step["id"]]
    if life.message is not None:
        del life.thread["_messages"][life.message["id"]]
    life.step = life.message = None
    run["status"], life.since = "queued", time.monotonic()


def end(run: Record, status: str, moment: float) -> None:
    """Close what is open and freeze the run. ``last_error`` and ``incomplete_details`` are set before."""
    life: Life = run["_life"]
    if life.message is not None:
        finish_message(run, "incomplete", moment, f"run_{status}")
    if life.step is not None:
        step_status = "completed" if status == "incomplete" else status
        close_step(run, step_status, moment, usage(life.plan.prompt_tokens, 0))
    run["status"], run["required_action"] = status, None
    run["usage"] = total_usage([step["usage"] for step in run["_steps"].values()])
    if status in ("completed", "failed", "cancelled"):
        run[f"{status}_at"] = life.wall(moment)
    if status == "completed":
        run["expires_at"] = None
    tell(run, f"thread.run.{status}", run)


# the answer


def use_builtin(run: Record, moment: float) -> None:
    """Use the code interpreter or the file search; the step is over at once."""
    life: Life = run["_life"]
    step = life.step
    assert step is not None
    made: Record = {"id": new_id("call_"), "type": life.plan.builtin}
    if life.plan.builtin == "code_interpreter":
        ran = {"input": "print(6 * 7)", "outputs": [{"type": "logs", "logs": "42\n"}]}
        made["code_interpreter"] = ran
        logs = {"index": 0, "type": "logs", "logs": "42\n"}
        told = {**made, "index": 0, "code_interpreter": {"input": ran["input"], "outputs": [logs]}}
    else:
        made["file_search"] = {}
        told = {**made, "index": 0}
    tell_step_delta(run, told)
    step["step_details"] = {"type": "tool_calls", "tool_calls": [made]}
    close_step(run, "completed", moment, usage(0, tokens("print(6 * 7)")))


def compose(run: Record) -> Reply:
    """What the model says, cut where the tokens end."""
    life: Life = run["_life"]
    text, annotations = reply_text(life.plan, outputs_of(run))
    most = run["max_completion_tokens"]
    left = None if most is None else max(0, int(most) - spent_on(run, "completion_tokens"))
    return Reply(*cut(text, annotations, left))


def write(run: Record, reply: Reply, moment: float) -> None:
    """Put the reply into the open message and close it with its step."""
    life: Life = run["_life"]
    message = life.message
    assert message is not None
    for piece in pieces(reply.text):
        part = {"index": 0, "type": "text", "text": {"value": piece}}
        tell_message_delta(run, message, part)
    if reply.annotations:
        notes = [{"index": number, **note} for number, note in enumerate(reply.annotations)]
        part = {"index": 0, "type": "text", "text": {"value": "", "annotations": notes}}
        tell_message_delta(run, message, part)
    message["content"] = [text_part(reply.text, reply.annotations)]
    finish_message(run, "incomplete" if reply.truncated else "completed", moment, "max_tokens")
    close_step(run, "completed", moment, usage(prompt_of_turn(run), tokens(reply.text)))


def refuse_when_locked(thread: Record, what: str) -> None:
    """Raises Refusal(400) while a run holds the thread."""
    run = active_run(thread)
    if run is not None:
        message = f"Can't add {what} to {thread['id']} while a run {run['id']} is active."
        raise Refusal(400, message, code="thread_locked")
