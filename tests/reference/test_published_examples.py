"""The reference against the contract as published: a wrong erratum must not hide in both.

Errata mend the document the gateway is built to; what its authors show as a real answer they leave alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from schema_help import operations
from wire import Wire, serving

PUBLISHED = Path(__file__).parents[2] / "specs" / "portkey" / "openapi.yaml"
METHODS = ("get", "put", "post", "delete", "patch")

# (operation, place of the key in the example) → why our answer may do without it
ABSENT: dict[tuple[str, str], str] = {
    ("getAdminUsersInvites", "data[].accepted_at"): "nobody has accepted a pending invite",
    ("getAdminUsersInvitesInviteId", "accepted_at"): "nobody has accepted a pending invite",
}
# (operation, place) → why its type differs from the example's
RETYPED: dict[tuple[str, str], str] = {}


@cache
def published() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(PUBLISHED.read_bytes(), Loader=loader)  # a safe loader either way
    plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return plain


def resolved(node: Any) -> Any:
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        target: Any = published()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def identifier(path: str, method: str) -> str:
    """The operationId; errata give one to those the published document leaves without."""
    wanted = (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
    for name, (other, template, _) in operations().items():
        if (other, re.sub(r"\{[^}]*\}", "{}", template)) == wanted:
            return name
    raise AssertionError(f"the compiled contract has no {method} {path}")


@cache
def examples() -> dict[tuple[str, str], list[Any]]:
    """(operation, status) → the JSON bodies the published document shows."""
    found: dict[tuple[str, str], list[Any]] = {}
    for path, item in published()["paths"].items():
        for method in METHODS:
            for status, response in resolved(item.get(method) or {}).get("responses", {}).items():
                media = resolved(response).get("content", {}).get("application/json", {})
                shown = [media["example"]] if "example" in media else []
                shown += [resolved(one)["value"] for one in media.get("examples", {}).values()]
                schema = resolved(media.get("schema", {}))
                shown += [schema["example"]] if not shown and "example" in schema else []
                if any(shown):  # {} shows nothing
                    found[identifier(path, method), str(status)] = shown
    return found


def kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {"str": "string", "list": "array", "dict": "object"}[type(value).__name__]


def differences(shown: Any, real: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, what is wrong) wherever the real value lacks what the shown one has, or is of another type."""
    if kind(shown) != kind(real):
        if "null" not in (kind(shown), kind(real)):  # an example cannot say what may be null
            yield place, f"is {kind(real)}, shown as {kind(shown)}"
        return
    if isinstance(shown, dict):
        for name, one in shown.items():
            below = f"{place}.{name}" if place else name
            if name not in real:
                yield below, "is missing"
            else:
                yield from differences(one, real[name], below)
    elif isinstance(shown, list) and shown and real:
        yield from differences(shown[0], real[0], f"{place}[]")
    elif isinstance(shown, list) and shown:
        yield f"{place}[]", "is missing: the list is empty"


class Stage:
    """A gateway with one of each thing the examples show."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.given: Mapping[str, Any] = wire.announcement["given"]
        self._count = 0

    def ask(self, method: str, path: str, body: Any = None, *, who: str | None = "owner") -> httpx.Response:
        return self.wire.ask(method, path, who=who, **({} if body is None else {"json": body}))

    def made(self, method: str, path: str, body: Any) -> Any:
        response = self.ask(method, path, body)
        assert response.status_code == 200, response.text
        return response.json()

    def config(self) -> str:
        """The slug of a new config, made of what the published example of one holds."""
        self._count += 1
        (shown,) = examples()["getConfig", "200"]
        body = {
            "name": f"config {self._count}",
            "config": shown["data"]["config"],
            "workspace_id": self.given["workspace"],
        }
        identifier = self.made("POST", "/configs", body)["data"]["id"]
        listed = self.ask("GET", "/configs").json()["data"]
        return str(next(one["slug"] for one in listed if one["id"] == identifier))

    def invite(self) -> Any:
        self._count += 1
        body = {
            "email": f"guest{self._count}@example.com",
            "role": "member",
            "workspaces": [{"id": self.workspace(), "role": "member"}],
        }
        return self.made("POST", "/admin/users/invites", body)

    def workspace(self) -> str:
        self._count += 1
        body = {"name": f"workspace {self._count}", "description": "for the examples"}
        return str(self.made("POST", "/admin/workspaces", body)["id"])

    def member(self) -> str:
        """The path of a member of a new workspace."""
        path = f"/admin/workspaces/{self.workspace()}/users"
        self.made("POST", path, {"users": [{"id": self.given["user"], "role": "member"}]})
        return f"{path}/{self.given['user']}"


def invited(stage: Stage) -> str:
    return f"/admin/users/invites/{stage.invite()['id']}"


ASKED: dict[tuple[str, str], Callable[[Stage], httpx.Response]] = {
    ("listModels", "200"): lambda s: s.ask("GET", "/models"),
    ("listConfigs", "200"): lambda s: (s.config(), s.ask("GET", "/configs"))[1],
    ("createConfig", "200"): lambda s: s.ask(
        "POST", "/configs", {"name": "c", "config": {"retry": {"attempts": 3}}}
    ),
    ("getConfig", "200"): lambda s: s.ask("GET", f"/configs/{s.config()}"),
    ("updateConfig", "200"): lambda s: s.ask("PUT", f"/configs/{s.config()}", {"name": "new"}),
    ("listConfigVersions", "200"): lambda s: s.ask("GET", f"/configs/{s.config()}/versions"),
    ("getVirtualKeys", "401"): lambda s: s.ask("GET", "/virtual-keys", who=None),
    ("postVirtualKeys", "401"): lambda s: s.ask("POST", "/virtual-keys", {}, who=None),
    ("getVirtualKeysSlug", "401"): lambda s: s.ask("GET", "/virtual-keys/a", who=None),
    ("putVirtualKeysSlug", "401"): lambda s: s.ask("PUT", "/virtual-keys/a", {}, who=None),
    ("deleteVirtualKeysSlug", "401"): lambda s: s.ask("DELETE", "/virtual-keys/a", who=None),
    ("Invites_create", "200"): lambda s: s.ask(
        "POST",
        "/admin/users/invites",
        {
            "email": "new@example.com",
            "role": "member",
            "workspaces": [{"id": s.workspace(), "role": "member"}],
        },
    ),
    ("getAdminUsersInvites", "200"): lambda s: (s.invite(), s.ask("GET", "/admin/users/invites"))[1],
    ("getAdminUsersInvitesInviteId", "200"): lambda s: s.ask("GET", invited(s)),
    ("postAdminUsersInvitesInviteIdResend", "200"): lambda s: s.ask("POST", invited(s) + "/resend"),
    ("getAdminUsers", "200"): lambda s: s.ask("GET", "/admin/users"),
    ("getAdminUsersUserId", "200"): lambda s: s.ask("GET", f"/admin/users/{s.given['user']}"),
    ("getAdminWorkspacesWorkspaceIdUsersUserId", "200"): lambda s: s.ask("GET", s.member()),
    ("getAdminWorkspaces", "200"): lambda s: s.ask("GET", "/admin/workspaces"),
    ("getModelPricing", "200"): lambda s: s.wire.client.get(
        s.wire.root + "/model-configs/pricing/openai/gpt-4"
    ),
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with serving() as wire:
        yield Stage(wire)


def test_every_published_answer_is_asked_for() -> None:
    """An example nobody asks for could hide any difference; a request without one compares nothing."""
    assert set(ASKED) == set(examples())
    assert len(examples()) > 15


@pytest.mark.parametrize("example", sorted(ASKED), ids="-".join)
def test_an_answer_has_all_that_its_published_example_shows(stage: Stage, example: tuple[str, str]) -> None:
    """Every key the example shows, in objects and first elements of lists, of the same type."""
    operation, status = example
    response = ASKED[example](stage)
    assert str(response.status_code) == status, response.text
    for shown in examples()[example]:
        for place, wrong in differences(shown, response.json()):
            excused = ABSENT if "missing" in wrong else RETYPED
            assert (operation, place) in excused, f"{operation}: {place or 'the body'} {wrong}"


def test_every_exception_is_still_needed(stage: Stage) -> None:
    """An excuse for a difference that is gone would excuse the next one too."""
    found: set[tuple[str, str]] = set()
    for example, ask in ASKED.items():
        body = ask(stage).json()
        found |= {(example[0], place) for one in examples()[example] for place, _ in differences(one, body)}
    assert {*ABSENT, *RETYPED} == found


def sampled(schema: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(place, example) of every property of a published schema that shows one."""
    schema = resolved(schema)
    if not isinstance(schema, dict) or depth > 8:
        return
    for branch in schema.get("allOf", ()):
        yield from sampled(branch, depth + 1)
    for name, one in schema.get("properties", {}).items():
        plain = resolved(one)
        if not isinstance(plain, dict):
            continue
        if not isinstance(plain.get("example"), dict | list | None):
            yield name, plain["example"]
        for place, example in sampled(plain, depth + 1):
            yield f"{name}.{place}", example
    if "items" in schema:
        for place, example in sampled(schema["items"], depth + 1):
            yield f"[].{place}", example


def at(value: Any, place: str) -> Iterator[Any]:
    """Every value at a place; nothing where the answer has none."""
    name, _, rest = place.partition(".")
    inner = value if name == "[]" and isinstance(value, list) else []
    if isinstance(value, dict) and name in value:
        inner = [value[name]]
    for one in inner:
        if rest:
            yield from at(one, rest)
        else:
            yield one


READ = (
    ("listModels", "/models"),
    ("listConfigs", "/configs"),
    ("getVirtualKeys", "/virtual-keys?current_page=0&page_size=20"),
    ("getAdminUsers", "/admin/users"),
    ("getAdminWorkspaces", "/admin/workspaces"),
    ("getApiKeys", "/api-keys"),
    ("getIntegrations", "/integrations"),
    ("getProviders", "/providers"),
    ("listPrompts", "/prompts"),
    ("getLogsLogId", "/logs/{log}"),
    ("listGuardrails", "/guardrails?workspace_id={workspace}"),
)


@pytest.mark.parametrize(("operation", "path"), READ, ids=[name for name, _ in READ])
def test_a_field_is_of_the_type_its_published_sample_has(stage: Stage, operation: str, path: str) -> None:
    """Where a published property shows a sample value and the answer has the property, the types agree."""
    body = {"name": "k", "provider": "openai", "key": "sk-sample", "workspace_id": stage.given["workspace"]}
    stage.made("POST", "/virtual-keys", body)
    response = stage.ask("GET", path.format(**stage.given))
    assert response.status_code == 200, response.text
    method, template, _ = operations()[operation]
    schema = published()["paths"][template][method.lower()]["responses"]["200"]["content"]["application/json"]
    for place, example in sampled(schema["schema"]):
        for value in at(response.json(), place):
            same = kind(value) in (kind(example), "null")
            assert same, f"{operation}: {place} is {value!r}, the published sample is {example!r}"
