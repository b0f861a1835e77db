"""Options become one value that every worker gets the same, and mistakes are told before anything starts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.contract.profiles import Profile
from conformance.errors import TargetFileError, UnknownNameError, UsageError
from conformance.exercise.scheduling import key_of, share
from conformance.exercise.settings import Settings, chosen, marker_of, new_run_id
from conformance.model import Credential

_URL = "http://127.0.0.1:1/v1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "target.toml"
    file.write_text(f'base_url = "{_URL}"\n[credentials.owner]\nkey = "pk-settings"\n', "utf-8")
    return Settings(target=str(file), effort="smoke", run_id="here")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"effort": "smok"}, "smoke, standard, deep"),
        ({"seed": -1}, "negative"),
        ({"concurrency": 0}, "1 to 256"),
        ({"concurrency": 257}, "1 to 256"),
        ({"target": "a.toml", "base_url": _URL}, "exclude each other"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], told: str) -> None:
    """Each with a line that says what is allowed."""
    with pytest.raises(UsageError, match=told):
        Settings(**wrong).check()


def test_workers_get_the_same_settings() -> None:
    """Also after the trip through JSON, on which tuples become lists."""
    settings = Settings(groups=("Files",), only=("createRun",), seed=7, announcement={"a": [1]})
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_no_two_executions_share_a_marker() -> None:
    """Names made by one execution must not be taken already when the next one makes them."""
    run_ids = [new_run_id("ours", "smoke", 1, at) for at in (1e9, 1e9 + 1, 1e9 + 0.5)]
    markers = [marker_of(run_id, at) for run_id, at in zip(run_ids, (1e9, 1e9 + 1, 1e9 + 0.5), strict=True)]
    assert len(set(markers)) == 3
    assert all(re.fullmatch(r"cf[0-9a-f]{12}", one) for one in markers)
    assert marker_of(run_ids[0], 1e9) == markers[0], "workers of one execution disagree"


def test_run_ids_are_folder_names() -> None:
    """Whatever a target is called; they sort by time."""
    ids = [new_run_id("../ Étrange/..\0 " * 9, "smoke", 1, at) for at in (1e9, 1e9 + 1)]
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"\d{8}-\d{6}-[a-z0-9-]{1,24}-smoke-s1", one) for one in ids)


def test_a_base_url_takes_its_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And allows nothing that costs."""
    monkeypatch.setenv("CONFORMANCE_API_KEY", "pk-from-environment")
    monkeypatch.delenv("CONFORMANCE_REVOKED_KEY", raising=False)
    target = Settings(base_url=_URL, concurrency=3).open_target()
    assert target.has(Credential.OWNER)
    assert not target.has(Credential.REVOKED)
    assert target.allow == frozenset()
    assert target.concurrency == 3


def test_names_are_checked_against_the_contract(settings: Settings) -> None:
    """Groups in any case, operations by id or by method and path; anything else is a near miss."""
    plan = settings.open_plan()
    by_path = chosen(plan, replace(settings, only=("get /models", "createRun")))
    assert [name for name, why in by_path.items() if not why] == ["listModels", "createRun"]
    by_group = chosen(plan, replace(settings, groups=("model pricing",)))
    assert sum(not why for why in by_group.values()) == 1
    with pytest.raises(UnknownNameError, match="createRun"):
        chosen(plan, replace(settings, only=("createRn",)))
    with pytest.raises(UnknownNameError, match="Assistants"):
        chosen(plan, replace(settings, groups=("Asistants",)))


def test_an_unknown_profile_is_told(settings: Settings) -> None:
    """A target cannot claim what the contract does not define."""
    assert settings.target is not None
    file = Path(settings.target)
    file.write_text(f'profile = "everything"\n{file.read_text("utf-8")}', "utf-8")
    with pytest.raises(TargetFileError, match="'everything'"):
        settings.open_plan()


def test_what_a_profile_can_do_without_is_not_applicable(settings: Settings) -> None:
    """A capability neither declared nor demanded takes its operations out of scope, with the reason."""
    plan = settings.open_plan()
    realtime = plan.contract.operation("connectRealtime")
    assert plan.outside(realtime) == "", "the profile demands it: it must come out as inconclusive"
    lenient = replace(plan, profile=Profile("some"))
    assert lenient.outside(realtime).startswith("not applicable: the target does not declare")
    assert lenient.outside(plan.contract.operation("listModels")) == ""


def test_items_are_shared_out_once_and_by_operation() -> None:
    """Every item goes to one worker, those of an operation to the same, in their order."""
    keys = [key_of(f"suite.py::test_{concern}[{one}]") for concern in "ab" for one in ("x", "y", "z")]
    shares = share(keys, 2)
    assert sorted(index for one in shares for index in one) == list(range(6))
    assert [[keys[index] for index in one] for one in shares] == [["x", "z", "x", "z"], ["y", "y"]]
    assert share(["x"], 3) == [[0], [], []]
    assert key_of("suite.py::test_alone") == "suite.py::test_alone"
