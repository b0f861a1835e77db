"""What exists before the first request: tenants, keys, models, and resources no operation produces."""

from __future__ import annotations

import importlib
import random
import secrets
from dataclasses import dataclass, field
from typing import Any

from .core import ApiKey, Gateway, Record, Tenant, new_uuid

CAPABILITIES = ("streaming", "realtime", "uploads", "function-tools", "fast-jobs")
MODELS = {
    "chat": "reference-chat",
    "completion": "reference-instruct",
    "embedding": "reference-embedding",
    "image": "reference-image",
    "speech": "reference-speech",
    "transcription": "reference-transcription",
    "moderation": "reference-moderation",
    "realtime": "reference-realtime",
    "failing": "reference-failing",
    "expiring": "reference-expiring",
}


@dataclass
class Seeded:
    """What a target file needs to know of a freshly seeded gateway."""

    credentials: dict[str, dict[str, str]]
    models: dict[str, str]
    given: dict[str, Any] = field(default_factory=dict)

    def announced(self) -> Record:
        return {
            "credentials": self.credentials,
            "models": self.models,
            "given": self.given,
            "capabilities": list(CAPABILITIES),
        }


def seed(gateway: Gateway, number: int | None = None) -> Seeded:
    """Fill a fresh gateway. ``number`` fixes the keys; without it they are new at every launch."""
    source = random.Random(number) if number is not None else secrets.SystemRandom()  # noqa: S311

    def key() -> str:
        return "pk-ref-" + "".join(source.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(32))

    owner = Tenant(new_uuid(), "Reference Organisation")
    other = Tenant(new_uuid(), "Other Organisation")
    gateway.tenants = {owner.id: owner, other.id: other}
    keys = {
        "owner": ApiKey(key(), owner, "owner"),
        "other": ApiKey(key(), other, "other"),
        "narrow": ApiKey(key(), owner, "narrow", scopes=frozenset({"read"})),
        "revoked": ApiKey(key(), owner, "revoked", revoked=True),
    }
    gateway.keys = {one.value: one for one in keys.values()}
    seeded = Seeded(
        credentials={name: {"x-portkey-api-key": one.value} for name, one in keys.items()},
        models=dict(MODELS),
        given={"organisation": owner.id, "metadata_key": "environment"},
    )
    for name in ("models", "logs", "admin"):
        _extend(name, gateway, seeded)
    return seeded


def _extend(module: str, gateway: Gateway, seeded: Seeded) -> None:
    """Let a module of behaviours seed its own: ``seed_<module>(gateway)`` may return more givens."""
    try:
        found = importlib.import_module(f"{__package__}.{module}")
    except ModuleNotFoundError:
        return
    function = getattr(found, f"seed_{module}", None)
    more = function(gateway) if function else None
    if isinstance(more, dict):
        seeded.given.update(more)
