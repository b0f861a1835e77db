"""What each concern of the suite sends: one job per pytest item."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from conformance.exercise.binding import UnboundError
from conformance.exercise.plan import NotAllowedError, Plan
from conformance.exercise.scenarios import Scenario, scenarios
from conformance.exercise.scenarios.story import NotShown, Story
from conformance.exercise.world import Unprepared, World
from conformance.generation.variants import credential_cases, method_cases, stream_case, unknown_id_cases
from conformance.model import Case, Credential, Exchange, Purpose, Verdict
from conformance.target import Ledger, Session

STATEFUL = "stateful"  # the concern of items that a state machine drives, see conformance.exercise.machine
_SHARED_ROLES = frozenset(
    {"read", "list", "query", "download", "inference", "update", "bulk-update", "create"}
)


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one pytest item: a concern on an operation."""

    item: str
    concern: str
    operation: str
    scenario: str = ""  # the story that a scenario item tells

    @property
    def open(self) -> bool:
        """Whether the item is about whatever it shows, not about requirements on one operation."""
        return bool(self.scenario) or self.concern == STATEFUL


@dataclass(frozen=True, slots=True)
class Done:
    """What a job sent. ``verdict`` is set when there is nothing to judge, with the reason."""

    job: Job
    exchanges: tuple[Exchange, ...]
    verdict: Verdict | None = None
    reason: str = ""
    cases: int = 0
    unsent: int = 0


def cases_of(plan: Plan, job: Job) -> tuple[Sequence[Case], str]:
    """The cases a job sends and, when there are none, why."""
    operation = job.operation
    if job.concern in _FROM_CORPUS:
        if job.concern != "examples" and "once" in plan.usage(operation).flags:
            return (), "what it acts on cannot be made again; only the canonical request is sent"
        purpose = _FROM_CORPUS[job.concern]
        found = tuple(case for case in plan.corpus.cases(operation) if case.purpose is purpose)
        return found, plan.corpus.gap(operation, purpose) if not found else ""
    canonical = plan.canonical(operation)
    if job.concern == "canonical":
        return (canonical,), ""
    if job.concern == "stream":
        return (stream_case(canonical),), ""
    if job.concern == "unknown-id":
        return unknown_id_cases(canonical, plan.usage(operation)), "it takes no id"
    if job.concern == "method":
        return method_cases(plan.contract, canonical), "every method of the path is documented"
    credential = Credential(job.concern)
    if credential is not Credential.ABSENT and not plan.target.has(credential):
        return (), f"the target file names no {credential} credential"
    return [case for case in credential_cases(canonical) if case.credential is credential], "no such case"


_FROM_CORPUS: Mapping[str, Purpose] = {
    "examples": Purpose.EXAMPLE,
    "valid": Purpose.VALID,
    "invalid": Purpose.INVALID,
}
#: Ends the item of exchanges that only made a failing case smaller: evidence that no verdict counts.
SHRINKING = "::shrinking"
#: Concerns whose absence of cases is a fact about the contract, not a gap of the execution.
_NOTHING_TO_SEND = frozenset({"examples", "valid", "invalid", "method", "unknown-id"})


async def run(job: Job, plan: Plan, session: Session, ledger: Ledger) -> Done:
    """Send everything a job has to send, and remove what it made."""
    if job.scenario:
        return await _tell(scenarios()[job.scenario], job, World(plan, session, ledger, job.item))
    usage = plan.usage(job.operation)
    if lacking := plan.lacking(job.operation):
        told = f"the profile {plan.profile.name} cannot do without {', '.join(lacking)}"
        return Done(job, (), Verdict.INCONCLUSIVE, f"{told}, which the target does not declare")
    cases, why = cases_of(plan, job)
    if not cases:
        verdict = Verdict.NOT_APPLICABLE if job.concern in _NOTHING_TO_SEND else Verdict.INCONCLUSIVE
        return Done(job, (), verdict, why)
    world = World(plan, session, ledger, job.item)
    shares = usage.role in _SHARED_ROLES and "async" not in usage.flags
    problems: list[str] = []

    async def one(case: Case) -> None:
        own = world if shares else world.child()
        try:
            plan.permit(job.operation, case)
            await own.send(case)
        except (NotAllowedError, Unprepared, UnboundError) as problem:
            problems.append(str(problem))
        finally:
            if own is not world:
                await asyncio.shield(own.cleanup())

    try:
        if shares:
            try:
                plan.permit(job.operation, cases[0])
            except (NotAllowedError, Unprepared, UnboundError) as problem:
                return Done(job, tuple(world.exchanges), Verdict.INCONCLUSIVE, str(problem), 0, len(cases))
        await asyncio.gather(*(one(case) for case in cases))
    finally:
        await asyncio.shield(world.cleanup())
    exchanges = tuple(sorted(world.exchanges, key=lambda exchange: exchange.started))
    sent = len(cases) - len(problems)
    if not sent:
        return Done(job, exchanges, Verdict.INCONCLUSIVE, problems[0], 0, len(problems))
    return Done(job, exchanges, None, problems[0] if problems else "", sent, len(problems))


async def _tell(scenario: Scenario, job: Job, world: World) -> Done:
    """Tell a story to its end, or as far as the target lets it."""
    plan, reason = world.plan, ""
    verdict: Verdict | None = None
    lacking = [one for one in scenario.needs if not plan.target.offers(one)]
    if lacking:
        return Done(job, (), Verdict.NOT_APPLICABLE, f"the target does not declare {', '.join(lacking)}")
    try:
        for operation in scenario.operations:
            plan.permit(operation, _AS_STORY)
        await scenario.tell(Story(world))
    except (NotAllowedError, Unprepared, UnboundError) as problem:
        reason = str(problem)
    except NotShown as absent:
        verdict, reason = Verdict.NOT_APPLICABLE, str(absent)
    finally:
        await asyncio.shield(world.cleanup())
    exchanges = tuple(sorted(world.exchanges, key=lambda exchange: exchange.started))
    steps = sum(exchange.purpose is Purpose.SCENARIO for exchange in exchanges)
    if reason and not steps:
        return Done(job, exchanges, Verdict.INCONCLUSIVE, reason, 0, 1)
    return Done(job, exchanges, verdict, reason, max(steps, 1), 1 if reason else 0)


_AS_STORY = Case(id="", operation="", purpose=Purpose.SCENARIO)


async def resend(case: Case, job: Job, plan: Plan, session: Session, ledger: Ledger) -> tuple[Exchange, ...]:
    """Send one case again in a world of its own: what shrinking needs."""
    world = World(plan, session, ledger, job.item + SHRINKING)
    try:
        await world.send(replace(case))
    except (NotAllowedError, Unprepared, UnboundError):
        return ()
    finally:
        await asyncio.shield(world.cleanup())
    return tuple(world.exchanges)
