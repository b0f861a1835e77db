"""Stored evidence is judged as the live exchanges were: the ground of everything done offline."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from exercising import HASTY, PATIENT, exercise

from conformance.checks import Judge
from conformance.contract import load_contract
from conformance.contract.requirements import Requirements
from conformance.exercise.jobs import SHRINKING
from conformance.model import Exchange, Result
from conformance.target import join, read_evidence

OPERATIONS = ("createAssistant", "getAssistant", "createChatCompletion", "createSpeech", "connectRealtime")


def essence(result: Result) -> tuple[object, ...]:
    """All of a result but which exchange shows it: shrinking swaps that for a smaller one."""
    fingerprints = frozenset(finding.fingerprint for finding in result.findings)
    return result.requirement, result.operation, result.verdict, result.judged, fingerprints


@pytest.mark.parametrize(
    "fault",
    [
        "missing-required-field",
        "invalid-utf8",
        "truncated-body",
        "error-as-success",
        "server-error-on-invalid",
        "stream-malformed-event",
        "revoked-key-accepted",
        "hang-on-invalid",
    ],
)
def test_evidence_read_again_gives_the_same_results(
    fault: str, tmp_path: Path, portkey_requirements: Requirements
) -> None:
    """A verdict, count, reason or fingerprint that the trip through the file changes must be refused."""
    silent = fault == "hang-on-invalid"
    timeouts = HASTY if silent else PATIENT
    observed = exercise(OPERATIONS, tmp_path, faults=[fault], timeouts=timeouts, shrink=not silent)
    assert observed.fired
    joined = tmp_path / "evidence.jsonl"
    join(sorted(observed.folder.glob("evidence-*.jsonl")), joined)
    by_item: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in read_evidence([joined]):
        by_item[exchange.item].append(exchange)
    assert set(by_item) - {item for item in by_item if item.endswith(SHRINKING)} <= {
        report.nodeid for report in observed.reports
    }
    judge = Judge(portkey_requirements, lambda: load_contract("portkey", strictness="lenient"))
    for report in observed.reports:
        again = judge.judge(by_item[report.nodeid])
        live = {essence(result) for result in report.results if result.judged}
        assert {essence(result) for result in again.results if result.judged} == live
        said = {result.reason for result in report.results if not result.judged}
        assert {result.reason for result in again.results if not result.judged} <= said
        assert again.reached == frozenset(report.reached)
        assert again.judged_exchanges == report.judged


def test_a_shrunk_case_is_evidence_of_its_finding(tmp_path: Path) -> None:
    """A finding must name an exchange that stands in the evidence, also when its case was made smaller."""
    observed = exercise(("createModeration",), tmp_path, faults=["missing-required-field"], shrink=True)
    exchanges = {one.id: one for one in read_evidence(observed.folder.glob("evidence-*.jsonl"))}
    findings = [finding for report in observed.reports for finding in report.findings]
    assert all(finding.exchange in exchanges for finding in findings)
    shrunk = [one for one in findings if exchanges[one.exchange].item.endswith(SHRINKING)]
    assert shrunk, "nothing was made smaller"
