"""Assistants, threads and messages of the reference gateway."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, function

FAR = "asst_000000000000000000000000"


@pytest.fixture
def world() -> World:
    return World()


def test_an_assistant_is_read_as_it_was_made(world: World) -> None:
    """Every given field comes back from create, get and list; what was not given has its default."""
    given = {
        "model": "reference-chat",
        "name": "Ada",
        "description": "counts",
        "instructions": "Be brief.",
        "tools": [function("add", a={"type": "integer"}), {"type": "code_interpreter"}],
        "temperature": 0.25,
        "top_p": 0.5,
        "metadata": {"team": "red"},
        "response_format": {"type": "text"},
        "tool_resources": {"code_interpreter": {"file_ids": [world.file()]}},
    }
    made = world.ok("createAssistant", given)
    assert {name: made[name] for name in given} == given
    assert world.ok("getAssistant", assistant_id=made["id"]) == made
    assert world.ok("listAssistants")["data"] == [made]
    plain = world.ok("createAssistant", {"model": "m", "name": None, "metadata": None, "temperature": None})
    assert (plain["name"], plain["metadata"], plain["tools"], plain["temperature"]) == (None, {}, [], 1)
    assert plain["response_format"] == "auto"


def test_modifying_an_assistant_changes_what_is_given_and_nothing_else(world: World) -> None:
    """A field that the request leaves out keeps its value; id and created_at never change."""
    made = world.assistant(name="Ada", instructions="Be brief.", metadata={"a": "1"})
    changed = world.ok(
        "modifyAssistant", {"instructions": "Be long.", "metadata": {"b": "2"}}, assistant_id=made["id"]
    )
    assert changed == {**made, "instructions": "Be long.", "metadata": {"b": "2"}}
    assert world.ok("getAssistant", assistant_id=made["id"]) == changed


@pytest.mark.parametrize("operation", ["getAssistant", "modifyAssistant", "deleteAssistant"])
def test_a_deleted_assistant_is_gone(world: World, operation: str) -> None:
    """After the delete every operation on the id is 404 and no list shows it."""
    made = world.assistant()
    gone = world.ok("deleteAssistant", assistant_id=made["id"])
    assert gone == {"id": made["id"], "object": "assistant.deleted", "deleted": True}
    body: dict[str, Any] | None = {} if operation.startswith("modify") else None
    world.refused(404, operation, body, assistant_id=made["id"])
    assert world.ok("listAssistants")["data"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {f"k{number}": "v" for number in range(17)}},
        {"metadata": {"k": "v" * 513}},
        {"tool_resources": {"code_interpreter": {"file_ids": ["file-none"]}}},
        {"tool_resources": {"file_search": {"vector_store_ids": ["vs_none"]}}},
        {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file-none"]}]}}},
        {"response_format": {"type": "json_object"}, "tools": [{"type": "file_search"}]},
    ],
)
def test_an_impossible_assistant_is_refused_and_leaves_nothing(
    world: World, wrong: dict[str, object]
) -> None:
    """Metadata beyond its sizes, files and stores that do not exist, JSON mode with a search: 400."""
    world.refused(400, "createAssistant", {"model": "m", **wrong})
    assert world.ok("listAssistants")["data"] == []
    assert world.ok("listVectorStores")["data"] == []


def test_the_limits_of_metadata_are_allowed(world: World) -> None:
    """Sixteen pairs, keys of 64 and values of 512 characters are taken and echoed."""
    metadata = {f"{number:064}": "v" * 512 for number in range(16)}
    assert world.assistant(metadata=metadata)["metadata"] == metadata


def test_lists_follow_their_cursors(world: World) -> None:
    """Pages of any size, in both directions, add up to the whole; an unknown cursor is 400."""
    made = [world.assistant(name=str(number))["id"] for number in range(7)]
    for order, whole in (("asc", made), ("desc", made[::-1])):
        seen: list[str] = []
        query = {"order": order, "limit": 3}
        while True:
            page = world.ok("listAssistants", query=query)
            ids = [item["id"] for item in page["data"]]
            assert len(ids) <= 3
            assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1])
            seen += ids
            if not page["has_more"]:
                break
            query["after"] = page["last_id"]
        assert seen == whole
        before = world.ok("listAssistants", query={"order": order, "limit": 2, "before": whole[4]})
        assert [item["id"] for item in before["data"]] == whole[2:4]
    assert world.ask("listAssistants", query={"after": FAR})[0] == 400
    assert world.ask("listAssistants", query={"limit": 0})[0] == 400
    assert world.ask("listAssistants", query={"limit": 101})[0] == 400
    empty = world.ok("listAssistants", query={"after": made[0]})
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


def test_nothing_is_seen_by_another_tenant(world: World) -> None:
    """What one organisation makes is unknown to another: 404 by id, absent from lists."""
    assistant, thread, store = world.assistant(), world.thread("hi"), world.store()
    world.who = "other"
    world.refused(404, "getAssistant", assistant_id=assistant["id"])
    world.refused(404, "getThread", thread_id=thread["id"])
    world.refused(404, "getVectorStore", vector_store_id=store["id"])
    world.refused(400, "createThreadAndRun", {"assistant_id": assistant["id"]})
    assert world.ok("listAssistants")["data"] == []


def test_a_thread_begins_with_its_messages_in_order(world: World) -> None:
    """Messages given at creation are those of the thread; text becomes one text part."""
    thread = world.thread("one", "two", metadata={"a": "b"})
    assert world.ok("getThread", thread_id=thread["id"]) == thread
    found = world.messages(thread["id"])
    assert [part["text"]["value"] for one in found for part in one["content"]] == ["one", "two"]
    assert all(
        (one["run_id"], one["assistant_id"], one["status"]) == (None, None, "completed") for one in found
    )
    assert world.ok("createThread")["metadata"] == {}


def test_a_thread_can_have_a_vector_store_made_for_it(world: World) -> None:
    """The helper's store exists, holds the files, and stands in the thread by its id."""
    helper = {"file_ids": [world.file()], "metadata": {"for": "thread"}}
    thread = world.thread(tool_resources={"file_search": {"vector_stores": [helper]}})
    (store_id,) = thread["tool_resources"]["file_search"]["vector_store_ids"]
    store = world.ok("getVectorStore", vector_store_id=store_id)
    assert (store["file_counts"]["total"], store["metadata"]) == (1, {"for": "thread"})


def test_modifying_a_thread(world: World) -> None:
    """Metadata and tool resources change; id and created_at do not."""
    thread = world.thread(metadata={"a": "b"})
    resources = {"code_interpreter": {"file_ids": [world.file()]}}
    changed = world.ok("modifyThread", {"tool_resources": resources}, thread_id=thread["id"])
    assert changed == {**thread, "tool_resources": resources}
    changed = world.ok("modifyThread", {"metadata": {"c": "d"}}, thread_id=thread["id"])
    assert world.ok("getThread", thread_id=thread["id"]) == changed
    assert (changed["metadata"], changed["tool_resources"]) == ({"c": "d"}, resources)


def test_deleting_a_thread_deletes_all_beneath(world: World) -> None:
    """The thread, its messages and runs are 404 afterwards."""
    thread = world.thread("hi")
    (message,) = world.messages(thread["id"])
    run = world.run(thread, world.assistant())
    gone = world.ok("deleteThread", thread_id=thread["id"])
    assert gone == {"id": thread["id"], "object": "thread.deleted", "deleted": True}
    world.refused(404, "getThread", thread_id=thread["id"])
    world.refused(404, "listMessages", thread_id=thread["id"])
    world.refused(404, "getMessage", thread_id=thread["id"], message_id=message["id"])
    world.refused(404, "getRun", thread_id=thread["id"], run_id=run["id"])


def test_message_content_keeps_order_and_kind(world: World) -> None:
    """Parts come back in their order, attachments and metadata as they were given."""
    thread, file_id = world.thread(), world.file()
    body: dict[str, Any] = {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_file", "image_file": {"file_id": file_id}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            {"type": "text", "text": ""},
        ],
        "attachments": [{"file_id": file_id, "tools": [{"type": "code_interpreter"}]}],
        "metadata": {"k": "v"},
    }
    made = world.ok("createMessage", body, thread_id=thread["id"])
    assert [part["type"] for part in made["content"]] == ["text", "image_file", "image_url", "text"]
    assert made["content"][1:3] == body["content"][1:3]
    assert (made["attachments"], made["metadata"]) == (body["attachments"], body["metadata"])
    found = world.ok("getMessage", thread_id=thread["id"], message_id=made["id"])
    assert found == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": [{"type": "image_file", "image_file": {"file_id": "file-none"}}]},
        {"attachments": [{"file_id": "file-none", "tools": []}]},
        {"metadata": {"k" * 65: ""}},
        {"role": "system"},
    ],
)
def test_an_impossible_message_is_refused(world: World, wrong: dict[str, object]) -> None:
    """Unknown files, oversized metadata and foreign roles are 400, and the thread stays as it was."""
    thread = world.thread()
    world.refused(400, "createMessage", {"role": "user", "content": "x", **wrong}, thread_id=thread["id"])
    assert world.messages(thread["id"]) == []


def test_a_message_lives_in_its_thread_only(world: World) -> None:
    """Metadata can be changed, nothing else; another thread does not know it; deleted, it is gone."""
    thread, other = world.thread("hi"), world.thread()
    (message,) = world.messages(thread["id"])
    here: dict[str, Any] = {"thread_id": thread["id"], "message_id": message["id"]}
    world.refused(404, "getMessage", thread_id=other["id"], message_id=message["id"])
    changed = world.ok("modifyMessage", {"metadata": {"a": "b"}}, **here)
    assert changed == {**message, "metadata": {"a": "b"}}
    gone = world.ok("deleteMessage", **here)
    assert gone == {"id": message["id"], "object": "thread.message.deleted", "deleted": True}
    world.refused(404, "getMessage", **here)
    assert world.messages(thread["id"]) == []


def test_faults_show() -> None:
    """Each fault of this area is visible to a client that looks."""
    world = World(
        faults=("delete-keeps-thread", "half-applied-update", "forgotten-cursor", "message-text-lost")
    )
    thread = world.thread("one", "two")
    world.ok("modifyThread", {"metadata": {"a": "b"}}, thread_id=thread["id"])
    assert world.ok("getThread", thread_id=thread["id"])["metadata"] == {}
    first = world.messages(thread["id"], limit=1)
    assert world.messages(thread["id"], limit=1, after=first[0]["id"]) == first
    message = world.ok("createMessage", {"role": "user", "content": "x"}, thread_id=thread["id"])
    assert message["content"][0]["text"]["value"] == ""
    world.ok("deleteThread", thread_id=thread["id"])
    assert world.ok("getThread", thread_id=thread["id"])["id"] == thread["id"]
