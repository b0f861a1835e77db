"""Removes what an execution's workers created and, being killed or interrupted, did not remove."""

from __future__ import annotations

import asyncio
from pathlib import Path

from conformance.exercise.outgoing import outgoing
from conformance.exercise.plan import Plan
from conformance.model import Case, Purpose
from conformance.target import Entry, Ledger, Session

GONE = (404, 410)
NAME = "tidy"  # sorts after every worker, so that its lines are read last


def ledgers(folder: Path) -> list[Path]:
    """The ledger files of an execution, in the order in which they must be read."""
    return sorted(folder.glob("ledger-*.jsonl"))


def tidy(plan: Plan, folder: Path) -> int:
    """Delete, youngest first, what the ledgers say still exists; returns how many are gone.

    What resists stays in the ledger as left over, with what its last attempt came to.
    """
    entries = [one for one in Ledger.read(ledgers(folder)).leftover if one.context and "path" in one.context]
    if not entries:
        return 0
    with Ledger(folder / f"ledger-{NAME}.jsonl", NAME) as ledger:
        return asyncio.run(_remove(plan, ledger, list(reversed(entries))))


async def _remove(plan: Plan, ledger: Ledger, entries: list[Entry]) -> int:
    gone = 0
    async with Session(plan.target, worker=NAME) as session:
        for entry in entries:
            context = entry.context or {}
            sent = await session.send(
                outgoing(plan, removal_case(plan, context["operation"]), NAME, path=context["path"])
            )
            response = sent.exchange.response
            if response is not None and (response.status < 300 or response.status in GONE):
                ledger.removed(entry.key, f"status {response.status}, after the execution")
                gone += 1
            else:
                told = f"status {response.status}" if response is not None else sent.exchange.detail
                ledger.left(entry.key, f"{context['operation']}: {told}")
    return gone


def removal_case(plan: Plan, operation: str) -> Case:
    """A delete, or stop, without query and body, with the headers its operation requires."""
    case = plan.canonical(operation)
    return Case(id=f"{operation}:cleanup", operation=operation, purpose=Purpose.CLEANUP, headers=case.headers)
