"""Files, vector stores, and files in vector stores: made, read, changed, removed."""

from __future__ import annotations

from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import Story

BUSY = frozenset({"in_progress", "cancelling"})
INDEXED_WITHIN_S = 60.0


def upload(kind: str, purpose: str) -> list[dict[str, Any]]:
    """The form of an upload; ``kind`` names one of the suite's small files."""
    return [{"name": "purpose", "value": purpose}, {"name": "file", "file": {"$file": kind}}]


def settled(value: Any) -> bool:
    return str(value.get("status")) not in BUSY


async def uploaded(story: Story, kind: str = "txt", purpose: str = "assistants") -> Any:
    """The id of a fresh upload."""
    return (await story.send("createFile", body=upload(kind, purpose))).get("id")


@scenario(
    "file-life", "createFile", "retrieveFile", "downloadFile", "listFiles", "deleteFile", needs=("uploads",)
)
async def file_life(story: Story) -> None:
    """A file is uploaded, read, found in lists, downloaded, deleted, and then looked for."""
    path = {"file_id": await uploaded(story, "jsonl-batch", "batch")}
    await story.send("retrieveFile", path=path)
    await story.send("downloadFile", path=path)
    await story.send("listFiles")
    await story.send("listFiles", query={"purpose": "assistants"}, about="FILE-04")
    await story.send("deleteFile", path=path)
    await story.send("retrieveFile", path=path, about="FILE-05")
    await story.send("downloadFile", path=path, about="FILE-05")
    await story.send("listFiles", about="FILE-05")


@scenario("file-upload-refused", "createFile", needs=("uploads",))
async def file_upload_refused(story: Story) -> None:
    """An upload for a purpose that does not exist, and one without a file."""
    await story.send("createFile", body=upload("txt", "no-such-purpose"), about="FILE-06", expect="refused")
    await story.send("createFile", body=upload("txt", "batch")[:1], about="FILE-06", expect="refused")


@scenario(
    "vector-store-life",
    "createVectorStore",
    "getVectorStore",
    "listVectorStores",
    "modifyVectorStore",
    "deleteVectorStore",
)
async def vector_store_life(story: Story) -> None:
    """An empty store with a name and an expiry is read, listed, changed, deleted, and looked for."""
    created = await story.send(
        "createVectorStore",
        merge={
            "name": {"$unique": "first"},
            "metadata": {"colour": "green", "size": "small"},
            "expires_after": {"anchor": "last_active_at", "days": 3},
        },
    )
    path = {"vector_store_id": created.get("id")}
    await story.send("getVectorStore", path=path)
    await story.send("listVectorStores")
    await story.send(
        "modifyVectorStore",
        path=path,
        body={
            "name": {"$unique": "second"},
            "metadata": {"colour": "red"},
            "expires_after": {"anchor": "last_active_at", "days": 5},
        },
    )
    await story.send("getVectorStore", path=path)
    await story.send("deleteVectorStore", path=path)
    await story.send("getVectorStore", path=path, about="VS-08")
    await story.send("listVectorStores", about="VS-08")


@scenario(
    "vector-store-files",
    "createVectorStoreFile",
    "getVectorStoreFile",
    "listVectorStoreFiles",
    "deleteVectorStoreFile",
    "retrieveFile",
    "getVectorStore",
    "createVectorStore",
    needs=("uploads",),
)
async def vector_store_files(story: Story) -> None:
    """A store is made with one file, gets two more, and loses one; the file itself stays."""
    first, second, third = [await uploaded(story) for _ in range(3)]
    store = await story.send("createVectorStore", merge={"file_ids": [first]})
    path = {"vector_store_id": store.get("id")}
    static = {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}
    cut = {"file_id": second, "chunking_strategy": {"type": "static", "static": static}}
    await story.send("createVectorStoreFile", path=path, body=cut)
    await story.send("createVectorStoreFile", path=path, body={"file_id": third})
    for file in (second, third):
        await story.poll(
            "getVectorStoreFile", settled, within=INDEXED_WITHIN_S, path={**path, "file_id": file}
        )
    await story.poll("getVectorStore", settled, within=INDEXED_WITHIN_S, path=path)
    await story.send("listVectorStoreFiles", path=path, query={"filter": "completed"}, about="VS-13")
    await story.send("listVectorStoreFiles", path=path, query={"filter": "failed"}, about="VS-13")
    file_path = {**path, "file_id": second}
    await story.send("deleteVectorStoreFile", path=file_path)
    await story.send("getVectorStoreFile", path=file_path, about="VS-14")
    await story.send("listVectorStoreFiles", path=path, about="VS-14")
    await story.send("retrieveFile", path={"file_id": second}, about="VS-14")
    await story.send("getVectorStore", path=path, about="VS-04")


@scenario(
    "vector-store-file-batch",
    "createVectorStoreFileBatch",
    "getVectorStoreFileBatch",
    "listFilesInVectorStoreBatch",
    needs=("uploads",),
)
async def vector_store_file_batch(story: Story) -> None:
    """Two of a store's three files come in a batch, which is awaited and listed."""
    other, *files = [await uploaded(story) for _ in range(3)]
    store = await story.send("createVectorStore", merge={"file_ids": [other]})
    path = {"vector_store_id": store.get("id")}
    batch = await story.send("createVectorStoreFileBatch", path=path, body={"file_ids": files})
    path = {**path, "batch_id": batch.get("id")}
    await story.poll("getVectorStoreFileBatch", settled, within=INDEXED_WITHIN_S, path=path)
    await story.send("getVectorStoreFileBatch", path=path)
    await story.send("listFilesInVectorStoreBatch", path=path, about="VS-18")
    await story.send("listFilesInVectorStoreBatch", path=path, query={"filter": "completed"}, about="VS-13")
    await story.send("listFilesInVectorStoreBatch", path=path, query={"filter": "failed"}, about="VS-13")


@scenario(
    "vector-store-file-batch-cancelled",
    "cancelVectorStoreFileBatch",
    "getVectorStoreFileBatch",
    needs=("uploads",),
)
async def vector_store_file_batch_cancelled(story: Story) -> None:
    """A batch is cancelled as soon as it is made, and awaited."""
    files = [await uploaded(story) for _ in range(2)]
    store = await story.make("vector_store")
    path = {"vector_store_id": store.id}
    batch = await story.send("createVectorStoreFileBatch", path=path, body={"file_ids": files})
    path = {**path, "batch_id": batch.get("id")}
    await story.send("cancelVectorStoreFileBatch", path=path)
    await story.poll("getVectorStoreFileBatch", settled, within=INDEXED_WITHIN_S, path=path)


@scenario(
    "vector-store-overlap-refused",
    "createVectorStore",
    "createVectorStoreFile",
    "createVectorStoreFileBatch",
    needs=("uploads",),
)
async def vector_store_overlap_refused(story: Story) -> None:
    """Chunks that overlap by more than half their size, asked for in each of three ways."""
    store, file = (await story.make("vector_store")).id, await uploaded(story)
    sizes = {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 201}
    wrong = {"chunking_strategy": {"type": "static", "static": sizes}}
    told: dict[str, Any] = {"about": "VS-19", "expect": "refused"}
    path = {"vector_store_id": store}
    await story.send("createVectorStore", merge={"file_ids": [file], **wrong}, keep=False, **told)
    await story.send("createVectorStoreFile", path=path, body={"file_id": file, **wrong}, **told)
    await story.send("createVectorStoreFileBatch", path=path, body={"file_ids": [file], **wrong}, **told)
