"""The steps and messages of runs told as events: each in its order, and of pieces that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.checks.assistant_streams import CREATES, MESSAGE, RUN, STEP, SUBMIT, Told, stream_rule
from conformance.checks.comparing import entries, shown, whole
from conformance.checks.registry import Outcome, Violation

_STEP_ENDS = frozenset({"completed", "failed", "cancelled", "expired"})
_MESSAGE_ENDS = frozenset({"completed", "incomplete"})


def _lives(told: Told, prefix: str) -> dict[str, list[tuple[int, str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[int, str, Mapping[str, Any]]]] = {}
    for one in told.of(prefix):
        if isinstance(one[2].get("id"), str):
            found.setdefault(one[2]["id"], []).append(one)
    return found


def _life(names: Sequence[str], ends: frozenset[str], *, open_allowed: bool, known: bool) -> str:
    """What is wrong with the events of one object; ``known`` when it may have begun before the stream."""
    order = {"created": 0, "in_progress": 1, "delta": 2, **dict.fromkeys(ends, 3)}
    told = [name for name in names if name in order]
    if not told:
        return ""
    ranks = [order[name] for name in told]
    begun = known and "created" not in told
    once = ("created", "in_progress")
    if any(told.count(name) > 1 for name in once) or sum(rank == 3 for rank in ranks) > 1:
        return "one of them comes twice"
    if ranks != sorted(ranks):
        return "they are out of order"
    if (
        not begun
        and (told[:2] != ["created", "in_progress"])
        and not (told[:1] == ["created"] and not told[1:])
    ):
        return "it does not begin with created, in_progress"
    if 3 not in ranks and not open_allowed:
        return f"it comes to no end ({' or '.join(sorted(ends))})"
    return ""


@stream_rule("steps_in_order")
def steps_in_order(told: Told) -> Outcome:
    waits = any(name == "requires_action" for _, name, _ in told.of(RUN))
    submit = told.exchange.operation == SUBMIT
    found = []
    for identifier, events_of in _lives(told, STEP).items():
        calls = any(data.get("type") == "tool_calls" for _, _, data in events_of)
        names = [name for _, name, _ in events_of]
        wrong = _life(names, _STEP_ENDS, open_allowed=told.failed or (waits and calls), known=submit)
        if wrong:
            found.append(Violation(f"step {identifier}: {', '.join(_brief(names))}: {wrong}", wrong))
    return found


@stream_rule("messages_in_order")
def messages_in_order(told: Told) -> Outcome:
    found = []
    for identifier, events_of in _lives(told, MESSAGE).items():
        names = [name for _, name, _ in events_of]
        wrong = _life(names, _MESSAGE_ENDS, open_allowed=told.failed, known=False)
        if wrong:
            found.append(Violation(f"message {identifier}: {', '.join(_brief(names))}: {wrong}", wrong))
    return found


def _brief(names: Sequence[str]) -> list[str]:
    """Names in order, repetitions once, not too many."""
    kept = [one for at, one in enumerate(names) if at == 0 or names[at - 1] != one]
    return kept[:8]


@stream_rule("messages_within_steps")
def messages_within_steps(told: Told) -> Outcome:
    """A message is told while its step is open."""
    steps: dict[Any, list[tuple[int, str]]] = {}
    for position, name, data in told.of(STEP):
        details = data.get("step_details")
        made = details.get("message_creation") if isinstance(details, Mapping) else None
        if isinstance(made, Mapping) and isinstance(made.get("message_id"), str):
            steps.setdefault(made["message_id"], []).append((position, name))
    found: list[Violation] = []
    for identifier, events_of in _lives(told, MESSAGE).items():
        step = steps.get(identifier)
        if step is None:
            found.append(Violation(f"no step tells of message {identifier}", "no-step"))
            continue
        opened = next((at for at, name in step if name == "created"), None)
        ended = next((at for at, name in step if name in _STEP_ENDS), None)
        if opened is None or opened > events_of[0][0]:
            found.append(Violation(f"message {identifier} begins before its step", "before-step"))
        if ended is not None and ended < events_of[-1][0]:
            found.append(Violation(f"message {identifier} goes on after its step", "after-step"))
    return found


@stream_rule("text_adds_up")
def text_adds_up(told: Told) -> Outcome:
    """The pieces of text, one after the other, are the text of the message."""
    found: list[Violation] = []
    judged = False
    for identifier, events_of in _lives(told, MESSAGE).items():
        final = next((data for _, name, data in events_of if name == "completed"), None)
        if final is None:
            continue
        judged = True
        pieces: dict[int, str] = {}
        for _, name, data in events_of:
            for part in entries(data.get("delta"), "content") if name == "delta" else ():
                text, index = part.get("text"), whole(part.get("index"))
                value = text.get("value") if isinstance(text, Mapping) else None
                if isinstance(value, str) and index is not None:
                    pieces[index] = pieces.get(index, "") + value
        parts = final.get("content")
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            text = part.get("text") if isinstance(part, Mapping) else None
            value = text.get("value") if isinstance(text, Mapping) else None
            if isinstance(value, str) and pieces.get(index, "") != value:
                told_text = f"the deltas make {shown(pieces.get(index, ''))}, the text is {shown(value)}"
                found.append(Violation(f"message {identifier}, part {index}: {told_text}", "text"))
    return found if judged else None


@stream_rule("arguments_add_up", *CREATES)
def arguments_add_up(told: Told) -> Outcome:
    """The pieces of each call's arguments are the arguments that the run asks with."""
    pieces = _argument_pieces(told)
    final: dict[str, Any] = {}
    for _, _, data in told.stops():
        action = data.get("required_action")
        final |= _arguments(action.get("submit_tool_outputs") if isinstance(action, Mapping) else None)
    for _, name, data in told.of(STEP):
        if name == "completed":
            final |= _arguments(data.get("step_details"))
    if not final:
        return None
    return [
        Violation(
            f"call {name}: the deltas make {shown(pieces.get(name, ''))}, the arguments are {shown(one)}",
            "arguments",
        )
        for name, one in sorted(final.items())
        if pieces.get(name, "") != one
    ]


def _arguments(value: Any) -> dict[str, Any]:
    found = {}
    for call in entries(value, "tool_calls"):
        function = call.get("function")
        if isinstance(call.get("id"), str) and isinstance(function, Mapping):
            found[call["id"]] = function.get("arguments")
    return found


def _argument_pieces(told: Told) -> dict[str, str]:
    """What the deltas say of each call: the first names its id, the others only its place."""
    names: dict[tuple[Any, Any], str] = {}
    found: dict[str, str] = {}
    for _, name, data in told.of(STEP):
        delta = data.get("delta") if name == "delta" else None
        details = delta.get("step_details") if isinstance(delta, Mapping) else None
        for call in entries(details, "tool_calls"):
            place = (data.get("id"), whole(call.get("index")))
            if isinstance(call.get("id"), str):
                names[place] = call["id"]
            function = call.get("function")
            piece = function.get("arguments") if isinstance(function, Mapping) else None
            if place in names and isinstance(piece, str):
                found[names[place]] = found.get(names[place], "") + piece
    return found
