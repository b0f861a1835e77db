"""What an execution is about to do: contract, graph, target, effort, seed, and what it may touch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from conformance.contract import Contract
from conformance.contract.profiles import Profile
from conformance.contract.requirements import Requirements
from conformance.contract.resources import Graph, Resource, Usage
from conformance.exercise.binding import parts_of, symbol_of
from conformance.generation.canonical import canonical_case
from conformance.generation.corpus import Corpus
from conformance.model import Case, Credential, Operation, Purpose
from conformance.target import Target

_HONEST = frozenset(
    {
        Purpose.CANONICAL,
        Purpose.STREAM,
        Purpose.SCENARIO,
        Purpose.EXAMPLE,
        Purpose.VALID,
        Purpose.INVALID,
        Purpose.PREPARE,
    }
)


class NotAllowedError(Exception):
    """The target file does not allow what a case would do; the message names the word to add."""


@dataclass
class Halt:
    """Set when the execution is interrupted: nothing new is begun, what was made is removed."""

    on: bool = False


@dataclass(frozen=True)
class Plan:
    """One execution, as every worker sees it. ``marker`` stands in each name the execution makes."""

    contract: Contract
    graph: Graph
    requirements: Requirements
    target: Target
    profile: Profile
    corpus: Corpus
    seed: int
    effort: str
    marker: str
    worker: str = "main"
    halt: Halt = field(default_factory=Halt)
    _canonical: dict[str, Case] = field(default_factory=dict, repr=False)
    _serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def serial(self) -> str:
        """A number no other name of this execution has."""
        return f"{self.worker}-{next(self._serial)}"

    def epoch(self) -> int:
        return int(time.time())

    def canonical(self, operation: str) -> Case:
        """The narrowest honest request of an operation, its ids still symbols."""
        case = self._canonical.get(operation)
        if case is None:
            case = self._canonical[operation] = canonical_case(self.contract, self.graph, operation)
        return case

    def usage(self, operation: str) -> Usage:
        return self.graph.usage(operation)

    @cached_property
    def probe(self) -> Operation | None:
        """A harmless read that tells whether the target still answers at all."""
        return next(iter(self.probes), None)

    @cached_property
    def probes(self) -> tuple[Operation, ...]:
        """Reads without parameters, one for each of the first few groups, for the preflight."""
        found: dict[str, Operation] = {}
        for operation in self.contract.operations:
            usage = self.graph.usage(operation.id)
            harmless = operation.method == "GET" and not operation.public and not operation.websocket
            needs_nothing = "{" not in operation.path and not usage.canonical.query
            if harmless and needs_nothing and not self.outside(operation):
                found.setdefault(operation.group, operation)
        return tuple(found.values())

    def outside(self, operation: Operation) -> str:
        """Why the target does not claim an operation; empty when it does."""
        if not self.profile.holds(operation):
            return f"outside the claimed profile {self.profile.name}"
        if not self.target.takes(operation.group, operation.id):
            return "left out by the target file"
        lacking = self.lacking(operation.id)
        if lacking and not set(lacking) & set(self.profile.capabilities):
            return f"not applicable: the target does not declare {', '.join(lacking)}"
        return ""

    def lacking(self, operation: str) -> list[str]:
        """Capabilities and model roles that an operation needs and the target does not declare."""
        needed = self.graph.needs(operation) | self.graph.model_roles(operation)
        return sorted(one for one in needed if not self.target.offers(one))

    def creates(self, case: Case) -> Resource | None:
        """The resource that a success of this case would create."""
        if case.method is not None:
            return None
        return self.graph.created_by(case.operation)

    def permit(self, operation: str, case: Case) -> None:
        """Raise NotAllowedError when the target file does not allow the case on this target."""
        target = self.target
        needed = set[str]()
        if case.purpose is Purpose.METHOD:
            needed = {"undocumented-methods"}
        elif case.purpose in _HONEST and case.credential is Credential.OWNER:
            flags = self.graph.usage(operation).flags
            needed = set(target.needs_of(flags - {"destructive"}))
            if "destructive" in flags and self._touches_given(case):
                needed.add("destructive")
        if lacking := target.lacking(needed):
            words = ", ".join(f'"{word}"' for word in lacking)
            raise NotAllowedError(f"{operation} needs allow = [{words}] in the target file")

    def _touches_given(self, case: Case) -> bool:
        values = list(parts_of(case)[0].values())
        return any((symbol := symbol_of(value)) is not None and symbol[0] == "$given" for value in values)
