"""No key of the user, and no secret that the target hands out, is in anything an execution writes or says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from executions import Ended, only, run
from targets import Announcement, TargetFile

from conformance.exercise.embedded import EmbeddedGateway

_CHOSEN = ("postApiKeysTypeSubType", "getApiKeysId", "createThread", "postVirtualKeys", "listModels")


def _holds(execution: Ended, secret: str) -> list[str]:
    """Names of the files, or the terminal, that hold a secret."""
    found = ["the terminal"] if secret in execution.said else []
    files = [one for one in execution.folder.rglob("*") if one.is_file()]
    assert len(files) > 10
    return found + [one.name for one in files if secret.encode() in one.read_bytes()]


def test_keys_stay_secret_even_when_the_target_repeats_them(write_target: TargetFile, tmp_path: Path) -> None:
    """Against a gateway that prints the key it refuses: seen as a finding or not, never shown."""
    with EmbeddedGateway(["--speed", "0", "--fault", "error-reveals-key"]) as gateway:
        said = gateway.announcement
        target = write_target(said)
        execution = run(
            tmp_path / "reports", "--effort", "smoke", "-n", "2", "--target", target, *only(*_CHOSEN)
        )
    assert execution.code in (0, 1), execution.said
    evidence = (execution.folder / "evidence.jsonl").read_text("utf-8")
    assert "[[owner]]" in evidence
    assert "[[revoked]]" in evidence
    keys = [value for headers in said["credentials"].values() for value in headers.values()]
    assert len(keys) == 4
    for key in keys:
        assert _holds(execution, key) == []


def test_secrets_the_target_hands_out_stay_secret(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """The key in the answer that creates a key is replaced by a placeholder, equal wherever it is equal."""
    create = "postApiKeysTypeSubType"
    target = write_target(announcement)
    execution = run(tmp_path / "reports", "--effort", "smoke", "-n", "0", "--target", target, *only(create))
    assert execution.code == 0, execution.said
    answers = [
        json.loads(one.response.body)
        for one in execution.exchanges
        if one.operation == create and one.response is not None and one.response.status < 300
    ]
    assert answers
    assert all(re.fullmatch(r"\[\[secret:[0-9a-f]+\]\]", answer["key"]) for answer in answers)
    key_of_the_gateway = re.compile(_beginning(announcement) + rb"[A-Za-z0-9_-]{20,}")
    for file in (one for one in execution.folder.rglob("*") if one.is_file()):
        assert not key_of_the_gateway.search(file.read_bytes()), file.name


def _beginning(announcement: Announcement) -> bytes:
    """How every key of the reference gateway begins."""
    key = str(next(iter(announcement["credentials"]["owner"].values())))
    return re.escape(key[: key.rindex("-") + 1]).encode()
