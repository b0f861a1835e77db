"""Shrinking: smaller, still failing, and never beyond its bound."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance.generation.shrinking import shrink, shrink_sent
from conformance.model import Case, Purpose

CASE = Case(
    id="op:valid:0",
    operation="op",
    purpose=Purpose.VALID,
    path={"thread_id": {"$bind": "thread"}},
    query=(("limit", 17), ("order", "asc")),
    body={
        "name": "a long name that does not matter",
        "metadata": {"team": "x", "stage": "y", "bad": "Grüße"},
        "list": [1, 2, 3, 4],
        "model": {"$model": "chat"},
    },
    has_body=True,
    media_type="application/json",
)


def fails(case: Case) -> bool:
    return isinstance(case.body, dict) and "bad" in case.body.get("metadata", {})


def test_what_does_not_matter_goes() -> None:
    """Only the field that makes the case fail is left."""
    small = shrink(CASE, fails, 200)
    assert small.query == ()
    assert set(small.body) == {"metadata"}
    assert set(small.body["metadata"]) == {"bad"}
    assert small.path == CASE.path


def test_it_ends_at_its_bound() -> None:
    """Each step is a request: the bound is never passed."""
    asked: list[Case] = []

    def ask(case: Case) -> bool:
        asked.append(case)
        return True

    shrink(CASE, ask, 3)
    assert len(asked) == 3
    assert shrink(CASE, ask, 0) == CASE


def test_no_step_asks_the_same_case_twice() -> None:
    """A request that was answered is not sent again."""
    asked: list[str] = []

    def ask(case: Case) -> bool:
        asked.append(repr(case))
        return fails(case)

    shrink(CASE, ask, 500)
    assert len(asked) == len(set(asked))


def test_a_case_that_stops_failing_everywhere_stays_as_it_was() -> None:
    """A flaky failure does not lose its evidence."""
    assert shrink(CASE, lambda _: False, 500) == CASE


def test_candidates_that_are_not_allowed_are_never_asked() -> None:
    """A valid case stays valid while it shrinks."""
    asked: list[Case] = []

    def ask(case: Case) -> bool:
        asked.append(case)
        return True

    small = shrink(CASE, ask, 500, allowed=lambda case: isinstance(case.body, dict) and "name" in case.body)
    assert "name" in small.body
    assert all("name" in case.body for case in asked)


def test_it_is_deterministic_and_the_same_when_sent() -> None:
    """The asynchronous way takes the same steps."""

    async def ask(case: Case) -> bool:
        return fails(case)

    assert asyncio.run(shrink_sent(CASE, ask, 40)) == shrink(CASE, fails, 40) == shrink(CASE, fails, 40)


def test_symbols_are_not_taken_apart() -> None:
    """Half a symbol cannot be bound."""
    seen: list[Any] = []

    def ask(case: Case) -> bool:
        seen.append(case.body.get("model", {"$model": "chat"}) if isinstance(case.body, dict) else None)
        return False

    shrink(CASE, ask, 500)
    assert {str(one) for one in seen} == {str({"$model": "chat"})}


def test_raw_bodies_are_left_alone() -> None:
    """Malformed text has no fields."""
    raw = Case(id="x", operation="op", purpose=Purpose.INVALID, body={"$raw": "{"}, has_body=True)
    assert shrink(raw, lambda _: True, 50) == raw
