"""A run told as server-sent events, while it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from conformance.reference.core import Call, EventStream, Record
from conformance.reference.objects import declared, public
from conformance.reference.run_engine import TERMINAL, due, settle
from conformance.reference.run_life import Event

LONGEST_NAP_S = 0.25  # somebody else may cancel the run while its stream sleeps

FAULTS = declared(
    {
        "stream-no-done": "run streams end without the done event",
        "streams-unasked": "runs are answered as event streams, whether that was asked for or not",
        "lost-terminal-event": "run streams lack the event of the state the run ends in",
    }
)


def stream_run(call: Call, run: Record, *, thread: Record | None = None) -> EventStream:
    """The events of a run from now until it ends or waits; ``thread`` when it is new, too."""
    first: list[Event] = [] if thread is None else [("thread.created", public(thread))]
    return EventStream(tell_all(call, run, first, run["_life"].journal))


async def tell_all(call: Call, run: Record, first: list[Event], journal: list[Event]) -> AsyncIterator[Event]:
    """The first events, then every event of the run's journal as it comes to be, then ``done``."""
    for event in first:
        yield event
    told = 0
    while True:
        over = settle(run)["status"] in TERMINAL or run["status"] == "requires_action"
        while told < len(journal):
            name, data = journal[told]
            told += 1
            if not (call.fault("lost-terminal-event") and name.removeprefix("thread.run.") in TERMINAL):
                yield name, data
        if over:
            break
        if run["id"] not in run["_life"].thread["_runs"] or not still_there(call, run):
            yield "error", gone(run)
            break
        await asyncio.sleep(nap(run))
    if run["_life"].journal is journal:
        run["_life"].journal = None
    if not call.fault("stream-no-done"):
        yield "done", "[DONE]"


def still_there(call: Call, run: Record) -> bool:
    return run["thread_id"] in call.tenant.of("threads")


def gone(run: Record) -> Record:
    message = f"The thread of {run['id']} was deleted."
    return {"code": "not_found", "message": message, "param": None, "type": "invalid_request_error"}


def nap(run: Record) -> float:
    """Seconds until the run's next transition, bounded."""
    moment = due(run)
    wait = 0.0 if moment is None else moment - time.monotonic()
    return min(LONGEST_NAP_S, max(0.0, wait))
