"""The scorecard: true to its schema, and the only source of every figure shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from rich.console import Console

from conformance.model import Level, Result, Verdict
from conformance.reporting.report import write_report
from conformance.reporting.results import Execution
from conformance.reporting.scorecard import FINDINGS_LIMIT, dumps, scorecard
from conformance.reporting.terminal import render

Make = Callable[..., Execution]

SCHEMA = Path(__file__).resolve().parents[2] / "specs" / "scorecard.schema.json"


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document, format_checker=FormatChecker())


@pytest.mark.parametrize(
    "facts", [{}, {"bad": 0.0, "unsure": 0.0}, {"bad": 1.0}, {"unsure": 0.98}, {"claimed": 3}]
)
def test_every_scorecard_follows_the_schema(
    make: Make, schema: Draft202012Validator, facts: dict[str, Any]
) -> None:
    """Clean, failing, unjudged, partial: what is written must be what the schema promises."""
    problems = [
        f"{one.json_path}: {one.message[:200]}"
        for one in schema.iter_errors(json.loads(dumps(scorecard(make(**facts)))))
    ]
    assert problems == []


@pytest.mark.parametrize(
    "path",
    [
        "verdict/word",
        "denominators/units/judged",
        "groups/0/slug",
        "findings/list/0/reproduce",
        "execution/contract/digest",
    ],
)
def test_the_schema_refuses_a_card_that_lacks_a_field(
    make: Make, schema: Draft202012Validator, path: str
) -> None:
    """The schema itself must not let anything through: each part named is required."""
    card = json.loads(dumps(scorecard(make())))
    *way, last = path.split("/")
    holder: Any = card
    for step in way:
        holder = holder[int(step)] if step.isdigit() else holder[step]
    del holder[last]
    assert not schema.is_valid(card)


def test_the_parts_add_up_to_the_whole(make: Make) -> None:
    """Groups, levels and operations must each sum to the totals: nothing counted twice, nothing lost."""
    card = scorecard(make())
    have, groups = card["denominators"], card["groups"]
    assert have["operations"]["total"] == 224
    assert have["groups"]["total"] == 49
    for figure in ("judged", "applicable", "total"):
        assert sum(group["units"][figure] for group in groups) == have["units"][figure]
    for figure in ("reached", "total"):
        assert sum(group["operations"][figure] for group in groups) == have["operations"][figure]
    for state, count in card["counts"].items():
        assert sum(group["counts"][state] for group in groups) == count
        assert sum(level[state] for level in card["levels"].values()) == count
        assert sum(op["counts"][state] for group in groups for op in group["list"]) == count
    assert sum(group["findings"] for group in groups) == card["findings"]["total"]


def test_every_gap_has_a_reason(make: Make) -> None:
    """The missing operations and the open units of each group must all be explained, by count."""
    card = scorecard(make(unsure=0.1))
    for group in card["groups"]:
        explained = {
            what: sum(gap["count"] for gap in group["gaps"] if gap["what"] == what)
            for what in ("operations", "units")
        }
        assert explained["operations"] == group["operations"]["total"] - group["operations"]["reached"]
        assert explained["units"] == group["counts"]["inconclusive"] + group["counts"]["error"]
        assert all(gap["reason"] for gap in group["gaps"])


def test_a_requirement_half_judged_is_not_counted_as_judged(small: Make) -> None:
    """One operation passed, the other open: the requirement must stand under "partly"."""
    open_ = Result("R", "two", Verdict.INCONCLUSIVE, 0, (), "no key")
    card = scorecard(small((Result("R", "one", Verdict.PASS, 1), open_), {"R": Level.MUST, "S": Level.MUST}))
    requirements = card["denominators"]["requirements"]
    assert requirements == {"judged": 0, "partly": 1, "unjudged": 0, "not_applicable": 1, "total": 2}


def test_findings_are_bounded_and_the_total_is_kept(make: Make) -> None:
    """A target that fails everything must not make a report without end, nor a smaller number."""
    card = scorecard(make(bad=1.0, unsure=0.0))
    assert card["findings"]["listed"] == len(card["findings"]["list"]) == FINDINGS_LIMIT
    assert card["findings"]["total"] > FINDINGS_LIMIT
    assert card["findings"]["list"][0]["level"] == "MUST"


def test_denominators_agree_everywhere(make: Make, tmp_path: Path) -> None:
    """Terminal, scorecard.json, index.html and group pages, read back, must state the same figures."""
    card = write_report(make(), tmp_path)
    stored = json.loads((tmp_path / "scorecard.json").read_text(encoding="utf-8"))
    assert stored == card
    have = stored["denominators"]
    expected = {
        "operations": (have["operations"]["reached"], have["operations"]["total"]),
        "requirements": (have["requirements"]["judged"], have["requirements"]["total"]),
        "units": (have["units"]["judged"], have["units"]["applicable"]),
        "exchanges": (have["exchanges"]["judged"], have["exchanges"]["total"]),
    }
    assert _figures(tmp_path / "index.html") == expected
    text = _printed(stored)
    for name, (part, whole) in zip(
        ("Operations reached", "Requirements judged", "Units judged", "Exchanges judged"),
        expected.values(),
        strict=True,
    ):
        assert re.search(rf"{name}\s+{part:,}/{whole:,}(\s|$)", text), name
    rows = _group_rows(tmp_path / "index.html")
    assert len(rows) == len(stored["groups"]) == 49
    for group in stored["groups"]:
        operations, units = group["operations"], group["units"]
        on_page = _figures(tmp_path / "groups" / group["slug"] / "index.html")
        assert on_page["operations"] == (operations["reached"], operations["total"])
        assert on_page["units"] == (units["judged"], units["applicable"])
        assert on_page["requirements"] == (group["requirements"]["judged"], group["requirements"]["total"])
        cells = (f"{operations['reached']}/{operations['total']}", f"{units['judged']}/{units['applicable']}")
        assert rows[group["slug"]][:2] == cells
        line = next(one for one in text.splitlines() if one.strip().startswith(group["name"] + "  "))
        assert tuple(line.removeprefix(" " + group["name"]).split()[:2]) == cells


def test_the_verdict_agrees_everywhere(make: Make, tmp_path: Path) -> None:
    """The word and the exit code must be the same on the terminal, in the JSON and in the page."""
    for facts, word in (
        ({"bad": 0.0, "unsure": 0.0}, "conformant"),
        ({}, "not conformant"),
        ({"bad": 0.0}, "inconclusive"),
    ):
        card = write_report(make(**facts), tmp_path)
        assert card["verdict"]["word"] == word
        page = (tmp_path / "index.html").read_text(encoding="utf-8")
        assert f'<strong id="verdict">{word}</strong>' in page
        assert f"exit {card['verdict']['exit_code']}<" in page
        assert (
            f"{word.upper()}  {card['verdict']['reason']} (exit {card['verdict']['exit_code']})"
            in _printed(card)
        )


def _printed(card: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(render(card, report="reports/x/index.html"))
    return out.getvalue()


def _figures(page: Path) -> dict[str, tuple[int, int]]:
    found = re.findall(r'id="n-(\w+)">([\d,]+)<span> / ([\d,]+)</span>', page.read_text(encoding="utf-8"))
    return {name: (int(part.replace(",", "")), int(whole.replace(",", ""))) for name, part, whole in found}


def _group_rows(page: Path) -> dict[str, tuple[str, ...]]:
    text = page.read_text(encoding="utf-8")
    table = text[text.index('id="group-table"') :].split("</table>")[0]
    rows: dict[str, tuple[str, ...]] = {}
    for row in table.split("<tr")[2:]:
        slug = re.search(r'href="groups/([a-z0-9-]+)/index.html"', row)
        assert slug is not None
        rows[slug[1]] = tuple(re.findall(r">([\d,]+/[\d,]+)<", row))
    return rows
