"""The one judgement: exchanges in, results out. Pure, so live traffic and recordings are judged alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from conformance.checks import requests, responses  # noqa: F401  registers the checks
from conformance.checks.registry import (
    Check,
    Context,
    SequenceCheck,
    Undecided,
    Violation,
    get_check,
    single_check,
)
from conformance.checks.requests import reached
from conformance.contract import Contract, Validators, validators
from conformance.contract.requirements import Requirements
from conformance.model import Exchange, Failure, Finding, Kind, Purpose, Requirement, Result, Verdict

MAX_FINDINGS = 10  # kept for one unit: enough to see a pattern, too few to drown in


@dataclass
class _Unit:
    judged: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    undecided: str = ""

    def result(self, requirement: str, operation: str) -> Result:
        if any(not one.stricter_than_practice for one in self.findings.values()):
            verdict = Verdict.FAIL
        elif self.judged:
            verdict = Verdict.PASS
        else:
            verdict = Verdict.INCONCLUSIVE
        reason = self.undecided if verdict is Verdict.INCONCLUSIVE else ""
        return Result(requirement, operation, verdict, self.judged, tuple(self.findings.values()), reason)


@dataclass(frozen=True)
class Judgement:
    """What a set of exchanges shows: results, operations reached, and how many were judged."""

    results: tuple[Result, ...]
    reached: frozenset[str]
    judged_exchanges: int


class Judge:
    """Holds the checks of one contract ready; ``judge`` itself keeps nothing between calls.

    ``practice`` loads the contract under its lenient errata, only when something fails.
    """

    def __init__(self, requirements: Requirements, practice: Callable[[], Contract]) -> None:
        def lenient() -> Validators:
            return validators(practice())

        contract = requirements.contract
        self._context = Context(contract, validators(contract), lenient)
        self._known = frozenset(operation.id for operation in contract.operations)
        self._units = frozenset(requirements.universe)
        self._single: dict[str, list[tuple[Requirement, Check]]] = {}
        self._sequences: list[tuple[Requirement, SequenceCheck]] = []
        self._spoken_of: dict[str, set[str]] = {}
        for name, operation in self._units:
            self._spoken_of.setdefault(name, set()).add(operation)
        for requirement in requirements.all:
            if requirement.kind is not Kind.JUDGED:
                continue
            single = single_check(requirement.check)
            if single is None:
                self._sequences.append((requirement, get_check(requirement.check)))
                continue
            for operation in self._known:
                if (requirement.id, operation) in self._units:
                    self._single.setdefault(operation, []).append((requirement, single))

    def judge(self, exchanges: Iterable[Exchange]) -> Judgement:
        """Judge exchanges of any origin; those of no known operation are passed over."""
        given = [
            exchange
            for exchange in _with_outages(exchanges)
            if exchange.operation in self._known and not exchange.facts.get("throttled")
        ]  # what was throttled has been sent again
        units: dict[tuple[str, str], _Unit] = {}
        judged: set[str] = set()
        for requirement, exchange, outcome in self._rulings(given):
            unit = units.setdefault((requirement.id, exchange.operation), _Unit())
            if isinstance(outcome, Undecided):
                unit.undecided = unit.undecided or outcome.reason
                continue
            judged.add(exchange.id)
            unit.judged += 1
            for violation in outcome:
                finding = _finding(requirement, exchange, violation)
                if len(unit.findings) < MAX_FINDINGS:
                    unit.findings.setdefault(finding.fingerprint, finding)
        seen: set[str] = set()
        for exchange in given:
            if exchange.operation not in seen and reached(exchange, self._context):
                seen.add(exchange.operation)
        results = tuple(unit.result(*key) for key, unit in units.items())
        return Judgement(results, frozenset(seen), len(judged))

    def _rulings(
        self, given: Sequence[Exchange]
    ) -> Iterator[tuple[Requirement, Exchange, Sequence[Violation] | Undecided]]:
        """What every check says of every exchange it speaks of, within the units of the contract."""
        for exchange in given:
            for requirement, single in self._single.get(exchange.operation, ()):
                if (outcome := single(exchange, self._context)) is not None:
                    yield requirement, exchange, outcome
        present = {exchange.operation for exchange in given}
        for requirement, check in self._sequences:
            if self._spoken_of.get(requirement.id, self._known).isdisjoint(present):
                continue
            for exchange, outcome in check(given, self._context):
                if outcome is not None and (requirement.id, exchange.operation) in self._units:
                    yield requirement, exchange, outcome


def _with_outages(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """The exchanges; a time-out that a probe of the target then found unanswered too carries that fact."""
    given = tuple(exchanges)
    silences = [one.started for one in given if one.purpose is Purpose.PREFLIGHT and one.response is None]
    for one in given:
        silent = one.purpose is Purpose.PREFLIGHT or any(started >= one.ended for started in silences)
        if one.failure is Failure.TIMEOUT and silent:
            yield replace(one, facts={**one.facts, "alive": False})
        else:
            yield one


def _finding(requirement: Requirement, exchange: Exchange, violation: Violation) -> Finding:
    basis = "\n".join((requirement.id, exchange.operation, violation.kind))
    return Finding(
        requirement=requirement.id,
        level=requirement.level,
        operation=exchange.operation,
        exchange=exchange.id,
        message=violation.message,
        details=violation.details,
        fingerprint=hashlib.sha256(basis.encode("utf-8", "replace")).hexdigest()[:16],
        stricter_than_practice=violation.stricter_than_practice,
    )
