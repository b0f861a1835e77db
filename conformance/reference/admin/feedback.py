"""Feedback on traces."""

from __future__ import annotations

import time

from conformance.reference.admin.audit import manages
from conformance.reference.admin.table import pick
from conformance.reference.core import Call, Record, new_uuid, not_found


@manages("createFeedback", "/feedback")
def create_feedback(call: Call) -> Record:
    items = call.body if isinstance(call.body, list) else [call.body]
    ids = []
    for item in items:
        row = {"id": new_uuid(), "weight": 1.0, "metadata": {}, "created_at": time.time()}
        row |= pick(item, "trace_id", "value", "weight", "metadata")
        call.tenant.of("feedback")[str(row["id"])] = row
        ids.append(row["id"])
    return {"status": "success", "message": "Feedback saved", "feedback_ids": ids}


@manages("updateFeedback", "/feedback/{id}")
def update_feedback(call: Call) -> Record:
    row = call.tenant.of("feedback").get(call.path["id"].lower())
    if row is None:
        raise not_found("feedback", call.path["id"])
    if not call.fault("update-forgotten"):
        row |= pick(call.body, "value", "weight", "metadata")
    return {"status": "success", "message": "Feedback updated", "feedback_ids": [row["id"]]}
