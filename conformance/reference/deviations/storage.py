"""What a gateway may get wrong of files, vector stores, batches and fine-tuning jobs."""

from __future__ import annotations

from typing import Any

from ..core import Call, Record
from . import deviates, deviates_body

DAY_S = 86_400
STORE, MEMBER, FILE_BATCH = "vector_store", "vector_store.file", "vector_store.file_batch"
JOB = "fine_tuning.job"
ENDED = ("succeeded", "failed", "cancelled")


# Vector stores


@deviates("vector-store-counts-a-file-twice", "a vector store counts one file more than it has", STORE)
def counts_twice(record: Record, call: Call) -> None:
    record["file_counts"]["completed"] += 1
    record["file_counts"]["total"] += 1


@deviates("vector-store-ready-too-soon", "a vector store is completed while files are in progress", STORE)
def ready_too_soon(record: Record, call: Call) -> None:
    record["status"] = "completed"


@deviates(
    "vector-store-begins-expired", "a new vector store is answered as expired", STORE, "createVectorStore"
)
def begins_expired(record: Record, call: Call) -> None:
    record["status"] = "expired"


@deviates("vector-store-expires-late", "expires_at of a vector store is a day too late", STORE)
def expires_late(record: Record, call: Call) -> None:
    if record.get("expires_at"):
        record["expires_at"] += DAY_S


@deviates(
    "vector-store-created-nameless",
    "a new vector store is answered without its name",
    STORE,
    "createVectorStore",
)
def created_nameless(record: Record, call: Call) -> None:
    record["name"] = ""


@deviates("vector-store-used-by-nothing", "an empty vector store uses bytes", STORE)
def used_by_nothing(record: Record, call: Call) -> None:
    record["usage_bytes"] += 17


@deviates(
    "vector-store-of-another-object", "a vector store says it is another object", STORE, "getVectorStore"
)
def of_another_object(record: Record, call: Call) -> None:
    record["object"] = "store"


@deviates("vector-store-file-of-another-store", "a file of a vector store names another store", MEMBER)
def of_another_store(record: Record, call: Call) -> None:
    record["vector_store_id"] = "vs_elsewhere"


@deviates(
    "vector-store-file-begins-cancelled",
    "a file that was just added is answered as cancelled",
    MEMBER,
    "createVectorStoreFile",
)
def begins_cancelled(record: Record, call: Call) -> None:
    record["status"] = "cancelled"


@deviates("vector-store-file-error-of-success", "a completed file has a last_error", MEMBER)
def error_of_success(record: Record, call: Call) -> None:
    if record.get("status") == "completed":
        record["last_error"] = {"code": "server_error", "message": "Something happened."}


@deviates("chunking-strategy-not-told", "a file's chunking strategy is answered as other", MEMBER)
def strategy_not_told(record: Record, call: Call) -> None:
    record["chunking_strategy"] = {"type": "other"}


@deviates("file-batch-of-another-store", "a file batch names another store", FILE_BATCH)
def batch_of_another_store(record: Record, call: Call) -> None:
    record["vector_store_id"] = "vs_elsewhere"


@deviates(
    "file-batch-begins-failed",
    "a file batch is failed when it is made",
    FILE_BATCH,
    "createVectorStoreFileBatch",
)
def batch_begins_failed(record: Record, call: Call) -> None:
    record["status"] = "failed"


@deviates("file-batch-never-done", "an ended file batch still has files in progress", FILE_BATCH)
def batch_never_done(record: Record, call: Call) -> None:
    if record["status"] != "in_progress":
        counts = record["file_counts"]
        counts["in_progress"] += counts["completed"] + counts["cancelled"]
        counts["completed"] = counts["cancelled"] = 0


# Files


@deviates("file-bytes-miscounted", "a file has one byte more than was uploaded", "file")
def bytes_miscounted(record: Record, call: Call) -> None:
    if "bytes" in record:
        record["bytes"] += 1


@deviates("file-renamed", "a file is called otherwise than it was when uploaded", "file")
def renamed(record: Record, call: Call) -> None:
    if "filename" in record:
        record["filename"] = "renamed-" + record["filename"]


@deviates("file-unprocessed-again", "a processed file is uploaded when read", "file", "retrieveFile")
def unprocessed_again(record: Record, call: Call) -> None:
    record["status"] = "uploaded"


# Batches


def _too_early(name: str) -> None:
    said = name.replace("_", "-")

    @deviates(f"batch-{said}-at-too-early", f"{name}_at is set while a batch is validating", "batch")
    def too_early(record: Record, call: Call) -> None:
        if record["status"] == "validating":
            record[f"{name}_at"] = record["created_at"]


for _time in ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"):
    _too_early(_time)


@deviates("batch-list-is-stale", "lists show batches as they were when made", "batch", "listBatches")
def stale_batches(record: Record, call: Call) -> None:
    record["status"] = "validating"
    for name in [
        name for name in record if name.endswith("_at") and name not in ("created_at", "expires_at")
    ]:
        record[name] = None


@deviates("batch-expires-before-it-begins", "expires_at of a batch is before created_at", "batch")
def expires_before(record: Record, call: Call) -> None:
    record["expires_at"] = record["created_at"] - 1


@deviates("batch-counts-more-than-all", "a batch completed more requests than it has", "batch")
def more_than_all(record: Record, call: Call) -> None:
    record["request_counts"]["completed"] = record["request_counts"]["total"] + 1


@deviates("batch-endpoint-replaced", "a new batch names another endpoint", "batch", "createBatch")
def endpoint_replaced(record: Record, call: Call) -> None:
    record["endpoint"] = "/v1/embeddings"


@deviates("batch-fails-silently", "a failed batch tells no errors", "batch")
def fails_silently(record: Record, call: Call) -> None:
    record["errors"] = None


# Fine-tuning jobs


@deviates(
    "fine-tuning-list-is-stale",
    "lists show fine-tuning jobs as they were when made",
    JOB,
    "listPaginatedFineTuningJobs",
)
def stale_jobs(record: Record, call: Call) -> None:
    record.update(status="validating_files", finished_at=None, fine_tuned_model=None, trained_tokens=None)
    record.update(error=None, estimated_finish=None)


@deviates("fine-tuned-model-named-early", "an unfinished job names the model it will leave", JOB)
def named_early(record: Record, call: Call) -> None:
    if record["status"] not in ENDED:
        record["fine_tuned_model"] = "ft:soon"


@deviates("fine-tuned-model-unnamed", "a succeeded job names no model", JOB)
def unnamed(record: Record, call: Call) -> None:
    record["fine_tuned_model"] = None


@deviates("fine-tuning-error-of-no-failure", "a job that did not fail has an error", JOB)
def error_of_no_failure(record: Record, call: Call) -> None:
    if record["status"] != "failed":
        record["error"] = {"code": "server_error", "message": "Something happened.", "param": None}


@deviates("fine-tuning-files-mixed-up", "a new job names another training file", JOB, "createFineTuningJob")
def files_mixed_up(record: Record, call: Call) -> None:
    record["training_file"] = "file-other"


@deviates("fine-tuning-finished-before-made", "finished_at of a job is before created_at", JOB)
def finished_before(record: Record, call: Call) -> None:
    if record["finished_at"]:
        record["finished_at"] = record["created_at"] - 10


@deviates_body("fine-tuning-events-oldest-first", "events of a job come oldest first", "listFineTuningEvents")
def oldest_first(body: Any, call: Call) -> Any:
    return {**body, "data": body["data"][::-1]}


@deviates("checkpoints-of-another-job", "checkpoints name another job", "fine_tuning.job.checkpoint")
def of_another_job(record: Record, call: Call) -> None:
    record["fine_tuning_job_id"] = "ftjob-other"


@deviates("fine-tuning-results-lost", "result_files of a job name files that do not exist", JOB)
def results_lost(record: Record, call: Call) -> None:
    if record["result_files"]:
        record["result_files"] = ["file-lost"]
