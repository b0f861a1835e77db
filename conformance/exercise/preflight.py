"""Before anything is exercised: does the target answer, and does it accept the owner's key?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from conformance.errors import PreflightError, UsageError
from conformance.exercise.outgoing import probe_of
from conformance.exercise.plan import Plan
from conformance.model import Credential, Exchange, Operation
from conformance.target import Session

PROBES = 4
_REFUSALS = (401, 403)


def preflight(plan: Plan) -> None:
    """Probe a few harmless reads; PreflightError when nobody answers or the key is refused everywhere,
    UsageError when there is no key.

    What a probe answers beyond that is not judged here: a target that answers nonsense is a target.
    """
    if plan.probes and not plan.target.has(Credential.OWNER):
        raise UsageError(
            "nobody to ask as: the target has no owner credential",
            hint="[credentials.owner] in the target file, or CONFORMANCE_API_KEY with --base-url",
        )
    exchanges = asyncio.run(_probe(plan, plan.probes[:PROBES]))
    if not exchanges:
        return
    where = ", ".join(dict.fromkeys(plan.target.base_urls.values()))
    silent = [exchange for exchange in exchanges if exchange.response is None]
    if len(silent) == len(exchanges):
        raise PreflightError(f"nothing answers at {where}: {silent[0].detail or silent[0].failure}")
    statuses = [exchange.response.status for exchange in exchanges if exchange.response is not None]
    if all(status in _REFUSALS for status in statuses):
        raise PreflightError(
            f"the target at {where} refuses the owner's credential everywhere (status {statuses[0]})",
            hint="check the key in the target file",
        )


async def _probe(plan: Plan, operations: Sequence[Operation]) -> list[Exchange]:
    session = Session(plan.target, worker="preflight")
    async with session:
        sent = await asyncio.gather(*(session.send(probe_of(plan, one)) for one in operations))
    return [one.exchange for one in sent]
