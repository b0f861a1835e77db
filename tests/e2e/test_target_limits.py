"""What a target file does not claim or allow is told, and never counts as passed."""

from __future__ import annotations

from pathlib import Path

from executions import SMOKE, only, run
from targets import Announcement, TargetFile


def test_a_used_up_budget_is_inconclusive(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """Fifty requests for a whole group: at most fifty leave (removals aside), the rest has no verdict."""
    target = write_target(announcement, budget={"requests": 50})
    execution = run(tmp_path / "reports", *SMOKE, "--target", target, "--group", "Assistants")
    assert execution.code == 3, execution.said
    assert execution.card["verdict"]["word"] == "inconclusive"
    assert "budget" in execution.reasons()
    assert "budget" in execution.out
    assert execution.card["findings"]["total"] == 0, "what was not sent became a finding"
    sent = [one for one in execution.exchanges if one.failure is None]
    assert len([one for one in sent if one.purpose != "cleanup"]) <= 50
    assert execution.card["ledger"]["leftover"] == [], "the budget held back a removal"


def test_a_profile_and_exclusions_bound_the_scope(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """What lies outside the profile or is left out gets no request and is counted as out of scope."""
    target = write_target(
        announcement,
        profile="assistants",
        include={"groups": ["Assistants", "Files", "Configs"]},
        exclude={"groups": ["Files"], "operations": ["createRun"]},
    )
    execution = run(
        tmp_path / "reports",
        *SMOKE,
        "--target",
        target,
        *only("listAssistants", "createRun", "listFiles", "listConfigs", "getThread"),
    )
    assert execution.code == 0, execution.said
    assert execution.card["denominators"]["operations"] == {"reached": 2, "total": 2, "out_of_scope": 222}
    judged = {operation["id"] for group in execution.card["groups"] for operation in group["list"]}
    assert judged == {"listAssistants", "getThread"}
    why = {one["id"]: one["reason"] for group in execution.card["groups"] for one in group["out_of_scope"]}
    assert why["listConfigs"] == "outside the claimed profile assistants"
    assert why["createRun"] == why["listFiles"] == "left out by the target file"
    assert why["createThread"] == "not among the operations asked for"
    assert not {one.operation for one in execution.exchanges} & {"listConfigs", "createRun", "listFiles"}


def test_nothing_in_scope_is_no_certificate(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """An execution that leaves itself nothing to exercise is inconclusive."""
    target = write_target(announcement, profile="assistants")
    execution = run(tmp_path / "reports", *SMOKE, "--target", target, *only("listConfigs"))
    assert execution.code == 3, execution.said
    assert "Traceback" not in execution.said


def test_what_is_not_allowed_is_not_sent_and_named(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """Without allow no cost, no deletion of what was there, no foreign method; the word to add is told."""
    target = write_target(announcement, allow=[])
    chosen = only("createChatCompletion", "deleteModel", "Invites_create", "listModels")
    execution = run(tmp_path / "reports", *SMOKE, "--target", target, *chosen)
    assert execution.code == 3, execution.said
    for needs in (
        'createChatCompletion needs allow = ["cost"]',
        'deleteModel needs allow = ["destructive", "side-effects"]',
        'Invites_create needs allow = ["side-effects"]',
        'listModels needs allow = ["undocumented-methods"]',
    ):
        assert needs in execution.reasons()
    assert execution.units()["METHOD-01", "listModels"] == "inconclusive"
    assert execution.units()["OP-CANON-01", "listModels"] == "pass"
    refused = {"createChatCompletion", "deleteModel", "Invites_create"}
    honest = [
        one
        for one in execution.exchanges
        if one.operation in refused and one.credential == "owner" and one.failure is None
    ]
    assert {one.purpose for one in honest} <= {"unknown-id"}


def test_what_is_not_declared_buys_no_certificate(
    announcement: Announcement, write_target: TargetFile, tmp_path: Path
) -> None:
    """A capability or model that the profile cannot do without: nothing is sent, nothing passes."""
    target = write_target(announcement, capabilities=["streaming"], models={"chat": "reference-chat"})
    chosen = only("connectRealtime", "createEmbedding", "listModels")
    execution = run(tmp_path / "reports", *SMOKE, "--target", target, *chosen)
    assert execution.code == 3, "an operation that was never reached earned a certificate"
    assert execution.units()["OP-CANON-01", "connectRealtime"] == "inconclusive"
    assert execution.units()["OP-CANON-01", "listModels"] == "pass"
    assert "the profile all cannot do without realtime" in execution.reasons()
    assert "the profile all cannot do without embedding" in execution.reasons()
    assert not [one for one in execution.exchanges if one.operation in ("connectRealtime", "createEmbedding")]
