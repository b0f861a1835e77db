"""Symbols are replaced wherever they stand, and nothing else is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from conformance.exercise.binding import bind, pick, substitute, symbol_of, unknown_id
from conformance.model import Case, Purpose


def _shown(name: str, argument: Any, symbol: Mapping[str, Any]) -> str:
    return f"{name}={argument}@{symbol.get('at', '')}"


def test_symbols_are_replaced_everywhere_in_a_case() -> None:
    """Path, query, headers and body, however deep; pointers reach the lookup."""
    case = Case(
        id="c",
        operation="o",
        purpose=Purpose.VALID,
        path={"id": {"$bind": "thread"}},
        query=(("after", {"$bind": "run", "at": "data.0.id"}),),
        headers=(("x-name", {"$unique": "n"}),),
        body={"list": [{"deep": {"$model": "chat"}}], "plain": 1},
        has_body=True,
    )
    bound = bind(case, _shown)
    assert bound.path == {"id": "$bind=thread@"}
    assert bound.query == (("after", "$bind=run@data.0.id"),)
    assert bound.headers == (("x-name", "$unique=n@"),)
    assert bound.body == {"list": [{"deep": "$model=chat@"}], "plain": 1}
    assert case.path == {"id": {"$bind": "thread"}}, "the case itself was changed"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"$other": 1},
        {"$bind": "a", "more": 1},
        {"$bind": "a", "at": "b", "c": 1},
        {"a": "$bind"},
        "$bind",
        3,
        None,
    ],
)
def test_what_looks_like_a_symbol_and_is_none(value: Any) -> None:
    """Ordinary objects of a body must go out as they are, also those with dollar keys."""
    assert symbol_of(value) is None
    assert substitute(value, _shown) == value


@pytest.mark.parametrize("value", [{"$file": "wav"}, {"$raw": "{"}])
def test_what_the_serialiser_replaces_is_left_alone(value: Any) -> None:
    """Files and raw bodies are not symbols of the target."""
    assert substitute({"part": value}, _shown) == {"part": value}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a": [{"b": 0}]}),
        ("a.0.b", 0),
        ("a.1.b", None),
        ("a.x", None),
        ("a.0.b.c", None),
        ("z", None),
        ("a.-1", None),
    ],
)
def test_pointers_that_lead_nowhere_are_none(pointer: str, found: Any) -> None:
    """An answer without the wanted field must not break the suite."""
    assert pick({"a": [{"b": 0}]}, pointer) == found


def test_unknown_ids_have_the_shape_of_known_ones() -> None:
    """A malformed id would be refused for its form, and prove nothing about unknown ones."""
    assert re.fullmatch(r"thread_[0-9a-f]{24}", unknown_id("thread_", "1"))
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", unknown_id("uuid", "1")
    )
    assert unknown_id("run_", "1") == unknown_id("run_", "1") != unknown_id("run_", "2")
