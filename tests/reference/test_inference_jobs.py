"""Fine-tuning jobs, batches, saved prompts and logs of the reference gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from schema_help import assert_valid
from wire import Wire, events_of, ok, serving, upload

CHAT: dict[str, Any] = {"model": "reference-chat", "messages": [{"role": "user", "content": "Hello there"}]}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving() as found:
        yield found


LINES = b'{"messages": [{"role": "user", "content": "a"}]}\n' * 3


def tune(wire: Wire, **fields: Any) -> Any:
    body = {"model": "reference-chat", "training_file": upload(wire, LINES, "fine-tune", "t.jsonl"), **fields}
    return ok(wire.ask("POST", "/fine_tuning/jobs", json=body), "createFineTuningJob")


def job_of(wire: Wire, job: Any) -> Any:
    return ok(wire.ask("GET", f"/fine_tuning/jobs/{job['id']}"), "retrieveFineTuningJob")


def test_a_fine_tuning_job_ends_in_a_model_with_events_and_checkpoints(wire: Wire) -> None:
    """Succeeded: the model can be read and deleted, the result file too; events tell the way."""
    job = job_of(wire, tune(wire, suffix="mine"))
    assert job["status"] == "succeeded"
    assert job["trained_tokens"] > 0
    assert ok(wire.ask("GET", f"/models/{job['fine_tuned_model']}"), "retrieveModel")
    assert b"train_loss" in wire.ask("GET", f"/files/{job['result_files'][0]}/content").content
    path = f"/fine_tuning/jobs/{job['id']}"
    events = ok(wire.ask("GET", f"{path}/events"), "listFineTuningEvents")["data"]
    assert [one["message"].split()[-1] for one in events] == ["succeeded", "running", "queued", "job"]
    rest = ok(wire.ask("GET", f"{path}/events?limit=2&after={events[0]['id']}"), "listFineTuningEvents")
    assert rest["data"] == events[1:3]
    steps = ok(wire.ask("GET", f"{path}/checkpoints"), "listFineTuningJobCheckpoints")
    assert [one["step_number"] for one in steps["data"]] == [3, 2, 1]
    assert steps["first_id"] == steps["data"][0]["id"]


def test_a_fine_tuning_job_needs_a_good_file(wire: Wire) -> None:
    """Unknown or of another purpose: 400. Bad lines: the job fails, and says why."""
    for name in ("file-none", upload(wire, LINES, "batch")):
        body = {"model": "m", "training_file": name}
        assert wire.ask("POST", "/fine_tuning/jobs", json=body).status_code == 400
    for content in (b"", b"not json\n", b"[]\n"):
        job = job_of(wire, tune(wire, training_file=upload(wire, content, "fine-tune")))
        assert job["status"] == "failed"
        assert job["error"]["param"] == "training_file"
        assert job["fine_tuned_model"] is None


def test_a_job_under_way_moves_on_by_time_and_can_be_cancelled() -> None:
    """It starts by validating and never goes back; cancelled it stays, also when asked again."""
    order = ["validating_files", "queued", "running", "succeeded"]
    with serving(speed=0.2) as wire:
        job = tune(wire)
        seen = [job["status"]]
        while seen[-1] != "succeeded":
            seen.append(job_of(wire, job)["status"])
            time.sleep(0.01)
        assert seen[0] == "validating_files"
        assert [order.index(one) for one in seen] == sorted(order.index(one) for one in seen)
    with serving(speed=10.0) as wire:
        job = tune(wire)
        path = f"/fine_tuning/jobs/{job['id']}"
        cancelled = ok(wire.ask("POST", f"{path}/cancel"), "cancelFineTuningJob")
        assert cancelled["status"] == "cancelled"
        assert ok(wire.ask("POST", f"{path}/cancel"), "cancelFineTuningJob") == cancelled
        assert job_of(wire, job) == cancelled
        listed = ok(wire.ask("GET", "/fine_tuning/jobs?limit=1"), "listPaginatedFineTuningJobs")
        assert listed["data"] == [cancelled]


def line(number: int, body: Any, url: str = "/v1/chat/completions") -> bytes:
    return (
        json.dumps({"custom_id": f"r{number}", "method": "POST", "url": url, "body": body}).encode() + b"\n"
    )


def batch(wire: Wire, content: bytes, **fields: Any) -> Any:
    body = {
        "input_file_id": upload(wire, content, "batch", "in.jsonl"),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **fields,
    }
    return ok(wire.ask("POST", "/batches", json=body), "createBatch")


def test_a_batch_runs_every_line_and_keeps_the_results(wire: Wire) -> None:
    """Counts add up; good lines are in the output, refused ones in the error file, each by its custom_id."""
    made = batch(wire, line(1, CHAT) + line(2, {"model": "m"}) + line(3, CHAT), metadata={"a": "b"})
    assert made["status"] == "validating"
    done = ok(wire.ask("GET", f"/batches/{made['id']}"), "retrieveBatch")
    assert (done["status"], done["metadata"]) == ("completed", {"a": "b"})
    assert done["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    output = wire.ask("GET", f"/batches/{made['id']}/output")
    assert output.headers["content-type"] == "application/octet-stream"
    results = [json.loads(one) for one in output.text.splitlines()]
    assert [one["custom_id"] for one in results] == ["r1", "r3"]
    for one in results:
        assert_valid("createChatCompletion", 200, one["response"]["body"])
    assert wire.ask("GET", f"/files/{done['output_file_id']}/content").text == output.text
    (failed,) = wire.ask("GET", f"/files/{done['error_file_id']}/content").text.splitlines()
    assert json.loads(failed)["response"]["status_code"] == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense\n", line(1, CHAT, "/v1/embeddings"), line(1, CHAT) * 2, b'{"custom_id": "a"}\n'],
)
def test_a_batch_of_bad_lines_fails_and_says_which(wire: Wire, content: bytes) -> None:
    """Failed, with the errors listed, and no output to fetch."""
    made = batch(wire, content)
    failed = ok(wire.ask("GET", f"/batches/{made['id']}"), "retrieveBatch")
    assert failed["status"] == "failed"
    assert failed["errors"]["data"][0]["code"]
    assert wire.ask("GET", f"/batches/{made['id']}/output").status_code == 409


def test_a_batch_under_way_can_be_cancelled() -> None:
    """cancelling, then cancelled, with the times of both; listed newest first."""
    with serving(speed=1.0) as wire:
        first, second = batch(wire, line(1, CHAT)), batch(wire, line(1, CHAT))
        cancelled = ok(wire.ask("POST", f"/batches/{first['id']}/cancel"), "cancelBatch")
        assert cancelled["status"] == "cancelling"
        until = time.monotonic() + 5
        while cancelled["status"] == "cancelling" and time.monotonic() < until:
            time.sleep(0.05)
            cancelled = ok(wire.ask("GET", f"/batches/{first['id']}"), "retrieveBatch")
        assert cancelled["status"] == "cancelled"
        assert cancelled["cancelled_at"] >= cancelled["cancelling_at"] >= cancelled["created_at"]
        listed = ok(wire.ask("GET", "/batches?limit=1"), "listBatches")
        assert ([one["id"] for one in listed["data"]], listed["has_more"]) == ([second["id"]], True)
        rest = ok(wire.ask("GET", f"/batches?after={second['id']}"), "listBatches")
        assert [one["id"] for one in rest["data"]] == [first["id"]]


# prompts, logs


def prompt(wire: Wire, string: str, **parameters: Any) -> str:
    body = {
        "name": "greeting",
        "collection_id": wire.announcement["given"]["collection"],
        "string": string,
        "parameters": parameters,
        "virtual_key": "key",
        "model": "reference-chat",
    }
    response = wire.ask("POST", "/prompts", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def test_a_saved_prompt_is_rendered_and_completed(wire: Wire) -> None:
    """Variables are filled in, stored and given parameters hold, the completion is of that request."""
    messages = json.dumps([{"role": "user", "content": "Greet {{name}} in {{ place }}{{nothing}}"}])
    for string in (messages, "Greet {{name}} in {{place}}"):
        made = prompt(wire, string, temperature=0.5)
        body = {"variables": {"name": "Ada", "place": "Rome"}, "max_tokens": 20}
        rendered = ok(wire.ask("POST", f"/prompts/{made}/render", json=body), "createPromptRender")["data"]
        assert rendered["messages"] == [{"role": "user", "content": "Greet Ada in Rome"}]
        assert (rendered["temperature"], rendered["max_tokens"]) == (0.5, 20)
        done = ok(wire.ask("POST", f"/prompts/{made}/completions", json=body), "createPromptCompletion")
        assert "Greet Ada in Rome" in done["body"]["choices"][0]["message"]["content"]
        streamed = wire.ask("POST", f"/prompts/{made}/completions", json={**body, "stream": True})
        assert events_of(streamed.text)[-1] == (None, "[DONE]")
    assert wire.ask("POST", "/prompts/none/render", json={"variables": {}}).status_code == 404
    assert wire.ask("POST", "/prompts/none/completions", json={"variables": {}}).status_code == 404


def test_every_call_leaves_a_log_that_can_be_read(wire: Wire) -> None:
    """The log of a call tells its request, answer and tokens; other tenants do not see it."""
    response = wire.ask("POST", "/chat/completions", json=CHAT, headers={"x-portkey-trace-id": "trace-1"})
    name = response.headers["x-portkey-log-id"]
    log = ok(wire.ask("GET", f"/logs/{name}"), "getLogsLogId")
    assert log["request"]["body"] == CHAT
    assert log["response"]["body"] == response.json()
    assert log["metrics"]["total_units"] == response.json()["usage"]["total_tokens"]
    assert log["metrics"]["trace_id"] == "trace-1"
    assert wire.ask("GET", f"/logs/{name}", who="other").status_code == 404


def test_custom_logs_are_taken_alone_and_in_lists(wire: Wire) -> None:
    """What is posted can be read back by the ids of the answer; secrets in it are not shown."""
    custom = {
        "request": {
            "url": "not a url",
            "method": "put",
            "headers": {"Authorization": "Bearer s"},
            "body": {"a": 1},
        },
        "response": {"status": 201, "body": {"b": 2}, "response_time": 7},
        "metadata": {"trace_id": "t", "team": "red"},
    }
    for body in (custom, [custom, custom]):
        made = ok(wire.ask("POST", "/logs", json=body), "postLogs")
        assert len(made["ids"]) == (2 if isinstance(body, list) else 1)
        for name in made["ids"]:
            log = ok(wire.ask("GET", f"/logs/{name}"), "getLogsLogId")
            assert (log["request"]["body"], log["response"]["body"]) == ({"a": 1}, {"b": 2})
            assert (log["request"]["method"], log["response"]["status"]) == ("PUT", 201)
            assert "Bearer s" not in json.dumps(log)
            assert log["metrics"]["metadata.key"] == ["trace_id", "team"]
    assert ok(wire.ask("GET", f"/logs/{wire.announcement['given']['log']}"), "getLogsLogId")


def test_only_the_latest_logs_keep_their_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long execution must not fill the memory: older logs stay, without request and answer."""
    monkeypatch.setattr("conformance.reference.usage.BODIES_KEPT", 2)
    with serving() as wire:
        names = [
            wire.ask("POST", "/chat/completions", json=CHAT).headers["x-portkey-log-id"] for _ in range(3)
        ]
        bodies = [ok(wire.ask("GET", f"/logs/{name}"), "getLogsLogId")["request"]["body"] for name in names]
    assert bodies == [{}, CHAT, CHAT]
