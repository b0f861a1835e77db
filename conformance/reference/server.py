"""Runs the gateway on a loopback port: in a thread of this process, or as the process itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from . import faults
from .app import App
from .core import Gateway, Record
from .schemas import load_document
from .seed import Seeded, seed


@dataclass(frozen=True)
class Options:
    """How a gateway is started. ``latency`` in seconds; ``speed`` 0 makes timed work immediate."""

    host: str = "127.0.0.1"
    port: int = 0
    faults: tuple[str, ...] = ()
    latency: float = 0.0
    speed: float = 1.0
    seed: int | None = None
    contract: Path | None = None


class UnknownFaultError(ValueError):
    """A fault nobody declared; ``names`` are those asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"no such fault: {', '.join(self.names)}; --list-faults prints those there are")


@dataclass
class Launched:
    """A gateway ready to serve: the application, its listening socket, and what to announce."""

    app: App
    listener: socket.socket
    seeded: Seeded
    options: Options
    address: tuple[str, int] = field(default=("", 0))

    @property
    def announcement(self) -> Record:
        """Base URLs, credentials, models, givens and capabilities, as one JSON object."""
        host, port = self.address
        root = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return {
            "base_urls": {"data": f"{root}/v1", "control": f"{root}/v1", "public": root},
            **self.seeded.announced(),
            "faults": sorted(self.options.faults),
            "pid": os.getpid(),
        }


def launch(options: Options) -> Launched:
    """Build and bind, without serving yet. Raises UnknownFaultError, OSError, FileNotFoundError."""
    gateway = Gateway(
        faults=frozenset(options.faults),
        speed=options.speed,
        latency=options.latency,
    )
    app = App(gateway, load_document(options.contract))
    wrong = faults.unknown(gateway.faults)
    if wrong:
        raise UnknownFaultError(wrong)
    seeded = seed(gateway, options.seed)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named so that asyncio turns Nagle's algorithm off on what it accepts.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError:
        listener.close()
        raise
    listener.listen(512)
    listener.setblocking(False)
    return Launched(app, listener, seeded, options, listener.getsockname()[:2])


def _server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ws_max_size=1 << 20,
        ws_ping_interval=None,
    )
    return uvicorn.Server(config)


class Running:
    """A gateway in a thread; a context manager. ``announcement`` is set once it answers."""

    def __init__(self, options: Options | None = None) -> None:
        self._launched = launch(options or Options())
        self.app = self._launched.app
        self.announcement = self._launched.announcement
        self._server = _server(self.app)
        self._thread = threading.Thread(target=self._run, name="reference-gateway", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._launched.listener]))

    def start(self) -> Record:
        """Serve, and wait until connections are taken. Raises RuntimeError after ten seconds."""
        self._thread.start()
        until = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("the reference gateway did not start")
            time.sleep(0.005)
        return self.announcement

    def stop(self) -> None:
        """End it at once, whatever is still under way."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=5)
        self._launched.listener.close()

    def __enter__(self) -> Running:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    options: Options,
    *,
    die_with_parent: bool = False,
    ready: Callable[[Record], None] | None = None,
) -> None:
    """Serve in this process until SIGTERM or SIGINT; ``ready`` gets the announcement once it answers."""
    launched = launch(options)
    server = _server(launched.app)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(server.serve(sockets=[launched.listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if ready is not None and server.started:
            ready(launched.announcement)
        if die_with_parent:
            watcher = threading.Thread(target=_watch, args=(server,), daemon=True)
            watcher.start()
        await task

    # uvicorn raises the captured signal again when it is done; a clean stop is not a failure of ours.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


def _watch(server: uvicorn.Server) -> None:
    """Stop when standard input ends or the parent is gone."""
    parent = os.getppid()

    def reader() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a lock held here would outlive us
                pass
        server.should_exit = True

    threading.Thread(target=reader, daemon=True).start()
    while not server.should_exit:
        if os.getppid() != parent:
            server.should_exit = True
        time.sleep(0.2)


def announce(announcement: Record, stream: Any = None) -> None:
    """One JSON line, flushed."""
    print(json.dumps(announcement, separators=(",", ":")), file=stream or sys.stdout, flush=True)
