"""Draws the cases of one operation: valid, invalid, from examples. Slow to import, so imported late."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.contract.schemas import Validators
from conformance.generation.canonical import canonical_case
from conformance.generation.compose import envelope, vary
from conformance.generation.defects import Defect, choose, defects, from_drawn
from conformance.generation.effort import Effort
from conformance.generation.examples import example_cases
from conformance.generation.inlining import RequestShape, request_shape
from conformance.generation.narrowing import Rules
from conformance.generation.strategies import draw, register_text, seed_of
from conformance.generation.validity import Validity, validity_of
from conformance.model import Case, Purpose

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.contract.resources import Graph

ROUNDS = 3  # how often drawing is repeated where duplicates or refusals leave cases missing


@dataclass(frozen=True, slots=True)
class Drawn:
    """The cases of one operation, why a purpose has none, and which examples were skipped."""

    cases: tuple[Case, ...]
    gaps: dict[str, str]
    skipped: tuple[tuple[str, str], ...]


def draw_cases(
    contract: Contract,
    graph: Graph,
    validators: Validators,
    rules: Rules,
    operation: str,
    *,
    seed: int,
    effort: Effort,
) -> Drawn:
    """Everything a corpus holds for one operation; equal arguments give equal cases, in any process."""
    shape = request_shape(contract.document, operation, contract.definition(operation))
    validity = validity_of(contract, validators, operation)
    canonical = canonical_case(contract, graph, operation)
    bind = graph.usage(operation).bind
    words = (str(seed), contract.digest, operation)
    gaps: dict[str, str] = {}

    register_text(rules)
    valid, why_none = _valid(canonical, shape, rules, bind, validity, words, effort.valid)
    if not valid:
        gaps[Purpose.VALID] = why_none
    invalid = _invalid(canonical, shape, validity, words, effort)
    if not invalid:
        gaps[Purpose.INVALID] = "the contract forbids nothing that HTTP could carry here"
    examples, skipped = example_cases(canonical, shape, bind, rules, validity, effort.examples)
    if not examples:
        gaps[Purpose.EXAMPLE] = (
            f"{len(skipped)} skipped: {skipped[0][1]}" if skipped else "the contract shows none"
        )
    cases = [
        *_named(valid, Purpose.VALID),
        *_named(invalid, Purpose.INVALID),
        *_named(examples, Purpose.EXAMPLE),
    ]
    return Drawn(tuple(cases), gaps, tuple(skipped))


def _named(cases: Iterable[Case], purpose: Purpose) -> Iterator[Case]:
    for index, case in enumerate(cases):
        yield replace(case, id=f"{case.operation}:{purpose}:{index}", purpose=purpose)


def _print(case: Case) -> str:
    """What makes two cases the same request."""
    parts = [dict(case.path), case.query, case.headers, case.body, case.has_body, case.media_type]
    return json.dumps(parts, sort_keys=True, default=str)


def _valid(
    canonical: Case,
    shape: RequestShape,
    rules: Rules,
    bind: tuple[tuple[str, Any], ...],
    validity: Validity,
    words: tuple[str, ...],
    count: int,
) -> tuple[list[Case], str]:
    """Up to ``count`` honest variations, and the reason where there may be none."""
    schema = envelope(shape, rules)
    if schema is None or count == 0:
        return [], "nothing an honest request may vary"
    found: list[Case] = []
    refused, stopped = 0, ""
    chance = random.Random(seed_of(*words, "vary"))  # noqa: S311 - a reproducible choice, no secret
    seen = {_print(canonical)}
    for turn in range(ROUNDS):
        missing = count - len(found)
        at = seed_of(*words, "valid", str(turn))
        envelopes, stopped = draw(schema, count=missing + 2, at=at, negative=False)
        for drawn in envelopes:
            case = vary(canonical, drawn, shape, rules, bind, chance)
            mark = _print(case)
            if mark in seen or not plain([case.query, case.body]):
                continue
            seen.add(mark)
            if validity.is_valid(case):
                found.append(case)
            else:
                refused += 1
        if len(found) >= count or count - len(found) == missing:
            break
    if stopped:
        return found[:count], f"drawing failed: {stopped}"
    if refused:
        return found[:count], f"the contract refuses the {refused} variations drawn"
    return found[:count], "every honest variation is the canonical request"


def plain(value: Any) -> bool:
    """Whether a value can go over any wire: no NUL, no lone surrogate, no number JSON cannot write."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError):
        return False
    return "\\u0000" not in text


def _invalid(
    canonical: Case, shape: RequestShape, validity: Validity, words: tuple[str, ...], effort: Effort
) -> list[Case]:
    chance = random.Random(seed_of(*words, "invalid"))  # noqa: S311 - a reproducible choice, no secret
    seen: set[str] = set()
    known = _broken(defects(canonical, shape), validity, seen)
    odd: list[Defect] = []
    schema = envelope(shape, Rules())
    if schema is not None and effort.drawn:
        at = seed_of(*words, "negative")
        for drawn in draw(schema, count=effort.drawn, at=at, negative=True)[0]:
            odd += _broken(from_drawn(canonical, drawn, shape), validity, seen)[:1]
    odd = odd[: effort.drawn]
    chosen = choose(known, effort.invalid - len(odd), chance)
    return [replace(one.case, note=one.note) for one in (*chosen, *odd)]


def _broken(found: Iterable[Defect], validity: Validity, seen: set[str]) -> list[Defect]:
    """Those defects that the contract does refuse, each request once, each wrong in one place."""
    kept = []
    for one in found:
        mark = _print(one.case)
        if mark not in seen and len(validity.problems(one.case)) == 1:
            seen.add(mark)
            kept.append(one)
    return kept
