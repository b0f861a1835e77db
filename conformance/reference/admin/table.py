"""The table engine: what every administrated resource has in common.

A ``Table`` is one collection of a tenant: found by id (or slug), added, changed, removed, listed in
pages. Names starting with ``_`` are private to the gateway and never leave it.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from conformance.reference.core import Call, Record, Refusal, Tenant, iso, new_uuid, not_found
from conformance.reference.faults import declare

FAULTS = {
    "update-forgotten": "an update is acknowledged and not stored",
    "update-resets-others": "an update empties the texts it does not mention",
    "delete-keeps-resource": "a delete is acknowledged and the resource stays",
    "list-omits-created": "a list leaves out the newest resource",
    "stale-list": "a list shows resources as they were created, whatever was updated since",
    "wrong-total": "a list's total counts one more than there are",
    "cross-tenant-read": "a resource of another organisation can be read by its id",
    "secret-shown-again": "a secret given at creation is shown in clear by later reads",
}
for _name, _description in FAULTS.items():
    declare(_name, _description)

MASK = "********"
_NAMESPACE = uuid.UUID("6f2b1c1e-5c0f-4f0e-9d5b-0c6f3a1f7b52")
_EMAIL = re.compile(
    r"[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+"
)


def derived_uuid(*parts: str) -> str:
    """The same UUID for the same words, so that seeded things keep their ids."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def organisation(tenant: Tenant) -> str:
    """The organisation's UUID: the tenant's own id when it is one."""
    try:
        return str(uuid.UUID(tenant.id))
    except ValueError:
        return derived_uuid(tenant.id, "organisation")


def owner_id(tenant: Tenant) -> str:
    """The user who owns the organisation and in whose name its keys act."""
    return derived_uuid(tenant.id, "owner")


def own_organisation(call: Call, given: Any) -> str:
    """The organisation a request names, or the caller's; another one is refused."""
    own = organisation(call.tenant)
    if given is not None and str(given).lower() != own:
        raise Refusal(403, "The key does not belong to that organisation.", param="organisation_id")
    return own


def pick(body: Mapping[str, Any] | None, *names: str) -> Record:
    """The named fields that were sent, copied."""
    return {name: deepcopy(body[name]) for name in names if name in body} if body else {}


def public(record: Mapping[str, Any], *without: str) -> Record:
    """A copy of what may leave the gateway."""
    return {k: deepcopy(v) for k, v in record.items() if not k.startswith("_") and k not in without}


def slugify(name: str, prefix: str = "", *, limit: int = 40) -> str:
    """A slug with a random end, made of ``[a-z0-9_-]``."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:limit].strip("-")
    return "-".join(part for part in (prefix, words, secrets.token_hex(4)) if part)


def is_email(text: str) -> bool:
    """Whether the text is an address in the plain form every validator accepts."""
    local, _, domain = text.rpartition("@")
    return len(local) <= 64 and len(domain) <= 253 and _EMAIL.fullmatch(text) is not None


def moment(text: Any, param: str) -> float:
    """RFC 3339 text → Unix seconds; anything else is an honest 400."""
    try:
        at = datetime.fromisoformat(str(text).upper().replace("Z", "+00:00"))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(400, f"'{param}' is not a date-time.", param=param, code="invalid_value") from None


def window(records: list[Any], query: Mapping[str, Any], size: int | None = 100) -> list[Any]:
    """The page that ``current_page``/``page_size`` ask for (pages count from 0)."""
    wanted = query.get("page_size", query.get("pageSize"))
    asked = int(wanted) if wanted is not None else size
    if asked is None:
        return records
    start = int(query.get("current_page", query.get("currentPage", 0)) or 0) * asked
    return records[start : start + asked]


def total_of(call: Call, records: list[Any]) -> int:
    """How many there are over all pages."""
    return len(records) + (1 if call.fault("wrong-total") else 0)


def matches(record: Mapping[str, Any], search: Any, *fields: str) -> bool:
    """Whether a search text occurs in one of the fields, whatever its case."""
    if search is None:
        return True
    needle = str(search).lower()
    return any(needle in str(record.get(name) or "").lower() for name in fields)


@dataclass(frozen=True)
class Table:
    """One collection. ``missing`` is the status for unknown ids (guardrails answer 403)."""

    collection: str
    what: str
    slugs: bool = True
    missing: int = 404

    def rows(self, tenant: Tenant) -> dict[str, Record]:
        return tenant.of(self.collection)

    def peek(self, tenant: Tenant, identifier: str) -> Record | None:
        """The record by id or slug, or None."""
        rows = self.rows(tenant)
        found = rows.get(identifier) or rows.get(identifier.lower())
        if found is None and self.slugs:
            found = next((row for row in rows.values() if row.get("slug") == identifier), None)
        return found

    def find(self, call: Call, identifier: Any) -> Record:
        """The record by id or slug, or the refusal this resource gives for unknown ids."""
        found = self.peek(call.tenant, str(identifier))
        if found is None and call.fault("cross-tenant-read"):
            others = (self.peek(tenant, str(identifier)) for tenant in call.gateway.tenants.values())
            found = next((row for row in others if row is not None), None)
        if found is None:
            raise self.unknown(str(identifier))
        return found

    def unknown(self, identifier: str) -> Refusal:
        if self.missing == 404:
            return not_found(self.what, identifier)
        return Refusal(self.missing, f"No access to {self.what} '{identifier}'.", code="forbidden")

    def refuse_taken(self, tenant: Tenant, slug: Any, *, status: int = 409) -> None:
        """Refuse a slug that is in use in the organisation."""
        if slug is not None and any(row.get("slug") == slug for row in self.rows(tenant).values()):
            raise Refusal(
                status, f"The slug of this {self.what} is already in use.", param="slug", code="conflict"
            )

    def add(self, call: Call, fields: Record) -> Record:
        """Store a new record; id and times are added when absent."""
        now = iso()
        record: Record = {"id": new_uuid(), **fields}
        record.setdefault("created_at", now)
        record.setdefault("last_updated_at", record["created_at"])
        record["_born"] = public(record)
        self.rows(call.tenant)[record["id"]] = record
        return record

    def change(self, call: Call, record: Record, changes: Record) -> None:
        """Store the sent changes and nothing else."""
        if call.fault("update-forgotten"):
            return
        if call.fault("update-resets-others"):
            for name in ("description", "note", "name"):
                if name not in changes and isinstance(record.get(name), str):
                    record[name] = ""
        record.update(changes)
        record["last_updated_at"] = max(iso(), str(record["last_updated_at"]))

    def remove(self, call: Call, record: Record) -> None:
        if not call.fault("delete-keeps-resource"):
            self.rows(call.tenant).pop(record["id"], None)

    def listed(self, call: Call, keep: Callable[[Record], bool] = lambda row: True) -> list[Record]:
        """The records a list starts from, oldest first."""
        rows = [row for row in self.rows(call.tenant).values() if keep(row)]
        if call.fault("list-omits-created"):
            rows = rows[:-1]
        if call.fault("stale-list"):
            rows = [{**row, **row.get("_born", {})} for row in rows]
        return rows


def drop_children(tenant: Tenant, field: str, value: str, collections: Iterable[str]) -> None:
    """Remove what belonged to a removed parent."""
    for name in collections:
        rows = tenant.of(name)
        for key in [key for key, row in rows.items() if row.get(field) == value]:
            del rows[key]
