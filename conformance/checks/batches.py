"""Batches: their times, their counts, what becomes of each line of their input."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.checks.combining import combine, life
from conformance.checks.files import uploads
from conformance.checks.lifecycle import proven_pairs
from conformance.checks.objects import about, answer, asked, histories
from conformance.checks.reading import (
    done,
    each_view,
    earlier,
    gathered,
    holds,
    honest,
    is_int,
    mapping,
    path_of,
    sights,
    status_of,
    texts,
    word,
)
from conformance.checks.registry import (
    PASSES,
    Context,
    Outcome,
    Ruling,
    Undecided,
    Violation,
    check,
    sequence,
)
from conformance.model import Exchange

Value = Mapping[str, Any]
BATCH = "batch"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
#: (earlier, later): where both are set, the first is not after the second.
_ORDER = (
    ("created_at", "in_progress_at"),
    ("in_progress_at", "finalizing_at"),
    ("finalizing_at", "completed_at"),
    ("in_progress_at", "completed_at"),
    ("created_at", "cancelling_at"),
    ("cancelling_at", "cancelled_at"),
    ("created_at", "failed_at"),
    ("created_at", "expired_at"),
)
_ECHOED = ("endpoint", "completion_window", "input_file_id")

life("batches.life", "batch")
for _name in TIMES:
    combine(
        f"batches.{_name}_at", f"lifecycle.batch.fields.{_name}_at", f"lifecycle.batch.fields.not_{_name}_at"
    )


def _ordered(value: Value) -> list[str]:
    wrong = [
        f"{first}-{second}: {first} {value[first]} is after {second} {value[second]}"
        for first, second in _ORDER
        if is_int(value.get(first)) and is_int(value.get(second)) and value[first] > value[second]
    ]
    made, expires = value.get("created_at"), value.get("expires_at")
    if is_int(made) and is_int(expires) and expires <= made:
        wrong.append(f"expires_at: expires_at {expires} is not after created_at {made}")
    return wrong


def _errors_told(value: Value) -> list[str] | None:
    if value.get("status") != "failed":
        return None
    data = mapping(value.get("errors")).get("data")
    if isinstance(data, list) and data:
        return []
    return ["failed-without-errors: failed, but errors.data says nothing"]


each_view("batches.times_in_order", _ordered, BATCH)
each_view("batches.errors_told", _errors_told, BATCH)


def counts_of(value: Value) -> tuple[int, int, int] | None:
    """(total, completed, failed) requests; None unless all are whole numbers."""
    counts = mapping(value.get("request_counts"))
    total, completed, failed = (counts.get(name) for name in ("total", "completed", "failed"))
    if is_int(total) and is_int(completed) and is_int(failed):
        return total, completed, failed
    return None


@sequence("batches.counted")
def counted(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    found: list[tuple[Exchange, list[str]]] = []
    for history in histories(sights(exchanges, BATCH)).values():
        for view in history:
            counts = counts_of(view.value)
            if counts is None:
                continue
            total, completed, failed = counts
            wrong = [f"negative: request_counts are {counts}"] if min(counts) < 0 else []
            if completed + failed > total:
                wrong.append(f"more-than-all: {completed} completed and {failed} failed of {total}")
            if view.value.get("status") == "completed" and completed + failed != total:
                wrong.append(f"not-all: completed with {completed} + {failed} of {total} requests done")
            found.append((view.exchange, wrong))
        for first, second in proven_pairs(history):
            was, now = counts_of(first.value), counts_of(second.value)
            if was is not None and now is not None and any(a > b for a, b in zip(was, now, strict=True)):
                told = f"backwards: (total, completed, failed) went from {was} to {now}"
                found.append((second.exchange, [told]))
    return gathered(found)


@check("batches.created_as_asked")
def created_as_asked(exchange: Exchange, context: Context) -> Outcome:
    if not list(done([exchange], "createBatch")):
        return None
    body, value = mapping(asked(exchange)), answer(exchange)
    if not isinstance(value, Mapping):
        return None
    wanted = {name: body[name] for name in _ECHOED if body.get(name) is not None}
    if texts(body.get("metadata")) and body["metadata"]:
        wanted["metadata"] = body["metadata"]
    return [
        Violation(f"{name} is {str(value.get(name))[:80]!r}, asked for {str(one)[:80]!r}", name)
        for name, one in wanted.items()
        if not holds(one, value.get(name))
    ]


@sequence("batches.unknown_input_fails")
def unknown_input_fails(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for made in exchanges:
        if made.operation != "createBatch" or not about(made, "BAT-10"):
            continue
        status = status_of(made)
        if 400 <= status < 500 and status != 429:
            yield made, PASSES
        elif 200 <= status < 300:
            name = mapping(answer(made)).get("id")
            ended = [
                word(view.value.get("status"))
                for view in sights(exchanges, BATCH)
                if view.id == name and word(view.value.get("status")) in ENDED
            ]
            if not ended:
                yield made, Undecided("accepted, and not seen to end")
            elif set(ended) == {"cancelled"}:  # our own clean-up
                yield made, Undecided("accepted, and cancelled before it failed")
            elif set(ended) <= {"failed", "cancelled"}:
                yield made, PASSES
            else:
                yield made, (Violation(f"a batch of an unknown file ended {ended[-1]!r}", "accepted"),)


@sequence("batches.cancelled")
def cancelled(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return cancellations(
        exchanges, context, "cancelBatch", "batch_id", BATCH, ENDED, at_once=("cancelling", "cancelled")
    )


def cancellations(
    exchanges: Sequence[Exchange],
    context: Context,
    operation: str,
    parameter: str,
    kind: str,
    ended: frozenset[str],
    at_once: tuple[str, ...],
) -> Iterable[Ruling]:
    """Of each cancel: what had ended is refused or left as it was; what had not shows ``at_once``, or an
    end that it reached by itself in the meantime. Afterwards it may end no other way than cancelled."""
    lives = histories(sights(exchanges, kind))
    for cancel in exchanges:
        identifier = path_of(cancel, context).get(parameter, "")
        if cancel.operation != operation or not honest(cancel):
            continue
        history = lives.get(identifier, [])
        before = [word(view.value.get("status")) for view in history if earlier(view.exchange, cancel)]
        over = [one for one in before if one in ended]
        status, shown = status_of(cancel), word(mapping(answer(cancel)).get("status"))
        if over:
            if 400 <= status < 500 and status != 429:
                yield cancel, PASSES
            elif 200 <= status < 300:
                told = (
                    f"cancelled after it had ended {over[-1]!r}: now {shown!r}, expected a 4xx or no change"
                )
                yield cancel, PASSES if shown == over[-1] else (Violation(told, "ended-changed"),)
        elif 200 <= status < 300:
            if shown not in at_once and shown not in ended:
                told = f"status {shown!r} on being cancelled, expected {' or '.join(at_once)}"
                yield cancel, (Violation(told, "not-cancelled"),)
                continue
            yield cancel, PASSES
            if shown in at_once:
                later = {word(v.value.get("status")) for v in history if earlier(cancel, v.exchange)}
                for other in sorted(one for one in later & (ended - {"cancelled"})):
                    yield cancel, (Violation(f"cancelled, but it ended {other!r}", f"ended-{other}"),)


# What came out


def _lines(content: bytes) -> list[Value] | None:
    """The objects of a JSONL text; None when a line is none."""
    found = []
    for line in content.split(b"\n"):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                return None
            if not isinstance(value, Mapping):
                return None
            found.append(value)
    return found


def _completed(exchanges: Sequence[Exchange]) -> dict[str, Value]:
    """Batches seen completed with at least one completed request, by id."""
    return {
        view.id: view.value
        for view in sights(exchanges, BATCH)
        if view.value.get("status") == "completed" and (counts_of(view.value) or (0, 0, 0))[1] > 0
    }


def _output_of(exchange: Exchange, batches: Mapping[str, Value], context: Context) -> Value | None:
    """The batch whose whole output an exchange delivered, if it did."""
    if exchange.response is None or status_of(exchange) != 200 or exchange.failure is not None:
        return None
    path = path_of(exchange, context)
    if exchange.operation == "getBatchOutput":
        return batches.get(path.get("batch_id", ""))
    if exchange.operation == "downloadFile":
        wanted = path.get("file_id")
        return next((one for one in batches.values() if one.get("output_file_id") == wanted), None)
    return None


@sequence("batches.output_complete")
def output_complete(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    batches, sent = _completed(exchanges), uploads(exchanges)
    for view in sights(exchanges, BATCH):
        if view.id in batches and view.value.get("status") == "completed":
            told = "completed requests, but no output_file_id"
            right = isinstance(view.value.get("output_file_id"), str)
            yield view.exchange, PASSES if right else (Violation(told, "no-output-file"),)
    for exchange in exchanges:
        batch = _output_of(exchange, batches, context)
        if batch is None or exchange.response is None:
            continue
        total, completed, _ = counts_of(batch) or (0, 0, 0)
        lines = _lines(exchange.response.body)
        if lines is None:
            yield exchange, (Violation("the output is not JSON line by line", "not-jsonl"),)
            continue
        names = Counter(str(line.get("custom_id")) for line in lines)
        wrong = []
        if len(lines) != completed:
            wrong.append(Violation(f"{len(lines)} lines for {completed} completed requests", "lines"))
        if len(names) != len(lines):
            wrong.append(Violation("a custom_id stands in more than one line", "twice"))
        source = sent.get(str(batch.get("input_file_id")))
        asked_for = _lines(source[1]["file"].content) if source is not None else None
        if asked_for is not None:
            known = {str(line.get("custom_id")) for line in asked_for}
            lacking = known - set(names) if completed == total else set()
            for what, these in (("unknown", set(names) - known), ("missing", lacking)):
                if these:
                    told = f"{len(these)} custom_ids of the output are {what}: {sorted(these)[0][:40]!r}"
                    wrong.append(Violation(told, f"{what}-custom-id"))
        yield exchange, wrong


@sequence("batches.output_is_its_file")
def output_is_its_file(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    batches = _completed(exchanges)
    seen: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        batch = _output_of(exchange, batches, context)
        if batch is not None:
            seen.setdefault(str(batch["id"]), []).append(exchange)
    for both in seen.values():
        outputs = [one for one in both if one.operation == "getBatchOutput"]
        files = [one for one in both if one.operation == "downloadFile"]
        for one in outputs if files else ():
            same = one.response is not None and all(
                other.response is not None and other.response.body == one.response.body for other in files
            )
            told = "the output differs from the content of output_file_id"
            yield one, PASSES if same else (Violation(told, "differs"),)
