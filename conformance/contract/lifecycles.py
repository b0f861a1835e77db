"""Machines of objects that live: their statuses, the steps between them, and which fields go with which.

Source: ``specs/<contract>/lifecycles.yaml``, whose head describes the format. A contract without that
file has no machines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from conformance.contract.loader import Contract
from conformance.contract.locate import find_specs
from conformance.errors import ContractError

_NEEDED = frozenset({"object", "field", "states", "terminal", "edges"})
_KEYS = _NEEDED | {"begins", "unlocks", "rules", "mutable", "constant", "once", "fields"}
_PACKAGED = "portkey"


@dataclass(frozen=True)
class Unlock:
    """Steps that exist only where ``operation`` was accepted on the object."""

    operation: str
    origins: frozenset[str]
    to: frozenset[str]


@dataclass(frozen=True)
class FieldRule:
    """``field`` is null, or (``wanted``) is not, in the statuses given."""

    field: str
    statuses: frozenset[str]
    wanted: bool


@dataclass(frozen=True)
class Machine:
    """The life of one kind of object; see the head of ``lifecycles.yaml`` for each part."""

    name: str
    objects: tuple[str, ...]
    field: str
    states: frozenset[str]
    terminal: frozenset[str]
    edges: Mapping[str, frozenset[str]]
    begins_in: frozenset[str] = frozenset()
    begins_with: frozenset[str] = frozenset()
    unlocks: tuple[Unlock, ...] = ()
    rules: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    mutable: frozenset[str] = frozenset()
    constant: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    fields: Mapping[str, FieldRule] = dataclasses.field(default_factory=dict)

    def reachable(self, status: str, accepted: Collection[str] = ()) -> frozenset[str]:
        """Every status that may follow, by any number of steps; ``accepted`` are the operations that may
        have been accepted in between."""
        found, ahead = {status}, [status]
        while ahead:
            now = ahead.pop()
            steps = set(self.edges.get(now, ()))
            for unlock in self.unlocks:
                if unlock.operation in accepted and now in unlock.origins:
                    steps |= unlock.to
            ahead.extend(steps - found)
            found |= steps
        return frozenset(found)

    def rule_of(self, status: str) -> str:
        """The name under which pairs from this status are judged."""
        if status in self.terminal:
            return "absorbs"
        return next((name for name, states in self.rules.items() if status in states), "follows")


def load_lifecycles(contract: Contract) -> Mapping[str, Machine]:
    """The machines of a contract by name; ContractError names the entry at fault."""
    return _of(contract.specs_dir, contract.name)


def packaged_lifecycles() -> Mapping[str, Machine]:
    """The machines of the contract that comes with the suite."""
    return _read(find_specs(None) / _PACKAGED / "lifecycles.yaml")


@cache
def _of(specs_dir: Path | None, name: str) -> Mapping[str, Machine]:
    return _read(find_specs(specs_dir) / name / "lifecycles.yaml")


@cache
def _read(path: Path) -> Mapping[str, Machine]:
    if not path.is_file():
        return {}
    machines = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)["machines"]
    return {name: _machine(name, entry) for name, entry in machines.items()}


def _machine(name: str, entry: Mapping[str, Any]) -> Machine:
    if unknown := set(entry) - _KEYS:
        raise ContractError(f"lifecycles.yaml: {name}: unknown keys {sorted(unknown)}")
    if missing := _NEEDED - set(entry):
        raise ContractError(f"lifecycles.yaml: {name}: no {', '.join(sorted(missing))}")
    try:
        begins = entry.get("begins", {})
        machine = Machine(
            name=name,
            objects=_texts(entry["object"]),
            field=entry["field"],
            states=frozenset(entry["states"]),
            terminal=frozenset(entry["terminal"]),
            edges={status: frozenset(to) for status, to in entry["edges"].items()},
            begins_with=frozenset(begins.get("operations", ())),
            begins_in=frozenset(begins.get("in", ())),
            unlocks=tuple(
                Unlock(one["operation"], frozenset(_texts(one["from"])), frozenset(_texts(one["to"])))
                for one in entry.get("unlocks", ())
            ),
            rules={rule: frozenset(states) for rule, states in entry.get("rules", {}).items()},
            mutable=frozenset(entry.get("mutable", ())),
            constant=tuple(entry.get("constant", ())),
            once=tuple(entry.get("once", ())),
            fields={
                rule: _field_rule(one, frozenset(entry["states"]))
                for rule, one in entry.get("fields", {}).items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"lifecycles.yaml: {name}: {type(error).__name__}: {error}") from error
    named = {
        *machine.terminal,
        *machine.edges,
        *machine.begins_in,
        *(status for to in machine.edges.values() for status in to),
        *(status for one in machine.unlocks for status in (*one.origins, *one.to)),
        *(status for states in machine.rules.values() for status in states),
        *(status for rule in machine.fields.values() for status in rule.statuses),
    }
    if strangers := named - machine.states:
        raise ContractError(f"lifecycles.yaml: {name}: no states: {', '.join(sorted(strangers))}")
    return machine


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _field_rule(entry: Mapping[str, Any], states: frozenset[str]) -> FieldRule:
    named = frozenset(entry.get("when", entry.get("unless", ())))
    if not named <= states:
        raise KeyError(", ".join(sorted(named - states)))
    return FieldRule(
        entry["field"],
        named if "when" in entry else states - named,
        {"null": False, "set": True}[entry["is"]],
    )
