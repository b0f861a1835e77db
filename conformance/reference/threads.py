"""Threads: create, read, modify, delete. A thread holds its messages and runs; they go with it."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, handles, new_id
from conformance.reference.message_objects import check_message, request_message
from conformance.reference.objects import declared, deletion, metadata_of, public, update_metadata
from conformance.reference.run_engine import settle_thread
from conformance.reference.tool_resources import check_tool_resources, realise_tool_resources

FAULTS = declared(
    {
        "delete-keeps-thread": "deleting a thread answers deleted, and the thread stays",
        "thread-metadata-lost": "new threads show their metadata once, and keep none",
        "thread-update-forgotten": "a modified thread is shown once, and is as before afterwards",
        "initial-messages-reversed": "the messages a thread is made with are put into it last first",
        "vector-store-helper-ignored": "vector stores described with a thread are not made",
    }
)


def check_thread(call: Call, body: Record, param: str = "") -> None:
    """Everything that can be wrong with a thread to be made, before anything is made."""
    metadata_of(body.get("metadata"), f"{param}metadata")
    check_tool_resources(call, body.get("tool_resources"), f"{param}tool_resources")
    for number, message in enumerate(body.get("messages") or ()):
        check_message(call, message, f"{param}messages[{number}].")


def new_thread(call: Call, body: Record) -> Record:
    """Make and keep a thread from a request that ``check_thread`` let pass."""
    thread: Record = {
        "id": new_id("thread_"),
        "object": "thread",
        "created_at": call.gateway.now(),
        "tool_resources": realise_tool_resources(call, described(call, body)),
        "metadata": metadata_of(body.get("metadata")),
        "_messages": {},
        "_runs": {},
    }
    call.tenant.of("threads")[thread["id"]] = thread
    messages = body.get("messages") or ()
    for message in reversed(messages) if call.fault("initial-messages-reversed") else messages:
        add_message(call, thread, message)
    return thread


def described(call: Call, body: Record) -> Any:
    """The tool resources that a request describes."""
    resources = body.get("tool_resources")
    if resources and call.fault("vector-store-helper-ignored"):
        search = {
            key: one for key, one in (resources.get("file_search") or {}).items() if key != "vector_stores"
        }
        return {**resources, "file_search": search}
    return resources


def add_message(call: Call, thread: Record, body: Record) -> Record:
    message = request_message(thread["id"], body, call.gateway.now())
    thread["_messages"][message["id"]] = message
    return message


def thread_of(call: Call) -> Record:
    """The thread the path names with everything due in it done, or an honest 404."""
    return settle_thread(call.tenant.get("threads", call.path["thread_id"], "thread"))


@handles("createThread")
def create(call: Call) -> Record:
    body: Record = call.body or {}
    check_thread(call, body)
    thread = new_thread(call, body)
    shown = public(thread)
    if call.fault("thread-metadata-lost"):
        thread["metadata"] = {}
    return shown


@handles("getThread")
def get(call: Call) -> Record:
    return public(thread_of(call))


@handles("modifyThread")
def modify(call: Call) -> Record:
    thread = thread_of(call)
    if call.fault("thread-update-forgotten"):
        thread = dict(thread)
    body: dict[str, Any] = call.body or {}
    metadata_of(body.get("metadata"))
    check_tool_resources(call, body.get("tool_resources"))
    update_metadata(call, thread)
    if "tool_resources" in body:
        thread["tool_resources"] = realise_tool_resources(call, body["tool_resources"])
    return public(thread)


@handles("deleteThread")
def delete(call: Call) -> Record:
    thread = thread_of(call)
    if not call.fault("delete-keeps-thread"):
        del call.tenant.of("threads")[thread["id"]]
    return deletion(thread["id"], "thread.deleted")
