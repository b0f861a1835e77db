"""Threads: create, read, modify, delete. A thread holds its messages and runs; they go with it."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, handles, new_id
from conformance.reference.message_objects import check_message, request_message
from conformance.reference.objects import declared, deletion, metadata_of, public, update_metadata
from conformance.reference.run_engine import settle_thread
from conformance.reference.tool_resources import check_tool_resources, realise_tool_resources

FAULTS = declared({"delete-keeps-thread": "deleting a thread answers deleted, and the thread stays"})


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
        "tool_resources": realise_tool_resources(call, body.get("tool_resources")),
        "metadata": metadata_of(body.get("metadata")),
        "_messages": {},
        "_runs": {},
    }
    call.tenant.of("threads")[thread["id"]] = thread
    for message in body.get("messages") or ():
        add_message(call, thread, message)
    return thread


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
    return public(new_thread(call, body))


@handles("getThread")
def get(call: Call) -> Record:
    return public(thread_of(call))


@handles("modifyThread")
def modify(call: Call) -> Record:
    thread = thread_of(call)
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
