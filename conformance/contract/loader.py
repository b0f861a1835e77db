"""Contracts by name: find, compile once, load fast."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from conformance.contract.locate import find_specs
from conformance.contract.operations import (
    PathIndex,
    build_operations,
    group_order,
    merged_parameters,
    name_operations,
    plane_rules,
)
from conformance.errors import ContractError, UnknownNameError, UsageError
from conformance.model import Operation, Plane

COMPILER: Final = "1"  # part of every digest: raise it when compiling changes its result
STRICTNESSES: Final = ("strict", "lenient")
CACHE_VARIABLE: Final = "GATEWAY_CONFORMANCE_CACHE"
specs_root = find_specs
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Contract:
    """A compiled contract: the published document with its errata applied.

    ``digest`` (hex) names the sources it was made from. ``document`` is the compiled OpenAPI
    document; treat it as read-only. ``specs_dir`` is the folder that holds all contracts.
    """

    name: str
    version: str
    strictness: str
    digest: str
    document: dict[str, Any] = field(repr=False)
    operations: tuple[Operation, ...] = field(repr=False)
    groups: tuple[str, ...] = field(repr=False)
    specs_dir: Path | None = field(default=None, repr=False)

    def operation(self, name: str) -> Operation:
        """The operation with this id; UnknownNameError otherwise."""
        try:
            return self._by_id[name]
        except KeyError:
            raise UnknownNameError("operation", name, self._by_id) from None

    def definition(self, name: str) -> dict[str, Any]:
        """The operation object as compiled, with ``parameters`` resolved and those of its path merged in."""
        operation = self.operation(name)
        item = self.document["paths"][operation.path]
        definition = item[operation.method.lower()]
        return {**definition, "parameters": merged_parameters(self.document, item, definition)}

    def match(self, method: str, path: str) -> Operation | None:
        """The operation that answers ``method`` on a concrete ``path`` (relative to its plane)."""
        return self._index.match(method, path)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes in use, in the order of the vocabulary."""
        used = {operation.plane for operation in self.operations}
        return tuple(plane for plane in Plane if plane in used)

    @cached_property
    def _by_id(self) -> dict[str, Operation]:
        return {operation.id: operation for operation in self.operations}

    @cached_property
    def _index(self) -> PathIndex:
        return PathIndex(self.operations)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files a contract is made from. ``overlays`` apply in this order."""

    name: str
    folder: Path
    document: Path
    overlays: tuple[Path, ...]
    planes: Mapping[str, Any]

    def digest(self, strictness: str) -> str:
        """SHA-256 (hex) over the sources and the compiler; line endings do not count."""
        value = hashlib.sha256(f"{COMPILER}\n{strictness}\n".encode())
        for path in (self.document, *self.overlays):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            value.update(f"{path.name}\n{len(content)}\n".encode())
            value.update(content)
        return value.hexdigest()


def contract_names(specs_dir: Path | str | None = None) -> tuple[str, ...]:
    """The names of the contracts that can be loaded."""
    return tuple(sorted(path.parent.name for path in specs_root(specs_dir).glob("*/openapi.yaml")))


def find_sources(name: str, *, specs_dir: Path | str | None = None, strictness: str = "strict") -> Sources:
    """Locate a contract; UnknownNameError, or ContractError for a faulty contract.toml."""
    if strictness not in STRICTNESSES:
        raise UsageError(f"strictness {strictness!r}", hint=f"one of {', '.join(STRICTNESSES)}")
    folder = specs_root(specs_dir) / name
    if not _NAME.fullmatch(name) or not (folder / "openapi.yaml").is_file():
        raise UnknownNameError("contract", name, contract_names(specs_dir))
    settings = _settings(folder / "contract.toml")
    wanted = STRICTNESSES[: STRICTNESSES.index(strictness) + 1]  # lenient goes on top of strict
    listed = settings.get("errata", {})
    overlays = tuple(folder / listed[kind] for kind in wanted if kind in listed)
    for path in overlays:
        if not path.is_file():
            raise ContractError(f"{folder.name}/contract.toml: errata: no file {path.name}")
    return Sources(name, folder, folder / "openapi.yaml", overlays, settings.get("planes", {}))


def load_contract(
    name: str = "portkey", *, specs_dir: Path | str | None = None, strictness: str = "strict"
) -> Contract:
    """Load a compiled contract, compiling it only when its sources changed.

    Looks in specs/NAME/compiled first, then in the user's cache. Raises UnknownNameError for a name
    without a contract, ContractError (OverlayError, ImportRefusedError) when it cannot be compiled.
    """
    sources = find_sources(name, specs_dir=specs_dir, strictness=strictness)
    digest = sources.digest(strictness)
    document = _shipped(sources, strictness, digest) or _cached(name, digest)
    if document is None:
        document = compile_contract(sources)
        _remember(name, digest, document)
    rules = plane_rules(sources.planes, source=f"{name}/contract.toml")
    operations = build_operations(document, rules)
    return Contract(
        name=name,
        version=str(document["info"].get("version", "")),
        strictness=strictness,
        digest=digest,
        document=document,
        operations=operations,
        groups=group_order(document, operations),
        specs_dir=sources.folder.parent,
    )


def count_errata(name: str, *, specs_dir: Path | str | None = None, strictness: str = "strict") -> int:
    """How many overlay actions a strictness applies to a contract."""
    from conformance.contract.overlay import read_overlay

    sources = find_sources(name, specs_dir=specs_dir, strictness=strictness)
    return sum(len(read_overlay(path).actions) for path in sources.overlays)


def compile_contract(sources: Sources) -> dict[str, Any]:
    """Apply the errata to the document and name what has no operationId."""
    from conformance.contract.importer import import_text
    from conformance.contract.overlay import apply_overlay, read_overlay

    document = import_text(sources.document.read_text(encoding="utf-8"), source=sources.document.name)
    for path in sources.overlays:
        document = apply_overlay(document, read_overlay(path))
    name_operations(document)
    return document


def write_compiled(name: str, *, specs_dir: Path | str | None = None) -> tuple[Path, ...]:
    """Compile every strictness of a contract into specs/NAME/compiled; returns the files written."""
    written: list[Path] = []
    digests: dict[str, str] = {}
    for strictness in STRICTNESSES:
        sources = find_sources(name, specs_dir=specs_dir, strictness=strictness)
        path = sources.folder / "compiled" / f"{strictness}.json"
        _write(path, _minified(compile_contract(sources)))
        digests[strictness] = sources.digest(strictness)
        written.append(path)
    path = written[0].parent / "digests.json"
    _write(path, json.dumps(digests, indent=2) + "\n")
    return (*written, path)


def cache_dir() -> Path:
    """Where compiled contracts (and drawn corpora) are kept between executions."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("gateway-conformance", appauthor=False)


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    where = f"{path.parent.name}/{path.name}"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContractError(f"{where}: {error}") from error
    errata = settings.get("errata", {})
    for key in (
        *(set(settings) - {"errata", "planes"}),
        *(f"errata.{k}" for k in set(errata) - set(STRICTNESSES)),
    ):
        raise ContractError(f"{where}: unknown key {key}", hint="known: [errata] strict, lenient; [planes]")
    return settings


def _shipped(sources: Sources, strictness: str, digest: str) -> dict[str, Any] | None:
    folder = sources.folder / "compiled"
    try:
        digests = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
        if digests.get(strictness) != digest:
            return None
        document: dict[str, Any] = json.loads((folder / f"{strictness}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, AttributeError):
        return None
    return document


def _cached(name: str, digest: str) -> dict[str, Any] | None:
    try:
        text = (cache_dir() / "contracts" / f"{name}-{digest}.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and "paths" in document else None


def _remember(name: str, digest: str, document: Mapping[str, Any]) -> None:
    try:
        _write(cache_dir() / "contracts" / f"{name}-{digest}.json", _minified(document))
    except OSError:
        return  # a cache that cannot be written only costs time


def _minified(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    """Write in one step, so that a parallel worker never reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
