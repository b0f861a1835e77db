"""Streams of chat completions and of text completions: framing, identity, order, and what they add up to.

A stream that ends in an error event is honest; only its end is judged then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from conformance.checks.answers import (
    EMPTY,
    Findings,
    Problem,
    Record,
    honest,
    integer,
    mapping,
    question,
    records,
    told,
    violations,
    wanted,
)
from conformance.checks.chat import CHAT, calls, choices
from conformance.checks.objects import EVENT_STREAM, StreamEvent, events, succeeded
from conformance.checks.registry import Context, Outcome, Ruling, Undecided, Violation, check, sequence
from conformance.model import Exchange

COMPLETION = "createCompletion"
DONE = "[DONE]"
Rule = Callable[[Record, list[Record]], Findings]


def streamed(exchange: Exchange, operation: str) -> Record | None:
    """The question of a successful exchange that asked for a stream; None for any other."""
    if not honest(exchange, operation) or not succeeded(exchange):
        return None
    asked = question(exchange)
    return asked if asked.get("stream") is True else None


def chunks(exchange: Exchange, operation: str) -> tuple[Record, list[Record]] | None:
    """Question and chunks of a stream; None unless it is one, whole, of objects, without an error."""
    asked = streamed(exchange, operation)
    found = [one.data for one in events(exchange) if one.text != DONE]
    if asked is None or not found:
        return None
    if any(not isinstance(one, Mapping) or is_error(one) for one in found):
        return None
    return asked, found


def is_error(data: object) -> bool:
    return isinstance(data, Mapping) and bool(data.get("error")) and not data.get("choices")


def framing(exchange: Exchange, operation: str) -> Outcome:
    """Whether a stream is one of unnamed JSON events whose last is ``[DONE]``."""
    if streamed(exchange, operation) is None or exchange.response is None:
        return None
    if exchange.response.media_type != EVENT_STREAM:
        kind = exchange.response.media_type or "none"
        return (Violation(f"content type {kind!r} though stream is true", "not-a-stream"),)
    return violations(list(_framing(events(exchange))))


def _framing(found: Sequence[StreamEvent]) -> Iterator[Problem]:
    ends = [one.position for one in found if one.text == DONE]
    failed = next((one.position for one in found if is_error(one.data)), None)
    if failed is None and len(ends) != 1:
        yield "done", f"{DONE} stands there {len(ends)} times, expected once"
    elif ends and (ends[0] != len(found) - 1 or len(ends) > 1):
        yield "after-done", f"an event follows {DONE}"
    if failed is not None and any(one.text != DONE for one in found[failed + 1 :]):
        yield "after-error", "chunks follow the event that reports an error"
    if any(one.name not in ("", "message") for one in found):
        yield "named", "an event has a name, expected data alone"
    if any(one.text != DONE and not isinstance(one.data, Mapping) for one in found):
        yield "no-object", "the data of an event is no JSON object"


@check("chat_stream.framing")
def chat_framing(exchange: Exchange, context: Context) -> Outcome:
    return framing(exchange, CHAT)


@check("completions.stream")
def completion_stream(exchange: Exchange, context: Context) -> Outcome:
    outcome = framing(exchange, COMPLETION)
    found = chunks(exchange, COMPLETION)
    if outcome is None or isinstance(outcome, Undecided) or found is None:
        return outcome
    same = violations(list(steady(found[1], "text_completion", ("id",))))
    return (*outcome, *same) if isinstance(same, tuple) else outcome


def steady(found: list[Record], kind: str, fields: Iterable[str]) -> Iterator[Problem]:
    """Every chunk is an object of that kind, and shares these fields with the first."""
    for name in fields:
        values = {str(one.get(name)) for one in found}
        if len(values) > 1 or values == {"None"}:
            yield name, f"chunks of one stream have {len(values)} values of {name}, expected one"
    if any(one.get("object") != kind for one in found):
        yield "object", f"a chunk's object is not {kind!r}"


def _identity(asked: Record, found: list[Record]) -> Findings:
    return steady(found, "chat.completion.chunk", ("id", "created"))


def parts(found: list[Record]) -> dict[int, list[Record]]:
    """The parts of each choice, by its index, in order."""
    by_index: dict[int, list[Record]] = {}
    for chunk in found:
        for part in records(chunk.get("choices")):
            by_index.setdefault(integer(part.get("index")) or 0, []).append(part)
    return by_index


_CONTENT = ("content", "tool_calls", "function_call", "refusal")


def _finish(asked: Record, found: list[Record]) -> Iterator[Problem]:
    for index, its in sorted(parts(found).items()):
        ends = [place for place, one in enumerate(its) if one.get("finish_reason") is not None]
        if len(ends) != 1:
            yield "finish", f"choice {index} has {len(ends)} parts with a finish_reason, expected one"
        elif any(mapping(one.get("delta")).get(name) for one in its[ends[0] + 1 :] for name in _CONTENT):
            yield "after-finish", f"choice {index} goes on after its finish_reason"


def _role_first(asked: Record, found: list[Record]) -> Iterator[Problem]:
    for index, its in sorted(parts(found).items()):
        role = mapping(its[0].get("delta")).get("role")
        if role != "assistant":
            yield "role", f"the first delta of choice {index} has role {role!r:.40}, expected 'assistant'"


def wants_usage(asked: Record) -> bool:
    return mapping(asked.get("stream_options")).get("include_usage") is True


def _usage_last(asked: Record, found: list[Record]) -> Findings:
    return _usage_chunk(found) if wants_usage(asked) else None


def _usage_chunk(found: list[Record]) -> Iterator[Problem]:
    last = found[-1]
    if last.get("choices") != [] or not isinstance(last.get("usage"), Mapping):
        yield "missing", f"the last chunk before {DONE} is not one of usage with empty choices"
    if any(one.get("usage") is not None for one in found[:-1]):
        yield "early", "a chunk before the last has a usage that is not null"


def _no_usage(asked: Record, found: list[Record]) -> Findings:
    if wants_usage(asked):
        return None
    given = any(one.get("usage") is not None for one in found)
    return [("unasked", "a chunk has usage, and include_usage was not set")] if given else ()


def _tool_deltas(asked: Record, found: list[Record]) -> Findings:
    fragments = {
        index: [call for part in its for call in records(mapping(part.get("delta")).get("tool_calls"))]
        for index, its in parts(found).items()
    }
    if not any(fragments.values()):
        forced = asked.get("tool_choice") == "required" or isinstance(asked.get("tool_choice"), Mapping)
        return Undecided("no tool was called, though one was forced") if forced else None
    return (problem for its in fragments.values() for problem in _fragments(its))


def _fragments(its: list[Record]) -> Iterator[Problem]:
    begun: set[int] = set()
    for fragment in its:
        place, function = integer(fragment.get("index")), mapping(fragment.get("function"))
        if place is None:
            yield "no-index", "a fragment of a tool call has no index"
            continue
        if place in begun:
            if fragment.get("id") or function.get("name"):
                yield "again", "id or name stand in a later fragment of a tool call too"
        else:
            if place != len(begun):
                yield "index", f"tool call {place} begins after {len(begun)} others"
            if not fragment.get("id") or not function.get("name"):
                yield "head", "the first fragment of a tool call lacks its id or its name"
            begun.add(place)
        if not isinstance(function.get("arguments", ""), str):
            yield "arguments", "a fragment of arguments is not a string"


def _indexes(asked: Record, found: list[Record]) -> Findings:
    number = wanted(asked)
    strange = [
        part.get("index")
        for chunk in found
        for part in records(chunk.get("choices"))
        if (index := integer(part.get("index"))) is None or not 0 <= index < number
    ]
    return [("index", f"a choice has index {strange[0]!r:.40}, with n {number}")] if strange else ()


RULES: Mapping[str, Rule] = {
    "chat_stream.identity": _identity,
    "chat_stream.finish": _finish,
    "chat_stream.role_first": _role_first,
    "chat_stream.usage_last": _usage_last,
    "chat_stream.no_usage": _no_usage,
    "chat_stream.tool_deltas": _tool_deltas,
    "chat_stream.indexes": _indexes,
}


def _register(name: str, rule: Rule) -> None:
    @check(name)
    def judge(exchange: Exchange, context: Context) -> Outcome:
        found = chunks(exchange, CHAT)
        return None if found is None else violations(rule(*found))


for _name, _rule in RULES.items():
    _register(_name, _rule)


Shape = dict[int, tuple[str, str]]  # choice → (role, whether it says or calls something)


def shape_of_answer(value: Record) -> Shape:
    return {
        integer(choice.get("index")) or 0: (
            str(message.get("role")),
            "calls" if calls(message) or message.get("function_call") else "says",
        )
        for choice, message in choices(value)
    }


def shape_of_stream(found: list[Record]) -> Shape:
    shape: Shape = {}
    for index, its in parts(found).items():
        deltas = [mapping(one.get("delta")) for one in its]
        role = next((str(one["role"]) for one in deltas if one.get("role")), "None")
        calling = any(one.get("tool_calls") or one.get("function_call") for one in deltas)
        shape[index] = (role, "calls" if calling else "says")
    return shape


def _settled(asked: Record) -> bool:
    """Whether the request alone decides if a tool is called."""
    choice = asked.get("tool_choice")
    free = bool(asked.get("tools") or asked.get("functions"))
    return not free or choice in ("none", "required") or isinstance(choice, Mapping)


def _plain(asked: Record) -> str:
    return repr(sorted((name, repr(value)) for name, value in asked.items() if not name.startswith("stream")))


@sequence("chat_stream.same_shape")
def same_shape(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """A stream against the whole answer that the same request got in the same item."""
    wholes: dict[str, Shape] = {}
    for exchange in exchanges:
        found = told(exchange, CHAT)
        if found is not None and found[1].get("choices") and _settled(found[0]):
            wholes.setdefault(_plain(found[0]), shape_of_answer(found[1]))
    for exchange in exchanges:
        pair = chunks(exchange, CHAT)
        whole = wholes.get(_plain(pair[0] if pair else EMPTY))
        if pair is None or whole is None:
            continue
        mine = shape_of_stream(pair[1])
        told_of = f"the stream adds up to {mine}, the answer without it to {whole}"
        yield exchange, () if alike(mine, whole) else (Violation(told_of[:300], "shape"),)


def alike(streamed: Shape, whole: Shape) -> bool:
    """Whether both have the same choices; a role that the stream leaves out contradicts nothing."""
    return streamed.keys() == whole.keys() and all(
        does == whole[index][1] and role in (whole[index][0], "None")
        for index, (role, does) in streamed.items()
    )
