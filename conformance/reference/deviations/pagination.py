"""Lists that page wrongly."""

from __future__ import annotations

from typing import Any

from ..core import Call, Record
from ..faults import declare
from . import deviates_body

LISTS = (
    "listAssistants",
    "listMessages",
    "listRuns",
    "listRunSteps",
    "listVectorStores",
    "listVectorStoreFiles",
    "listFilesInVectorStoreBatch",
    "listInputItems",
    "listBatches",
    "listPaginatedFineTuningJobs",
    "listFineTuningEvents",
    "listFineTuningJobCheckpoints",
)
SKIPS = declare("pages-skip-an-item", "a page after a cursor leaves out the item that follows the cursor")
NO_BEFORE = declare("list-ignores-before", "lists ignore before")
STARTS_OVER = declare(
    "unknown-cursor-starts-over", "a cursor that names nothing is answered by the first page"
)
TIES = declare("ascending-keeps-ties", "ascending lists leave items of the same second in descending order")
NEWEST_INPUT = declare("input-items-newest-first", "input items come newest first unless asked otherwise")
BLIND_LIMIT = declare("bad-limit-gives-nothing", "a limit out of bounds is answered by an empty page")


def distorted(
    call: Call, records: list[Record], query: dict[str, Any]
) -> tuple[list[Record], dict[str, Any]]:
    """Records in creation order and the query about them, as the faults that are on would have them."""
    ids = [record["id"] for record in records]
    descending = query.get("order", "desc") == "desc"
    if call.fault(NO_BEFORE):
        query.pop("before", None)
    if call.fault(STARTS_OVER):
        query = {
            name: value for name, value in query.items() if name not in ("after", "before") or value in ids
        }
    if call.fault(TIES) and not descending:
        newest_first = records[::-1]
        if all("created_at" in record for record in records):
            records = sorted(newest_first, key=lambda record: int(record["created_at"]))
    if query.get("after") in ids:
        ordered = ids[::-1] if descending else ids
        at = ordered.index(query["after"])
        if call.fault(SKIPS) and at + 1 < len(ordered):
            query["after"] = ordered[at + 1]
    return records, query


@deviates_body("list-misnames-ends", "first_id and last_id of a page stand in each other's place", *LISTS)
def misname_ends(body: Any, call: Call) -> Any:
    if isinstance(body, dict) and "first_id" in body:
        body["first_id"], body["last_id"] = body["last_id"], body["first_id"]
    return body


@deviates_body("list-says-no-more", "has_more is false on every page", *LISTS)
def say_no_more(body: Any, call: Call) -> Any:
    if isinstance(body, dict) and "has_more" in body:
        body["has_more"] = False
    return body


@deviates_body("list-is-no-list", "a list calls itself a page", *LISTS)
def call_it_a_page(body: Any, call: Call) -> Any:
    if isinstance(body, dict) and "object" in body:
        body["object"] = "page"
    return body
