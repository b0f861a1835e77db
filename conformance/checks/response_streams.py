"""Streams of model responses: order of events, indexes, and deltas that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from conformance.checks.lifecycle import same
from conformance.checks.model_responses import ENDED, parts_of
from conformance.checks.objects import EVENT_STREAM, StreamEvent, answer, asked, events
from conformance.checks.reading import done, earlier, is_int, mapping, path_of, word
from conformance.checks.registry import PASSES, Context, Ruling, Violation, sequence
from conformance.model import Exchange

DONE = "[DONE]"
LAST = frozenset({"response.completed", "response.failed", "response.incomplete"})
#: A stream that fails may end so without a response to show.
ERROR = "error"
#: kind of delta → (field of the done event that holds the whole, field of the part or item that does)
WHOLES = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "function_call_arguments": ("arguments", "arguments"),
}
#: Within one content part; events of other names may stand anywhere.
_PART_ORDER = {
    "response.content_part.added": 0,
    "response.output_text.delta": 1,
    "response.refusal.delta": 1,
    "response.output_text.done": 2,
    "response.refusal.done": 2,
    "response.content_part.done": 3,
}
Told = tuple[StreamEvent, ...]
Rule = Callable[[Told], Sequence[Violation]]


def told(exchange: Exchange) -> Told:
    """The events of a streamed create that hold JSON, without the mark that some gateways end with."""
    if exchange.response is None or exchange.response.media_type != EVENT_STREAM:
        return ()
    return tuple(event for event in events(exchange) if event.text.strip() != DONE)


def kind(event: StreamEvent) -> str:
    """The type an event bears in its data; its name where the data has none."""
    named = mapping(event.data).get("type")
    return named if isinstance(named, str) else event.name


def _register(name: str, rule: Rule) -> None:
    def judge(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        for exchange in done(exchanges, "createResponse"):
            seen = told(exchange)
            if seen:
                yield exchange, rule(seen)

    sequence(name)(judge)


def _framed(seen: Told) -> Sequence[Violation]:
    kinds = [kind(event) for event in seen]
    wrong = []
    if kinds[0] != "response.created" and kinds != [ERROR]:
        wrong.append(Violation(f"the first event is {kinds[0]!r}, expected response.created", "first"))
    if kinds.count("response.created") > 1:
        wrong.append(Violation("response.created comes more than once", "created-twice"))
    ends = [one for one in kinds if one in LAST or one == ERROR]
    if kinds[-1] not in LAST and kinds[-1] != ERROR:
        wrong.append(Violation(f"the last event is {kinds[-1]!r}, expected one that ends it", "last"))
    if len(ends) != 1 and (len(ends), *ends[:1]) != (2, ERROR):
        wrong.append(Violation(f"{len(ends)} events end the stream: {', '.join(ends[:4])}", "ends"))
    if ends and kinds[-1] in LAST:
        status = mapping(mapping(seen[-1].data).get("response")).get("status")
        if f"response.{status}" != kinds[-1]:
            wrong.append(Violation(f"{kinds[-1]} shows a response that is {status!r}", "status"))
    return wrong


def _nested(seen: Told) -> Sequence[Violation]:
    """Each item between its added and its done, each part inside its item, each delta inside its part."""
    wrong: list[Violation] = []
    items: dict[int, str] = {}
    parts: dict[tuple[int, int], int] = {}
    for event in seen:
        name, data = kind(event), mapping(event.data)
        index = data.get("output_index")
        if not is_int(index):
            continue
        if name == "response.output_item.added":
            if index in items:
                wrong.append(Violation(f"output item {index} is added twice", "added-twice"))
            items[index] = "open"
            continue
        state = items.get(index)
        if state != "open":
            what = "before it is added" if state is None else "after it is done"
            wrong.append(Violation(f"{name} of output item {index} {what}", f"{name}-{state}"))
        if name == "response.output_item.done":
            items[index] = "done"
        step, number = _PART_ORDER.get(name), data.get("content_index")
        if step is None or not is_int(number):
            continue
        place = (index, number)
        was = parts.get(place)
        right = step == 0 if was is None else (step > was or step == was == 1)
        if step == 3 and was is not None and was < 2:
            right = False
        if not right:
            wrong.append(Violation(f"{name} of part {place} out of order", f"{name}-after-{was}"))
        parts[place] = step if was is None else max(step, was)
    wrong.extend(
        Violation(f"output item {index} is never done", "never-done")
        for index, state in items.items()
        if state == "open" and kind(seen[-1]) in LAST
    )
    wrong.extend(
        Violation(f"part {place} is never done", "part-never-done")
        for place, step in parts.items()
        if step < 3 and kind(seen[-1]) in LAST
    )
    return wrong


def _reassembled(seen: Told) -> Sequence[Violation]:
    """Deltas, the done event, the part and the item say one text."""
    deltas: dict[tuple[str, str, str], list[str]] = {}
    wrong: list[Violation] = []

    def hold(key: tuple[str, str, str], text: Any, where: str) -> None:
        if not isinstance(text, str):
            return
        whole = "".join(deltas.get(key, ()))
        if text != whole:
            got = f"{where} has {len(text)} characters of {key[0]}, its deltas {len(whole)}, or they differ"
            wrong.append(Violation(got, f"{where}-{key[0]}"))

    for event in seen:
        name, data = kind(event), mapping(event.data)
        index, place = (str(data.get(one)) for one in ("output_index", "content_index"))
        for one, (field, _) in WHOLES.items():
            if name == f"response.{one}.delta" and isinstance(data.get("delta"), str):
                deltas.setdefault((one, index, place), []).append(data["delta"])
            elif name == f"response.{one}.done":
                hold((one, index, place), data.get(field), "done")
        if name == "response.content_part.done":
            part = mapping(data.get("part"))
            for one in ("output_text", "refusal"):
                if part.get("type") == one:
                    hold((one, index, place), part.get(WHOLES[one][1]), "part")
        elif name == "response.output_item.done":
            for key, text in _texts(mapping(data.get("item")), index):
                hold(key, text, "item")
    return wrong


def _texts(item: Mapping[str, Any], index: str) -> Iterable[tuple[tuple[str, str, str], Any]]:
    """The texts of a finished item, under the keys that its deltas have."""
    if item.get("type") == "function_call":
        yield ("function_call_arguments", index, str(None)), item.get("arguments")
    if item.get("type") == "message":
        for place, part in enumerate(parts_of(item)):
            one = str(part.get("type"))
            if one in ("output_text", "refusal"):
                yield (one, index, str(place)), part.get(WHOLES[one][1])


def _referring(seen: Told) -> Sequence[Violation]:
    names: dict[int, Any] = {}
    parts: dict[int, int] = {}
    wrong: list[Violation] = []
    for event in seen:
        name, data = kind(event), mapping(event.data)
        index, place = data.get("output_index"), data.get("content_index")
        if not is_int(index):
            continue
        if name == "response.output_item.added":
            if index != len(names):
                wrong.append(Violation(f"output_index {index} where {len(names)} comes next", "output-index"))
            names[index] = mapping(data.get("item")).get("id")
            continue
        if "item_id" in data and data["item_id"] != names.get(index):
            got = f"{name} names the item {data['item_id']!r}, added at {index} was {names.get(index)!r}"
            wrong.append(Violation(got, "item-id"))
        if name == "response.output_item.done" and mapping(data.get("item")).get("id") != names.get(index):
            wrong.append(Violation(f"the item done at {index} is not the one added there", "other-item"))
        if not is_int(place):
            continue
        if name == "response.content_part.added":
            if place != parts.get(index, 0):
                got = f"content_index {place} where {parts.get(index, 0)} comes next"
                wrong.append(Violation(got, "content-index"))
            parts[index] = place + 1
        elif place >= parts.get(index, 0):
            wrong.append(Violation(f"{name} of part {place}, which was not added", "no-such-part"))
    return wrong


def _begins_empty(seen: Told) -> Sequence[Violation]:
    wrong: list[Violation] = []
    for event in seen:
        name, response = kind(event), mapping(mapping(event.data).get("response"))
        if name not in ("response.created", "response.in_progress"):
            continue
        if response.get("status") != "in_progress":
            wrong.append(Violation(f"{name} shows the status {response.get('status')!r}", "status"))
        if response.get("usage") is not None:
            wrong.append(Violation(f"{name} shows a usage already", "usage"))
    return wrong


def _named(seen: Told) -> Sequence[Violation]:
    others = [event for event in seen if event.name != mapping(event.data).get("type")]
    return [
        Violation(f"event {one.name!r} holds data of type {mapping(one.data).get('type')!r}", "name")
        for one in others[:3]
    ]


_register("response_streams.framed", _framed)
_register("response_streams.nested", _nested)
_register("response_streams.reassembled", _reassembled)
_register("response_streams.referring", _referring)
_register("response_streams.begins_empty", _begins_empty)
_register("response_streams.named", _named)


@sequence("response_streams.ends_as_stored")
def ends_as_stored(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """One id in every event, and what the last one shows is what a read then gives."""
    for made in done(exchanges, "createResponse"):
        seen = told(made)
        shown = [mapping(mapping(event.data).get("response")) for event in seen]
        names = {one["id"] for one in shown if isinstance(one.get("id"), str)}
        if not seen:
            continue
        if len(names) > 1:
            yield made, (Violation(f"the events show {len(names)} ids of one response", "ids"),)
            continue
        yield made, PASSES
        last = shown[-1]
        if word(last.get("status")) not in ENDED or mapping(asked(made)).get("store") is False:
            continue
        for read in done(exchanges, "getResponse"):
            value = mapping(answer(read))
            if path_of(read, context).get("response_id") not in names or not earlier(made, read):
                continue
            yield (
                read,
                [
                    Violation(f"{name} is {str(value[name])[:80]!r}, the stream ended otherwise", name)
                    for name in sorted({*last} & {*value} - {"output_text"})
                    if not same(last[name], value[name])
                ],
            )
