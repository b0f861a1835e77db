"""Makes a failing case smaller, one request a step, within a bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from conformance.generation.dummies import is_symbol
from conformance.model import Case

Steps = Generator[Case, bool, Case]


def shrink(
    case: Case,
    still_fails: Callable[[Case], bool],
    max_steps: int,
    *,
    allowed: Callable[[Case], bool] = lambda _: True,
) -> Case:
    """The smallest case found that still fails, after at most ``max_steps`` calls of ``still_fails``.

    ``allowed`` (see ``Corpus.keeps_purpose``) rules out candidates without a request. Deterministic
    as far as ``still_fails`` is.
    """
    steps = candidates(case, allowed)
    best, answer = case, None
    for _ in range(max_steps):
        try:
            candidate = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return end.value if isinstance(end.value, Case) else best
        answer = still_fails(candidate)
        best = candidate if answer else best
    return best


async def shrink_sent(
    case: Case,
    still_fails: Callable[[Case], Awaitable[bool]],
    max_steps: int,
    *,
    allowed: Callable[[Case], bool] = lambda _: True,
) -> Case:
    """``shrink`` for a ``still_fails`` that sends the candidate and awaits the answer."""
    steps = candidates(case, allowed)
    best, answer = case, None
    for _ in range(max_steps):
        try:
            candidate = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return end.value if isinstance(end.value, Case) else best
        answer = await still_fails(candidate)
        best = candidate if answer else best
    return best


def candidates(case: Case, allowed: Callable[[Case], bool] = lambda _: True) -> Steps:
    """Yields smaller cases, takes whether each still fails, returns the smallest that does.

    Whole fields go first, then list items, then sizes; after a success it starts again from there.
    """
    best, tried = case, {repr(case)}
    progress = True
    while progress:
        progress = False
        for candidate in _smaller(best):
            mark = repr(candidate)
            if mark in tried or not allowed(candidate):
                continue
            tried.add(mark)
            if (yield candidate):
                best, progress = candidate, True
                break
    return best


def _smaller(case: Case) -> Iterator[Case]:
    yield from (replace(case, query=one) for one in _without_one(case.query))
    yield from (replace(case, headers=one) for one in _without_one(case.headers))
    if not case.has_body or (isinstance(case.body, dict) and "$raw" in case.body):
        return
    yield from (replace(case, body=one) for one in _reduced(case.body))
    for index, (name, value) in enumerate(case.query):
        for simple in _simpler(value):
            yield replace(case, query=(*case.query[:index], (name, simple), *case.query[index + 1 :]))


def _without_one(pairs: tuple[tuple[str, Any], ...]) -> Iterator[tuple[tuple[str, Any], ...]]:
    if len(pairs) > 1:
        yield ()
    for index in range(len(pairs)):
        yield (*pairs[:index], *pairs[index + 1 :])


def _reduced(value: Any) -> Iterator[Any]:
    if is_symbol(value):
        return
    if isinstance(value, dict):
        names = list(value)
        if len(names) > 3:  # halves first: most failures need one field of many
            half = len(names) // 2
            yield {name: value[name] for name in names[:half]}
            yield {name: value[name] for name in names[half:]}
        for name in names:
            yield {other: one for other, one in value.items() if other != name}
        for name in names:
            for one in _reduced(value[name]):
                yield {**value, name: one}
    elif isinstance(value, list):
        if len(value) > 1:
            yield value[: len(value) // 2]
        for index in range(len(value)):
            yield [*value[:index], *value[index + 1 :]]
        for index, inner in enumerate(value):
            for one in _reduced(inner):
                yield [*value[:index], one, *value[index + 1 :]]
    else:
        yield from _simpler(value)


def _simpler(value: Any) -> Iterator[Any]:
    if isinstance(value, str) and len(value) > 1:
        yield value[: len(value) // 2]
        if not value.isascii():
            yield "a"
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1):
        yield from (0, 1)
        if isinstance(value, float):
            yield round(value)
