"""Ctrl-C and SIGTERM in the middle: what was created is removed, and the reports say what happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from executions import RUN, ended, start
from targets import Announcement, TargetFile

from conformance.exercise.embedded import EmbeddedGateway

_LISTS = ("/assistants", "/files", "/vector_stores", "/configs", "/prompts")
_UNDER_WAY = 12  # creations after which the signal comes


@pytest.fixture(scope="module")
def slow() -> Iterator[Announcement]:
    """A gateway slow enough to be interrupted in the middle."""
    with EmbeddedGateway(["--latency", "0.05"]) as gateway:
        yield gateway.announcement


def _things(announcement: Announcement) -> dict[str, set[str]]:
    """Ids in every list of the gateway."""
    base = announcement["base_urls"]["data"]
    headers = {**announcement["credentials"]["owner"], "openai-beta": "assistants=v2"}
    found: dict[str, set[str]] = {}
    for path in _LISTS:
        answer: dict[str, Any] = httpx.get(base + path, headers=headers).raise_for_status().json()
        found[path] = {one["id"] for one in answer["data"]}
    return found


def _created(reports: Path) -> int:
    ledgers = reports.glob("*/ledger-*.jsonl")
    return sum(path.read_text("utf-8").count('"event": "created"') for path in ledgers)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_nothing_is_left_behind(
    number: signal.Signals, workers: str, slow: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """The whole process group is told to end, as a terminal does: exit 3, an honest card, a clean target."""
    before = _things(slow)
    reports = tmp_path / "reports"
    target = write_target(slow, concurrency=8)
    groups = ("--group", "Assistants", "--group", "Vector Stores", "--group", "Prompts", "--group", "Configs")
    options = ("--reports", str(reports), "--target", target, "-n", workers, "--effort", "smoke", *groups)
    began = time.monotonic()
    process = start(*RUN, *options)
    while _created(reports) < _UNDER_WAY and process.poll() is None and time.monotonic() - began < 60:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, number)
    execution = ended(process, reports, began, within=90)

    assert execution.code == 3, execution.said
    assert "Traceback" not in execution.said
    assert "interrupted before its end" in execution.card["notes"]
    ledger = execution.card["ledger"]
    assert ledger["leftover"] == []
    assert ledger["created"] >= _UNDER_WAY
    assert ledger["created"] == ledger["removed"] + len(ledger["residue"])
    kept = {one["id"] for one in ledger["residue"]}
    after = _things(slow)
    assert {path: ids - before[path] - kept for path, ids in after.items()} == {
        path: set() for path in _LISTS
    }
    assert (execution.folder / "index.html").exists()
