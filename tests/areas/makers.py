"""Exchanges made by hand, for checks that must be told apart case by case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from conformance.checks.registry import Context, Undecided, get_check
from conformance.contract import Contract, validators
from conformance.model import Credential, Exchange, Purpose, Request, Response

JSON = (("content-type", "application/json"),)
EVENTS = (("content-type", "text/event-stream"),)


def exchange(
    contract: Contract,
    operation: str,
    answer: Any = None,
    *,
    at: float,
    until: float | None = None,
    status: int = 200,
    body: Any = None,
    query: str = "",
    about: Sequence[str] = (),
    **path: str,
) -> Exchange:
    """An exchange from ``at`` to ``until`` (seconds); bytes are sent back as they are."""
    known = contract.operation(operation)
    url = "https://gateway.invalid/v1" + known.path.format(**path) + (f"?{query}" if query else "")
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    headers = EVENTS if isinstance(answer, bytes) and answer.startswith(b"event:") else JSON
    return Exchange(
        id=f"{operation}-{at}",
        item="by hand",
        operation=operation,
        purpose=Purpose.SCENARIO,
        credential=Credential.OWNER,
        request=Request(known.method, url, JSON, json.dumps(body).encode() if body is not None else b""),
        started=at,
        ended=at + 0.5 if until is None else until,
        response=Response(status, headers, content),
        facts={"about": list(about)} if about else {},
    )


def stream(*events: tuple[str, Any]) -> bytes:
    """Events as they go over the wire."""
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events)


def context_of(contract: Contract) -> Context:
    return Context(contract, validators(contract), lambda: validators(contract))


def verdicts(name: str, exchanges: Sequence[Exchange], contract: Contract) -> dict[str, bool | None]:
    """By exchange id: does it hold? None: it was to be judged and could not be."""
    found: dict[str, bool | None] = {}
    for one, outcome in get_check(name)(exchanges, context_of(contract)):
        if isinstance(outcome, Undecided):
            found.setdefault(one.id, None)
        elif outcome is not None:
            found[one.id] = bool(found.get(one.id, True)) and not outcome
    return found
