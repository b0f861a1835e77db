"""Run objects: what each sight of one must hold, and when it was made and ended.

What the machine in ``lifecycles.yaml`` can say is said there; here is what takes arithmetic or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from conformance.checks.objects import View, views
from conformance.checks.paths import path_values
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, sequence
from conformance.model import Exchange

RUN = "thread.run"
CREATES = frozenset({"createRun", "createThreadAndRun"})
ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
ACTIVE = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
SKEW_S = 300  # two clocks of one deployment may differ by so much
GRACE_S = 60.0  # a run may be seen at work so long after its expiry
MILLISECONDS_FROM = 10**11

TIMES = ("created_at", "started_at", "expires_at", "completed_at", "failed_at", "cancelled_at")
ENDS = ("completed_at", "failed_at", "cancelled_at")

#: What is wrong with a run; empty when nothing is, None when the rule does not speak of it.
Verdict = str | None


def number(value: Any) -> float | None:
    """A JSON number; a truth value is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def part(value: Any, *names: str) -> Any:
    """A field of nested objects; None where it leads nowhere."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def pending_calls(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool calls a run waits for."""
    calls = part(run.get("required_action"), "submit_tool_outputs", "tool_calls")
    return [one for one in calls if isinstance(one, Mapping)] if isinstance(calls, list) else []


def status_of(run: Mapping[str, Any]) -> str:
    """The status a run shows; empty where it shows none."""
    found = run.get("status")
    return found if isinstance(found, str) else ""


def call_ids(run: Mapping[str, Any]) -> list[str]:
    return [one["id"] for one in pending_calls(run) if isinstance(one.get("id"), str)]


def clock(exchange: Exchange) -> float | None:
    """The server's own time when it answered, Unix seconds; None when it does not say."""
    told = exchange.response.header("date") if exchange.response is not None else None
    try:
        return parsedate_to_datetime(told).timestamp() if told else None
    except (ValueError, TypeError, OverflowError):
        return None


# of one sight


def _action(run: Mapping[str, Any]) -> Verdict:
    if run.get("status") != "requires_action":
        return None
    kind = part(run.get("required_action"), "type")
    if kind != "submit_tool_outputs":
        return f"required_action.type is {kind!r}, expected 'submit_tool_outputs'"
    return "" if pending_calls(run) else "required_action names no tool call"


def _error(run: Mapping[str, Any]) -> Verdict:
    if run.get("status") != "failed":
        return None
    error = run.get("last_error")
    code, message = part(error, "code"), part(error, "message")
    if code not in ("server_error", "rate_limit_exceeded", "invalid_prompt"):
        return f"last_error.code is {code!r} in a failed run"
    return "" if isinstance(message, str) and message else "last_error.message says nothing"


def _incomplete(run: Mapping[str, Any]) -> Verdict:
    if run.get("status") != "incomplete":
        return None
    reason = part(run.get("incomplete_details"), "reason")
    if reason in ("max_completion_tokens", "max_prompt_tokens"):
        return ""
    return f"incomplete_details.reason is {reason!r} in an incomplete run"


def _limit_was_set(run: Mapping[str, Any]) -> Verdict:
    reason = part(run.get("incomplete_details"), "reason")
    if run.get("status") != "incomplete" or not isinstance(reason, str):
        return None
    return f"incomplete for {reason}, which was not set" if run.get(reason) is None else ""


def _usage_sum(run: Mapping[str, Any]) -> Verdict:
    usage = run.get("usage")
    if not isinstance(usage, Mapping):
        return None
    prompt, written, total = (
        number(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if prompt is None or written is None or total is None:
        return "usage holds no three counts"
    if min(prompt, written, total) < 0:
        return "usage holds a negative count"
    return "" if prompt + written == total else f"usage: {prompt} + {written} is not {total}"


def _within_caps(run: Mapping[str, Any]) -> Verdict:
    if run.get("status") != "completed":
        return None
    said: Verdict = None
    for cap, count in (
        ("max_prompt_tokens", "prompt_tokens"),
        ("max_completion_tokens", "completion_tokens"),
    ):
        most, used = number(run.get(cap)), number(part(run.get("usage"), count))
        if most is not None and used is not None:
            if used > most:
                return f"completed with {used} {count}, {cap} is {most}"
            said = ""
    return said


def _one_call(run: Mapping[str, Any]) -> Verdict:
    if run.get("status") != "requires_action" or run.get("parallel_tool_calls") is not False:
        return None
    count = len(pending_calls(run))
    return f"{count} tool calls at once, parallel_tool_calls is false" if count > 1 else ""


def _calls_known(run: Mapping[str, Any]) -> Verdict:
    calls = pending_calls(run)
    if run.get("status") != "requires_action" or not calls:
        return None
    tools = run.get("tools")
    names = [part(tool, "function", "name") for tool in tools] if isinstance(tools, list) else []
    for call in calls:
        name, arguments = part(call, "function", "name"), part(call, "function", "arguments")
        if not isinstance(name, str) or name not in names:
            return f"a tool call names {name!r}, which is no function of the run"
        if not isinstance(arguments, str):
            return f"the arguments of a tool call are {type(arguments).__name__}, expected text"
    ids = call_ids(run)
    return "" if len(set(ids)) == len(calls) else "tool calls without ids of their own"


def _times_in_order(run: Mapping[str, Any]) -> Verdict:
    created, started = number(run.get("created_at")), number(run.get("started_at"))
    ends = [(name, value) for name in ENDS if (value := number(run.get(name))) is not None]
    if created is None or (started is None and not ends):
        return None
    if started is not None and started < created - 1:
        return f"started_at {started} lies before created_at {created}"
    since = created if started is None else started
    for name, value in ends:
        if value < since - 1:
            return f"{name} {value} lies before {since}"
    return ""


def _expiry_ahead(run: Mapping[str, Any]) -> Verdict:
    if status_of(run) not in ACTIVE:
        return None
    expires, created = number(run.get("expires_at")), number(run.get("created_at"))
    if expires is None:
        return f"expires_at is {run.get('expires_at')!r} while the run is {run.get('status')}"
    if created is not None and expires <= created:
        return f"expires_at {expires} is not after created_at {created}"
    return ""


_OF_ONE: Mapping[str, Callable[[Mapping[str, Any]], Verdict]] = {
    "runs.action_says_what": _action,
    "runs.error_says_why": _error,
    "runs.incomplete_says_why": _incomplete,
    "runs.limit_was_set": _limit_was_set,
    "runs.usage_adds_up": _usage_sum,
    "runs.usage_within_caps": _within_caps,
    "runs.one_call_at_a_time": _one_call,
    "runs.calls_known_functions": _calls_known,
    "runs.times_in_order": _times_in_order,
    "runs.expiry_ahead": _expiry_ahead,
}


def outcome(view: View, said: str, name: str) -> Outcome:
    """What a rule says of a sight, as the outcome of a check."""
    status = view.value.get("status")
    return (Violation(f"run {view.id}: {said}", f"{name}-{status}"),) if said else PASSES


def _register(name: str, rule: Callable[[Mapping[str, Any]], Verdict]) -> None:
    @sequence(name)
    def over(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        for view in views(exchanges, RUN):
            if (said := rule(view.value)) is not None:
                yield view.exchange, outcome(view, said, name)


for _name, _rule in _OF_ONE.items():
    _register(_name, _rule)


# with a clock


@sequence("runs.times_are_seconds")
def times_are_seconds(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Whole Unix seconds; of a run just created, also about now by the server's own clock."""
    for view in views(exchanges, RUN):
        said = ""
        for name in TIMES:
            value = view.value.get(name)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MILLISECONDS_FROM:
                said = f"{name} is {value!r:.40}, expected Unix seconds"
        now, created = clock(view.exchange), number(view.value.get("created_at"))
        if not said and view.exchange.operation in CREATES and now is not None and created is not None:
            took = view.exchange.ended - view.exchange.started
            if not now - took - SKEW_S <= created <= now + took + SKEW_S:
                said = f"created_at is {created}, created at {now:.0f}"
        yield view.exchange, outcome(view, said, "seconds")


@sequence("runs.started_later")
def started_later(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for view in views(exchanges, RUN):
        if view.exchange.operation in CREATES and view.value.get("status") == "queued":
            started = view.value.get("started_at")
            said = "" if started is None else f"queued at its creation, started_at is {started!r:.40}"
            yield view.exchange, outcome(view, said, "started")


@sequence("runs.expired_in_time")
def expired_in_time(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for view in views(exchanges, RUN):
        if view.value.get("status") != "expired":
            continue
        expires, now = number(view.value.get("expires_at")), clock(view.exchange)
        said = ""
        if expires is None:
            said = "expired without expires_at"
        elif now is not None and expires > now + GRACE_S:
            said = f"expired {expires - now:.0f} s before expires_at"
        yield view.exchange, outcome(view, said, "expired")


@sequence("runs.expires_in_time")
def expires_in_time(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """No run is at work long after its expiry. A step may say in ``grace`` (seconds) how long is long."""
    for view in views(exchanges, RUN):
        expires, now = number(view.value.get("expires_at")), clock(view.exchange)
        if view.value.get("status") not in ("queued", "in_progress") or expires is None or now is None:
            continue
        grace = number(view.exchange.facts.get("grace"))
        late = now - expires - (GRACE_S if grace is None else grace)
        told = f"still {view.value.get('status')} {now - expires:.0f} s after expires_at"
        yield view.exchange, outcome(view, told if late > 0 else "", "late")


@sequence("runs.cancelling_ends")
def cancelling_ends(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Steps say in ``since_cancel`` how long ago (seconds) the cancel was answered, and in ``within`` how
    long that may take."""
    for view in views(exchanges, RUN):
        since = number(view.exchange.facts.get("since_cancel"))
        within = number(view.exchange.facts.get("within"))
        if since is None or within is None:
            continue
        if status_of(view.value) in ENDED:
            yield view.exchange, PASSES
        elif since >= within:
            said = f"still {view.value.get('status')!r} {since:.0f} s after the cancel was accepted"
            yield view.exchange, outcome(view, said, "cancelling")


# identity


@sequence("runs.answers_what_was_asked")
def answers_what_was_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """The run and thread of the path are those of the answer."""
    for view in views(exchanges, RUN):
        path = path_values(view.exchange, context)
        said = [
            f"{field} is {view.value.get(field)!r:.60}, the path says {path[name]!r:.60}"
            for name, field in (("run_id", "id"), ("thread_id", "thread_id"))
            if name in path and view.value.get(field) != path[name]
        ]
        if path:
            yield view.exchange, outcome(view, "; ".join(said), "other")


@sequence("runs.ids_unique")
def ids_unique(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    known: dict[str, str] = {}
    for view in views(exchanges, RUN):
        if view.exchange.operation not in CREATES:
            continue
        first = known.setdefault(view.id, view.exchange.id)
        said = "" if first == view.exchange.id else f"the id of another run (exchange {first})"
        yield view.exchange, outcome(view, said, "id")
