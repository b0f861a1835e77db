"""The embedded reference gateway: a process of its own that ends with the execution."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from conformance.errors import SuiteError, UsageError

START_TIMEOUT_S = 30.0
REFUSED_OPTIONS = 2
FAULTS_HINT = "`conformance serve --list-faults` prints the faults there are"


class EmbeddedGateway:
    """Starts ``python -m conformance.reference`` and reads what it announces."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        command = [
            sys.executable,
            "-P",  # our own package, whatever lies in the working directory
            "-m",
            "conformance.reference",
            "--port",
            "0",
            "--announce",
            "--die-with-parent",
        ]
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to answer: what we made must be removed first
        )
        self.announcement = self._read_announcement()

    def _read_announcement(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
        reader.start()
        reader.join(START_TIMEOUT_S)
        try:
            announcement = json.loads(lines[0]) if lines else None
        except ValueError:
            announcement = None
        if not isinstance(announcement, dict):
            self.close()
            if self._process.returncode == REFUSED_OPTIONS:  # it has said why on standard error
                raise UsageError("the embedded reference gateway refuses its options", hint=FAULTS_HINT)
            raise SuiteError("the embedded reference gateway did not start", hint="try `conformance serve`")
        return announcement

    def close(self) -> None:
        """End the process; harmless when it has ended."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> EmbeddedGateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
