"""Tells scenarios to a reference gateway in this process, with a fault or without, and judges them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from conformance.exercise.jobs import Job
from conformance.exercise.scenarios import scenarios
from conformance.exercise.settings import Settings
from conformance.exercise.worker import ItemReport, Worker
from conformance.model import Verdict
from conformance.reference.server import Options, Running


def tell(folder: Path, names: Iterable[str], *faults: str) -> list[ItemReport]:
    """The reports of these scenarios, told to a gateway that shows these faults."""
    with Running(Options(port=0, faults=tuple(faults))) as gateway:
        settings = Settings(
            announcement=gateway.announcement, reports=str(folder), run_id=f"areas-{time.monotonic_ns()}"
        )
        settings.folder.mkdir(parents=True)
        worker = Worker(settings, "main")
        jobs = [Job(f"scenario[{name}]", "scenario", scenarios()[name].operation, name) for name in names]
        try:
            worker.start(jobs)
            return [worker.exercise(job, ()) for job in jobs]
        finally:
            worker.close()


def failed(reports: Iterable[ItemReport]) -> set[str]:
    """The requirements that failed anywhere."""
    return {
        result.requirement
        for report in reports
        for result in report.results
        if result.verdict is Verdict.FAIL
    }


def judged(reports: Iterable[ItemReport]) -> set[tuple[str, str]]:
    """The units (requirement, operation) that were judged, by whatever verdict."""
    return {
        (result.requirement, result.operation)
        for report in reports
        for result in report.results
        if result.judged
    }
