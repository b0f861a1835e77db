"""Prompts: templates with immutable versions, one of which is the default."""

from __future__ import annotations

from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.folders import COLLECTIONS, collection_of
from conformance.reference.admin.labels import LABELS
from conformance.reference.admin.people import workspace_filter
from conformance.reference.admin.table import Table, matches, pick, public, slugify, total_of, window
from conformance.reference.core import Call, Record, Refusal, Tenant, handles, iso, new_uuid, not_found

PROMPTS = Table("prompts", "prompt")
_NEEDED = ("string", "parameters", "model")  # what a new version cannot do without
_CONTENT = (*_NEEDED, "functions", "tools", "tool_choice", "is_raw_template", "prompt_metadata")
_ALONGSIDE = ("virtual_key", "version_description")  # may change without a new version


def _version(number: int, content: Record, before: Record | None = None) -> Record:
    base: Record = before or {
        "model": "",
        "functions": [],
        "tools": [],
        "tool_choice": {},
        "template_metadata": {},
        "is_raw_template": False,
        "description": "",
    }
    sent = pick(content, *_NEEDED, "functions", "tools", "tool_choice", "template_metadata", "virtual_key")
    if "prompt_metadata" in content:
        sent |= {"template_metadata": pick(content, "prompt_metadata")["prompt_metadata"]}
    if "is_raw_template" in content:
        sent["is_raw_template"] = bool(content["is_raw_template"])
    if "version_description" in content:
        sent["description"] = content["version_description"]
    inherited = {k: v for k, v in base.items() if k != "label_id"}
    return {**inherited, **sent, "id": new_uuid(), "number": number, "created_at": iso()}


def default_version(prompt: Record) -> Record:
    """The version that readers and runners get."""
    version: Record = next(v for v in prompt["_versions"] if v["number"] == prompt["_default"])
    return version


def template_of(tenant: Tenant, reference: str) -> Record:
    """A prompt's template for rendering, by id or slug, optionally ``@version``, ``@latest``, ``@label``.

    Out: the version record: string, parameters, model, virtual_key, functions, tools, tool_choice,
    template_metadata, number, id. Raises Refusal(404).
    """
    prompt, wanted = PROMPTS.peek(tenant, reference), ""
    if prompt is None and "@" in reference:
        name, _, wanted = reference.rpartition("@")
        prompt = PROMPTS.peek(tenant, name)
    if prompt is None:
        raise PROMPTS.unknown(reference)
    if not wanted or wanted == "default":
        return default_version(prompt)
    if wanted == "latest":
        return dict(prompt["_versions"][-1])
    labels = {row["name"]: row["id"] for row in LABELS.rows(tenant).values()}
    for version in reversed(prompt["_versions"]):
        if str(version["number"]) == wanted or labels.get(wanted, "-") == version.get("label_id"):
            return dict(version)
    raise not_found("prompt version", reference)


def _view(prompt: Record, version: Record) -> Record:
    out = public(prompt) | {
        "prompt_version": version["number"],
        "prompt_version_id": version["id"],
        "prompt_version_status": "active" if version["number"] == prompt["_default"] else "archived",
        "prompt_version_description": version["description"],
    }
    if "label_id" in version:
        out["prompt_version_label_id"] = version["label_id"]
    fields = (
        *_NEEDED,
        "virtual_key",
        "functions",
        "tools",
        "tool_choice",
        "template_metadata",
        "is_raw_template",
    )
    return out | pick(version, *fields)


@manages("createPrompt", "/prompts")
def create_prompt(call: Call) -> Record:
    body = call.body
    collection = collection_of(call, body["collection_id"])
    version = _version(1, body)
    prompt = PROMPTS.add(
        call,
        {
            "slug": slugify(body["name"], "pp", limit=16),
            "name": body["name"],
            "collection_id": collection["id"],
            "workspace_id": collection["workspace_id"],
            "status": "active",
            "object": "prompt",
            "_versions": [version],
            "_default": 1,
        },
    )
    return {"id": prompt["id"], "slug": prompt["slug"], "version_id": version["id"], "object": "prompt"}


@handles("listPrompts")
def list_prompts(call: Call) -> Record:
    query = call.query
    workspace_id = workspace_filter(call, query.get("workspace_id"))
    wanted = query.get("collection_id")
    folder = None if wanted is None else COLLECTIONS.peek(call.tenant, wanted) or {"id": "-"}
    rows = PROMPTS.listed(
        call,
        lambda row: (
            workspace_id in (None, row["workspace_id"])
            and (folder is None or row["collection_id"] == folder["id"])
            and matches(row, query.get("search"), "name")
        ),
    )
    page = [public(row) | {"model": default_version(row)["model"]} for row in window(rows, query)]
    return {"data": page, "total": total_of(call, rows)}


@handles("getPrompt")
def read_prompt(call: Call) -> Record:
    prompt = PROMPTS.find(call, call.path["promptId"])
    return _view(prompt, default_version(prompt))


@manages("updatePrompt", "/prompts/{promptId}")
def update_prompt(call: Call) -> Record:
    prompt, body = PROMPTS.find(call, call.path["promptId"]), call.body
    touched = [name for name in _CONTENT if name in body]
    if body.get("patch"):
        touched += [name for name in _ALONGSIDE if name in body]
    elif touched and (missing := [name for name in _NEEDED if name not in body]):
        raise Refusal(400, f"A new version needs {', '.join(missing)} too, or 'patch'.", param=missing[0])
    changes = pick(body, "name")
    if "collection_id" in body:
        collection = collection_of(call, body["collection_id"])
        changes |= {"collection_id": collection["id"], "workspace_id": collection["workspace_id"]}
    if call.fault("update-forgotten"):
        return {**pick(prompt, "id", "slug"), "prompt_version_id": default_version(prompt)["id"]}
    latest = prompt["_versions"][-1]
    if touched:
        latest = _version(latest["number"] + 1, body, before=latest)
        prompt["_versions"].append(latest)
        changes["_default"] = latest["number"]
    else:
        latest = default_version(prompt)
        latest |= pick(body, "virtual_key")
        latest["description"] = body.get("version_description", latest["description"])
    PROMPTS.change(call, prompt, changes)
    return {**pick(prompt, "id", "slug"), "prompt_version_id": latest["id"]}


@manages("deletePrompt", "/prompts/{promptId}")
def delete_prompt(call: Call) -> Record:
    PROMPTS.remove(call, PROMPTS.find(call, call.path["promptId"]))
    return {}


@handles("getPromptVersions")
def list_prompt_versions(call: Call) -> list[Record]:
    prompt = PROMPTS.find(call, call.path["promptId"])
    return [_version_view(prompt, version) for version in reversed(prompt["_versions"])]


def _version_view(prompt: Record, version: Record) -> Record:
    fields = (*_NEEDED, "functions", "tools", "tool_choice", "virtual_key")
    return {
        "id": version["id"],
        "prompt_id": prompt["id"],
        "prompt_template": pick(version, *fields),
        "prompt_version": version["number"],
        "prompt_description": version["description"],
        **pick(version, "label_id"),
        "created_at": version["created_at"],
        "status": "active" if version["number"] == prompt["_default"] else "archived",
        "object": "prompt",
    }


def _named_version(call: Call) -> tuple[Record, Record]:
    prompt = PROMPTS.find(call, call.path["promptId"])
    wanted = call.path["versionId"].lower()
    for version in prompt["_versions"]:
        if version["id"] == wanted:
            return prompt, version
    raise not_found("prompt version", wanted)


@handles("getPromptByVersion")
def read_prompt_version(call: Call) -> Record:
    return _view(*_named_version(call))


@manages("updatePromptVersion", "/prompts/{promptId}/versions/{versionId}")
def update_prompt_version(call: Call) -> Record:
    _, version = _named_version(call)
    if "label_id" in call.body:
        label = LABELS.find(call, call.body["label_id"])
        if not call.fault("update-forgotten"):
            version["label_id"] = label["id"]
    return {}


def pinned(record: Record, number: Any, what: str) -> int:
    """The version number a makeDefault names. Raises Refusal(404) when there is none such."""
    if all(version["number"] != number for version in record["_versions"]):
        raise not_found(f"{what} version", str(number))
    return int(number)


@manages("updatePromptDefault", "/prompts/{promptId}/makeDefault")
def make_prompt_default(call: Call) -> Record:
    prompt = PROMPTS.find(call, call.path["promptId"])
    PROMPTS.change(call, prompt, {"_default": pinned(prompt, call.body["version"], "prompt")})
    return {}
