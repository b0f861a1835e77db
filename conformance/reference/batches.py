"""Batches: the lines of an uploaded file, run as requests, with timed statuses and an output file."""

from __future__ import annotations

import json
import time
from typing import Any

from . import chat, completions, embeddings
from .core import Answer, Call, Record, Refusal, Upload, handles, new_id, new_uuid
from .faults import declare
from .files import content_of, keep, lines_of
from .lifetimes import Stage, reached
from .objects import page
from .schemas import first_problem
from .streams import encode_json
from .validation import parse_json

BATCHES = "batches"
STAGES: tuple[Stage, ...] = (
    ("validating", 0.0),
    ("in_progress", 0.2),
    ("finalizing", 1.0),
    ("completed", 1.2),
)
LACKS_A_LINE = declare("batch-output-lacks-a-line", "the last result is missing from a batch's output")
REWRITES = declare("batch-output-rewritten", "the output of a batch is not the content of its output file")
CANNOT_CANCEL = declare("batch-cancel-without-effect", "cancelling a batch changes nothing")
TAKES_NOTHING = declare("batch-of-nothing-accepted", "a batch of an unknown file runs and completes")
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
CANCELLING_S = 0.2
EXPIRY_S = 24 * 3600
ENDPOINTS = {
    "/v1/chat/completions": "createChatCompletion",
    "/v1/completions": "createCompletion",
    "/v1/embeddings": "createEmbedding",
}


def _lines(call: Call, identifier: str, endpoint: str) -> tuple[list[Record], list[Record]]:
    """The requests of an input file, and what is wrong with its lines. Raises Refusal(400)."""
    requests: list[Record] = []
    errors: list[Record] = []
    if call.fault(TAKES_NOTHING) and identifier not in call.tenant.of("files"):
        return requests, errors
    seen: set[str] = set()

    def wrong(code: str, message: str, number: int) -> None:
        errors.append({"code": code, "message": message, "param": None, "line": number})

    for number, line in enumerate(lines_of(call.tenant, identifier, "input_file_id", "batch"), 1):
        try:
            request = parse_json(line)
        except Refusal:
            request = None
        if not isinstance(request, dict):
            wrong("invalid_json_line", "This line is not a JSON object.", number)
            continue
        custom = str(request.get("custom_id", ""))
        if not custom or custom in seen:
            wrong("duplicate_custom_id", "Each line needs a custom_id of its own.", number)
        elif request.get("url") != endpoint:
            wrong("mismatched_url", f"The url must be {endpoint}.", number)
        elif request.get("method") != "POST" or not isinstance(request.get("body"), dict):
            wrong("invalid_request", "A line needs the method POST and a body.", number)
        else:
            requests.append(request)
        seen.add(custom)
    if not requests and not errors:
        errors.append(
            {"code": "empty_file", "message": "The input file is empty.", "param": None, "line": None}
        )
    return requests, errors


def _metadata(value: Any) -> Record | None:
    """As the batch object writes it: at most 16 texts of at most 512 characters."""
    if value is None:
        return None
    texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in value.items()}
    return {name: text[:512] for name, text in list(texts.items())[:16]}


@handles("createBatch")
def create_batch(call: Call) -> Any:
    body: Record = call.body
    requests, errors = _lines(call, body["input_file_id"], body["endpoint"])
    now = call.gateway.now()
    batch: Record = {
        "id": new_id("batch_"),
        "object": "batch",
        "endpoint": body["endpoint"],
        "errors": None,
        "input_file_id": body["input_file_id"],
        "completion_window": body["completion_window"],
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "in_progress_at": None,
        "expires_at": now + EXPIRY_S,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": len(requests), "completed": 0, "failed": 0},
        "metadata": _metadata(body.get("metadata")),
    }
    entry = {"batch": batch, "began": time.time(), "requests": requests, "errors": errors, "cancelling": 0.0}
    call.tenant.of(BATCHES)[batch["id"]] = entry
    return dict(batch)


def _settle(call: Call, identifier: str) -> Record:
    """The batch, moved on to where it should be by now."""
    entry = call.tenant.get(BATCHES, identifier, "batch")
    batch: Record = entry["batch"]
    now = time.time()
    if batch["status"] in ENDED:
        return batch
    if batch["status"] == "cancelling":
        if now >= entry["cancelling"] + CANCELLING_S * call.gateway.speed:
            batch.update(status="cancelled", cancelled_at=int(now))
        return batch
    entered = reached(call, entry["began"], STAGES, now)
    names = list(entered)
    for name in names[names.index(batch["status"]) + 1 :]:
        if entry["errors"]:
            errors = {"object": "list", "data": entry["errors"]}
            batch.update(status="failed", failed_at=entered[name], errors=errors)
            break
        batch.update({"status": name, f"{name}_at": entered[name]})
        if name == "finalizing":
            _run(call, entry)
    return batch


def _run(call: Call, entry: Record) -> None:
    """Run every request; the results become the output and the error file."""
    batch = entry["batch"]
    good: list[bytes] = []
    bad: list[bytes] = []
    for request in entry["requests"]:
        status, body = _one(call, ENDPOINTS[batch["endpoint"]], request["body"])
        line = {
            "id": new_id("batch_req_"),
            "custom_id": request["custom_id"],
            "response": {"status_code": status, "request_id": new_uuid(), "body": body},
            "error": None,
        }
        (good if status == 200 else bad).append(encode_json(line) + b"\n")
    completed = len(good)
    if call.fault(LACKS_A_LINE):
        good = good[:-1]
    now = call.gateway.now()
    for lines, field, name in ((good, "output_file_id", "output"), (bad, "error_file_id", "errors")):
        if lines or name == "output":
            upload = Upload(f"{batch['id']}_{name}.jsonl", "application/jsonl", b"".join(lines))
            batch[field] = keep(call.tenant, upload, "batch_output", now)["id"]
    batch["request_counts"] = {"total": len(entry["requests"]), "completed": completed, "failed": len(bad)}


def _one(call: Call, operation: str, body: Record) -> tuple[int, Record]:
    """One request of a batch → status and body, as the operation itself would answer."""
    endpoint = call.gateway.router.endpoints[operation]
    problem = first_problem(endpoint.body_validator, body)
    if problem is not None:
        return 400, {
            "error": {"message": problem.text, "type": "invalid_request_error", "param": None, "code": None}
        }
    plain = {**body, "stream": False} if operation != "createEmbedding" else body
    within = Call(operation, "POST", {}, {}, {}, plain, call.tenant, call.key, call.gateway)
    behave = {
        "createChatCompletion": chat.create_chat_completion,
        "createCompletion": completions.create_completion,
        "createEmbedding": embeddings.create_embedding,
    }[operation]
    try:
        answer = behave(within)
    except Refusal as refusal:
        message = {"message": refusal.message, "type": "invalid_request_error", "param": refusal.param}
        return refusal.status, {"error": {**message, "code": refusal.code}}
    assert isinstance(answer, Answer)
    return 200, answer.body


@handles("listBatches")
def list_batches(call: Call) -> Record:
    """Newest first; an empty page names no ends, since the contract would have them texts."""
    found = page(call, [_settle(call, identifier) for identifier in call.tenant.of(BATCHES)])
    return {name: value for name, value in found.items() if value is not None}


@handles("retrieveBatch")
def retrieve_batch(call: Call) -> Any:
    return _settle(call, call.path["batch_id"])


@handles("cancelBatch")
def cancel_batch(call: Call) -> Any:
    batch = _settle(call, call.path["batch_id"])
    if call.fault(CANNOT_CANCEL):
        return batch
    if batch["status"] not in ENDED and batch["status"] != "cancelling":  # what has ended stays as it is
        now = time.time()
        call.tenant.of(BATCHES)[batch["id"]]["cancelling"] = now
        batch.update(status="cancelling", cancelling_at=int(now))
    return batch


@handles("getBatchOutput")
def get_batch_output(call: Call) -> Answer:
    batch = _settle(call, call.path["batch_id"])
    output = batch["output_file_id"]
    if output is None:
        raise Refusal(409, f"The batch is {batch['status']}: it has no output.", code="no_output")
    content = content_of(call.tenant, output)
    if call.fault(REWRITES):
        content = b"\n".join(reversed(content.splitlines())) + b"\n"
    return Answer(content, media_type="application/octet-stream")
