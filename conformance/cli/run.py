"""``conformance run``: the suite against one target, with a scorecard at the end."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from conformance.errors import UsageError
from conformance.generation.effort import EFFORTS
from conformance.plugin import ConformancePlugin
from conformance.reporting.terminal import Live, print_scorecard

#: Plugins that an execution has no use for; importing some of them takes seconds in every worker.
_WITHOUT = ("terminal", "cacheprovider", "logging", "schemathesis", "hypothesispytest", "anyio")
_VIA = "conformance-execution"


@click.command()
@click.option("--target", metavar="FILE", help="Target file (TOML). Default: the embedded reference gateway.")
@click.option(
    "--base-url", metavar="URL", help="Data plane of a target, credentials from CONFORMANCE_API_KEY."
)
@click.option("--contract", default="portkey", show_default=True, help="Contract to judge by.")
@click.option("--specs-dir", metavar="DIR", help="Folder of contracts, instead of the packaged one.")
@click.option("--strictness", default="strict", show_default=True, help="Errata to apply: strict or lenient.")
@click.option(
    "--group", "groups", multiple=True, metavar="GROUP", help="Only this endpoint group (repeatable)."
)
@click.option("--only", multiple=True, metavar="OPERATION", help="Only this operation (repeatable).")
@click.option(
    "--effort", default="standard", show_default=True, help=f"How hard to search: {', '.join(EFFORTS)}."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of everything drawn.")
@click.option("-n", "--workers", default="auto", show_default=True, help="Processes; auto is one per core.")
@click.option("--concurrency", type=int, help="Requests in flight, all workers together.")
@click.option("--reports", default="reports", show_default=True, metavar="DIR", help="Where run folders go.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME", help="Fault of the embedded gateway (repeatable)."
)
@click.option(
    "--latency",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    help="Delay of its answers.",
)
def run(workers: str, **options: Any) -> int:
    """Exercise every operation of a target and judge what it answers."""
    arguments = [
        "--pyargs",
        "conformance.suite",
        *(part for name in _WITHOUT for part in ("-p", f"no:{name}")),
        "--assert=plain",
        "--rootdir",
        str(Path.cwd()),
        "-c",
        os.devnull,
    ]
    workers = _workers(workers)
    if workers != "0":
        arguments += ["-n", workers]
    for name, value in options.items():
        arguments += _option(name, value)
    door = _Door()
    code = pytest.main(arguments, plugins=[door])
    return door.finish(int(code))


def _workers(text: str) -> str:
    if text == "auto":
        count = os.cpu_count() or 1
        return str(count) if count > 1 else "0"
    if not text.isdigit() or int(text) > 64:
        raise UsageError(f"-n {text!r} is not a number of processes", hint="auto, or 0 to 64")
    return text


def _option(name: str, value: Any) -> list[str]:
    flag = {
        "base_url": "--base-url",
        "groups": "--conformance-group",
        "faults": "--conformance-fault",
    }.get(name, f"--conformance-{name.replace('_', '-')}")
    if value is None:
        return []
    values = value if isinstance(value, tuple) else (value,)
    return [f"{flag}={one}" for one in values]


class _Door:
    """Shows progress and the scorecard instead of pytest's own output."""

    def __init__(self) -> None:
        self.execution: ConformancePlugin | None = None
        self._broken: list[str] = []

    def pytest_plugin_registered(self, plugin: object, plugin_name: str) -> None:
        """Here, and not when pytest is configured: a mistake of the user ends that half-way."""
        if plugin_name == _VIA and isinstance(plugin, ConformancePlugin) and not plugin.is_worker:
            plugin.options.conformance_command = shlex.join(["conformance", *sys.argv[1:]])
            plugin.live = Live(Console(stderr=True, highlight=False))
            self.execution = plugin

    def pytest_internalerror(self, excrepr: Any) -> None:
        self._broken = str(excrepr).strip().splitlines()[-1:] or ["no details"]

    def finish(self, code: int) -> int:
        """Print the scorecard; the exit code is that of its verdict."""
        execution = self.execution
        if execution is not None and execution.problem is not None:
            click.echo(f"conformance: {execution.problem}", err=True)
            return execution.problem.exit_code
        if execution is None or execution.card is None:
            why = self._broken[0] if self._broken else f"pytest exit code {code}"
            click.echo(f"conformance: the suite itself broke: {why}", err=True)
            return 4
        print_scorecard(execution.card, report=str(execution.settings.folder / "index.html"))
        if code == pytest.ExitCode.INTERRUPTED:
            return 3
        return int(execution.card["verdict"]["exit_code"])
