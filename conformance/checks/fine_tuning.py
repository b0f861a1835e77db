"""Fine-tuning jobs: what a job shows in each status, its events, checkpoints, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from conformance.checks.batches import cancellations
from conformance.checks.combining import combine, life
from conformance.checks.objects import answer, asked
from conformance.checks.reading import (
    done,
    each_view,
    earlier,
    holds,
    honest,
    is_int,
    listed,
    mapping,
    path_of,
    same_model,
    sights,
    status_of,
    word,
)
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.model import Exchange

Value = Mapping[str, Any]
JOB = "fine_tuning.job"
ENDED = frozenset({"succeeded", "failed", "cancelled"})
_FIELDS = "lifecycle.fine_tuning_job.fields"

life("fine_tuning.life", "fine_tuning_job")
combine(
    "fine_tuning.nothing_yet",
    *(f"{_FIELDS}.{name}" for name in ("no_model_yet", "not_finished_yet", "no_tokens_yet")),
)
combine("fine_tuning.succeeded", f"{_FIELDS}.model", f"{_FIELDS}.finished_at")


def _error(value: Value) -> list[str] | None:
    status, error = value.get("status"), value.get("error")
    if status == "failed":
        said = mapping(error)
        return [
            f"failed-without-{name}: failed, but error has no {name}"
            for name in ("code", "message")
            if not isinstance(said.get(name), str)
        ]
    told = error if not isinstance(error, Mapping) else [one for one in error.values() if one is not None]
    if told:
        return [f"error-of-no-failure: error is {str(error)[:80]!r} while {status!r}"]
    return []


def _times(value: Value) -> list[str]:
    made, finished = value.get("created_at"), value.get("finished_at")
    wrong = []
    if is_int(made) and is_int(finished) and finished < made:
        wrong.append(f"finished_at: finished_at {finished} is before created_at {made}")
    if word(value.get("status")) in ENDED and value.get("estimated_finish") is not None:
        wrong.append(f"estimated_finish: an estimate is given of what is {value['status']!r}")
    return wrong


each_view("fine_tuning.error_told", _error, JOB)
each_view("fine_tuning.times", _times, JOB)


@sequence("fine_tuning.created_as_asked")
def created_as_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for made in done(exchanges, "createFineTuningJob"):
        body, value = mapping(asked(made)), answer(made)
        if not isinstance(value, Mapping):
            continue
        wrong = []
        model = body.get("model")
        if isinstance(model, str) and not same_model(model, value.get("model")):
            wrong.append(Violation(f"model is {value.get('model')!r}, asked for {model!r}", "model"))
        wrong.extend(
            Violation(f"{name} is {value.get(name)!r}, asked for {body[name]!r}", name)
            for name in ("training_file", "validation_file", "integrations")
            if body.get(name) and not holds(body[name], value.get(name))
        )
        for read in exchanges:
            if read.operation != "retrieveFile" or not honest(read) or not earlier(made, read):
                continue
            file = path_of(read, context).get("file_id")
            deleted = any(
                one.operation == "deleteFile"
                and path_of(one, context).get("file_id") == file
                and not earlier(read, one)
                for one in exchanges
            )
            if file == value.get("training_file") and status_of(read) == 404 and not deleted:
                wrong.append(Violation("its training_file is not found", "training-file-lost"))
        yield made, wrong


@sequence("fine_tuning.cancelled")
def cancelled(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return cancellations(
        exchanges, context, "cancelFineTuningJob", "fine_tuning_job_id", JOB, ENDED, at_once=("cancelled",)
    )


@sequence("fine_tuning.events_newest_first")
def events_newest_first(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    made = {view.id: view.value.get("created_at") for view in sights(exchanges, JOB)}
    for page in done(exchanges, "listFineTuningEvents"):
        times = [one.get("created_at") for one in listed(answer(page))]
        known = [one for one in times if is_int(one)]
        if not known:
            continue
        began = made.get(path_of(page, context).get("fine_tuning_job_id", ""))
        wrong = []
        if any(first < second for first, second in pairwise(known)):
            wrong.append(Violation(f"times of events are {known[:6]}, expected newest first", "order"))
        if is_int(began) and min(known) < began:
            wrong.append(Violation(f"an event of {min(known)}, the job is of {began}", "before-the-job"))
        yield page, wrong


@check("fine_tuning.checkpoints")
def checkpoints(exchange: Exchange, context: Context) -> Outcome:
    found = listed(answer(exchange)) if list(done([exchange], "listFineTuningJobCheckpoints")) else []
    if not found:
        return None
    job, wrong = path_of(exchange, context).get("fine_tuning_job_id"), []
    if others := {str(one.get("fine_tuning_job_id")) for one in found} - {str(job)}:
        wrong.append(Violation(f"fine_tuning_job_id is {sorted(others)[0]!r}, expected {job!r}", "other-job"))
    steps = [one.get("step_number") for one in found]
    numbers = [one for one in steps if is_int(one)]
    pairs = list(pairwise(numbers))
    if not (all(a < b for a, b in pairs) or all(a > b for a, b in pairs)):
        wrong.append(Violation(f"step_number goes {numbers[:6]}, neither only up nor only down", "steps"))
    return wrong


def _left_behind(
    exchanges: Sequence[Exchange], context: Context, operation: str, parameter: str, deletes: str, what: str
) -> Iterable[Ruling]:
    """Reads of what a succeeded job names: they find it, unless it was deleted."""
    for view in sights(exchanges, JOB):
        value = view.value
        names = [value.get("fine_tuned_model")] if what == "model" else value.get("result_files")
        if value.get("status") != "succeeded" or not isinstance(names, list):
            continue
        for read in exchanges:
            name = path_of(read, context).get(parameter) if read.operation == operation else None
            if name is None or name not in names or not earlier(view.exchange, read) or not honest(read):
                continue
            deleted = any(
                one.operation == deletes
                and path_of(one, context).get(parameter) == name
                and not earlier(read, one)
                for one in exchanges
            )
            status = status_of(read)
            if deleted or status == 429 or status >= 500 or not status:
                continue
            told = f"status {status} for the {what} that a succeeded job names"
            yield read, PASSES if status == 200 else (Violation(told, f"status-{status}"),)


@sequence("fine_tuning.model_kept")
def model_kept(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return _left_behind(exchanges, context, "retrieveModel", "model", "deleteModel", "model")


@sequence("fine_tuning.results_kept")
def results_kept(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return _left_behind(exchanges, context, "retrieveFile", "file_id", "deleteFile", "result file")
