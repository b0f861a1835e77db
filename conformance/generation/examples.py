"""The contract's own examples as cases, their ids rebound through the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from conformance.generation.canonical import is_form
from conformance.generation.compose import Bind, rebind
from conformance.generation.dummies import holds_symbol, is_symbol
from conformance.generation.inlining import RequestShape
from conformance.generation.narrowing import Rules
from conformance.generation.validity import Validity
from conformance.model import Case, Purpose

Skipped = tuple[str, str]  # what was skipped, why


def example_cases(
    canonical: Case, shape: RequestShape, bind: Bind, rules: Rules, validity: Validity, most: int
) -> tuple[list[Case], list[Skipped]]:
    """Valid cases from the examples of an operation, and what had to be skipped.

    An example of the body is one case; the examples of all parameters together are another. An
    field that the rules drop, since it must name a thing that exists, is left out unless it is bound.
    """
    cases: list[Case] = []
    skipped: list[Skipped] = []
    base = replace(canonical, purpose=Purpose.EXAMPLE)
    for index, value in enumerate(shape.body_examples):
        label = f"body example {index}"
        if is_form(shape.media_type):
            skipped.append((label, "a form needs its files"))
            continue
        bound = sift(
            bound_example(value, canonical.body, bind), canonical.body, rules, shape.operation, "body"
        )
        case = replace(base, body=bound, has_body=True, media_type=shape.media_type, note=label)
        _keep(case, label, validity, cases, skipped)
    query = dict(base.query)
    symbols = {where.partition(":")[2]: symbol for where, symbol in bind if where.startswith("query:")}
    shown = [
        one
        for one in shape.at("query")
        if one.examples
        and one.name not in query
        and (one.name in symbols or not dropped(rules, shape.operation, f"query.{one.name}"))
    ]
    if shown:
        pairs = [pair for one in shown for pair in one.pairs(symbols.get(one.name, one.examples[0]))]
        case = replace(base, query=(*base.query, *pairs), note="parameter examples")
        _keep(case, "parameter examples", validity, cases, skipped)
    return list(islice(cases, most)), skipped


def _keep(case: Case, label: str, validity: Validity, cases: list[Case], skipped: list[Skipped]) -> None:
    problems = validity.problems(case)
    if problems:
        skipped.append((label, "; ".join(f"{one.place}: {one.message}" for one in problems)))
    elif any((one.query, one.body) == (case.query, case.body) for one in cases):
        skipped.append((label, "the same request as another example"))
    else:
        cases.append(case)


def bound_example(value: Any, canonical: Any, bind: Bind) -> Any:
    """An example with symbols in place of its ids: those of the canonical request, then those of ``bind``."""
    if isinstance(value, Mapping) and isinstance(canonical, Mapping) and not is_symbol(canonical):
        value = {
            name: _over(one, canonical[name]) if name in canonical else one for name, one in value.items()
        }
        value |= {name: one for name, one in canonical.items() if name not in value and holds_symbol(one)}
    for location, symbol in bind:
        where, _, pointer = location.partition(":")
        if where == "body":
            value, _ = rebind(value, pointer, symbol)
    return value


def dropped(rules: Rules, operation: str, place: str) -> bool:
    """Whether the rules never let a request carry this place."""
    rule = rules.at(operation, place)
    return rule is not None and rule.verb == "drop"


def sift(value: Any, canonical: Any, rules: Rules, operation: str, place: str) -> Any:
    """``value`` without the dropped fields that neither hold a symbol nor are in the canonical request."""
    if isinstance(value, Mapping) and not is_symbol(value):
        known = canonical if isinstance(canonical, Mapping) else {}
        return {
            name: sift(one, known.get(name), rules, operation, f"{place}.{name}")
            for name, one in value.items()
            if name in known or holds_symbol(one) or not dropped(rules, operation, f"{place}.{name}")
        }
    if isinstance(value, list):
        return [sift(one, None, rules, operation, f"{place}[]") for one in value]
    return value


def _over(example: Any, canonical: Any) -> Any:
    if isinstance(example, Mapping) and isinstance(canonical, Mapping) and not is_symbol(canonical):
        return {**example, **{name: one for name, one in canonical.items() if holds_symbol(one)}}
    return canonical if holds_symbol(canonical) else example
