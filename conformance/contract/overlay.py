"""OpenAPI Overlay 1.0: a list of actions that mend a document, each with its reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path

from conformance.contract.importer import parse
from conformance.errors import OverlayError


@dataclass(frozen=True, slots=True)
class Action:
    """One change: remove what ``target`` (RFC 9535 JSONPath) selects, or merge ``update`` into it."""

    index: int
    target: str
    reason: str
    remove: bool = False
    update: Any = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """A parsed overlay document. ``extends`` is the relative path of the document it changes."""

    title: str
    version: str
    extends: str
    actions: tuple[Action, ...]


def read_overlay(path: Path) -> Overlay:
    """Read an overlay file; OverlayError for a malformed one, ImportRefusedError for bad YAML."""
    document = parse(path.read_text(encoding="utf-8"), source=path.name)
    return overlay_from(document, source=path.name)


def overlay_from(document: Any, *, source: str) -> Overlay:
    """Check the form of an overlay document: version 1.0.x, and a target and a reason per action."""
    if not isinstance(document, dict) or not str(document.get("overlay", "")).startswith("1.0"):
        raise OverlayError(0, "$", f"{source} is no Overlay 1.0 document")
    info = document.get("info") or {}
    actions = document.get("actions")
    if not isinstance(actions, list) or not actions:
        raise OverlayError(0, "$.actions", f"{source} lists no actions")
    return Overlay(
        title=str(info.get("title", "")),
        version=str(info.get("version", "")),
        extends=str(document.get("extends", "")),
        actions=tuple(_action(index, one) for index, one in enumerate(actions)),
    )


def apply_overlay(document: Mapping[str, Any], overlay: Overlay) -> dict[str, Any]:
    """Return a changed copy of ``document``; OverlayError when an action selects or changes nothing.

    Actions apply in their order. An update merges objects key by key, and appends to arrays; the
    items of a list update are appended one by one.
    """
    result: dict[str, Any] = copy.deepcopy(dict(document))
    for action in overlay.actions:
        _apply(result, action)
    return result


def _action(index: int, raw: Any) -> Action:
    if not isinstance(raw, dict) or not isinstance(raw.get("target"), str):
        raise OverlayError(index, "?", "an action needs a `target`")
    target = raw["target"]
    unknown = sorted(set(raw) - {"target", "description", "remove", "update"})
    if unknown:
        raise OverlayError(index, target, f"unknown key {unknown[0]!r}")
    reason = raw.get("description")
    if not isinstance(reason, str) or not reason.strip():
        raise OverlayError(index, target, "has no reason", hint="say why in `description`")
    remove = raw.get("remove") is True
    if remove == ("update" in raw):
        raise OverlayError(index, target, "needs either `update` or `remove: true`")
    return Action(index, target, reason, remove, raw.get("update"))


def _apply(document: dict[str, Any], action: Action) -> None:
    try:
        nodes = compile_path(action.target).find(document)
    except (JSONPathError, RecursionError) as error:
        raise OverlayError(action.index, action.target, f"bad JSONPath: {error}") from error
    if not nodes:
        raise OverlayError(
            action.index,
            action.target,
            "selects nothing",
            hint="the contract changed, or an earlier action already removed it",
        )
    locations = [node.location for node in nodes]
    if not all(locations) and action.remove:
        raise OverlayError(action.index, action.target, "would remove the whole document")
    if action.remove:
        # from the back, so that the indices of a list stay true while its items go
        for location in sorted(
            locations, key=lambda one: [(isinstance(k, int), k) for k in one], reverse=True
        ):
            parent = _at(document, location[:-1])
            del parent[location[-1]]
        return
    changed = False
    for location in locations:
        value = _at(document, location)
        if not isinstance(value, dict | list):
            raise OverlayError(
                action.index,
                action.target,
                f"selects a {type(value).__name__}; only an object or array is updated",
            )
        if isinstance(value, dict) and not isinstance(action.update, dict):
            raise OverlayError(action.index, action.target, "only an object merges into an object")
        before = copy.copy(value) if isinstance(value, list) else copy.deepcopy(value)
        _merge(value, copy.deepcopy(action.update))
        changed = changed or value != before
    if not changed:
        raise OverlayError(
            action.index,
            action.target,
            "changes nothing",
            hint="the document says so already: the erratum is stale",
        )


def _at(document: Any, location: tuple[int | str, ...]) -> Any:
    for key in location:
        document = document[key]
    return document


def _merge(into: Any, update: Any) -> None:
    if isinstance(into, list):
        into.extend(update if isinstance(update, list) else [update])
        return
    for key, value in update.items():
        present = into.get(key)
        if (isinstance(present, dict) and isinstance(value, dict)) or isinstance(present, list):
            _merge(present, value)
        else:
            into[key] = value
