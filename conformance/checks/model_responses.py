"""Model responses: what they say of themselves, what they repeat of the request, what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.checks.combining import life
from conformance.checks.lifecycle import same
from conformance.checks.objects import View, answer, asked
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
    same_model,
    sights,
    status_of,
    texts,
    word,
)
from conformance.checks.registry import PASSES, Context, Ruling, Undecided, Violation, sequence
from conformance.model import Exchange

Value = Mapping[str, Any]
RESPONSE = "response"
ENDED = frozenset({"completed", "failed", "incomplete"})
REASONS = frozenset({"max_output_tokens", "content_filter"})
_ECHOED = (
    "instructions",
    "temperature",
    "top_p",
    "max_output_tokens",
    "tool_choice",
    "tools",
    "truncation",
    "previous_response_id",
    "parallel_tool_calls",
)
#: What a later read must repeat of a response that had ended when it was first shown.
_STORED = ("id", "object", "created_at", "status", "model", "output", "error", "incomplete_details", "usage")

life("model_responses.life", "response")


def items_of(value: Value) -> list[Value]:
    """The output items that are objects."""
    output = value.get("output")
    return [one for one in output if isinstance(one, Mapping)] if isinstance(output, list) else []


def parts_of(item: Value) -> list[Value]:
    content = item.get("content")
    return [one for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []


def _reasons(value: Value) -> list[str] | None:
    status, error, details = value.get("status"), value.get("error"), value.get("incomplete_details")
    if value.get("deleted") is not None or not isinstance(status, str):
        return None
    wrong = []
    if (status == "failed") is not bool(error):
        wrong.append(f"error: error is {str(error)[:80]!r} while {status!r}")
    if (status == "incomplete") is not bool(details):
        wrong.append(f"incomplete_details: incomplete_details is {str(details)[:80]!r} while {status!r}")
    elif details and word(mapping(details).get("reason")) not in REASONS:
        wrong.append(f"reason: incomplete for the reason {str(mapping(details).get('reason'))[:60]!r}")
    return wrong


def _usage(value: Value) -> list[str] | None:
    usage = mapping(value.get("usage"))
    read, written, total = (usage.get(f"{name}_tokens") for name in ("input", "output", "total"))
    if not is_int(read) or not is_int(written) or not is_int(total):
        return None
    wrong = []
    if read + written != total:
        wrong.append(f"total: total_tokens is {total}, input and output make {read + written}")
    for part, whole, name in (
        ("input_tokens_details", read, "cached_tokens"),
        ("output_tokens_details", written, "reasoning_tokens"),
    ):
        some = mapping(usage.get(part)).get(name)
        if is_int(some) and not 0 <= some <= whole:
            wrong.append(f"{name}: {name} is {some} of {whole}")
    return wrong


def _joined(value: Value) -> list[str] | None:
    shown = value.get("output_text")
    if not isinstance(shown, str):
        return None
    parts = [part for item in items_of(value) if item.get("type") == "message" for part in parts_of(item)]
    text = "".join(str(part.get("text", "")) for part in parts if part.get("type") == "output_text")
    if shown == text:
        return []
    return [f"output_text: output_text has {len(shown)} characters, its parts {len(text)}, or they differ"]


def _items(value: Value) -> list[str] | None:
    items = items_of(value)
    if not items:
        return None
    names = [one["id"] for one in items if isinstance(one.get("id"), str)]
    wrong = ["twice: two output items have one id"] if len(set(names)) != len(names) else []
    roles = {str(one.get("role")) for one in items if one.get("type") == "message"} - {"assistant"}
    return wrong + [f"role: an output message has the role {one!r}" for one in sorted(roles)]


each_view("model_responses.reasons_given", _reasons, RESPONSE)
each_view("model_responses.usage_adds_up", _usage, RESPONSE)
each_view("model_responses.text_joined", _joined, RESPONSE)
each_view("model_responses.items", _items, RESPONSE)


def outcome_of(exchange: Exchange) -> View | None:
    """The response that a create ended with: its answer, or the last event that holds one."""
    return next(reversed(list(sights([exchange], RESPONSE))), None)


@sequence("model_responses.echoed")
def echoed(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for exchange in done(exchanges, "createResponse"):
        body, view = mapping(asked(exchange)), outcome_of(exchange)
        if view is None:
            continue
        wrong = [
            Violation(f"{name} is {str(view.value.get(name))[:80]!r}, asked {str(body[name])[:80]!r}", name)
            for name in _ECHOED
            if body.get(name) is not None and not holds(body[name], view.value.get(name))
        ]
        if texts(body.get("metadata")) and not same(body["metadata"], view.value.get("metadata") or {}):
            wrong.append(Violation(f"metadata is {str(view.value.get('metadata'))[:80]!r}", "metadata"))
        if not same_model(body.get("model"), view.value.get("model")):
            told = f"model is {view.value.get('model')!r}, asked for {body.get('model')!r}"
            wrong.append(Violation(told[:200], "model"))
        yield exchange, wrong


@sequence("model_responses.stored")
def stored(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for made in done(exchanges, "createResponse"):
        view = outcome_of(made)
        if view is None or word(view.value.get("status")) not in ENDED:
            continue
        kept = mapping(asked(made)).get("store") is not False
        for read in exchanges:
            if read.operation != "getResponse" or not honest(read) or not earlier(made, read):
                continue
            if path_of(read, context).get("response_id") != view.id:
                continue
            if any(
                one.operation == "deleteResponse"
                and path_of(one, context).get("response_id") == view.id
                and not earlier(read, one)
                for one in exchanges
            ):
                continue
            yield read, _read_back(view.value, read, kept)


def _read_back(first: Value, read: Exchange, kept: bool) -> Sequence[Violation] | Undecided:
    status = status_of(read)
    if not status or status == 429 or status >= 500:
        return Undecided(f"status {status}")
    if not kept:
        told = f"status {status} for a response made with store false, expected 404"
        return PASSES if status in (404, 410) else (Violation(told, "stored-all-the-same"),)
    if status != 200:
        return (Violation(f"status {status} for a stored response", f"status-{status}"),)
    value = mapping(answer(read))
    return [
        Violation(f"{name} is {str(value.get(name))[:80]!r}, was {str(first.get(name))[:80]!r}", name)
        for name in _STORED
        if name in first and name in value and not same(first[name], value[name])
    ]


# Input items


def _said(item: Value) -> tuple[str, str] | None:
    """(role, text) of a message; None for anything else."""
    content, role = item.get("content"), item.get("role")
    if item.get("type", "message") != "message" or not isinstance(role, str):
        return None
    if isinstance(content, str):
        return role, content
    parts = parts_of(item)
    if (
        not isinstance(content, list)
        or len(parts) != len(content)
        or any(not isinstance(part.get("text"), str) for part in parts)
    ):
        return None
    return role, "".join(part["text"] for part in parts)


@sequence("model_responses.input_kept")
def input_kept(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for made in done(exchanges, "createResponse"):
        body, view = mapping(asked(made)), outcome_of(made)
        given = body.get("input")
        entries = [{"role": "user", "content": given}] if isinstance(given, str) else given
        if view is None or not isinstance(entries, list) or body.get("previous_response_id"):
            continue
        wanted = [_said(one) if isinstance(one, Mapping) else None for one in entries]
        if None in wanted:
            continue
        for page in done(exchanges, "listInputItems"):
            query, value = query_of(page), mapping(answer(page))
            if path_of(page, context).get("response_id") != view.id or not earlier(made, page):
                continue
            if set(query) & {"after", "before"} or value.get("has_more") is not False:
                continue
            shown = [_said(one) for one in listed(value)]
            expected = wanted[::-1] if query.get("order") == "desc" else wanted
            told = f"input items are {str(shown)[:120]}, the input was {str(expected)[:120]}"
            yield page, PASSES if shown == expected else (Violation(told, "other-items"),)


@sequence("model_responses.results_left_out")
def results_left_out(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    found: list[tuple[Exchange, list[str]]] = []
    for exchange in done(exchanges, "createResponse"):
        view = outcome_of(exchange)
        calls = [one for one in items_of(view.value) if one.get("type") == "file_search_call"] if view else []
        if calls and not mapping(asked(exchange)).get("include"):
            told = "results: a file_search_call shows results that nobody asked to include"
            found.append((exchange, [told] if any(one.get("results") for one in calls) else []))
    return gathered(found)


@sequence("model_responses.instructions_not_inherited")
def instructions_not_inherited(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    had = {
        view.id
        for view in sights(exchanges, RESPONSE)
        if isinstance(view.value.get("instructions"), str) and view.value["instructions"]
    }
    for exchange in done(exchanges, "createResponse"):
        body, view = mapping(asked(exchange)), outcome_of(exchange)
        if view is None or body.get("instructions") or word(body.get("previous_response_id")) not in had:
            continue
        shown = view.value.get("instructions")
        told = f"instructions are {str(shown)[:80]!r}, which only the previous response was given"
        yield exchange, (Violation(told, "inherited"),) if shown else PASSES
