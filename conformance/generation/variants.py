"""The same request asked wrongly on purpose: unknown ids, refused credentials, undocumented methods."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.generation.dummies import dummy
from conformance.generation.serialise import fill_path
from conformance.model import Case, Credential, Purpose

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.contract.resources import Usage

METHODS = ("PATCH", "PUT", "DELETE", "POST", "GET", "TRACE")  # the first undocumented ones are asked


def unknown_id_cases(case: Case, usage: Usage) -> tuple[Case, ...]:
    """``case`` once for each path parameter that can carry a well-formed id of nothing; ``note`` names it."""
    return tuple(
        replace(
            case,
            id=f"{case.operation}:{Purpose.UNKNOWN_ID}:{name}",
            purpose=Purpose.UNKNOWN_ID,
            path={**case.path, name: usage.unknown_values.get(name, {"$unknown": "uuid"})},
            note=name,
        )
        for name in usage.unknown
    )


def stream_case(case: Case) -> Case:
    """The canonical ``case`` asking for an event stream."""
    return replace(
        case,
        id=f"{case.operation}:{Purpose.STREAM}",
        purpose=Purpose.STREAM,
        body={**(case.body or {}), "stream": True},
        has_body=True,
        media_type=case.media_type or "application/json",
    )


def credential_cases(case: Case, *, public: bool = False) -> tuple[Case, ...]:
    """``case`` without a credential and with a revoked one; none for a ``public`` operation."""
    if public:
        return ()
    return tuple(
        replace(
            case,
            id=f"{case.operation}:{Purpose.CREDENTIAL}:{credential}",
            purpose=Purpose.CREDENTIAL,
            credential=credential,
        )
        for credential in (Credential.ABSENT, Credential.REVOKED)
    )


def method_cases(contract: Contract, case: Case, *, most: int = 1) -> tuple[Case, ...]:
    """``case`` without its body, with up to ``most`` methods that no path of the contract serves there.

    A concrete path may fit several templates (a literal one and one with a parameter): a method
    that any of them documents is not asked.
    """
    operation = contract.operation(case.operation)
    path = fill_path(operation.path, {name: dummy(value) for name, value in case.path.items()})
    served = {one.method for one in contract.operations if _fits(one.path, path)}
    free = [method for method in METHODS if method not in served]
    return tuple(
        replace(
            case,
            id=f"{case.operation}:{Purpose.METHOD}:{method}",
            purpose=Purpose.METHOD,
            method=method,
            body=None,
            has_body=False,
            media_type=None,
            note=f"{method} is not documented here",
        )
        for method in free[:most]
    )


def _fits(template: str, path: str) -> bool:
    """Whether a concrete path is one of a template, as a lenient router would see it."""
    theirs, ours = template.split("/"), path.split("/")
    return len(theirs) == len(ours) and all(
        "{" in one or one == other for one, other in zip(theirs, ours, strict=True)
    )
