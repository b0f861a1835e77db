"""Fine-tuning jobs: timed statuses, events, checkpoints, and the model they leave."""

from __future__ import annotations

import time
from typing import Any

from .core import Call, Record, Refusal, Upload, handles, new_id
from .faults import declare
from .files import keep, lines_of
from .lifetimes import Stage, reached
from .models import own_model
from .objects import page
from .text import count, digest
from .validation import parse_json

JOBS = "fine_tuning_jobs"
STAGES: tuple[Stage, ...] = (("validating_files", 0.0), ("queued", 0.2), ("running", 0.5), ("succeeded", 2.5))
ENDED = frozenset({"succeeded", "failed", "cancelled"})
CHECKPOINTS = 3
CANNOT_CANCEL = declare("fine-tuning-cancel-without-effect", "cancelling a fine-tuning job changes nothing")
NOT_SERVED = declare("fine-tuned-model-not-served", "the model that a job leaves is not found")


def _hyperparameters(body: Record) -> Record:
    method = body.get("method") or {}
    asked = (method.get(method.get("type", "supervised")) or {}).get("hyperparameters") or {}
    epochs = asked.get("n_epochs")
    # The job object allows 1 to 50; anything else is left to the service, as "auto" says.
    return {**asked, "n_epochs": epochs if isinstance(epochs, int) and 1 <= epochs <= 50 else "auto"}


def _validate(call: Call, body: Record) -> tuple[int, str | None]:
    """Training tokens, and what is wrong with the file's lines. Raises Refusal(400) for unknown files."""
    lines = lines_of(call.tenant, body["training_file"], "training_file", "fine-tune")
    if body.get("validation_file") is not None:
        lines_of(call.tenant, body["validation_file"], "validation_file", "fine-tune")
    if not lines:
        return 0, "The training file is empty."
    for number, line in enumerate(lines, 1):
        try:
            example = parse_json(line)
        except Refusal:
            return 0, f"Line {number} is not JSON."
        if not isinstance(example, dict):
            return 0, f"Line {number} is not an object."
    return sum(count(line.decode("utf-8", "replace")) for line in lines), None


@handles("createFineTuningJob")
def create_fine_tuning_job(call: Call) -> Any:
    body: Record = call.body
    trained, wrong = _validate(call, body)
    job: Record = {
        "id": new_id("ftjob-"),
        "object": "fine_tuning.job",
        "created_at": call.gateway.now(),
        "finished_at": None,
        "model": body["model"],
        "fine_tuned_model": None,
        "organization_id": call.tenant.id,
        "status": "validating_files",
        "training_file": body["training_file"],
        "validation_file": body.get("validation_file"),
        "result_files": [],
        "hyperparameters": _hyperparameters(body),
        "trained_tokens": None,
        "error": None,
        "integrations": [],
        "seed": digest(body["training_file"]) % 2**31,
        "estimated_finish": None,
    }
    hidden: Record = {
        "began": time.time(),
        "trained": trained,
        "wrong": wrong,
        "suffix": body.get("suffix"),
        "events": [],
    }
    call.tenant.of(JOBS)[job["id"]] = {"job": job, **hidden}
    _event(call.tenant.of(JOBS)[job["id"]], "info", "Created fine-tuning job", job["created_at"])
    return _settle(call, job["id"])["job"]


def _event(entry: Record, level: str, message: str, at: int) -> None:
    entry["events"].append(
        {
            "object": "fine_tuning.job.event",
            "id": new_id("ftevent-"),
            "created_at": at,
            "level": level,
            "message": message,
        }
    )


def _settle(call: Call, identifier: str) -> Record:
    """The entry of a job, moved on to where it should be by now."""
    entry = call.tenant.get(JOBS, identifier, "fine-tuning job")
    job = entry["job"]
    if job["status"] in ENDED:
        return entry
    entered = reached(call, entry["began"], STAGES, time.time())
    names = list(entered)
    for name in names[names.index(job["status"]) + 1 :]:
        if entry["wrong"] is not None:
            job.update(status="failed", finished_at=entered[name])
            job["error"] = {
                "code": "invalid_training_file",
                "message": entry["wrong"],
                "param": "training_file",
            }
            _event(entry, "error", entry["wrong"], entered[name])
            break
        job["status"] = name
        _event(entry, "info", f"The job is {name.replace('_', ' ')}", entered[name])
        if name == "succeeded":
            _succeed(call, entry, entered[name])
    job["estimated_finish"] = None
    if job["status"] == "running":
        job["estimated_finish"] = int(entry["began"] + STAGES[-1][1] * call.gateway.speed) + 1
    return entry


def _succeed(call: Call, entry: Record, at: int) -> None:
    job = entry["job"]
    name = f"ft:{job['model']}:{entry['suffix'] or 'reference'}:{job['id'][-8:]}"
    if not call.fault(NOT_SERVED):
        own_model(call.tenant, name, at)
    rows = "step,train_loss\n" + "".join(f"{step},{_loss(step)}\n" for step in range(1, CHECKPOINTS + 1))
    result = keep(call.tenant, Upload("step_metrics.csv", "text/csv", rows.encode()), "fine-tune-results", at)
    job.update(
        fine_tuned_model=name,
        finished_at=at,
        trained_tokens=entry["trained"],
        result_files=[result["id"]],
    )


def _loss(step: int) -> float:
    return round(1.5 / step, 4)


def _page(call: Call, records: list[Record], *, limit: int = 20, envelope: bool = False) -> Record:
    """Newest first; most lists of this family name no ends of their pages."""
    found = page(call, records, limit=limit)
    return found if envelope else {name: found[name] for name in ("object", "data", "has_more")}


@handles("listPaginatedFineTuningJobs")
def list_jobs(call: Call) -> Record:
    jobs = [_settle(call, identifier)["job"] for identifier in call.tenant.of(JOBS)]
    return _page(call, jobs)


@handles("retrieveFineTuningJob")
def retrieve_job(call: Call) -> Any:
    return _settle(call, call.path["fine_tuning_job_id"])["job"]


@handles("cancelFineTuningJob")
def cancel_job(call: Call) -> Any:
    entry = _settle(call, call.path["fine_tuning_job_id"])
    job = entry["job"]
    if job["status"] not in ENDED and not call.fault(CANNOT_CANCEL):  # what has ended stays as it is
        job.update(status="cancelled", finished_at=call.gateway.now(), estimated_finish=None)
        _event(entry, "warn", "The job was cancelled", job["finished_at"])
    return job


@handles("listFineTuningEvents")
def list_events(call: Call) -> Record:
    entry = _settle(call, call.path["fine_tuning_job_id"])
    return _page(call, entry["events"])


@handles("listFineTuningJobCheckpoints")
def list_checkpoints(call: Call) -> Record:
    entry = _settle(call, call.path["fine_tuning_job_id"])
    job = entry["job"]
    checkpoints: list[Record] = []
    for step in range(1, CHECKPOINTS + 1 if job["status"] == "succeeded" else 1):
        metrics = {
            "step": step,
            "train_loss": _loss(step),
            "train_mean_token_accuracy": round(1 - 0.5 / step, 4),
        }
        checkpoints.append(
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt_{job['id'][-16:]}{step}",
                "created_at": job["finished_at"],
                "fine_tuned_model_checkpoint": f"{job['fine_tuned_model']}:ckpt-step-{step}",
                "fine_tuning_job_id": job["id"],
                "step_number": step,
                "metrics": metrics,
            }
        )
    return _page(call, checkpoints, limit=10, envelope=True)
