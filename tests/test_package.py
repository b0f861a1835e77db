"""What is shipped: the wheel with its data, the commands, the README's promises, the import rules."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_SHIPPED = (
    "conformance/py.typed",
    "conformance/specs/scorecard.schema.json",
    "conformance/specs/portkey/contract.toml",
    "conformance/specs/portkey/resources.yaml",
    "conformance/specs/portkey/requirements.yaml",
    "conformance/specs/portkey/profiles.toml",
    "conformance/specs/portkey/errata.strict.overlay.yaml",
    "conformance/specs/portkey/compiled/strict.json",
    "conformance/specs/portkey/compiled/lenient.json",
    "conformance/specs/openai/compiled/strict.json",
    "conformance/reporting/templates/index.html.j2",
    "conformance/suite/test_operations.py",
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in the wheel: the installed one, or in a development environment one built here, offline."""
    installed = {str(one) for one in importlib.metadata.distribution("gateway-conformance").files or ()}
    if "conformance/__init__.py" in installed:
        return {name for name in installed if ".dist-info/" not in name and "__pycache__" not in name}
    if find_spec("hatchling") is None:
        pytest.skip("installed in place, and no build backend to make a wheel with")
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
    ]
    built = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_holds_everything_it_needs(shipped: set[str]) -> None:
    """Contracts, errata, graphs, templates and the typing marker travel with the code; tests do not."""
    assert not set(_SHIPPED) - shipped
    assert not [name for name in shipped if name.startswith(("tests/", "reports/", "benchmarks/"))]
    on_disk = {f"conformance/specs/{one.relative_to(ROOT / 'specs')}" for one in _files(ROOT / "specs")}
    assert on_disk <= shipped


def test_what_is_installed_holds_it_too() -> None:
    """The distribution these tests import can find its contracts wherever they are run."""
    code = "from conformance.contract import load_contract; print(len(load_contract('portkey').operations))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=os.sep, timeout=60, check=True
    )
    assert answer.stdout.strip() == "224"


def test_commands_and_plugin_are_announced() -> None:
    """The console script, and the pytest plugin that makes --pyargs conformance.suite work."""
    points = importlib.metadata.distribution("gateway-conformance").entry_points
    found = {(one.group, one.name): one.value for one in points}
    assert found["console_scripts", "conformance"] == "conformance.cli:main"
    assert found["pytest11", "conformance"] == "conformance.plugin"


def test_versions_agree() -> None:
    """The package, its metadata and the command tell the same version."""
    version = importlib.metadata.version("gateway-conformance")
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "conformance", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert version in answer.stdout


def test_the_readme_names_commands_that_exist() -> None:
    """Its two commands start tox environments that tox.ini has; CI runs the second, word for word."""
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```\n(.*?)```", readme, flags=re.S)
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("python3 -m venv")]
    fresh = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox"
    assert commands == [f"{fresh} -e run", fresh]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    assert tox["testenv:run"]["commands"].startswith("conformance run")
    assert {"testenv", "testenv:lint", "testenv:typing", "testenv:bench", "testenv:soak"} <= set(
        tox.sections()
    )
    assert {"lint", "typing"} <= set(re.split(r"[,\s]+", tox["tox"]["env_list"]))
    assert fresh in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_the_readme_tells_the_truth_about_python() -> None:
    """The oldest Python it names is the oldest that can install the package and that tox tests."""
    readme = (ROOT / "README.md").read_text("utf-8")
    named = re.search(r"Python (3\.\d+) or newer", readme)
    assert named is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={named[1]}"
    assert f"py{{{named[1].replace('.', '')}" in (ROOT / "tox.ini").read_text("utf-8")


def test_the_reference_gateway_knows_nothing_of_the_suite() -> None:
    """Importing and building it loads no other module of ours, so that no error is shared by both sides."""
    code = (
        "import sys; from conformance.reference import behaviours, server; behaviours.load();"
        "print(*sorted(name for name in sys.modules if name.startswith('conformance.')"
        " and not name.startswith('conformance.reference')))"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == ""


def test_the_words_use_the_standard_library_only() -> None:
    """model, errors and sse pull in nothing that is not Python's own or theirs."""
    code = (
        "import sys; before = set(sys.modules);"
        "import conformance.model, conformance.errors, conformance.sse;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names) - {'conformance'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == ""


def test_the_plugin_is_inert_elsewhere(tmp_path: Path) -> None:
    """Somebody else's tests, in an environment that has the suite: nothing started, nothing written."""
    (tmp_path / "test_theirs.py").write_text("def test_theirs():\n    assert True\n", "utf-8")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    assert not (tmp_path / "reports").exists()
    assert "gateway" not in answer.stdout


def _files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and one.suffix != ".pyc"]
