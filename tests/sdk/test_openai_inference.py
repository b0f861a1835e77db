"""The openai SDK uses chat, responses, files, vector stores and batches of the reference gateway."""

from __future__ import annotations

import io
import json
import time
from itertools import islice

import openai
import pytest

from sdk.conftest import Client

SAID = [{"role": "user", "content": "Reply with the word ok."}]
QUICK = 20  # milliseconds between the SDK's polls


def test_chat_is_streamed(client: Client) -> None:
    """The pieces must add up to what the SDK holds for the whole, and usage come once, last."""
    with client.sdk.chat.completions.stream(
        model=client.model,
        messages=SAID,  # type: ignore[arg-type]
        stream_options={"include_usage": True},
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert "".join(pieces) == whole.choices[0].message.content != ""
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    chunks = list(
        client.sdk.chat.completions.create(
            model=client.model,
            messages=SAID,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage is not None for chunk in chunks].index(True) == len(chunks) - 1


def test_a_response_is_created_read_and_deleted(client: Client) -> None:
    """create, retrieve, input_items and delete must agree on one response."""
    made = client.sdk.responses.create(model=client.model, input="Reply with the word ok.")
    assert made.status == "completed"
    assert made.output_text
    assert client.sdk.responses.retrieve(made.id).output_text == made.output_text
    assert len(list(client.sdk.responses.input_items.list(made.id))) == 1
    client.sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.sdk.responses.retrieve(made.id)


def test_a_response_is_streamed(client: Client) -> None:
    """Deltas must add up to the text of the final response, events come in the order of their numbers."""
    with client.sdk.responses.stream(model=client.model, input="Reply with the word ok.") as stream:
        events = list(stream)
        whole = stream.get_final_response()
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text != ""


def test_a_file_comes_back_as_it_was(client: Client) -> None:
    """Upload, list, read and delete must agree on one file and its bytes."""
    content = b"The quick brown fox.\n"
    made = client.sdk.files.create(file=("fox.txt", io.BytesIO(content)), purpose="assistants")
    assert (made.bytes, made.filename) == (len(content), "fox.txt")
    listed = islice(client.sdk.files.list(purpose="assistants"), 100)  # what pages for ever must not hang
    assert made.id in [one.id for one in listed]
    assert client.sdk.files.content(made.id).read() == content
    assert client.sdk.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.sdk.files.retrieve(made.id)


def test_a_vector_store_takes_files_in(client: Client) -> None:
    """files.create_and_poll and file_batches.upload_and_poll must end completed, the store count them."""
    sdk = client.sdk
    store = sdk.vector_stores.create(name="sdk")
    file = sdk.files.create(file=("a.txt", b"Alpha."), purpose="assistants")
    attached = sdk.vector_stores.files.create_and_poll(
        file.id, vector_store_id=store.id, poll_interval_ms=QUICK
    )
    assert attached.status == "completed"
    batch = sdk.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("b.txt", b"Beta."), ("c.txt", b"Gamma.")], poll_interval_ms=QUICK
    )
    assert batch.status == "completed"
    assert batch.file_counts.completed == 2
    assert sdk.vector_stores.retrieve(store.id).file_counts.completed == 3
    assert len(list(sdk.vector_stores.files.list(store.id, limit=1))) == 3
    assert sdk.vector_stores.delete(store.id).deleted


def test_a_batch_runs_and_leaves_its_output(client: Client) -> None:
    """A batch must complete and answer each line under its custom id."""
    lines = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": client.model, "messages": SAID},
        }
        for number in range(2)
    ]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    file = client.sdk.files.create(file=("lines.jsonl", content), purpose="batch")
    batch = client.sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    until = time.monotonic() + 10
    while batch.status not in ("completed", "failed", "expired", "cancelled") and time.monotonic() < until:
        time.sleep(0.05)
        batch = client.sdk.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (2, 2)
    assert batch.output_file_id is not None
    output = client.sdk.files.content(batch.output_file_id).text.splitlines()
    assert sorted(json.loads(line)["custom_id"] for line in output) == ["line-0", "line-1"]
    assert batch.id in [one.id for one in client.sdk.batches.list(limit=1)]


def test_a_wrong_key_is_told_as_such(client: Client) -> None:
    """A key that nobody has must become the SDK's AuthenticationError."""
    with client.sdk.with_options(api_key="pk-nobody") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()
