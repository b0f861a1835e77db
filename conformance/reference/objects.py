"""What the objects of the assistants world have in common: metadata, lists, deletion, what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from conformance.reference.core import Call, Record, Refusal, cursor_page
from conformance.reference.deviations.pagination import distorted
from conformance.reference.faults import declare

METADATA_PAIRS = 16
METADATA_KEY_LENGTH = 64
METADATA_VALUE_LENGTH = 512


def declared(faults: dict[str, str]) -> dict[str, str]:
    """The faults a module can show, name → description, made known to the gateway."""
    for name, description in faults.items():
        declare(name, description)
    return faults


FAULTS = declared(
    {
        "forgotten-cursor": "lists answer the first page whatever `after` says",
        "half-applied-update": "updates answer 200 but leave the metadata as it was",
        "metadata-without-limits": "metadata of runs and of updates may have keys of any length",
    }
)


def public(record: Mapping[str, Any]) -> Record:
    """The record as a client may see it: without the keys that begin with an underscore."""
    return {key: value for key, value in record.items() if not key.startswith("_")}


def metadata_of(value: Any, param: str = "metadata", *, bounded: bool = True) -> dict[str, str]:
    """Checked metadata; null is the same as none. Raises Refusal(400) beyond the documented sizes."""
    if value is None:
        return {}
    if len(value) > METADATA_PAIRS:
        raise Refusal(
            400, f"Metadata holds at most {METADATA_PAIRS} pairs.", param=param, code="invalid_value"
        )
    for key, text in value.items():
        if bounded and len(key) > METADATA_KEY_LENGTH:
            message = f"A metadata key has at most {METADATA_KEY_LENGTH} characters."
            raise Refusal(400, message, param=param, code="invalid_value")
        if not isinstance(text, str) or len(text) > METADATA_VALUE_LENGTH:
            message = f"A metadata value is text of at most {METADATA_VALUE_LENGTH} characters."
            raise Refusal(400, message, param=param, code="invalid_value")
    return dict(value)


def update_metadata(call: Call, record: Record) -> None:
    """Replace the metadata when the request carries any."""
    body = call.body or {}
    if "metadata" in body:
        metadata = metadata_of(body["metadata"], bounded=not call.fault("metadata-without-limits"))
        if not call.fault("half-applied-update"):
            record["metadata"] = metadata


def page(
    call: Call,
    records: Iterable[Record],
    show: Callable[[Record], Record] = public,
    keep: Callable[[Record], bool] = lambda record: True,
    *,
    order: str = "desc",
    limit: int = 20,
) -> Record:
    """One page of records (in creation order) as the query asks for it, each shown by ``show``.

    ``order`` and ``limit`` are those of a query that names none. A cursor may name a record that
    ``keep`` filters out: no page ever holds its own cursor.
    """
    query = {"order": order, **call.query}
    if call.fault("forgotten-cursor"):
        query.pop("after", None)
    cursors = (query.get("after"), query.get("before"))
    kept = [record for record in records if keep(record) or record["id"] in cursors]
    found = cursor_page(*distorted(call, kept, query), default_limit=limit)
    return {**found, "data": [show(record) for record in found["data"]]}


def deletion(identifier: str, kind: str) -> Record:
    """What a delete answers; ``kind`` such as ``thread.deleted``."""
    return {"id": identifier, "object": kind, "deleted": True}


def known_files(call: Call, identifiers: Iterable[str], param: str) -> None:
    """Raises Refusal(400) for the first file id that names no uploaded file of the tenant."""
    files = call.tenant.of("files")
    for identifier in identifiers:
        if identifier not in files:
            message = f"No file found with id '{identifier}'."
            raise Refusal(400, message, param=param, code="invalid_file_id")
