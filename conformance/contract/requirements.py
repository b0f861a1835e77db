"""Requirements of a contract, as data, and the operations each of them speaks of.

Source: ``specs/<contract>/requirements.yaml`` and, area by area, ``requirements/*.yaml`` beside it.
Operations are named by id or as ``METHOD /path``. A contract without that file is judged by the
requirements that hold for any contract (``scope: any``) of the packaged one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import yaml

from conformance.contract.loader import Contract
from conformance.contract.locate import find_specs
from conformance.contract.resources import Graph
from conformance.errors import ContractError, UnknownNameError
from conformance.model import Kind, Level, Operation, Requirement

FALLBACK = "portkey"
_FIELDS = frozenset(field.name for field in fields(Requirement)) | {"scope"}


def _has_input(contract: Contract, operation: Operation) -> bool:
    definition = contract.definition(operation.id)
    return bool(operation.request_media) or any(
        parameter.get("in") in ("query", "path") for parameter in definition.get("parameters", ())
    )


def _responses(contract: Contract, operation: Operation) -> list[Mapping[str, Any]]:
    return list(contract.definition(operation.id).get("responses", {}).values())


def _first_of_path(contract: Contract, operation: Operation) -> bool:
    return next(one for one in contract.operations if one.path == operation.path) == operation


SELECTORS: Mapping[str, Callable[[Contract, Graph, Operation], bool]] = {
    "all": lambda contract, graph, operation: True,
    "streaming": lambda contract, graph, operation: operation.streaming,
    "secured": lambda contract, graph, operation: not operation.public,
    "has-input": lambda contract, graph, operation: _has_input(contract, operation),
    "has-example": lambda contract, graph, operation: bool(operation.request_media),
    "has-unknown-id": lambda contract, graph, operation: bool(graph.usage(operation.id).unknown),
    "has-response-body": lambda contract, graph, operation: any(
        response.get("content") for response in _responses(contract, operation)
    ),
    "has-response-headers": lambda contract, graph, operation: any(
        response.get("headers") for response in _responses(contract, operation)
    ),
    "first-of-path": lambda contract, graph, operation: _first_of_path(contract, operation),
}


@dataclass(frozen=True)
class Requirements:
    """All requirements of one contract, and the units (requirement × operation) they span."""

    contract: Contract
    graph: Graph
    all: tuple[Requirement, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Requirement]:
        return {requirement.id: requirement for requirement in self.all}

    def get(self, identifier: str) -> Requirement:
        """The requirement of that id; UnknownNameError where there is none."""
        try:
            return self.by_id[identifier]
        except KeyError:
            raise UnknownNameError("requirement", identifier, self.by_id) from None

    def applies(self, requirement: Requirement, operation: Operation) -> bool:
        """Whether the requirement speaks of the operation."""
        if requirement.operations:
            return operation.id in requirement.operations
        return SELECTORS[requirement.applies](self.contract, self.graph, operation)

    @cached_property
    def universe(self) -> tuple[tuple[str, str], ...]:
        """Every judged unit: (requirement id, operation id), in the order of the documents."""
        return tuple(
            (requirement.id, operation.id)
            for requirement in self.all
            if requirement.kind is Kind.JUDGED
            for operation in self.contract.operations
            if self.applies(requirement, operation)
        )


def load_requirements(contract: Contract, graph: Graph) -> Requirements:
    """Read and check the requirements of a contract; ContractError names the entry at fault."""
    own = find_specs(contract.specs_dir) / contract.name / "requirements.yaml"
    path = own if own.is_file() else find_specs(None) / FALLBACK / "requirements.yaml"
    files = [path, *(sorted((path.parent / "requirements").glob("*.yaml")) if path == own else ())]
    entries = [
        (file.name, entry)
        for file in files
        for entry in yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)["requirements"]
    ]
    labels = {operation.label: operation.id for operation in contract.operations}
    found: dict[str, Requirement] = {}
    for name, entry in entries:
        if path != own and entry.get("scope") != "any":
            continue
        requirement = _requirement(name, entry)
        named = tuple(labels.get(one, one) for one in requirement.operations)
        for one in named:
            contract.operation(one)  # UnknownNameError for a stranger
        requirement = replace(requirement, operations=named)
        if requirement.id in found:
            raise ContractError(f"{path.name}: {requirement.id} stands there twice")
        found[requirement.id] = requirement
    return Requirements(contract, graph, tuple(found.values()))


def _requirement(source: str, entry: Mapping[str, Any]) -> Requirement:
    name = entry.get("id", "an entry without id")
    if unknown := set(entry) - _FIELDS:
        raise ContractError(f"{source}: {name}: unknown keys {sorted(unknown)}")
    selector = entry.get("applies", "all")
    if selector not in SELECTORS:
        raise ContractError(f"{source}: {name}: applies: {selector!r}", hint=f"one of {', '.join(SELECTORS)}")
    try:
        values = {key: value for key, value in entry.items() if key != "scope"}
        values["level"] = Level(entry["level"])
        values["kind"] = Kind(entry["kind"])
        values["operations"] = tuple(entry.get("operations", ()))
        values["scenarios"] = tuple(entry.get("scenarios", ()))
        return Requirement(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"{source}: {name}: {error}") from error
