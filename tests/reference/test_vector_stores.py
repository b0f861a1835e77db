"""Vector stores of the reference gateway, their files and batches."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, waited

DAY = 86_400
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 200}}
SPLIT = {"type": "static", "static": {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 201}}
DEFAULT = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}


@pytest.fixture
def world() -> World:
    return World()


def counts(**given: int) -> dict[str, int]:
    found = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, **given}
    return {**found, "total": sum(found.values())}


def settled(world: World, store: dict[str, Any]) -> dict[str, Any]:
    return waited(
        lambda: world.ok("getVectorStore", vector_store_id=store["id"]),
        lambda seen: seen["status"] != "in_progress",
    )


def test_an_empty_store_is_complete(world: World) -> None:
    """Nothing to index: completed, no bytes, counts of zero, no expiry; read and listed as made."""
    store = world.store()
    assert (store["status"], store["usage_bytes"], store["file_counts"]) == ("completed", 0, counts())
    assert (store["name"], store["metadata"], store["expires_at"]) == ("", {}, None)
    assert world.ok("getVectorStore", vector_store_id=store["id"]) == store
    assert world.ok("listVectorStores")["data"] == [store]


def test_a_store_indexes_its_files() -> None:
    """in_progress → completed, with the bytes of the files; an empty file fails and says why."""
    world = World(speed=5.0)
    good, bad = world.file(b"12345"), world.file(b"")
    store = world.store(file_ids=[good, bad, good])
    assert (store["status"], store["file_counts"]) == ("in_progress", counts(in_progress=2))
    done = settled(world, store)
    assert (done["status"], done["usage_bytes"]) == ("completed", 5)
    assert done["file_counts"] == counts(completed=1, failed=1)
    failed = world.ok("getVectorStoreFile", vector_store_id=store["id"], file_id=bad)
    assert (failed["status"], failed["last_error"]["code"]) == ("failed", "invalid_file")
    for status, expected in (
        ("completed", [good]),
        ("failed", [bad]),
        ("cancelled", []),
        ("in_progress", []),
    ):
        found = world.ok("listVectorStoreFiles", query={"filter": status}, vector_store_id=store["id"])
        assert [item["id"] for item in found["data"]] == expected


def test_a_cursor_may_be_filtered_out(world: World) -> None:
    """after names a file that the filter leaves out: the page is what follows it, and not a 400."""
    good, bad, last = world.file(), world.file(b""), world.file()
    store = world.store(file_ids=[good, bad, last])
    query = {"filter": "completed", "order": "asc", "after": bad}
    found = world.ok("listVectorStoreFiles", query=query, vector_store_id=store["id"])
    assert [item["id"] for item in found["data"]] == [last]
    query = {"filter": "completed", "order": "asc", "before": bad}
    found = world.ok("listVectorStoreFiles", query=query, vector_store_id=store["id"])
    assert [item["id"] for item in found["data"]] == [good]


def test_a_file_deleted_before_it_is_indexed_fails() -> None:
    """The uploaded file goes while the store works on it: failed, file_not_found."""
    world = World(speed=20.0)
    file_id = world.file()
    store = world.store(file_ids=[file_id])
    world.ok("deleteFile", file_id=file_id)
    assert settled(world, store)["file_counts"] == counts(failed=1)
    found = world.ok("getVectorStoreFile", vector_store_id=store["id"], file_id=file_id)
    assert found["last_error"]["code"] == "file_not_found"


def test_expiry_is_counted_from_the_last_activity(world: World) -> None:
    """expires_at = last_active_at + days; a null policy takes it away, the rest of the store stays."""
    policy = {"anchor": "last_active_at", "days": 7}
    store = world.store(name="shelf", expires_after=policy, metadata={"a": "b"})
    assert store["expires_after"] == policy
    assert store["expires_at"] == store["last_active_at"] + 7 * DAY
    changed = world.ok("modifyVectorStore", {"expires_after": None}, vector_store_id=store["id"])
    assert changed["expires_at"] is None
    assert "expires_after" not in changed
    assert (changed["name"], changed["metadata"], changed["id"]) == ("shelf", {"a": "b"}, store["id"])
    changed = world.ok(
        "modifyVectorStore", {"name": "new", "metadata": {"c": "d"}}, vector_store_id=store["id"]
    )
    assert (changed["name"], changed["metadata"], changed["created_at"]) == (
        "new",
        {"c": "d"},
        store["created_at"],
    )


def test_a_store_past_its_expiry_is_expired(world: World) -> None:
    """Once expires_at has passed the status says so."""
    store = world.store(expires_after={"anchor": "last_active_at", "days": 1})
    tenant = next(one for one in world.gateway.tenants.values() if store["id"] in one.of("vector_stores"))
    tenant.of("vector_stores")[store["id"]]["last_active_at"] -= 2 * DAY
    assert world.ok("getVectorStore", vector_store_id=store["id"])["status"] == "expired"


def test_a_deleted_store_is_gone(world: World) -> None:
    """404 by id and for its files, absent from the list."""
    store = world.store(file_ids=[world.file()])
    gone = world.ok("deleteVectorStore", vector_store_id=store["id"])
    assert gone == {"id": store["id"], "object": "vector_store.deleted", "deleted": True}
    world.refused(404, "getVectorStore", vector_store_id=store["id"])
    world.refused(404, "listVectorStoreFiles", vector_store_id=store["id"])
    assert world.ok("listVectorStores")["data"] == []


@pytest.mark.parametrize(("asked", "shown"), [(None, DEFAULT), ({"type": "auto"}, DEFAULT), (STATIC, STATIC)])
def test_a_file_shows_how_it_is_chunked(world: World, asked: Any, shown: Any) -> None:
    """A static strategy is echoed; auto and none are answered with the documented numbers."""
    store, file_id = world.store(), world.file()
    body = {"file_id": file_id} | ({"chunking_strategy": asked} if asked else {})
    made = world.ok("createVectorStoreFile", body, vector_store_id=store["id"])
    assert (made["id"], made["vector_store_id"], made["chunking_strategy"]) == (file_id, store["id"], shown)
    found = world.ok("getVectorStoreFile", vector_store_id=store["id"], file_id=file_id)
    assert (found["status"], found["chunking_strategy"], found["last_error"]) == ("completed", shown, None)


def test_what_cannot_be_indexed_is_refused(world: World) -> None:
    """Unknown files and an overlap of more than half a chunk are 400 everywhere; nothing is made."""
    store, file_id = world.store(), world.file()
    here: dict[str, Any] = {"vector_store_id": store["id"]}
    world.refused(400, "createVectorStore", {"file_ids": ["file-none"]})
    world.refused(400, "createVectorStore", {"file_ids": [file_id], "chunking_strategy": SPLIT})
    world.refused(400, "createVectorStoreFile", {"file_id": "file-none"}, **here)
    world.refused(400, "createVectorStoreFile", {"file_id": file_id, "chunking_strategy": SPLIT}, **here)
    world.refused(400, "createVectorStoreFileBatch", {"file_ids": [file_id, "file-none"]}, **here)
    world.refused(
        400, "createVectorStoreFileBatch", {"file_ids": [file_id], "chunking_strategy": SPLIT}, **here
    )
    assert world.ok("listVectorStores")["data"] == [world.ok("getVectorStore", **here)]
    assert world.ok("getVectorStore", **here)["file_counts"] == counts()


def test_a_removed_file_leaves_the_store_only(world: World) -> None:
    """The store does not know it any more, its count drops, and it can be attached again."""
    file_id = world.file()
    store = world.store(file_ids=[file_id])
    here: dict[str, Any] = {"vector_store_id": store["id"], "file_id": file_id}
    gone = world.ok("deleteVectorStoreFile", **here)
    assert gone == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    world.refused(404, "getVectorStoreFile", **here)
    world.refused(404, "deleteVectorStoreFile", **here)
    assert world.ok("retrieveFile", file_id=file_id)["id"] == file_id
    assert settled(world, store)["file_counts"] == counts()
    world.ok("createVectorStoreFile", {"file_id": file_id}, vector_store_id=store["id"])
    assert settled(world, store)["file_counts"] == counts(completed=1)


def test_a_batch_counts_its_files() -> None:
    """total is what was asked for; the counts add up; its list holds each file once."""
    world = World(speed=1.0)
    store, first, second = world.store(), world.file(), world.file()
    made = world.ok(
        "createVectorStoreFileBatch", {"file_ids": [first, second, first]}, vector_store_id=store["id"]
    )
    assert (made["status"], made["file_counts"]) == ("in_progress", counts(in_progress=3))
    here: dict[str, Any] = {"vector_store_id": store["id"], "batch_id": made["id"]}
    done = waited(
        lambda: world.ok("getVectorStoreFileBatch", **here), lambda seen: seen["status"] != "in_progress"
    )
    assert (done["status"], done["file_counts"]) == ("completed", counts(completed=3))
    listed = world.ok("listFilesInVectorStoreBatch", query={"order": "asc"}, **here)
    assert [item["id"] for item in listed["data"]] == [first, second]
    assert settled(world, store)["file_counts"] == counts(completed=2)
    assert world.ok("cancelVectorStoreFileBatch", **here) == done


def test_a_cancelled_batch_stays_cancelled() -> None:
    """Files that were not indexed yet are cancelled with it, for good."""
    world = World(speed=100.0)
    store = world.store()
    made = world.ok("createVectorStoreFileBatch", {"file_ids": [world.file()]}, vector_store_id=store["id"])
    here: dict[str, Any] = {"vector_store_id": store["id"], "batch_id": made["id"]}
    gone = world.ok("cancelVectorStoreFileBatch", **here)
    assert (gone["status"], gone["file_counts"]) == ("cancelled", counts(cancelled=1))
    assert world.ok("getVectorStoreFileBatch", **here) == gone
    query = {"filter": "cancelled"}
    assert len(world.ok("listFilesInVectorStoreBatch", query=query, **here)["data"]) == 1
    world.refused(404, "getVectorStoreFileBatch", vector_store_id=store["id"], batch_id="vsfb_none")
    other = world.store()
    world.refused(404, "getVectorStoreFileBatch", vector_store_id=other["id"], batch_id=made["id"])


def test_faults_show() -> None:
    """The miscounting store is off by one in its total."""
    world = World(faults=("vector-store-miscounts",))
    assert world.store()["file_counts"]["total"] == 1
