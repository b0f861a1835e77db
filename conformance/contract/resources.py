"""The resource graph of a contract: what makes the ids a request needs, and the narrowest honest requests.

Read from ``specs/<contract>/resources.yaml`` (docs/reference/resources.md describes the format) and
checked against the contract when loaded; a contract without that file gets a small inferred graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import yaml

from conformance.contract.graph import (
    CAPABILITIES,
    FILE_KINDS,
    FLAGS,
    MODEL_ROLES,
    ROLES,
    SYMBOLS,
    Find,
    Graph,
    RequestTemplate,
    Resource,
    Usage,
    Wait,
    bound,
    bound_in,
    symbols,
    unique_name,
)
from conformance.contract.inference import inferred_graph
from conformance.contract.loader import Contract
from conformance.contract.locate import find_specs
from conformance.errors import ContractError, UnknownNameError

__all__ = [
    "CAPABILITIES",
    "FILE_KINDS",
    "FLAGS",
    "MODEL_ROLES",
    "ROLES",
    "SYMBOLS",
    "Find",
    "Graph",
    "RequestTemplate",
    "Resource",
    "Usage",
    "Wait",
    "bound",
    "bound_in",
    "build_graph",
    "load_graph",
    "symbols",
    "unique_name",
]

_REQUEST_KEYS = {"query", "headers", "body", "media_type"}
_USAGE_KEYS = {"resource", "role", "flags", "needs", "path", "unknown", "after", "bind"} | _REQUEST_KEYS
_RESOURCE_KEYS = {
    "create",
    "id",
    "id_from",
    "delete",
    "wait",
    "request",
    "find",
    "residue",
    "goes_with",
    "serial",
} | {"after", "variant_of", "stop", "stop_path", "prefix", "needs"}
_WAIT_KEYS = {"operation", "field", "until", "within_s", "dead"}
_FIND_KEYS = {"operation", "list", "match", "id"}
_PARAMETER = re.compile(r"\{([^/{}]+)\}")


def load_graph(contract: Contract) -> Graph:
    """The resource graph of a contract.

    ContractError says what is wrong with resources.yaml and where: an unknown operation, resource,
    symbol, flag or key, a path parameter without a value, a cycle, a creation nothing can undo.
    """
    path = _locate(contract)
    if path is None:
        return build_graph(inferred_graph(contract), contract, source=f"{contract.name} (inferred)")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{contract.name}/{path.name}: {error}") from error
    return build_graph(raw, contract, source=f"{contract.name}/{path.name}")


def _locate(contract: Contract) -> Path | None:
    path = find_specs(contract.specs_dir) / contract.name / "resources.yaml"
    return path if path.is_file() else None


def build_graph(raw: Any, contract: Contract, *, source: str) -> Graph:
    """A graph from its parsed file; raises as load_graph does, naming ``source``."""
    return _Builder(contract, source).build(raw)


class _Builder:
    def __init__(self, contract: Contract, source: str) -> None:
        self.contract = contract
        self.source = source
        self.operations = {operation.id: operation for operation in contract.operations}

    def wrong(self, where: str, message: str, hint: str = "") -> ContractError:
        return ContractError(f"{self.source}: {where}: {message}", hint=hint)

    def build(self, raw: Any) -> Graph:
        top = self.mapping(raw, "the file", {"resources", "operations"})
        entries = self.mapping(top.get("resources") or {}, "resources")
        self.base = {
            name: entry.get("variant_of") or name
            for name, entry in entries.items()
            if isinstance(entry, Mapping)
        }
        usages = {
            name: self.usage(name, entry)
            for name, entry in self.mapping(top.get("operations") or {}, "operations").items()
        }
        resources = {name: self.resource(name, entry, usages) for name, entry in entries.items()}
        for usage in usages.values():
            self.check_usage(usage, resources)
        usages = {name: self.with_unknown(usage, resources) for name, usage in usages.items()}
        resources = {name: self.finished(one, resources, usages) for name, one in resources.items()}
        parents = {name: self.parents(one, usages) for name, one in resources.items()}
        try:
            order = tuple(TopologicalSorter(parents).static_order())
        except CycleError as error:
            loop = " → ".join(reversed(cast("list[str]", error.args[-1])))
            raise self.wrong("resources", f"a cycle: {loop}", "a resource cannot need itself") from None
        return Graph(
            resources=MappingProxyType({name: resources[name] for name in order}),
            usages=MappingProxyType(usages),
            parents=MappingProxyType(parents),
        )

    # reading

    def mapping(self, raw: Any, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
        if not isinstance(raw, Mapping):
            raise self.wrong(where, f"expected a mapping, got {type(raw).__name__}")
        if known is not None and (extra := set(map(str, raw)) - set(known)):
            raise self.wrong(where, f"unknown key {min(extra)}", f"known: {', '.join(sorted(known))}")
        return {str(key): value for key, value in raw.items()}

    def among(self, values: Any, known: frozenset[str], what: str, where: str) -> tuple[str, ...]:
        values = values if isinstance(values, list) else [values]
        for value in values:
            if not isinstance(value, str) or value not in known:
                raise self.wrong(where, f"unknown {what} {value!r}", f"known: {', '.join(sorted(known))}")
        return tuple(values)

    def capability(self, entry: Mapping[str, Any], where: str) -> str:
        value = self.text(entry, "needs", where)
        return self.among(value, CAPABILITIES, "capability", where)[0] if value else ""

    def operation(self, name: Any, where: str) -> str:
        if not isinstance(name, str) or name not in self.operations:
            error = UnknownNameError("operation", str(name), self.operations)
            raise self.wrong(where, error.message, error.hint)
        return name

    def text(self, entry: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
        if not isinstance(value := entry.get(key, default), str):
            raise self.wrong(where, f"{key}: expected a text, got {value!r}")
        return value

    def texts(self, entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = entry.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(where, f"{key}: expected a list of texts, got {value!r}")
        return tuple(value)

    def fixed_parameters(self, operation: str) -> Mapping[str, dict[str, Any]]:
        """What the contract leaves no choice about: required parameters that allow one value only."""
        fixed: dict[str, dict[str, Any]] = {"query": {}, "header": {}}
        for parameter in self.contract.definition(operation).get("parameters") or ():
            schema = parameter.get("schema") or {}
            allowed = [schema["const"]] if "const" in schema else list(schema.get("enum") or ())
            if parameter.get("required") and len(allowed) == 1 and parameter["in"] in fixed:
                fixed[parameter["in"]][parameter["name"]] = allowed[0]
        return fixed

    def template(self, raw: Mapping[str, Any], operation: str, where: str) -> RequestTemplate:
        query = self.mapping(raw.get("query") or {}, f"{where}: query")
        headers = self.mapping(raw.get("headers") or {}, f"{where}: headers")
        media = self.operations[operation].request_media
        return RequestTemplate(
            query=tuple(query.items()),
            headers=tuple(headers.items()),
            body=raw.get("body"),
            media_type=raw.get("media_type", media[0] if media else None) if "body" in raw else None,
            has_body="body" in raw,
        )

    def usage(self, name: str, raw: Any) -> Usage:
        where = f"operations.{name}"
        self.operation(name, "operations")
        entry = self.mapping(raw, where, _USAGE_KEYS)
        if "role" in entry:
            self.among(entry["role"], ROLES, "role", where)
        path = self.mapping(entry.get("path") or {}, f"{where}: path")
        wanted = set(_PARAMETER.findall(self.operations[name].path))
        if set(path) != wanted:
            odd = sorted(wanted ^ set(path))[0]
            raise self.wrong(
                where, f"path parameter {odd} {'has no value' if odd in wanted else 'does not exist'}"
            )
        raw_unknown = entry.get("unknown") or []
        if not isinstance(raw_unknown, Mapping):
            raw_unknown = dict.fromkeys(self.texts(entry, "unknown", where), "")
        unknown = {name: self.text(raw_unknown, name, f"{where}: unknown") for name in raw_unknown}
        for parameter in unknown:
            if parameter not in path:
                raise self.wrong(where, f"unknown: no path parameter {parameter}")
        fixed = self.fixed_parameters(name)
        written = {
            **entry,
            "query": {**fixed["query"], **self.mapping(entry.get("query") or {}, f"{where}: query")},
            "headers": {**fixed["header"], **self.mapping(entry.get("headers") or {}, f"{where}: headers")},
        }
        bind = self.mapping(entry.get("bind") or {}, f"{where}: bind")
        for location in bind:
            if not location.startswith(("query:", "body:", "header:")):
                raise self.wrong(where, f"bind: {location!r} is no location", "query:…, body:… or header:…")
        return Usage(
            operation=name,
            resource=self.text(entry, "resource", where),
            role=self.text(entry, "role", where),
            path=path,
            bind=tuple(bind.items()),
            canonical=self.template(written, name, where),
            flags=frozenset(self.among(entry.get("flags") or [], FLAGS, "flag", where)),
            unknown=tuple(unknown),
            unknown_values={key: {"$unknown": prefix} for key, prefix in unknown.items()},
            needs=self.capability(entry, where),
            after=self.texts(entry, "after", where),
        )

    def resource(self, name: str, raw: Any, usages: Mapping[str, Usage]) -> Resource:
        where = f"resources.{name}"
        entry = self.mapping(raw or {}, where, _RESOURCE_KEYS)
        for key in ("create", "delete", "stop"):
            if key in entry:
                self.operation(entry[key], f"{where}: {key}")
        wait = find = None
        if "wait" in entry:
            keys = self.mapping(entry["wait"], f"{where}: wait", _WAIT_KEYS)
            if not isinstance(within := keys.get("within_s", 60), int | float):
                raise self.wrong(where, f"wait: within_s: expected seconds, got {within!r}")
            wait = Wait(
                operation=self.operation(keys.get("operation"), f"{where}: wait"),
                field=self.text(keys, "field", f"{where}: wait", "status"),
                until=self.texts(keys, "until", f"{where}: wait"),
                within_s=float(within),
                dead=self.texts(keys, "dead", f"{where}: wait"),
            )
        if "find" in entry:
            keys = self.mapping(entry["find"], f"{where}: find", _FIND_KEYS)
            find = Find(
                operation=self.operation(keys.get("operation"), f"{where}: find"),
                items=self.text(keys, "list", f"{where}: find", "data"),
                id=self.text(keys, "id", f"{where}: find", "id"),
                match=self.text(keys, "match", f"{where}: find"),
            )
        request = None
        if "request" in entry:
            keys = self.mapping(entry["request"], f"{where}: request", _REQUEST_KEYS)
            if "create" not in entry:
                raise self.wrong(where, "a request, but no create operation to send it")
            request = self.template(keys, entry["create"], where)
        if "create" in entry and not {"delete", "goes_with", "residue"} & set(entry):
            raise self.wrong(where, "nothing removes it", "give delete, goes_with, or the reason in residue")
        return Resource(
            name=name,
            create=entry.get("create"),
            id=self.text(entry, "id", where),
            id_from=entry.get("id_from"),
            delete=entry.get("delete"),
            wait=wait,
            request=request,
            find=find,
            residue=self.text(entry, "residue", where),
            goes_with=self.text(entry, "goes_with", where) or None,
            serial=bool(entry.get("serial", False)),
            after=self.texts(entry, "after", where),
            variant_of=self.text(entry, "variant_of", where) or None,
            stop=entry.get("stop"),
            prefix=self.text(entry, "prefix", where),
            needs=self.capability(entry, where),
            stop_path=self.mapping(entry.get("stop_path") or {}, f"{where}: stop_path"),
        )

    # checking and joining

    def known(self, name: Any, resources: Mapping[str, Resource], where: str) -> Resource:
        if not isinstance(name, str) or name not in resources:
            error = UnknownNameError("resource", str(name), resources)
            raise self.wrong(where, error.message, error.hint)
        return resources[name]

    def check_symbols(self, value: Any, resources: Mapping[str, Resource], where: str) -> None:
        for name, argument, whole in symbols(value):
            if name not in SYMBOLS:
                raise self.wrong(where, f"unknown symbol {name}", f"known: {', '.join(sorted(SYMBOLS))}")
            if set(whole) - {name, "at"} or ("at" in whole and name != "$bind"):
                raise self.wrong(where, f"{name} with {sorted(set(whole) - {name})}", 'only $bind takes "at"')
            if "at" in whole and not isinstance(whole["at"], str):
                raise self.wrong(where, f"at: expected a dotted pointer, got {whole['at']!r}")
            if name == "$bind" and not self.known(argument, resources, where).has_id:
                raise self.wrong(where, f"resource {argument} has no id to bind")
            if name == "$model":
                self.among(argument, MODEL_ROLES, "model role", where)
            elif name == "$file":
                self.among(argument, FILE_KINDS, "file", where)
            elif name in ("$time", "$epoch") and not isinstance(argument, int | float):
                raise self.wrong(where, f"{name} takes seconds, not {argument!r}")
            elif name in ("$given", "$unique", "$unknown") and not isinstance(argument, str):
                raise self.wrong(where, f"{name} takes a text, not {argument!r}")

    def check_usage(self, usage: Usage, resources: Mapping[str, Resource]) -> None:
        where = f"operations.{usage.operation}"
        if usage.resource:
            self.known(usage.resource, resources, where)
        for name in usage.after:
            self.known(name, resources, f"{where}: after")
        self.check_symbols(
            [usage.path, usage.canonical.query, usage.canonical.headers, usage.canonical.body, usage.bind],
            resources,
            where,
        )

    def with_unknown(self, usage: Usage, resources: Mapping[str, Resource]) -> Usage:
        """Where ``unknown`` gives no prefix, that of the resource bound there."""
        values: dict[str, Any] = {}
        for parameter, value in usage.unknown_values.items():
            owner = resources.get(next(bound(usage.path[parameter]), ""))
            base = resources.get(owner.variant_of or "") if owner else None
            prefix = value["$unknown"] or (owner.prefix if owner else "") or (base.prefix if base else "")
            if not prefix:
                raise self.wrong(
                    f"operations.{usage.operation}",
                    f"unknown: no prefix for {parameter}",
                    "{parameter: prefix}",
                )
            values[parameter] = {"$unknown": prefix}
        return replace(usage, unknown_values=MappingProxyType(values))

    def finished(
        self, one: Resource, resources: Mapping[str, Resource], usages: Mapping[str, Usage]
    ) -> Resource:
        """The resource checked, with the paths of its own operations worked out."""
        where = f"resources.{one.name}"
        for name in (*one.after, *filter(None, (one.variant_of, one.goes_with))):
            self.known(name, resources, where)
        template = one.request or RequestTemplate()
        self.check_symbols(
            [one.id_from, one.stop_path, template.query, template.headers, template.body], resources, where
        )
        for key, operation in (("delete", one.delete), ("wait", one.wait and one.wait.operation)):
            if operation and one.name not in bound(self.own_path(one, operation, usages)):
                raise self.wrong(
                    where,
                    f"{key}: no path parameter of {operation} is this resource",
                    "bind it in that operation's path, or say variant_of",
                )
        return replace(
            one,
            wait=one.wait and replace(one.wait, path=self.own_path(one, one.wait.operation, usages)),
            delete_path=self.own_path(one, one.delete, usages),
            stop_path=one.stop_path or self.own_path(one, one.stop, usages),
        )

    def own_path(
        self, one: Resource, operation: str | None, usages: Mapping[str, Usage]
    ) -> Mapping[str, Any]:
        """The path parameters of an operation on this resource: its base, or a sibling, gives way to it."""
        usage = usages.get(operation or "")
        if usage is None:
            return MappingProxyType({})
        base = one.variant_of or one.name
        family = {one.name, *(name for name in bound(usage.path) if self.base.get(name) == base)}
        return MappingProxyType(
            {
                key: {"$bind": one.name} if set(bound(value)) & family and "at" not in value else value
                for key, value in usage.path.items()
            }
        )

    def parents(self, one: Resource, usages: Mapping[str, Usage]) -> tuple[str, ...]:
        names = [*one.after, *bound(one.id_from)]
        if one.create:
            usage = usages.get(one.create, Usage(one.create))
            names += [*bound(usage.path), *bound_in(one.request or usage.canonical), *usage.after]
        if one.find:
            usage = usages.get(one.find.operation, Usage(one.find.operation))
            names += [*bound(usage.path), *bound_in(usage.canonical), *usage.after]
        for path in (one.wait.path if one.wait else {}, one.delete_path):
            names += [name for name in bound(path) if name != one.name]
        return tuple(dict.fromkeys(names))
