"""Saved prompts, rendered with variables, and completed."""

from __future__ import annotations

import json
import re
from typing import Any

from .admin.prompts import template_of
from .chat import answer
from .core import Answer, Call, EventStream, Record, Refusal, handles
from .seed import MODELS
from .validation import parse_json

VARIABLE = re.compile(r"\{\{\{?\s*([\w.-]+)\s*\}?\}\}")


def fill(template: str, variables: Record) -> str:
    """The template with ``{{name}}`` replaced; a variable nobody gave becomes nothing."""

    def value(match: re.Match[str]) -> str:
        found = variables.get(match[1], "")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return VARIABLE.sub(value, template)


def _fill_all(value: Any, variables: Record) -> Any:
    if isinstance(value, str):
        return fill(value, variables)
    if isinstance(value, list):
        return [_fill_all(one, variables) for one in value]
    if isinstance(value, dict):
        return {name: _fill_all(one, variables) for name, one in value.items()}
    return value


def _messages(text: str, variables: Record) -> list[Any]:
    try:
        parsed = parse_json(text.encode("utf-8", "replace"))
    except Refusal:
        parsed = None
    if isinstance(parsed, list) and parsed:
        return list(_fill_all(parsed, variables))
    return [{"role": "user", "content": fill(text, variables)}]


def request_of(call: Call) -> Record:
    """The chat request a prompt stands for, with this call's variables and parameters.

    Whatever a template or a caller adds that no chat request may hold is left out.
    """
    version = template_of(call.tenant, call.path["promptId"])
    fits = call.gateway.router.endpoints["createChatCompletion"].body_validator.is_valid
    text = version["string"] if isinstance(version["string"], str) else json.dumps(version["string"])
    model = str(version.get("model") or MODELS["chat"])
    request: Record = {"model": model, "messages": _messages(text, call.body["variables"])}
    if not fits(request):
        request["messages"] = [{"role": "user", "content": fill(text, call.body["variables"])}]
    stored = dict(version.get("parameters") or {})
    offered = {name: version[name] for name in ("tools", "functions", "tool_choice") if version.get(name)}
    asked = {name: one for name, one in call.body.items() if name != "variables"}
    for name, value in {**stored, **offered, **asked}.items():
        if name not in ("messages", "prompt") and fits({**request, name: value}):
            request[name] = value
    return request


@handles("createPromptRender")
def render(call: Call) -> Record:
    return {"success": True, "data": request_of(call)}


@handles("createPromptCompletion")
def complete(call: Call) -> Answer | EventStream:
    outcome = answer(call, request_of(call))
    if isinstance(outcome, EventStream):
        return outcome
    wrapped = {"status": "success", "headers": outcome.headers, "body": outcome.body}
    return Answer(wrapped, headers=outcome.headers)
