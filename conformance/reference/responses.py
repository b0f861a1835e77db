"""Responses: stored answers with their input items, tool calls, and ordered event streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from .chat import content_text
from .core import Answer, Call, EventStream, Record, Tenant, handles, new_id, not_found
from .faults import declare
from .objects import page
from .streams import each
from .text import arguments, compose, count, cut, sample, serving, tokens
from .usage import finish

STORED = "responses"
INHERITS = declare("instructions-inherited", "instructions of a previous response hold for the next one")
STORES_ALL = declare("response-stored-regardless", "a response made with store false is stored all the same")
FORCED = {
    "file_search": "file_search",
    "web_search_preview": "web_search",
    "computer_use_preview": "computer",
}


def input_items(value: Any) -> list[Record]:
    """The request's input as item resources, each with an id."""
    if isinstance(value, str):
        return [_user_message([{"type": "input_text", "text": value}], "user")]
    items = (_item(one) for one in value)
    return [one for one in items if one is not None]


def _user_message(content: list[Record], role: str) -> Record:
    return {"id": new_id("msg_"), "type": "message", "status": "completed", "role": role, "content": content}


def _item(one: Record) -> Record | None:
    if "role" in one and "content" in one and one.get("type", "message") == "message":
        content = one["content"]
        if one["role"] != "assistant":
            parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
            return _user_message(list(parts), one["role"])
        if isinstance(content, str):
            said = [{"type": "output_text", "text": content, "annotations": []}]
        else:
            said = [_said(part) for part in content]
        return _user_message(said, "assistant")
    if one.get("type") in (None, "item_reference", "reasoning"):
        return None  # the contract's list of items has no place for these
    return {**one, "id": one.get("id") or new_id("item_")}


def _said(part: Record) -> Record:
    if part.get("type") in ("output_text", "refusal"):
        return part
    return {
        "type": "output_text",
        "text": str(part.get("text") or part.get("filename") or ""),
        "annotations": [],
    }


def prompt_of(items: list[Record]) -> str:
    """The text of the last item that has any."""
    for item in reversed(items):
        text = content_text(item.get("content")) or str(item.get("output") or "")
        if isinstance(item.get("output"), dict):
            continue
        if text:
            return text
    return ""


def _chosen_tool(body: Record, prompt: str, items: list[Record]) -> Record | None:
    tools: list[Record] = body.get("tools") or []
    choice = body.get("tool_choice", "auto")
    if not tools or choice == "none":
        return None
    if isinstance(choice, dict):
        kind = choice["type"]
        if kind == "function":
            return next((one for one in tools if one.get("name") == choice.get("name")), None)
        return next((one for one in tools if one["type"].startswith(FORCED.get(kind, kind))), None)
    if choice == "required":
        return tools[0]
    if items and str(items[-1].get("type", "")).endswith("_output"):
        return None
    return next((one for one in tools if one["type"] == "function" and one["name"] in prompt), None)


def _tool_item(tool: Record, prompt: str) -> Record:
    kind = tool["type"]
    if kind == "function":
        written = json.dumps(arguments(tool.get("parameters"), prompt[:40] or "value"), ensure_ascii=False)
        return {
            "id": new_id("fc_"),
            "type": "function_call",
            "call_id": new_id("call_"),
            "name": tool["name"],
            "arguments": written,
            "status": "completed",
        }
    if kind == "file_search":
        queries = [prompt[:200] or "everything"]
        return {
            "id": new_id("fs_"),
            "type": "file_search_call",
            "status": "completed",
            "queries": queries,
            "results": None,
        }
    if kind.startswith("web_search"):
        return {"id": new_id("ws_"), "type": "web_search_call", "status": "completed"}
    return {
        "id": new_id("cu_"),
        "type": "computer_call",
        "call_id": new_id("call_"),
        "action": {"type": "screenshot"},
        "pending_safety_checks": [],
        "status": "completed",
    }


def _output(body: Record, items: list[Record]) -> tuple[list[Record], str]:
    """Output items, and ``stop`` or ``length``."""
    prompt = prompt_of(items)
    tool = _chosen_tool(body, prompt, items)
    output = [] if tool is None else [_tool_item(tool, prompt)]
    if tool is not None and tool["type"] == "function":
        return output, "stop"
    shape = (body.get("text") or {}).get("format") or {}
    text = compose(prompt)
    if shape.get("type") == "json_object":
        text = json.dumps({"answer": text}, ensure_ascii=False)
    elif shape.get("type") == "json_schema":
        text = json.dumps(sample(shape.get("schema") or {}, text[:40]), ensure_ascii=False)
    text, reason = cut(text, body.get("max_output_tokens"), ())
    part = {"type": "output_text", "text": text, "annotations": []}
    status = "completed" if reason == "stop" else "incomplete"
    message = {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "content": [part],
        "status": status,
    }
    return [*output, message], reason


def _spent(items: list[Record]) -> int:
    return sum(count(content_text(one.get("content")) + str(one.get("arguments", ""))) for one in items)


def build(call: Call, body: Record) -> tuple[Record, list[Record]]:
    """The response object and its input items. Raises Refusal(404) for an unknown previous response."""
    before: list[Record] = []
    previous = body.get("previous_response_id")
    if previous is not None:
        earlier = _stored(call.tenant, previous)
        before = [*earlier["items"], *earlier["response"]["output"]]
        if call.fault(INHERITS) and body.get("instructions") is None:
            body = {**body, "instructions": earlier["response"]["instructions"]}
    items = input_items(body["input"])
    output, reason = _output(body, items)
    read, written = _spent([*before, *items]) + count(body.get("instructions") or ""), _spent(output)
    texts = [part["text"] for one in output if one["type"] == "message" for part in one["content"]]
    parallel = body.get("parallel_tool_calls")
    response: Record = {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": call.gateway.now(),
        "status": "completed" if reason == "stop" else "incomplete",
        "error": None,
        "incomplete_details": None if reason == "stop" else {"reason": "max_output_tokens"},
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": serving(call, body["model"]),
        "output": output,
        "output_text": "".join(texts),
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": previous,
        "reasoning": body.get("reasoning") or {"effort": None, "generate_summary": None},
        "store": body.get("store") is not False,
        "temperature": 1 if body.get("temperature") is None else body["temperature"],
        "text": {"format": {"type": "text"}, **(body.get("text") or {})},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
        "user": body.get("user"),
    }
    return response, items


def events(response: Record) -> Iterator[tuple[str, Record]]:
    """The stream of a response: created, its items piece by piece, and how it ended; numbered in order."""
    for number, event in enumerate(_events(response)):
        yield event["type"], {**event, "sequence_number": number}


def _events(response: Record) -> Iterator[Record]:
    early = {
        **response,
        "status": "in_progress",
        "output": [],
        "output_text": None,
        "incomplete_details": None,
    }
    del early["usage"]
    yield {"type": "response.created", "response": early}
    yield {"type": "response.in_progress", "response": early}
    for index, item in enumerate(response["output"]):
        at = {"item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        if item["type"] == "message":
            yield from _text_events(item, at)
        elif item["type"] == "function_call":
            for piece in tokens(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
            done = "response.function_call_arguments.done"
            yield {"type": done, **at, "arguments": item["arguments"]}
        elif item["type"] in ("file_search_call", "web_search_call"):
            for step in ("in_progress", "searching", "completed"):
                yield {"type": f"response.{item['type']}.{step}", **at}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def _begun(item: Record) -> Record:
    empty: Record = {"content": []} if item["type"] == "message" else {}
    empty |= {"arguments": ""} if item["type"] == "function_call" else {}
    return {**item, **empty, "status": "in_progress"}


def _text_events(item: Record, at: Record) -> Iterator[Record]:
    for place, part in enumerate(item["content"]):
        here = {**at, "content_index": place}
        yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
        for piece in tokens(part["text"]):
            yield {"type": "response.output_text.delta", **here, "delta": piece}
        yield {"type": "response.output_text.done", **here, "text": part["text"]}
        yield {"type": "response.content_part.done", **here, "part": part}


def _stored(tenant: Tenant, identifier: str) -> Record:
    found = tenant.of(STORED).get(identifier)
    if found is None:
        raise not_found("response", identifier)
    return found


@handles("createResponse")
def create_response(call: Call) -> Answer | EventStream:
    started = time.perf_counter()
    response, items = build(call, call.body)
    if response["store"] or call.fault(STORES_ALL):
        call.tenant.of(STORED)[response["id"]] = {"response": response, "items": items}
    usage = response["usage"]
    headers = finish(
        call,
        response,
        model=response["model"],
        prompt=usage["input_tokens"],
        completion=usage["output_tokens"],
        started=started,
    )
    if call.body.get("stream"):
        return EventStream(each(events(response)), headers)
    return Answer(response, headers=headers)


@handles("getResponse")
def get_response(call: Call) -> Any:
    return _stored(call.tenant, call.path["response_id"])["response"]


@handles("deleteResponse")
def delete_response(call: Call) -> Record:
    identifier = call.path["response_id"]
    _stored(call.tenant, identifier)
    del call.tenant.of(STORED)[identifier]
    return {"id": identifier, "object": "response", "deleted": True}


@handles("listInputItems")
def list_input_items(call: Call) -> Record:
    order = "desc" if call.fault("input-items-newest-first") else "asc"
    return page(call, _stored(call.tenant, call.path["response_id"])["items"], order=order)
