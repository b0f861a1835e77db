"""Overlay actions: what they change, and which must be refused."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.contract.overlay import apply_overlay, overlay_from
from conformance.errors import OverlayError


def apply(document: dict[str, Any], *actions: dict[str, Any]) -> dict[str, Any]:
    whole = {"overlay": "1.0.0", "info": {"title": "t", "version": "1"}, "actions": list(actions)}
    return apply_overlay(document, overlay_from(whole, source="t.yaml"))


def test_update_merges_objects_and_appends_to_arrays() -> None:
    """Neighbours of an updated key must stay, and an array must grow, not be replaced."""
    before = {"a": {"b": {"c": 1}, "l": [1]}}
    after = apply(
        before,
        {"target": "$.a", "description": "why", "update": {"b": {"d": 2}}},
        {"target": "$.a.l", "description": "why", "update": 2},
    )
    assert after == {"a": {"b": {"c": 1, "d": 2}, "l": [1, 2]}}
    assert before == {"a": {"b": {"c": 1}, "l": [1]}}, "the argument is left alone"


def test_an_update_reaches_every_match_with_its_own_copy() -> None:
    """A wildcard must change each match, and the matches may not share the new value."""
    after = apply(
        {"p": {"x": {}, "y": {}}}, {"target": "$.p.*", "description": "why", "update": {"r": {"z": []}}}
    )
    after["p"]["x"]["r"]["z"].append(1)
    assert after["p"]["y"] == {"r": {"z": []}}


def test_remove_takes_every_matching_item_of_a_list() -> None:
    """Removing several items of one list must not shift onto their neighbours."""
    after = apply({"l": [1, 2, 1, 3, 1]}, {"target": "$.l[?@ == 1]", "description": "why", "remove": True})
    assert after == {"l": [2, 3]}


BROKEN = {
    "unmatched": ({"target": "$.nothing", "description": "why", "remove": True}, "selects nothing"),
    "unmatched-filter": ({"target": "$.l[?@ == 9]", "description": "why", "remove": True}, "selects nothing"),
    "stale": ({"target": "$", "description": "why", "update": {"k": 1}}, "changes nothing"),
    "no-reason": ({"target": "$.l", "remove": True}, "has no reason"),
    "blank-reason": ({"target": "$.l", "description": " ", "remove": True}, "has no reason"),
    "no-target": ({"description": "why", "remove": True}, "needs a `target`"),
    "neither": ({"target": "$.l", "description": "why"}, "either `update` or `remove: true`"),
    "both": ({"target": "$.l", "description": "why", "remove": True, "update": {}}, "either `update` or"),
    "bad-path": ({"target": "$.l[", "description": "why", "remove": True}, "bad JSONPath"),
    "root": ({"target": "$", "description": "why", "remove": True}, "whole document"),
    "scalar": ({"target": "$.l[0]", "description": "why", "update": {"a": 1}}, "selects a int"),
    "shape": ({"target": "$", "description": "why", "update": [1]}, "only an object merges"),
    "typo": ({"target": "$.l", "description": "why", "updates": {}}, "unknown key 'updates'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_faulty_action_is_refused_and_named(name: str) -> None:
    """A faulty action, an unmatched target above all, must be an OverlayError with its index."""
    action, why = BROKEN[name]
    good = {"target": "$", "description": "why", "update": {"k": 1}}
    with pytest.raises(OverlayError, match=why) as caught:
        apply({"l": [1]}, good, action)
    assert caught.value.index == 1


@pytest.mark.parametrize("document", [None, [], {"overlay": "2.0", "actions": [{}]}, {"overlay": "1.0.0"}])
def test_what_is_no_overlay_is_refused(document: Any) -> None:
    """Another version, or a document without actions, must not pass as an overlay that changes nothing."""
    with pytest.raises(OverlayError):
        overlay_from(document, source="t.yaml")
