"""One gateway and one worker for many tellings: faults are switched between them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from conformance.exercise.jobs import Job
from conformance.exercise.scenarios import scenarios
from conformance.exercise.settings import Settings
from conformance.exercise.worker import ItemReport, Worker
from conformance.model import Exchange
from conformance.reference.server import Options, Running
from conformance.target import Recorder, read_evidence


class Teller:
    """Tells scenarios to a gateway that keeps its state; a context manager."""

    def __init__(self, folder: Path, speed: float = 1.0) -> None:
        self._gateway = Running(Options(port=0, speed=speed))
        self._folder = folder
        self._told = 0
        self._closed = False

    def __enter__(self) -> Teller:
        self._gateway.start()
        settings = Settings(
            announcement=self._gateway.announcement,
            reports=str(self._folder),
            run_id=f"areas-{time.monotonic_ns()}",
        )
        settings.folder.mkdir(parents=True)
        self._evidence = Recorder.file_of(settings.folder, "main")
        self.worker = Worker(settings, "main")
        return self

    def tell(self, names: Iterable[str], *faults: str) -> list[ItemReport]:
        """The reports of these scenarios while the gateway shows these faults."""
        self._gateway.app.gateway.faults = frozenset(faults)
        self._told += 1
        jobs = [
            Job(f"scenario[{name}] {self._told}", "scenario", scenarios()[name].operation, name)
            for name in names
        ]
        try:
            self.worker.start(jobs)
            return [self.worker.exercise(job, ()) for job in jobs]
        finally:
            self._gateway.app.gateway.faults = frozenset()

    def stop(self) -> tuple[Exchange, ...]:
        """End the worker; everything it sent and was answered."""
        self._close()
        return tuple(read_evidence([self._evidence]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._gateway.stop()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self.worker.close()
