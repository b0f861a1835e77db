"""The model behind the runs: what it will do, what it says, what that costs. Pure functions.

It repeats what it was told, writes at length when asked to (``500 words``, ``count to 1000``, an
essay), calls the tools it is forced to call, and can be named so that it fails or never ends.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from conformance.reference.core import Record

PARALLEL_CALLS = 3  # how many functions the model calls at once when it must call some
LONGEST_REPLY = 4_000  # words
ECHOED = 300  # characters of the last message that come back

_AMOUNT = re.compile(r"(\d{1,6})\s+(?:\w+\s+)?(?:words|numbers|tokens|sentences|lines|paragraphs|items)\b")
_COUNT = re.compile(r"\bcount\b.{0,60}?\bto\s+(\d{1,6})\b", re.DOTALL)
_LENGTHY = re.compile(r"\b(?:essay|at length|very long|as long as|novel|exhaustive)\b")


@dataclass(frozen=True)
class Plan:
    """What the model will do in one run, settled when the run is made."""

    text: str  # the last thing the user said
    wordy: int  # how many words are asked for; 0 for a plain answer
    prompt_tokens: int
    functions: tuple[Record, ...] = ()  # function tools to be called
    builtin: str | None = None  # code_interpreter or file_search, to be used first
    sources: tuple[str, ...] = ()  # files a search will find
    as_json: bool = False
    failing: bool = False
    endless: bool = False
    immortal: bool = False  # a fault: not even its expiry ends it


def tokens(text: str) -> int:
    """A token for about four characters, at least one for any text."""
    return (len(text) + 3) // 4


def usage(prompt_tokens: int, completion_tokens: int) -> Record:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def total_usage(usages: list[Record]) -> Record:
    """The sum; zeros for none."""
    return usage(sum(u["prompt_tokens"] for u in usages), sum(u["completion_tokens"] for u in usages))


def plan_run(run: Record, messages: list[tuple[str, str]], sources: list[str]) -> Plan:
    """The plan for a run over (role, text) messages; ``sources`` are the files a search finds."""
    kept = messages
    strategy = run["truncation_strategy"]
    if strategy["type"] == "last_messages" and strategy.get("last_messages"):
        kept = messages[-int(strategy["last_messages"]) :]
    said = [text for role, text in kept if role == "user"]
    last = said[-1] if said else ""
    instructions = run["instructions"] or ""
    functions, builtin = choose_tools(run, searchable=bool(sources))
    response_format = run["response_format"]
    return Plan(
        text=last,
        wordy=words_asked_for(last) or words_asked_for(instructions),
        prompt_tokens=tokens(instructions) + sum(tokens(text) for _, text in kept),
        functions=functions,
        builtin=builtin,
        sources=tuple(sources) if builtin == "file_search" else (),
        as_json=isinstance(response_format, dict) and response_format.get("type") == "json_object",
        failing="failing" in run["model"],
        endless="expiring" in run["model"],
    )


def choose_tools(run: Record, *, searchable: bool) -> tuple[tuple[Record, ...], str | None]:
    """Which functions to call and which built-in tool to use. The choice was checked before."""
    choice, tools = run["tool_choice"], run["tools"]
    functions = {tool["function"]["name"]: tool for tool in tools if tool["type"] == "function"}
    builtins = [tool["type"] for tool in tools if tool["type"] != "function"]
    if isinstance(choice, dict):
        if choice["type"] == "function":
            return (functions[choice["function"]["name"]],), None
        return (), str(choice["type"])
    if choice == "required":
        at_once = PARALLEL_CALLS if run["parallel_tool_calls"] else 1
        called = tuple(functions.values())[:at_once]
        return called, None if called else builtins[0]
    if choice == "auto" and searchable and "file_search" in builtins:
        return (), "file_search"
    return (), None


def words_asked_for(text: str) -> int:
    """How long an answer the text asks for, in words; 0 when it does not say."""
    lowered = text[:20_000].lower()
    amounts = [int(found) for pattern in (_AMOUNT, _COUNT) for found in pattern.findall(lowered)]
    if amounts:
        return min(max(amounts), LONGEST_REPLY)
    return 1_500 if _LENGTHY.search(lowered) else 0


def reply_text(plan: Plan, outputs: list[str]) -> tuple[str, list[Record]]:
    """The whole answer and its annotations."""
    if plan.wordy:
        text = " ".join(str(number) for number in range(1, plan.wordy + 1))
    else:
        text = f"You said: {plan.text[:ECHOED]}" if plan.text else "Hello! How can I help you today?"
    if outputs:
        text += " The tools answered: " + "; ".join(output[:ECHOED] for output in outputs)
    if plan.as_json:
        return json.dumps({"reply": text}), []
    annotations: list[Record] = []
    for number, file_id in enumerate(plan.sources[:4]):
        mark = f"【{number}†source】"
        annotations.append(
            {
                "type": "file_citation",
                "text": mark,
                "file_citation": {"file_id": file_id},
                "start_index": len(text) + 1,
                "end_index": len(text) + 1 + len(mark),
            }
        )
        text += f" {mark}"
    return text, annotations


def cut(text: str, annotations: list[Record], most: int | None) -> tuple[str, list[Record], bool]:
    """At most so many tokens of a reply, the annotations that survive, and whether it was cut."""
    if most is None or tokens(text) <= most:
        return text, annotations, False
    kept = text[: 4 * most]
    return kept, [note for note in annotations if note["end_index"] <= len(kept)], True


def call_arguments(function: Record, most: int | None) -> str:
    """Arguments for a function as JSON text, made from its parameter schema."""
    parameters = function.get("parameters")
    text = json.dumps(example(parameters, 0)) if isinstance(parameters, dict) else "{}"
    if not text.startswith("{") or (most is not None and tokens(text) > most):
        return "{}"
    return text


def example(schema: Any, depth: int) -> Any:
    """A value for a JSON schema that somebody else wrote, and that may be nonsense."""
    if not isinstance(schema, dict) or depth > 6:
        return None
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if depth == 0 else None)
    if kind == "object":
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        return {name: example(inner, depth + 1) for name, inner in list(properties.items())[:32]}
    if kind == "array":
        return [example(schema.get("items"), depth + 1)] if schema.get("minItems") else []
    plain: dict[str, Any] = {"string": "example", "integer": 1, "number": 1.5, "boolean": True}
    return plain.get(kind) if isinstance(kind, str) else None
