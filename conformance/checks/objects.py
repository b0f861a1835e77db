"""API objects as they were seen: in answers, in lists, in the events of streams.

A view is one sight of one object. All views of an object together are its history, as far as the
exchanges that showed them do not overlap.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from conformance import sse
from conformance.model import Exchange

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class View:
    """One sight of an object. ``kind`` is its ``object`` field, ``via`` how it was seen: ``answer``,
    ``list``, or ``event`` (then ``event`` names it, and ``position`` counts events from 0)."""

    kind: str
    id: str
    value: Mapping[str, Any]
    exchange: Exchange
    via: str
    event: str = ""
    position: int = 0


@dataclass(frozen=True)
class StreamEvent:
    """One event of a stream: its name, its data as text, and as JSON (None when it is none)."""

    name: str
    text: str
    data: Any
    position: int


def succeeded(exchange: Exchange) -> bool:
    """A complete 2xx."""
    return exchange.response is not None and 200 <= exchange.response.status < 300 and not exchange.failure


def answer(exchange: Exchange) -> Any:
    """The JSON value of a response; None when there is none, or it is an event stream."""
    response = exchange.response
    if response is None or not response.body or response.media_type == EVENT_STREAM:
        return None
    return _json(response.body)


def asked(exchange: Exchange) -> Any:
    """The JSON value of a request body; None when there is none."""
    return _json(exchange.request.body) if exchange.request.body else None


def events(exchange: Exchange) -> tuple[StreamEvent, ...]:
    """The events of a streamed response, in order; empty for any other response."""
    response = exchange.response
    if response is None or response.media_type != EVENT_STREAM:
        return ()
    return _events(response.body)


@lru_cache(maxsize=64)
def _events(body: bytes) -> tuple[StreamEvent, ...]:
    return tuple(
        StreamEvent(one.event or "", one.data, _json(one.data.encode("utf-8", "replace")), position)
        for position, one in enumerate(sse.parse(body))
    )


@lru_cache(maxsize=256)
def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def views(exchanges: Iterable[Exchange], *kinds: str) -> Iterator[View]:
    """Every view of the kinds named (all when none is) in successful exchanges, in the order seen."""
    seen = _seen(exchanges) if isinstance(exchanges, list | tuple) else tuple(_all_views(exchanges))
    return (view for view in seen if not kinds or view.kind in kinds)


#: The exchanges last asked for and their views: some hundred checks ask for the same ones in a row.
_last: tuple[Sequence[Exchange], int, tuple[View, ...]] = ((), 0, ())


def _seen(exchanges: Sequence[Exchange]) -> tuple[View, ...]:
    global _last
    held, size, found = _last
    if held is not exchanges or size != len(exchanges):
        found = tuple(_all_views(exchanges))
        _last = (exchanges, len(exchanges), found)
    return found


def _all_views(exchanges: Iterable[Exchange]) -> Iterator[View]:
    for exchange in exchanges:
        if succeeded(exchange):
            yield from _views(exchange)


def _views(exchange: Exchange) -> Iterator[View]:
    for event in events(exchange):
        data = event.data
        if isinstance(data, Mapping):
            inner = data.get("response") if "object" not in data else None
            value = inner if isinstance(inner, Mapping) else data
            yield from _view(
                value, exchange, "event", event.name or str(data.get("type", "")), event.position
            )
    value = answer(exchange)
    if isinstance(value, Mapping):
        if value.get("object") == "list" or isinstance(value.get("data"), list):
            data = value.get("data")
            for one in data if isinstance(data, list) else ():
                yield from _view(one, exchange, "list")
        else:
            yield from _view(value, exchange, "answer")


def _view(value: Any, exchange: Exchange, via: str, event: str = "", position: int = 0) -> Iterator[View]:
    if (
        isinstance(value, Mapping)
        and isinstance(value.get("object"), str)
        and isinstance(value.get("id"), str)
    ):
        yield View(value["object"], value["id"], value, exchange, via, event, position)


def histories(seen: Iterable[View]) -> dict[str, list[View]]:
    """Views by object id, in the order seen."""
    found: dict[str, list[View]] = {}
    for view in seen:
        found.setdefault(view.id, []).append(view)
    return found


def before(first: View, second: View) -> bool:
    """Whether one view was surely seen before the other: overlapping exchanges prove no order."""
    if first.exchange.id == second.exchange.id:
        return first.position < second.position
    return first.exchange.ended <= second.exchange.started


def ordered_pairs(history: Sequence[View]) -> Iterator[tuple[View, View]]:
    """Pairs of neighbouring views whose order is proven."""
    ordered = sorted(history, key=lambda view: (view.exchange.ended, view.position))
    for first, second in itertools.pairwise(ordered):
        if before(first, second):
            yield first, second


def about(exchange: Exchange, *names: str) -> bool:
    """Whether the exchange is a scenario's step on one of these requirements."""
    told = exchange.facts.get("about", ())
    return any(name in told for name in names)
