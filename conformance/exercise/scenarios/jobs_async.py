"""Batches and fine-tuning jobs: cancelled at once, which costs nothing; to their end where that is quick."""

from __future__ import annotations

from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.storage import uploaded
from conformance.exercise.scenarios.story import Story

BATCH_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
JOB_ENDED = frozenset({"succeeded", "failed", "cancelled"})
CANCELLED_WITHIN_S = 60.0
REFUSED_WITHIN_S = 60.0
ENDED_WITHIN_S = 120.0


def batch_ended(value: Any) -> bool:
    return str(value.get("status")) in BATCH_ENDED


def job_ended(value: Any) -> bool:
    return str(value.get("status")) in JOB_ENDED


@scenario(
    "batch-cancelled",
    "cancelBatch",
    "createBatch",
    "retrieveBatch",
    "listBatches",
    needs=("uploads", "chat"),
)
async def batch_cancelled(story: Story) -> None:
    """A batch is cancelled as soon as it is made, awaited, and cancelled again."""
    created = await story.send("createBatch")
    path = {"batch_id": created.get("id")}
    await story.send("retrieveBatch", path=path)
    await story.send("cancelBatch", path=path)
    await story.send("listBatches")
    await story.poll("retrieveBatch", batch_ended, within=CANCELLED_WITHIN_S, path=path)
    await story.send("cancelBatch", path=path)


@scenario(
    "batch-completed",
    "retrieveBatch",
    "getBatchOutput",
    "downloadFile",
    needs=("uploads", "chat", "fast-jobs"),
)
async def batch_completed(story: Story) -> None:
    """A batch runs to its end; its output is fetched both ways, and it is cancelled when it is over."""
    path = {"batch_id": (await story.make("batch_completed")).id}
    done = await story.send("retrieveBatch", path=path)
    await story.send("getBatchOutput", path=path)
    file = {"file_id": done.get("output_file_id")}
    if file["file_id"]:
        await story.send("downloadFile", path=file)
    await story.send("cancelBatch", path=path)
    if file["file_id"]:
        await story.send("deleteFile", path=file)


@scenario("batch-of-bad-lines", "retrieveBatch", "createBatch", needs=("uploads", "chat"))
async def batch_of_bad_lines(story: Story) -> None:
    """A batch whose input holds no requests fails, if it is taken at all."""
    file = await uploaded(story, "jsonl-finetune", "batch")
    created = await story.send("createBatch", merge={"input_file_id": file})
    if created.ok:
        path = {"batch_id": created.get("id")}
        await story.poll("retrieveBatch", batch_ended, within=REFUSED_WITHIN_S, path=path)


@scenario("batch-of-unknown-file", "createBatch", needs=("uploads", "chat"))
async def batch_of_unknown_file(story: Story) -> None:
    """A batch of a file that does not exist is refused, or fails."""
    created = await story.send("createBatch", merge={"input_file_id": {"$unknown": "file-"}}, about="BAT-10")
    if created.ok:
        path = {"batch_id": created.get("id")}
        await story.poll("retrieveBatch", batch_ended, within=REFUSED_WITHIN_S, path=path)


@scenario(
    "fine-tuning-cancelled",
    "cancelFineTuningJob",
    "createFineTuningJob",
    "retrieveFineTuningJob",
    "listPaginatedFineTuningJobs",
    "listFineTuningEvents",
    needs=("uploads", "chat"),
)
async def fine_tuning_cancelled(story: Story) -> None:
    """A job is cancelled as soon as it is made, looked at from all sides, and cancelled again."""
    created = await story.send("createFineTuningJob")
    path = {"fine_tuning_job_id": created.get("id")}
    await story.send("retrieveFineTuningJob", path=path)
    await story.send("retrieveFile", path={"file_id": created.get("training_file")}, about="FT-05")
    await story.send("cancelFineTuningJob", path=path)
    await story.send("retrieveFineTuningJob", path=path)
    await story.send("listPaginatedFineTuningJobs")
    await story.send("listFineTuningEvents", path=path)
    await story.send("cancelFineTuningJob", path=path)
    await story.send("retrieveFineTuningJob", path=path)


@scenario(
    "fine-tuning-succeeded",
    "retrieveFineTuningJob",
    "listFineTuningEvents",
    "listFineTuningJobCheckpoints",
    "retrieveModel",
    "retrieveFile",
    needs=("uploads", "chat", "fast-jobs"),
)
async def fine_tuning_succeeded(story: Story) -> None:
    """A job runs to its end; its events, checkpoints, model and result files are read."""
    created = await story.send("createFineTuningJob")
    path = {"fine_tuning_job_id": created.get("id")}
    done = await story.poll("retrieveFineTuningJob", job_ended, within=ENDED_WITHIN_S, path=path)
    await story.send("listFineTuningEvents", path=path)
    await story.send("listFineTuningJobCheckpoints", path=path)
    model, file = done.get("fine_tuned_model"), done.get("result_files.0")
    if model:
        await story.send("retrieveModel", path={"model": model}, about="FT-10")
    if file:
        await story.send("retrieveFile", path={"file_id": file}, about="FT-11")
    await story.send("cancelFineTuningJob", path=path)
    if file:
        await story.send("deleteFile", path={"file_id": file})
    if model:
        await story.send("deleteModel", path={"model": model})


@scenario(
    "fine-tuning-of-no-examples", "retrieveFineTuningJob", "createFineTuningJob", needs=("uploads", "chat")
)
async def fine_tuning_of_no_examples(story: Story) -> None:
    """A job whose training file holds no examples fails, if it is taken at all."""
    file = await uploaded(story, "txt", "fine-tune")
    if file is None:
        return
    created = await story.send("createFineTuningJob", merge={"training_file": file})
    if created.ok:
        path = {"fine_tuning_job_id": created.get("id")}
        await story.poll("retrieveFineTuningJob", job_ended, within=REFUSED_WITHIN_S, path=path)
