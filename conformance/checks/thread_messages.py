"""Messages of a thread: what is written is what is read, by whom, and what a run leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.checks.assistants import creations, latest, parts
from conformance.checks.comparing import (
    changed,
    ended_before,
    entries,
    honest,
    parameters,
    query,
    served,
    shown,
    sights,
    touching,
    whole,
)
from conformance.checks.objects import answer, asked, views
from conformance.checks.registry import PASSES, Context, Ruling, Violation, sequence
from conformance.model import Exchange

KIND = "thread.message"
OPERATIONS = ("createMessage", "getMessage", "listMessages", "modifyMessage")
_FIXED = (
    "id",
    "object",
    "created_at",
    "thread_id",
    "status",
    "incomplete_details",
    "completed_at",
    "incomplete_at",
    "role",
    "content",
    "assistant_id",
    "run_id",
    "attachments",
)
_ENDS = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
_RUN_REASONS = {"run_cancelled": "cancelled", "run_expired": "expired", "run_failed": "failed"}


@sequence("messages.identity")
def identity(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Thread and message are those of the path; the role is the one that was asked for."""
    written = creations(exchanges, "createMessage")
    for view in sights(exchanges, KIND, *OPERATIONS):
        path = parameters(view.exchange, context)
        expected = {"thread_id": path.get("thread_id"), "id": path.get("message_id")}
        if view.id in written:
            expected["role"] = written[view.id][1].get("role")
        yield (
            view.exchange,
            [
                Violation(f"{name} is {shown(view.value.get(name))}, expected {shown(one)}", f"other-{name}")
                for name, one in expected.items()
                if one is not None and view.value.get(name) != one
            ],
        )


@sequence("messages.content")
def content(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Text comes back as one part, parts in their order."""
    written = creations(exchanges, "createMessage")
    for view in sights(exchanges, KIND, "createMessage", "getMessage"):
        if view.id not in written:
            continue
        expected, told = parts(written[view.id][1].get("content")), parts(view.value.get("content"))
        yield (
            view.exchange,
            PASSES
            if told == expected
            else (Violation(f"content is {shown(told)}, written was {shown(expected)}", "content"),),
        )


@sequence("messages.no_run")
def no_run(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """What no run wrote names no run."""
    written = creations(exchanges, "createMessage")
    threads = creations(exchanges, "createThread")
    for view in sights(exchanges, KIND, "createMessage", "listMessages"):
        thread = parameters(view.exchange, context).get("thread_id", "")
        runs = touching(exchanges, context, "thread_id", thread, "createRun")
        no_runs = thread in threads and not any(one.started < view.exchange.ended for one in runs)
        if view.id in written or no_runs:
            run = view.value.get("run_id")
            wrong = f"run_id is {shown(run)} in a message that was written by hand, expected null"
            yield view.exchange, PASSES if run is None else (Violation(wrong, "manual-with-run"),)


@sequence("messages.incomplete_fields")
def incomplete_fields(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Why and when a message is incomplete stands there if it is, and only then."""
    for view in sights(exchanges, KIND, *OPERATIONS):
        status, value = view.value.get("status"), view.value
        told = [one for one in ("incomplete_details", "incomplete_at") if value.get(one) is not None]
        wanted = ["incomplete_details", "incomplete_at"] if status == "incomplete" else []
        found = [
            Violation(
                f"{one} is {shown(value.get(one))} while the status is {shown(status)}", f"{one}-{status}"
            )
            for one in {*told} ^ {*wanted}
        ]
        yield view.exchange, sorted(found, key=lambda one: one.kind)


@sequence("messages.completed_at")
def completed_at(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    for view in sights(exchanges, KIND, *OPERATIONS):
        told, status = view.value.get("completed_at"), view.value.get("status")
        if told is None or status == "completed":
            yield view.exchange, PASSES
        else:
            text = f"completed_at is {shown(told)} while the status is {shown(status)}"
            yield view.exchange, (Violation(text, f"completed-at-{status}"),)


def run_states(exchanges: Sequence[Exchange]) -> dict[str, tuple[str, Exchange]]:
    """The terminal status of each run that was seen to have ended, and where it was first seen."""
    found: dict[str, tuple[str, Exchange]] = {}
    for view in views(exchanges, "thread.run"):
        status = view.value.get("status")
        if isinstance(status, str) and status in _ENDS:
            found.setdefault(view.id, (status, view.exchange))
    return found


@sequence("messages.run_reason")
def run_reason(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A message that its run left incomplete says how the run ended."""
    ended = run_states(exchanges)
    for view in sights(exchanges, KIND, *OPERATIONS):
        details, run = view.value.get("incomplete_details"), view.value.get("run_id")
        reason = details.get("reason") if isinstance(details, Mapping) else None
        if not isinstance(reason, str) or reason not in _RUN_REASONS:
            continue
        if not isinstance(run, str) or run not in ended:
            continue
        status = ended[run][0]
        wrong = f"incomplete because of {reason}, but the run is {status}"
        yield (
            view.exchange,
            PASSES if _RUN_REASONS[reason] == status else (Violation(wrong, "reason-of-run"),),
        )


@sequence("messages.of_run")
def of_run(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The list filtered by a run holds what that run wrote, nothing else."""
    for exchange in served(exchanges, "listMessages"):
        wanted = query(exchange).get("run_id")
        if wanted:
            strangers = [one for one in entries(answer(exchange), "data") if one.get("run_id") != wanted]
            yield (
                exchange,
                [
                    Violation(f"a message with run_id {shown(one.get('run_id'))}, asked for {wanted}", "run")
                    for one in strangers[:1]
                ],
            )


@sequence("messages.modified")
def modified(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """New metadata is there, and all else is as before."""
    seen = list(sights(exchanges, KIND, *OPERATIONS))
    for exchange in served(exchanges, "modifyMessage"):
        told, body = answer(exchange), asked(exchange)
        identifier = parameters(exchange, context).get("message_id", "")
        if not isinstance(told, Mapping):
            continue
        changes = touching(exchanges, context, "message_id", identifier, "modifyMessage")
        wanted = body.get("metadata") if isinstance(body, Mapping) else None
        found = []
        if isinstance(wanted, Mapping) and not _holds(told.get("metadata"), wanted):
            text = f"metadata is {shown(told.get('metadata'))}, modified to {shown(wanted)}"
            found.append(Violation(text, "metadata-not-kept"))
        earlier = latest(seen, identifier, exchange, changes)
        if earlier is not None and earlier.value.get("status") != "in_progress":
            found += changed(earlier.value, told, _FIXED, "before the modification")
        yield exchange, found


def _holds(told: Any, wanted: Mapping[str, Any]) -> bool:
    if not wanted:
        return True
    return isinstance(told, Mapping) and all(told.get(key) == one for key, one in wanted.items())


@sequence("messages.annotations")
def annotated(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """An annotation marks the very text it stands for."""
    for view in sights(exchanges, KIND, "getMessage", "listMessages"):
        for part in entries(view.value, "content"):
            text = part.get("text")
            value = text.get("value") if isinstance(text, Mapping) else None
            for note in entries(text, "annotations"):
                start, end = whole(note.get("start_index")), whole(note.get("end_index"))
                if not isinstance(value, str) or start is None or end is None:
                    continue
                marked = value[start:end] if 0 <= start <= end <= len(value) else None
                wrong = f"{start}..{end} is {shown(marked)}, the annotation says {shown(note.get('text'))}"
                yield view.exchange, PASSES if marked == note.get("text") else (Violation(wrong, "place"),)


@sequence("messages.left_by_run")
def left_by_run(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A completed run that asked for nothing has answered in its thread."""
    ended = run_states(exchanges)
    asking = {
        view.id
        for view in views(exchanges, "thread.run")
        if view.value.get("status") == "requires_action" or view.value.get("required_action") is not None
    } | {parameters(one, context).get("run_id") for one in honest(exchanges, "submitToolOuputsToRun")}
    for exchange in served(exchanges, "listMessages"):
        page, sent = answer(exchange), query(exchange)
        wanted = sent.get("run_id")
        if wanted not in ended or wanted in asking or {"after", "before"} & set(sent):
            continue
        status, seen = ended[wanted]
        if status != "completed" or not ended_before(seen, exchange):
            continue
        answers = [
            one
            for one in entries(page, "data")
            if one.get("role") == "assistant" and one.get("status") == "completed"
        ]
        wrong = f"no completed message of the assistant with run_id {wanted}, which has completed"
        yield exchange, PASSES if answers else (Violation(wrong, "no-answer"),)


@sequence("messages.attachments")
def attachments(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Attached files are shown with the tools they were attached for."""
    written = creations(exchanges, "createMessage")
    for view in sights(exchanges, KIND, "createMessage", "getMessage", "listMessages"):
        wanted = _attached(written[view.id][1]) if view.id in written else None
        if not wanted:
            continue
        told = _attached(view.value)
        wrong = f"attachments are {shown(told)}, attached were {shown(wanted)}"
        yield view.exchange, PASSES if told == wanted else (Violation(wrong, "attachments"),)


def _attached(value: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return sorted(
        (str(one.get("file_id")), sorted(str(tool.get("type")) for tool in entries(one, "tools")))
        for one in entries(value, "attachments")
    )
