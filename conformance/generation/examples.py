"""The contract's own examples as cases, their ids rebound through the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from conformance.generation.canonical import is_form, is_security_header
from conformance.generation.compose import Bind, rebind
from conformance.generation.dummies import holds_symbol, is_symbol
from conformance.generation.inlining import RequestShape
from conformance.generation.validity import Validity
from conformance.model import Case, Purpose

Skipped = tuple[str, str]  # what was skipped, why


def example_cases(
    canonical: Case, shape: RequestShape, bind: Bind, validity: Validity, most: int
) -> tuple[list[Case], list[Skipped]]:
    """Valid cases from the examples of an operation, and what had to be skipped.

    An example of the body is one case; the examples of all parameters together are another. An
    optional field that names a thing the graph cannot produce is left out of the case.
    """
    cases: list[Case] = []
    skipped: list[Skipped] = []
    base = replace(canonical, purpose=Purpose.EXAMPLE)
    for index, value in enumerate(shape.body_examples):
        label = f"body example {index}"
        if is_form(shape.media_type):
            skipped.append((label, "a form needs its files"))
            continue
        bound = bound_example(value, canonical.body, bind)
        case = replace(base, body=bound, has_body=True, media_type=shape.media_type, note=label)
        _keep(case, label, validity, cases, skipped)
    query = dict(base.query)
    shown = {
        one.name: one.examples[0]
        for one in shape.at("query")
        if one.examples and one.name not in query and not is_security_header(one.name)
    }
    symbols = {where.partition(":")[2]: symbol for where, symbol in bind if where.startswith("query:")}
    if shown:
        pairs = [(name, symbols.get(name, value)) for name, value in shown.items()]
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


def _over(example: Any, canonical: Any) -> Any:
    if isinstance(example, Mapping) and isinstance(canonical, Mapping) and not is_symbol(canonical):
        return {**example, **{name: one for name, one in canonical.items() if holds_symbol(one)}}
    return canonical if holds_symbol(canonical) else example
