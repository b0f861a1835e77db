"""The same seed sends the same cases to the same target; another seed sends others."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from executions import Ended, only, run
from targets import Announcement, TargetFile

from conformance.contract import load_contract
from conformance.model import Purpose

_CHOSEN = ("createThread", "listFiles", "createConfig")
_DRAWN = {Purpose.VALID, Purpose.INVALID, Purpose.EXAMPLE}
#: What differs by right: ids the target gave, names that carry the execution's marker, times.
_OWN = re.compile(
    r"cf[0-9a-f]{12}-(main|gw\d)-\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[a-z]{2,}[_-][A-Za-z0-9]{16,}|\b1[789]\d{8}\b"
)


def _sent(execution: Ended) -> Counter[str]:
    """What was drawn and sent, each with how often; a request is its operation, case and content."""
    contract = load_contract("portkey")
    told: list[Any] = []
    for one in execution.exchanges:
        if one.purpose in _DRAWN:
            path = contract.operation(one.operation).path
            query = one.request.url.partition("?")[2]
            body = one.request.body.decode("utf-8", "backslashreplace")
            told.append([one.operation, one.purpose, one.case, one.request.method, path, query, body])
    return Counter(_OWN.sub("<own>", json.dumps(one)) for one in told)


def test_a_seed_is_a_promise(announcement: Announcement, write_target: TargetFile, tmp_path: Path) -> None:
    """Twice with seed 7, on one process and on two: the same multiset of requests; seed 8 differs."""
    target = write_target(announcement)
    found = []
    for number, (seed, workers) in enumerate([("7", "0"), ("7", "2"), ("8", "0")]):
        execution = run(
            tmp_path / f"reports-{number}",
            *("--effort", "standard", "--seed", seed, "-n", workers, "--target", target),
            *only(*_CHOSEN),
        )
        assert execution.code == 0, execution.said
        found.append(_sent(execution))
    first, again, other = found
    assert sum(first.values()) > 60, "too little was drawn to compare"
    assert first == again, (list((first - again).items())[:3], list((again - first).items())[:3])
    shared = sum((first & other).values())
    assert shared < 0.9 * sum(first.values()), "another seed draws the same cases"
