"""The checks of runs and lives on exchanges made by hand: what they must see, and what they must not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from conformance.checks import known_checks
from conformance.checks.registry import Context, Undecided
from conformance.checks.run_echo import same_model, same_tools
from conformance.contract import load_contract, validators
from conformance.contract.lifecycles import packaged_lifecycles
from conformance.model import Credential, Exchange, Purpose, Request, Response

PATHS = {
    "createRun": ("POST", "/threads/thread_1/runs"),
    "getRun": ("GET", "/threads/thread_1/runs/run_1"),
    "listRuns": ("GET", "/threads/thread_1/runs"),
    "cancelRun": ("POST", "/threads/thread_1/runs/run_1/cancel"),
    "submitToolOuputsToRun": ("POST", "/threads/thread_1/runs/run_1/submit_tool_outputs"),
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def context() -> Context:
    contract = load_contract("portkey")
    found = validators(contract)
    return Context(contract, found, lambda: found)


def run(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "object": "thread.run",
        "id": "run_1",
        "thread_id": "thread_1",
        "status": status,
        "created_at": 1_700_000_000,
        **fields,
    }


def exchange(
    operation: str,
    started: float,
    ended: float,
    answer: Any,
    *,
    status: int = 200,
    sent: Any = None,
    date: str = "",
    facts: Mapping[str, Any] | None = None,
) -> Exchange:
    method, path = PATHS[operation]
    headers = (("content-type", "application/json"), *((("date", date),) if date else ()))
    body = json.dumps(sent).encode() if sent is not None else b""
    return Exchange(
        id=f"x{next(_numbers)}",
        item="item",
        operation=operation,
        purpose=Purpose.SCENARIO,
        credential=Credential.OWNER,
        request=Request(method, f"http://gateway/v1{path}", (), body),
        started=started,
        ended=ended,
        response=Response(status, headers, json.dumps(answer).encode()),
        facts=facts or {},
    )


def seen(*statuses: str) -> list[Exchange]:
    """One read after another, each answered with a status."""
    return [exchange("getRun", at, at + 0.5, run(status)) for at, status in enumerate(statuses)]


def violations(name: str, exchanges: Sequence[Exchange], context: Context) -> list[str]:
    return [
        violation.kind
        for _, outcome in known_checks()[name](exchanges, context)
        if outcome is not None and not isinstance(outcome, Undecided)
        for violation in outcome
    ]


def judged(name: str, exchanges: Sequence[Exchange], context: Context) -> int:
    return sum(outcome is not None for _, outcome in known_checks()[name](exchanges, context))


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ("follows", ("in_progress", "queued")),
        ("follows", ("queued", "cancelling")),
        ("absorbs", ("completed", "in_progress")),
        ("absorbs", ("expired", "completed")),
        ("waits", ("requires_action", "completed")),
        ("waits", ("requires_action", "queued")),
        ("winds_down", ("cancelling", "in_progress")),
    ],
)
def test_a_step_that_is_not_documented_is_found(
    rule: str, statuses: tuple[str, str], context: Context
) -> None:
    """Each of these pairs must be found, under its own rule and no other."""
    pair = seen(*statuses)
    for name in ("follows", "absorbs", "waits", "winds_down"):
        expected = [f"{statuses[0]}-{statuses[1]}"] if name == rule else []
        assert violations(f"lifecycle.run.{name}", pair, context) == expected


def test_statuses_that_nobody_saw_may_have_been_passed(context: Context) -> None:
    """Polling skips states: queued then incomplete, or requires_action then expired, is honest."""
    assert violations("lifecycle.run.follows", seen("queued", "incomplete"), context) == []
    assert violations("lifecycle.run.follows", seen("queued", "requires_action"), context) == []
    assert violations("lifecycle.run.waits", seen("requires_action", "expired"), context) == []


def test_overlapping_exchanges_prove_no_order(context: Context) -> None:
    """A slow read that began before a fast one ended must not be held against the target."""
    slow = exchange("getRun", 0.0, 5.0, run("in_progress"))
    fast = exchange("getRun", 1.0, 2.0, run("completed"))
    assert judged("lifecycle.run.absorbs", [slow, fast], context) == 0
    late = exchange("getRun", 2.0, 3.0, run("in_progress"))
    assert violations("lifecycle.run.absorbs", [slow, fast, late], context) == ["completed-in_progress"]


def test_sights_are_compared_past_one_that_overlaps_both(context: Context) -> None:
    """An overlapping sight between two others must not hide that the second contradicts the first."""
    first = exchange("getRun", 0.0, 1.0, run("completed"))
    between = exchange("getRun", 0.5, 2.5, run("completed"))
    last = exchange("getRun", 2.0, 3.0, run("in_progress"))
    assert violations("lifecycle.run.absorbs", [first, between, last], context) == ["completed-in_progress"]


def submit(started: float, status: int) -> Exchange:
    """A submit whose answer shows nothing of the run."""
    return exchange("submitToolOuputsToRun", started, started + 0.1, {}, status=status)


def test_only_a_submit_that_may_have_been_accepted_lets_a_waiting_run_go_on(context: Context) -> None:
    """Accepted, or failed without a clear no: honest. Refused, or after the sight: not."""
    waiting, done = seen("requires_action", "completed")
    name = "lifecycle.run.waits"
    for between in (submit(0.6, 200), submit(0.6, 503)):
        assert violations(name, [waiting, between, done], context) == []
        assert violations("lifecycle.run.follows", [waiting, between, done], context) == []
    assert violations(name, [waiting, submit(0.6, 400), done], context) == ["requires_action-completed"]
    assert violations(name, [waiting, done, submit(2.0, 200)], context) == ["requires_action-completed"]


def test_a_run_that_was_cancelled_may_complete_all_the_same(context: Context) -> None:
    """Cancelling is attempted, not guaranteed."""
    waiting, done = seen("requires_action", "completed")
    cancel = exchange("cancelRun", 0.6, 0.7, run("cancelling"))
    for rule in ("waits", "follows", "winds_down"):
        assert violations(f"lifecycle.run.{rule}", [waiting, cancel, done], context) == []


def test_an_absent_field_counts_as_null(context: Context) -> None:
    """A list that leaves out what a read shows as null must not be said to differ."""
    read = exchange("getRun", 0, 1, run("completed", last_error=None, temperature=1))
    listed = exchange("listRuns", 2, 3, {"object": "list", "data": [run("completed", temperature=1.0)]})
    assert violations("lifecycle.run.frozen", [read, listed], context) == []
    assert violations("lifecycle.run.fields.no_error", [read, listed], context) == []


def test_metadata_may_change_after_the_end_and_nothing_else(context: Context) -> None:
    """modifyRun works on runs that have ended."""
    before = exchange("getRun", 0, 1, run("completed", metadata={}, usage=None))
    after = exchange("getRun", 2, 3, run("completed", metadata={"a": "b"}, usage={"total_tokens": 1}))
    assert violations("lifecycle.run.frozen", [before, after], context) == ["changed-usage"]


@pytest.mark.parametrize(
    ("wanted", "shown", "equal"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "@openai/gpt-4o", True),
        ("@openai/gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4omni", False),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o", None, False),
    ],
)
def test_a_model_is_the_same_with_prefix_and_date(wanted: str, shown: Any, equal: bool) -> None:
    """A provider's prefix and a date are honest, another model is not."""
    assert same_model(wanted, shown) is equal


def test_tools_are_the_same_with_what_a_server_fills_in() -> None:
    """Order and defaults do not matter; a lost or changed tool does."""
    wanted = [{"type": "file_search"}, {"type": "function", "function": {"name": "f", "parameters": {}}}]
    filled = [
        {"type": "function", "function": {"name": "f", "parameters": {}, "strict": False}},
        {"type": "file_search", "file_search": {"max_num_results": 20}},
    ]
    assert same_tools(wanted, filled)
    assert not same_tools(wanted, filled[:1])
    other = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert not same_tools(wanted, [filled[1], other])


def test_a_cancel_refused_since_the_run_had_ended_is_honest(context: Context) -> None:
    """Seen in progress, refused, and then seen completed: a race. Seen in progress again: not."""
    (work,) = seen("in_progress")
    refused = exchange("cancelRun", 1, 2, {"error": {}}, status=400)
    name = "run_commands.cancel_at_work"
    done = exchange("getRun", 3, 4, run("completed"))
    assert judged(name, [work, refused, done], context) == 0
    still = exchange("getRun", 3, 4, run("in_progress"))
    assert violations(name, [work, refused, still], context) == ["cancel-refused"]


def test_times_are_compared_by_the_clock_of_the_server(context: Context) -> None:
    """A run created about now by the server's own date is honest, whatever our clock says."""
    now = "Tue, 14 Nov 2023 22:13:20 GMT"  # 1700000000
    fine = exchange("createRun", 0, 1, run("queued"), date=now, sent={})
    assert violations("runs.times_are_seconds", [fine], context) == []
    hour = exchange("createRun", 0, 1, run("queued", created_at=1_700_003_600), date=now, sent={})
    assert violations("runs.times_are_seconds", [hour], context) == ["seconds-queued"]
    late = run("in_progress", expires_at=1_699_999_000)
    assert violations("runs.expires_in_time", [exchange("getRun", 0, 1, late, date=now)], context) == [
        "late-in_progress"
    ]


HOSTILE: Sequence[Any] = (
    run("requires_action", required_action={"submit_tool_outputs": {"tool_calls": ["x", None, {"id": []}]}}),
    run("completed", usage={"prompt_tokens": True, "completion_tokens": "1"}, created_at=[], tools="none"),
    {**run("queued"), "status": ["queued"], "expires_at": {}, "metadata": 7, "thread_id": None},
    {"object": "list", "data": [None, 7, {"object": "thread.run"}, run("failed", last_error="no")]},
    {"object": "list", "data": {"a": 1}},
    [],
    None,
)


def test_no_check_of_runs_is_thrown_by_hostile_values(context: Context) -> None:
    """Fields of any type, in any place, must be judged or passed over."""
    sent = {
        "assistant_id": [],
        "tools": [7, {"type": []}],
        "metadata": {"a": 1},
        "tool_outputs": [None, {"tool_call_id": {}}],
        "additional_messages": [7],
        "additional_instructions": "x",
        "thread": {"messages": 3, "metadata": []},
        "truncation_strategy": [],
        "tool_choice": {"type": "function", "function": 7},
        "response_format": {"type": "json_object"},
    }
    exchanges = [
        exchange(operation, at, at + 0.5, value, sent=sent, facts={"about": ["RUN-MD-01"], "grace": "x"})
        for at, (operation, value) in enumerate(itertools.product(PATHS, HOSTILE))
    ]
    for name, check in known_checks().items():
        if name.startswith(("runs.", "run_echo.", "run_commands.", "lifecycle.")):
            list(check(exchanges, context))


def test_every_machine_closes_over_its_own_states() -> None:
    """A terminal status that could be left without a command, or a status nothing leads to, is a slip."""
    for machine in packaged_lifecycles().values():
        free = {status: machine.reachable(status) for status in machine.states}
        for status in machine.terminal:
            assert free[status] == {status}, (machine.name, status)
        commands = {one.operation for one in machine.unlocks}
        begun = machine.begins_in or (machine.states - machine.terminal)
        assert machine.states == {
            status for first in begun for status in machine.reachable(first, commands)
        }, machine.name
