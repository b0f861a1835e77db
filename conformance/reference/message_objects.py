"""Messages as values: checked when they come in, built whole, read as text. No handlers, no clock."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, new_id
from conformance.reference.objects import known_files, metadata_of


def text_part(value: str, annotations: list[Record] | None = None) -> Record:
    return {"type": "text", "text": {"value": value, "annotations": annotations or []}}


def check_message(call: Call, body: Record, param: str = "") -> None:
    """Raises Refusal(400) for files that do not exist and metadata beyond its sizes."""
    metadata_of(body.get("metadata"), f"{param}metadata")
    attached = [item["file_id"] for item in body.get("attachments") or ()]
    known_files(call, attached, f"{param}attachments")
    if isinstance(body["content"], list):
        parts = [part for part in body["content"] if part["type"] == "image_file"]
        known_files(call, [part["image_file"]["file_id"] for part in parts], f"{param}content")


def content_parts(content: Any) -> list[Record]:
    """Request content as answers show it: text becomes a part with annotations, order is kept."""
    if isinstance(content, str):
        return [text_part(content)]
    return [text_part(part["text"]) if part["type"] == "text" else part for part in content]


def request_message(thread_id: str, body: Record, created_at: int) -> Record:
    """The message that a request (already checked) asks for."""
    return {
        **blank_message(thread_id, body["role"], created_at),
        "status": "completed",
        "completed_at": created_at,
        "content": content_parts(body["content"]),
        "attachments": body.get("attachments") or [],
        "metadata": metadata_of(body.get("metadata")),
    }


def blank_message(thread_id: str, role: str, created_at: int) -> Record:
    """A message that nothing has been written into yet."""
    return {
        "id": new_id("msg_"),
        "object": "thread.message",
        "created_at": created_at,
        "thread_id": thread_id,
        "status": "in_progress",
        "incomplete_details": None,
        "completed_at": None,
        "incomplete_at": None,
        "role": role,
        "content": [],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }


def text_of(message: Record) -> str:
    """All text of a message, its parts one below the other."""
    return "\n".join(part["text"]["value"] for part in message["content"] if part["type"] == "text")
