"""Exchanges made by hand, for checks that must be told apart case by case."""

from __future__ import annotations

import dataclasses
import json
import random
import re
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


# What no check may stumble over

ODD: tuple[Any, ...] = (None, 0, -1, 1.5, True, "", "other", [], {}, [None], [[]], {"a": {}}, [{"id": []}])
ROUNDS = 12


def spoil(exchanges: Sequence[Exchange], checks: Sequence[str], contract: Contract) -> None:
    """Run checks over recorded exchanges of which parts are replaced by odd values: none may raise."""
    chance, context = random.Random(7), context_of(contract)
    for item in sorted({one.item for one in exchanges}):
        mine = [one for one in exchanges if one.item == item]
        for _ in range(ROUNDS):
            spoiled = [_spoiled(one, chance) for one in mine]
            for check in checks:
                for _, outcome in get_check(check)(spoiled, context):
                    assert outcome is None or isinstance(outcome, Sequence | Undecided)


def _spoiled(one: Exchange, chance: random.Random) -> Exchange:
    request = dataclasses.replace(one.request, body=_body(one.request.body, chance))
    response = one.response and dataclasses.replace(one.response, body=_body(one.response.body, chance))
    return dataclasses.replace(one, request=request, response=response)


def _body(body: bytes, chance: random.Random) -> bytes:
    """A JSON body, or the data of each event, with odd values in it; anything else as it is."""
    if body.startswith(b"event:"):
        return re.sub(rb"(?<=data: ).*", lambda found: _body(found[0], chance), body)
    try:
        value = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_replaced(value, chance)).encode()


def _replaced(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.12:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {name: _replaced(inner, chance) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, chance) for inner in value]
    return value
