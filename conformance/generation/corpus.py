"""The corpus: every generated case of an execution, drawn once, stored, replayed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from conformance.contract.loader import cache_dir as default_cache_dir
from conformance.contract.locate import find_specs
from conformance.errors import ContractError
from conformance.generation.effort import EFFORTS, Effort
from conformance.generation.effort import effort as effort_of
from conformance.generation.narrowing import Rules
from conformance.model import Case, Credential, Purpose

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.contract.resources import Graph
    from conformance.contract.schemas import Validators
    from conformance.generation.drawing import Drawn
    from conformance.generation.validity import Validity

FORMAT = 1  # of the stored files, and of what this code draws: raise it when either changes
GENERATORS = ("schemathesis", "hypothesis")


class Corpus:
    """The cases of each operation for one contract, seed and effort.

    Equal contract, resource graph, narrowing rules, seed, effort and generator versions give equal
    cases in any process. What is drawn is kept in ``cache_dir`` (the user's cache by default), one
    file an operation; a file that cannot be read is drawn again, one that cannot be written is not
    missed.
    """

    def __init__(
        self,
        contract: Contract,
        graph: Graph,
        *,
        seed: int = 1,
        effort: str | Effort = "standard",
        cache_dir: Path | str | None = None,
    ) -> None:
        self._contract = contract
        self._graph = graph
        self.seed = seed
        self.effort = effort_of(effort) if isinstance(effort, str) else effort
        self._cache = Path(cache_dir) if cache_dir is not None else default_cache_dir()
        self._validities: dict[str, Validity] = {}
        self._known: dict[str, tuple[tuple[Case, ...], dict[str, str], tuple[tuple[str, str], ...]]] = {}

    def cases(self, operation_id: str) -> tuple[Case, ...]:
        """The VALID, INVALID and EXAMPLE cases of an operation, in that order, or UnknownNameError."""
        return self._of(operation_id)[0]

    def gap(self, operation_id: str, purpose: Purpose) -> str:
        """Why an operation has no case of this purpose; empty when it has some."""
        return self._of(operation_id)[1].get(purpose, "")

    def skipped(self, operation_id: str) -> tuple[tuple[str, str], ...]:
        """Which examples of the contract are not among the cases: pairs of example and reason."""
        return self._of(operation_id)[2]

    def keeps_purpose(self, case: Case) -> bool:
        """Whether a changed case still is what its purpose says: invalid, or valid by the contract."""
        from conformance.generation.validity import validity_of

        if case.operation not in self._validities:
            self._validities[case.operation] = validity_of(self._contract, self._validators, case.operation)
        return self._validities[case.operation].is_valid(case) == (case.purpose is not Purpose.INVALID)

    def _of(self, operation_id: str) -> tuple[tuple[Case, ...], dict[str, str], tuple[tuple[str, str], ...]]:
        if operation_id not in self._known:
            operation = self._contract.operation(operation_id).id
            path = self._path(operation)
            stored = _read(path)
            if stored is None:
                drawn = self._draw(operation)
                # Through JSON also when fresh, so that a first execution sends what a second one will.
                text = _dump(drawn)
                _write(path, text)
                stored = _load(text)
            self._known[operation_id] = stored
        return self._known[operation_id]

    def _draw(self, operation: str) -> Drawn:
        from conformance.generation.drawing import draw_cases

        return draw_cases(
            self._contract,
            self._graph,
            self._validators,
            self.rules,
            operation,
            seed=self.seed,
            effort=self.effort,
        )

    @cached_property
    def _validators(self) -> Validators:
        from conformance.contract.schemas import validators

        return validators(self._contract)

    @cached_property
    def rules(self) -> Rules:
        """How requests are narrowed; ContractError for a table that cannot be read."""
        name = f"{self._contract.name}/generation.yaml"
        try:
            raw = yaml.load(self._rules_text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise ContractError(f"{name}: {error}") from error
        return Rules.parse(raw or {}, source=name)

    @cached_property
    def _rules_text(self) -> str:
        path = find_specs(self._contract.specs_dir) / self._contract.name / "generation.yaml"
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    @cached_property
    def _key(self) -> str:
        versions = [f"{name} {version(name)}" for name in GENERATORS]
        parts = [
            str(FORMAT),
            self._contract.digest,
            str(self.seed),
            self.effort.key,
            self._rules_text,
            *versions,
        ]
        return "\0".join(parts)

    def _path(self, operation: str) -> Path:
        usage = self._graph.usage(operation)
        template = usage.canonical
        own = [
            operation,
            dict(usage.path),
            usage.bind,
            [template.query, template.headers, template.body, template.has_body, template.media_type],
        ]
        words = self._key + "\0" + json.dumps(own, sort_keys=True, default=str)
        digest = hashlib.sha256(words.encode()).hexdigest()[:24]
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", operation)[:80]
        return self._cache / "corpus" / self._contract.name / f"{stem}-{digest}.json"


def _dump(drawn: Drawn) -> str:
    names = [one.name for one in fields(Case)]
    cases = [{name: getattr(case, name) for name in names} for case in drawn.cases]
    value = {"format": FORMAT, "cases": cases, "gaps": drawn.gaps, "skipped": drawn.skipped}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict) + "\n"


def _load(text: str) -> tuple[tuple[Case, ...], dict[str, str], tuple[tuple[str, str], ...]]:
    value = json.loads(text)
    if value["format"] != FORMAT:
        raise ValueError("another format")
    return (
        tuple(_case(one) for one in value["cases"]),
        dict(value["gaps"]),
        tuple((what, why) for what, why in value["skipped"]),
    )


def _case(raw: Mapping[str, Any]) -> Case:
    return Case(
        **{
            **raw,
            "purpose": Purpose(raw["purpose"]),
            "credential": Credential(raw["credential"]),
            "query": tuple((name, value) for name, value in raw["query"]),
            "headers": tuple((name, value) for name, value in raw["headers"]),
        }
    )


def _read(path: Path) -> tuple[tuple[Case, ...], dict[str, str], tuple[tuple[str, str], ...]] | None:
    try:
        return _load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _write(path: Path, text: str) -> None:
    """In one step, so that another worker reads all of it or nothing; a full disk costs only the cache."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


__all__ = ["EFFORTS", "Corpus"]
