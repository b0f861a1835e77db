"""What one execution found, as one frozen value, and the rules that roll it up to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from conformance.model import (
    Exchange,
    Finding,
    Level,
    Operation,
    Requirement,
    Result,
    Verdict,
    worst,
)

Unit = tuple[str, str]
"""What is counted: (requirement id, operation id). The operation is empty for the target as a whole."""

UNJUDGED = "no exchange of this execution could judge it"
FINDINGS_PER_UNIT = 20
_UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one pytest item. ``exchanges`` counts what it sent."""

    nodeid: str
    concern: str
    operation: str
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0
    exchanges: int = 0
    findings: int = 0


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """Which contract judged. ``errata`` counts the overlay actions applied."""

    name: str
    version: str
    digest: str
    strictness: str = "strict"
    errata: int = 0


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """An operation of the contract that this execution does not claim, and why."""

    operation: Operation
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Something the execution created that still exists: residue (no delete) or leftover (not deleted)."""

    resource: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What the execution created and what is left of it."""

    created: int = 0
    removed: int = 0
    residue: tuple[Kept, ...] = ()
    leftover: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """``exchanges`` sent, how many of them a check judged, and the ``cases`` they came from."""

    exchanges: int = 0
    judged: int = 0
    cases: int = 0


class Evidence(Protocol):
    """Where exchanges are looked up, in memory or on disk."""

    def get(self, exchange_id: str) -> Exchange | None:
        """The exchange of that id, or None when it was not kept."""

    def of(self, operation_id: str) -> Iterable[Exchange]:
        """Every exchange that operation answered, in the order sent."""


class MemoryEvidence:
    """Exchanges held in memory; enough for small executions and tests."""

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self._by_id: dict[str, Exchange] = {}
        self._by_operation: dict[str, list[Exchange]] = {}
        for one in exchanges:
            self._by_id[one.id] = one
            self._by_operation.setdefault(one.operation, []).append(one)

    def get(self, exchange_id: str) -> Exchange | None:
        return self._by_id.get(exchange_id)

    def of(self, operation_id: str) -> Iterator[Exchange]:
        return iter(self._by_operation.get(operation_id, ()))


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of the suite against one target: all that a report is written from.

    ``started`` and ``ended`` are ISO 8601, ``seconds`` the wall time, ``memory`` peak bytes per process.
    ``operations`` is the claimed scope, in document order; ``results`` holds one Result per unit, as
    ``roll_up`` gives them; ``reached`` says which operations answered with a validated 2xx (or 101);
    ``gaps`` why an operation was not reached. ``target`` holds no secrets.
    """

    id: str
    started: str
    ended: str
    seconds: float
    suite_version: str
    contract: ContractFacts
    target: Mapping[str, Any]
    effort: str
    seed: int
    workers: int
    command: str
    profile: str
    operations: tuple[Operation, ...]
    requirements: tuple[Requirement, ...]
    results: tuple[Result, ...]
    out_of_scope: tuple[OutOfScope, ...] = ()
    items: tuple[ItemOutcome, ...] = ()
    reached: Mapping[str, bool] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    totals: Totals = Totals()
    ledger: LedgerSummary = LedgerSummary()
    memory: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=MemoryEvidence)


class Outcome(NamedTuple):
    """The verdict of a whole execution: a word, the exit code, one line why."""

    word: str
    exit_code: int
    reason: str


def roll_up(
    item_results: Iterable[Result],
    universe: Iterable[Unit],
    reasons: Mapping[Unit, str] | None = None,
    *,
    findings_per_unit: int = FINDINGS_PER_UNIT,
) -> tuple[Result, ...]:
    """One result per unit: worst verdict, summed ``judged``, findings unique by fingerprint.

    ``universe`` lists every unit that must have an answer, in report order; one that has none becomes
    inconclusive, with the reason looked up in ``reasons`` under (requirement, operation), ("", operation)
    or (requirement, ""). Units outside the universe follow it, sorted. A pass that rests on no exchange
    is inconclusive: silence is no proof. A failure that the lenient errata would not raise becomes a pass
    that keeps its findings.
    """
    by_unit: dict[Unit, list[Result]] = {unit: [] for unit in universe}
    extra: dict[Unit, list[Result]] = {}
    for result in item_results:
        unit = (result.requirement, result.operation)
        (by_unit[unit] if unit in by_unit else extra.setdefault(unit, [])).append(result)
    ordered = [*by_unit.items(), *sorted(extra.items())]
    why = reasons or {}
    return tuple(_merge(unit, found, why, findings_per_unit) for unit, found in ordered)


def _merge(unit: Unit, found: list[Result], why: Mapping[Unit, str], bound: int) -> Result:
    requirement, operation = unit
    # Settled here, once: from now on a failure is one that the lenient errata would raise too.
    found = [replace(one, verdict=Verdict.PASS) if is_stricter(one) else one for one in found]
    judged = sum(one.judged for one in found)
    findings = _unique(finding for one in found for finding in one.findings)
    verdict = _worst_of(found)
    if verdict is Verdict.FAIL and all(one.stricter_than_practice for one in findings):
        findings = ()  # the failure rests on something else; these would make it look like a mild one
    texts = dict.fromkeys(one.reason for one in found if one.reason and one.verdict is verdict)
    reason = "; ".join(list(texts)[:3]) + (f"; and {len(texts) - 3} more reasons" if len(texts) > 3 else "")
    if not found or (verdict is Verdict.PASS and judged == 0):
        looked_up = (why.get(key) for key in (unit, ("", operation), (requirement, "")))
        verdict = Verdict.INCONCLUSIVE
        reason = next((text for text in looked_up if text), reason or UNJUDGED)
    if verdict is Verdict.INCONCLUSIVE and not reason:
        reason = UNJUDGED
    return Result(requirement, operation, verdict, judged, findings[:bound], reason)


def _worst_of(found: list[Result]) -> Verdict:
    # A waived failure outranks a pass (it is shown), never a gap (it hides nothing).
    verdicts = [one.verdict for one in found]
    rolled = worst(verdicts)
    if Verdict.WAIVED in verdicts and rolled in (Verdict.PASS, Verdict.NOT_APPLICABLE):
        return Verdict.WAIVED
    return rolled


def _unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    # What decides a verdict comes first, so that a bound never cuts it off in favour of what does not.
    seen: dict[tuple[str, ...], Finding] = {}
    for one in findings:
        key = (one.fingerprint,) if one.fingerprint else (one.requirement, one.operation, one.message)
        if key not in seen or (seen[key].stricter_than_practice and not one.stricter_than_practice):
            seen[key] = one
    return tuple(sorted(seen.values(), key=lambda one: one.stricter_than_practice))


def is_stricter(result: Result) -> bool:
    """Whether the lenient errata would raise none of its findings: it counts apart, and fails nothing."""
    return (
        result.verdict in (Verdict.FAIL, Verdict.PASS)
        and bool(result.findings)
        and all(one.stricter_than_practice for one in result.findings)
    )


def in_scope(execution: Execution) -> tuple[Result, ...]:
    """The results that count: all but those of operations the execution does not claim."""
    outside = {one.operation.id for one in execution.out_of_scope}
    return tuple(one for one in execution.results if one.operation not in outside)


def levels_of(execution: Execution) -> dict[str, Level]:
    """The level of each requirement. One that only a result names counts as MUST: nothing is lost."""
    known = {one.id: one.level for one in execution.requirements}
    return {one.requirement: Level.MUST for one in execution.results} | known


def verdict_of(execution: Execution) -> Outcome:
    """Judge the whole: 4 error, 1 a MUST fails, 3 a MUST is unjudged or nothing was exercised, 0.

    SHOULD and MAY never change the code, nor do findings stricter than practice, nor waived ones. An
    error is the suite's own, whatever the level it was judging.
    """
    results = in_scope(execution)
    level = levels_of(execution)
    must = [one for one in results if level[one.requirement] is Level.MUST]
    broken = [one for one in results if one.verdict is Verdict.ERROR]
    broken_items = [one for one in execution.items if one.verdict is Verdict.ERROR]
    if broken or broken_items:
        named = broken[0].reason if broken else broken_items[0].reason
        count = _many(max(len(broken), len(broken_items)), "error")
        return Outcome("error", 4, f"the suite itself broke: {count}{f', first: {named}' if named else ''}")
    failed = [one for one in must if one.verdict is Verdict.FAIL]
    if failed:
        operations = len({one.operation for one in failed})
        reason = f"{_many(len(failed), 'MUST unit')} failed, on {_many(operations, 'operation')}"
        return Outcome("not conformant", 1, reason)
    exercised = any(one.judged for one in must if one.verdict not in _UNDECIDED)
    open_units = [one for one in must if one.verdict is Verdict.INCONCLUSIVE]
    if not exercised:
        why = _most_common(one.reason for one in open_units)
        return Outcome("inconclusive", 3, f"nothing was exercised{why}")
    if open_units:
        why = _most_common(one.reason for one in open_units)
        return Outcome("inconclusive", 3, f"{_many(len(open_units), 'MUST unit')} could not be judged{why}")
    unreached = [one.id for one in execution.operations if not execution.reached.get(one.id)]
    if unreached:
        why = _most_common(execution.gaps.get(one, "") for one in unreached)
        reason = f"{_many(len(unreached), 'claimed operation')} never answered with a validated 2xx{why}"
        return Outcome("inconclusive", 3, reason)
    passed = sum(one.verdict is Verdict.PASS for one in must)
    reason = f"every applicable MUST holds: {_many(passed, 'unit')} passed"
    if execution.out_of_scope:  # said aloud: the word speaks of the claimed scope only
        reason += f", {_many(len(execution.out_of_scope), 'operation')} out of scope"
    return Outcome("conformant", 0, reason)


def _most_common(reasons: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for one in reasons:
        if one:
            counts[one] = counts.get(one, 0) + 1
    if not counts:
        return ""
    top = max(counts, key=lambda one: counts[one])
    return f", mostly: {top}" if len(counts) > 1 else f": {top}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
