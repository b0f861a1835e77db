"""Runs the jobs of one worker concurrently, ahead of the pytest items that wait for them.

Everything lives on one event loop in the main thread: while an item waits for its own job, the
others make progress, so a slow target costs about latency × requests ÷ concurrency.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from conformance.errors import SuiteError
from conformance.exercise.jobs import Done, Job, resend, run
from conformance.exercise.plan import Plan
from conformance.exercise.scenarios import scenarios
from conformance.exercise.world import World
from conformance.model import Case, Exchange
from conformance.target import Ledger, Session

LAST_S = 20.0  # for jobs to end when the execution is interrupted
AHEAD = 4  # jobs in flight for each request that may be: preparation chains leave gaps

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


class Engine:
    """Owns the loop and the session. ``start`` the jobs in the order they will be asked for."""

    def __init__(self, plan: Plan, session: Session, ledger: Ledger, *, concurrency: int) -> None:
        self.plan = plan
        self._session = session
        self._ledger = ledger
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[str, asyncio.Task[Done]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._slots = asyncio.Semaphore(max(concurrency, 1) * AHEAD)
        self._alone = asyncio.Lock()

    def start(self, jobs: Iterable[Job], *, serial: frozenset[str] = frozenset()) -> None:
        """Begin jobs; those on ``serial`` operations begin when all the others are done, one by one."""
        together: list[asyncio.Task[Done]] = []
        for job in jobs:
            if scenarios()[job.scenario].serial if job.scenario else job.operation in serial:
                task = self._loop.create_task(self._after(list(together), job))
            else:
                task = self._loop.create_task(self._slotted(job))
                together.append(task)
            self._tasks[job.item] = task

    async def _slotted(self, job: Job) -> Done:
        async with self._slots:
            return await run(job, self.plan, self._session, self._ledger)

    async def _after(self, others: list[asyncio.Task[Done]], job: Job) -> Done:
        if others:
            await asyncio.wait(others)
        async with self._alone:
            return await run(job, self.plan, self._session, self._ledger)

    def result(self, job: Job) -> Done:
        """What the job sent; begins it when it was not begun. SuiteError when the suite broke."""
        task = self._tasks.get(job.item) or self._loop.create_task(self._slotted(job))
        self._tasks[job.item] = task  # until it is done: if we are interrupted, close waits for it
        try:
            done = self._until(task)
        except Exception as error:
            raise SuiteError(f"{job.concern} of {job.operation}: {type(error).__name__}: {error}") from error
        del self._tasks[job.item]
        return done

    def resend(self, case: Case, job: Job) -> tuple[Exchange, ...]:
        """Send one case of a job again, alone."""
        return self.do(resend(case, job, self.plan, self._session, self._ledger))

    def world(self, item: str) -> World:
        """A world for requests that are sent one at a time, through ``do``."""
        return World(self.plan, self._session, self._ledger, item)

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, the jobs in flight beside it."""
        task = self._loop.create_task(coroutine)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        return self._until(task)

    def _until(self, task: asyncio.Task[T]) -> T:
        """Wait for a task. KeyboardInterrupt ends the waiting, and no task: raised in the middle of one
        it would end that one before it has removed what it made, and the loop with it."""
        stop: asyncio.Future[None] = self._loop.create_future()

        def end() -> None:
            if not stop.done():
                stop.set_result(None)

        either: set[asyncio.Future[Any]] = {task, stop}
        with _interrupting(lambda: self._loop.call_soon_threadsafe(end)):
            self._loop.run_until_complete(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
        if stop.done():
            raise KeyboardInterrupt
        return task.result()

    def close(self) -> None:
        """Let no job begin anything new, wait while each removes what it made, close the connections.

        A create in flight is waited for: cancelled, nobody would know whether it happened. Interrupted
        again, we wait no longer; what is left then stands in the ledger.
        """
        self.plan.halt.on = True
        running = [task for task in (*self._tasks.values(), *self._others) if not task.done()]
        if running:
            with contextlib.suppress(KeyboardInterrupt):
                self.do(asyncio.wait(running, timeout=LAST_S))
            late = [task for task in running if not task.done()]
            for task in late:
                task.cancel()
            if late:
                self.do(asyncio.wait(late, timeout=LAST_S))
        self.do(self._session.close())
        self._loop.close()


@contextlib.contextmanager
def _interrupting(tell: Callable[[], object]) -> Iterator[None]:
    """Signals that would raise KeyboardInterrupt call ``tell`` instead."""
    ours = [number for number in _SIGNALS if signal.getsignal(number) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, lambda *_: tell())
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.default_int_handler)
