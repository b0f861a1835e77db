"""Requirements over the lives of runs: each fails for its fault, and none for an honest gateway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.contract import Contract, load_contract
from conformance.contract.locate import find_specs
from conformance.contract.requirements import load_requirements
from conformance.contract.resources import load_graph
from conformance.exercise import settings
from conformance.exercise.scenarios import runs as stories
from conformance.exercise.scenarios import scenarios
from conformance.model import Verdict
from conformance.reference import run_engine

from .harness import failed, judged, tell

AREAS = {"run-lifecycle", "run-nullability", "run-timestamps", "run-commands", "run-echo"}
SOURCE = find_specs(None) / "portkey" / "requirements" / "runs.yaml"
ENTRIES: Sequence[dict[str, Any]] = yaml.safe_load(SOURCE.read_text("utf-8"))["requirements"]
JUDGED = [entry for entry in ENTRIES if entry["kind"] == "judged"]
#: What else fires, since the bug truly breaks it, too.
BESIDE = {
    "accepts-invalid": {"RESP-BODY-01", "RUN-CMD-10", "RUN-ID-01"},
    "run-calls-unknown-function": {"RUN-CMD-12"},
    "run-cancel-forgotten": {"RUN-ST-08"},
    "run-completed-time-too-early": {"RUN-TO-03"},
    "run-configuration-drifts": {"RUN-ST-05"},
    "run-end-moves": {"RUN-ST-05", "RUN-CMD-01", "RUN-CMD-05", "RUN-CMD-15"},
    "run-falls-back-to-queued": {"RUN-ST-08", "RUN-ST-11"},
    "run-found-through-any-thread": {"RUN-ID-01"},
    "run-goes-on-without-outputs": {"RUN-CMD-12"},
    "run-ids-repeat": {"RUN-CMD-09", "RUN-ID-07"},
    "run-ignores-its-assistant": {"RUN-OV-null"},
    "run-ignores-tools": {"RUN-CMD-12", "RUN-OV-tool_choice"},
    "run-names-another-thread": {"RUN-ID-07"},
    "run-no-required-action": {"RUN-CMD-12"},
    "run-of-an-unknown-assistant": {"RUN-ID-03"},
    "run-skips-to-completed-then-back": {"RUN-TO-03"},
    "run-status-undocumented": {"RESP-BODY-01"},
    "run-usage-grows-after-end": {"RUN-CMD-01", "RUN-CMD-05", "RUN-CMD-15"},
}


@pytest.fixture(scope="module", autouse=True)
def prepared() -> Iterator[None]:
    """Limits short enough for a test, and the graph and the requirements read once for all tellings."""

    @cache
    def once(loader: Callable[..., Any]) -> Any:
        contract = load_contract("portkey")
        return loader(contract) if loader is load_graph else loader(contract, once(load_graph))

    def graph(contract: Contract) -> Any:
        return once(load_graph)

    def requirements(contract: Contract, graph: Any) -> Any:
        return once(load_requirements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "CANCEL_WITHIN_S", 0.3)
        patch.setattr(stories, "EXPIRY_GRACE_S", 1.0)
        patch.setattr(stories, "EXPIRY_WITHIN_S", 3.5)
        patch.setattr(settings, "load_graph", graph)
        patch.setattr(settings, "load_requirements", requirements)
        yield


def by_fault() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in JUDGED:
        found[entry["fault"]].append(entry)
    return found


FAULTS = by_fault()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_its_requirements(fault: str, tmp_path: Path) -> None:
    """Every requirement must fail for its fault; what else fails of runs is listed."""
    entries = FAULTS[fault]
    told = dict.fromkeys(name for entry in entries for name in entry["scenarios"])
    fired = failed(tell(tmp_path, told, fault))
    wanted = {entry["id"] for entry in entries}
    assert wanted <= fired, f"missing: {wanted - fired}; fired: {fired}"
    ours = {entry["id"] for entry in ENTRIES} | {"RESP-BODY-01", "RESP-5XX-01"}
    assert (fired & ours) - wanted <= BESIDE.get(fault, set())


def test_an_honest_gateway_passes_and_every_unit_is_judged(tmp_path: Path) -> None:
    """Without a fault nothing is found, at any level, and no unit is left without a judgement."""
    told = dict.fromkeys(name for entry in JUDGED for name in entry["scenarios"])
    reports = tell(tmp_path, told)
    assert [finding for report in reports for finding in report.findings] == []
    assert {report.nodeid: report.reason for report in reports if report.verdict is not Verdict.PASS} == {}
    units = {(entry["id"], operation) for entry in JUDGED for operation in entry["operations"]}
    assert units - judged(reports) == set()


def test_a_gateway_too_fast_to_be_cancelled_is_not_accused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no run is ever seen in progress, what that state is needed for is not applicable."""
    for name in ("QUEUED_S", "IN_PROGRESS_S", "WORD_S"):
        monkeypatch.setattr(run_engine, name, 0.0)
    (report,) = tell(tmp_path, ["run-cancelled-at-work"])
    assert (report.verdict, report.findings) == (Verdict.NOT_APPLICABLE, [])
    verdicts = {(result.requirement, result.operation): result.verdict for result in report.results}
    assert verdicts["RUN-CMD-04", "cancelRun"] is Verdict.NOT_APPLICABLE
    assert verdicts["RUN-ST-02", "createRun"] is Verdict.PASS


def test_requirements_name_only_stories_that_give_occasion() -> None:
    """A story named by a requirement must exist, and be about one of its operations."""
    for entry in JUDGED:
        for name in entry["scenarios"]:
            assert set(scenarios()[name].operations) & set(entry["operations"]), (entry["id"], name)


def test_all_of_these_areas_stand_here() -> None:
    """An entry of another area, or without a reason although it is no MUST, must be refused."""
    assert {entry["area"] for entry in ENTRIES} == AREAS
    assert [entry["id"] for entry in ENTRIES if entry["level"] != "MUST" and not entry.get("reason")] == []
