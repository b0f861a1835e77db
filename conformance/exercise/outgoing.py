"""A bound case as the session takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.exercise.plan import Plan
from conformance.generation.serialise import fill_path, wire
from conformance.model import Case, Operation, Purpose
from conformance.target import Outgoing


def outgoing(
    plan: Plan,
    case: Case,
    item: str,
    *,
    path: str | None = None,
    creates: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Outgoing:
    """The request of a case whose symbols are all replaced; ``path`` overrides the one it would fill in."""
    operation = plan.contract.operation(case.operation)
    message = wire(case)
    headers = list(message.headers)
    if message.content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", message.content_type))
    return Outgoing(
        operation=operation.id,
        plane=operation.plane,
        method=case.method or operation.method,
        path=fill_path(operation.path, case.path) if path is None else path,
        query=tuple(message.query),
        headers=tuple(headers),
        content=message.content,
        credential=case.credential,
        purpose=case.purpose,
        item=item,
        case=case.id,
        facts={**({"note": case.note} if case.note else {}), **(facts or {})},
        creates=creates,
    )


def probe_of(plan: Plan, operation: Operation, item: str = "preflight") -> Outgoing:
    """The request that asks whether the target is there."""
    case = plan.canonical(operation.id)
    return outgoing(plan, replace(case, purpose=Purpose.PREFLIGHT, id="preflight"), item)
