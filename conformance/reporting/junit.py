"""JUnit XML of one group: a test suite per operation, a test case per requirement.

The whole-run junit.xml is pytest's; this one counts units, not items.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from conformance.reporting.scorecard import STRICTER, Card
from conformance.reporting.text import visible

_TEXT_LIMIT = 10_000


def junit(card: Card, group: Mapping[str, Any]) -> bytes:
    """The XML of one group of ``card``, UTF-8. Characters illegal in XML are drawn as symbols.

    fail → failure, error → error; inconclusive, not applicable, waived and stricter than practice →
    skipped, beginning with that word.
    """
    found: dict[tuple[str, str], list[Card]] = {}
    for one in card["findings"]["list"]:
        if one["group"] == group["name"]:
            found.setdefault((one["requirement"], one["operation"]), []).append(one)
    document: Any = JUnitXml(visible(group["name"]))
    prefix = f"{card['execution']['contract']['name']}.{group['slug']}"
    for operation in group["list"]:
        suite = TestSuite(visible(operation["id"] or "target"))
        suite.timestamp = card["execution"]["started"]
        cases = []
        for unit in operation["units"]:
            case = TestCase(
                f"{unit['requirement']} · {unit['level']}", f"{prefix}.{operation['id'] or 'target'}"
            )
            outcome = _outcome(unit, found.get((unit["requirement"], operation["id"]), []))
            if outcome is not None:
                case.result = [outcome]
            cases.append(case)
        suite.add_testcases(cases)
        document.add_testsuite(suite)
    document.update_statistics()
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + bytes(document.tostring())


def _outcome(unit: Card, findings: list[Card]) -> Any:
    state, reason = unit["state"], unit["reason"]
    if state == "pass":
        return None
    first = findings[0]["message"] if findings else reason
    lines = [line for one in findings for line in (one["message"], *one["details"], one["reproduce"], "")]
    text = visible("\n".join(lines))[:_TEXT_LIMIT]
    if state in ("fail", "error"):
        made: Any = (Failure if state == "fail" else Error)(visible(first), unit["level"])
    else:
        why = first if state == STRICTER else reason
        made = Skipped(visible(f"{state}: {why}" if why else state), state)
    if text:
        made.text = text
    return made
