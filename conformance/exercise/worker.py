"""One worker: sends the jobs of its items, judges what came back, and says it in JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.checks import Judge
from conformance.contract import load_contract
from conformance.exercise.engine import Engine
from conformance.exercise.jobs import STATEFUL, Done, Job
from conformance.exercise.machine import explore
from conformance.exercise.plan import Plan
from conformance.exercise.scenarios import scenarios
from conformance.exercise.settings import Settings
from conformance.generation.effort import EFFORTS
from conformance.generation.shrinking import shrink
from conformance.model import Case, Exchange, Finding, Level, Result, Verdict
from conformance.target import Ledger, Recorder, Session

MAX_SHRUNK = 10  # failing cases that one worker makes smaller


@dataclass(frozen=True)
class ItemReport:
    """What one item found. Travels from worker to controller as JSON, inside the test report."""

    nodeid: str
    concern: str
    operation: str
    verdict: Verdict
    reason: str
    seconds: float
    exchanges: int
    judged: int
    cases: int
    results: tuple[Result, ...] = ()
    reached: tuple[str, ...] = ()
    shown: tuple[Exchange, ...] = field(default=(), compare=False)  # exchanges of findings; stays here

    @property
    def findings(self) -> list[Finding]:
        return [finding for result in self.results for finding in result.findings]

    @property
    def decisive(self) -> list[Finding]:
        """The findings that fail the item: MUST, and not merely stricter than practice."""
        return [one for one in self.findings if one.level is Level.MUST and not one.stricter_than_practice]

    def dumps(self) -> str:
        values = {
            one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "shown"
        }
        values["results"] = [dataclasses.asdict(result) for result in self.results]
        return json.dumps(values)

    @classmethod
    def loads(cls, text: str) -> ItemReport:
        values = json.loads(text)
        values["verdict"] = Verdict(values["verdict"])
        values["results"] = tuple(_result(one) for one in values["results"])
        values["reached"] = tuple(values["reached"])
        return cls(**values)


def _result(value: Mapping[str, Any]) -> Result:
    findings = tuple(
        Finding(**{**one, "level": Level(one["level"]), "details": tuple(one["details"])})
        for one in value["findings"]
    )
    return Result(**{**value, "verdict": Verdict(value["verdict"]), "findings": findings})


class Worker:
    """Everything one process needs to exercise its share of the items."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.plan: Plan = settings.open_plan(name)
        folder = settings.folder
        self.ledger = Ledger(folder / f"ledger-{name}.jsonl", name)
        self._recorder = Recorder(Recorder.file_of(folder, name), settings.describe())
        session = Session(
            self.plan.target,
            worker=name,
            workers=settings.workers,
            started=settings.clock,
            recorder=self._recorder,
        )
        self._shrunk = 0
        self._judge = Judge(
            self.plan.requirements,
            lambda: load_contract(settings.contract, specs_dir=settings.specs_dir, strictness="lenient"),
        )
        self._engine = Engine(self.plan, session, self.ledger, concurrency=session.concurrency)
        gc.freeze()  # contract, graph and validators live to the end: no need to look at them again

    def start(self, jobs: Iterable[Job]) -> None:
        """Work ahead on these jobs, in this order."""
        serial = frozenset(
            operation.id
            for operation in self.plan.contract.operations
            if "serial" in self.plan.usage(operation.id).flags
        )
        self._engine.start((job for job in jobs if job.concern != STATEFUL), serial=serial)

    def exercise(self, job: Job, requirements: Sequence[str]) -> ItemReport:
        """The report of one job, judged; ``requirements`` are those its concern is about."""
        began = time.monotonic()
        done, told = self._done(job)
        judgement = self._judge.judge(done.exchanges)
        results = judgement.results
        if told is not None:
            results = tuple(_with_story(result, told) for result in results)
        if done.verdict is None and job.concern in ("valid", "invalid"):
            results = self._with_shrunk(job, done, results)
        results = (*results, *self._unjudged(job, done, requirements, results))
        verdict, reason = _verdict(job, done, results, requirements)
        wanted = {finding.exchange for result in results for finding in result.findings}
        return ItemReport(
            nodeid=job.item,
            concern=job.concern,
            operation=job.operation,
            verdict=verdict,
            reason=reason,
            seconds=round(time.monotonic() - began, 4),
            exchanges=len(done.exchanges),
            judged=judgement.judged_exchanges,
            cases=done.cases,
            results=results,
            reached=tuple(judgement.reached),
            shown=tuple(one for one in done.exchanges if one.id in wanted),
        )

    def _done(self, job: Job) -> tuple[Done, Finding | None]:
        """What the job sent, and the finding whose details tell the shortest sequence, if it has one."""
        if job.concern != STATEFUL:
            return self._engine.result(job), None
        engine = self._engine
        explored = explore(job, self.plan, engine.do, lambda: engine.world(job.item), self._judge.judge)
        return explored.done, explored.finding

    def _unjudged(
        self, job: Job, done: Done, requirements: Sequence[str], results: Sequence[Result]
    ) -> Iterable[Result]:
        """A result for each requirement of the concern that nothing was judged by, with the reason."""
        if job.scenario:
            yield from self._untold(job, done, results)
            return
        said = {result.requirement for result in results if result.operation == job.operation}
        operation = self.plan.contract.operation(job.operation)
        for name in requirements:
            if name in said or not self.plan.requirements.applies(
                self.plan.requirements.get(name), operation
            ):
                continue
            if done.verdict is not None:
                yield Result(name, job.operation, done.verdict, 0, (), done.reason)
            elif done.cases and not done.unsent:
                reason = "no answer gave occasion to judge it"
                yield Result(name, job.operation, Verdict.NOT_APPLICABLE, 0, (), reason)

    def _untold(self, job: Job, done: Done, results: Sequence[Result]) -> Iterable[Result]:
        """A result for each unit that a story was to give occasion for, when it broke off or was not told."""
        if done.verdict is None and not done.reason:
            return
        said = {(result.requirement, result.operation) for result in results}
        verdict = done.verdict or Verdict.INCONCLUSIVE
        told_of = scenarios()[job.scenario].operations
        for name, operation in self.plan.requirements.universe:
            requirement = self.plan.requirements.get(name)
            if (
                job.scenario in requirement.scenarios
                and operation in told_of
                and (name, operation) not in said
            ):
                yield Result(name, operation, verdict, 0, (), f"{job.scenario}: {done.reason}")

    def _with_shrunk(self, job: Job, done: Done, results: tuple[Result, ...]) -> tuple[Result, ...]:
        """Results whose first decisive finding shows the smallest case that still fails.

        Only the first few of a worker: where everything fails, smaller cases tell nothing more.
        """
        if self._shrunk >= MAX_SHRUNK:
            return results
        cases = {case.id: case for case in self.plan.corpus.cases(job.operation)}
        by_id = {exchange.id: exchange for exchange in done.exchanges}
        for index, result in enumerate(results):
            for finding in result.findings:
                exchange = by_id.get(finding.exchange)
                case = cases.get(exchange.case) if exchange is not None else None
                if case is None or finding.level is not Level.MUST or finding.operation != job.operation:
                    continue
                smaller = self._shrink(job, case, finding)
                if smaller is None:
                    return results
                swapped = tuple(smaller if one is finding else one for one in result.findings)
                return (
                    *results[:index],
                    dataclasses.replace(result, findings=swapped),
                    *results[index + 1 :],
                )
        return results

    def _shrink(self, job: Job, case: Case, finding: Finding) -> Finding | None:
        self._shrunk += 1
        last: list[Finding] = []

        def still_fails(candidate: Case) -> bool:
            judgement = self._judge.judge(self._engine.resend(candidate, job))
            for result in judgement.results:
                for one in result.findings:
                    if one.fingerprint == finding.fingerprint:
                        last.append(one)
                        return True
            return False

        shrink(
            case,
            still_fails,
            EFFORTS[self.settings.effort].shrink_steps,
            allowed=self.plan.corpus.keeps_purpose,
        )
        if not last:
            return None
        return dataclasses.replace(last[-1], details=(*last[-1].details, f"shrunk from {case.id}"))

    def close(self) -> None:
        """Remove what is left of the items, close connections and files."""
        self._engine.close()
        self._recorder.close()
        self.ledger.close()


def _with_story(result: Result, told: Finding) -> Result:
    """The result with its finding of the same kind told as the story of the shortest sequence."""
    findings = tuple(told if one.fingerprint == told.fingerprint else one for one in result.findings)
    return dataclasses.replace(result, findings=findings)


def _verdict(
    job: Job, done: Done, results: Iterable[Result], requirements: Sequence[str]
) -> tuple[Verdict, str]:
    """The item's own verdict: any decisive finding fails it; else what its requirements came to."""
    mine: list[Result] = []
    for result in results:
        for finding in result.findings:
            if finding.level is Level.MUST and not finding.stricter_than_practice:
                return Verdict.FAIL, f"{finding.requirement} {finding.operation}: {finding.message}"
        if job.open or (result.operation == job.operation and result.requirement in requirements):
            mine.append(result)
    if job.open and (done.verdict is not None or done.reason):
        return done.verdict or Verdict.INCONCLUSIVE, done.reason
    if any(result.judged for result in mine):
        return Verdict.PASS, ""
    for verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE):
        for result in mine:
            if result.verdict is verdict:
                return verdict, result.reason
    return Verdict.INCONCLUSIVE, "nothing of this item could be judged"


def peak_memory() -> int:
    """The most memory this process has held, in bytes.

    Where the kernel tells it by itself: what getrusage says includes the parent before our start.
    """
    with contextlib.suppress(OSError, StopIteration, ValueError), open("/proc/self/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
