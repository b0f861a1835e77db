"""What comparing objects takes: which resource a request named, what came between, what equals what."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conformance.checks.objects import View, succeeded, views
from conformance.checks.reading import path_of, query_of
from conformance.checks.registry import PASSES, Context, Outcome, Undecided, Violation
from conformance.checks.responses import unanswered
from conformance.model import Exchange, Purpose

_UNJUDGED = frozenset({Purpose.METHOD, Purpose.INVALID, Purpose.CREDENTIAL, Purpose.UNKNOWN_ID})
_SHOWN = 80  # characters of a value in a message
_FLOAT = 1e-6  # gateways that keep single precision are honest


def honest(exchanges: Iterable[Exchange], *operations: str) -> Iterator[Exchange]:
    """Exchanges of these operations whose request was meant to be served."""
    for exchange in exchanges:
        if exchange.operation in operations and exchange.purpose not in _UNJUDGED:
            yield exchange


def served(exchanges: Iterable[Exchange], *operations: str) -> Iterator[Exchange]:
    """Those of them that were answered by a complete 2xx."""
    return (exchange for exchange in honest(exchanges, *operations) if succeeded(exchange))


def sights(exchanges: Iterable[Exchange], kind: str, *operations: str) -> Iterator[View]:
    """Views of a kind in what these operations served."""
    return views(served(exchanges, *operations), kind)


def parameters(exchange: Exchange, context: Context) -> Mapping[str, str]:
    """The path parameters of a request, by the template of its operation; empty where they do not fit."""
    return path_of(exchange, context)


def query(exchange: Exchange) -> Mapping[str, str]:
    """The query of a request; of a repeated name, the last value."""
    return query_of(exchange)


def ended_before(first: Exchange, second: Exchange) -> bool:
    """Whether one exchange was over when the other began."""
    return first.ended <= second.started


def touching(
    exchanges: Iterable[Exchange], context: Context, name: str, identifier: str, *operations: str
) -> list[Exchange]:
    """Requests of these operations on the resource ``identifier`` that may have had an effect."""
    return [
        exchange
        for exchange in exchanges
        if exchange.operation in operations
        and (exchange.response is None or exchange.response.status < 400 or exchange.response.status >= 500)
        and parameters(exchange, context).get(name) == identifier
    ]


def between(found: Iterable[Exchange], first: Exchange, second: Exchange) -> bool:
    """Whether one of these may have taken effect after ``first`` was answered and before ``second`` was."""
    return any(
        one.id not in (first.id, second.id) and one.started < second.ended and one.ended > first.started
        for one in found
    )


# equality


def shown(value: Any) -> str:
    """A value as one short piece of text."""
    try:
        text = json.dumps(value, ensure_ascii=True, default=str)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def carries(asked: Any, told: Any) -> bool:
    """Whether an answer holds what was asked: null asks for nothing, and more may be told than asked."""
    if asked is None or (asked in ([], {}) and told is None):
        return True
    if isinstance(asked, Mapping):
        return isinstance(told, Mapping) and all(carries(one, told.get(key)) for key, one in asked.items())
    if isinstance(asked, list):
        return (
            isinstance(told, list)
            and len(asked) == len(told)
            and all(carries(one, two) for one, two in zip(asked, told, strict=True))
        )
    if _number(asked) and _number(told):
        return math.isclose(asked, told, rel_tol=_FLOAT, abs_tol=_FLOAT)
    return type(asked) is type(told) and bool(asked == told)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A value without what says nothing: nulls, and what is empty once they are gone."""
    if isinstance(value, Mapping):
        inner = {key: plain(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one not in (None, {}, [])}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def differing(first: Mapping[str, Any], second: Mapping[str, Any], fields: Iterable[str]) -> list[str]:
    """The fields in which two sights differ; null, empty and absent are the same."""
    return [
        name
        for name in fields
        if (one := plain(first.get(name))) != (two := plain(second.get(name)))
        and not (one in (None, {}, []) and two in (None, {}, []))
    ]


def changed(
    first: Mapping[str, Any], second: Mapping[str, Any], fields: Iterable[str], what: str
) -> list[Violation]:
    """A violation for each field in which two sights differ; ``what`` names the two."""
    return [
        Violation(
            f"{name} is {shown(second.get(name))}, but {shown(first.get(name))} {what}", f"differs-{name}"
        )
        for name in differing(first, second, fields)
    ]


def whole(value: Any) -> int | None:
    """An integer that is one; None for everything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def not_found(exchange: Exchange, what: str) -> Outcome:
    """PASSES for a 404; undecided or silent where something else kept the answer away."""
    if (why := unanswered(exchange)) is not None:
        return why
    status = exchange.response.status if exchange.response is not None else 0
    if status == 404:
        return PASSES
    if status == 429:
        return Undecided("rate limited (429)")
    if status == 0 or status >= 500:
        return None
    return (Violation(f"status {status} for {what}, expected 404", f"status-{status}"),)


def refused(exchange: Exchange, why_invalid: str) -> Outcome:
    """PASSES for a 4xx, a violation for a 2xx on a request that had to be refused."""
    if (why := unanswered(exchange)) is not None:
        return why
    status = exchange.response.status if exchange.response is not None else 0
    if status == 429:
        return Undecided("rate limited (429)")
    if 400 <= status < 500:
        return PASSES
    if 200 <= status < 300:
        return (Violation(f"status {status}, expected a refusal: {why_invalid}", why_invalid),)
    return None


def entries(value: Any, name: str) -> list[Mapping[str, Any]]:
    """The objects in a list field; none where it is no list."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
