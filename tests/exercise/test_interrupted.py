"""An interrupt ends the waiting, not the work: what is under way removes what it made."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from conformance.exercise.embedded import EmbeddedGateway
from conformance.exercise.jobs import Job
from conformance.exercise.settings import Settings
from conformance.exercise.tidying import ledgers, tidy
from conformance.exercise.worker import Worker
from conformance.target import Ledger

_OPERATIONS = ("createThread", "createAssistant", "createMessage", "getThread", "createVectorStore")


def _worker(gateway: EmbeddedGateway, folder: Path) -> Worker:
    settings = Settings(announcement=gateway.announcement, effort="smoke", reports=str(folder), run_id="here")
    settings.folder.mkdir(parents=True)
    return Worker(settings, "main")


def test_a_signal_in_the_middle_of_a_job(tmp_path: Path) -> None:
    """KeyboardInterrupt reaches whoever waits; closing then removes everything, of all jobs."""
    with EmbeddedGateway(["--latency", "0.3"]) as gateway:
        worker = _worker(gateway, tmp_path)
        jobs = [Job(f"valid[{one}]", "valid", one) for one in _OPERATIONS]
        worker.start(jobs)
        (ledger,) = ledgers(tmp_path / "here")

        def interrupt() -> None:
            while '"created"' not in ledger.read_text("utf-8"):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            _ = [worker.exercise(job, ["OP-VALID-01"]) for job in jobs]
        worker.close()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    summary = Ledger.read(ledgers(tmp_path / "here"))
    assert summary.created
    assert summary.clean, summary.leftover
    assert len(summary.created) == len(summary.removed) + len(summary.residue)


def test_what_a_killed_worker_left_is_removed_afterwards(tmp_path: Path) -> None:
    """The ledger alone is enough to remove it, youngest first; what is gone already counts as removed."""
    with EmbeddedGateway(["--speed", "0"]) as gateway:
        worker = _worker(gateway, tmp_path)
        job = Job("canonical[createThread]", "canonical", "createThread")
        report = worker.exercise(job, ["OP-CANON-01"])
        assert report.verdict == "pass", report.reason
        worker.close()
        (ledger,) = ledgers(tmp_path / "here")
        lines = ledger.read_text("utf-8").splitlines(keepends=True)
        ledger.write_text("".join(line for line in lines if '"removed"' not in line), "utf-8")
        assert len(Ledger.read([ledger]).leftover) == 1
        assert tidy(worker.plan, tmp_path / "here") == 1
        assert Ledger.read(ledgers(tmp_path / "here")).clean
    ledger.write_text("".join(line for line in lines if '"removed"' not in line), "utf-8")
    (tmp_path / "here" / "ledger-tidy.jsonl").unlink()
    assert tidy(worker.plan, tmp_path / "here") == 0, "nobody answers any more"
    (left,) = Ledger.read(ledgers(tmp_path / "here")).leftover
    assert "deleteThread" in left.reason
