"""What a request of a given purpose must be answered with: accepted, refused, not found."""

from __future__ import annotations

from conformance import sse
from conformance.checks.registry import PASSES, Context, Outcome, Undecided, Violation, check
from conformance.checks.responses import (
    EVENT_STREAM,
    body_valid,
    conforms,
    content_type_documented,
    unanswered,
)
from conformance.model import Credential, Exchange, Failure, Purpose


def _answered(exchange: Exchange, purpose: Purpose) -> Outcome:
    """PASSES when the exchange is of this purpose and has a response; else what to say instead."""
    if exchange.purpose is not purpose:
        return None
    if (why := unanswered(exchange)) is not None:
        return why
    if exchange.response is None:
        return Undecided(f"no response: {exchange.failure} ({exchange.detail})")
    return PASSES


def _status(exchange: Exchange) -> int:
    return exchange.response.status if exchange.response is not None else 0


def succeeded(exchange: Exchange) -> bool:
    """A 2xx, or the 101 that an upgrade is answered with."""
    return _status(exchange) == 101 or 200 <= _status(exchange) < 300


@check("operations.canonical_succeeds")
def canonical_succeeds(exchange: Exchange, context: Context) -> Outcome:
    answered = _answered(exchange, Purpose.CANONICAL)
    if answered != PASSES:
        return answered
    if not succeeded(exchange):
        status = _status(exchange)
        return (
            Violation(f"status {status} on the narrowest honest request, expected 2xx", f"status-{status}"),
        )
    return conforms(exchange, context)


@check("operations.stream_answered")
def stream_answered(exchange: Exchange, context: Context) -> Outcome:
    answered = _answered(exchange, Purpose.STREAM)
    if answered != PASSES:
        return answered
    response = exchange.response
    if response is None or not succeeded(exchange):
        status = _status(exchange)
        return (Violation(f"status {status} on a request with stream: true", f"status-{status}"),)
    if response.media_type != EVENT_STREAM:
        kind = response.media_type or "none"
        return (Violation(f"content type {kind!r}, expected {EVENT_STREAM}", "not-a-stream"),)
    if not sse.parse(response.body):
        return (Violation("a stream without a single event", "no-events"),)
    return conforms(exchange, context)


@check("operations.example_accepted")
def example_accepted(exchange: Exchange, context: Context) -> Outcome:
    return _accepted(exchange, Purpose.EXAMPLE, "an example of the contract")


@check("operations.valid_accepted")
def valid_accepted(exchange: Exchange, context: Context) -> Outcome:
    return _accepted(exchange, Purpose.VALID, "a request that is valid by the contract")


def _accepted(exchange: Exchange, purpose: Purpose, what: str) -> Outcome:
    answered = _answered(exchange, purpose)
    if answered != PASSES or succeeded(exchange):
        return answered
    if _status(exchange) == 429:
        return Undecided("rate limited (429)")
    if _status(exchange) >= 500:  # RESP-5XX-01 says it
        return None
    return (Violation(f"status {_status(exchange)} on {what}, expected 2xx", f"status-{_status(exchange)}"),)


@check("negative.robust")
def robust(exchange: Exchange, context: Context) -> Outcome:
    if exchange.purpose is not Purpose.INVALID:
        return None
    if (why := unanswered(exchange)) is not None:
        return why
    note = exchange.facts.get("note", "")
    if exchange.failure is not None:
        told = f"{exchange.failure} ({exchange.detail})"
        return (
            Violation(f"no complete response to an invalid request: {told}; {note}", str(exchange.failure)),
        )
    status = _status(exchange)
    if status >= 500 or 300 <= status < 400:
        return (
            Violation(f"status {status} on an invalid request, expected 4xx; {note}", f"status-{status}"),
        )
    return PASSES


@check("negative.rejected")
def rejected(exchange: Exchange, context: Context) -> Outcome:
    answered = _answered(exchange, Purpose.INVALID)
    if answered != PASSES:
        return answered
    if succeeded(exchange):
        note = exchange.facts.get("note", "")
        return (
            Violation(f"status {_status(exchange)} on an invalid request, expected 4xx; {note}", "accepted"),
        )
    return PASSES


@check("negative.error_body")
def error_body(exchange: Exchange, context: Context) -> Outcome:
    answered = _answered(exchange, Purpose.INVALID)
    if answered != PASSES or not 400 <= _status(exchange) < 500:
        return None if answered == PASSES else answered
    response = exchange.response
    if response is None or not response.body:
        return (Violation(f"status {_status(exchange)} without an error body", "no-error-body"),)
    found: list[Violation] = []
    for judge in (content_type_documented, body_valid):
        outcome = judge(exchange, context)
        if outcome is not None and not isinstance(outcome, Undecided):
            found.extend(outcome)
    return found


@check("identity.unknown_is_not_found")
def unknown_is_not_found(exchange: Exchange, context: Context) -> Outcome:
    where = f"for an id that does not exist ({exchange.facts.get('unknown', 'path')})"
    return _refused(exchange, context, Purpose.UNKNOWN_ID, "404", where)


@check("access.absent_refused")
def absent_refused(exchange: Exchange, context: Context) -> Outcome:
    if exchange.credential is not Credential.ABSENT:
        return None
    return _refused(exchange, context, Purpose.CREDENTIAL, "401", "without a credential")


@check("access.revoked_refused")
def revoked_refused(exchange: Exchange, context: Context) -> Outcome:
    if exchange.credential is not Credential.REVOKED:
        return None
    return _refused(exchange, context, Purpose.CREDENTIAL, "401", "with a revoked credential")


def _refused(exchange: Exchange, context: Context, purpose: Purpose, expected: str, when: str) -> Outcome:
    answered = _answered(exchange, purpose)
    if answered != PASSES:
        return answered
    allowed = {expected} | ({"403"} & set(context.operation(exchange).statuses))
    if str(_status(exchange)) in allowed:
        return PASSES
    if _status(exchange) == 429:
        return Undecided("rate limited (429)")
    told = " or ".join(sorted(allowed, reverse=expected != "401"))
    return (Violation(f"status {_status(exchange)} {when}, expected {told}", f"status-{_status(exchange)}"),)


@check("methods.undocumented_refused")
def undocumented_refused(exchange: Exchange, context: Context) -> Outcome:
    answered = _answered(exchange, Purpose.METHOD)
    if answered != PASSES:
        return answered
    status = _status(exchange)
    if status in (404, 405, 501):
        return PASSES
    method = exchange.request.method
    return (
        Violation(
            f"status {status} on the undocumented method {method}, expected 405 or 404", f"status-{status}"
        ),
    )


def reached(exchange: Exchange, context: Context) -> bool:
    """Whether the exchange is a success of its operation that every check of responses accepts."""
    return (
        exchange.failure in (None, Failure.ENDLESS)
        and exchange.purpose not in (Purpose.METHOD, Purpose.INVALID)
        and succeeded(exchange)
        and all(violation.stricter_than_practice for violation in conforms(exchange, context))
    )
