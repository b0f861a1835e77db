"""Every response, whatever the request was sent for: status, content type, headers, body."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from conformance import sse
from conformance.checks.registry import PASSES, Context, Outcome, Undecided, Violation, check
from conformance.contract import Problem, ResponseRule, Validator
from conformance.model import NOT_SENT, Exchange, Failure, Purpose, Response

EVENT_STREAM = "text/event-stream"
_DONE = "[DONE]"
_SHOWN_PROBLEMS = 3
#: Requests that do not follow the contract: NEG-*, METHOD-* and AUTH-* say what they must not cause.
_JUDGED_ELSEWHERE = frozenset({Purpose.INVALID, Purpose.METHOD, Purpose.CREDENTIAL})
_UNJUDGED = frozenset({Purpose.METHOD})  # no operation documents an answer to a method it lacks


def unanswered(exchange: Exchange) -> Undecided | None:
    """Why an exchange says nothing of its target, when it does not."""
    if exchange.failure in NOT_SENT or exchange.failure is Failure.CONNECT:
        return Undecided(exchange.detail or f"not answered: {exchange.failure}")
    if exchange.failure is Failure.TIMEOUT and not exchange.facts.get("alive", True):
        return Undecided("the whole target had stopped answering")
    return None


def rule_of(exchange: Exchange, context: Context) -> ResponseRule | None:
    response = exchange.response
    if response is None or exchange.purpose in _UNJUDGED:
        return None
    return context.validators.response(exchange.operation, response.status)


@check("responses.status_documented")
def status_documented(exchange: Exchange, context: Context) -> Outcome:
    if exchange.response is None or exchange.purpose in _UNJUDGED:
        return None
    status = exchange.response.status
    if status >= 500:  # a failure of the server, which RESP-5XX-01 and NEG-ROBUST-01 judge
        return None
    if context.validators.response(exchange.operation, status) is not None:
        return PASSES
    documented = ", ".join(context.operation(exchange).statuses)
    return (Violation(f"status {status} is not documented (documented: {documented})", f"status-{status}"),)


@check("responses.no_server_error")
def no_server_error(exchange: Exchange, context: Context) -> Outcome:
    if exchange.purpose in _JUDGED_ELSEWHERE or exchange.response is None:
        return None
    status = exchange.response.status
    if status < 500:
        return PASSES
    if status == 501:
        return (Violation("status 501: the operation is not supported", "unsupported"),)
    return (Violation(f"status {status} on a request that follows the contract", f"status-{status}"),)


@check("responses.complete")
def complete(exchange: Exchange, context: Context) -> Outcome:
    if exchange.purpose is Purpose.INVALID:
        return None
    return _complete(exchange)


def _complete(exchange: Exchange) -> Outcome:
    if (why := unanswered(exchange)) is not None:
        return why
    if exchange.failure is None:
        return PASSES
    return (
        Violation(f"no complete response: {exchange.failure} ({exchange.detail})", str(exchange.failure)),
    )


@check("responses.content_type_documented")
def content_type_documented(exchange: Exchange, context: Context) -> Outcome:
    rule = rule_of(exchange, context)
    response = exchange.response
    if rule is None or response is None or not rule.media:
        return None
    if not response.body and not response.media_type:
        return (Violation("no body where the contract documents one", "no-body"),)
    if _media_key(rule, response.media_type) is not None:
        return PASSES
    expected = ", ".join(rule.media)
    return (
        Violation(
            f"content type {response.media_type or 'none'!r} of a {response.status}, expected {expected}",
            f"type-{response.media_type}",
        ),
    )


@check("responses.headers_valid")
def headers_valid(exchange: Exchange, context: Context) -> Outcome:
    rule = rule_of(exchange, context)
    response = exchange.response
    if rule is None or response is None or not rule.headers:
        return None
    found: list[Violation] = []
    for name, (required, validator) in rule.headers.items():
        value = response.header(name)
        if value is None:
            if required:
                found.append(Violation(f"required header {name} is missing", f"missing-{name.lower()}"))
        elif validator is not None and not any(validator.is_valid(one) for one in _readings(value)):
            found.append(Violation(f"header {name}: {value[:80]!r} is not valid", f"invalid-{name.lower()}"))
    return found


def _readings(value: str) -> list[Any]:
    """A header is text; its schema may mean a number or a truth value."""
    readings: list[Any] = [value]
    with contextlib.suppress(ValueError, RecursionError):
        readings.append(json.loads(value))
    return readings


@check("responses.body_valid")
def body_valid(exchange: Exchange, context: Context) -> Outcome:
    rule = rule_of(exchange, context)
    response = exchange.response
    if rule is None or response is None or exchange.failure is not None:
        return None
    key = _media_key(rule, response.media_type)
    if key is None:
        return None
    validator = rule.media[key]
    if validator is None:
        return PASSES
    if key == EVENT_STREAM:
        return _stream_valid(exchange, response, context)
    if not key.endswith(("/json", "+json")):  # lines of JSON are none
        return PASSES if response.body else (Violation(f"empty {key} body", "empty-body"),)
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        return (Violation(f"the body is not JSON: {error}", "not-json"),)
    if validator.is_valid(value):
        return PASSES
    return _violations(validator.problems(value), value, exchange, context, response.status, key)


def _stream_valid(exchange: Exchange, response: Response, context: Context) -> Outcome:
    validator = context.validators.event(exchange.operation)
    found: list[Violation] = []
    stream = sse.read(response.body)
    if not stream.complete:
        kind = "not UTF-8" if stream.malformed else "too large an event" if stream.exceeded else "unfinished"
        found.append(Violation(f"the stream ends inside an event ({kind})", "stream-incomplete"))
    for event in stream.events:
        if event.data == _DONE:
            continue
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError) as error:
            found.append(Violation(f"event {event.event!r} is not JSON: {error}", "event-not-json"))
            continue
        if validator is None or validator.is_valid(_event(value, event.event, validator)):
            continue
        problems = validator.problems(_event(value, event.event, validator))
        found.append(
            Violation(
                f"event {event.event or 'without name'!r} is not valid: {problems[0].message}",
                f"event-{event.event}-{_steady(problems[0].pointer)}-{problems[0].keyword}",
                tuple(str(problem.message) for problem in problems[:_SHOWN_PROBLEMS]),
            )
        )
    return found[:_SHOWN_PROBLEMS]


def _event(value: Any, name: str | None, validator: Validator) -> Any:
    """Some contracts describe the pair of event name and data, others the data alone."""
    pair = {"event": name, "data": value}
    return pair if validator.is_valid(pair) else value


def _violations(
    problems: list[Problem], value: Any, exchange: Exchange, context: Context, status: int, key: str
) -> list[Violation]:
    lenient = context.practice().response(exchange.operation, status)
    accepted = lenient.media.get(key) if lenient is not None else None
    practice = accepted is not None and accepted.is_valid(value)
    return [
        Violation(
            f"body at {problem.pointer or '/'}: {problem.message[:200]}",
            f"{_steady(problem.pointer)}-{problem.keyword}",
            (f"keyword {problem.keyword}",),
            stricter_than_practice=practice,
        )
        for problem in problems[:_SHOWN_PROBLEMS]
    ] or [Violation("the body is not valid by its schema", "schema", stricter_than_practice=practice)]


def _steady(pointer: str) -> str:
    """A pointer without array positions, so that equal faults stay equal."""
    return "/".join("*" if part.isdigit() else part for part in pointer.split("/"))


def _media_key(rule: ResponseRule, media_type: str) -> str | None:
    """The documented media type, or range, that a response falls under."""
    if media_type in rule.media:
        return media_type
    major = media_type.split("/")[0]
    return next((key for key in (f"{major}/*", "*/*") if key in rule.media and media_type), None)


def conforms(exchange: Exchange, context: Context) -> list[Violation]:
    """All that these checks hold against one exchange."""
    found: list[Violation] = []
    for judge in (
        complete,
        no_server_error,
        status_documented,
        content_type_documented,
        headers_valid,
        body_valid,
    ):
        outcome = judge(exchange, context)
        if outcome is not None and not isinstance(outcome, Undecided):
            found.extend(outcome)
    return found
