"""The models a tenant may call: the gateway's own, and those it has fine-tuned."""

from __future__ import annotations

from typing import Any

from .core import Call, Gateway, Record, Refusal, Tenant, handles, not_found
from .seed import MODELS

BORN = 1_700_000_000  # the gateway's own models
BASE = ("gpt-4o", "gpt-4o-mini", "dall-e-2", "dall-e-3", "whisper-1", "tts-1")
DISPOSABLE = 8  # models that a client may delete, seeded


def _model(name: str, created: int, owner: str) -> Record:
    slug = name.rpartition("/")[2]
    return {
        "id": name,
        "slug": slug,
        "canonical_slug": slug,
        "object": "model",
        "created": created,
        "owned_by": owner,
    }


def known_models(tenant: Tenant) -> list[Record]:
    """Base models and the tenant's own."""
    base = (*MODELS.values(), *BASE)
    return [*(_model(name, BORN, "reference") for name in base), *tenant.of("models").values()]


def own_model(tenant: Tenant, name: str, created: int) -> Record:
    """Add a model that belongs to the tenant, so that it can be called and deleted."""
    record = _model(name, created, tenant.id)
    tenant.of("models")[name] = record
    return record


def seed_models(gateway: Gateway) -> Record:
    """Models to delete, for the first tenant."""
    tenant = next(iter(gateway.tenants.values()))
    names = [f"ft:{MODELS['chat']}:reference:disposable-{number}" for number in range(DISPOSABLE)]
    for name in names:
        own_model(tenant, name, gateway.now())
    return {"disposable_model": names[0], "disposable_models": names}


@handles("listModels")
def list_models(call: Call) -> Record:
    query = call.query
    found = known_models(call.tenant)
    wanted = query.get("provider") or query.get("ai_service")
    if wanted:
        found = [one for one in found if one["owned_by"] == wanted]
    key = "id" if query.get("sort", "name") == "name" else "owned_by"
    found.sort(key=lambda one: str(one[key]), reverse=query.get("order") == "desc")
    start = query.get("offset", 0)
    page = found[start : start + query["limit"]] if "limit" in query else found[start:]
    return {"object": "list", "total": len(found), "data": page}


def _find(call: Call) -> Record:
    name = call.path["model"]
    for one in known_models(call.tenant):
        if one["id"] == name:
            return one
    raise not_found("model", name)


@handles("retrieveModel")
def retrieve_model(call: Call) -> Any:
    return _find(call)


@handles("deleteModel")
def delete_model(call: Call) -> Record:
    model = _find(call)
    own = call.tenant.of("models")
    if model["id"] not in own:
        raise Refusal(403, "Only models you have fine-tuned can be deleted.", param="model")
    del own[model["id"]]
    return {"id": model["id"], "object": "model", "deleted": True}
