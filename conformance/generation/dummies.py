"""Symbols: what they are, and stand-ins for them where a request must be looked at before it is bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.contract.graph import unique_name

LONGEST_MARK = "m" * 32
IDENTIFIER = "0b5c9c2e-6f0e-4d6a-9b0e-2f1d3c4b5a69"  # a UUID: it also fits patterns of slugs and names


def is_symbol(value: Any) -> bool:
    """Whether ``value`` is a symbol: an object with one ``$`` key, beside it at most ``at``."""
    return isinstance(value, Mapping) and len(value) <= 2 and symbol_key(value) != ""


def symbol_key(value: Mapping[str, Any]) -> str:
    keys = [key for key in value if isinstance(key, str) and key.startswith("$")]
    return keys[0] if len(keys) == 1 and set(value) <= {keys[0], "at"} else ""


def holds_symbol(value: Any) -> bool:
    """Whether a symbol stands anywhere in ``value``."""
    if isinstance(value, Mapping):
        return is_symbol(value) or any(holds_symbol(one) for one in value.values())
    return isinstance(value, (list, tuple)) and any(holds_symbol(one) for one in value)


def dummy(value: Any) -> Any:
    """``value`` with a plausible plain value in place of every symbol; ``$raw`` stays as it is."""
    if isinstance(value, Mapping):
        if is_symbol(value):
            return _stand_in(symbol_key(value), value)
        return {key: dummy(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [dummy(one) for one in value]
    return value


def _stand_in(key: str, symbol: Mapping[str, Any]) -> Any:
    if key == "$raw":
        return dict(symbol)
    if key == "$model":
        return "model-1"
    if key == "$unique":
        return unique_name(str(symbol[key]), LONGEST_MARK)
    if key == "$time":
        return "2030-01-01T00:00:00Z"
    if key == "$epoch":
        return 1_893_456_000
    if key == "$file":
        return "content"
    if key == "$unknown":
        return f"{symbol[key]}{IDENTIFIER}" if symbol[key] != "uuid" else IDENTIFIER
    return IDENTIFIER
