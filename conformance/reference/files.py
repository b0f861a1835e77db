"""Files: upload, list, read, download, delete."""

from __future__ import annotations

from typing import Any

from .core import Answer, Call, Record, Refusal, Tenant, Upload, handles, new_id
from .faults import declare

TEXTUAL = (".txt", ".md", ".csv")
TRANSLATES = declare("download-translates-newlines", "the content of a file comes back with other line ends")
ANY_PURPOSE = declare("file-purpose-ignored", "lists of files ignore purpose")


def keep(tenant: Tenant, upload: Upload, purpose: str, now: int) -> Record:
    """Store bytes as a file of the tenant; its content stays beside the public record."""
    record: Record = {
        "id": new_id("file-"),
        "object": "file",
        "bytes": len(upload.content),
        "created_at": now,
        "filename": upload.filename or "upload",
        "purpose": purpose,
        "status": "processed",
    }
    tenant.of("files")[record["id"]] = record
    tenant.of("file_contents")[record["id"]] = {"content": upload.content}
    return record


def content_of(tenant: Tenant, identifier: str) -> bytes:
    """The bytes of a file. Raises Refusal(404)."""
    tenant.get("files", identifier, "file")
    content: bytes = tenant.of("file_contents")[identifier]["content"]
    return content


def lines_of(tenant: Tenant, identifier: str, param: str, purpose: str) -> list[bytes]:
    """The lines of an uploaded JSONL file. Raises Refusal(400) when it is unknown or of another purpose."""
    record = tenant.of("files").get(identifier)
    if record is None:
        raise Refusal(400, f"No file found with id '{identifier}'.", param=param, code="invalid_file_id")
    if record["purpose"] != purpose:
        raise Refusal(400, f"The file's purpose must be {purpose}.", param=param, code="invalid_file_purpose")
    return [line for line in content_of(tenant, identifier).split(b"\n") if line.strip()]


@handles("createFile")
def create_file(call: Call) -> Any:
    return keep(call.tenant, call.body["file"], call.body["purpose"], call.gateway.now())


@handles("listFiles")
def list_files(call: Call) -> Record:
    wanted = None if call.fault(ANY_PURPOSE) else call.query.get("purpose")
    found = [one for one in call.tenant.of("files").values() if wanted in (None, one["purpose"])]
    # The contract pages no files; clients that page every list must be told that there is no more.
    return {"object": "list", "data": found, "has_more": False}


@handles("retrieveFile")
def retrieve_file(call: Call) -> Any:
    return call.tenant.get("files", call.path["file_id"], "file")


@handles("deleteFile")
def delete_file(call: Call) -> Record:
    identifier = call.path["file_id"]
    call.tenant.get("files", identifier, "file")
    del call.tenant.of("files")[identifier]
    call.tenant.of("file_contents").pop(identifier, None)
    return {"id": identifier, "object": "file", "deleted": True}


@handles("downloadFile")
def download_file(call: Call) -> Answer:
    identifier = call.path["file_id"]
    content = content_of(call.tenant, identifier)
    if call.fault(TRANSLATES):
        content = content.replace(b"\n", b"\r\n")
    name = call.tenant.get("files", identifier)["filename"].lower()
    media = "application/octet-stream"
    if name.endswith(".jsonl"):
        media = "application/jsonl"
    elif name.endswith(TEXTUAL):
        media = "text/plain; charset=utf-8" if _is_text(content) else media
    return Answer(content, media_type=media)


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
