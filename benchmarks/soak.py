"""Many seeds against the honest reference gateway: each must end conformant, without one finding.

    python benchmarks/soak.py [--seeds 20] [--first 1] [--effort standard]

Exits 1 when any seed shows a finding, at any level.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def execute(seed: int, effort: str, reports: Path) -> dict[str, object]:
    """One execution in a process of its own → its scorecard, with the exit code under ``code``."""
    command = [sys.executable, "-m", "conformance", "run", "--effort", effort, "--seed", str(seed)]
    done = subprocess.run([*command, "--reports", str(reports)], capture_output=True, text=True, check=False)
    found = sorted(reports.glob(f"*-s{seed}/scorecard.json"))
    if not found:
        raise SystemExit(f"seed {seed}: no scorecard\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return {**json.loads(found[-1].read_text("utf-8")), "code": done.returncode}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--effort", default="standard")
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + options.seeds):
            began = time.monotonic()
            card = execute(seed, options.effort, Path(folder))
            denominators, findings = card["denominators"], card["findings"]
            assert isinstance(denominators, dict)
            assert isinstance(findings, dict)
            operations, exchanges = denominators["operations"], denominators["exchanges"]
            print(
                f"seed {seed:3}: exit {card['code']},"
                f" {operations['reached']}/{operations['total']} operations,"
                f" {exchanges['judged']:,} judged, {findings['total']} findings,"
                f" {time.monotonic() - began:.0f} s",
                flush=True,
            )
            for one in findings["list"]:
                print(f"    {one['level']} {one['requirement']} {one['operation']}: {one['message']}")
            bad += bool(card["code"] or findings["total"])
    print(f"{options.seeds - bad} of {options.seeds} seeds without a finding")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
