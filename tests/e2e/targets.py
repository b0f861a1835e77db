"""Target files for a gateway that announced itself, as a user would write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Announcement = Mapping[str, Any]
TargetFile = Callable[..., str]
EVERYTHING = ("cost", "destructive", "side-effects", "undocumented-methods")
_NO_ROLES = ("realtime",)


def described(announcement: Announcement, **keys: Any) -> dict[str, Any]:
    """A target that allows everything; ``keys`` replace what it would say, or with None remove it."""
    table = {
        "name": "ours",
        "base_url": announcement["base_urls"]["data"],
        "capabilities": list(announcement["capabilities"]),
        "allow": list(EVERYTHING),
        "credentials": dict(announcement["credentials"]),
        "models": {role: name for role, name in announcement["models"].items() if role not in _NO_ROLES},
        "given": dict(announcement["given"]),
        **keys,
    }
    return {key: value for key, value in table.items() if value is not None}


def toml(table: Mapping[str, Any]) -> str:
    """Texts, numbers, lists and one or two levels of tables; JSON writes scalars as TOML does."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    inner = []
    for name, values in table.items():
        if isinstance(values, Mapping):
            pairs = [f"{json.dumps(key)} = {_inline(value)}" for key, value in values.items()]
            inner += [f"[{name}]", *pairs]
    return "\n".join([*plain, *inner]) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)
