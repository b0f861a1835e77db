"""What checks of inference share: a question beside its answer, forms read back, refusals awaited."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from conformance.checks.objects import answer, asked, succeeded
from conformance.checks.registry import PASSES, Context, Outcome, Undecided, Violation, check
from conformance.model import Exchange, Purpose

#: Requests meant to be taken at their word; what an invalid one is answered with proves nothing here.
HONEST = frozenset(
    {
        Purpose.CANONICAL,
        Purpose.EXAMPLE,
        Purpose.VALID,
        Purpose.STREAM,
        Purpose.SCENARIO,
        Purpose.PREPARE,
    }
)
Record = Mapping[str, Any]
Problem = tuple[str, str]  # (kind, message)
Findings = Iterable[Problem] | Undecided | None
EMPTY: Record = {}


def mapping(value: Any) -> Record:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else EMPTY


def sequence_of(value: Any) -> Sequence[Any]:
    """The value when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else ()


def records(value: Any) -> list[Record]:
    """The objects of a JSON array."""
    return [one for one in sequence_of(value) if isinstance(one, Mapping)]


def integer(value: Any) -> int | None:
    """A whole number, also written as text (as forms do); None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A number; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def wanted(question: Record, default: int = 1) -> int:
    """How many answers a question asks for: its ``n``."""
    n = integer(question.get("n"))
    return default if n is None else n


def status_of(exchange: Exchange) -> int:
    return exchange.response.status if exchange.response is not None else 0


def question(exchange: Exchange) -> Record:
    """What a request asked: its JSON object, or the fields of its form (repeated ones as lists)."""
    value = asked(exchange)
    if isinstance(value, Mapping):
        return value
    sent = {name.lower(): text for name, text in exchange.request.headers}.get("content-type", "")
    if not sent.lower().startswith("multipart/form-data"):
        return EMPTY
    return form(sent, exchange.request.body)


def form(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a multipart form: text as text, files as bytes, ``name[]`` always as a list."""
    try:
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
        message = BytesParser(policy=HTTP).parsebytes(head + body)
        parts = list(message.iter_parts())
    except (ValueError, LookupError, AttributeError, TypeError):
        return {}
    found: dict[str, Any] = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            continue
        value: Any = payload if part.get_filename() is not None else payload.decode("utf-8", "replace")
        if name.endswith("[]"):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def honest(exchange: Exchange, *operations: str) -> bool:
    """Whether an exchange of these operations was meant to be taken; what had to be refused says no more."""
    taken = exchange.purpose in HONEST and exchange.facts.get("expect") != "refused"
    return taken and exchange.operation in operations


def told(exchange: Exchange, *operations: str) -> tuple[Record, Record] | None:
    """Question and answer of an honest, successful exchange that was answered by one JSON object."""
    if not honest(exchange, *operations) or not succeeded(exchange):
        return None
    value = answer(exchange)
    return (question(exchange), value) if isinstance(value, Mapping) else None


def refused(exchange: Exchange) -> bool:
    """A 4xx that is no matter of pace."""
    return 400 <= status_of(exchange) < 500 and status_of(exchange) != 429


def violations(problems: Findings) -> Outcome:
    """What a predicate says, as the outcome of a check."""
    if problems is None or isinstance(problems, Undecided):
        return problems
    return tuple(Violation(message, kind) for kind, message in problems)


Predicate = Callable[[Record, Record], Findings]


def answers(name: str, *operations: str) -> Callable[[Predicate], Predicate]:
    """Register a predicate over (question, answer) as the check ``name``."""

    def register(function: Predicate) -> Predicate:
        @check(name)
        def judge(exchange: Exchange, context: Context) -> Outcome:
            found = told(exchange, *operations)
            return None if found is None else violations(function(*found))

        return function

    return register


def must_refuse(name: str, *operations: str) -> Callable[[Callable[[Record], str]], Callable[[Record], str]]:
    """Register a predicate over questions: the reason why one must be refused, empty when it need not."""

    def register(function: Callable[[Record], str]) -> Callable[[Record], str]:
        @check(name)
        def judge(exchange: Exchange, context: Context) -> Outcome:
            if exchange.operation not in operations or exchange.purpose not in HONEST:
                return None
            why = function(question(exchange))
            return refusal(exchange, why) if why else None

        return function

    return register


def refusal(exchange: Exchange, why: str) -> Outcome:
    """PASSES for a 4xx, a violation for any success; a failing server is for others to judge."""
    status = status_of(exchange)
    if status == 0:
        return Undecided(exchange.detail or f"not answered: {exchange.failure}")
    if status == 429:
        return Undecided("rate limited (429)")
    if 400 <= status < 500:
        return PASSES
    if status >= 500:
        return None
    return (Violation(f"status {status} on {why}, expected a 4xx", "accepted"),)


def same_model(asked_for: str, named: str) -> bool:
    """Whether an answer names the model asked for: prefixes of providers and dated versions are fine."""
    first, second = (one.lower().strip().rpartition("/")[2] for one in (asked_for, named))
    return first == second or first.startswith(second) or second.startswith(first)


def plain_usage(value: Record) -> Record | None:
    """The ``usage`` of an answer with all three counts whole numbers; None otherwise."""
    usage = mapping(value.get("usage"))
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return usage if all(integer(usage.get(one)) is not None for one in names) else None


def sums_up(value: Record) -> Findings:
    """``total_tokens`` is the sum of the other two; nothing is said of an answer without usage."""
    usage = plain_usage(value)
    if usage is None:
        return None
    prompt, completion, total = (usage[one] for one in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if total == prompt + completion:
        return ()
    return [("sum", f"usage.total_tokens is {total}, expected {prompt} + {completion}")]


def stops(value: Any) -> list[str]:
    """The stop sequences of a question: one, several, or none."""
    given = [value] if isinstance(value, str) else sequence_of(value)
    return [one for one in given if isinstance(one, str) and one]


def indexes(choices: Sequence[Record], expected: int, what: str) -> Iterable[Problem]:
    """There are as many as expected, each index from 0 on stands there once."""
    if len(choices) != expected:
        yield "count", f"{len(choices)} {what}, expected {expected}"
        return
    found = [one.get("index") for one in choices]
    if sorted(map(str, found)) != sorted(map(str, range(expected))):
        yield "index", f"indexes {found[:8]}, expected each of 0 to {expected - 1} once"
