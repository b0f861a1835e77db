"""The breaker tells a dead target from a slow operation; the pacer and Retry-After stay in bounds."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest

from conformance.target.budget import Breaker, Budget, Pacer, retry_seconds
from conformance.target.profile import Limits, Pace


def _fail(breaker: Breaker, operation: str, *, connect: bool = False, at: float = 0.0) -> None:
    breaker.failure(operation, "no answer", connect=connect, started=at, now=at + 1)


def test_eight_failures_in_a_row_open_it_seven_do_not() -> None:
    """The threshold is exact, and one answer starts the count again."""
    breaker = Breaker()
    for _ in range(7):
        _fail(breaker, "a", connect=True)
    assert breaker.refuses("a") is None
    breaker.success("a")
    for _ in range(7):
        _fail(breaker, "a", connect=True)
    assert breaker.refuses("a") is None
    _fail(breaker, "a", connect=True)
    assert breaker.refuses("b")


def test_it_stays_open() -> None:
    """A late answer to what was in flight does not send the rest after it."""
    breaker = Breaker()
    for _ in range(8):
        _fail(breaker, "a", connect=True)
    breaker.success("a")
    assert breaker.refuses("a")


def test_timeouts_of_one_operation_close_that_one() -> None:
    """On a target that answers others, one slow operation is only itself; three of them are the target."""
    breaker = Breaker()
    breaker.success("quick")
    for _ in range(8):
        _fail(breaker, "slow")
    assert breaker.refuses("slow")
    assert breaker.refuses("quick") is None
    _fail(breaker, "second")
    assert breaker.refuses("quick") is None
    _fail(breaker, "third")
    assert breaker.refuses("quick")


def test_a_target_that_never_answers_has_twenty_seconds() -> None:
    """Even one at a time: silence from the start ends within the bound of a smoke execution."""
    breaker = Breaker()
    _fail(breaker, "a", at=0.0)
    assert breaker.refuses("b") is None
    breaker.failure("b", "no answer", connect=False, started=11.0, now=21.0)
    assert breaker.refuses("c")


def test_cleanups_have_a_few_trials_and_more_once_one_succeeds() -> None:
    """Cleanup is not endless on a dead target, and not given up on one that came back."""
    breaker = Breaker()
    for _ in range(8):
        _fail(breaker, "a", connect=True)
    assert [breaker.refuses("x", cleanup=True) is None for _ in range(4)] == [True, True, True, False]
    breaker.success("x")
    assert breaker.refuses("x", cleanup=True) is None
    assert breaker.refuses("x")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 0.5 ", 0.5),
        ("0", 0.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("-5", None),
        ("1e5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Both forms of the header are read; anything else is no wait."""
    assert retry_seconds(value, 1_000_000.0) == seconds


def test_waits_are_bounded_one_by_one_and_together() -> None:
    """Neither one long wait nor many short ones stall an execution."""
    now = [100.0]
    pacer = Pacer(Pace(max_wait=10, max_total_wait=15), clock=lambda: now[0])
    assert not pacer.pause("11")
    assert pacer.pause("10")
    assert pacer.pause("10")  # the same ten seconds, asked for by another answer
    now[0] = 110.0
    assert not pacer.pause("6")
    assert pacer.pause("5")


def test_usage_is_found_where_answers_carry_it() -> None:
    """JSON answers, event streams and responses objects count; lists and nonsense do not."""
    budget = Budget(Limits(tokens=1))
    one = {"id": "chatcmpl-1", "usage": {"total_tokens": 5}}
    budget.count_tokens("application/json", json.dumps(one).encode())
    assert budget.tokens == 5
    budget.count_tokens("application/json", json.dumps({"data": [one]}).encode())
    budget.count_tokens("application/json", b'{"usage": {"total_tokens": "many"}}')
    budget.count_tokens("application/json", b'{"usage": {"total_tokens": -5}}')
    budget.count_tokens("application/json", b"total_tokens" + b"[" * 100_000)
    budget.count_tokens("application/json", json.dumps(one).encode())
    assert budget.tokens == 5
    inner = {"response": {**one, "id": "resp_1"}}
    stream = f"data: {json.dumps(one)}\n\ndata: [DONE]\n\ndata: {json.dumps(inner)}\n\n"
    budget.count_tokens("text/event-stream", stream.encode())
    assert budget.tokens == 10
    assert budget.used_up(0.0) == "budget of 1 tokens used up (10 spent)"
