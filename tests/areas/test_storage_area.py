"""Files, vector stores, batches, fine-tuning: faults fail what they break, honest variants nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from areas.harness import failed, judged
from areas.makers import exchange, spoil, verdicts
from areas.sharing import Teller
from conformance.contract import Contract, load_contract
from conformance.contract.requirements import Requirements, load_requirements
from conformance.contract.resources import load_graph
from conformance.exercise.scenarios import scenarios
from conformance.model import Exchange, Kind

AREAS = frozenset({"vector-stores", "files", "batch", "fine-tuning"})
STORIES = tuple(
    name
    for name, one in scenarios().items()
    if one.tell.__module__.rsplit(".", 1)[-1] in ("storage", "jobs_async")
)
# Requirement → what else the same bug breaks.
ELSE: Mapping[str, set[str]] = {
    "VS-01": {"VS-04"},
    "VS-21": {"RESP-BODY-01"},  # an enum of one word is also the schema's business
    "FILE-06": {"RESP-BODY-01", "FILE-01", "FILE-02"},  # what it answers is an empty object, or an older file
    "VS-17": {"VS-16"},  # when the batch was done before it could be cancelled
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="module")
def requirements(contract: Contract) -> Requirements:
    return load_requirements(contract, load_graph(contract))


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    with Teller(tmp_path_factory.mktemp("storage"), speed=0.5) as found:
        yield found


def _judged_requirements() -> list[str]:
    contract = load_contract()
    known = load_requirements(contract, load_graph(contract))
    return [one.id for one in known.all if one.area in AREAS and one.kind is Kind.JUDGED]


@pytest.mark.parametrize("name", _judged_requirements())
def test_a_requirement_is_failed_by_its_fault(name: str, teller: Teller, requirements: Requirements) -> None:
    """The fault must fail the requirement, and beside it only what the same bug breaks."""
    requirement = requirements.get(name)
    shared = {one.id for one in requirements.all if one.fault == requirement.fault}
    found = failed(teller.tell(requirement.scenarios, requirement.fault))
    assert name in found
    assert found <= shared | ELSE.get(name, set()) | {name}


def test_an_honest_gateway_fails_nothing_and_leaves_nothing_unjudged(
    tmp_path: Path, requirements: Requirements
) -> None:
    """No finding at any level, no story broken off, every unit judged; hostile values raise nothing."""
    with Teller(tmp_path) as teller:
        reports = teller.tell(STORIES)
        exchanges = teller.stop()
    assert [finding for report in reports for finding in report.findings] == []
    assert [(report.nodeid, report.reason) for report in reports if report.reason] == []
    units = {unit for unit in requirements.universe if requirements.get(unit[0]).area in AREAS}
    assert units - judged(reports) == set()
    checks = [one.check for one in requirements.all if one.area in AREAS and one.check]
    spoil(exchanges, checks, requirements.contract)


# What an honest target may do


def counts(**found: int) -> dict[str, int]:
    states = dict.fromkeys(("in_progress", "completed", "failed", "cancelled"), 0) | found
    return {**states, "total": sum(states.values())}


def store(status: str = "completed", **fields: Any) -> dict[str, Any]:
    base = {"id": "vs_1", "object": "vector_store", "created_at": 10, "status": status}
    return {**base, "file_counts": counts(), "name": "", "metadata": {}, "last_active_at": 10, **fields}


def test_a_total_is_compared_only_where_every_change_is_known(contract: Contract) -> None:
    """Changes that overlap a read, or failed without a plain no, leave its total unjudged."""
    made = exchange(
        contract,
        "createVectorStore",
        store(file_counts=counts(completed=1)),
        at=1,
        body={"file_ids": ["file-1"]},
    )
    added = {"body": {"file_id": "file-2"}, "vector_store_id": "vs_1"}
    read = exchange(
        contract, "getVectorStore", store(file_counts=counts(completed=1)), at=5, vector_store_id="vs_1"
    )
    attach = exchange(contract, "createVectorStoreFile", {}, at=3, **added)
    overlapping = exchange(contract, "createVectorStoreFile", {}, at=3, until=5.2, **added)
    refused = exchange(contract, "createVectorStoreFile", {}, at=3, status=400, **added)
    unclear = exchange(contract, "createVectorStoreFile", {}, at=3, status=502, **added)
    check = "vector_stores.total_is_attached"
    assert verdicts(check, [made, read], contract) == {read.id: True}
    assert verdicts(check, [made, attach, read], contract) == {read.id: False}
    assert verdicts(check, [made, overlapping, read], contract) == {}
    assert verdicts(check, [made, refused, read], contract) == {read.id: True}
    assert verdicts(check, [made, unclear, read], contract) == {}


def test_a_name_is_held_to_the_last_write_that_is_beyond_doubt(contract: Contract) -> None:
    """A read that overlaps an update may show either name; afterwards only the new one passes."""
    made = exchange(contract, "createVectorStore", store(name="a"), at=1, body={"name": "a"})
    written = exchange(
        contract,
        "modifyVectorStore",
        store(name="b"),
        at=3,
        until=4,
        body={"name": "b"},
        vector_store_id="vs_1",
    )

    def read(at: float, name: str) -> Exchange:
        return exchange(contract, "getVectorStore", store(name=name), at=at, vector_store_id="vs_1")

    during, after, late = read(3.2, "a"), read(5, "a"), read(6, "b")
    exchanges = [made, written, during, after, late]
    found = verdicts("vector_stores.modified_as_asked", exchanges, contract)
    assert found == {written.id: True, after.id: False, late.id: True}
    assert verdicts("vector_stores.created_as_asked", exchanges, contract) == {made.id: True}


def test_a_file_begins_a_new_life_when_it_is_attached_again(contract: Contract) -> None:
    """Cancelled, then in progress: wrong by itself, right after another attach or in another store."""

    def member(
        at: float, status: str, operation: str = "getVectorStoreFile", store_id: str = "vs_1"
    ) -> Exchange:
        value = {"id": "file-1", "object": "vector_store.file", "vector_store_id": store_id, "status": status}
        path = {"vector_store_id": store_id} | ({"file_id": "file-1"} if operation[:3] == "get" else {})
        return exchange(contract, operation, value, at=at, body={"file_id": "file-1"}, **path)

    first = member(1, "cancelled")
    check = "vector_stores.file_life"
    again = member(5, "in_progress")
    assert verdicts(check, [first, again], contract)[again.id] is False
    attach = member(3, "in_progress", "createVectorStoreFile")
    assert all(verdicts(check, [first, attach, again], contract).values())
    elsewhere = member(5, "in_progress", store_id="vs_2")
    assert all(verdicts(check, [first, elsewhere], contract).values())


def test_a_deleted_file_may_still_be_read_while_it_is_deleted(contract: Contract) -> None:
    """Reads that overlap the delete prove nothing; later ones must find nothing; 429 says nothing."""
    gone = {"id": "file-1", "object": "file", "deleted": True}
    deleted = exchange(contract, "deleteFile", gone, at=2, until=3, file_id="file-1")
    during = exchange(contract, "retrieveFile", {}, at=2.5, file_id="file-1")
    after = exchange(contract, "retrieveFile", {}, at=4, file_id="file-1")
    absent = exchange(contract, "retrieveFile", {}, at=5, status=404, file_id="file-1")
    busy = exchange(contract, "retrieveFile", {}, at=6, status=429, file_id="file-1")
    other = exchange(contract, "retrieveFile", {}, at=7, file_id="file-2")
    found = verdicts("files.deleted", [deleted, during, after, absent, busy, other], contract)
    assert found == {deleted.id: True, after.id: False, absent.id: True, busy.id: None}


def batch(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "batch_1", "object": "batch", "status": status, "created_at": 10, **fields}


def test_statuses_of_a_batch_that_were_skipped_are_no_fault(contract: Contract) -> None:
    """Whoever polls sees validating, then completed; never completed, then validating."""

    def read(at: float, status: str, until: float | None = None) -> Exchange:
        return exchange(contract, "retrieveBatch", batch(status), at=at, until=until, batch_id="batch_1")

    early, late = read(1, "validating"), read(3, "completed")
    assert all(verdicts("batches.life", [early, late], contract).values())
    back = read(5, "validating")
    assert verdicts("batches.life", [early, late, back], contract)[back.id] is False
    overlapping = read(3.2, "finalizing", until=3.4)
    assert all(verdicts("batches.life", [early, late, overlapping], contract).values())


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (batch("in_progress", in_progress_at=11), True),
        (batch("in_progress", in_progress_at=None), False),
        (batch("validating"), True),
        (batch("validating", in_progress_at=None), True),
        (batch("validating", in_progress_at=11), False),
        (batch("failed", in_progress_at=11), None),
        (batch("cancelled"), None),
    ],
)
def test_a_time_is_set_once_its_status_was_reached(
    value: Any, right: bool | None, contract: Contract
) -> None:
    """Null and absent are the same before; what a status leaves open is not judged."""
    read = exchange(contract, "retrieveBatch", value, at=1, batch_id="batch_1")
    expected = {} if right is None else {read.id: right}
    assert verdicts("batches.in_progress_at", [read], contract) == expected


@pytest.mark.parametrize(
    ("before", "status", "shown", "right"),
    [
        ("in_progress", 200, "cancelling", True),
        ("in_progress", 200, "completed", True),  # it ended by itself in the meantime
        ("in_progress", 200, "in_progress", False),
        ("completed", 200, "completed", True),
        ("completed", 400, None, True),
        ("completed", 200, "cancelled", False),
        ("in_progress", 409, None, None),  # it may have ended unseen
    ],
)
def test_cancelling_a_batch(
    before: str, status: int, shown: str | None, right: bool | None, contract: Contract
) -> None:
    """What runs is cancelled, what has ended is refused or left alone."""
    seen = exchange(contract, "retrieveBatch", batch(before), at=1, batch_id="batch_1")
    value = batch(shown) if shown else {"error": {}}
    asked = exchange(contract, "cancelBatch", value, at=3, status=status, batch_id="batch_1")
    expected = {} if right is None else {asked.id: right}
    assert verdicts("batches.cancelled", [seen, asked], contract) == expected


def test_an_error_of_nulls_is_no_error_of_a_job(contract: Contract) -> None:
    """Some gateways show the members of error, all null, for jobs that did not fail."""
    empty = {"code": None, "message": None, "param": None}
    told = {"code": "bad", "message": "Bad.", "param": None}
    for status, error, right in (
        ("running", empty, True),
        ("running", None, True),
        ("running", {}, True),
        ("running", told, False),
        ("failed", told, True),
        ("failed", empty, False),
    ):
        job = {"id": "ftjob-1", "object": "fine_tuning.job", "status": status, "error": error}
        read = exchange(contract, "retrieveFineTuningJob", job, at=1, fine_tuning_job_id="ftjob-1")
        assert verdicts("fine_tuning.error_told", [read], contract) == {read.id: right}
