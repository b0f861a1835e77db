"""Profiles: named subsets of a contract that a target can claim, and what each cannot do without.

Source: ``specs/<contract>/profiles.toml``. A contract without that file has the profile ``all`` only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.contract.loader import Contract
from conformance.contract.locate import find_specs
from conformance.errors import ContractError
from conformance.model import Operation

_KEYS = {"groups", "operations", "exclude_operations", "planes", "capabilities", "models"}


@dataclass(frozen=True)
class Profile:
    """``operations`` it comprises (ids; None means all of the contract), and the ``capabilities`` and
    model roles a target that claims it must declare."""

    name: str
    operations: frozenset[str] | None = None
    capabilities: tuple[str, ...] = ()

    def holds(self, operation: Operation) -> bool:
        return self.operations is None or operation.id in self.operations


def load_profiles(contract: Contract) -> Mapping[str, Profile]:
    """The profiles of a contract by name, ``all`` always among them; ContractError names a faulty one."""
    path = find_specs(contract.specs_dir) / contract.name / "profiles.toml"
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        tables = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContractError(f"{contract.name}/profiles.toml: {error}") from error
    tables = tables.get("profiles", tables)
    found = {name: _profile(contract, name, table) for name, table in tables.items()}
    return {"all": Profile("all"), **found}


def _profile(contract: Contract, name: str, table: Mapping[str, Any]) -> Profile:
    where = f"{contract.name}/profiles.toml: {name}"
    if unknown := set(table) - _KEYS:
        raise ContractError(
            f"{where}: unknown key {sorted(unknown)[0]!r}", hint=f"known: {', '.join(sorted(_KEYS))}"
        )
    groups, planes = set(table.get("groups", ())), set(table.get("planes", ()))
    named, left_out = set(table.get("operations", ())), set(table.get("exclude_operations", ()))
    known = {operation.id for operation in contract.operations}
    for kind, values, allowed in (
        ("group", groups, set(contract.groups)),
        ("operation", named | left_out, known),
        ("plane", planes, {str(plane) for plane in contract.planes}),
    ):
        if strangers := values - allowed:
            raise ContractError(f"{where}: no {kind} named {sorted(strangers)[0]!r}")
    chosen = {
        operation.id
        for operation in contract.operations
        if operation.group in groups or operation.plane in planes or operation.id in named
    }
    whole = not (groups or planes or named)
    capabilities = (*table.get("capabilities", ()), *table.get("models", ()))
    operations = None if whole and not left_out else frozenset((known if whole else chosen) - left_out)
    return Profile(name, operations, capabilities)
