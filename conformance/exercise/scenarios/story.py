"""What a scenario speaks through: its world, and short ways to send and to wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance import sse
from conformance.exercise.binding import pick
from conformance.exercise.world import Made, Unprepared, World
from conformance.model import Exchange, Purpose

POLL_S = 0.02
_LATER = (425, 429)  # refusals that another try may turn
POLL_MOST_S = 1.0
UNCHANGED: Any = object()


class NotShown(Exception):
    """The target did nothing wrong, yet never came into the state that the rest of the story is about.

    What that rest was to give occasion for is not applicable then. The message says which state.
    """


@dataclass(frozen=True)
class Reply:
    """What a step was answered with: the exchange as evidence, and its raw JSON for the next step."""

    exchange: Exchange
    value: Any
    events: tuple[sse.Event, ...] = ()

    @property
    def status(self) -> int:
        return self.exchange.response.status if self.exchange.response is not None else 0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def get(self, pointer: str) -> Any:
        """A field of the answer by dotted pointer; None where it leads nowhere."""
        return pick(self.value, pointer)


class Story:
    """One telling of a scenario. Everything it makes through ``make`` and ``send`` is removed afterwards."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.plan = world.plan

    async def make(self, resource: str) -> Made:
        """The resource of the graph, made on first call; its parents too. Raises Unprepared."""
        return await self.world.make(resource)

    def id(self, resource: str) -> str:
        """The id of a resource that was made."""
        return self.world.made[resource].id

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds that only grow."""
        return asyncio.get_running_loop().time

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def send(
        self,
        operation: str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        body: Any = UNCHANGED,
        merge: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        about: str | Sequence[str] = (),
        expect: str = "",
        facts: Mapping[str, Any] | None = None,
        keep: bool = True,
    ) -> Reply:
        """One step: the canonical request of ``operation``, changed where told.

        ``body`` replaces the body (None: none at all), ``merge`` overrides its top-level fields; values
        may hold symbols. ``about`` names the requirements the step is for and ``expect`` what they
        await (``refused``, ``accepted``): both stand in the exchange's facts. With ``keep`` false what
        the step creates is not bound to its resource's name (it is still removed).
        """
        case = self.plan.canonical(operation)
        names = (about,) if isinstance(about, str) else tuple(about)
        case = replace(case, purpose=Purpose.SCENARIO, id=f"{operation}:scenario")
        if path is not None:
            case = replace(case, path={**case.path, **path})
        if query is not None:
            pairs = query.items() if isinstance(query, Mapping) else query
            case = replace(case, query=tuple(pairs))
        if headers is not None:
            case = replace(case, headers=(*case.headers, *headers.items()))
        if body is not UNCHANGED:
            case = replace(case, body=body, has_body=body is not None)
        if merge is not None:
            case = replace(case, body={**(case.body or {}), **merge}, has_body=True)
        told = {
            **(facts or {}),
            **({"about": list(names)} if names else {}),
            **({"expect": expect} if expect else {}),
        }
        sent = await self.world.step(case, told, keep=keep)
        return Reply(sent.exchange, _json(sent.raw), _events(sent.exchange, sent.raw))

    async def poll(
        self, operation: str, until: Callable[[Any], bool], *, within: float = 30.0, **options: Any
    ) -> Reply:
        """Send a read until its JSON satisfies ``until``.

        Raises Unprepared when it does not in time (seconds), or is refused.
        """
        clock = asyncio.get_running_loop().time
        end, pause = clock() + within, POLL_S
        while True:
            reply = await self.send(operation, **options)
            if reply.ok and until(reply.value):
                return reply
            if 400 <= reply.status < 500 and reply.status not in _LATER:
                raise Unprepared(f"{operation}: refused with status {reply.status}")
            if clock() + pause > end:
                raise Unprepared(f"{operation}: not as awaited within {within:g} s (status {reply.status})")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_MOST_S)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _events(exchange: Exchange, raw: bytes) -> tuple[sse.Event, ...]:
    response = exchange.response
    if response is None or response.media_type != "text/event-stream":
        return ()
    return sse.parse(raw)
