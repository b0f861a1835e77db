"""The judgement: each check accepts the honest exchange and refuses the one with its fault."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from conformance.checks import Judge, known_checks
from conformance.contract import load_contract
from conformance.contract.requirements import Requirements
from conformance.model import Credential, Exchange, Failure, Kind, Purpose, Request, Response, Result, Verdict

MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "us"}]}
ERROR = {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}
JSON = (("content-type", "application/json"),)


@pytest.fixture(scope="module")
def judge(portkey_requirements: Requirements) -> Judge:
    return Judge(portkey_requirements, lambda: load_contract("portkey", strictness="lenient"))


def exchange(
    operation: str = "listModels",
    purpose: Purpose = Purpose.CANONICAL,
    *,
    status: int = 200,
    body: Any = MODELS,
    headers: tuple[tuple[str, str], ...] = JSON,
    failure: Failure | None = None,
    credential: Credential = Credential.OWNER,
    facts: Mapping[str, Any] | None = None,
    method: str = "GET",
) -> Exchange:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answered = failure in (None, Failure.TRUNCATED, Failure.ENDLESS)
    return Exchange(
        id="main-1",
        item="item",
        operation=operation,
        purpose=purpose,
        credential=credential,
        request=Request(method, "http://127.0.0.1/v1/models", ()),
        started=0.0,
        ended=0.1,
        response=Response(status, headers, raw) if answered else None,
        failure=failure,
        detail="told" if failure else "",
        facts=facts or {},
    )


def verdicts(judge: Judge, *exchanges: Exchange) -> dict[str, Verdict]:
    return {result.requirement: result.verdict for result in judge.judge(exchanges).results}


def failed(judge: Judge, *exchanges: Exchange) -> set[str]:
    return {name for name, verdict in verdicts(judge, *exchanges).items() if verdict is Verdict.FAIL}


def test_every_judged_requirement_has_a_check_and_a_fault(portkey_requirements: Requirements) -> None:
    """A judged requirement without a check that exists, or without a fault, must be refused."""
    for requirement in portkey_requirements.all:
        if requirement.kind is Kind.JUDGED:
            assert requirement.check in known_checks(), requirement.id
            assert requirement.fault, requirement.id


def test_an_honest_answer_passes_and_reaches_its_operation(judge: Judge) -> None:
    """Nothing may be held against an honest exchange, and it counts as reached."""
    judgement = judge.judge([exchange()])
    assert {result.verdict for result in judgement.results} == {Verdict.PASS}
    assert judgement.reached == {"listModels"}
    assert judgement.judged_exchanges == 1


@pytest.mark.parametrize(
    ("purpose", "change", "expected"),
    [
        (Purpose.CANONICAL, {"status": 404, "body": ERROR}, {"OP-CANON-01"}),
        (Purpose.CANONICAL, {"status": 299}, {"OP-CANON-01", "RESP-STATUS-01"}),
        (Purpose.CANONICAL, {"status": 500, "body": ERROR}, {"OP-CANON-01", "RESP-5XX-01"}),
        (Purpose.CANONICAL, {"headers": (("content-type", "text/html"),)}, {"OP-CANON-01", "RESP-TYPE-01"}),
        (Purpose.CANONICAL, {"body": {"object": "list"}}, {"OP-CANON-01", "RESP-BODY-01"}),
        (Purpose.CANONICAL, {"body": b"{"}, {"OP-CANON-01", "RESP-BODY-01"}),
        (Purpose.CANONICAL, {"body": b"[" * 100_000}, {"OP-CANON-01", "RESP-BODY-01"}),
        (Purpose.CANONICAL, {"failure": Failure.TRUNCATED}, {"OP-CANON-01", "RESP-HTTP-01"}),
        (Purpose.CANONICAL, {"failure": Failure.BROKEN}, {"RESP-HTTP-01"}),
        (Purpose.EXAMPLE, {"status": 400, "body": ERROR}, {"OP-EXAMPLE-01"}),
        (Purpose.VALID, {"status": 400, "body": ERROR}, {"OP-VALID-01"}),
        (Purpose.INVALID, {"status": 500, "body": ERROR}, {"NEG-ROBUST-01"}),
        (Purpose.INVALID, {"status": 302, "body": b"", "headers": ()}, {"NEG-ROBUST-01", "RESP-STATUS-01"}),
        (Purpose.INVALID, {"failure": Failure.TIMEOUT}, {"NEG-ROBUST-01"}),
        (Purpose.INVALID, {"status": 200}, {"NEG-REJECT-01"}),
        (Purpose.INVALID, {"status": 400, "body": b"", "headers": ()}, {"NEG-ERROR-01", "RESP-TYPE-01"}),
        (Purpose.METHOD, {"status": 200, "method": "PUT"}, {"METHOD-01"}),
    ],
)
def test_a_fault_fails_what_it_breaks_and_nothing_else(
    judge: Judge, purpose: Purpose, change: dict[str, Any], expected: set[str]
) -> None:
    """Each deviation must be refused by the requirements it breaks, and only by those."""
    operation = "createModeration" if purpose is Purpose.EXAMPLE else "listModels"
    assert failed(judge, exchange(operation, purpose, **change)) - {"NEG-ERROR-01"} == expected - {
        "NEG-ERROR-01"
    }
    if "NEG-ERROR-01" in expected:
        assert "NEG-ERROR-01" in failed(judge, exchange(operation, purpose, **change))


def test_an_unknown_id_must_not_be_found(judge: Judge) -> None:
    """200 for an id that stands for nothing must be refused; 404 holds; 403 only where documented."""

    def answers(operation: str, status: int) -> set[str]:
        return failed(judge, exchange(operation, Purpose.UNKNOWN_ID, status=status, body=ERROR))

    assert "ID-UNKNOWN-01" not in answers("getThread", 404)
    assert "ID-UNKNOWN-01" in answers("getThread", 200)
    assert "ID-UNKNOWN-01" in answers("getThread", 403)
    assert "ID-UNKNOWN-01" not in answers("getGuardrail", 403)


@pytest.mark.parametrize(
    ("credential", "requirement"),
    [(Credential.ABSENT, "AUTH-NONE-01"), (Credential.REVOKED, "AUTH-REVOKED-01")],
)
def test_a_request_without_a_good_key_must_be_refused(
    judge: Judge, credential: Credential, requirement: str
) -> None:
    """200 or 404 without a credential must be refused; 401 holds."""

    def answers(status: int) -> set[str]:
        return failed(
            judge, exchange(purpose=Purpose.CREDENTIAL, status=status, body=ERROR, credential=credential)
        )

    assert requirement not in answers(401)
    assert requirement in answers(200)
    assert requirement in answers(404)


def test_a_silence_of_the_whole_target_is_an_outage(judge: Judge) -> None:
    """A time-out fails nothing when the probe sent right after it stayed unanswered as well."""
    silent = exchange("createThread", failure=Failure.TIMEOUT)
    probe = exchange(purpose=Purpose.PREFLIGHT, failure=Failure.TIMEOUT)
    later = dataclasses.replace(probe, started=1.0, ended=2.0)
    assert "RESP-HTTP-01" in failed(judge, silent)
    assert failed(judge, silent, later) == set()


def test_a_throttled_attempt_is_not_judged(judge: Judge) -> None:
    """A 429 that was sent again must count neither for nor against anything."""
    assert judge.judge([exchange(status=429, body=ERROR, facts={"throttled": True})]).results == ()


def test_an_outage_proves_nothing(judge: Judge) -> None:
    """A connection failure, or a time-out while the whole target is silent, must fail nothing."""
    for one in (
        exchange(failure=Failure.CONNECT),
        exchange(failure=Failure.BREAKER),
        exchange(failure=Failure.BUDGET),
        exchange(failure=Failure.TIMEOUT, facts={"alive": False}),
    ):
        found = verdicts(judge, one)
        assert set(found.values()) == {Verdict.INCONCLUSIVE}, found


def test_a_silent_operation_of_a_living_target_fails(judge: Judge) -> None:
    """A time-out while the rest of the target answers is the operation's own failure."""
    assert "RESP-HTTP-01" in failed(judge, exchange(failure=Failure.TIMEOUT, facts={"alive": True}))


def test_every_event_of_a_stream_is_judged(judge: Judge) -> None:
    """A stream whose second event is not valid must be refused; a good one holds."""
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
    }
    stream = (("content-type", "text/event-stream; charset=utf-8"),)

    def streamed(*values: Any) -> Exchange:
        body = "".join(f"data: {json.dumps(value)}\n\n" for value in values) + "data: [DONE]\n\n"
        return exchange(
            "createChatCompletion", Purpose.VALID, body=body.encode(), headers=stream, method="POST"
        )

    assert failed(judge, streamed(chunk, chunk)) == set()
    assert failed(judge, streamed(chunk, {**chunk, "choices": "none"})) == {"RESP-BODY-01"}


def test_equal_violations_share_a_fingerprint_and_are_kept_once(judge: Judge) -> None:
    """Ten answers with the same fault are one finding, judged ten times."""
    results: dict[str, Result] = {
        result.requirement: result for result in judge.judge([exchange(body={"object": "list"})] * 10).results
    }
    assert len(results["RESP-BODY-01"].findings) == 1
    assert results["RESP-BODY-01"].judged == 10


def test_unknown_operations_are_passed_over(judge: Judge) -> None:
    """Traffic of no operation of the contract must neither pass nor fail anything."""
    assert judge.judge([exchange("nobodyKnows")]).results == ()
