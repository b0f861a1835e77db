"""The control plane of the reference gateway: every resource from creation to its 404."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from admin_families import FAMILIES, Family, at
from admin_world import AdminWorld, Body

from conformance.contract import load_contract
from conformance.model import Plane
from conformance.reference.admin import FAULTS
from conformance.reference.core import HANDLERS


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@dataclass(frozen=True)
class Made:
    """A created resource and how to reach it."""

    world: AdminWorld
    family: Family
    sent: Body
    id: str

    def read(self) -> Body:
        found: Body = at(self.world.ok(self.family.read, **{self.family.param: self.id}), self.family.inside)
        return found

    def listed(self) -> list[Body]:
        answer = self.world.ok(self.family.listed, query=self.query())
        return [one for one in at(answer, self.family.items) if one[self.family.match] == self.id]

    def query(self) -> Body:
        scoped = (
            {"workspace_id": self.world.given["workspace"]} if self.family.create == "postCollections" else {}
        )
        return {**self.family.query, **scoped}

    def update(self, changes: Body) -> Any:
        return self.world.ok(self.family.update, changes, **{self.family.param: self.id})

    def delete(self) -> None:
        self.world.ok(self.family.delete, **{self.family.param: self.id})

    def read_status(self) -> int:
        return self.world.status(self.family.read, **{self.family.param: self.id})


def make(world: AdminWorld, name: str) -> Made:
    family = FAMILIES[name]
    sent = family.body(world)
    answer = world.ok(family.create, sent, **family.path)
    return Made(world, family, sent, str(at(answer, family.id_at)))


EACH = pytest.mark.parametrize("name", sorted(FAMILIES))
UPDATED = pytest.mark.parametrize("name", sorted(name for name, one in FAMILIES.items() if one.update))


@EACH
def test_what_was_created_is_read_as_it_was_sent(world: AdminWorld, name: str) -> None:
    """Every field that is not a secret comes back equal from the read operation."""
    made = make(world, name)
    seen = made.read()
    shown = {key: seen[made.family.named.get(key, key)] for key in made.sent if key not in made.family.unread}
    assert shown == {key: value for key, value in made.sent.items() if key not in made.family.unread}


@EACH
def test_what_was_created_is_listed_once_and_agrees(world: AdminWorld, name: str) -> None:
    """The list shows it exactly once, and no field differs from what the read operation says."""
    made = make(world, name)
    [item] = made.listed()
    seen = made.read()
    assert {k: v for k, v in item.items() if k in seen} == {k: seen[k] for k in item if k in seen}


@EACH
def test_two_creations_are_two_resources(world: AdminWorld, name: str) -> None:
    """Ids are never given twice."""
    assert make(world, name).id != make(world, name).id


@UPDATED
def test_an_update_changes_what_it_names_and_nothing_else(world: AdminWorld, name: str) -> None:
    """The sent fields are read back; all others but the time of the update stay as they were."""
    made = make(world, name)
    before = made.read()
    made.update(made.family.changes)
    after = made.read()
    moving = {"last_updated_at", "updated_by", "prompt_version_id", "version_id"}
    assert {k: after[k] for k in made.family.changes} == made.family.changes
    untouched = before.keys() - made.family.changes.keys() - moving
    assert {k: after[k] for k in untouched} == {k: before[k] for k in untouched}
    assert after.get("last_updated_at", "") >= before.get("last_updated_at", "")


@EACH
def test_what_was_deleted_is_gone(world: AdminWorld, name: str) -> None:
    """Reading, updating and deleting it again are refused, and no list shows it."""
    made = make(world, name)
    made.delete()
    assert made.read_status() == made.family.gone
    assert made.listed() == []
    assert world.status(made.family.delete, **{made.family.param: made.id}) == made.family.gone
    if made.family.update:
        changes, path = made.family.changes, {made.family.param: made.id}
        assert world.status(made.family.update, changes, **path) == made.family.gone


@EACH
def test_another_organisation_sees_nothing_of_it(world: AdminWorld, name: str) -> None:
    """A key of another tenant is told that the resource does not exist."""
    made = make(world, name)
    world.who = "other"
    assert made.read_status() == made.family.gone
    if name != "collection":  # its list is asked for by a workspace of the first tenant
        assert made.listed() == []
    assert world.status(made.family.delete, **{made.family.param: made.id}) == made.family.gone


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"prompt partial", "config", "secret reference"}))
def test_pages_cover_the_list_without_overlap(world: AdminWorld, name: str) -> None:
    """Walking pages of two meets every item once (three lists have no page size to ask for)."""
    family = FAMILIES[name]
    made = [make(world, name) for _ in range(3)]
    people = name == "invite"
    size, number = ("pageSize", "currentPage") if people else ("page_size", "current_page")
    seen: list[str] = []
    for page in range(50):
        answer = world.ok(family.listed, query={**made[0].query(), size: 2, number: page})
        assert len(answer["data"]) <= 2
        if not answer["data"]:
            break
        seen += [one[family.match] for one in answer["data"]]
    assert len(seen) == len(set(seen)) == answer["total"]
    assert {one.id for one in made} <= set(seen)


ID_AND_SLUG = [
    "collection",
    "prompt",
    "prompt partial",
    "guardrail",
    "config",
    "MCP server",
    "secret reference",
]


@pytest.mark.parametrize("name", ID_AND_SLUG)
def test_id_and_slug_lead_to_the_same(world: AdminWorld, name: str) -> None:
    """Both identifiers read the same resource."""
    made = make(world, name)
    seen = made.read()
    again = world.ok(made.family.read, **{made.family.param: seen["slug"]})
    assert at(again, made.family.inside) == seen


@pytest.mark.parametrize(
    "name", ["integration", "provider", "MCP integration", "MCP server", "secret reference"]
)
def test_a_slug_is_given_once(world: AdminWorld, name: str) -> None:
    """A second resource with a taken slug is refused."""
    made = make(world, name)
    assert world.status(made.family.create, made.sent, **made.family.path) in (400, 409)


def test_every_fault_of_the_control_plane_is_described() -> None:
    """A fault without a description could not be shown to anyone."""
    assert all(description.strip() for description in FAULTS.values())


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("update-forgotten", test_an_update_changes_what_it_names_and_nothing_else),
        ("update-resets-others", test_an_update_changes_what_it_names_and_nothing_else),
        ("delete-keeps-resource", test_what_was_deleted_is_gone),
        ("list-omits-created", test_what_was_created_is_listed_once_and_agrees),
        ("stale-list", None),
        ("wrong-total", test_pages_cover_the_list_without_overlap),
        ("cross-tenant-read", test_another_organisation_sees_nothing_of_it),
    ],
)
def test_each_fault_breaks_what_it_says(fault: str, test: Callable[[AdminWorld, str], None] | None) -> None:
    """A fault that no observation could catch would prove nothing."""
    world = AdminWorld(faults=(fault,))
    if test is not None:
        with pytest.raises((AssertionError, ValueError)):
            test(world, "label")
        return
    made = make(world, "label")
    made.update({"description": "new"})
    assert made.listed()[0]["description"] != made.read()["description"]


def test_every_control_plane_operation_has_a_behaviour() -> None:
    """None of the 149 operations is left without one."""
    control = [one.id for one in load_contract().operations if one.plane is Plane.CONTROL]
    assert len(control) == 149
    assert [one for one in control if one not in HANDLERS] == []
