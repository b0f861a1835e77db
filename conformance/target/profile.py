"""What the user says about the deployment under test, as one frozen value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from conformance.errors import TargetFileError
from conformance.model import Credential, Plane
from conformance.target.credentials import Credentials, Secret

# What models are for. The last two only show how runs end that do not end well.
ROLES = (
    "chat",
    "completion",
    "embedding",
    "image",
    "speech",
    "transcription",
    "moderation",
    "failing",
    "expiring",
)
CAPABILITIES = ("streaming", "realtime", "uploads", "function-tools", "fast-jobs")
ALLOWANCES = ("cost", "destructive", "side-effects", "undocumented-methods")
# Flags of an operation, as the resource graph writes them, and the allowance each of them needs.
NEEDS = {"cost": "cost", "destructive": "destructive", "side-effect": "side-effects"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``read`` is the longest silence, ``total`` one whole exchange, ``stream`` an event stream."""

    connect: float = 5.0
    read: float = 60.0
    total: float = 120.0
    stream: float = 180.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files; ``verify = false`` accepts any certificate."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Pace:
    """``per_second`` 0 means as fast as the concurrency allows. ``max_wait`` (seconds) bounds what one
    ``Retry-After`` may ask for, ``max_total_wait`` what all of them together may."""

    per_second: float = 0.0
    max_wait: float = 60.0
    max_total_wait: float = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The ceilings of the user; None is no ceiling. Cleanup is never held back by them."""

    requests: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def share(self, workers: int) -> Limits:
        """The part of one of ``workers``; time passes for all of them alike."""
        return Limits(
            None if self.requests is None else math.ceil(self.requests / workers),
            None if self.tokens is None else math.ceil(self.tokens / workers),
            self.seconds,
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which groups and operations are in and out; nothing named in means all are in."""

    include_groups: frozenset[str] = frozenset()
    include_operations: frozenset[str] = frozenset()
    exclude_groups: frozenset[str] = frozenset()
    exclude_operations: frozenset[str] = frozenset()

    def takes(self, group: str, operation: str) -> bool:
        if group in self.exclude_groups or operation in self.exclude_operations:
            return False
        if not (self.include_groups or self.include_operations):
            return True
        return group in self.include_groups or operation in self.include_operations


@dataclass(frozen=True)
class Target:
    """One deployment under test. ``base_urls`` have no trailing slash and one entry per plane."""

    name: str
    base_urls: Mapping[Plane, str]
    credentials: Credentials = field(default_factory=Credentials)
    headers: Mapping[str, Secret] = field(default_factory=dict)
    secret_headers: frozenset[str] = frozenset()  # those of ``headers`` whose values are secret
    models: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    given_lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)  # several of a kind
    secret_given: frozenset[str] = frozenset()
    profile: str = "all"
    capabilities: frozenset[str] = frozenset()
    selection: Selection = field(default_factory=Selection)
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_body_bytes: int = 8 * 1024 * 1024
    tls: Tls = field(default_factory=Tls)
    proxy: Secret | None = None
    pace: Pace = field(default_factory=Pace)
    concurrency: int = 8
    budget: Limits = field(default_factory=Limits)
    allow: frozenset[str] = frozenset()
    embedded: bool = False
    source: str = ""  # the file it was read from, for messages

    def __post_init__(self) -> None:
        missing = [plane.value for plane in Plane if plane not in self.base_urls]
        if missing:
            raise ValueError(f"no base URL for {', '.join(missing)}")

    @staticmethod
    def from_announcement(announcement: Mapping[str, Any]) -> Target:
        """The target that the embedded reference gateway announces; see ``loading.announced``."""
        from conformance.target.loading import announced

        return announced(announcement)

    def base_url(self, plane: Plane) -> str:
        return self.base_urls[plane]

    @property
    def origins(self) -> frozenset[tuple[str, str, int]]:
        """(scheme, host, port) of every base URL: nothing is ever sent elsewhere."""
        return frozenset(origin(url) for url in self.base_urls.values())

    def has(self, credential: Credential) -> bool:
        return credential in self.credentials

    def takes(self, group: str, operation: str) -> bool:
        """Whether include and exclude let the operation in."""
        return self.embedded or self.selection.takes(group, operation)

    def lacking(self, needs: Iterable[str]) -> tuple[str, ...]:
        """Those of the needed allowances (words of ``allow``) that the user did not give."""
        return () if self.embedded else tuple(sorted(set(needs) - self.allow))

    def needs_of(self, flags: Iterable[str]) -> frozenset[str]:
        """The allowances that an operation with these flags of the resource graph needs."""
        return frozenset(NEEDS[flag] for flag in flags if flag in NEEDS)

    def offers(self, capability: str) -> bool:
        """A capability that was declared, or a model role that was given a model."""
        return capability in self.capabilities or capability in self.models

    def named_secrets(self) -> tuple[tuple[str, str], ...]:
        """(name, value) of everything secret, the owner's first; equal values under their first name."""
        found: dict[str, str] = {}
        for name, value in self.credentials.named_secrets():
            found.setdefault(value, name)
        for header in sorted(self.secret_headers):
            found.setdefault(self.headers[header].reveal(), f"header:{header}")
        for name in sorted(self.secret_given):
            found.setdefault(self.given[name], f"given:{name}")
        password = urlsplit(self.proxy.reveal()).password if self.proxy else None
        if password:
            found.setdefault(password, "proxy")
        return tuple((name, value) for value, name in found.items() if value)

    def secrets(self) -> tuple[str, ...]:
        """Every credential value."""
        return tuple(value for _, value in self.named_secrets())

    def describe(self) -> dict[str, Any]:
        """JSON-able, for reports; holds no secret and no proxy password."""
        proxy = urlsplit(self.proxy.reveal()) if self.proxy else None
        return {
            "name": self.name,
            "embedded": self.embedded,
            "base_urls": {plane.value: url for plane, url in self.base_urls.items()},
            "headers": sorted(self.headers),
            "credentials": {
                credential.value: sorted(headers) for credential, headers in self.credentials.headers.items()
            },
            "models": dict(self.models),
            "given": {
                name: "hidden" if name in self.secret_given else text for name, text in self.given.items()
            },
            "profile": self.profile,
            "capabilities": sorted(self.capabilities),
            "allow": sorted(ALLOWANCES if self.embedded else self.allow),
            "include": {
                "groups": sorted(self.selection.include_groups),
                "operations": sorted(self.selection.include_operations),
            },
            "exclude": {
                "groups": sorted(self.selection.exclude_groups),
                "operations": sorted(self.selection.exclude_operations),
            },
            "timeouts": {
                "connect": self.timeouts.connect,
                "read": self.timeouts.read,
                "total": self.timeouts.total,
                "stream": self.timeouts.stream,
            },
            "max_body_bytes": self.max_body_bytes,
            "tls": {
                "verify": self.tls.verify,
                "own_ca": bool(self.tls.ca),
                "client_cert": bool(self.tls.cert),
            },
            "proxy": f"{proxy.scheme}://{proxy.hostname}:{proxy.port or ''}".rstrip(":") if proxy else None,
            "rate": {
                "per_second": self.pace.per_second,
                "max_wait": self.pace.max_wait,
                "max_total_wait": self.pace.max_total_wait,
            },
            "concurrency": self.concurrency,
            "budget": {
                "requests": self.budget.requests,
                "tokens": self.budget.tokens,
                "seconds": self.budget.seconds,
            },
        }


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute URL, the port filled in."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def slug(name: str) -> str:
    """How a group is written where spaces are awkward: "Workspaces > Members" is workspaces-members."""
    return "-".join("".join(char if char.isalnum() else " " for char in name.lower()).split())


def resolve_names(names: Iterable[str], known: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """(what was written → the known name, what stands for nothing); case and slugs do not matter."""
    known = tuple(known)
    exact = set(known)
    slugs: dict[str, str] = {slug(name): name for name in known}
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        match = name if name in exact else slugs.get(slug(name))
        if match is None:
            unknown.append(name)
        else:
            found[name] = match
    return found, unknown


def with_known_names(
    target: Target, *, groups: Iterable[str], operations: Iterable[str], profiles: Iterable[str]
) -> Target:
    """The target with its groups and operations spelled as the contract spells them.

    Raises TargetFileError for the first name that the contract does not know.
    """
    from dataclasses import replace

    groups, operations, profiles = tuple(groups), tuple(operations), tuple(profiles)
    if target.profile not in profiles:
        raise unknown_name(target.source or target.name, "profile", target.profile, profiles)
    spelled: dict[str, frozenset[str]] = {}
    for key in ("include", "exclude"):
        for kind, known in (("groups", groups), ("operations", operations)):
            written: frozenset[str] = getattr(target.selection, f"{key}_{kind}")
            found, unknown = resolve_names(sorted(written), known)
            if unknown:
                raise unknown_name(target.source or target.name, f"{key}.{kind}", unknown[0], known)
            spelled[f"{key}_{kind}"] = frozenset(found.values())
    return replace(target, selection=Selection(**spelled))


def unknown_name(source: str, key: str, value: str, known: Iterable[str]) -> TargetFileError:
    """The error for a value that is none of the known ones, with the nearest of them."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(value, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else f"allowed: {', '.join(names[:12])}"
    return TargetFileError(source, key, f"{value!r} is not known", hint=hint)
