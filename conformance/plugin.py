"""The pytest plugin: options, parametrisation, and the capture of results. Inert unless the suite is run.

On one process it plays controller and worker at once; under xdist the controller gathers and each
worker exercises its own share.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import ConformanceError, UsageError
from conformance.exercise.embedded import EmbeddedGateway
from conformance.exercise.execution import Gathering
from conformance.exercise.jobs import STATEFUL, Job
from conformance.exercise.machine import MACHINES
from conformance.exercise.preflight import preflight
from conformance.exercise.scenarios import scenarios
from conformance.exercise.scheduling import FixedShares, key_of, share
from conformance.exercise.settings import Settings, chosen, new_run_id
from conformance.exercise.worker import ItemReport, Worker, peak_memory
from conformance.generation.effort import EFFORTS
from conformance.model import Level, Verdict
from conformance.reporting.allure_labels import labels
from conformance.reporting.curl import curl_command
from conformance.reporting.scorecard import Card
from conformance.reporting.terminal import Live, print_scorecard

SUITE = Path(__file__).parent / "suite"
_PLUGIN = pytest.StashKey["ConformancePlugin"]()
_REPORT = pytest.StashKey[ItemReport]()
_ATTRIBUTE = "conformance"
INTERRUPTED = "interrupted"  # a file in the execution's folder that tells workers to stop
LAST_ORDERS_S = 30.0  # how long an interrupt waits for workers to remove what they made
ATTACHED = 3  # exchanges shown with a failing item in Allure


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "gateway conformance (pytest --pyargs conformance.suite)")
    with contextlib.suppress(ValueError):  # pytest-base-url is installed: its option means the same
        group.addoption("--base-url", metavar="URL", help="data plane; keys from CONFORMANCE_*_KEY")
    add = group.addoption
    add("--conformance-target", metavar="FILE", help="target file (TOML) [the embedded gateway]")
    add("--conformance-contract", metavar="NAME", default="portkey", help="contract to judge by [portkey]")
    add("--conformance-specs-dir", metavar="DIR", help="folder of contracts, instead of the packaged one")
    add("--conformance-strictness", metavar="WORD", default="strict", help="errata: strict, lenient [strict]")
    add("--conformance-group", metavar="GROUP", action="append", default=[], help="only this group")
    add("--conformance-only", metavar="OPERATION", action="append", default=[], help="only this operation")
    add("--conformance-effort", metavar="WORD", default="standard", help=f"{', '.join(EFFORTS)} [standard]")
    add("--conformance-seed", metavar="N", type=int, default=1, help="seed of everything drawn [1]")
    add("--conformance-concurrency", metavar="N", type=int, help="requests in flight, all workers together")
    add("--conformance-reports", metavar="DIR", default="reports", help="where run folders go [reports]")
    add("--conformance-fault", metavar="NAME", action="append", default=[], help="fault of the gateway")
    add("--conformance-latency", metavar="SECONDS", type=float, help="delay of its answers")
    parser.addini("conformance_link", "requirement links in Allure, {} is the id", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "concern(name, *requirements): what an item of the suite is about")
    if _asks_for_suite(config):
        plugin = ConformancePlugin(config)
        config.stash[_PLUGIN] = plugin
        config.pluginmanager.register(plugin, "conformance-execution")
        plugin.open()


def _asks_for_suite(config: pytest.Config) -> bool:
    inside = str(SUITE)
    return any(
        arg.startswith("conformance.suite") or os.path.abspath(arg).startswith(inside) for arg in config.args
    )


class ConformancePlugin:
    """One pytest session over the suite."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options: Any = config.option
        handed = getattr(config, "workerinput", {}).get(_ATTRIBUTE)
        self.is_worker = handed is not None
        self.distributes = not self.is_worker and bool(getattr(self.options, "tx", None))
        self.name = getattr(config, "workerinput", {}).get("workerid", "main")
        self.live: Live | None = None
        self._session: Any = None
        self._nodes: list[Any] = []
        self.card: Card | None = None
        self.problem: ConformanceError | None = None
        self._gateway: EmbeddedGateway | None = None
        self._worker: Worker | None = None
        self._gathering: Gathering | None = None
        self._settings = Settings.from_json(handed) if handed is not None else None
        self._own_scheduler = self.is_worker and bool(config.workerinput.get("conformance_shares"))  # type: ignore[attr-defined]
        self._scope: Mapping[str, str] = {}

    @property
    def settings(self) -> Settings:
        assert self._settings is not None, "the session has not started"
        return self._settings

    # the session

    def open(self) -> None:
        """Read options and files, early enough to tell other plugins where the reports go."""
        if self.is_worker:
            self._send_reports_to(self.settings.folder)
            return
        with self._told():
            settings = self._from_options()
            settings.check()
            if settings.target is None and settings.base_url is None:
                self._gateway = EmbeddedGateway(self._gateway_arguments())
                settings = replace(settings, announcement=self._gateway.announcement)
            elif self._gateway_arguments():
                hint = "leave out the target, or start `conformance serve` with them yourself"
                raise UsageError("--fault and --latency are for the embedded gateway only", hint=hint)
            name = settings.open_target().name
            run_id = new_run_id(name, settings.effort, settings.seed, settings.started)
            settings = replace(settings, run_id=run_id)
            if settings.folder.exists():  # another execution began in the same second
                settings = replace(settings, run_id=f"{run_id}-{os.getpid()}")
            self._gathering = Gathering(settings)
            try:
                settings.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                told = f"cannot write to {settings.folder}: {error.strerror or error}"
                raise UsageError(told, hint="name another folder with --reports") from None
        self._settings = settings
        self._send_reports_to(settings.folder)

    def _send_reports_to(self, folder: Path) -> None:
        """What pytest and allure-pytest write goes to the execution's folder, unless the user said where."""
        for option, name in (("xmlpath", "junit.xml"), ("allure_report_dir", "allure-results")):
            if not getattr(self.options, option, None):
                setattr(self.options, option, str(folder / name))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if self.is_worker:
            # What reaches the whole process group, as Ctrl-C does, the controller passes on in its own way.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._session = session
            self._worker = Worker(self.settings, self.name)
            return
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        assert self._gathering is not None
        with self._told():
            preflight(self._gathering.plan)
            if not self.distributes:
                self._worker = Worker(self.settings, self.name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors that a person caused end the session with one line."""
        try:
            yield
        except ConformanceError as error:
            self.problem = error
            self._stop_gateway()
            # The command line says it itself; pytest would say it a second time.
            said = () if self.config.pluginmanager.is_blocked("terminal") else (str(error),)
            raise pytest.UsageError(*said) from error

    def _from_options(self) -> Settings:
        options = self.options
        tx = getattr(options, "tx", None) or []
        return Settings(
            contract=options.conformance_contract,
            specs_dir=options.conformance_specs_dir,
            strictness=options.conformance_strictness,
            target=options.conformance_target,
            base_url=getattr(options, "base_url", None),
            groups=tuple(options.conformance_group),
            only=tuple(options.conformance_only),
            effort=options.conformance_effort,
            seed=options.conformance_seed,
            concurrency=options.conformance_concurrency,
            reports=str(Path(options.conformance_reports).absolute()),
            command=getattr(options, "conformance_command", "") or _pytest_command(self.config),
            workers=max(1, len(tx)),
        )

    def _gateway_arguments(self) -> list[str]:
        arguments = [part for fault in self.options.conformance_fault for part in ("--fault", fault)]
        if self.options.conformance_latency:
            arguments += ["--latency", str(self.options.conformance_latency)]
        return arguments

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        self._nodes.append(node)
        node.workerinput[_ATTRIBUTE] = self.settings.to_json()
        node.workerinput["conformance_shares"] = self._shares_fixed()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        return FixedShares(config, log) if self._shares_fixed() else None

    def _shares_fixed(self) -> bool:
        return self.options.dist == "load" and not self.options.maxschedchunk

    # the items

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        marker = metafunc.definition.get_closest_marker("concern")
        if marker is None:
            return
        plan = self._plan()
        if not self._scope:
            self._scope = chosen(plan, self.settings)
        if "scenario" in metafunc.fixturenames:
            known = {operation.id for operation in plan.contract.operations}
            told = [
                one.name
                for one in scenarios().values()
                if any(name in known and not self._scope[name] for name in one.operations)
                and known.issuperset(one.operations)
            ]
            metafunc.parametrize("scenario", told)
            return
        if marker.args[0] == STATEFUL:
            driven = [name for name, sent in MACHINES.items() if set(sent) <= set(self._scope)]
            metafunc.parametrize("operation", [name for name in driven if not self._scope[name]])
            return
        concerned = [plan.requirements.get(name) for name in marker.args[1:]]
        operations = [
            operation
            for operation in plan.contract.operations
            if not self._scope[operation.id]
            and any(plan.requirements.applies(requirement, operation) for requirement in concerned)
        ]
        metafunc.parametrize("operation", [operation.id for operation in operations])

    def _plan(self) -> Any:
        if self._worker is not None:
            return self._worker.plan
        assert self._gathering is not None
        return self._gathering.plan

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        plan = self._plan()
        # Where a concern applies to nothing, pytest puts a skipped item in its place.
        items[:] = [
            item for item in items if item.get_closest_marker("concern") is None or job_of(item) is not None
        ]

        def is_serial(item: pytest.Item) -> bool:
            job = job_of(item)
            if job is None:
                return False
            if job.scenario:
                return scenarios()[job.scenario].serial
            return "serial" in plan.usage(job.operation).flags

        items.sort(key=is_serial)  # stable: tenant-wide state is touched when all else is done

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        jobs = [job for item in session.items if (job := job_of(item)) is not None]
        if self.live is not None and not self.distributes:
            self.live.start(len(jobs))
        if self._worker is None or (self.is_worker and not self._own_scheduler):
            return
        if self.is_worker:
            mine = share([key_of(item.nodeid) for item in session.items], self.settings.workers)
            own = [session.items[index] for index in mine[int(self.name.removeprefix("gw"))]]
            jobs = [job for item in own if (job := job_of(item)) is not None]
        self._worker.start(jobs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        if self.live is not None and not self.live.total:
            self.live.start(len(list(ids)))

    def exercise(self, item: pytest.Item) -> ItemReport:
        """Send and judge what the item is about; the report is kept for the controller."""
        job = job_of(item)
        assert job is not None
        assert self._worker is not None
        marker = item.get_closest_marker("concern")
        assert marker is not None
        report = self._worker.exercise(job, marker.args[1:])
        item.stash[_REPORT] = report
        return report

    def label(self, item: pytest.Item, report: ItemReport) -> None:
        """Allure labels and attachments of an item, set once."""
        import allure
        from allure_commons.types import AttachmentType

        plan = self._plan()
        operation = plan.contract.operation(report.operation)
        judged = [plan.requirements.get(name) for name in item.get_closest_marker("concern").args[1:]]  # type: ignore[union-attr]
        found = labels(
            plan.contract.name,
            operation,
            report.concern,
            judged,
            link_pattern=self.config.getini("conformance_link"),
        )
        allure.dynamic.epic(found.epic)
        allure.dynamic.feature(found.feature)
        allure.dynamic.story(found.story)
        allure.dynamic.title(found.title)
        allure.dynamic.severity(found.severity)
        allure.dynamic.tag(*found.tags)
        for name, url in found.links:
            allure.dynamic.link(url or f"#{name}", name=name)
        if report.findings:
            told = [
                f"{one.level} {one.requirement} {one.operation}: {one.message}" for one in report.findings
            ]
            allure.attach("\n".join(told), "findings", AttachmentType.TEXT)
        for exchange in report.shown[:ATTACHED]:
            allure.attach(curl_command(exchange), f"exchange {exchange.id}", AttachmentType.TEXT)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        outcome = yield
        test_report: pytest.TestReport = outcome.get_result()
        job = job_of(item)
        if job is None or call.when == "teardown":
            return
        report = item.stash.get(_REPORT, None)
        if report is not None and call.when == "call":
            setattr(test_report, _ATTRIBUTE, report.dumps())
            test_report.user_properties += [("concern", job.concern), ("verdict", str(report.verdict))]
        elif test_report.outcome == "failed":
            broken = ItemReport(
                item.nodeid,
                job.concern,
                job.operation,
                Verdict.ERROR,
                str(call.excinfo and call.excinfo.value),
                0,
                0,
                0,
                0,
            )
            setattr(test_report, _ATTRIBUTE, broken.dumps())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, _ATTRIBUTE, None)
        if text is None or self._gathering is None:
            return
        outcome = self._gathering.add(ItemReport.loads(text))
        if self.live is not None:
            self.live.advance(outcome)

    # the end

    def pytest_keyboard_interrupt(self) -> None:
        """Workers end what they are at, remove what they made, and stop; we wait for them, within a bound."""
        if self._settings is None or self.is_worker:
            return
        if self._gathering is not None:
            self._gathering.notes.append("interrupted before its end")
        flag = self.settings.folder / INTERRUPTED
        flag.touch()
        until = time.monotonic() + LAST_ORDERS_S
        for node in self._nodes:
            node.shutdown()  # for those that wait for work
            with contextlib.suppress(node.channel.TimeoutError, EOFError, OSError):
                node.channel.waitclose(max(0.0, until - time.monotonic()))
        flag.unlink()

    def pytest_runtest_logstart(self) -> None:
        if self.is_worker and (self.settings.folder / INTERRUPTED).exists():
            self._session.shouldstop = "interrupted"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._worker is not None:
            self._worker.close()
        if self.is_worker:
            self.config.workeroutput["conformance_memory"] = peak_memory()  # type: ignore[attr-defined]
            return
        if self.live is not None:
            self.live.finish()
        if self._gathering is not None and self.problem is None:
            try:
                self.card = self._gathering.finish()
            finally:
                self._stop_gateway()
            if session.exitstatus == pytest.ExitCode.OK and self.card["verdict"]["exit_code"]:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._stop_gateway()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        if self._gathering is not None and "conformance_memory" in getattr(node, "workeroutput", {}):
            self._gathering.memory[node.gateway.id] = node.workeroutput["conformance_memory"]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.card is not None:
            terminalreporter.section("conformance")
            print_scorecard(self.card, report=str(self.settings.folder / "index.html"))

    def _stop_gateway(self) -> None:
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None


def job_of(item: pytest.Item) -> Job | None:
    """The job of an item of the suite; None for items that have no operation."""
    marker = item.get_closest_marker("concern")
    callspec = getattr(item, "callspec", None)
    operation = callspec.params.get("operation") if callspec is not None else None
    scenario = callspec.params.get("scenario") if callspec is not None else None
    if marker is not None and isinstance(scenario, str):
        return Job(item.nodeid, marker.args[0], scenarios()[scenario].operation, scenario)
    if marker is None or not isinstance(operation, str):  # pytest marks an empty set by a stand-in
        return None
    return Job(item.nodeid, marker.args[0], operation)


@pytest.fixture
def exercised(request: pytest.FixtureRequest) -> ItemReport:
    """What the item's requests showed, judged; sending them is the set-up of the item."""
    plugin = request.config.stash[_PLUGIN]
    report = plugin.exercise(request.node)
    if request.config.getoption("allure_report_dir", None):
        plugin.label(request.node, report)
    return report


def _pytest_command(config: pytest.Config) -> str:
    return " ".join(["pytest", *config.invocation_params.args])


def must_hold(report: ItemReport) -> None:
    """Turn a report into the outcome of its pytest item: fail with the findings, skip with the reason."""
    __tracebackhide__ = True
    if report.verdict is Verdict.FAIL:
        lines = []
        for one in report.findings:
            if one.level is Level.MUST:
                lines.append(
                    f"{one.level} {one.requirement} {one.operation}: {one.message} [exchange {one.exchange}]"
                )
                lines += [f"    {detail}" for detail in one.details if report.concern == STATEFUL]
        pytest.fail("\n".join(lines), pytrace=False)
    if report.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE):
        pytest.skip(f"{report.verdict}: {report.reason}")
