"""The words of a resource graph: resources, usages, symbols. Values only, nothing is read here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.errors import UnknownNameError

MODEL_ROLES = frozenset({"chat", "embedding", "image", "speech", "transcription", "moderation"})
FILE_KINDS = frozenset({"wav", "png", "jsonl-batch", "jsonl-finetune", "txt"})
SYMBOLS = frozenset({"$bind", "$model", "$given", "$unique", "$time", "$epoch", "$file", "$unknown"})
ROLES = frozenset(
    {"create", "read", "list", "update", "delete", "action", "inference", "query", "download"}
    | {"bulk-update", "bulk-delete"}
)
FLAGS = frozenset(
    {"cost", "streaming", "websocket", "upload", "destructive", "side-effect", "async", "smoke-safe"}
    | {"serial", "once", "tenant-wide"}
)
CAPABILITIES = frozenset({"realtime", "uploads", "function-tools", "streaming"})


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A request with symbols in place of what only the moment of sending knows.

    ``body`` is a JSON value, for multipart a list of parts ``{"name", "value" | "file"}``.
    """

    query: tuple[tuple[str, Any], ...] = ()
    headers: tuple[tuple[str, Any], ...] = ()
    body: Any = None
    media_type: str | None = None
    has_body: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Poll ``operation`` until ``field`` (dotted) has one of ``until``; a value in ``dead`` never will.

    ``path`` holds the path parameters of ``operation``, the waiting resource among them.
    """

    operation: str
    field: str
    until: tuple[str, ...]
    within_s: float
    dead: tuple[str, ...] = ()
    path: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Find:
    """Take an id from a list: ``items`` is the dotted pointer to the array ("" = the whole answer).

    The entry wanted is the one whose ``match`` equals what ``Resource.id`` showed in the create
    answer; without ``match`` it is the first. ``id`` is where the entry shows the id.
    """

    operation: str
    items: str
    id: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing on the target: how it comes to be, how its id is learnt, how it goes again.

    ``id`` is a dotted pointer into the create answer; where that shows none, ``id_from`` is a
    symbol that stands for the id. ``after`` names what must exist before although no field of the
    request says so. ``variant_of`` names the resource whose operations also serve this one.
    ``stop`` ends what still works or costs, before removal or instead of it. ``delete_path`` and
    ``stop_path`` are the path parameters of those operations for this very resource.
    ``request`` is what differs from the canonical request of ``create``: its body replaces that body,
    its query and headers are added. ``prefix`` is how its ids begin (``uuid`` for UUIDs).
    """

    name: str
    create: str | None = None
    id: str = ""
    id_from: Mapping[str, Any] | None = None
    delete: str | None = None
    wait: Wait | None = None
    request: RequestTemplate | None = None
    find: Find | None = None
    residue: str = ""
    goes_with: str | None = None
    serial: bool = False
    after: tuple[str, ...] = ()
    variant_of: str | None = None
    stop: str | None = None
    prefix: str = ""
    needs: str = ""
    delete_path: Mapping[str, Any] = field(default_factory=dict)
    stop_path: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_id(self) -> bool:
        return bool(self.id or self.id_from or self.find)


@dataclass(frozen=True, slots=True)
class Usage:
    """How one operation takes part: its resource and role, its ids, its narrowest honest request.

    ``bind`` says which places of a *generated* request are rebound: pairs of a location such as
    ``body:tools[].file_ids[]`` or ``query:after`` and a symbol or literal. ``unknown`` lists the
    path parameters that can carry an id which stands for nothing, ``unknown_values`` the symbol
    for each. ``needs`` is a capability that a target must declare; ``after`` as in Resource.
    """

    operation: str
    resource: str = ""
    role: str = ""
    path: Mapping[str, Any] = field(default_factory=dict)
    bind: tuple[tuple[str, Any], ...] = ()
    canonical: RequestTemplate = RequestTemplate()
    flags: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    unknown_values: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """All resources, parents first, and the usage of each operation."""

    resources: Mapping[str, Resource]
    usages: Mapping[str, Usage]
    parents: Mapping[str, tuple[str, ...]]

    def resource(self, name: str) -> Resource:
        """The resource of this name; UnknownNameError otherwise."""
        try:
            return self.resources[name]
        except KeyError:
            raise UnknownNameError("resource", name, self.resources) from None

    def usage(self, operation: str) -> Usage:
        """How an operation takes part; an empty usage for one without an entry."""
        return self.usages.get(operation) or Usage(operation)

    def closure(self, names: Iterable[str]) -> tuple[Resource, ...]:
        """These resources and all they need, parents first."""
        wanted: set[str] = set()
        pending = list(names)
        while pending:
            if (name := self.resource(pending.pop()).name) not in wanted:
                wanted.add(name)
                pending.extend(self.parents[name])
        return tuple(one for name, one in self.resources.items() if name in wanted)

    def chain(self, operation: str) -> tuple[Resource, ...]:
        """What the canonical request of an operation needs, transitively, parents first."""
        usage = self.usage(operation)
        return self.closure((*bound(usage.path), *bound_in(usage.canonical), *usage.after))

    def needs(self, operation: str) -> frozenset[str]:
        """The capabilities a target must declare for a canonical request, preparation included."""
        usage, chain = self.usage(operation), self.chain(operation)
        makers = (self.usage(resource.create or "") for resource in chain)
        return frozenset({usage.needs, *(r.needs for r in chain), *(m.needs for m in makers)} - {""})

    def model_roles(self, operation: str) -> frozenset[str]:
        """The model roles for which a target must name a model, preparation included."""
        usage = self.usage(operation)
        roles = {*roles_in(usage.canonical), *roles_in(usage.path)}
        for resource in self.chain(operation):
            roles |= {*roles_in(resource.request or self.usage(resource.create or "").canonical)}
        return frozenset(roles)

    def created_by(self, operation: str) -> Resource | None:
        """What a successful answer to a create operation has put on the target."""
        if self.usage(operation).role != "create":
            return None
        made = [one for one in self.resources.values() if one.create == operation]
        return next((one for one in made if one.variant_of is None), made[0] if made else None)


def symbols(value: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Every symbol inside a value: its name, its argument, and the whole object."""
    if isinstance(value, Mapping):
        name = next((key for key in value if str(key).startswith("$")), None)
        if name is not None:
            yield name, value[name], value
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from symbols(inner)


def bound(value: Any) -> Iterator[str]:
    """The resources that a value binds, repeats included."""
    return (argument for name, argument, _ in symbols(value) if name == "$bind")


def bound_in(template: RequestTemplate | None) -> Iterator[str]:
    """The resources that a request template binds, repeats included."""
    return bound([template.query, template.headers, template.body] if template else [])


def roles_in(value: Any) -> Iterator[str]:
    """The model roles that a value, or a request template, names."""
    if isinstance(value, RequestTemplate):
        value = [value.query, value.headers, value.body]
    return (argument for name, argument, _ in symbols(value) if name == "$model")


def unique_name(pattern: str, mark: str) -> str:
    """The text of ``{"$unique": pattern}``: ``mark`` in place of its ``*``, else after the pattern.

    ``mark`` must be lower-case letters, digits and hyphens and at most 32 long: names are slugs too.
    """
    return pattern.replace("*", mark) if "*" in pattern else f"{pattern}-{mark}"
