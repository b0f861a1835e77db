"""The steps of a run: each agrees with itself, with its run, and with what the run asked and was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from conformance.checks.comparing import (
    ended_before,
    entries,
    honest,
    not_found,
    parameters,
    plain,
    query,
    served,
    shown,
    sights,
    touching,
    whole,
)
from conformance.checks.objects import View, answer, asked, views
from conformance.checks.reading import word
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, sequence
from conformance.checks.thread_messages import run_states
from conformance.model import Exchange

KIND = "thread.run.step"
OPERATIONS = ("listRunSteps", "getRunStep")
_TERMINAL = frozenset({"cancelled", "failed", "completed", "expired"})
_TOLERANCE_S = 2  # clocks of a gateway's parts, rounded to seconds
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _steps(exchanges: Sequence[Exchange]) -> list[View]:
    return list(sights(exchanges, KIND, *OPERATIONS))


def _details(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = value.get("step_details")
    return found if isinstance(found, Mapping) else {}


# what one step says of itself


def _types_agree(step: Mapping[str, Any]) -> str:
    one, two = step.get("type"), _details(step).get("type")
    return "" if one == two else f"type is {shown(one)}, step_details.type {shown(two)}"


def _times_agree(step: Mapping[str, Any]) -> str:
    for status in ("completed", "failed", "cancelled"):
        at = step.get(f"{status}_at")
        if (step.get("status") == status) != (at is not None):
            return f"{status}_at is {shown(at)} while the status is {shown(step.get('status'))}"
    return ""


def _usage_waits(step: Mapping[str, Any]) -> str:
    usage = step.get("usage")
    if step.get("status") != "in_progress" or usage is None:
        return ""
    return f"usage is {shown(usage)} while the step is in_progress, expected null"


def _usage_adds_up(step: Mapping[str, Any]) -> str:
    usage = step.get("usage")
    counts = [whole(usage.get(name)) for name in _TOKENS] if isinstance(usage, Mapping) else []
    prompt, completion, total = counts if len(counts) == len(_TOKENS) else (None, None, None)
    if prompt is None or completion is None or total is None or prompt + completion == total:
        return ""
    return f"total_tokens is {total}, but {prompt} + {completion} = {prompt + completion}"


def _error_only_at_end(step: Mapping[str, Any]) -> str:
    error = step.get("last_error")
    if error is None or step.get("status") in ("failed", "expired", "cancelled"):
        return ""
    return f"last_error is {shown(error)} while the status is {shown(step.get('status'))}"


def _search_is_empty(step: Mapping[str, Any]) -> str | None:
    found = [one for one in entries(_details(step), "tool_calls") if one.get("type") == "file_search"]
    told = [one.get("file_search") for one in found if one.get("file_search") != {}]
    if not found:
        return None
    return f"file_search is {shown(told[0])}, expected an empty object" if told else ""


#: Rules over one step: the text of what is wrong, empty where nothing is, None where they do not speak of it.
RULES: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "type_of_details": _types_agree,
    "times_of_status": _times_agree,
    "usage_while_open": _usage_waits,
    "usage_sum": _usage_adds_up,
    "error_of_status": _error_only_at_end,
    "file_search_empty": _search_is_empty,
}


def _register(name: str, rule: Callable[[Mapping[str, Any]], str | None]) -> None:
    @sequence(f"run_steps.{name}")
    def each(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
        for view in _steps(exchanges):
            wrong = rule(view.value)
            if wrong is not None:
                yield view.exchange, (Violation(wrong, name),) if wrong else PASSES


for _name, _rule in RULES.items():
    _register(_name, _rule)


# what a step says of its run


def _run_of(view: View, context: Context) -> str:
    return parameters(view.exchange, context).get("run_id", "")


@sequence("run_steps.belongs")
def belongs(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Thread and run are those of the path, the step that of the path, the assistant that of the run."""
    assistants = {view.id: view.value.get("assistant_id") for view in views(exchanges, "thread.run")}
    for view in _steps(exchanges):
        path = parameters(view.exchange, context)
        expected = {
            "thread_id": path.get("thread_id"),
            "run_id": path.get("run_id"),
            "id": path.get("step_id"),
            "assistant_id": assistants.get(path.get("run_id", "")),
        }
        yield (
            view.exchange,
            [
                Violation(f"{name} is {shown(view.value.get(name))}, expected {shown(one)}", f"other-{name}")
                for name, one in expected.items()
                if one is not None and view.value.get(name) != one
            ],
        )


@sequence("run_steps.expired")
def expired(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A step is expired when it says when, and only where its run is."""
    ended = run_states(exchanges)
    for view in _steps(exchanges):
        status, at = view.value.get("status"), view.value.get("expired_at")
        found = []
        if at is not None and status != "expired":
            text = f"expired_at is {shown(at)} while the status is {shown(status)}"
            found.append(Violation(text, "expired-at"))
        if status == "expired":
            if "expired_at" in view.value and at is None:
                found.append(Violation("expired_at is null while the status is expired", "expired-null"))
            run = ended.get(_run_of(view, context))
            if run is not None and run[0] != "expired":
                found.append(Violation(f"the step is expired, its run {run[0]}", "run-not-expired"))
        yield view.exchange, found


@sequence("run_steps.message_exists")
def message_exists(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The message that a step made is there, written by the assistant in that run."""
    seen = {view.id: view for view in views(exchanges, "thread.message")}
    reads: dict[str, list[Exchange]] = {}
    for exchange in honest(exchanges, "getMessage"):
        reads.setdefault(parameters(exchange, context).get("message_id", ""), []).append(exchange)
    for view in _steps(exchanges):
        made = _details(view.value).get("message_creation")
        name = made.get("message_id") if isinstance(made, Mapping) else None
        if view.value.get("status") != "completed" or not isinstance(name, str):
            continue
        if name in seen:
            yield view.exchange, _written_by(seen[name].value, _run_of(view, context))
            continue
        gone = touching(exchanges, context, "message_id", name, "deleteMessage") + touching(
            exchanges, context, "thread_id", str(view.value.get("thread_id")), "deleteThread"
        )
        for read in reads.get(name, ()):
            overtaken = any(one.started < read.ended for one in gone)
            if ended_before(view.exchange, read) and not overtaken and not_found(read, "") == PASSES:
                text = f"the step made message {name}, which is not there"
                yield view.exchange, (Violation(text, "no-message"),)
                break


def _written_by(message: Mapping[str, Any], run: str) -> Outcome:
    expected = {"run_id": run, "role": "assistant"}
    return [
        Violation(
            f"{name} of the message is {shown(message.get(name))}, expected {shown(one)}", f"message-{name}"
        )
        for name, one in expected.items()
        if message.get(name) != one
    ]


# function calls


def _calls(value: Any) -> dict[str, tuple[Any, Any, Any]]:
    """Function calls of a list of tool calls, by id: name, arguments, output."""
    found = {}
    for call in entries(value, "tool_calls"):
        function = call.get("function")
        if call.get("type") == "function" and isinstance(call.get("id"), str):
            function = function if isinstance(function, Mapping) else {}
            found[call["id"]] = (function.get("name"), function.get("arguments"), function.get("output"))
    return found


@sequence("run_steps.outputs")
def outputs(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A call shows no output before one is submitted, and that very output afterwards."""
    submits = [one for one in exchanges if one.operation == "submitToolOuputsToRun"]
    given = {
        str(one.get("tool_call_id")): (one.get("output"), submit)
        for submit in served(exchanges, "submitToolOuputsToRun")
        for one in entries(asked(submit), "tool_outputs")
    }
    for view in _steps(exchanges):
        for name, (_, _, output) in _calls(_details(view.value)).items():
            if name in given and ended_before(given[name][1], view.exchange):
                wanted = given[name][0]
                if isinstance(wanted, str):
                    text = f"output of {name} is {shown(output)}, submitted was {shown(wanted)}"
                    yield view.exchange, PASSES if output == wanted else (Violation(text, "output"),)
            elif all(ended_before(view.exchange, submit) for submit in submits):
                text = f"output of {name} is {shown(output)} before any was submitted"
                yield view.exchange, PASSES if output is None else (Violation(text, "output-early"),)


@sequence("run_steps.calls")
def calls(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The calls of a step are those that the run asked outputs for."""
    rounds: dict[str, list[tuple[dict[str, tuple[Any, Any, Any]], Exchange]]] = {}
    for view in views(exchanges, "thread.run"):
        action = view.value.get("required_action")
        asking = _calls(action.get("submit_tool_outputs")) if isinstance(action, Mapping) else {}
        if asking:
            rounds.setdefault(view.id, []).append((asking, view.exchange))
    told: dict[str, set[str]] = {}
    for view in _steps(exchanges):
        stepped = _calls(_details(view.value))
        told.setdefault(view.exchange.id, set()).update(stepped)
        for asking, _ in rounds.get(_run_of(view, context), ()):
            if set(asking) & set(stepped):
                yield view.exchange, _same_calls(asking, stepped)
                break
    for exchange in served(exchanges, "listRunSteps"):
        page = answer(exchange)
        if (
            {"after", "before"} & set(query(exchange))
            or not isinstance(page, Mapping)
            or page.get("has_more")
        ):
            continue
        for asking, seen in rounds.get(parameters(exchange, context).get("run_id", ""), ()):
            missing = sorted(set(asking) - told.get(exchange.id, set()))
            if ended_before(seen, exchange):
                yield (
                    exchange,
                    [
                        Violation(f"no step shows the call {one}, which the run asks for", "no-step-of-call")
                        for one in missing
                    ],
                )


def _same_calls(asking: Mapping[str, Any], stepped: Mapping[str, Any]) -> Outcome:
    if set(asking) != set(stepped):
        text = f"the step calls {shown(sorted(stepped))}, the run asked for {shown(sorted(asking))}"
        return (Violation(text, "other-calls"),)
    return [
        Violation(
            f"call {name} is {shown(stepped[name][:2])} in the step, {shown(one[:2])} in the run", "call"
        )
        for name, one in asking.items()
        if one[:2] != stepped[name][:2]
    ]


# the run around its steps


@sequence("run_steps.closed")
def closed(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """No step is open in a run that ended; all are completed in one that completed."""
    ended = run_states(exchanges)
    for view in _steps(exchanges):
        run, seen = ended.get(_run_of(view, context), ("", None))
        if seen is None or not ended_before(seen, view.exchange):
            continue
        status = view.value.get("status")
        wrong = status == "in_progress" or (run == "completed" and status != "completed")
        text = f"the step is {shown(status)}, its run {run}"
        yield view.exchange, (Violation(text, f"{run}-{status}"),) if wrong else PASSES


@sequence("run_steps.in_time")
def in_time(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A step begins and ends within its run."""
    runs: dict[str, dict[str, int]] = {}
    for view in views(exchanges, "thread.run"):
        known = runs.setdefault(view.id, {})
        for name in ("created_at", "completed_at", "failed_at", "cancelled_at"):
            if (moment := whole(view.value.get(name))) is not None:
                known["created_at" if name == "created_at" else "end"] = moment
    for view in _steps(exchanges):
        run = runs.get(_run_of(view, context))
        if run is None or "created_at" not in run:
            continue
        ends = (whole(view.value.get(f"{status}_at")) for status in sorted(_TERMINAL))
        moments = [
            ("the run's creation", run.get("created_at")),
            ("the step's creation", whole(view.value.get("created_at"))),
            ("the step's end", next((end for end in ends if end is not None), None)),
            ("the run's end", run.get("end")),
        ]
        yield view.exchange, _in_order([(name, at) for name, at in moments if at is not None])


def _in_order(moments: Sequence[tuple[str, int]]) -> list[Violation]:
    return [
        Violation(f"{later} ({two}) lies before {earlier} ({one})", f"{later} before {earlier}")
        for (earlier, one), (later, two) in pairwise(moments)
        if two < one - _TOLERANCE_S
    ]


@sequence("run_steps.same_as_listed")
def same_as_listed(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A step that has ended reads as it is listed."""
    listed = {
        view.id: view.value
        for view in sights(exchanges, KIND, "listRunSteps")
        if word(view.value.get("status")) in _TERMINAL
    }
    for view in sights(exchanges, KIND, "getRunStep"):
        if view.id not in listed or word(view.value.get("status")) not in _TERMINAL:
            continue
        one, two = plain(listed[view.id]), plain(view.value)
        names = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
        yield (
            view.exchange,
            [
                Violation(
                    f"{name} is {shown(two.get(name))}, listed {shown(one.get(name))}", f"listed-{name}"
                )
                for name in names
            ],
        )


@sequence("run_steps.writes_message")
def writes_message(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A completed run that wrote a message has a step for it."""
    ended = run_states(exchanges)
    wrote = {
        view.value.get("run_id")
        for view in views(exchanges, "thread.message")
        if view.value.get("role") == "assistant" and isinstance(view.value.get("run_id"), str)
    }
    for exchange in served(exchanges, "listRunSteps"):
        run, page = parameters(exchange, context).get("run_id", ""), answer(exchange)
        status, seen = ended.get(run, ("", None))
        if run not in wrote or status != "completed" or seen is None or not ended_before(seen, exchange):
            continue
        if (
            {"after", "before"} & set(query(exchange))
            or not isinstance(page, Mapping)
            or page.get("has_more")
        ):
            continue
        found = [one for one in entries(page, "data") if one.get("type") == "message_creation"]
        text = "the run wrote a message, and none of its steps is a message_creation"
        yield exchange, PASSES if found else (Violation(text, "no-message-step"),)
