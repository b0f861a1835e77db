"""Executions of the suite as a user starts them: a process, its output, its exit code, its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from conformance.model import Exchange
from conformance.target import read_evidence

RUN = (sys.executable, "-m", "conformance", "run")
PYTEST = (sys.executable, "-m", "pytest", "--pyargs", "conformance.suite")
SMOKE = ("--effort", "smoke", "-n", "0")
LONGEST_S = 180.0


@dataclass(frozen=True)
class Ended:
    """An execution that ended; ``reports`` is the folder its own folder lies in."""

    code: int
    out: str
    err: str
    seconds: float
    reports: Path

    @property
    def said(self) -> str:
        """Everything it printed."""
        return self.out + self.err

    @property
    def complaint(self) -> str:
        """The one line on standard error; the test fails when there are none or several."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.said
        return lines[0]

    @cached_property
    def folder(self) -> Path:
        """The one folder it wrote."""
        folders = [one for one in self.reports.iterdir() if one.is_dir()]
        assert len(folders) == 1, (folders, self.said)
        return folders[0]

    @cached_property
    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads((self.folder / "scorecard.json").read_text("utf-8"))
        return card

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        return tuple(read_evidence([self.folder / "evidence.jsonl"]))

    def units(self) -> dict[tuple[str, str], str]:
        """The verdict of every requirement on every operation."""
        return {
            (unit["requirement"], operation["id"]): unit["state"]
            for group in self.card["groups"]
            for operation in group["list"]
            for unit in operation["units"]
        }

    def reasons(self) -> str:
        """Every reason the card gives for what was not judged, and its verdict's own."""
        gaps = [gap["reason"] for group in self.card["groups"] for gap in group["gaps"]]
        return "\n".join([self.card["verdict"]["reason"], *gaps])


def environment(**more: str) -> dict[str, str]:
    """Ours, without what a developer may have set for real targets, wide enough not to fold lines, and
    with the installed package, not what lies in the working directory."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("CONFORMANCE_", "PYTEST_"))
    }
    return {**own, "COLUMNS": "200", "PYTHONSAFEPATH": "1", **more}


def start(*command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A process in a group of its own, so that a signal can be sent to all of it as Ctrl-C is."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**(env or {})),
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], reports: Path, began: float, within: float = LONGEST_S) -> Ended:
    """Wait for a process; the test fails when it does not end in time."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not ended within {within} s:\n{out}\n{err}") from None
    return Ended(process.returncode, out, err, time.monotonic() - began, reports)


def run(
    reports: Path, *arguments: str, within: float = LONGEST_S, env: Mapping[str, str] | None = None
) -> Ended:
    """``conformance run`` with these arguments."""
    began = time.monotonic()
    return ended(start(*RUN, "--reports", str(reports), *arguments, env=env), reports, began, within)


def run_pytest(reports: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
    """``pytest --pyargs conformance.suite`` with these arguments."""
    began = time.monotonic()
    command = (*PYTEST, "--conformance-reports", str(reports), "-p", "no:cacheprovider", *arguments)
    return ended(start(*command, env=env), reports, began)


def only(*operations: str) -> list[str]:
    return [part for operation in operations for part in ("--only", operation)]
