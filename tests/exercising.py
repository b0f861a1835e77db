"""The suite's own exercise and judgement, in process, on a few operations of a gateway with faults."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unittest import mock

from conformance.exercise import worker as worker_module
from conformance.exercise.jobs import Job
from conformance.exercise.settings import Settings
from conformance.exercise.worker import ItemReport, Worker
from conformance.model import Result, Verdict
from conformance.reference.core import Gateway
from conformance.reference.server import Options, Running
from conformance.suite import test_operations
from conformance.target import Target
from conformance.target.profile import Timeouts

PATIENT = Timeouts(connect=5.0, read=10.0, total=10.0, stream=10.0)
HASTY = Timeouts(connect=5.0, read=1.0, total=1.0, stream=1.0)  # where a fault is silence
BODY_BYTES = 256 * 1024


@dataclass(frozen=True)
class LimitedSettings(Settings):
    """Settings whose target is given up on soon, so that a silent or endless gateway costs little."""

    timeouts: Timeouts = PATIENT

    def open_target(self) -> Target:
        target = super().open_target()
        return dataclasses.replace(target, timeouts=self.timeouts, max_body_bytes=BODY_BYTES)


@dataclass(frozen=True)
class Observed:
    """What a small execution showed. ``folder`` holds its evidence; ``shown`` are the faults that the
    gateway was asked about where they were on."""

    reports: tuple[ItemReport, ...]
    folder: Path
    seconds: float
    shown: frozenset[str]

    @cached_property
    def fired(self) -> Mapping[str, frozenset[str]]:
        """Operation → requirements that fail on it."""
        found: dict[str, set[str]] = defaultdict(set)
        for result in self.results:
            if result.verdict is Verdict.FAIL:
                assert result.findings, result
                found[result.operation].add(result.requirement)
        return {operation: frozenset(names) for operation, names in found.items()}

    @cached_property
    def results(self) -> tuple[Result, ...]:
        return tuple(result for report in self.reports for result in report.results)

    @cached_property
    def reached(self) -> frozenset[str]:
        return frozenset(operation for report in self.reports for operation in report.reached)

    def told(self) -> str:
        """Every finding, one a line, for the message of a failing assertion."""
        return "\n".join(
            f"{finding.requirement} {finding.operation}: {finding.message}"
            for report in self.reports
            for finding in report.findings
        )


def concerns() -> dict[str, tuple[str, ...]]:
    """The concerns of the suite and the requirements that each names, from its own markers."""
    return {
        mark.args[0]: tuple(mark.args[1:])
        for function in vars(test_operations).values()
        for mark in getattr(function, "pytestmark", ())
        if mark.name == "concern"
    }


def exercise(
    operations: Sequence[str],
    folder: Path,
    *,
    faults: Iterable[str] = (),
    timeouts: Timeouts = PATIENT,
    specs: Path | None = None,
    shrink: bool = False,
) -> Observed:
    """Every concern of the suite on these operations, against a gateway in a thread, with these faults.

    ``specs``: a folder with another contract of the same name, which the gateway then serves too.
    Failing cases are made smaller only with ``shrink``: it would send more of the same.
    """
    began = time.monotonic()
    contract = specs / "portkey" / "compiled" / "strict.json" if specs is not None else None
    options = Options(faults=tuple(faults), contract=contract)
    most = worker_module.MAX_SHRUNK if shrink else 0
    shown: set[str] = set()
    faulty = Gateway.faulty

    def noted(gateway: Gateway, name: str, operation: str) -> bool:
        on = faulty(gateway, name, operation)
        if on:
            shown.add(name)
        return on

    with (
        mock.patch.object(Gateway, "faulty", noted),
        Running(options) as gateway,
        mock.patch.object(worker_module, "MAX_SHRUNK", most),
    ):
        settings = LimitedSettings(
            announcement=gateway.announcement,
            specs_dir=str(specs) if specs is not None else None,
            only=tuple(operations),
            effort="smoke",
            reports=str(folder),
            run_id="faults",
            timeouts=timeouts,
        )
        settings.folder.mkdir(parents=True, exist_ok=True)
        worker = Worker(settings, "main")
        try:
            jobs = _jobs(worker, operations)
            worker.start(job for job, _ in jobs)
            reports = tuple(worker.exercise(job, names) for job, names in jobs)
        finally:
            worker.close()
    return Observed(reports, settings.folder, round(time.monotonic() - began, 2), frozenset(shown))


def _jobs(worker: Worker, operations: Sequence[str]) -> list[tuple[Job, tuple[str, ...]]]:
    requirements = worker.plan.requirements
    return [
        (Job(f"{concern}[{name}]", concern, name), names)
        for concern, names in concerns().items()
        for name in operations
        if any(
            requirements.applies(requirements.get(one), worker.plan.contract.operation(name)) for one in names
        )
    ]
