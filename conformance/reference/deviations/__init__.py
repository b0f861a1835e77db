"""Deviations in what objects say: named faults that distort an honest answer before it is encoded.

Three kinds: of every object of one ``object`` type wherever it is shown, of a whole JSON body, and of
the events of a stream. Modules of this package declare them; behaviours that go wrong in what they do,
not in what they say, ask ``call.fault`` themselves.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..core import Answer, Call, EventStream, Record
from ..faults import declare

Event = tuple[str | None, Any]
OfObject = Callable[[Record, Call], None]
OfBody = Callable[[Any, Call], Any]
OfEvents = Callable[[list[Event], Call], list[Event]]


@dataclass(frozen=True)
class _Deviation:
    name: str
    kind: str = ""
    operations: frozenset[str] = frozenset()
    of_object: OfObject | None = None
    of_body: OfBody | None = None
    of_events: OfEvents | None = None

    def concerns(self, call: Call) -> bool:
        return call.fault(self.name) and (not self.operations or call.operation in self.operations)


_DEVIATIONS: list[_Deviation] = []


def deviates(name: str, text: str, kind: str, *operations: str) -> Callable[[OfObject], OfObject]:
    """``function(record, call)`` changes each object of ``kind``, in answers, lists and events."""

    def register(function: OfObject) -> OfObject:
        declare(name, text)
        _DEVIATIONS.append(_Deviation(name, kind, frozenset(operations), of_object=function))
        return function

    return register


def deviates_body(name: str, text: str, *operations: str) -> Callable[[OfBody], OfBody]:
    """``function(body, call)`` returns the JSON body to send instead (it may change the one it gets)."""

    def register(function: OfBody) -> OfBody:
        declare(name, text)
        _DEVIATIONS.append(_Deviation(name, operations=frozenset(operations), of_body=function))
        return function

    return register


def deviates_events(name: str, text: str, *operations: str) -> Callable[[OfEvents], OfEvents]:
    """``function(events, call)`` returns the events to send instead, all of them at once."""

    def register(function: OfEvents) -> OfEvents:
        declare(name, text)
        _DEVIATIONS.append(_Deviation(name, operations=frozenset(operations), of_events=function))
        return function

    return register


def apply(outcome: Any, call: Call) -> Any:
    """What a handler answered, as the deviations that are on would have it."""
    wanted = [one for one in _DEVIATIONS if one.concerns(call)]
    if not wanted:
        return outcome
    if isinstance(outcome, EventStream):
        return replace(outcome, events=_events(outcome.events, wanted, call))
    answer = outcome if isinstance(outcome, Answer) else Answer(outcome)
    if answer.media_type != "application/json":
        return answer
    return replace(answer, body=_body(answer.body, wanted, call))


def _body(body: Any, wanted: list[_Deviation], call: Call) -> Any:
    body = copy.deepcopy(body)
    for one in wanted:
        if one.of_object is not None:
            for record in objects(body, one.kind):
                one.of_object(record, call)
        if one.of_body is not None:
            body = one.of_body(body, call)
    return body


async def _events(events: AsyncIterator[Event], wanted: list[_Deviation], call: Call) -> AsyncIterator[Event]:
    whole = [one.of_events for one in wanted if one.of_events is not None]
    if whole:
        held = [(name, copy.deepcopy(data)) async for name, data in events]
        for function in whole:
            held = function(held, call)
        for name, data in held:
            yield name, _body(data, [one for one in wanted if one.of_object], call)
        return
    async for name, data in events:
        yield name, _body(data, [one for one in wanted if one.of_object], call)


def objects(value: Any, kind: str) -> Iterator[Record]:
    """Every object of a kind inside a JSON value, the outermost first."""
    if isinstance(value, dict):
        if value.get("object") == kind:
            yield value
        for inner in value.values():
            yield from objects(inner, kind)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner, kind)
