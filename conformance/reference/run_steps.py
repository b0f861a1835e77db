"""The steps of a run: list and read."""

from __future__ import annotations

from conformance.reference.core import Call, Record, handles, not_found
from conformance.reference.objects import declared, page, public
from conformance.reference.runs import run_of

FAULTS = declared({"steps-empty": "the steps of every run are an empty list"})


@handles("listRunSteps")
def list_steps(call: Call) -> Record:
    steps = run_of(call)["_steps"].values()
    return page(call, [] if call.fault("steps-empty") else steps)


@handles("getRunStep")
def get(call: Call) -> Record:
    step: Record | None = run_of(call)["_steps"].get(call.path["step_id"])
    if step is None:
        raise not_found("run step", call.path["step_id"])
    return public(step)
