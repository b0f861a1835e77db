"""The suite catches what it says it catches: every fault of the reference gateway, one by one.

``expected.py`` is the table. Each row starts a gateway with one fault on one operation and sends
what the suite itself would send.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from exercising import HASTY, PATIENT, exercise
from expected import CAUGHT, CAUGHT_ELSEWHERE, CAUGHT_IN_AREAS, NOT_YET, Row

from conformance.contract.loader import write_compiled
from conformance.contract.locate import find_specs
from conformance.contract.requirements import Requirements
from conformance.model import Kind
from conformance.reference import behaviours
from conformance.reference.faults import FAULTS

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def requiring_specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract with one erratum more: it requires a header, which the published one never does."""
    specs = tmp_path_factory.mktemp("specs")
    shutil.copytree(find_specs(None) / "portkey", specs / "portkey")
    header = {"required": True, "schema": {"type": "string", "minLength": 1}}
    action = {
        "target": "$.paths['/models'].get.responses['200']",
        "description": "a header to be missed",
        "update": {"headers": {"X-Request-Id": header}},
    }
    path = specs / "portkey" / "errata.strict.overlay.yaml"
    overlay = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    overlay["actions"].append(action)
    path.write_text(yaml.dump(overlay, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
    write_compiled("portkey", specs_dir=specs)
    return specs


def test_every_fault_stands_in_the_table_once(portkey_requirements: Requirements) -> None:
    """A fault nobody listed, or one listed as caught and as not caught, must be refused."""
    behaviours.load()
    in_areas = {requirement.fault for requirement in portkey_requirements.all if requirement.scenarios}
    listed = [*(row.fault for row in CAUGHT), *CAUGHT_ELSEWHERE, *CAUGHT_IN_AREAS, *NOT_YET]
    assert len(listed) == len(set(listed))
    assert not in_areas & set(NOT_YET), "tests/areas show these caught"
    assert set(listed) | in_areas == set(FAULTS)


def test_every_judged_requirement_stands_beside_its_fault(portkey_requirements: Requirements) -> None:
    """A judged requirement that no row proves able to fail must be refused; those with scenarios are
    proved in tests/areas."""
    proved = {(row.fault, name) for row in CAUGHT for name in row.caught}
    for requirement in portkey_requirements.all:
        if requirement.kind is Kind.JUDGED and not requirement.scenarios:
            assert (requirement.fault, requirement.id) in proved, requirement.id


@pytest.mark.parametrize("row", CAUGHT, ids=lambda row: f"{row.fault}@{row.operation}")
def test_a_fault_fails_the_requirements_that_speak_of_it(
    row: Row, tmp_path: Path, request: pytest.FixtureRequest, record_property: Record
) -> None:
    """The fault must be found, on the operation that shows it, and no other operation be accused."""
    observed = exercise(
        (row.operation, *row.beside),
        tmp_path,
        faults=[f"{row.fault}@{row.operation}"],
        timeouts=HASTY if row.silent else PATIENT,
        specs=request.getfixturevalue("requiring_specs") if row.header else None,
    )
    fired = observed.fired.get(row.operation, frozenset())
    record_property("fault", f"{row.fault}@{row.operation}")
    record_property("named", " ".join(row.caught))
    record_property("others", " ".join(sorted(fired - set(row.caught))))
    record_property("seconds", observed.seconds)
    assert set(row.caught) <= fired, observed.told() or "nothing was found"
    assert set(observed.fired) == {row.operation}, observed.told()


@pytest.mark.parametrize("fault", CAUGHT_ELSEWHERE)
def test_a_fault_shows_where_its_effect_is_seen(fault: str, tmp_path: Path, record_property: Record) -> None:
    """What one operation spoils must be found on the operation that answers wrongly for it."""
    operations, expected = CAUGHT_ELSEWHERE[fault]
    observed = exercise(operations, tmp_path, faults=[fault])
    for operation, requirement in expected.items():
        assert requirement in observed.fired.get(operation, ()), observed.told() or "nothing was found"
    record_property("fault", fault)
    record_property("named", " ".join(f"{name}@{where}" for where, name in expected.items()))
    record_property("others", "")
    record_property("seconds", observed.seconds)


def test_a_required_header_that_is_there_is_accepted(requiring_specs: Path, tmp_path: Path) -> None:
    """The row about headers must fail for its fault, not for its changed contract."""
    observed = exercise(("listModels",), tmp_path, specs=requiring_specs)
    assert not observed.fired, observed.told()
    assert "listModels" in observed.reached


def test_without_a_fault_nothing_is_found(tmp_path: Path) -> None:
    """The operations of every row must give no finding at all, and be reached, when no fault is on."""
    operations = tuple(dict.fromkeys(name for row in CAUGHT for name in (row.operation, *row.beside)))
    observed = exercise(operations, tmp_path)
    assert not observed.fired, observed.told()
    assert set(operations) <= observed.reached
