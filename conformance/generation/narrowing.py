"""Generation-only schemas: what the contract allows, cut down to what an honest client would send.

Nothing here judges: a drawn request is validated against the contract's own schemas afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from conformance.errors import ContractError

TEXT_FORMAT = "conformance-text"
VERBS = ("drop", "narrow", "schema", "template")


@dataclass(frozen=True, slots=True)
class Rule:
    """One narrowing: ``at`` holds patterns over places, ``verb`` what happens to the schema there."""

    at: tuple[str, ...]
    verb: str
    value: Any
    because: str
    operations: tuple[str, ...] = ()

    def applies(self, operation: str, place: str) -> bool:
        if self.operations and not any(_pattern(one).fullmatch(operation) for one in self.operations):
            return False
        return any(_pattern(one).fullmatch(place) for one in self.at)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """``*`` stands for anything, also across dots; every other character for itself."""
    return re.compile(re.escape(text).replace(r"\*", ".*"))


@dataclass(frozen=True)
class Rules:
    """The narrowing table of a contract; an empty one narrows only by the defaults."""

    rules: tuple[Rule, ...] = ()
    words: tuple[str, ...] = ("alpha", "bravo", "charlie", "délta", "東京")
    text_length: int = 48
    number_range: tuple[int, int] = (1, 100)
    max_items: int = 3
    max_properties: int = 3

    @staticmethod
    def parse(raw: Any, *, source: str) -> Rules:
        """The table of a parsed YAML document. ContractError for a rule it cannot read."""
        if not isinstance(raw, Mapping):
            raise ContractError(
                f"{source}: a mapping is expected", hint="see the head of the file for its form"
            )
        rules = []
        for index, entry in enumerate(raw.get("rules") or ()):
            verbs = [verb for verb in VERBS if verb in entry] if isinstance(entry, Mapping) else []
            if len(verbs) != 1 or not entry.get("at") or not entry.get("because"):
                raise ContractError(
                    f"{source}: rule {index} needs `at`, `because` and one of {', '.join(VERBS)}",
                    hint=f"it has {sorted(entry) if isinstance(entry, Mapping) else entry!r}",
                )
            rules.append(
                Rule(
                    at=tuple(entry["at"]),
                    verb=verbs[0],
                    value=entry[verbs[0]],
                    because=entry["because"],
                    operations=tuple(entry.get("operations", ())),
                )
            )
        text, numbers = raw.get("text") or {}, raw.get("numbers") or {}
        default = Rules()
        return Rules(
            rules=tuple(rules),
            words=tuple(text.get("words") or default.words),
            text_length=int(text.get("max_length", default.text_length)),
            number_range=(
                int(numbers.get("minimum", default.number_range[0])),
                int(numbers.get("maximum", default.number_range[1])),
            ),
            max_items=int((raw.get("arrays") or {}).get("max_items", default.max_items)),
            max_properties=int((raw.get("objects") or {}).get("max_properties", default.max_properties)),
        )

    def at(self, operation: str, place: str) -> Rule | None:
        """The last rule that names this place of this operation."""
        return next((rule for rule in self._reversed if rule.applies(operation, place)), None)

    @cached_property
    def _reversed(self) -> tuple[Rule, ...]:
        return tuple(reversed(self.rules))


NAMES = ("team", "stage", "note", "purpose", "source")
DROP: Literal["drop"] = "drop"
TEMPLATE: Literal["template"] = "template"
Narrowed = Mapping[str, Any] | Literal["drop", "template"]


def narrow(schema: Mapping[str, Any], rules: Rules, operation: str, place: str) -> Narrowed:
    """The generation-only schema of one place; DROP or TEMPLATE where the value is not drawn."""
    rule = rules.at(operation, place)
    if schema.get("readOnly"):
        return DROP
    if rule is not None:
        if rule.verb == "drop":
            return DROP
        if rule.verb == "template":
            return TEMPLATE
        schema = rule.value if rule.verb == "schema" else {**_chosen(schema), **rule.value}
    return _narrowed(schema, rules, operation, place)


def _chosen(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first branch of a union that can carry keywords, so that narrowing them has an effect."""
    for keyword in ("oneOf", "anyOf"):
        branches = [one for one in schema.get(keyword, ()) if one.get("type") not in (None, "null")]
        if branches and "type" not in schema:
            return {**{k: v for k, v in schema.items() if k != keyword}, **branches[0]}
    return schema


def _narrowed(schema: Mapping[str, Any], rules: Rules, operation: str, place: str) -> dict[str, Any]:
    out = {key: value for key, value in schema.items() if key not in ("default", "readOnly")}
    # An overlapping oneOf is drawn by rejection, for seconds a value; the original decides afterwards.
    branches = [*out.pop("oneOf", ()), *out.pop("anyOf", ())]
    if branches:
        out["anyOf"] = [_narrowed(one, rules, operation, place) for one in branches]
    if "allOf" in out:
        out["allOf"] = [_narrowed(one, rules, operation, place) for one in out["allOf"]]
    if "const" in out or "enum" in out or "$ref" in out:
        return out
    kind = out.get("type")
    # A server may read null as "reset"; leaving the field out is the plain way to say nothing.
    out.pop("nullable", None)
    if isinstance(kind, list):
        kind = out["type"] = next((one for one in kind if one != "null"), kind[0])
    if kind == "object" or "properties" in out:
        return _object(out, rules, operation, place)
    if kind == "array":
        items = narrow(out.get("items") or {"type": "string"}, rules, operation, f"{place}[]")
        out["items"] = items if isinstance(items, Mapping) else {"type": "string", "enum": []}
        out["maxItems"] = max(
            out.get("minItems", 0), min(out.get("maxItems", rules.max_items), rules.max_items)
        )
        if isinstance(items, Mapping) and "enum" in items:
            out["uniqueItems"] = True  # a choice named twice says nothing more
        if not isinstance(items, Mapping):
            out = {"type": "array", "maxItems": 0}
    elif kind == "string":
        _string(out, rules)
    elif kind in ("integer", "number"):
        _number(out, rules)
    elif kind is None and not branches and "allOf" not in out and "not" not in out:
        out = {"type": "string"}
        _string(out, rules)
    return out


def _object(out: dict[str, Any], rules: Rules, operation: str, place: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    left_out: set[str] = set()
    for name, value in out.get("properties", {}).items():
        narrowed = narrow(value, rules, operation, f"{place}.{name}")
        if isinstance(narrowed, Mapping):
            properties[name] = narrowed
        else:
            left_out.add(name)
    required = [name for name in out.get("required", ()) if name not in left_out]
    out = {key: value for key, value in out.items() if key not in ("properties", "required")}
    out["type"] = "object"
    free = out.get("additionalProperties", True)
    if properties or left_out:
        # A strict server refuses names it does not know.
        out |= {"properties": properties, "additionalProperties": False}
        if required:
            out["required"] = required
        out.pop("maxProperties", None)
        out.pop("minProperties", None)
    elif free is not False:
        value = free if isinstance(free, Mapping) and free else {"type": "string"}
        inner = _narrowed(value, rules, operation, f"{place}.*")
        # Names of any characters are allowed, but no test of a gateway: a few plain ones will do.
        names = NAMES[: max(rules.max_properties, out.get("minProperties", 0))]
        out |= {"properties": dict.fromkeys(names, inner), "additionalProperties": False}
    return out


def _string(out: dict[str, Any], rules: Rules) -> None:
    if "pattern" in out or "format" in out:
        return
    shortest, longest = (
        out.get("minLength", 0),
        min(out.get("maxLength", rules.text_length), rules.text_length),
    )
    if shortest <= 1 and longest >= 12:
        out["format"] = TEXT_FORMAT
    out["minLength"] = max(shortest, 1)
    out["maxLength"] = max(longest, shortest, 1)


def _number(out: dict[str, Any], rules: Rules) -> None:
    low, high = rules.number_range
    if "minimum" not in out and "exclusiveMinimum" not in out:
        out["minimum"] = min(low, out.get("maximum", low))
    floor = out.get("minimum", low)
    if "maximum" not in out and "exclusiveMaximum" not in out:
        out["maximum"] = max(high, floor)
