"""Assistants and threads: what is made is what was asked for, changes as told, and goes when deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.checks.comparing import (
    between,
    carries,
    changed,
    ended_before,
    entries,
    honest,
    parameters,
    query,
    refused,
    served,
    shown,
    sights,
    touching,
    whole,
)
from conformance.checks.objects import View, answer, asked, succeeded
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.model import Exchange

_ECHOED = (
    "model",
    "name",
    "description",
    "instructions",
    "tools",
    "metadata",
    "temperature",
    "top_p",
    "response_format",
)
_CONSTANT = ("id", "object", "created_at")
_TEXT_LIMITS = {"name": 256, "description": 512, "instructions": 256_000}
_MOST_TOOLS = 128
#: Where tool resources hold lists, and how long each may be.
_RESOURCE_LIMITS = (
    ("code_interpreter", "file_ids", 20),
    ("file_search", "vector_store_ids", 1),
    ("file_search", "vector_stores", 1),
)


def same_model(wanted: Any, told: Any) -> bool:
    """Gateways put a provider before a model's name, providers a date behind it."""
    if not isinstance(wanted, str) or not isinstance(told, str):
        return False
    one, two = wanted.rsplit("/", 1)[-1], told.rsplit("/", 1)[-1]
    return one == two or two.startswith(f"{one}-")


def _echoes(field: str, wanted: Any, told: Any) -> bool:
    if wanted is None or wanted == "":
        return True
    if field == "model":
        return same_model(wanted, told)
    if field == "response_format" and wanted == "auto":
        return told in (None, "auto") or carries({"type": "text"}, told)
    return carries(wanted, told)


def unlike(wanted: Mapping[str, Any], told: Mapping[str, Any], fields: Sequence[str]) -> list[Violation]:
    """A violation for each field that does not show what was asked for."""
    return [
        Violation(f"{one} is {shown(told.get(one))}, asked for {shown(wanted[one])}", f"echo-{one}")
        for one in fields
        if one in wanted and not _echoes(one, wanted[one], told.get(one))
    ]


def creations(
    exchanges: Sequence[Exchange], operation: str
) -> dict[str, tuple[Exchange, Mapping[str, Any], Mapping[str, Any]]]:
    """What an operation made, by id: the exchange, what was asked, what was answered."""
    found = {}
    for exchange in served(exchanges, operation):
        wanted, told = asked(exchange), answer(exchange)
        wanted = {} if wanted is None else wanted
        if isinstance(wanted, Mapping) and isinstance(told, Mapping) and isinstance(told.get("id"), str):
            found[told["id"]] = (exchange, wanted, told)
    return found


# assistants


@sequence("assistants.round_trip")
def assistant_round_trip(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """What was asked for is answered, read, and listed, as long as nobody modified it."""
    made = creations(exchanges, "createAssistant")
    for exchange, wanted, told in made.values():
        yield exchange, unlike(wanted, told, _ECHOED)
    changes = {
        one: touching(exchanges, context, "assistant_id", one, "modifyAssistant", "deleteAssistant")
        for one in made
    }
    for view in sights(exchanges, "assistant", "getAssistant", "listAssistants"):
        if view.id not in made:
            continue
        creation, wanted, _ = made[view.id]
        if ended_before(creation, view.exchange) and not between(changes[view.id], creation, view.exchange):
            yield view.exchange, unlike(wanted, view.value, _ECHOED)
    for exchange in served(exchanges, "listAssistants"):
        for one, (creation, _, told) in made.items():
            known = ended_before(creation, exchange) and not between(changes[one], creation, exchange)
            if known and must_list(exchange, one, told.get("created_at")):
                yield exchange, (Violation(f"{one} was created, and is not in the list", "not-listed"),)


def must_list(exchange: Exchange, identifier: str, created_at: Any) -> bool:
    """Whether a list lacks what it had to show: a first page that is whole, or goes further back."""
    page, sent = answer(exchange), query(exchange)
    if not isinstance(page, Mapping) or "after" in sent or "before" in sent:
        return False
    listed = entries(page, "data")
    if any(one.get("id") == identifier for one in listed):
        return False
    if page.get("has_more") is False:
        return True
    oldest = whole(listed[-1].get("created_at")) if listed else None
    born = whole(created_at)
    return sent.get("order") == "desc" and oldest is not None and born is not None and oldest < born


@sequence("assistants.modified")
def assistant_modified(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A modification changes what it names and nothing else, and stays."""
    seen = list(sights(exchanges, "assistant", "createAssistant", "getAssistant", "modifyAssistant"))
    for exchange in served(exchanges, "modifyAssistant"):
        wanted, told = asked(exchange), answer(exchange)
        identifier = parameters(exchange, context).get("assistant_id", "")
        if not isinstance(wanted, Mapping) or not isinstance(told, Mapping):
            continue
        changes = touching(exchanges, context, "assistant_id", identifier, "modifyAssistant")
        found = unlike(wanted, told, _ECHOED)
        earlier = latest(seen, identifier, exchange, changes)
        kept = [one for one in (*_CONSTANT, *_ECHOED, "tool_resources") if one not in wanted]
        if "tools" in wanted and "tool_resources" in kept:  # a tool that goes may take its resources along
            kept.remove("tool_resources")
        if earlier is not None:
            found += changed(earlier.value, told, kept, "before the modification")
        yield exchange, found
        for view in seen:
            if view.id != identifier or view.exchange.operation != "getAssistant":
                continue
            if ended_before(exchange, view.exchange) and not between(changes, exchange, view.exchange):
                yield (
                    view.exchange,
                    changed(told, view.value, (*_CONSTANT, *_ECHOED), "in the answer to the modification"),
                )


def latest(
    seen: Sequence[View], identifier: str, exchange: Exchange, changes: Sequence[Exchange]
) -> View | None:
    """The last sight before an exchange that nothing may have overtaken."""
    earlier = [view for view in seen if view.id == identifier and ended_before(view.exchange, exchange)]
    last = max(earlier, key=lambda view: view.exchange.ended, default=None)
    return None if last is None or between(changes, last.exchange, exchange) else last


@check("assistants.limits")
def assistant_limits(exchange: Exchange, context: Context) -> Outcome:
    """Requests beyond the documented sizes are refused, whatever they were sent for."""
    wanted = asked(exchange) if exchange.operation in ("createAssistant", "modifyAssistant") else None
    if not isinstance(wanted, Mapping):
        return None
    for field, most in _TEXT_LIMITS.items():
        value = wanted.get(field)
        if isinstance(value, str) and len(value) > most:
            return refused(exchange, f"{field} longer than {most}")
    tools = wanted.get("tools")
    if isinstance(tools, list) and len(tools) > _MOST_TOOLS:
        return refused(exchange, f"more than {_MOST_TOOLS} tools")
    return None


@sequence("assistants.runs_keep")
def runs_keep(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A run goes on with what it was made with when its assistant is modified."""
    runs = list(
        sights(exchanges, "thread.run", "createRun", "createThreadAndRun", "getRun", "listRuns", "modifyRun")
    )
    for change in served(exchanges, "modifyAssistant"):
        identifier = parameters(change, context).get("assistant_id")
        for view in runs:
            if view.exchange.operation != "getRun" or not ended_before(change, view.exchange):
                continue
            earlier = [one for one in runs if one.id == view.id and ended_before(one.exchange, change)]
            if earlier and view.value.get("assistant_id") == identifier:
                fields = ("model", "instructions", "tools")
                yield (
                    view.exchange,
                    changed(earlier[-1].value, view.value, fields, "before its assistant was modified"),
                )


@check("assistants.json_mode_tools")
def json_mode_tools(exchange: Exchange, context: Context) -> Outcome:
    """JSON mode goes with function tools only."""
    wanted = asked(exchange) if exchange.operation == "createAssistant" else None
    if not isinstance(wanted, Mapping) or not isinstance(wanted.get("tools"), list):
        return None
    mode = wanted.get("response_format")
    kinds = {str(tool.get("type")) for tool in entries(wanted, "tools")}
    if isinstance(mode, Mapping) and mode.get("type") == "json_object" and kinds - {"function"}:
        return refused(exchange, "json_object with a tool that is no function")
    return None


# threads


def _attaches(exchanges: Sequence[Exchange], context: Context, thread: str, wanted: Any) -> bool:
    """Whether messages lend files to a thread, which may show in its resources."""
    bodies = [
        asked(one)
        for one in exchanges
        if one.operation in ("createMessage", "createRun")
        and parameters(one, context).get("thread_id") == thread
    ]
    messages = [*entries(wanted, "messages"), *(one for one in bodies if isinstance(one, Mapping))]
    for body in bodies:
        messages += entries(body, "additional_messages")
    return any(one.get("attachments") for one in messages)


@sequence("threads.round_trip")
def thread_round_trip(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    made = creations(exchanges, "createThread")
    for identifier, (creation, wanted, told) in made.items():
        lends = _attaches(exchanges, context, identifier, wanted)
        echoed = unlike(wanted, told, ("metadata",))
        resources = wanted.get("tool_resources")
        if not lends and isinstance(resources, Mapping):
            echoed += _resources_unlike(resources, told.get("tool_resources"))
        yield creation, echoed
        changes = touching(exchanges, context, "thread_id", identifier, "modifyThread", "deleteThread")
        fields = (*_CONSTANT, "metadata", *(() if lends else ("tool_resources",)))
        for view in sights(exchanges, "thread", "getThread"):
            if (
                view.id == identifier
                and ended_before(creation, view.exchange)
                and not between(changes, creation, view.exchange)
            ):
                yield view.exchange, changed(told, view.value, fields, "when it was created")


def _resources_unlike(wanted: Mapping[str, Any], told: Any) -> list[Violation]:
    found = []
    for tool, name, _ in _RESOURCE_LIMITS[:2]:
        given, held = (_inside(one, tool, name) for one in (wanted, told))
        if given and (not isinstance(held, list) or {*map(str, given)} != {*map(str, held)}):
            text = f"tool_resources.{tool}.{name} is {shown(held)}, asked for {shown(given)}"
            found.append(Violation(text, f"echo-{name}"))
    return found


def _inside(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@sequence("threads.modified")
def thread_modified(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """New metadata is there at once and afterwards; identity stays."""
    seen = list(sights(exchanges, "thread", "createThread", "getThread", "modifyThread"))
    for exchange in served(exchanges, "modifyThread"):
        told, body = answer(exchange), asked(exchange)
        wanted = body.get("metadata") if isinstance(body, Mapping) else None
        identifier = parameters(exchange, context).get("thread_id", "")
        if not isinstance(told, Mapping):
            continue
        found = _persisted(wanted, told)
        for view in seen:
            if view.id == identifier and ended_before(view.exchange, exchange):
                found += changed(view.value, told, _CONSTANT, "before the modification")
                break
        if told.get("id") != identifier:
            found.append(Violation(f"id is {shown(told.get('id'))}, modified was {identifier}", "other-id"))
        yield exchange, found
        changes = touching(exchanges, context, "thread_id", identifier, "modifyThread")
        for view in seen:
            if (
                view.exchange.operation == "getThread"
                and view.id == identifier
                and ended_before(exchange, view.exchange)
                and not between(changes, exchange, view.exchange)
            ):
                kept = changed(told, view.value, _CONSTANT, "in the answer to the modification")
                yield view.exchange, [*_persisted(wanted, view.value), *kept]


def _persisted(wanted: Any, told: Mapping[str, Any]) -> list[Violation]:
    if not isinstance(wanted, Mapping) or carries(wanted, told.get("metadata")):
        return []
    return [
        Violation(
            f"metadata is {shown(told.get('metadata'))}, modified to {shown(wanted)}", "metadata-not-kept"
        )
    ]


@sequence("threads.vector_store_helper")
def vector_store_helper(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """A store described with a thread exists afterwards, under the id that the thread shows."""
    for creation, wanted, told in creations(exchanges, "createThread").values():
        if not _inside(wanted, "tool_resources", "file_search", "vector_stores"):
            continue
        ids = _inside(told, "tool_resources", "file_search", "vector_store_ids")
        if not isinstance(ids, list) or not ids:
            yield creation, (Violation("a vector store was asked for; no id of one is shown", "no-store"),)
            continue
        yield creation, PASSES
        for exchange in honest(exchanges, "getVectorStore"):
            identifier = parameters(exchange, context).get("vector_store_id", "")
            gone = touching(exchanges, context, "vector_store_id", identifier, "deleteVectorStore")
            if identifier not in ids or not ended_before(creation, exchange) or exchange.response is None:
                continue
            if between(gone, creation, exchange):
                continue
            status = exchange.response.status
            if succeeded(exchange):
                yield exchange, PASSES
            elif status in (403, 404):
                yield exchange, (Violation(f"status {status} for the store made with a thread", "no-store"),)


@check("threads.resource_limits")
def resource_limits(exchange: Exchange, context: Context) -> Outcome:
    """Tool resources beyond the documented numbers are refused."""
    if exchange.operation not in ("createThread", "modifyThread", "createAssistant"):
        return None
    for tool, name, most in _RESOURCE_LIMITS:
        value = _inside(asked(exchange), "tool_resources", tool, name)
        if isinstance(value, list) and len(value) > most:
            return refused(exchange, f"more than {most} {name}")
    return None


@sequence("threads.initial_messages")
def initial_messages(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The oldest messages of a thread are those it was made with, in their order."""
    made = creations(exchanges, "createThread")
    for exchange in served(exchanges, "listMessages"):
        identifier, sent = parameters(exchange, context).get("thread_id", ""), query(exchange)
        if identifier not in made or sent.get("order") != "asc" or {"after", "before", "run_id"} & set(sent):
            continue
        creation, wanted, _ = made[identifier]
        first = entries(wanted, "messages")
        changes = touching(exchanges, context, "thread_id", identifier, "deleteMessage")
        if first and ended_before(creation, exchange) and not between(changes, creation, exchange):
            yield exchange, _in_order(first, answer(exchange), sent.get("limit"))


def _in_order(first: Sequence[Mapping[str, Any]], page: Any, limit: str | None) -> list[Violation]:
    most = int(limit) if limit is not None and limit.isdigit() and len(limit) < 9 else len(first)
    listed = entries(page, "data")
    expected = [(one.get("role"), parts(one.get("content"))) for one in first[:most]]
    told = [(one.get("role"), parts(one.get("content"))) for one in listed[: len(expected)]]
    if told == expected:
        return []
    return [
        Violation(f"the thread begins with {shown(told)}, made with {shown(expected)}", "initial-messages")
    ]


def parts(content: Any) -> list[tuple[Any, Any]]:
    """Message content as pairs of type and value, whether it is asked for or told."""
    if isinstance(content, str):
        return [("text", content)]
    found = []
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, Mapping) else None
        inner = part.get(kind) if isinstance(kind, str) else None
        if isinstance(inner, Mapping):
            inner = next((inner[name] for name in ("value", "file_id", "url") if name in inner), None)
        found.append((kind, inner))
    return found
