"""Another contract than the first one: its single operation is reached with a thing the target was given."""

from __future__ import annotations

from pathlib import Path

import httpx
from executions import SMOKE, run
from targets import Announcement, TargetFile


def test_the_given_assistant_runs(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """POST /threads/runs of the other contract, against a gateway that knows nothing of that contract."""
    base = announcement["base_urls"]["data"]
    headers = {**announcement["credentials"]["owner"], "openai-beta": "assistants=v2"}
    made = httpx.post(f"{base}/assistants", headers=headers, json={"model": announcement["models"]["chat"]})
    target = write_target(announcement, given={"assistant": made.json()["id"]})
    execution = run(tmp_path / "reports", *SMOKE, "--contract", "openai", "--target", target)
    assert execution.code == 0, execution.said
    assert execution.card["denominators"]["operations"] == {"reached": 1, "total": 1, "out_of_scope": 0}
    assert execution.card["execution"]["contract"]["name"] == "openai"
    assert execution.card["findings"]["total"] == 0
    assert execution.card["ledger"]["leftover"] == []
