"""A made-up execution of the whole contract: every verdict, every kind of gap, hostile text."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from conformance.contract import load_contract
from conformance.model import (
    Credential,
    Exchange,
    Failure,
    Finding,
    Kind,
    Level,
    Operation,
    Plane,
    Purpose,
    Request,
    Requirement,
    Response,
    Result,
    Verdict,
)
from conformance.reporting.results import (
    ContractFacts,
    Execution,
    ItemOutcome,
    Kept,
    LedgerSummary,
    MemoryEvidence,
    OutOfScope,
    Totals,
    roll_up,
)

HOSTILE = (
    "</script><script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\u202egnp.exe\x00\ud800"
    " [bold]{{ 7*7 }} &amp; ]]>"
)

_AREAS = (
    "schema",
    "status",
    "errors",
    "authentication",
    "identity",
    "methods",
    "headers",
    "streaming",
    "lifecycle",
)
_LEVELS = (Level.MUST, Level.MUST, Level.SHOULD, Level.MUST, Level.MAY)


def requirements() -> tuple[Requirement, ...]:
    """24 judged or observed requirements, one duty of the suite."""
    judged = tuple(
        Requirement(
            id=f"{_AREAS[at % 9].upper()}-{at:02d}",
            area=_AREAS[at % 9],
            level=_LEVELS[at % 5],
            kind=Kind.OBSERVED if _LEVELS[at % 5] is Level.MAY else Kind.JUDGED,
            statement=f"Every answer to an honest request keeps rule {at} of {_AREAS[at % 9]}, always.",
            clause=f"OpenAPI 3.0.3 §4.7.{at}",
            observe="every response",
        )
        for at in range(24)
    )
    duty = Requirement(
        "SUITE-01", "suite", Level.MUST, Kind.SUITE, "Leave nothing behind.", "own", "the ledger"
    )
    return (*judged, duty)


def exchange(
    id_: str = "e1",
    operation: str = "createRun",
    *,
    body: bytes = b'{"model":"gpt"}',
    answer: bytes = b'{"object":"thread.run"}',
    status: int = 200,
    answer_type: str = "application/json",
    credential: Credential = Credential.OWNER,
    url: str = "http://127.0.0.1:8080/v1/threads/thread_1/runs?limit=2&order=asc",
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (
        ("content-type", "application/json"),
        ("x-portkey-api-key", "[owner key]"),
        ("host", "127.0.0.1:8080"),
    ),
    started: float = 1.5,
    failure: Failure | None = None,
) -> Exchange:
    """One exchange, all parts of it replaceable."""
    response = None
    if failure is None:
        response = Response(status, (("content-type", answer_type), ("x-request-id", "req_1")), answer)
    return Exchange(
        id=id_,
        item="suite::item",
        operation=operation,
        purpose=Purpose.CANONICAL,
        credential=credential,
        request=Request(method, url, headers, body),
        started=started,
        ended=started + 0.012,
        response=response,
        failure=failure,
        detail="connection refused" if failure else "",
    )


def operations() -> tuple[Operation, ...]:
    """The operations of the real contract."""
    return tuple(load_contract().operations)


def execution(
    *,
    bad: float = 0.02,
    unsure: float = 0.01,
    hostile: bool = True,
    claimed: int | None = None,
    **changes: Any,
) -> Execution:
    """An execution of the whole contract; ``bad`` and ``unsure`` are shares of the units."""
    dice = random.Random(7)
    everything = operations()
    scope = everything[: claimed or len(everything)]
    catalogue = requirements()
    universe = [(one.id, op.id) for op in scope for one in catalogue if one.kind is not Kind.SUITE]
    level = {one.id: one.level for one in catalogue}
    results: list[Result] = []
    exchanges: list[Exchange] = []
    for requirement, op in universe:
        roll = dice.random()
        id_ = f"x{len(exchanges):05d}"
        if roll < bad:
            number = len(exchanges)
            text = HOSTILE if hostile and number % 7 == 3 else "got 500, expected one of 200, 4XX"
            finding = Finding(
                requirement, level[requirement], op, id_, text, ("/data/0/id: required but missing",),
                f"{requirement}-{op}", stricter_than_practice=number % 9 == 8,
            )  # fmt: skip
            verdict = Verdict.WAIVED if number % 11 == 10 else Verdict.FAIL
            reason = (
                "accepted until 2027-01-01 by ops: known upstream fault" if verdict is Verdict.WAIVED else ""
            )
            results.append(Result(requirement, op, verdict, 4, (finding,), reason))
            exchanges.append(_exchange(id_, op, number, hostile))
        elif roll < bad + unsure:
            results.append(
                Result(
                    requirement, op, Verdict.INCONCLUSIVE, 0, (), "the budget of 5,000 requests is used up"
                )
            )
        elif roll < 0.15:
            results.append(
                Result(requirement, op, Verdict.NOT_APPLICABLE, 0, (), "the operation takes no body")
            )
        else:
            results.append(Result(requirement, op, Verdict.PASS, dice.randint(1, 30)))
            if len(exchanges) % 3 == 0:
                exchanges.append(exchange(id_, op))
    unreached = {op.id: "no answer: the budget is used up" for op in scope[5::37]} if unsure else {}
    facts = {
        "id": "2026-11-23T06-00-00Z-5f2c",
        "started": "2026-11-23T06:00:00+00:00",
        "ended": "2026-11-23T06:01:07+00:00",
        "seconds": 67.42,
        "suite_version": "0.1.0",
        "contract": ContractFacts("portkey", "2.0.0", "9b1c" * 16, "strict", 312),
        "target": {"name": "staging", "kind": "remote", "base_urls": {"data": "https://staging.example/v1"}},
        "effort": "standard",
        "seed": 1,
        "workers": 2,
        "command": "conformance run --target staging.toml --seed 1",
        "profile": "all",
        "operations": scope,
        "requirements": catalogue,
        "results": roll_up(results, universe),
        "out_of_scope": tuple(OutOfScope(op, "not in the profile") for op in everything[len(scope) :]),
        "items": tuple(
            ItemOutcome(f"suite/test_valid.py::test[{op.id}]", "valid", op.id, Verdict.PASS, "", 0.3, 11)
            for op in scope
        ),
        "reached": {op.id: op.id not in unreached for op in scope},
        "gaps": unreached,
        "totals": Totals(7_412, 7_380, 5_120),
        "ledger": LedgerSummary(
            412, 405, (Kept("fine_tuning_job", "ftjob-1", "the API has no delete"),) * 7, ()
        ),
        "memory": {"controller": 142_000_000, "gw0": 201_000_000, "gw1": 198_000_000},
        "evidence": MemoryEvidence(exchanges),
    }  # fmt: skip
    return Execution(**{**facts, **changes})


def _exchange(id_: str, operation: str, number: int, hostile: bool) -> Exchange:
    if not hostile or number % 4 == 0:
        answer = json.dumps({"error": {"message": "internal", "type": "server_error", "code": None}}).encode()
        return exchange(id_, operation, status=500, answer=answer)
    kinds: dict[int, tuple[bytes, str]] = {
        1: (b"x" * 1_000_000, "text/plain"),
        2: (b"\xff\xfe\x00binary" * 40, "application/octet-stream"),
        3: (HOSTILE.encode("utf-8", "surrogatepass"), "text/html"),
    }
    answer, media_type = kinds[number % 4]
    if number % 12 == 1:
        return exchange(id_, operation, failure=Failure.TIMEOUT)
    return exchange(id_, operation, answer=answer, answer_type=media_type, status=502)


@pytest.fixture(scope="session")
def make() -> Callable[..., Execution]:
    """Builds an execution of the whole contract."""
    return execution


@pytest.fixture(scope="session")
def make_exchange() -> Callable[..., Exchange]:
    return exchange


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def small() -> Callable[..., Execution]:
    """Builds an execution of two operations and given results; nothing else in it."""

    def build(
        results: tuple[Result, ...], levels: dict[str, Level] | None = None, **changes: Any
    ) -> Execution:
        given = levels or {one.requirement: Level.MUST for one in results}
        catalogue = tuple(
            Requirement(id_, "area", level, Kind.JUDGED, "It holds.", "§1", "responses")
            for id_, level in given.items()
        )
        pair = tuple(Operation(id_, "GET", f"/{id_}", "Pair", Plane.DATA) for id_ in ("one", "two"))
        base = execution(hostile=False, claimed=1)
        facts: dict[str, Any] = {
            "operations": pair, "requirements": catalogue, "results": results, "out_of_scope": (),
            "items": (), "reached": {"one": True, "two": True}, "gaps": {}, "ledger": LedgerSummary(),
        }  # fmt: skip
        return dataclasses.replace(base, **(facts | changes))

    return build
