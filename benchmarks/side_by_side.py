"""This suite and ``schemathesis run`` on the same work: the embedded reference gateway, in one go.

    python benchmarks/side_by_side.py [--effort standard] [--max-examples 10] [--skip-schemathesis]

Prints requests, wall time, requests per second and the peak memory of the largest process and of all
together, for a first execution (corpus drawn), a second one (corpus stored), and Schemathesis. Then the
time against a gateway that takes 200 ms an answer, beside the bound that latency sets.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from conformance.contract.locate import find_specs
from conformance.exercise.embedded import EmbeddedGateway
from conformance.target import read_evidence

LATENCY_S = 0.2
SAMPLE_S = 0.2
GATEWAY = "conformance.reference"


@dataclass(frozen=True)
class Measured:
    """One command: requests sent, seconds of wall time, peak bytes of one process and of all."""

    name: str
    requests: int
    seconds: float
    largest: int
    together: int

    def row(self) -> str:
        rate = self.requests / self.seconds if self.seconds else 0.0
        mib = 1024 * 1024
        return (
            f"{self.name:34} {self.requests:8,} {self.seconds:8.1f} s {rate:8.0f}/s "
            f"{self.largest / mib:7.0f} MiB {self.together / mib:7.0f} MiB"
        )


class MemoryWatch(threading.Thread):
    """Samples the resident memory of a process and its children, the gateway left out."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.largest = self.together = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            try:
                root = psutil.Process(self._pid)
                sizes = [
                    process.memory_info().rss
                    for process in [root, *root.children(recursive=True)]
                    if GATEWAY not in " ".join(process.cmdline())
                ]
            except psutil.Error:
                continue
            self.largest = max(self.largest, *sizes, 0)
            self.together = max(self.together, sum(sizes))

    def stop(self) -> None:
        self._over.set()
        self.join()


def watched(command: list[str], folder: str = ".", **environment: str) -> tuple[str, float, MemoryWatch]:
    """Run a command to its end → its output, its seconds, and the memory it took."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    watch = MemoryWatch(process.pid)
    watch.start()
    output, _ = process.communicate()
    watch.stop()
    return output, time.monotonic() - began, watch


def longest_chain(evidence: Path) -> int:
    """The most exchanges that one item sent strictly one after another."""
    items: dict[str, list[tuple[float, float]]] = {}
    for exchange in read_evidence([evidence]):
        items.setdefault(exchange.item, []).append((exchange.ended, exchange.started))
    longest = 0
    for spans in items.values():
        count, free = 0, 0.0
        for ended, started in sorted(spans):
            if started >= free:
                count, free = count + 1, ended
        longest = max(longest, count)
    return longest


def ours(name: str, cache: Path, *arguments: str) -> tuple[Measured, int]:
    """One execution of this suite, its corpus kept under ``cache``, and its longest chain."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "conformance", "run", "--reports", folder, *arguments]
        output, seconds, watch = watched(command, GATEWAY_CONFORMANCE_CACHE=str(cache))
        found = list(Path(folder).glob("*/scorecard.json"))
        if not found:
            raise SystemExit(f"{name} did not finish:\n{output[-3000:]}")
        card = json.loads(found[0].read_text("utf-8"))
        chain = longest_chain(found[0].parent / "evidence.jsonl")
    requests = card["denominators"]["exchanges"]["total"]
    return Measured(name, requests, seconds, watch.largest, watch.together), chain


def theirs(max_examples: int) -> Measured:
    """``schemathesis run`` with all its checks against a gateway of its own."""
    document = find_specs() / "portkey" / "compiled" / "strict.json"
    with EmbeddedGateway() as gateway:
        key = gateway.announcement["credentials"]["owner"]["x-portkey-api-key"]
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", str(document),
            "--url", gateway.announcement["base_urls"]["data"], "-H", f"x-portkey-api-key: {key}",
            "--max-examples", str(max_examples), "--checks", "all", "--continue-on-failure",
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:  # it leaves files where it runs
            output, seconds, watch = watched(command, folder)
    counts = re.findall(r"([\d,]+) generated", output)
    if not counts:
        raise SystemExit(f"schemathesis did not say how many requests it made:\n{output[-3000:]}")
    requests = int(counts[-1].replace(",", ""))
    return Measured(
        f"schemathesis --max-examples {max_examples}", requests, seconds, watch.largest, watch.together
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--max-examples", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--skip-schemathesis", action="store_true")
    options = parser.parse_args()
    print(f"{'':34} {'requests':>8} {'wall':>10} {'rate':>10} {'largest':>11} {'together':>11}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        first, _ = ours(f"conformance run, {options.effort}, first", cache, "--effort", options.effort)
        print(first.row(), flush=True)
        again, _ = ours(f"conformance run, {options.effort}, again", cache, "--effort", options.effort)
        print(again.row(), flush=True)
        if not options.skip_schemathesis:
            other = theirs(options.max_examples)
            print(other.row(), flush=True)
            faster = (again.requests / again.seconds) / (other.requests / other.seconds)
            print(f"requests per second, this suite (again) over Schemathesis: {faster:.1f}", flush=True)
        slow_options = ["--effort", "smoke", "--concurrency", str(options.concurrency)]
        ours("warming", cache, *slow_options)
        slow, chain = ours(
            "conformance run, smoke, 200 ms", cache, *slow_options, "--latency", str(LATENCY_S)
        )
        print(slow.row(), flush=True)
        bound = LATENCY_S * slow.requests / options.concurrency
        longest = LATENCY_S * chain
        print(
            f"bound: the greater of {LATENCY_S:g} s × {slow.requests:,} ÷ {options.concurrency}"
            f" = {bound:.1f} s and the longest chain, {chain} requests = {longest:.1f} s;"
            f" measured {slow.seconds / max(bound, longest):.2f} times that"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
