"""The scorecard: one dict that the terminal, scorecard.json and the HTML all render from.

Its shape is specs/scorecard.schema.json. A unit is requirement × operation; the state of a unit is its
verdict, or "stricter than practice" for a failure that the lenient errata would not raise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.model import SEVERITY, Finding, Kind, Level, Operation, Requirement, Result, Verdict
from conformance.reporting.curl import run_command
from conformance.reporting.results import (
    Execution,
    ItemOutcome,
    Kept,
    in_scope,
    is_stricter,
    levels_of,
    verdict_of,
)
from conformance.reporting.text import clip, slugs, visible

Card = dict[str, Any]

FORMAT = "gateway-conformance/scorecard/1"
STRICTER = "stricter than practice"
STATES = ("pass", "fail", "error", "inconclusive", "not applicable", "waived", STRICTER)
JUDGED_STATES = ("pass", "fail", "waived", STRICTER)
WHOLE_TARGET = "Target as a whole"
FINDINGS_LIMIT = 2_000
_SLOWEST = 10
_NO_GAP_REASON = "no reason recorded"


def scorecard(execution: Execution) -> Card:
    """Everything a report says, as JSON values. Text that a target sent is inert and bounded in it."""
    levels = levels_of(execution)
    names = {one.id: one for one in execution.requirements}
    outside = {one.operation.id: one for one in execution.out_of_scope}
    counted = in_scope(execution)
    findings = _findings(execution, levels)
    groups = _groups(execution, levels, findings)
    outcome = verdict_of(execution)
    requirements = [_requirement(one, counted) for one in execution.requirements]
    requirements += [_requirement(_unnamed(id_), counted) for id_ in levels if id_ not in names]
    judgeable = [one for one in requirements if one["kind"] == Kind.JUDGED]
    states = Counter(one["state"] for one in judgeable)
    shown = findings[:FINDINGS_LIMIT]
    return {
        "format": FORMAT,
        "verdict": {"word": outcome.word, "exit_code": outcome.exit_code, "reason": _line(outcome.reason)},
        "execution": _execution(execution),
        "denominators": {
            "operations": {
                "reached": sum(group["operations"]["reached"] for group in groups),
                "total": len(execution.operations),
                "out_of_scope": len(outside),
            },
            "groups": {
                "reached": sum(
                    group["operations"]["reached"] == group["operations"]["total"] > 0 for group in groups
                ),
                "total": sum(group["operations"]["total"] > 0 for group in groups),
            },
            "requirements": {
                "judged": states["judged"],
                "partly": states["partly"],
                "unjudged": states["unjudged"],
                "not_applicable": states["not applicable"],
                "total": len(judgeable),
            },
            "units": _units(counted),
            "exchanges": {"judged": execution.totals.judged, "total": execution.totals.exchanges},
            "cases": execution.totals.cases,
        },
        "counts": _counts(counted),
        "levels": _by_level(counted, levels),
        "findings": {"total": len(findings), "listed": len(shown), "list": shown},
        "groups": groups,
        "areas": _areas(requirements, counted),
        "requirements": requirements,
        "items": {
            "total": len(execution.items),
            "counts": _item_counts(execution.items),
            "slowest": [
                {
                    "item": _line(one.nodeid),
                    "operation": _line(one.operation),
                    "seconds": round(one.seconds, 3),
                }
                for one in sorted(execution.items, key=lambda one: -one.seconds)[:_SLOWEST]
            ],
        },
        "ledger": {
            "created": execution.ledger.created,
            "removed": execution.ledger.removed,
            "residue": [_kept(one) for one in execution.ledger.residue],
            "leftover": [_kept(one) for one in execution.ledger.leftover],
        },
        "memory": [{"process": _line(name), "peak_bytes": peak} for name, peak in execution.memory.items()],
        "notes": [_line(one) for one in execution.notes],
    }


def dumps(card: Card) -> str:
    """The scorecard as the text of scorecard.json."""
    return json.dumps(card, indent=1, ensure_ascii=True) + "\n"


def state_of(result: Result) -> str:
    """The state a unit is counted under."""
    stricter = result.verdict is Verdict.PASS and is_stricter(result)
    return STRICTER if stricter else str(result.verdict)


def _execution(execution: Execution) -> Card:
    contract = execution.contract
    return {
        "id": execution.id,
        "started": execution.started,
        "ended": execution.ended,
        "seconds": round(execution.seconds, 3),
        "suite_version": execution.suite_version,
        "effort": execution.effort,
        "seed": execution.seed,
        "workers": execution.workers,
        "command": _line(execution.command),
        "profile": execution.profile,
        "contract": {
            "name": contract.name,
            "version": contract.version,
            "digest": contract.digest,
            "strictness": contract.strictness,
            "errata": contract.errata,
        },
        "target": _safe(execution.target),
    }


def _findings(execution: Execution, levels: Mapping[str, Level]) -> list[Card]:
    group_of = _group_names(execution)
    order = {id_: at for at, id_ in enumerate(group_of)}
    outside = {one.operation.id for one in execution.out_of_scope}
    ranked: list[tuple[tuple[Any, ...], Finding, Result]] = []
    level_rank = {level: at for at, level in enumerate(Level)}
    for result in execution.results:
        quiet = result.verdict is Verdict.WAIVED or result.operation in outside
        for at, one in enumerate(result.findings):
            # The first finding of every unit comes before the second of any, so a bound stays fair.
            level = level_rank[levels[result.requirement]]
            where = order.get(result.operation, len(order))
            ranked.append(
                ((quiet, one.stricter_than_practice, level, at, where, one.requirement), one, result)
            )
    ranked.sort(key=lambda entry: entry[0])
    return [
        {
            "number": number,
            "fingerprint": one.fingerprint,
            "requirement": one.requirement,
            "level": levels[result.requirement],
            "operation": result.operation,
            "group": group_of.get(result.operation, WHOLE_TARGET),
            "message": clip(visible(one.message), 1_000),
            "details": [clip(visible(detail), 1_000) for detail in one.details[:20]],
            "exchange": one.exchange,
            "stricter_than_practice": one.stricter_than_practice,
            "waived": result.verdict is Verdict.WAIVED,
            "out_of_scope": result.operation in outside,
            "reproduce": run_command(execution, result.operation),
        }
        for number, (_, one, result) in enumerate(ranked, 1)
    ]


def _group_names(execution: Execution) -> dict[str, str]:
    claimed = [(one.id, one.group) for one in execution.operations]
    return dict(claimed + [(one.operation.id, one.operation.group) for one in execution.out_of_scope])


def _groups(execution: Execution, levels: Mapping[str, Level], findings: list[Card]) -> list[Card]:
    group_of = _group_names(execution)
    by_operation: dict[str, list[Result]] = {}
    for result in execution.results:
        by_operation.setdefault(result.operation, []).append(result)
    strangers = [id_ for id_ in by_operation if id_ not in group_of]
    names = tuple(dict.fromkeys(group_of.values()))
    if strangers and WHOLE_TARGET not in names:
        names += (WHOLE_TARGET,)
    folder = slugs(names)
    found = Counter(one["group"] for one in findings)
    found_on = Counter(one["operation"] for one in findings)
    cards = []
    for name in names:
        claimed = [one for one in execution.operations if one.group == name]
        results = [result for one in claimed for result in by_operation.get(one.id, ())]
        operations = [
            _operation(one, by_operation.get(one.id, []), levels, execution, found_on[one.id])
            for one in claimed
        ]
        if name == WHOLE_TARGET:
            results += [result for id_ in strangers for result in by_operation[id_]]
            operations += [_stranger(id_, by_operation[id_], levels, found_on[id_]) for id_ in strangers]
        reached = sum(one["reached"] for one in operations)
        cards.append(
            {
                "name": visible(name),
                "slug": folder[name],
                "verdict": _rolled(results, levels),
                "operations": {"reached": reached, "total": len(claimed)},
                "requirements": _judged_requirements(results),
                "units": _units(results),
                "counts": _counts(results),
                "levels": _by_level(results, levels),
                "findings": found[name],
                "gaps": _gaps(operations, results),
                "list": operations,
                "out_of_scope": [
                    {
                        "id": one.operation.id,
                        "label": visible(one.operation.label),
                        "reason": _line(one.reason),
                    }
                    for one in execution.out_of_scope
                    if one.operation.group == name
                ],
            }
        )
    return cards


def _operation(
    operation: Operation,
    results: list[Result],
    levels: Mapping[str, Level],
    execution: Execution,
    findings: int,
) -> Card:
    reached = bool(execution.reached.get(operation.id))
    return {
        "id": operation.id,
        "method": operation.method,
        "path": visible(operation.path),
        "plane": str(operation.plane),
        "reached": reached,
        "gap": "" if reached else _line(execution.gaps.get(operation.id, "") or _NO_GAP_REASON),
        "verdict": _rolled(results, levels),
        "counts": _counts(results),
        "levels": _by_level(results, levels),
        "findings": findings,
        "units": [_unit(one, levels) for one in results],
    }


def _stranger(id_: str, results: list[Result], levels: Mapping[str, Level], findings: int) -> Card:
    return {
        "id": id_,
        "method": "",
        "path": "",
        "plane": "",
        "reached": False,
        "gap": "",
        "verdict": _rolled(results, levels),
        "counts": _counts(results),
        "levels": _by_level(results, levels),
        "findings": findings,
        "units": [_unit(one, levels) for one in results],
    }


def _unit(result: Result, levels: Mapping[str, Level]) -> Card:
    return {
        "requirement": result.requirement,
        "level": levels[result.requirement],
        "state": state_of(result),
        "judged": result.judged,
        "reason": _line(result.reason),
    }


def _gaps(operations: list[Card], results: list[Result]) -> list[Card]:
    """Why something is missing: one entry a reason, for operations not reached and units not judged."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for one in operations:
        if one["gap"]:
            by_reason.setdefault(("operations", one["gap"]), []).append(one["id"])
    for result in results:
        if result.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            where = f"{result.requirement} on {result.operation or 'the target'}"
            by_reason.setdefault(("units", _line(result.reason) or _NO_GAP_REASON), []).append(where)
    return [
        {"what": what, "reason": reason, "count": len(whose), "examples": whose[:5]}
        for (what, reason), whose in by_reason.items()
    ]


def _requirement(requirement: Requirement, counted: Iterable[Result]) -> Card:
    mine = [one for one in counted if one.requirement == requirement.id]
    units = _units(mine)
    state = "not applicable"
    if units["applicable"]:
        state = (
            "judged"
            if units["judged"] == units["applicable"]
            else "partly"
            if units["judged"]
            else "unjudged"
        )
    return {
        "id": requirement.id,
        "area": requirement.area,
        "level": str(requirement.level),
        "kind": str(requirement.kind),
        "statement": requirement.statement,
        "clause": requirement.clause,
        "reason": requirement.reason,
        "state": state,
        "verdict": _rolled(mine),
        "units": units,
        "counts": _counts(mine),
    }


def _areas(requirements: Iterable[Card], counted: Iterable[Result]) -> list[Card]:
    """Requirements of each area: how many are judged, in part, not, or do not apply; the rest (observed,
    duties of the suite) is counted apart. ``reason`` is the most frequent one of a unit left open."""
    found: dict[str, Card] = {}
    area_of: dict[str, str] = {}
    words = {
        "judged": "judged",
        "partly": "partly",
        "unjudged": "unjudged",
        "not applicable": "not_applicable",
    }
    for one in requirements:
        area = area_of[one["id"]] = one["area"] or "other"
        row = found.setdefault(
            area,
            {"area": area, "total": 0, **dict.fromkeys(words.values(), 0), "other_kinds": 0, "reason": ""},
        )
        if one["kind"] == Kind.JUDGED:
            row["total"] += 1
            row[words[one["state"]]] += 1
        else:
            row["other_kinds"] += 1
    reasons: dict[str, Counter[str]] = {}
    for result in counted:
        if result.verdict is Verdict.INCONCLUSIVE and result.requirement in area_of:
            reasons.setdefault(area_of[result.requirement], Counter())[result.reason] += 1
    for area, told in reasons.items():
        found[area]["reason"] = _line(told.most_common(1)[0][0])
    return list(found.values())


def _unnamed(id_: str) -> Requirement:
    return Requirement(
        id_, "unknown", Level.MUST, Kind.JUDGED, "not in the catalogue of this contract", "", ""
    )


def _judged_requirements(results: list[Result]) -> dict[str, int]:
    states: dict[str, set[str]] = {}
    for one in results:
        if one.verdict is not Verdict.NOT_APPLICABLE:
            states.setdefault(one.requirement, set()).add(state_of(one))
    return {"judged": sum(seen <= set(JUDGED_STATES) for seen in states.values()), "total": len(states)}


def _units(results: Iterable[Result]) -> dict[str, int]:
    counts = _counts(results)
    total = sum(counts.values())
    return {
        "judged": sum(counts[state] for state in JUDGED_STATES),
        "applicable": total - counts["not applicable"],
        "total": total,
    }


def _counts(results: Iterable[Result]) -> dict[str, int]:
    counted = Counter(state_of(one) for one in results)
    return {state: counted[state] for state in STATES}


def _by_level(results: Iterable[Result], levels: Mapping[str, Level]) -> dict[str, dict[str, int]]:
    listed = list(results)
    return {str(level): _counts(one for one in listed if levels[one.requirement] is level) for level in Level}


def _rolled(results: Iterable[Result], levels: Mapping[str, Level] | None = None) -> str:
    """The verdict of several units; with ``levels``, of their MUST units, as the verdict of the whole.

    An error is the suite's own at every level.
    """
    # A stricter or waived unit is shown as such only where nothing worse and nothing open stands beside it.
    states = {
        state_of(one)
        for one in results
        if levels is None or levels[one.requirement] is Level.MUST or one.verdict is Verdict.ERROR
    }
    order = (*map(str, SEVERITY[:3]), STRICTER, "waived", "pass")
    return next((state for state in order if state in states), "not applicable")


def _item_counts(items: Iterable[ItemOutcome]) -> dict[str, int]:
    counted = Counter(str(one.verdict) for one in items)
    return {str(verdict): counted[verdict] for verdict in Verdict}


def _kept(one: Kept) -> dict[str, str]:
    return {"resource": _line(one.resource), "id": _line(one.id), "reason": _line(one.reason)}


def _line(text: str) -> str:
    return clip(visible(text.replace("\n", " ")), 1_000)


def _safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_line(str(key)): _safe(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else _line(str(value))
