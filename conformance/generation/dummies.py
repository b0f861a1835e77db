"""Symbols: what they are, and stand-ins for them where a request must be looked at before it is bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.contract.graph import unique_name
from conformance.contract.resources import SYMBOLS

KNOWN = SYMBOLS | {"$raw"}
LONGEST_MARK = "m" * 32
IDENTIFIER = "0b5c9c2e-6f0e-4d6a-9b0e-2f1d3c4b5a69"  # a UUID: it also fits patterns of slugs and names


def is_symbol(value: Any) -> bool:
    """Whether ``value`` is a symbol: an object with one known ``$`` key, beside it at most ``at``."""
    return isinstance(value, Mapping) and len(value) <= 2 and symbol_key(value) != ""


def symbol_key(value: Mapping[str, Any]) -> str:
    """The ``$`` key of a symbol; empty for any other object, such as a JSON Schema with ``$ref``."""
    keys = [key for key in value if key in KNOWN]
    return keys[0] if len(keys) == 1 and set(value) <= {keys[0], "at"} else ""


def symbols(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every symbol in ``value``, depth first."""
    if isinstance(value, Mapping):
        if is_symbol(value):
            yield value
            return
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from symbols(one)


def holds_symbol(value: Any) -> bool:
    """Whether a symbol stands anywhere in ``value``."""
    return next(symbols(value), None) is not None


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
