"""The model behind the gateway: deterministic text, token counts, and values of a JSON Schema."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .core import Call, Record, Refusal
from .seed import MODELS

TOKEN = re.compile(r"\s*\S{1,12}|\s+")


def tokens(text: str) -> list[str]:
    """Pieces of a text that join to it again; their number is its token count."""
    return TOKEN.findall(text)


def count(text: str) -> int:
    return len(tokens(text))


def digest(*parts: Any) -> int:
    """A stable number of any values."""
    joined = "\x1f".join(str(part) for part in parts).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")


def compose(prompt: str, index: int = 0, seed: Any = None) -> str:
    """What the model answers: the prompt's own words, turned by ``index`` and ``seed``."""
    words = prompt.split()[-24:] or ["nothing"]
    turn = (index + (digest(seed) if seed is not None else 0)) % len(words)
    turned = " ".join(words[turn:] + words[:turn])
    opening = ("You said:", "I read:", "In other words:", "To repeat:")[index % 4]
    return f"{opening} {turned}."


def cut(text: str, limit: int | None, stops: Iterable[str]) -> tuple[str, str]:
    """The text up to a stop sequence or a token limit → (text, finish reason ``stop`` or ``length``)."""
    for stop in stops:
        if stop and stop in text:
            text = text[: text.index(stop)]
    pieces = tokens(text)
    allowed = len(pieces) if limit is None else max(0, limit)
    if len(pieces) > allowed:
        return "".join(pieces[:allowed]), "length"
    return text, "stop"


def stop_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def logprob(token: str, place: int) -> float:
    return -round(0.01 + digest(token, place) % 900 / 1000, 6)


def serving(call: Call, model: Any) -> str:
    """The model's name, as asked for. Raises Refusal for the one that always fails."""
    name = str(model)
    if name == MODELS["failing"]:
        raise Refusal(424, "The model behind this name fails on purpose.", param="model", code="model_failed")
    return name


def sample(schema: Any, hint: str, root: Any = None, level: int = 0) -> Any:
    """A value that fits a JSON Schema as far as its plain keywords say; ``hint`` fills its texts."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping) or level > 12:
        return hint
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        return sample(target, hint, root, level + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(key)
        if isinstance(branches, list) and branches:
            return sample(branches[0], hint, root, level + 1)
    kind = schema.get("type", "object" if isinstance(schema.get("properties"), Mapping) else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        properties = schema.get("properties")
        fields = properties if isinstance(properties, Mapping) else {}
        return {name: sample(one, hint, root, level + 1) for name, one in list(fields.items())[:32]}
    if kind == "array":
        least = schema.get("minItems", 1)
        number = least if isinstance(least, int) and 0 <= least <= 16 else 1
        return [sample(schema.get("items", {}), hint, root, level + 1) for _ in range(number)]
    if kind in ("integer", "number"):
        least = schema.get("minimum", 1)
        value = least if isinstance(least, (int, float)) and not isinstance(least, bool) else 1
        return math.ceil(value) if kind == "integer" else value
    return {"boolean": True, "null": None}.get(str(kind), hint)


def arguments(parameters: Any, hint: str) -> Record:
    """Arguments of a function call that fit its declared parameters."""
    value = sample(parameters or {"type": "object"}, hint)
    return value if isinstance(value, dict) else {}
