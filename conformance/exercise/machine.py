"""Threads, messages and runs in any order, legal or not: what no written scenario thinks of.

A Hypothesis state machine draws the order; each rule is one request, sent at once and judged together
with all before it. What is drawn never depends on what the target answers, so a sequence can be told
again, and one that breaks a requirement is told again with ever fewer steps, until what is left is a
short story.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, rule
from hypothesis.stateful import run_state_machine_as_test as tell_at_random

from conformance.checks import Judgement
from conformance.exercise.binding import UnboundError
from conformance.exercise.jobs import STATEFUL, Done, Job
from conformance.exercise.plan import NotAllowedError, Plan
from conformance.exercise.scenarios.story import Reply, Story
from conformance.exercise.world import Made, Unprepared, World
from conformance.model import Case, Exchange, Finding, Level, Purpose, Verdict

T = TypeVar("T")
Do = Callable[[Coroutine[Any, Any, T]], T]
#: The operation each machine is reported under, and all that it sends.
MACHINES: Mapping[str, tuple[str, ...]] = {
    "createRun": (
        "createAssistant",
        "createThread",
        "deleteThread",
        "createMessage",
        "listMessages",
        "deleteMessage",
        "createRun",
        "getRun",
        "listRuns",
        "modifyRun",
        "cancelRun",
        "submitToolOuputsToRun",
        "listRunSteps",
    )
}
STRANGE = ("call_of_nobody",)
AT_REST = frozenset({"requires_action", "completed", "failed", "cancelled", "incomplete", "expired"})
REST_S = 20.0  # how long a step waits for a run to come to rest
THREADS = 2  # of one sequence, at a time
EVERY = 2  # the count back that also takes what is gone
CALLING: Mapping[str, Any] = {
    "tools": [
        {
            "type": "function",
            "function": {"name": "note", "parameters": {"type": "object", "properties": {}}},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "note"}},
}


@dataclass(frozen=True)
class Bounds:
    """How many sequences, how long, how often a failing one is told again, and seconds for it all."""

    sequences: int
    steps: int
    retellings: int
    seconds: float


BOUNDS = {
    "smoke": Bounds(2, 6, 50, 60.0),
    "standard": Bounds(6, 12, 150, 180.0),
    "deep": Bounds(40, 30, 500, 1800.0),
}


@dataclass(frozen=True)
class Explored:
    """What a machine sent; ``finding``: what its shortest failing sequence shows, told in the details."""

    done: Done
    finding: Finding | None = None


class EnoughError(BaseException):
    """Ends the exploration from within a rule; no Exception, so that Hypothesis lets it through."""


class BrokenError(Exception):
    """A sequence broke a requirement."""


@dataclass(eq=False)
class Thread:
    name: str
    story: Story
    deleted: bool = False  # that is, we asked for it


@dataclass(eq=False)
class Message:
    name: str
    thread: Thread
    id: Any = ""


@dataclass(eq=False)
class Run:
    name: str
    thread: Thread
    id: Any = ""
    calls: list[str] = field(default_factory=list)


@dataclass
class Explorer:
    """One exploration: counts its sequences, judges them as they grow, keeps the shortest that fails."""

    plan: Plan
    do: Do[Any]
    new_world: Callable[[], World]
    judge: Callable[[Sequence[Exchange]], Judgement]
    bounds: Bounds
    assistant: str
    exchanges: list[Exchange] = field(default_factory=list)
    sequences: int = 0
    retold: int = 0
    shortest: tuple[Finding, tuple[str, ...]] | None = None
    until: float = 0.0

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.bounds.seconds
        self.stopped = False  # by time, or by an interrupt
        requirements = self.plan.requirements.all
        # Those that stories are told for: what holds of any single answer, other items look after.
        self._watched = {one.id for one in requirements if one.scenarios and one.level is Level.MUST}

    def check_time(self) -> None:
        if self.plan.halt.on or time.monotonic() > self.until:
            self.stopped = True
            raise EnoughError

    def begin(self) -> World:
        self.check_time()
        self.sequences += 1
        if self.shortest is not None:
            self.retold += 1
            if self.retold > self.bounds.retellings:
                raise EnoughError
        return self.new_world()

    def end(self, worlds: Sequence[World], sent: Sequence[Exchange]) -> None:
        for world in worlds:
            self.do(world.cleanup())
        self.exchanges += sent

    def hold(self, sent: Sequence[Exchange], lines: Sequence[str]) -> None:
        """Raise BrokenError when what was sent so far breaks a requirement; always the same one."""
        for result in self.judge(sorted(sent, key=lambda exchange: exchange.started)).results:
            for finding in result.findings:
                if finding.requirement not in self._watched or finding.stricter_than_practice:
                    continue
                if self.shortest is not None and finding.fingerprint != self.shortest[0].fingerprint:
                    continue
                if self.shortest is None or len(lines) <= len(self.shortest[1]):
                    self.shortest = (finding, tuple(lines))
                raise BrokenError


#: What a step may be, the simplest first; what leads on stands there more than once.
ACTIONS = (
    *("look", "wait", "list_runs", "list_messages", "list_steps", "create_run", "create_message"),
    *("submit", "cancel", "modify", "call_function", "submit_strange", "create_thread"),
    *("look", "wait", "wait", "create_run", "call_function", "submit"),
    *("delete_message", "delete_thread"),
)


class RunMachine(RuleBasedStateMachine):
    """Any order of requests on threads, their messages and their runs.

    One rule for all of them: of many, Hypothesis leaves out most in each sequence, and in the few
    short sequences that a target can be asked to bear a run would seldom come to its end.
    """

    def __init__(self, explorer: Explorer) -> None:
        super().__init__()
        self.explorer = explorer
        self.lines: list[str] = []
        self.names: dict[str, str] = {explorer.assistant: "A"}
        self.threads: list[Thread] = []
        self.messages: list[Message] = []
        self.runs: list[Run] = []
        self.base = explorer.begin()

    def teardown(self) -> None:
        self.explorer.end([thread.story.world for thread in self.threads], self.base.exchanges)

    @rule(action=st.sampled_from(ACTIONS), which=st.integers(0, EVERY))
    def act(self, action: str, which: int) -> None:
        """One request about the newest thing it can be about, or an older one."""
        getattr(self, action)(which)

    # actions: ``which`` counts back from the newest; what there is none of is made first. What was in a
    # deleted thread is left alone by most steps, or a thread deleted early would end the sequence.

    def thread(self, which: int) -> Thread:
        found = [one for one in self.threads if which == EVERY or not one.deleted]
        if not found:
            self.create_thread(0)
            found = self.threads[-1:]
        return found[-1 - which % len(found)]

    def message(self, which: int) -> Message:
        found = [one for one in self.messages if which == EVERY or not one.thread.deleted]
        if not found:
            self.create_message(0)
            found = self.messages[-1:]
        return found[-1 - which % len(found)]

    def run(self, which: int) -> Run:
        found = [one for one in self.runs if which == EVERY or not one.thread.deleted]
        if not found:
            self.create_run(0)
            found = self.runs[-1:]
        return found[-1 - which % len(found)]

    def create_thread(self, which: int) -> None:
        if sum(not one.deleted for one in self.threads) == THREADS:
            return self.list_messages(which)
        world = self.base.child()
        graph = world.plan.graph
        for name in ("message", "run"):  # lists are read as they are: nothing is made for them first
            world.made[name] = Made(graph.resource(name), "", None)
        thread = Thread(f"T{len(self.threads) + 1}", Story(world))
        self.threads.append(thread)
        self._send(thread, "createThread", made=thread.name)
        return None

    def create_message(self, which: int) -> None:
        thread = self.thread(which)
        message = Message(f"M{len(self.messages) + 1}", thread)
        self.messages.append(message)
        message.id = self._id(self._send(thread, "createMessage", made=message.name), "msg_")

    def create_run(self, which: int, how: Mapping[str, Any] | None = None) -> None:
        thread = self.thread(which)
        run = Run(f"R{len(self.runs) + 1}", thread)
        self.runs.append(run)
        merge = {"assistant_id": self.explorer.assistant, **(how or {})}
        reply = self._send(
            thread, "createRun", made=run.name, note="function forced" if how else "", merge=merge
        )
        run.id = self._id(reply, "run_")

    def call_function(self, which: int) -> None:
        offered = self.explorer.plan.target.offers("function-tools")
        self.create_run(which, CALLING if offered else None)

    def look(self, which: int) -> None:
        run = self.run(which)
        self._see(run, self._send(run.thread, "getRun", path={"run_id": run.id}))

    def wait(self, which: int) -> None:
        """Until the run rests or is refused; each sight of it is judged."""
        run = self.run(which)
        until, pause = time.monotonic() + REST_S, 0.02
        reply = self._send(run.thread, "getRun", path={"run_id": run.id}, note="until it rests")
        while (
            reply is not None and reply.ok and reply.get("status") not in AT_REST and time.monotonic() < until
        ):
            self.explorer.do(run.thread.story.pause(pause))
            pause = min(pause * 1.5, 1.0)
            reply = self._send(run.thread, "getRun", path={"run_id": run.id}, again=True)
        self._see(run, reply)

    def list_runs(self, which: int) -> None:
        self._send(self.thread(which), "listRuns")

    def list_messages(self, which: int) -> None:
        self._send(self.thread(which), "listMessages")

    def list_steps(self, which: int) -> None:
        run = self.run(which)
        self._send(run.thread, "listRunSteps", path={"run_id": run.id})

    def modify(self, which: int) -> None:
        run = self.run(which)
        self._send(run.thread, "modifyRun", path={"run_id": run.id})

    def cancel(self, which: int) -> None:
        run = self.run(which)
        self._send(run.thread, "cancelRun", path={"run_id": run.id})

    def submit(self, which: int) -> None:
        run = self.run(which)
        self._submit(run, run.calls or STRANGE)

    def submit_strange(self, which: int) -> None:
        self._submit(self.run(which), STRANGE)

    def _submit(self, run: Run, calls: Sequence[str]) -> None:
        body = {"tool_outputs": [{"tool_call_id": one, "output": "noted"} for one in calls]}
        note = "an output nobody asked for" if calls is STRANGE else "all outputs"
        self._send(run.thread, "submitToolOuputsToRun", path={"run_id": run.id}, body=body, note=note)

    def delete_message(self, which: int) -> None:
        message = self.message(which)
        self._send(message.thread, "deleteMessage", path={"message_id": message.id})

    def delete_thread(self, which: int) -> None:
        thread = self.thread(which)
        thread.deleted = True
        self._send(thread, "deleteThread")

    # how they send

    @staticmethod
    def _id(reply: Reply | None, prefix: str) -> Any:
        """The id of what was made; where nothing was, an id that names nothing serves as well."""
        identifier = reply.get("id") if reply is not None and reply.ok else None
        return identifier if isinstance(identifier, str) else {"$unknown": prefix}

    def _see(self, run: Run, reply: Reply | None) -> None:
        calls = reply.get("required_action.submit_tool_outputs.tool_calls") if reply is not None else None
        if isinstance(calls, list) and calls:
            run.calls = [str(one.get("id")) for one in calls if isinstance(one, Mapping)]

    def _send(
        self,
        thread: Thread,
        operation: str,
        *,
        made: str = "",
        note: str = "",
        again: bool = False,
        **options: Any,
    ) -> Reply | None:
        """One step, told in a line and judged; None when it could not be sent."""
        explorer = self.explorer
        explorer.check_time()
        try:
            reply: Reply = explorer.do(thread.story.send(operation, **options))
        except (Unprepared, UnboundError, NotAllowedError) as problem:
            self.lines.append(f"{len(self.lines) + 1}. {operation} could not be sent: {problem}")
            return None
        identifier = reply.get("id")
        if made and reply.ok and isinstance(identifier, str):
            self.names[identifier] = made
        line = self._line(reply, made, note, again)
        if again:
            self.lines[-1] += "" if self.lines[-1].endswith(line) else f", then {line}"
        else:
            self.lines.append(f"{len(self.lines) + 1}. {line}")
        explorer.hold(self.base.exchanges, self.lines)
        return reply

    def _line(self, reply: Reply, made: str, note: str, again: bool) -> str:
        request = reply.exchange.request
        path = "/".join(self.names.get(part, part) for part in request.url.split("/")[3:])
        status = reply.get("status") if reply.ok else None
        answered = (
            f"{reply.status or reply.exchange.failure}{f' {status}' if isinstance(status, str) else ''}"
        )
        if again:
            return answered
        told = f" ({note})" if note else ""
        name = f" = {made}" if made and reply.ok else ""
        return f"{request.method} /{path}{told} → {answered}{name}"


def explore(
    job: Job,
    plan: Plan,
    do: Do[Any],
    new_world: Callable[[], World],
    judge: Callable[[Sequence[Exchange]], Judgement],
) -> Explored:
    """Tell sequences of a machine up to the bounds of the effort; a failing one ever shorter.

    ``do`` runs a coroutine to its end, ``new_world`` makes a world of the job's item. Everything that
    was made is removed.
    """
    lasting = new_world()
    bounds = BOUNDS[plan.effort]
    reason, explorer = "", None
    try:
        for operation in MACHINES[job.operation]:
            plan.permit(operation, Case(id="", operation=operation, purpose=Purpose.SCENARIO))
        assistant = do(lasting.make("assistant"))
        explorer = Explorer(plan, do, new_world, judge, bounds, assistant.id)
        reason = _tell(explorer, job, plan)
    except (Unprepared, UnboundError, NotAllowedError) as problem:
        reason = str(problem)
    finally:
        do(lasting.cleanup())
    sent = [*lasting.exchanges, *(explorer.exchanges if explorer is not None else ())]
    exchanges = tuple(sorted(sent, key=lambda exchange: exchange.started))
    if explorer is None:
        return Explored(Done(job, exchanges, Verdict.INCONCLUSIVE, reason, 0, 1))
    done = Done(job, exchanges, None, reason, max(explorer.sequences, 1), 1 if reason else 0)
    return Explored(done, explorer.shortest and _as_story(*explorer.shortest))


def _tell(explorer: Explorer, job: Job, plan: Plan) -> str:
    """Let Hypothesis tell sequences; why nothing can be concluded from them, if so."""
    at = int.from_bytes(
        hashlib.sha256(f"{plan.seed} {STATEFUL} {job.operation}".encode()).digest()[:8], "big"
    )

    @seed(at)
    def machine() -> RunMachine:
        return RunMachine(explorer)

    chosen = settings(
        max_examples=explorer.bounds.sequences,
        stateful_step_count=explorer.bounds.steps,
        phases=(Phase.generate, Phase.shrink),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    try:
        tell_at_random(machine, settings=chosen)  # type: ignore[arg-type]  # any factory will do
    except BrokenError:
        return ""
    except (EnoughError, Flaky) as end:
        if explorer.plan.halt.on:
            return "interrupted"
        if explorer.shortest is None and (explorer.stopped or isinstance(end, EnoughError)):
            # Hypothesis takes a sequence that we cut short for one that is answered differently.
            return f"stopped after {explorer.bounds.seconds:g} s and {explorer.sequences} sequences"
        if explorer.stopped or isinstance(end, EnoughError):
            return ""
        # What was seen was seen, and stays judged; it only cannot be made shorter with confidence.
        return "the same sequence was answered differently when told again"
    return ""


def _as_story(finding: Finding, lines: tuple[str, ...]) -> Finding:
    told = [*finding.details, "the shortest sequence that shows it:", *lines]
    return replace(finding, details=tuple(told))
