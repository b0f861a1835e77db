"""Assistants: create, list, read, modify, delete."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, Refusal, handles, new_id
from conformance.reference.objects import declared, deletion, metadata_of, page, public, update_metadata
from conformance.reference.tool_resources import check_tool_resources, realise_tool_resources

FAULTS = declared(
    {
        "assistant-update-clears-the-rest": "modifying an assistant clears the texts it does not name",
        "delete-keeps-assistant": "deleting an assistant answers deleted, and the assistant stays",
        "json-mode-with-any-tool": "assistants in JSON mode may have any tool",
    }
)

# What null or absence stand for.
DEFAULTS: Record = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
}


def check_response_format(response_format: Any, tools: list[Record]) -> None:
    """JSON mode leaves room for function tools only."""
    wants_json = isinstance(response_format, dict) and response_format.get("type") == "json_object"
    if wants_json and any(tool["type"] != "function" for tool in tools):
        message = "response_format json_object can only be used with function tools."
        raise Refusal(400, message, param="response_format", code="invalid_value")


def defaulted(body: Record, field: str) -> Any:
    value = body.get(field)
    return DEFAULTS[field] if value is None else value


@handles("createAssistant")
def create(call: Call) -> Record:
    body: Record = call.body
    metadata = metadata_of(body.get("metadata"))
    check_tool_resources(call, body.get("tool_resources"))
    if not call.fault("json-mode-with-any-tool"):
        check_response_format(body.get("response_format"), defaulted(body, "tools"))
    assistant: Record = {
        "id": new_id("asst_"),
        "object": "assistant",
        "created_at": call.gateway.now(),
        "model": body["model"],
        **{field: defaulted(body, field) for field in DEFAULTS},
        "tool_resources": realise_tool_resources(call, body.get("tool_resources")),
        "metadata": metadata,
    }
    call.tenant.of("assistants")[assistant["id"]] = assistant
    return public(assistant)


@handles("listAssistants")
def list_assistants(call: Call) -> Record:
    return page(call, call.tenant.of("assistants").values())


@handles("getAssistant")
def get(call: Call) -> Record:
    return public(assistant_of(call))


@handles("modifyAssistant")
def modify(call: Call) -> Record:
    """Change what the request carries; runs made before keep what they were made with."""
    assistant, body = assistant_of(call), call.body or {}
    metadata_of(body.get("metadata"))
    check_tool_resources(call, body.get("tool_resources"))
    changed = {field: defaulted(body, field) for field in DEFAULTS if field in body}
    if call.fault("assistant-update-clears-the-rest"):
        changed = {"description": None, "instructions": None, **changed}
    after = {**assistant, **changed}
    check_response_format(after["response_format"], after["tools"])
    if "model" in body:
        changed["model"] = body["model"]
    if "tool_resources" in body:
        changed["tool_resources"] = realise_tool_resources(call, body["tool_resources"])
    assistant.update(changed)
    update_metadata(call, assistant)
    return public(assistant)


@handles("deleteAssistant")
def delete(call: Call) -> Record:
    assistant = assistant_of(call)
    if not call.fault("delete-keeps-assistant"):
        del call.tenant.of("assistants")[assistant["id"]]
    return deletion(assistant["id"], "assistant.deleted")


def assistant_of(call: Call) -> Record:
    """The assistant the path names, or an honest 404."""
    return call.tenant.get("assistants", call.path["assistant_id"], "assistant")
