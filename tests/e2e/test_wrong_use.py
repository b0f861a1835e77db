"""A mistake of the user ends with exit code 2 and one line that names it and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from executions import run
from targets import Announcement, TargetFile

CLOSED = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--effort", "smok"], ["'smok'", "smoke, standard, deep"]),
        (["--group", "Asistants"], ["'Asistants'", "did you mean Assistants?"]),
        (["--only", "createRn"], ["'createRn'", "createRun"]),
        (["--contract", "portke"], ["'portke'", "did you mean portkey?"]),
        (["--seed", "-1"], ["--seed -1", "from 0"]),
        (["-n", "many"], ["-n 'many'", "auto"]),
        (["--target", "ours.toml", "--base-url", CLOSED], ["--target", "--base-url", "exclude"]),
        (["--base-url", CLOSED, "--fault", "server-error"], ["--fault", "embedded gateway"]),
        (["--target", "nowhere.toml"], ["nowhere.toml", "No such file"]),
        (["--base-url", CLOSED], ["no owner credential", "CONFORMANCE_API_KEY"]),
        (["--reports", "/proc/nowhere"], ["cannot write to /proc/nowhere", "--reports"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("-") else "",
)
def test_options(arguments: list[str], told: list[str], tmp_path: Path) -> None:
    """An option that cannot be meant is refused, with the near or allowed ones; nothing is written."""
    execution = run(tmp_path, *arguments)
    assert execution.code == 2, execution.said
    assert execution.complaint.startswith("conformance: ")
    assert all(word in execution.complaint for word in told), execution.complaint
    assert execution.out == ""
    assert not list(tmp_path.rglob("scorecard.json"))


def test_an_unknown_fault_names_itself(tmp_path: Path) -> None:
    """A fault that the embedded gateway does not have is a mistake of the user, not of the suite."""
    execution = run(tmp_path, "--fault", "no-such-fault")
    assert execution.code == 2, execution.said
    assert "no-such-fault" in execution.err
    assert "Traceback" not in execution.said


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"credentials": {"owner": {"key": "${NO_SUCH_KEY_HERE}"}}},
            ["credentials.owner", "NO_SUCH_KEY_HERE"],
        ),
        ({"bsae_url": "x"}, ["bsae_url", "unknown key", "'base_url'"]),
        ({"profile": "asistants"}, ["profile", "'asistants'", "'assistants'"]),
        ({"include": {"groups": ["Asistants"]}}, ["include.groups", "'Asistants'", "'Assistants'"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_target_files(
    keys: dict[str, object],
    told: list[str],
    announcement: Announcement,
    write_target: TargetFile,
    tmp_path: Path,
) -> None:
    """A mistake in a target file is told by key and value, before any request leaves."""
    execution = run(tmp_path / "reports", "--target", write_target(announcement, **keys))
    assert execution.code == 2, execution.said
    assert all(word in execution.complaint for word in told), execution.complaint
    assert execution.out == ""
