"""Symbols in cases: which resources a case needs, and what it looks like once they are known.

A symbol is a JSON object with one ``$`` key (``$bind``, ``$model``, ``$given``, ``$unique``,
``$time``, ``$epoch``, ``$unknown``); ``$file`` and ``$raw`` are left to the serialiser.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from conformance.model import Case

_LEFT_ALONE = frozenset({"$file", "$raw"})
_SYMBOLS = frozenset({"$bind", "$model", "$given", "$unique", "$time", "$epoch", "$unknown"})
UNKNOWN_LENGTH = 24

Lookup = Callable[[str, Any, Mapping[str, Any]], Any]


class UnboundError(Exception):
    """A symbol has no value on this target; the message says which and what to declare."""


def symbol_of(value: Any) -> tuple[str, Any] | None:
    """The symbol's name and argument when the value is one."""
    if not isinstance(value, Mapping) or not value or len(value) > 2:
        return None
    name = next(iter(value))
    if name in _SYMBOLS and set(value) <= {name, "at"}:
        return name, value[name]
    return None


def substitute(value: Any, lookup: Lookup) -> Any:
    """The value with every symbol replaced by ``lookup(name, argument, symbol)``."""
    if (symbol := symbol_of(value)) is not None:
        return lookup(symbol[0], symbol[1], value)
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value)) in _LEFT_ALONE:
            return value
        return {key: substitute(inner, lookup) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(inner, lookup) for inner in value]
    return value


def bind(case: Case, lookup: Lookup) -> Case:
    """The case with every symbol of its path, query, headers and body replaced."""
    return dataclasses.replace(
        case,
        path=substitute(dict(case.path), lookup),
        query=tuple((name, substitute(value, lookup)) for name, value in case.query),
        headers=tuple((name, substitute(value, lookup)) for name, value in case.headers),
        body=substitute(case.body, lookup),
    )


def parts_of(case: Case) -> list[Any]:
    """Every part of a case that may hold symbols."""
    return [
        dict(case.path),
        [value for _, value in case.query],
        [value for _, value in case.headers],
        case.body,
    ]


def pick(value: Any, pointer: str) -> Any:
    """Follow a dotted pointer such as ``data.0.id``; None where it leads nowhere."""
    for part in pointer.split(".") if pointer else []:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def unknown_id(argument: Any, seed: str) -> str:
    """A well-formed id that stands for nothing: of the prefix's shape, or a UUID for ``uuid``."""
    digest = hashlib.sha256(f"unknown {argument} {seed}".encode()).hexdigest()
    if argument == "uuid":
        return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    return f"{argument}{digest[:UNKNOWN_LENGTH]}"


def iso_at(offset: float) -> str:
    """RFC 3339 in UTC, ``offset`` seconds from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))
