"""The contract's document, and validators of its schemas."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

from .core import Record

ROOT = "urn:contract"


def _specs(name: str) -> list[Path]:
    """Where a contract's files may be: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent.parent
    return [here / "specs" / name, here.parent / "specs" / name]


def load_document(path: Path | None = None, name: str = "portkey") -> Record:
    """The compiled contract as a plain OpenAPI 3.0 document. Raises FileNotFoundError."""
    candidates = [path] if path else [folder / "compiled" / "strict.json" for folder in _specs(name)]
    for candidate in candidates:
        if candidate.is_file():
            document: Record = json.loads(candidate.read_bytes())
            return document
    raise FileNotFoundError(f"no compiled contract at {' or '.join(str(one) for one in candidates)}")


def load_planes(name: str = "portkey") -> Record:
    """Plane → path prefixes, and the default plane, as the contract's settings say; empty without them."""
    for folder in _specs(name):
        settings = folder / "contract.toml"
        if settings.is_file():
            planes: Record = tomllib.loads(settings.read_text(encoding="utf-8")).get("planes", {})
            return planes
    return {}


def to_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 dialect → JSON Schema 2020-12: nullable, exclusive bounds, references to the registry."""
    if isinstance(node, list):
        return [to_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        reference: Record = {"$ref": ROOT + node["$ref"]}
        return {"anyOf": [reference, {"type": "null"}]} if node.get("nullable") is True else reference
    out: Record = {}
    for key, value in node.items():
        if key in ("properties", "patternProperties"):
            out[key] = {name: to_json_schema(one) for name, one in value.items()}
        elif key in ("enum", "const", "required"):
            out[key] = value
        elif key not in ("example", "examples", "default", "nullable", "discriminator", "xml", "description"):
            out[key] = to_json_schema(value)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if out.get(exclusive) is True and bound in out:
            out[exclusive] = out.pop(bound)
        elif isinstance(out.get(exclusive), bool):
            del out[exclusive]
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


class Schemas:
    """Compiles validators on first use; components are shared through one registry."""

    def __init__(self, document: Record) -> None:
        self.document = document
        components = document.get("components", {}).get("schemas", {})
        converted = {"components": {"schemas": {n: to_json_schema(s) for n, s in components.items()}}}
        self._registry = jsonschema_rs.Registry([(ROOT, converted)])

    def compile(self, schema: Record) -> Any:
        return jsonschema_rs.Draft202012Validator(
            to_json_schema(schema),
            registry=self._registry,
            validate_formats=True,
            ignore_unknown_formats=True,
        )

    def resolve(self, node: Record) -> Record:
        """Follow local references until something else is reached."""
        seen = 0
        while isinstance(node.get("$ref"), str) and seen < 50:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node, seen = target, seen + 1
        return node

    def properties(self, schema: Record) -> dict[str, Record]:
        """The declared properties, those of allOf/anyOf/oneOf branches included."""
        schema = self.resolve(schema)
        found: dict[str, Record] = {}
        for key in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(key, ()):
                found.update(self.properties(branch))
        found.update(schema.get("properties", {}))
        return found


class Problem(NamedTuple):
    """Where a value is wrong (dotted path, empty for the whole), and one line on how."""

    where: str
    message: str

    @property
    def text(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def first_problem(validator: Any, value: Any) -> Problem | None:
    """None when valid. What the validator cannot even read is a problem too."""
    try:
        if validator.is_valid(value):
            return None
        error = next(iter(validator.iter_errors(value)))
        message = error.message if len(error.message) < 300 else error.message[:300] + "…"
        return Problem(".".join(str(part) for part in error.instance_path), message)
    except (ValueError, UnicodeError, OverflowError, RecursionError) as reason:
        return Problem("", f"cannot be read ({type(reason).__name__})")
