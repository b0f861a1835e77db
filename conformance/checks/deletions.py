"""What is deleted is gone: the confirmation, every later read, every later list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.checks.objects import answer
from conformance.checks.reading import done, earlier, honest, listed, mapping, path_of, status_of
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Undecided, Violation, sequence
from conformance.checks.responses import unanswered
from conformance.model import Exchange


@dataclass(frozen=True)
class Deletion:
    """How one kind of object goes: ``id`` is the path parameter that names it, ``within`` those of its
    parents; ``confirmed`` the ``object`` that the answer bears (empty: it need not say any)."""

    check: str
    operation: str
    id: str
    confirmed: str = ""
    within: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    remakes: tuple[str, ...] = ()  # operations that may bring the same id back
    survives: str = ""  # a read of what was only detached: it must go on succeeding
    destroyed_by: str = ""  # what deletes that too


DELETIONS = (
    Deletion(
        "vector_stores.deleted",
        "deleteVectorStore",
        "vector_store_id",
        "vector_store.deleted",
        reads=("getVectorStore",),
        lists=("listVectorStores",),
    ),
    Deletion(
        "vector_stores.file_removed",
        "deleteVectorStoreFile",
        "file_id",
        "vector_store.file.deleted",
        within=("vector_store_id",),
        reads=("getVectorStoreFile",),
        lists=("listVectorStoreFiles",),
        remakes=("createVectorStoreFile", "createVectorStoreFileBatch"),
        survives="retrieveFile",
        destroyed_by="deleteFile",
    ),
    Deletion(
        "files.deleted",
        "deleteFile",
        "file_id",
        "file",
        reads=("retrieveFile", "downloadFile"),
        lists=("listFiles",),
    ),
    Deletion("model_responses.deleted", "deleteResponse", "response_id", reads=("getResponse",)),
    Deletion(
        "assistants.deleted",
        "deleteAssistant",
        "assistant_id",
        "assistant.deleted",
        reads=("getAssistant",),
        lists=("listAssistants",),
    ),
    Deletion("threads.deleted", "deleteThread", "thread_id", "thread.deleted", reads=("getThread",)),
    Deletion(
        "messages.deleted",
        "deleteMessage",
        "message_id",
        "thread.message.deleted",
        within=("thread_id",),
        reads=("getMessage",),
        lists=("listMessages",),
    ),
)


def rulings(kind: Deletion, exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """What the exchanges of one item show of deletions of a kind."""
    for deletion in done(exchanges, kind.operation):
        path = path_of(deletion, context)
        identifier = path.get(kind.id)
        if not identifier:
            continue
        yield deletion, _confirmation(kind, identifier, deletion)
        parents = {name: path.get(name) for name in kind.within}
        for later in exchanges:
            if not honest(later) or not earlier(deletion, later) or unanswered(later) is not None:
                continue
            if any(
                one.operation in kind.remakes and not earlier(one, deletion) and not earlier(later, one)
                for one in exchanges
            ):
                continue
            there = path_of(later, context)
            elsewhere = any(there.get(name) != value for name, value in parents.items())
            if elsewhere and later.operation != kind.survives:
                continue
            if later.operation in kind.reads and there.get(kind.id) == identifier:
                yield later, _gone(later)
            elif later.operation in kind.lists and status_of(later) == 200:
                still = any(one.get("id") == identifier for one in listed(answer(later)))
                told = f"the list shows {identifier}, which was deleted before"
                yield later, (Violation(told, "still-listed"),) if still else PASSES
            elif later.operation == kind.survives and there.get(kind.id) == identifier:
                destroyed = any(
                    one.operation == kind.destroyed_by and not earlier(later, one) for one in exchanges
                )
                if not destroyed:
                    yield later, _there(later)


def _confirmation(kind: Deletion, identifier: str, deletion: Exchange) -> Sequence[Violation]:
    value = answer(deletion)
    if not kind.confirmed:
        return PASSES
    wanted = {"id": identifier, "object": kind.confirmed, "deleted": True}
    said = mapping(value)
    return [
        Violation(f"the answer says {name} {said.get(name)!r}, expected {expected!r}", f"confirms-{name}")
        for name, expected in wanted.items()
        if said.get(name) != expected
    ]


def _gone(later: Exchange) -> Outcome:
    status = status_of(later)
    if status in (404, 410):
        return PASSES
    if status == 429 or status >= 500:  # other requirements speak of those
        return Undecided(f"status {status}")
    return (Violation(f"status {status} for what was deleted before, expected 404", f"status-{status}"),)


def _there(later: Exchange) -> Sequence[Violation]:
    status = status_of(later)
    if status not in (404, 410):
        return PASSES
    told = f"status {status} for a file that was only taken out of a vector store"
    return (Violation(told, "deleted-with-its-membership"),)


def _register(kind: Deletion) -> None:
    def judge(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        return rulings(kind, exchanges, context)

    sequence(kind.check)(judge)


for _kind in DELETIONS:
    _register(_kind)
