"""The commands of the contract side, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli.contract import contract
from conformance.errors import ConformanceError, ContractError, UnknownNameError, UsageError

PAGE = """# A page

````yaml post /a
openapi: 3.0.0
info: {title: T, version: '1', description: prose}
paths:
  /a/{id}:
    get:
      summary: prose
      responses:
        '200': {description: prose, content: {application/json: {schema: {type: object}, example: [1]}}}
````
"""


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(contract, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    output = run("import", page, "--name", "mine", "--specs-dir", tmp_path / "specs")
    assert "1 operations, 1 paths, 0 schemas" in output
    return tmp_path / "specs"


def test_a_user_brings_a_contract(mine: Path) -> None:
    """Import, compile and show must work for any document, without a file edited by hand."""
    assert "prose" not in (mine / "mine" / "openapi.yaml").read_text(encoding="utf-8")
    assert "strict.json" in run("compile", "mine", "--specs-dir", mine)
    shown = run("show", "mine", "--specs-dir", mine)
    assert "getAId" in shown
    assert "1 operations in 1 groups: 1 on the data plane" in shown


def test_lint_counts_by_kind(mine: Path) -> None:
    """Every fault of the page must be counted under its kind, in the table and in the JSON alike."""
    report = json.loads(run("lint", "mine", "--specs-dir", mine, "--json"))
    found = {kind: count for kind, count in report["counts"].items() if count}
    assert found == {
        "missing-4xx": 1,
        "response-without-required": 1,
        "response-example": 1,
        "path-parameter": 1,
    }
    assert len(report["remarks"]) == 4
    table = run("lint", "mine", "--specs-dir", mine)
    assert "4 remarks of 4 kinds" in table
    assert "response-example" in table


def test_lint_of_the_shipped_contract_names_what_is_left() -> None:
    """The shipped contract must print its counts, not only the first few remarks."""
    output = run("lint", "portkey")
    assert "46" in output
    assert "… and 41 more" in output


def test_show_lists_one_group() -> None:
    """--group must leave out the operations of other groups."""
    output = run("show", "portkey", "--group", "Chat")
    assert "createChatCompletion" in output
    assert "createRun" not in output
    assert "224 operations in 49 groups" in output


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("show", "portkey", "--group", "Chatt"), UnknownNameError),
        (("show", "portkye"), UnknownNameError),
        (("lint", "no-such"), UnknownNameError),
        (("lint", "portkey", "--specs-dir", "no-such"), UsageError),
        (("compile", "../portkey"), UnknownNameError),
        (("import", "no-such.yaml", "--name", "mine"), ContractError),
        (("import", "no-such.yaml", "--name", "../mine"), UsageError),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words: tuple[str, ...], kind: type[ConformanceError]) -> None:
    """Bad input must raise an error that carries exit code 2 and one line, and write nothing."""
    with pytest.raises(kind) as caught:
        CliRunner().invoke(contract, list(words), catch_exceptions=False)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, mine: Path) -> None:
    """Importing where a file stands in the way must be a UsageError that names --specs-dir."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError, match="--specs-dir"):
        CliRunner().invoke(
            contract,
            [
                "import",
                str(tmp_path / "page.md"),
                "--name",
                "mine",
                "--specs-dir",
                str(tmp_path / "taken" / "specs"),
            ],
            catch_exceptions=False,
        )
