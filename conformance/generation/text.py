"""Values as text, the way queries, headers and form fields carry them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def on_the_wire(value: Any) -> str:
    """A value as text: booleans and null as JSON spells them, objects and lists as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, list, tuple, Mapping)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def query_pairs(name: str, value: Any, *, style: str = "form", explode: bool = True) -> list[tuple[str, Any]]:
    """The pairs that carry one query parameter by its OpenAPI ``style`` and ``explode``."""
    if isinstance(value, list):
        if explode:
            return [(name, one) for one in value]
        separator = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(style, ",")
        return [(name, separator.join(on_the_wire(one) for one in value))] if value else []
    if isinstance(value, dict) and not any(key.startswith("$") for key in value):
        if style == "deepObject":
            return [(f"{name}[{key}]", one) for key, one in value.items()]
        if explode:
            return list(value.items())
        return [(name, ",".join(f"{key},{on_the_wire(one)}" for key, one in value.items()))]
    return [(name, value)]
