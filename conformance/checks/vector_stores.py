"""Vector stores, their files, and the batches in which files are added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from conformance.checks import lifecycle
from conformance.checks.combining import combine, life
from conformance.checks.objects import View, answer, asked, histories, views
from conformance.checks.reading import (
    done,
    each_view,
    earlier,
    gathered,
    holds,
    honest,
    is_int,
    listed,
    mapping,
    path_of,
    query_of,
    sights,
    status_of,
    texts,
    word,
)
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.contract.lifecycles import load_lifecycles
from conformance.model import Exchange

STORE = "vector_store"
FILE = "vector_store.file"
BATCH = ("vector_store.file_batch", "vector_store.files_batch")
STATES = ("in_progress", "completed", "failed", "cancelled")
DAY_S = 86_400
TOLERANCE_S = 300
DEFAULT_CHUNKING = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}
ATTACH = ("createVectorStoreFile", "createVectorStoreFileBatch")
CHANGES = (*ATTACH, "deleteVectorStoreFile", "cancelVectorStoreFileBatch", "deleteFile")

Value = Mapping[str, Any]


# What one sight of an object shows


def names_in(value: Any) -> list[str]:
    """The texts of a list; empty for anything else."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def counts_of(value: Value) -> dict[str, int] | None:
    """The whole numbers of ``file_counts`` by state, with ``total``; None unless they are all there."""
    counts = mapping(value.get("file_counts"))
    found = {name: counts[name] for name in (*STATES, "total") if is_int(counts.get(name))}
    return found if len(found) == len(STATES) + 1 else None


def _counts_add_up(value: Value) -> list[str] | None:
    counts = counts_of(value)
    if counts is None:
        return None
    wrong = [f"negative-{name}: file_counts.{name} is {n}" for name, n in counts.items() if n < 0]
    total = sum(counts[name] for name in STATES)
    if total != counts["total"]:
        wrong.append(f"counts: file_counts.total is {counts['total']}, the states add up to {total}")
    return wrong


def _busy(value: Value) -> list[str] | None:
    counts, status = counts_of(value), value.get("status")
    if counts is None or not isinstance(status, str):
        return None
    if counts["in_progress"] > 0 and status == "completed":
        return [f"completed-too-soon: completed while {counts['in_progress']} files are in progress"]
    return []


def _expires(value: Value) -> list[str] | None:
    policy, at, active = value.get("expires_after"), value.get("expires_at"), value.get("last_active_at")
    if not policy:
        return [f"expires-without-policy: expires_at is {at!r} without expires_after"] if at else []
    days = mapping(policy).get("days")
    if not is_int(days) or not is_int(at) or not is_int(active):
        return []
    due = active + days * DAY_S
    if abs(at - due) <= TOLERANCE_S:
        return []
    return [f"expires-at: expires_at is {at}, {days} days after last_active_at are {due}"]


def _activity(value: Value) -> list[str] | None:
    created, active, used = value.get("created_at"), value.get("last_active_at"), value.get("usage_bytes")
    wrong = []
    if is_int(created) and is_int(active) and active < created:
        wrong.append(f"active-before-created: last_active_at {active} is before created_at {created}")
    if is_int(used) and used < 0:
        wrong.append(f"negative-usage: usage_bytes is {used}")
    counts = counts_of(value)
    if is_int(used) and used > 0 and counts is not None and counts["total"] == 0:
        wrong.append(f"usage-of-nothing: usage_bytes is {used} in a store without files")
    return wrong


def _error_of_file(value: Value) -> list[str] | None:
    if value.get("deleted") is not None:
        return None
    status, error = value.get("status"), value.get("last_error")
    if status == "failed":
        said = mapping(error)
        missing = [name for name in ("code", "message") if not isinstance(said.get(name), str)]
        return [f"failed-without-{name}: failed, but last_error has no {name}" for name in missing]
    if error is not None:
        return [f"error-of-no-failure: last_error is {str(error)[:80]!r} while {status!r}"]
    return []


def _batch_done(value: Value) -> list[str] | None:
    counts = counts_of(value)
    if counts is None:
        return None
    if value.get("status") == "completed" and counts["in_progress"]:
        return [f"completed-too-soon: completed while {counts['in_progress']} files are in progress"]
    return []


each_view("vector_stores.counts_add_up", _counts_add_up, STORE)
each_view("vector_stores.busy_while_indexing", _busy, STORE)
each_view("vector_stores.expiry_of_sight", _expires, STORE)
each_view("vector_stores.activity", _activity, STORE)
each_view("vector_stores.file_error", _error_of_file, FILE)
each_view("vector_stores.batch_done", _batch_done, *BATCH)
life("vector_stores.life", "vector_store")
life("vector_stores.batch_states", "file_batch")
combine("vector_stores.batch_life", "vector_stores.batch_states", "vector_stores.batch_done")


@check("vector_stores.expiry_echoed")
def _expiry_echoed(exchange: Exchange, context: Context) -> Outcome:
    if exchange.operation not in ("createVectorStore", "modifyVectorStore"):
        return None
    policy, value = mapping(asked(exchange)).get("expires_after"), answer(exchange)
    if not isinstance(value, Mapping) or not policy or not list(done([exchange], exchange.operation)):
        return None
    if holds(policy, value.get("expires_after")):
        return PASSES
    told = f"expires_after is {value.get('expires_after')!r}, asked for {policy!r}"
    return (Violation(told, "expires-after"),)


combine("vector_stores.expiry", "vector_stores.expiry_of_sight", "vector_stores.expiry_echoed")

_KINDS = {
    **dict.fromkeys(
        ("createVectorStore", "getVectorStore", "listVectorStores", "modifyVectorStore"), (STORE,)
    ),
    **dict.fromkeys(("createVectorStoreFile", "getVectorStoreFile", "listVectorStoreFiles"), (FILE,)),
    "listFilesInVectorStoreBatch": (FILE,),
    **dict.fromkeys(
        ("createVectorStoreFileBatch", "getVectorStoreFileBatch", "cancelVectorStoreFileBatch"), BATCH
    ),
}


@sequence("vector_stores.named")
def _named(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for exchange in done(exchanges, *_KINDS):
        value, expected = answer(exchange), _KINDS[exchange.operation]
        if not isinstance(value, Mapping):
            continue
        objects = listed(value) if exchange.operation.startswith("list") else [value]
        others = {str(one.get("object")) for one in objects} - set(expected)
        yield (
            exchange,
            [Violation(f"object is {one!r}, expected {expected[0]!r}", "object") for one in sorted(others)],
        )


# What was asked for is what is kept


def _writes(exchanges: Sequence[Exchange], context: Context) -> Iterator[tuple[str, Exchange, Value]]:
    """(store id, exchange, what it set) of everything that sets name, metadata or expiry."""
    for exchange in exchanges:
        body = mapping(asked(exchange))
        if exchange.operation == "createVectorStore":
            name = mapping(answer(exchange)).get("id")
            if isinstance(name, str):
                yield name, exchange, body
        elif exchange.operation == "modifyVectorStore" and not 400 <= status_of(exchange) < 500:
            yield path_of(exchange, context).get("vector_store_id", ""), exchange, body


def _kept(exchanges: Sequence[Exchange], context: Context, *written_by: str) -> Iterable[Ruling]:
    """For each sight of a store: does it show what was last set, where that is beyond doubt?"""
    writes = list(_writes(exchanges, context))
    found: list[tuple[Exchange, list[str]]] = []
    for view in sights(exchanges, STORE):
        mine = [(one, body) for name, one, body in writes if name == view.id]
        for field in ("name", "metadata", "expires_after"):
            setting = [(one, body[field]) for one, body in mine if field in body]
            if any(
                one.id != view.exchange.id
                and not earlier(one, view.exchange)
                and not earlier(view.exchange, one)
                for one, _ in setting
            ):
                continue  # overlapping writes: either value is right
            before = [
                (one, value)
                for one, value in setting
                if one.id == view.exchange.id or earlier(one, view.exchange)
            ]
            if not before:
                continue
            last, value = max(before, key=lambda pair: pair[0].started)
            rivals = [one for one, _ in before if one.id != last.id and not earlier(one, last)]
            if rivals or last.operation not in written_by or not honest(last) or value is None:
                continue
            if field == "metadata" and not texts(value):
                continue
            shown = view.value.get(field)
            same = shown == value if field == "metadata" else holds(value, shown)
            told = f"kept-{field}: {field} is {str(shown)[:80]!r}, {last.operation} set {str(value)[:80]!r}"
            found.append((view.exchange, [] if same or (not value and not shown) else [told]))
    return gathered(found)


@sequence("vector_stores.created_as_asked")
def _created_as_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return _kept(exchanges, context, "createVectorStore")


@sequence("vector_stores.modified_as_asked")
def _modified_as_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    return _kept(exchanges, context, "modifyVectorStore")


combine("vector_stores.modified", "vector_stores.modified_as_asked", "lifecycle.vector_store.constant")


# How many files there are


@sequence("vector_stores.total_is_attached")
def _total_is_attached(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Only of a settled store whose every change in this item is known and surely came before."""
    made = {
        view.id: view for view in sights(exchanges, STORE) if view.exchange.operation == "createVectorStore"
    }
    for view in sights(exchanges, STORE):
        counts, origin = counts_of(view.value), made.get(view.id)
        if (
            view.exchange.operation != "getVectorStore"
            or counts is None
            or origin is None
            or view.value.get("status") != "completed"
            or not earlier(origin.exchange, view.exchange)
        ):
            continue
        files = set(names_in(mapping(asked(origin.exchange)).get("file_ids")))
        certain = True
        for change in exchanges:
            if change.operation not in CHANGES or earlier(view.exchange, change):
                continue
            path = path_of(change, context)
            if change.operation == "deleteFile":
                certain = certain and path.get("file_id") not in files
                continue
            if path.get("vector_store_id") != view.id or 400 <= status_of(change) < 500:
                continue
            certain = (
                certain and earlier(change, view.exchange) and bool(list(done([change], change.operation)))
            )
            body = mapping(asked(change))
            if change.operation == "createVectorStoreFile":
                files.add(word(body.get("file_id")))
            elif change.operation == "createVectorStoreFileBatch":
                files.update(names_in(body.get("file_ids")))
            elif change.operation == "deleteVectorStoreFile":
                files.discard(path.get("file_id", ""))
        if not certain:
            continue
        told = f"file_counts.total is {counts['total']}, {len(files)} files are attached"
        yield view.exchange, PASSES if counts["total"] == len(files) else (Violation(told, "total"),)


# Files of a store


@sequence("vector_stores.file_belongs")
def _file_belongs(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    found: list[tuple[Exchange, list[str]]] = []
    for view in sights(exchanges, FILE):
        path, value = path_of(view.exchange, context), view.value
        if value.get("deleted") is not None or "vector_store_id" not in path:
            continue
        wanted: dict[str, Any] = {"vector_store_id": path["vector_store_id"]}
        if view.exchange.operation == "createVectorStoreFile":
            wanted["id"] = mapping(asked(view.exchange)).get("file_id")
        elif "file_id" in path:
            wanted["id"] = path["file_id"]
        found.append(
            (
                view.exchange,
                [
                    f"{name}: {name} is {value.get(name)!r}, expected {expected!r}"
                    for name, expected in wanted.items()
                    if value.get(name) != expected
                ],
            )
        )
    return gathered(found)


@sequence("vector_stores.file_life")
def _file_life(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """A file's life in one store, until it is attached again."""
    machine = load_lifecycles(context.contract).get("vector_store_file")
    if machine is None:
        return
    lives: dict[tuple[str, str], list[View]] = {}
    for view in views(exchanges, FILE):
        lives.setdefault((word(view.value.get("vector_store_id")), view.id), []).append(view)
    attached = [one for one in exchanges if one.operation in ATTACH]
    for (_, identifier), history in lives.items():
        for view in history:
            status = lifecycle.status_of(machine, view)
            if status:
                known = status in machine.states
                told = f"the status {status!r} of a file is not documented"
                yield view.exchange, PASSES if known else (Violation(told, "unknown-status"),)
        for first, second in lifecycle.proven_pairs(history):
            if any(
                one.id != first.exchange.id
                and one.ended > first.exchange.started
                and one.started < second.exchange.ended
                for one in attached
            ):
                continue
            was, now = lifecycle.status_of(machine, first), lifecycle.status_of(machine, second)
            if was not in machine.states or now not in machine.states:
                continue
            told = f"{identifier}: {now!r} cannot follow {was!r}"
            right = now in machine.reachable(was)
            yield second.exchange, PASSES if right else (Violation(told, f"{was}-{now}"),)


def _chunking(body: Value) -> Value | None:
    """What a file should be cut by, as far as its request says; None when it is anyone's guess."""
    strategy = body.get("chunking_strategy")
    if strategy is None or mapping(strategy).get("type") == "auto":
        return DEFAULT_CHUNKING
    static = mapping(strategy).get("static")
    return static if isinstance(static, Mapping) else None


@sequence("vector_stores.chunking_echoed")
def _chunking_echoed(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    creates = [one for one in exchanges if one.operation == "createVectorStoreFile"]
    for view in sights(exchanges, FILE):
        if view.exchange.operation not in ("createVectorStoreFile", "getVectorStoreFile"):
            continue
        store = path_of(view.exchange, context).get("vector_store_id")
        attaching = [
            one
            for one in creates
            if path_of(one, context).get("vector_store_id") == store
            and mapping(asked(one)).get("file_id") == view.id
        ]
        batches = [
            one
            for one in exchanges
            if one.operation == "createVectorStoreFileBatch" and not earlier(view.exchange, one)
        ]
        if len(attaching) != 1 or batches or view.value.get("chunking_strategy") is None:
            continue  # attached more than once, or one in a batch: which strategy holds is not said
        wanted = _chunking(mapping(asked(attaching[0])))
        if wanted is None or not honest(attaching[0]):
            continue
        shown = mapping(view.value["chunking_strategy"])
        right = shown.get("type") == "static" and holds(wanted, shown.get("static"))
        told = f"chunking_strategy is {dict(shown)!r}, expected static {dict(wanted)!r}"
        yield view.exchange, PASSES if right else (Violation(told[:300], "chunking"),)


@check("vector_stores.overlap_refused")
def _overlap_refused(exchange: Exchange, context: Context) -> Outcome:
    if exchange.operation not in (*ATTACH, "createVectorStore") or not honest(exchange):
        return None
    body = mapping(asked(exchange))
    if exchange.operation == "createVectorStore" and not body.get("file_ids"):
        return None  # a strategy without files applies to nothing
    static = mapping(mapping(body.get("chunking_strategy")).get("static"))
    size, overlap = static.get("max_chunk_size_tokens"), static.get("chunk_overlap_tokens")
    if not is_int(size) or not is_int(overlap) or overlap * 2 <= size:
        return None
    if exchange.response is None or status_of(exchange) >= 500 or status_of(exchange) == 429:
        return None
    if 400 <= status_of(exchange) < 500:
        return PASSES
    told = f"status {status_of(exchange)} for an overlap of {overlap} with chunks of {size}, expected 4xx"
    return (Violation(told, "accepted"),)


@check("vector_stores.filtered")
def _filtered(exchange: Exchange, context: Context) -> Outcome:
    wanted = query_of(exchange).get("filter")
    if (
        exchange.operation not in ("listVectorStoreFiles", "listFilesInVectorStoreBatch")
        or wanted not in STATES
        or status_of(exchange) != 200
    ):
        return None
    others = sorted({str(one.get("status")) for one in listed(answer(exchange))} - {wanted})
    if not others:
        return PASSES
    return (Violation(f"filter={wanted} shows files that are {', '.join(others)}", "other-status"),)


# File batches


@sequence("vector_stores.batch_counts")
def _batch_counts(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    ordered: dict[str, list[Any]] = {}
    for exchange in done(exchanges, "createVectorStoreFileBatch"):
        files = mapping(asked(exchange)).get("file_ids")
        name = mapping(answer(exchange)).get("id")
        if isinstance(files, list) and isinstance(name, str):
            ordered[name] = files
    found: list[tuple[Exchange, list[str]]] = []
    for view in sights(exchanges, *BATCH):
        wrong = list(_counts_add_up(view.value) or ())
        store = path_of(view.exchange, context).get("vector_store_id")
        if view.value.get("vector_store_id") != store:
            shown = view.value.get("vector_store_id")
            wrong.append(f"vector_store_id: vector_store_id is {shown!r}, expected {store!r}")
        counts, files = counts_of(view.value), ordered.get(view.id)
        named_twice = files is not None and len(set(map(str, files))) != len(files)
        if counts is not None and files is not None and not named_twice and counts["total"] != len(files):
            wrong.append(f"total: file_counts.total is {counts['total']} of {len(files)} files")
        found.append((view.exchange, wrong))
    return gathered(found)


@sequence("vector_stores.batch_cancelled")
def _batch_cancelled(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    cancels = {
        path_of(one, context).get("batch_id"): one for one in done(exchanges, "cancelVectorStoreFileBatch")
    }
    for identifier, history in histories(sights(exchanges, *BATCH)).items():
        cancel = cancels.get(identifier)
        ended = [
            view for view in history if word(view.value.get("status")) not in ("in_progress", "cancelling")
        ]
        if cancel is None or not ended:
            continue
        last = max(ended, key=lambda view: view.exchange.ended)
        failed_before = any(
            view.value.get("status") == "failed" and earlier(view.exchange, cancel) for view in ended
        )
        counts, status = counts_of(last.value), last.value.get("status")
        wrong = []
        if status not in ("cancelled", "completed") and not failed_before:
            wrong.append(Violation(f"cancelled, but the batch ended {status!r}", "ended-otherwise"))
        if counts is not None and counts["in_progress"]:
            told = f"{counts['in_progress']} files of an ended batch are still in progress"
            wrong.append(Violation(told, "still-in-progress"))
        yield cancel, wrong


@sequence("vector_stores.batch_lists_its_files")
def _batch_lists_its_files(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for made in done(exchanges, "createVectorStoreFileBatch"):
        name = mapping(answer(made)).get("id")
        files = set(names_in(mapping(asked(made)).get("file_ids")))
        for page in done(exchanges, "listFilesInVectorStoreBatch"):
            if path_of(page, context).get("batch_id") != name or not earlier(made, page):
                continue
            partial = set(query_of(page)) & {"filter", "after", "before"}
            value = mapping(answer(page))
            if partial or value.get("has_more") is not False:
                continue
            if any(
                one.operation in ("deleteVectorStoreFile", "deleteFile") and not earlier(page, one)
                for one in exchanges
            ):
                continue
            shown = {word(one.get("id")) for one in listed(value)}
            told = f"the batch has {len(files)} files, its list shows {len(shown & files)} of them"
            if shown - files:
                told += f" and {len(shown - files)} others"
            yield page, PASSES if shown == files else (Violation(told, "other-files"),)
