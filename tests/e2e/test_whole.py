"""The main job: everything the contract holds, exercised and judged, and not one finding."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from executions import Ended, run

from conformance.contract.locate import find_specs

MOST_MEMORY = 350 * 1024 * 1024
OPERATIONS, GROUPS = 224, 49
_FIGURES = {
    "Operations reached": ("operations", "reached", "total"),
    "Requirements judged": ("requirements", "judged", "total"),
    "Units judged": ("units", "judged", "applicable"),
    "Exchanges judged": ("exchanges", "judged", "total"),
}


@pytest.mark.parametrize("seed", [1, 20260131, 4_294_967_295])
def test_the_honest_gateway_is_conformant_whatever_the_seed(seed: int, tmp_path: Path) -> None:
    """All operations of all groups are reached without a finding, nothing is left, figures agree."""
    execution = run(tmp_path, "--effort", "smoke", "--seed", str(seed), "-n", "2")
    assert execution.code == 0, execution.said
    _conformant(execution)
    _tidy(execution)
    _figures_agree(execution)
    schema = json.loads((find_specs(None) / "scorecard.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(execution.card)
    peaks = {one["process"]: one["peak_bytes"] for one in execution.card["memory"]}
    assert set(peaks) == {"gw0", "gw1", "controller"}
    assert max(peaks.values()) < MOST_MEMORY, peaks


def _conformant(execution: Ended) -> None:
    card = execution.card
    assert card["verdict"]["word"] == "conformant"
    assert card["denominators"]["operations"] == {
        "reached": OPERATIONS,
        "total": OPERATIONS,
        "out_of_scope": 0,
    }
    assert card["denominators"]["groups"] == {"reached": GROUPS, "total": GROUPS}
    assert card["findings"]["total"] == 0
    assert card["counts"]["fail"] == card["counts"]["error"] == card["counts"]["inconclusive"] == 0
    assert card["counts"]["stricter than practice"] == 0
    assert not execution.reasons().splitlines()[1:]
    validated = {one.operation for one in execution.exchanges if one.response and one.response.status < 300}
    assert len(validated) == OPERATIONS, "an operation counts as reached that nobody answered with success"


def _tidy(execution: Ended) -> None:
    """Every creation is accounted for."""
    ledger = execution.card["ledger"]
    assert ledger["leftover"] == []
    assert ledger["created"] == ledger["removed"] + len(ledger["residue"])
    assert ledger["created"] > OPERATIONS, "an execution that creates next to nothing exercises nothing"
    assert all(one["reason"] for one in ledger["residue"]), "residue without a reason"


def _figures_agree(execution: Ended) -> None:
    """Terminal, scorecard and page name the same figures; so do the groups and the sum of them."""
    card = execution.card
    page = _text((execution.folder / "index.html").read_text("utf-8"))
    for words, (name, part, whole) in _FIGURES.items():
        of = card["denominators"][name]
        assert re.search(rf"{words}\s+{of[part]:,}/{of[whole]:,}\b", execution.out), words
        assert f"{words} {of[part]:,} / {of[whole]:,} " in page, words
    for group in card["groups"]:
        have, units = group["operations"], group["units"]
        row = f"{have['reached']}/{have['total']} {units['judged']:,}/{units['applicable']:,}"
        assert f"{group['name']} {row} " in page, group["name"]
        folder = execution.folder / "groups" / group["slug"]
        assert {one.name for one in folder.iterdir()} >= {"index.html", "junit.xml", "findings.json"}
    assert sum(one["operations"]["reached"] for one in card["groups"]) == OPERATIONS
    assert (
        sum(one["units"]["applicable"] for one in card["groups"])
        == card["denominators"]["units"]["applicable"]
    )
    assert len(execution.exchanges) >= card["denominators"]["exchanges"]["total"]


def _text(page: str) -> str:
    """A page as it reads."""
    page = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", page.replace("&gt;", ">").replace("&amp;", "&"))
