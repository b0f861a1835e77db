"""Messages of a thread: create, list, read, modify, delete."""

from __future__ import annotations

from conformance.reference.core import Call, Record, handles, not_found
from conformance.reference.message_objects import check_message, text_part
from conformance.reference.objects import declared, deletion, page, public, update_metadata
from conformance.reference.run_engine import refuse_when_locked
from conformance.reference.threads import add_message, thread_of

FAULTS = declared(
    {
        "message-text-lost": "a created message comes back with its text emptied",
        "run-filter-ignored": "lists of messages show all of them, whatever run they are filtered by",
        "delete-keeps-message": "deleting a message answers deleted, and the message stays",
    }
)


@handles("createMessage")
def create(call: Call) -> Record:
    thread = thread_of(call)
    check_message(call, call.body)
    if not call.fault("thread-never-locked"):
        refuse_when_locked(thread, "messages")
    message = add_message(call, thread, call.body)
    if call.fault("message-text-lost"):
        message["content"] = [text_part("")]
    return public(message)


@handles("listMessages")
def list_messages(call: Call) -> Record:
    """The messages of the thread; ``run_id`` leaves those that a run has written."""
    run_id = None if call.fault("run-filter-ignored") else call.query.get("run_id")
    messages = thread_of(call)["_messages"].values()
    return page(call, messages, keep=lambda found: run_id is None or found["run_id"] == run_id)


@handles("getMessage")
def get(call: Call) -> Record:
    return public(message_of(call, thread_of(call)))


@handles("modifyMessage")
def modify(call: Call) -> Record:
    message = message_of(call, thread_of(call))
    update_metadata(call, message)
    return public(message)


@handles("deleteMessage")
def delete(call: Call) -> Record:
    thread = thread_of(call)
    message = message_of(call, thread)
    if not call.fault("delete-keeps-message"):
        del thread["_messages"][message["id"]]
    return deletion(message["id"], "thread.message.deleted")


def message_of(call: Call, thread: Record) -> Record:
    """The message the path names, or an honest 404."""
    message: Record | None = thread["_messages"].get(call.path["message_id"])
    if message is None:
        raise not_found("message", call.path["message_id"])
    return message
