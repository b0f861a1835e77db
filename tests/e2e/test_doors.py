"""Both doors, the command and plain pytest, lead to the same verdicts; pytest keeps its own habits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import junitparser
import pytest
from executions import Ended, only, run, run_pytest
from targets import Announcement, described, toml

from conformance.exercise.embedded import EmbeddedGateway

_CHOSEN = ("createThread", "getThread", "listModels", "createChatCompletion", "listAssistants")
_FAULTS = (
    "missing-required-field@getThread",
    "unknown-id-is-500@getThread",
    "revoked-key-accepted@listModels",
)
_OUTCOME = {"pass": "passed", "fail": "failed", "inconclusive": "skipped", "not applicable": "skipped"}


def _keys(announcement: Announcement) -> dict[str, str]:
    owner, revoked = (next(iter(announcement["credentials"][who].values())) for who in ("owner", "revoked"))
    return {"CONFORMANCE_API_KEY": owner, "CONFORMANCE_REVOKED_KEY": revoked}


def _as_options(*chosen: str) -> list[str]:
    return ["--conformance-effort=smoke", *(f"--conformance-only={one}" for one in chosen)]


@pytest.fixture(scope="module", params=[(), _FAULTS], ids=["honest", "faulty"])
def doors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Ended]]:
    """The same gateway through every door: what a base URL and two keys allow."""
    folder = tmp_path_factory.mktemp("doors")
    arguments = [part for fault in request.param for part in ("--fault", fault)]
    with EmbeddedGateway(["--speed", "0", *arguments]) as gateway:
        said, keys = gateway.announcement, _keys(gateway.announcement)
        base = said["base_urls"]["data"]
        file = folder / "target.toml"
        credentials = {name: said["credentials"][name] for name in ("owner", "revoked")}
        bare = {
            "capabilities": None,
            "allow": None,
            "models": None,
            "given": None,
            "credentials": credentials,
        }
        file.write_text(toml(described(said, **bare)), "utf-8")
        chosen = only(*_CHOSEN)
        smoke = ("--effort", "smoke")
        options = _as_options(*_CHOSEN)
        found = {
            "file": run(folder / "a", *smoke, "-n", "0", "--target", str(file), *chosen),
            "pytest": run_pytest(folder / "b", "-n", "0", "-rs", "--base-url", base, *options, env=keys),
        }
        if not arguments:  # processes cost most of the time: once is enough
            found["url"] = run(folder / "c", *smoke, "-n", "2", "--base-url", base, *chosen, env=keys)
            found["pytest -n 2"] = run_pytest(folder / "d", "-n", "2", "--base-url", base, *options, env=keys)
        yield found


def test_every_door_gives_the_same_verdicts(doors: dict[str, Ended], request: pytest.FixtureRequest) -> None:
    """Per requirement and operation, whatever the door and the number of processes."""
    expected = doors["file"].units()
    assert len(expected) > 40
    for door, execution in doors.items():
        assert execution.units() == expected, door
        assert execution.card["verdict"] == doors["file"].card["verdict"], door
    if "faulty" in request.node.name:
        assert expected["RESP-BODY-01", "getThread"] == "fail"
        assert expected["AUTH-REVOKED-01", "listModels"] == "fail"
        assert {door: one.code for door, one in doors.items()} == {"file": 1, "pytest": 1}
    else:
        assert "fail" not in expected.values()
        # Nothing is allowed and no model named: inconclusive, and skipped with the reason by pytest.
        codes = {"file": 3, "url": 3, "pytest": 1, "pytest -n 2": 1}
        assert {door: one.code for door, one in doors.items()} == codes
        assert expected["OP-CANON-01", "createChatCompletion"] == "inconclusive"


def test_pytest_says_it_in_its_own_words(doors: dict[str, Ended]) -> None:
    """pass, fail and skip stand for the verdicts of the items; a skip begins with the word and its reason."""
    execution = doors["pytest"]
    counted: Counter[str] = Counter()
    for verdict, count in execution.card["items"]["counts"].items():
        if count:
            counted[_OUTCOME[verdict]] += count
    last = execution.out.splitlines()[-1]
    for word, count in counted.items():
        assert f"{count} {word}" in last, last
    assert "SKIPPED" in execution.out
    assert "inconclusive: the profile all cannot do without chat" in execution.out
    assert 'inconclusive: createThread needs allow = ["undocumented-methods"]' in execution.out
    assert "not applicable: " in execution.out


def test_machine_readable_results(doors: dict[str, Ended]) -> None:
    """JUnit and Allure hold every item once: its own history id, its endpoint group as feature."""
    for execution in doors.values():
        _readable_by_machines(execution)


def _readable_by_machines(execution: Ended) -> None:
    total = execution.card["items"]["total"]
    suite = junitparser.JUnitXml.fromfile(str(execution.folder / "junit.xml"))
    assert sum(one.tests for one in suite) == total
    results = [
        json.loads(path.read_text("utf-8"))
        for path in (execution.folder / "allure-results").glob("*-result.json")
    ]
    assert len(results) == total
    assert len({one["historyId"] for one in results}) == total
    feature = {
        one["id"]: group["name"]
        for group in execution.card["groups"]
        for one in (*group["list"], *group["out_of_scope"])
    }
    for result in results:
        labels = {label["name"]: label["value"] for label in result["labels"]}
        assert labels["feature"] == feature[labels["story"]]
        assert labels["epic"] == "portkey"


def test_pytest_selects(announcement: Announcement, tmp_path: Path) -> None:
    """-k chooses items as in any other suite; what it leaves out is inconclusive, not passed."""
    execution = run_pytest(
        tmp_path,
        *("-n", "0", "-k", "test_canonical and listModels", "--base-url", announcement["base_urls"]["data"]),
        *_as_options("listModels", "listAssistants"),
        env=_keys(announcement),
    )
    assert execution.card["items"]["total"] == 1
    assert "1 passed" in execution.out
    assert execution.units()["OP-CANON-01", "listModels"] == "pass"
    assert execution.units()["OP-CANON-01", "listAssistants"] == "inconclusive"
    assert execution.card["verdict"]["exit_code"] == 3
