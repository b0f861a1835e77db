"""No request ever leaves the hosts that the user named, whatever the target or the contract say."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from hostile import Answer, answering
from targets import described, toml

from conformance.exercise.jobs import Job
from conformance.exercise.preflight import preflight
from conformance.exercise.settings import Settings
from conformance.exercise.worker import Worker
from conformance.reference.server import Options, Running

ELSEWHERE = "http://192.0.2.7:8080/stolen"  # an address that nobody has (RFC 5737)
_CONCERNS = {
    "canonical": "OP-CANON-01",
    "valid": "OP-VALID-01",
    "invalid": "NEG-ROBUST-01",
    "absent": "AUTH-NONE-01",
}
_OPERATIONS = ("createThread", "listModels", "getConfig", "createConfig", "connectRealtime", "createFile")


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Every address this process connects to or looks up; connections elsewhere than loopback are refused."""
    found: set[tuple[str, int]] = set()

    def note(address: Any) -> None:
        if isinstance(address, tuple):
            found.add((str(address[0]), int(address[1] or 0)))
            if address[0] not in ("127.0.0.1", "::1", "localhost"):
                raise OSError(f"a connection to {address} was attempted")

    sock_connect, connect, look_up = (
        asyncio.SelectorEventLoop.sock_connect,
        socket.socket.connect,
        socket.getaddrinfo,
    )

    async def noted_sock_connect(self: Any, sock: Any, address: Any) -> Any:
        note(address)
        return await sock_connect(self, sock, address)

    class Noted(socket.socket):
        def connect(self, address: Any) -> None:
            note(address)
            connect(self, address)

    def noted_look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        note((host.decode() if isinstance(host, bytes) else str(host), int(port or 0)))
        return look_up(host, port, *rest, **more)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", noted_sock_connect)
    monkeypatch.setattr(socket, "socket", Noted)
    monkeypatch.setattr(socket, "getaddrinfo", noted_look_up)
    return found


def _exercise(table: dict[str, Any], folder: Path) -> list[Any]:
    """The jobs of a few operations in this very process; what they sent."""
    file = folder / "target.toml"
    file.write_text(toml(table), "utf-8")
    settings = Settings(target=str(file), effort="smoke", reports=str(folder / "reports"), run_id="hosts")
    settings.folder.mkdir(parents=True)
    preflight(settings.open_plan())
    worker = Worker(settings, "main")
    known = {operation.id for operation in worker.plan.contract.operations}
    jobs = [
        Job(f"{concern}[{one}]", concern, one) for one in _OPERATIONS if one in known for concern in _CONCERNS
    ]
    worker.start(jobs)
    try:
        return [worker.exercise(job, [_CONCERNS[job.concern]]) for job in jobs]
    finally:
        worker.close()


def test_a_gateway_that_redirects_elsewhere(dialled: set[tuple[str, int]], tmp_path: Path) -> None:
    """Redirects to another host are recorded and never followed; the contract's servers are never used."""

    def redirect(method: str, path: str, _: object) -> Answer:
        return 307, {"location": ELSEWHERE, "content-type": "application/json"}, b"{}"

    with answering(redirect) as url:
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        table: dict[str, Any] = {
            "base_url": url,
            "allow": ["cost", "side-effects"],
            "capabilities": ["realtime", "uploads"],
        }
        table |= {"models": {"chat": "m"}, "credentials": {"owner": {"key": "pk-hosts-owner"}}}
        reports = _exercise(table, tmp_path)
    assert sum(report.exchanges for report in reports) > 10
    assert any(report.findings for report in reports), "redirects to success went unnoticed"
    assert dialled == {(host, int(port))}


def test_a_gateway_that_does_not(dialled: set[tuple[str, int]], tmp_path: Path) -> None:
    """The contract names the vendor's public hosts for most paths; only the target file's host is dialled."""
    with Running(Options(speed=0)) as gateway:
        table = described(gateway.announcement)
        reports = _exercise(table, tmp_path)
        port = int(table["base_url"].removesuffix("/v1").rpartition(":")[2])
    assert sum(bool(report.reached) for report in reports) >= 5
    assert not [report.reason for report in reports if report.verdict == "fail"]
    assert dialled == {("127.0.0.1", port)}
