"""What the user asked for, as one JSON-able value that every worker gets the same."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import conformance
from conformance.contract import Contract, load_contract
from conformance.contract.profiles import load_profiles
from conformance.contract.requirements import load_requirements
from conformance.contract.resources import load_graph
from conformance.errors import UnknownNameError, UsageError
from conformance.exercise.plan import Plan
from conformance.generation.corpus import Corpus
from conformance.generation.effort import EFFORTS
from conformance.model import Operation
from conformance.target import Target, load_target, target_from, with_known_names

KEY_VARIABLES = {"owner": "CONFORMANCE_API_KEY", "revoked": "CONFORMANCE_REVOKED_KEY"}


@dataclass(frozen=True)
class Settings:
    """Options of one execution. ``announcement`` is what the embedded reference gateway said of itself."""

    contract: str = "portkey"
    specs_dir: str | None = None
    strictness: str = "strict"
    target: str | None = None
    base_url: str | None = None
    announcement: Mapping[str, Any] | None = None
    groups: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    effort: str = "standard"
    seed: int = 1
    concurrency: int | None = None
    reports: str = "reports"
    run_id: str = ""
    started: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    command: str = ""
    workers: int = 1

    def check(self) -> None:
        """Raise UsageError for what can be seen to be wrong before anything is loaded."""
        if self.effort not in EFFORTS:
            raise UsageError(f"--effort {self.effort!r} is not known", hint=f"one of {', '.join(EFFORTS)}")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} is negative", hint="any whole number from 0 on")
        if self.concurrency is not None and not 1 <= self.concurrency <= 256:
            raise UsageError(f"--concurrency {self.concurrency} is out of range", hint="1 to 256")
        if self.target and self.base_url:
            raise UsageError(
                "--target and --base-url exclude each other", hint="the target file holds base_url"
            )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """The inverse of ``to_json``, also after a trip through JSON that made lists of tuples."""
        return cls(**{**value, "groups": tuple(value["groups"]), "only": tuple(value["only"])})

    @property
    def folder(self) -> Path:
        """Where this execution writes its reports and evidence."""
        return Path(self.reports) / self.run_id

    def describe(self) -> dict[str, Any]:
        """What the evidence says of its execution; holds no secret."""
        return {
            "suite": conformance.__version__,
            "execution": self.run_id,
            "contract": self.contract,
            "strictness": self.strictness,
            "effort": self.effort,
            "seed": self.seed,
        }

    def open_contract(self) -> Contract:
        specs = Path(self.specs_dir) if self.specs_dir else None
        return load_contract(self.contract, specs_dir=specs, strictness=self.strictness)

    def open_target(self) -> Target:
        """The target: a file, a base URL with credentials from the environment, or the embedded gateway."""
        if self.target:
            target = load_target(Path(self.target))
        elif self.base_url:
            target = target_from(_from_environment(self.base_url), source="--base-url")
        elif self.announcement is not None:
            target = Target.from_announcement(self.announcement)
        else:
            raise UsageError("no target", hint="name one, or let the suite start its reference gateway")
        return target if self.concurrency is None else replace(target, concurrency=self.concurrency)

    def open_plan(self, worker: str = "main") -> Plan:
        """Load everything a worker needs; any mistake in the user's files is a ConformanceError."""
        contract = self.open_contract()
        graph = load_graph(contract)
        profiles = load_profiles(contract)
        target = with_known_names(
            self.open_target(),
            groups=contract.groups,
            operations=[operation.id for operation in contract.operations],
            profiles=profiles,
        )
        return Plan(
            contract=contract,
            graph=graph,
            requirements=load_requirements(contract, graph),
            target=target,
            profile=profiles[target.profile],
            corpus=Corpus(contract, graph, seed=self.seed, effort=self.effort),
            seed=self.seed,
            effort=self.effort,
            marker=marker_of(self.run_id, self.started),
            worker=worker,
        )


def _from_environment(base_url: str) -> dict[str, Any]:
    """A target of a base URL alone: keys from the environment, nothing costly allowed."""
    credentials = {
        name: {"key": os.environ[variable]}
        for name, variable in KEY_VARIABLES.items()
        if os.environ.get(variable)
    }
    return {"name": urlsplit(base_url).hostname or "target", "base_url": base_url, "credentials": credentials}


def marker_of(run_id: str, at: float) -> str:
    """A short word that stands in every name an execution makes, and in no name of another execution:
    leftovers are recognised by it, and names that were taken before are not taken again."""
    return "cf" + hashlib.sha256(f"{run_id} {at!r}".encode()).hexdigest()[:12]


def new_run_id(target: str, effort: str, seed: int, at: float) -> str:
    """A folder name that sorts by time and says what it was, such as ``20260131-235959-staging-smoke-s1``."""
    word = re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-")[:24] or "target"
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}-{word}-{effort}-s{seed}"


def chosen(plan: Plan, settings: Settings) -> dict[str, str]:
    """Every operation id with the reason why it is out of scope; empty for those in scope.

    UnknownNameError for a group or operation that the contract does not have.
    """
    contract = plan.contract
    groups = {_match(name, contract.groups, "group") for name in settings.groups}
    only = {_operation(contract, name).id for name in settings.only}
    reasons: dict[str, str] = {}
    for operation in contract.operations:
        if outside := plan.outside(operation):
            reasons[operation.id] = outside
        elif groups and operation.group not in groups:
            reasons[operation.id] = "not among the groups asked for"
        elif only and operation.id not in only:
            reasons[operation.id] = "not among the operations asked for"
        else:
            reasons[operation.id] = ""
    return reasons


def _match(name: str, known: Iterable[str], kind: str) -> str:
    for one in known:
        if one.lower() == name.lower():
            return one
    raise UnknownNameError(kind, name, known)


def _operation(contract: Contract, name: str) -> Operation:
    """An operation by its id, or by ``METHOD /path``."""
    method, _, path = name.partition(" ")
    for operation in contract.operations:
        if operation.id == name or (operation.method == method.upper() and operation.path == path):
            return operation
    raise UnknownNameError("operation", name, [operation.id for operation in contract.operations])
