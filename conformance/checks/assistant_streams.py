"""Runs told as events: framing, order, identity, deltas that add up, and the end that GET confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance import sse
from conformance.checks.comparing import (
    between,
    changed,
    ended_before,
    honest,
    parameters,
    served,
    shown,
    sights,
    touching,
)
from conformance.checks.objects import EVENT_STREAM, StreamEvent, answer, asked, events
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.contract.lifecycles import load_lifecycles
from conformance.model import Exchange

CREATES = ("createThreadAndRun", "createRun")
SUBMIT = "submitToolOuputsToRun"
OPERATIONS = (*CREATES, SUBMIT)
DONE = "[DONE]"
_ENDS = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
RUN, STEP, MESSAGE = "thread.run.", "thread.run.step.", "thread.message."
#: Field rules of the run machine that hold while a run is told as events without any doubt; sources
#: disagree on the others for single moments of a stream.
_DOUBTFUL = frozenset(
    {
        "no_action_at_end",
        "no_usage_waiting",
        "usage_completed",
        "not_completed_at",
        "started_in_progress",
        "started_at",
    }
)


@dataclass(frozen=True)
class Told:
    """A run as a stream told it. ``parts`` are the events in order, their data as objects."""

    exchange: Exchange
    all: tuple[StreamEvent, ...]

    @property
    def about(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """(position, name, data) of the events of the thread."""
        return [
            (one.position, one.name, one.data)
            for one in self.all
            if one.name.startswith("thread.") and isinstance(one.data, Mapping)
        ]

    def of(self, prefix: str) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Those under a prefix, with what follows it as their name; steps are no events of the run."""
        return [
            (position, name.removeprefix(prefix), data)
            for position, name, data in self.about
            if name.startswith(prefix) and (prefix != RUN or not name.startswith(STEP))
        ]

    @property
    def failed(self) -> bool:
        """Whether an error event stands for the end of the stream."""
        return any(one.name == "error" for one in self.all)

    def stops(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """The events of the run that end or suspend it."""
        return [one for one in self.of(RUN) if one[1] in _ENDS or one[1] == "requires_action"]


def streams(exchanges: Sequence[Exchange], *operations: str) -> Iterator[Told]:
    for exchange in served(exchanges, *(operations or OPERATIONS)):
        response = exchange.response
        if response is not None and response.media_type == EVENT_STREAM:
            yield Told(exchange, events(exchange))


def stream_rule(
    name: str, *operations: str
) -> Callable[[Callable[[Told], Outcome]], Callable[[Told], Outcome]]:
    """Register a rule over single streams."""

    def register(rule: Callable[[Told], Outcome]) -> Callable[[Told], Outcome]:
        @sequence(f"assistant_streams.{name}")
        def each(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
            return ((told.exchange, rule(told)) for told in streams(exchanges, *operations))

        return rule

    return register


def _wrong(text: str, kind: str) -> tuple[Violation, ...]:
    return (Violation(text, kind),)


# framing


@check("assistant_streams.framing")
def framing(exchange: Exchange, context: Context) -> Outcome:
    """What was asked to stream is an event stream, and each of its events has a name and data."""
    body, response = asked(exchange), exchange.response
    wanted = isinstance(body, Mapping) and body.get("stream") is True
    if not wanted or response is None or not any(honest((exchange,), *OPERATIONS)):
        return None
    if not 200 <= response.status < 300 or exchange.failure is not None:
        return None
    if response.media_type != EVENT_STREAM:
        return _wrong(f"content type {response.media_type or 'none'!r}, expected {EVENT_STREAM}", "type")
    read = sse.read(response.body)
    nameless = [one for one in read.events if one.event == "message" and one.data != DONE]
    found = []
    if nameless:
        text = f"{len(nameless)} of {len(read.events)} events have no name"
        found.append(Violation(f"{text}, the first holds {nameless[0].data[:60]!r}", "no-name"))
    if read.tail:
        found.append(Violation(f"the stream ends inside an event: {read.tail[:60]!r}", "unfinished"))
    found += [
        Violation(f"event {name!r} has no data", f"no-data-{name}") for name in _dataless(response.body)
    ]
    return found


def _dataless(body: bytes) -> list[str]:
    """Names of events that carry no data line, and so are never dispatched."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    found = set()
    for block in text.split("\n\n"):
        names = [line[6:].strip() for line in block.split("\n") if line.startswith("event:")]
        if names and not any(line.startswith("data") for line in block.split("\n")):
            found.add(names[-1])
    return sorted(found)


@stream_rule("done_last")
def done_last(told: Told) -> Outcome:
    places = [one.position for one in told.all if one.text.strip() == DONE]
    if not places:
        return _wrong(f"{len(told.all)} events, none of them [DONE]", "no-done")
    if len(places) > 1:
        return _wrong(f"[DONE] comes {len(places)} times", "done-again")
    if after := told.all[places[0] + 1 :]:
        return _wrong(f"{len(after)} events after [DONE], the first {after[0].name!r}", "after-done")
    return PASSES


@check("assistant_streams.unasked")
def unasked(exchange: Exchange, context: Context) -> Outcome:
    """Without stream the answer is one run as JSON."""
    body = asked(exchange)
    if not isinstance(body, Mapping) or body.get("stream") or not any(served((exchange,), *CREATES)):
        return None
    response = exchange.response
    if response is not None and response.media_type == EVENT_STREAM:
        return _wrong(f"an event stream, though stream is {shown(body.get('stream'))}", "streamed")
    value = answer(exchange)
    kind = value.get("object") if isinstance(value, Mapping) else None
    return PASSES if kind == "thread.run" else _wrong(f"object is {shown(kind)}, expected a run", "no-run")


@stream_rule("errors")
def errors(told: Told) -> Outcome:
    """An error event holds an error, and nothing completes after it."""
    found: list[Violation] = []
    places = [one for one in told.all if one.name == "error"]
    for one in places:
        told_fields = one.data if isinstance(one.data, Mapping) else {}
        lacking = [name for name in ("code", "message", "param", "type") if name not in told_fields]
        if lacking:
            found.append(Violation(f"an error event without {', '.join(lacking)}", "error-fields"))
        elif not all(isinstance(told_fields[name], str) for name in ("message", "type")):
            found.append(Violation("message or type of an error event is no text", "error-types"))
    if places and any(
        position > places[0].position and name == "completed" for position, name, _ in told.of(RUN)
    ):
        found.append(Violation("the run completes after an error event", "completed-after-error"))
    return found


# the run


@stream_rule("status_of_event")
def status_of_event(told: Told) -> Outcome:
    found = []
    for _, name, data in told.of(RUN):
        expected = "queued" if name == "created" else name
        if data.get("object") != "thread.run" or data.get("status") != expected:
            text = f"thread.run.{name} holds a {shown(data.get('object'))} in {shown(data.get('status'))}"
            found.append(Violation(f"{text}, expected a run in {expected!r}", f"status-{name}"))
    return found


@stream_rule("thread_created")
def thread_created(told: Told) -> Outcome:
    """The new thread comes first, where there is one, and nowhere else."""
    places = [one.position for one in told.all if one.name == "thread.created"]
    if told.exchange.operation not in ("createThreadAndRun",):
        return _wrong("thread.created, though the thread was there before", "not-new") if places else PASSES
    if places != [0]:
        first = told.all[0].name if told.all else "no event"
        return _wrong(f"the first event is {first!r}, thread.created stands at {places}", "not-first")
    thread, runs = told.all[0].data, told.of(RUN)
    named = {str(data["thread_id"]) for _, _, data in runs if isinstance(data.get("thread_id"), str)}
    identifier = thread.get("id") if isinstance(thread, Mapping) else None
    if named and named != {identifier}:
        return _wrong(f"thread.created is {shown(identifier)}, the run's thread {sorted(named)}", "other")
    return PASSES


@stream_rule("begins", *CREATES)
def begins(told: Told) -> Outcome:
    """created, queued, in_progress: each once, in this order, before the run stops."""
    names = [name for _, name, _ in told.of(RUN)]
    stop = next((name for name in names if name in _ENDS or name in ("requires_action", "cancelling")), "")
    before = names[: names.index(stop)] if stop else names
    known = [one for one in before if one in ("created", "queued", "in_progress")]
    allowed = [["created", "queued", "in_progress"]]
    if stop in ("", "failed", "cancelling", "cancelled", "expired"):  # these may come before any work
        allowed.append(["created", "queued"])
    if known in allowed:
        return PASSES
    return _wrong(f"the run is told as {' → '.join(known) or 'nothing'} before {stop or 'the end'}", "begin")


@stream_rule("one_end")
def one_end(told: Told) -> Outcome:
    """One end, after everything else of the thread; none only where the run waits or an error ended it."""
    ends = [one for one in told.of(RUN) if one[1] in _ENDS]
    if len(ends) > 1:
        return _wrong(f"the run ends {len(ends)} times: {', '.join(one[1] for one in ends)}", "ends-again")
    if not ends:
        waits = any(name == "requires_action" for _, name, _ in told.of(RUN))
        return PASSES if waits or told.failed else _wrong("the run comes to no end in its stream", "no-end")
    last = told.about[-1]
    if last[0] != ends[0][0]:
        return _wrong(f"{last[1]} comes after thread.run.{ends[0][1]}", "after-end")
    return PASSES


@stream_rule("waiting_ends", *CREATES)
def waiting_ends(told: Told) -> Outcome:
    """Where the run waits for outputs its stream is over."""
    waits = [one for one in told.of(RUN) if one[1] == "requires_action"]
    if not waits:
        return None
    after = [one.name for one in told.all if one.position > waits[0][0] and one.text.strip() != DONE]
    if after:
        return _wrong(f"{after[0]!r} comes after thread.run.requires_action", "after-waiting")
    if told.all[-1].text.strip() != DONE:
        return _wrong("no [DONE] after thread.run.requires_action", "no-done")
    return PASSES


@stream_rule("resumed", SUBMIT)
def resumed(told: Told) -> Outcome:
    """The step of the calls closes, the run queues and works again; it is not created again."""
    names = [name for _, name, _ in told.of(RUN)]
    if "created" in names:
        return _wrong("thread.run.created in the stream of submitted outputs", "created")
    expected = ("tool step completed", "queued", "in_progress")
    closing = next(
        (
            position
            for position, name, data in told.of(STEP)
            if name == "completed" and data.get("type") == "tool_calls"
        ),
        None,
    )
    places = [closing, *(_first(told, name) for name in expected[1:])]
    missing = [name for name, place in zip(expected, places, strict=True) if place is None]
    if missing and not told.failed:
        return _wrong(f"no {', no '.join(missing)} in the stream of submitted outputs", "missing")
    known = [place for place in places if place is not None]
    return PASSES if known == sorted(known) else _wrong("resumed in another order than documented", "order")


def _first(told: Told, name: str) -> int | None:
    return next((position for position, one, _ in told.of(RUN) if one == name), None)


# across exchanges


@sequence("assistant_streams.one_run")
def one_run(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Every event speaks of the same run and thread: those of the path, where it names them."""
    for told in streams(exchanges):
        path = parameters(told.exchange, context)
        runs: list[Any] = []
        threads: list[Any] = []
        for _, name, data in told.about:
            if name == "thread.created":
                threads.append(data.get("id"))
                continue
            is_run = name.startswith(RUN) and not name.startswith(STEP)
            runs.append(data.get("id") if is_run else data.get("run_id"))
            threads.append(data.get("thread_id"))
        found = []
        for what, seen, wanted in (
            ("run", runs, path.get("run_id")),
            ("thread", threads, path.get("thread_id")),
        ):
            known = {one for one in seen if isinstance(one, str)} | ({wanted} if wanted else set())
            if len(known) > 1:
                found.append(Violation(f"events of {len(known)} {what}s: {sorted(known)}", f"{what}s"))
        yield told.exchange, found


@sequence("assistant_streams.end_confirmed")
def end_confirmed(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The run reads afterwards as its stream left it."""
    reads = list(sights(exchanges, "thread.run", "getRun"))
    for told in streams(exchanges):
        stops = told.stops()
        if not stops:
            continue
        _, status, last = stops[-1]
        identifier = str(last.get("id"))
        changes = touching(exchanges, context, "run_id", identifier, "modifyRun", SUBMIT, "cancelRun")
        for view in reads:
            if view.id != identifier or not ended_before(told.exchange, view.exchange):
                continue
            if between(changes, told.exchange, view.exchange):
                continue
            if status == "requires_action" and view.value.get("status") != status:
                continue  # it may have expired meanwhile
            fields = sorted({*last, *view.value})
            yield told.exchange, changed(last, view.value, fields, f"in thread.run.{status}")
            break


@sequence("assistant_streams.fields_of_status")
def fields_of_status(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Each event of a run shows the fields that its status has, and no others."""
    machine = load_lifecycles(context.contract).get("run")
    rules = [] if machine is None else [one for name, one in machine.fields.items() if name not in _DOUBTFUL]
    for told in streams(exchanges):
        found = [
            Violation(
                f"{rule.field} is {shown(data.get(rule.field))} in thread.run.{name}",
                f"{rule.field}-{data.get('status')}",
            )
            for _, name, data in told.of(RUN)
            for rule in rules
            if str(data.get("status")) in rule.statuses and (data.get(rule.field) is not None) != rule.wanted
        ]
        yield told.exchange, found
