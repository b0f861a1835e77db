"""An OpenAPI file, or a documentation page that embeds one, becomes a machine-checkable contract.

Whatever is imported is hostile until proven otherwise: sizes are checked before parsing, depth
before building a tree, expansion before following an alias.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import yaml

from conformance.contract.shape import METHODS, misplaced, strip
from conformance.errors import ImportRefusedError

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_NODES: Final = 2_000_000  # after every alias is followed; a contract of 1.2 MB has 60,000
MAX_DEPTH: Final = 200  # libyaml's composer recurses in C: a deep document would kill the process

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)
_YAML_12 = {  # the core schema: no timestamps, no yes/no, no sexagesimal numbers
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "tag:yaml.org,2002:int": (r"^(?:0|[-+]?[1-9][0-9]*|[-+]?0x[0-9a-fA-F]+)$", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        "-+0123456789.",
    ),
    "tag:yaml.org,2002:merge": (r"^<<$", "<"),
}


class ContractYaml(yaml.CSafeLoader):
    """YAML 1.2's core schema on libyaml: dates stay the strings they are in JSON."""

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc]  # replaced, not extended


for _tag, (_pattern, _first) in _YAML_12.items():
    ContractYaml.add_implicit_resolver(_tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first])


def import_file(path: Path) -> dict[str, Any]:
    """Read ``path`` and return its machine-checkable OpenAPI document.

    Raises ImportRefusedError for what cannot be a contract: too large, not OpenAPI 3.x, bad YAML,
    a remote ``$ref``, aliases that explode, an operationId used twice.
    """
    source = path.name
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_large(source, size)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImportRefusedError(source, f"cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:  # a pipe, or a file that grew
        raise _too_large(source, len(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportRefusedError(source, f"not UTF-8 at byte {error.start}") from error
    return import_text(text, source=source)


def import_text(text: str, *, source: str) -> dict[str, Any]:
    """As ``import_file``, from text; ``source`` is what errors call the document."""
    document = parse(_embedded(text, source) if _is_page(text) else text, source=source)
    _refuse_unless_openapi(document, source)
    wrong = misplaced(document)
    if wrong is not None:
        raise ImportRefusedError(source, f"{wrong[:300]}: not the kind of value that belongs there")
    stripped = strip(document)
    _refuse_dangling(stripped, source)
    _refuse_duplicate_ids(stripped, source)
    return stripped


def parse(text: str, *, source: str) -> Any:
    """Parse YAML or JSON into plain JSON values that share no node; ImportRefusedError otherwise."""
    try:
        if text.lstrip()[:1] == "{":
            try:
                value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
            except json.JSONDecodeError:
                pass  # a YAML flow mapping looks the same
            else:
                _refuse_deep_value(value, source)
                return value
        _refuse_depth(text, source)
        loader = ContractYaml(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ImportRefusedError(source, "is empty")
            _refuse_expansion(node, source)
            return json.loads(json.dumps(loader.construct_document(node), allow_nan=False))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
        raise ImportRefusedError(source, f"bad YAML{where}: {what}") from error
    except (TypeError, ValueError) as error:
        raise ImportRefusedError(source, f"holds what JSON cannot: {error}") from error
    except RecursionError as error:
        raise ImportRefusedError(source, f"is nested deeper than {MAX_DEPTH} levels") from error


def dump(document: Mapping[str, Any]) -> str:
    """Write a document as YAML, keys in their order, the same text for the same document."""
    text: str = yaml.dump(
        document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False
    )
    return text


class _Plain(yaml.CSafeDumper):
    """Writes no aliases, and quotes whatever YAML 1.1 or 1.2 would read as more than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, (_pattern, _first) in _YAML_12.items():
    _Plain.add_implicit_resolver(_tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first])


def operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Yield (method, path, path item, operation) in document order."""
    for path, item in (document.get("paths") or {}).items():
        if isinstance(item, dict):
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield method, path, item, item[method]


def _too_large(source: str, size: int) -> ImportRefusedError:
    return ImportRefusedError(source, f"{size} bytes are more than the {MAX_BYTES} an import may have")


def _is_page(text: str) -> bool:
    head = text.lstrip()[:4000]
    if head.startswith("{") or re.search(
        r"^[\"']?(?:openapi|swagger)[\"']?\s*:", text[:20_000].split("```")[0], re.M
    ):
        return False
    return bool(_FENCE.search(text)) or head.startswith(("#", "> "))


def _embedded(text: str, source: str) -> str:
    """The one fenced block of a page that is an OpenAPI document."""
    blocks = [
        m["body"]
        for m in _FENCE.finditer(text)
        if re.match(r"\s*(?:\{\s*)?[\"']?openapi[\"']?\s*:", m["body"])
    ]
    if not blocks:
        raise ImportRefusedError(
            source, "the page embeds no OpenAPI block", hint="a fenced block that starts with `openapi: 3.x`"
        )
    if len(blocks) > 1:
        raise ImportRefusedError(source, f"the page embeds {len(blocks)} OpenAPI blocks, expected one")
    return blocks[0]


def _refuse_depth(text: str, source: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=ContractYaml):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ImportRefusedError(source, f"is nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {name!r} stands twice in one object")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_deep_value(value: Any, source: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ImportRefusedError(source, f"is nested deeper than {MAX_DEPTH} levels")


def _refuse_expansion(root: yaml.Node, source: str) -> None:
    """Count nodes as if every alias were written out, and find keys written twice."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:
            raise ImportRefusedError(source, "an alias contains itself")
        open_nodes.add(key)
        if isinstance(node, yaml.MappingNode):
            _refuse_twice(node, source)
            total = 1 + sum(size(name) + size(value) for name, value in node.value)
        else:
            total = 1 + sum(size(child) for child in node.value)
        open_nodes.discard(key)
        sizes[key] = total
        if total > MAX_NODES:
            raise ImportRefusedError(source, f"its aliases expand to more than {MAX_NODES} nodes")
        return total

    size(root)


def _refuse_twice(node: yaml.MappingNode, source: str) -> None:
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    if len(names) != len(set(names)):
        name, _ = Counter(names).most_common(1)[0]
        line = node.start_mark.line + 1
        raise ImportRefusedError(source, f"the key {name!r} stands twice in the object at line {line}")


def _refuse_unless_openapi(document: Any, source: str) -> None:
    version = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not re.match(r"3\.\d", str(version)):
        found = f"found openapi: {version!r}" if version else "found no `openapi` key"
        raise ImportRefusedError(source, f"not an OpenAPI 3.x document: {found}")
    paths = document.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise ImportRefusedError(source, "describes no paths")
    for path, item in paths.items():
        if not isinstance(item, dict):
            raise ImportRefusedError(source, f"the path {path} is not an object")
    if not any(True for _ in operations_of(document)):
        raise ImportRefusedError(source, "describes no operations")
    if not isinstance(document.get("info"), dict):
        raise ImportRefusedError(source, "has no info object")


def references(node: Any) -> Iterator[str]:
    """Yield every ``$ref`` of a document, examples and other data left out."""
    stack = [(node, "")]
    while stack:
        value, key = stack.pop()
        if isinstance(value, dict):
            ref = value.get("$ref")
            if isinstance(ref, str):
                yield ref
            for name, child in value.items():
                # a property *called* example is a schema; the keyword's value is data
                if name not in ("example", "examples", "default", "enum", "const", "value") or key in (
                    "properties",
                    "schemas",
                ):
                    stack.append((child, name))
        elif isinstance(value, list):
            stack.extend((child, "") for child in value)


def _refuse_dangling(document: Mapping[str, Any], source: str) -> None:
    for ref in references(document):
        if not ref.startswith("#"):
            raise ImportRefusedError(
                source,
                f"refers to another document: {ref[:200]}",
                hint="bundle it first, for example with redocly bundle",
            )
        try:
            resolve(document, ref)
        except KeyError:
            raise ImportRefusedError(source, f"refers to nothing: {ref[:200]}") from None


def resolve(document: Any, ref: str) -> Any:
    """Follow a local ``#/a/b`` reference; KeyError when nothing is there."""
    node = document
    for part in unquote(ref).removeprefix("#").lstrip("/").split("/") if ref != "#" else ():
        token = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and token in node:
            node = node[token]
        elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
            node = node[int(token)]
        else:
            raise KeyError(ref)
    return node


def _refuse_duplicate_ids(document: Mapping[str, Any], source: str) -> None:
    ids = Counter(op["operationId"] for _, _, _, op in operations_of(document) if "operationId" in op)
    for name, count in ids.items():
        if count > 1:
            raise ImportRefusedError(source, f"the operationId {name!r} stands on {count} operations")
