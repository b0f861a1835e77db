"""The page of requirements is what the files say, and what it promises exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.checks import known_checks
from conformance.cli.contract import contract
from conformance.contract.requirement_pages import by_area, markdown, totals
from conformance.contract.requirements import Requirements
from conformance.model import Kind

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "requirements.md"


@pytest.fixture(scope="module")
def faults() -> frozenset[str]:
    command = [sys.executable, "-m", "conformance.reference", "--list-faults"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return frozenset(line.split()[0] for line in listed.splitlines())


def run(*words: str) -> str:
    result = CliRunner().invoke(contract, ["requirements", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_is_not_stale() -> None:
    """A page that the command would not print today must be refused."""
    assert PAGE.read_text(encoding="utf-8") == run("portkey", "--markdown"), (
        "run: conformance contract requirements portkey --markdown > docs/reference/requirements.md"
    )


def test_every_judged_requirement_has_a_check_a_fault_and_a_line(
    portkey_requirements: Requirements, faults: frozenset[str]
) -> None:
    """A requirement nobody can judge, nobody can break, or nobody can read of must be refused."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for requirement in portkey_requirements.all:
        if requirement.kind is not Kind.JUDGED:
            continue
        assert requirement.check in known_checks(), requirement.id
        assert requirement.fault in faults, requirement.id
        assert sum(line.startswith(f"| {requirement.id} |") for line in lines) == 1, requirement.id


def test_every_requirement_applies_somewhere_and_has_its_check(
    portkey_requirements: Requirements,
) -> None:
    """A requirement of no operation, and one whose check nobody wrote, must be refused."""
    empty = [
        row.requirement.id
        for rows in by_area(portkey_requirements).values()
        for row in rows
        if not row.operations
    ]
    assert not empty
    assert {one.check for one in portkey_requirements.all if one.check} <= set(known_checks())


def test_totals_are_the_units_that_an_execution_counts(portkey_requirements: Requirements) -> None:
    """The page must promise exactly the units of the universe."""
    assert sum(units for _, units in totals(portkey_requirements).values()) == len(
        portkey_requirements.universe
    )
    assert f"| {len(portkey_requirements.universe)} |\n" in markdown(portkey_requirements)


def test_a_contract_without_its_own_requirements_is_judged_by_the_general_ones() -> None:
    """The table must be printed for any contract, with its own number of operations."""
    table = run("openai")
    assert "RESP-BODY-01" in table
    assert "judged: " in table
