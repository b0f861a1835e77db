"""The control plane of the reference gateway; importing it registers every behaviour."""

from __future__ import annotations

from conformance.reference.admin import (
    analytics,
    audit,
    configs,
    exports,
    feedback,
    folders,
    guardrails,
    integrations,
    keys,
    labels,
    mcp,
    mcp_servers,
    partials,
    people,
    policies,
    prompts,
    providers,
    references,
)
from conformance.reference.admin.exports import DOWNLOADS, exported
from conformance.reference.admin.seed import seed_admin
from conformance.reference.admin.table import FAULTS
from conformance.reference.admin.traffic import key_id, record_traffic

__all__ = [
    "DOWNLOADS",
    "FAULTS",
    "analytics",
    "audit",
    "configs",
    "exported",
    "exports",
    "feedback",
    "folders",
    "guardrails",
    "integrations",
    "key_id",
    "keys",
    "labels",
    "mcp",
    "mcp_servers",
    "partials",
    "people",
    "policies",
    "prompts",
    "providers",
    "record_traffic",
    "references",
    "seed_admin",
]
