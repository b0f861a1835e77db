"""The controller's side: gathers item reports and writes the execution's folder once, at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import conformance
from conformance.contract import count_errata
from conformance.exercise.settings import Settings, chosen
from conformance.exercise.tidying import ledgers, tidy
from conformance.exercise.worker import ItemReport, peak_memory
from conformance.model import Exchange, Result, Verdict
from conformance.reporting.report import write_report
from conformance.reporting.results import (
    ContractFacts,
    Execution,
    ItemOutcome,
    Kept,
    LedgerSummary,
    OutOfScope,
    Totals,
    roll_up,
)
from conformance.reporting.scorecard import Card
from conformance.target import Ledger, join, read_evidence

MAX_REASONS = 3


class Gathering:
    """Collects what the items say until the execution ends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.plan = settings.open_plan("controller")
        self.scope = chosen(self.plan, settings)
        self.reports: dict[str, ItemReport] = {}
        self.memory: dict[str, int] = {}
        self.notes: list[str] = []

    def add(self, report: ItemReport) -> ItemOutcome:
        """Take in one item; the outcome is what progress shows."""
        self.reports[report.nodeid] = report
        return outcome_of(report)

    def finish(self) -> Card:
        """Join the evidence, roll the results up, write every report; the card is what they show."""
        folder = self.settings.folder
        tidy(self.plan, folder)
        self.memory["controller"] = peak_memory()
        joined = folder / "evidence.jsonl"
        parts = sorted(folder.glob("evidence-*.jsonl"))
        join(parts, joined)
        for part in parts:
            part.unlink()
        return write_report(self.execution(DiskEvidence(joined)), folder)

    def execution(self, evidence: DiskEvidence) -> Execution:
        settings, plan = self.settings, self.plan
        ended = time.time()
        in_scope = [operation for operation in plan.contract.operations if not self.scope[operation.id]]
        reached = Counter(one for report in self.reports.values() for one in report.reached)
        results = [result for report in self.reports.values() for result in report.results]
        return Execution(
            id=settings.run_id,
            started=_iso(settings.started),
            ended=_iso(ended),
            seconds=round(ended - settings.started, 2),
            suite_version=conformance.__version__,
            contract=ContractFacts(
                plan.contract.name,
                plan.contract.version,
                plan.contract.digest,
                plan.contract.strictness,
                count_errata(settings.contract, specs_dir=settings.specs_dir, strictness=settings.strictness),
            ),
            target=plan.target.describe(),
            effort=settings.effort,
            seed=settings.seed,
            workers=settings.workers,
            command=settings.command,
            profile=plan.target.profile,
            operations=tuple(in_scope),
            out_of_scope=tuple(
                OutOfScope(operation, self.scope[operation.id])
                for operation in plan.contract.operations
                if self.scope[operation.id]
            ),
            requirements=plan.requirements.all,
            results=roll_up(
                results, [unit for unit in plan.requirements.universe if not self.scope[unit[1]]]
            ),
            items=tuple(outcome_of(report) for report in self.reports.values()),
            reached={operation.id: bool(reached[operation.id]) for operation in in_scope},
            gaps=self._gaps(results),
            totals=Totals(
                exchanges=sum(report.exchanges for report in self.reports.values()),
                judged=sum(report.judged for report in self.reports.values()),
                cases=sum(report.cases for report in self.reports.values()),
            ),
            ledger=read_ledger(settings.folder),
            memory=dict(self.memory),
            notes=tuple(self.notes),
            evidence=evidence,
        )

    def _gaps(self, results: list[Result]) -> Mapping[str, str]:
        """Why an operation was not reached: what its canonical request came to."""
        reasons: dict[str, list[str]] = {}
        for report in self.reports.values():
            if report.concern == "canonical" and report.reason:
                reasons.setdefault(report.operation, []).append(report.reason)
        for result in results:
            if result.requirement == "OP-CANON-01" and result.verdict is not Verdict.PASS:
                told = [finding.message for finding in result.findings] or [result.reason]
                reasons.setdefault(result.operation, []).extend(told[:MAX_REASONS])
        return {operation: next((one for one in told if one), "") for operation, told in reasons.items()}


class DiskEvidence:
    """The joined evidence of an execution, read once into an index of operations."""

    def __init__(self, path: Path) -> None:
        self._by_id: dict[str, Exchange] = {}
        self._by_operation: dict[str, list[Exchange]] = {}
        for exchange in read_evidence([path]):
            self._by_id[exchange.id] = exchange
            self._by_operation.setdefault(exchange.operation, []).append(exchange)

    def get(self, exchange_id: str) -> Exchange | None:
        return self._by_id.get(exchange_id)

    def of(self, operation_id: str) -> list[Exchange]:
        return self._by_operation.get(operation_id, [])


def outcome_of(report: ItemReport) -> ItemOutcome:
    return ItemOutcome(
        nodeid=report.nodeid,
        concern=report.concern,
        operation=report.operation,
        verdict=report.verdict,
        reason=report.reason,
        seconds=report.seconds,
        exchanges=report.exchanges,
        findings=len(report.findings),
    )


def read_ledger(folder: Path) -> LedgerSummary:
    """What the ledgers of all workers say was created and what became of it."""
    summary = Ledger.read(ledgers(folder))
    return LedgerSummary(
        created=len(summary.created) + len(summary.unconfirmed),
        removed=len(summary.removed),
        residue=tuple(Kept(one.resource, one.id, one.reason) for one in summary.residue),
        leftover=tuple(
            Kept(
                one.resource,
                one.id or f"marked {one.marker}",
                one.reason or "its creation was never confirmed",
            )
            for one in (*summary.leftover, *summary.unconfirmed)
        ),
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
