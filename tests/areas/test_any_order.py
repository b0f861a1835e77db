"""The state machine: honest gateways pass in any order, a wrong one is found and told as a short story."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis.errors import FlakyStrategyDefinition

from conformance.exercise import machine
from conformance.exercise.jobs import STATEFUL, Job
from conformance.exercise.settings import Settings
from conformance.exercise.worker import ItemReport, Worker
from conformance.model import Purpose, Verdict
from conformance.plugin import must_hold
from conformance.reference.server import Options, Running
from conformance.target import read_evidence

JOB = Job("test_any_order[createRun]", STATEFUL, "createRun")


def explore(
    folder: Path, *faults: str, effort: str = "smoke", seed: int = 1, speed: float = 0.3
) -> ItemReport:
    """What the machine finds on a gateway with these faults."""
    with Running(Options(port=0, faults=faults, speed=speed)) as gateway:
        settings = Settings(
            announcement=gateway.announcement, reports=str(folder), run_id="any", effort=effort, seed=seed
        )
        settings.folder.mkdir(parents=True)
        worker = Worker(settings, "main")
        try:
            worker.start([JOB])
            return worker.exercise(JOB, ())
        finally:
            worker.close()


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_gateway_passes(tmp_path: Path, seed: int) -> None:
    """No finding at any level, and something was judged; everything sent stands in the evidence."""
    report = explore(tmp_path, effort="standard", seed=seed)
    assert report.findings == []
    assert (report.verdict, report.reason) == (Verdict.PASS, "")
    stored = list(read_evidence(sorted((tmp_path / "any").glob("evidence-*.jsonl"))))
    assert len(stored) == report.exchanges
    assert {one.operation for one in stored if one.purpose is Purpose.SCENARIO} >= {"createRun", "getRun"}


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_comes_back_is_told_as_a_story(tmp_path: Path, seed: int) -> None:
    """The item must fail, and its finding show a handful of numbered steps, the last of them wrong."""
    report = explore(tmp_path, "run-skips-to-completed-then-back", seed=seed)
    assert report.verdict is Verdict.FAIL
    told = [one for one in report.findings if "the shortest sequence that shows it:" in one.details]
    assert len(told) == 1
    steps = [line for line in told[0].details if re.match(r"\d+\. ", line)]
    assert [line.partition(".")[0] for line in steps] == [str(number + 1) for number in range(len(steps))]
    assert 3 <= len(steps) <= 9  # a run moves with the clock: the shortest is not always found
    assert re.fullmatch(r"1\. POST /v1/threads → 200 = T1", steps[0])
    assert "in_progress" in steps[-1]
    with pytest.raises(pytest.fail.Exception, match="the shortest sequence that shows it"):
        must_hold(report)


def test_a_late_failure_is_made_shorter(tmp_path: Path) -> None:
    """A failure that random steps surround must be told by fewer steps than a sequence has."""
    report = explore(tmp_path, "cancel-accepted-after-end", effort="standard", seed=2)
    assert report.verdict is Verdict.FAIL
    told = [one for one in report.findings if "the shortest sequence that shows it:" in one.details]
    assert sum(bool(re.match(r"\d+\. ", line)) for line in told[0].details) < machine.BOUNDS["standard"].steps


def test_a_flaky_target_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Hypothesis calls flaky must become a reason, never an error of the suite."""

    def flaky(*args: object, **kwargs: object) -> None:
        raise FlakyStrategyDefinition("drawn differently")

    monkeypatch.setattr(machine, "tell_at_random", flaky)
    report = explore(tmp_path)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "answered differently" in report.reason


def test_time_ends_an_exploration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target too slow for the bounds must end inconclusive with the reason, its threads removed."""
    monkeypatch.setitem(machine.BOUNDS, "smoke", machine.Bounds(1000, 6, 10, 1.0))
    report = explore(tmp_path)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason.startswith("stopped after 1 s")
    assert report.seconds < 10


def test_the_same_seed_tells_the_same_sequences(tmp_path: Path) -> None:
    """Two explorations with one seed must send the same requests in the same order."""
    sent = []
    for name in ("one", "two"):
        explore(tmp_path / name, seed=7, speed=0)
        stored = read_evidence(sorted((tmp_path / name / "any").glob("evidence-*.jsonl")))
        steps = [one for one in stored if one.purpose is Purpose.SCENARIO]
        sent.append([one.operation for one in sorted(steps, key=lambda one: one.started)])
    assert sent[0] == sent[1] != []
