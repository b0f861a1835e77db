"""Model responses and their streams: faults fail what they break, honest variants nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from areas.harness import failed, judged
from areas.makers import exchange, spoil, stream, verdicts
from areas.sharing import Teller
from conformance.contract import Contract, load_contract
from conformance.contract.requirements import Requirements, load_requirements
from conformance.contract.resources import load_graph
from conformance.exercise.scenarios import scenarios
from conformance.model import Exchange, Kind

NAMES = ("RSP-", "RSE-")
STORIES = tuple(name for name in scenarios() if name.startswith("response-"))
# Requirement → what else the same bug breaks.
ELSE: Mapping[str, set[str]] = {
    "RSP-01": {"RSP-05"},  # what is read is not what was stored
    "RSE-02": {"RSE-03"},  # the item ends before its deltas have come
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="module")
def requirements(contract: Contract) -> Requirements:
    return load_requirements(contract, load_graph(contract))


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    with Teller(tmp_path_factory.mktemp("responses")) as found:
        yield found


def _judged_requirements() -> list[str]:
    contract = load_contract()
    known = load_requirements(contract, load_graph(contract))
    return [one.id for one in known.all if one.id.startswith(NAMES) and one.kind is Kind.JUDGED]


@pytest.mark.parametrize("name", _judged_requirements())
def test_a_requirement_is_failed_by_its_fault(name: str, teller: Teller, requirements: Requirements) -> None:
    """The fault must fail the requirement, and beside it only what the same bug breaks."""
    requirement = requirements.get(name)
    found = failed(teller.tell(requirement.scenarios, requirement.fault))
    assert name in found
    assert found <= {name, *ELSE.get(name, ())}


def test_an_honest_gateway_fails_nothing_and_leaves_nothing_unjudged(
    tmp_path: Path, requirements: Requirements
) -> None:
    """No finding at any level, no story broken off, every unit judged; hostile values raise nothing."""
    with Teller(tmp_path) as teller:
        reports = teller.tell(STORIES)
        exchanges = teller.stop()
    assert [finding for report in reports for finding in report.findings] == []
    assert [(report.nodeid, report.reason) for report in reports if report.reason] == []
    units = {unit for unit in requirements.universe if unit[0].startswith(NAMES)}
    assert units - judged(reports) == set()
    checks = [one.check for one in requirements.all if one.id.startswith(NAMES) and one.check]
    spoil(exchanges, checks, requirements.contract)


# What an honest target may do


def response(**fields: Any) -> dict[str, Any]:
    base = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": []}
    return {**base, "error": None, "incomplete_details": None, **fields}


def created(contract: Contract, body: Any, at: float = 1, **fields: Any) -> Exchange:
    return exchange(contract, "createResponse", response(**fields), at=at, body=body)


@pytest.mark.parametrize(
    ("asked", "fields", "right"),
    [
        ({"model": "gpt-x"}, {"model": "gpt-x-2025-01-01"}, True),
        ({"model": "@openai-prod/gpt-x"}, {"model": "gpt-x"}, True),
        ({"model": "gpt-x"}, {"model": "openai/gpt-x"}, True),
        ({"model": "gpt-x"}, {"model": "other"}, False),
        ({"model": "m", "temperature": 1}, {"temperature": 1.0}, True),
        ({"model": "m", "temperature": None}, {"temperature": 1.0}, True),
        ({"model": "m", "temperature": 0.2}, {"temperature": 1.0}, False),
        ({"model": "m", "tools": []}, {"tools": []}, True),
        (
            {"model": "m", "tools": [{"type": "function", "name": "f"}]},
            {"tools": [{"type": "function", "name": "f", "strict": True}]},
            True,
        ),
        ({"model": "m", "tools": [{"type": "function", "name": "f"}]}, {"tools": []}, False),
        ({"model": "m", "metadata": {}}, {"metadata": None}, True),
        ({"model": "m", "metadata": {"a": "b"}}, {"metadata": {}}, False),
    ],
)
def test_a_response_repeats_its_request(asked: Any, fields: Any, right: bool, contract: Contract) -> None:
    """Defaults may be added and models named more closely; what was asked for must be there."""
    made = created(contract, asked, **fields)
    assert verdicts("model_responses.echoed", [made], contract) == {made.id: right}


def test_a_response_that_had_not_ended_may_change(contract: Contract) -> None:
    """Only what had ended is read back the same; a read that failed, or overlaps a delete, says nothing."""
    running = created(contract, {"model": "m"}, status="in_progress")
    made = created(contract, {"model": "m"})

    def read(at: float, status: int = 200, **fields: Any) -> Exchange:
        return exchange(
            contract, "getResponse", response(**fields), at=at, status=status, response_id="resp_1"
        )

    check = "model_responses.stored"
    assert verdicts(check, [running, read(3)], contract) == {}
    other, lost, busy = read(3, output=[{"id": "x"}]), read(4, status=404), read(5, status=429)
    found = verdicts(check, [made, other, lost, busy], contract)
    assert found == {other.id: False, lost.id: False, busy.id: None}
    gone = exchange(contract, "deleteResponse", {}, at=2.5, until=6, response_id="resp_1")
    assert verdicts(check, [made, gone, lost], contract) == {}
    secret = created(contract, {"model": "m", "store": False})
    assert verdicts(check, [secret, lost, other], contract) == {lost.id: True, other.id: False}


def test_input_items_are_compared_as_messages(contract: Contract) -> None:
    """Text or parts are the same; the order is the one asked for; part of a list is not judged."""
    talk = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    made = created(contract, {"model": "m", "input": talk})
    items = [
        {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {
            "id": "b",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "two"}],
        },
    ]

    def page(at: float, data: Any, query: str = "", more: bool = False) -> Exchange:
        value = {"object": "list", "data": data, "has_more": more}
        return exchange(contract, "listInputItems", value, at=at, query=query, response_id="resp_1")

    pages = [
        page(3, items),
        page(4, items[::-1], "order=desc"),
        page(5, items[::-1]),
        page(6, items[:1]),
        page(7, items[:1], "limit=1", more=True),
    ]
    found = verdicts("model_responses.input_kept", [made, *pages], contract)
    assert list(found.values()) == [True, True, False, False]


# Streams

TEXT = {"type": "output_text", "text": "ab", "annotations": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}
AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "response.created", "response": response(status="in_progress")},
    {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
    {"type": "response.content_part.added", **AT, "part": {**TEXT, "text": ""}},
    {"type": "response.output_text.delta", **AT, "delta": "a"},
    {"type": "response.output_text.delta", **AT, "delta": "b"},
    {"type": "response.output_text.done", **AT, "text": "ab"},
    {"type": "response.content_part.done", **AT, "part": TEXT},
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
    {"type": "response.completed", "response": response(output=[MESSAGE])},
)
RULES = ("framed", "nested", "reassembled", "referring", "begins_empty", "named", "ends_as_stored")


def streamed(contract: Contract, events: Any, tail: bytes = b"") -> Exchange:
    body = stream(*((one["type"], one) for one in events)) + tail
    return exchange(contract, "createResponse", body, at=1, body={"model": "m", "stream": True})


UNKNOWN = {"type": "response.reasoning_summary_part.added", "item_id": "rs_1", "summary_index": 0}


@pytest.mark.parametrize(
    ("events", "tail"),
    [
        (EVENTS, b""),
        (EVENTS, b"data: [DONE]\n\n"),
        ((*EVENTS[:3], UNKNOWN, *EVENTS[3:]), b""),
        ((EVENTS[0], {"type": "error", "code": "server_error", "message": "No.", "param": None}), b""),
        (
            (
                EVENTS[0],
                {"type": "response.failed", "response": response(status="failed", error={"code": "a"})},
            ),
            b"",
        ),
    ],
)
def test_an_honest_stream_breaks_no_rule(events: Any, tail: bytes, contract: Contract) -> None:
    """Neither a closing mark nor an event nobody knows, nor a failure that is told, is a fault."""
    made = streamed(contract, events, tail)
    for rule in RULES:
        assert verdicts(f"response_streams.{rule}", [made], contract) == {made.id: True}, rule


def changed(at: int, **fields: Any) -> tuple[dict[str, Any], ...]:
    return (*EVENTS[:at], {**EVENTS[at], **fields}, *EVENTS[at + 1 :])


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        ("framed", EVENTS[1:]),
        ("framed", EVENTS[:-1]),
        ("framed", (*EVENTS, EVENTS[3])),
        ("framed", (*EVENTS[:-1], {"type": "response.failed", "response": response()})),
        ("nested", (*EVENTS[:6], *EVENTS[7:])),
        ("nested", (*EVENTS[:7], EVENTS[8])),
        ("nested", (*EVENTS[:5], EVENTS[6], EVENTS[5], *EVENTS[7:])),
        ("nested", (*EVENTS[:8], EVENTS[4], EVENTS[8])),
        ("reassembled", changed(4, delta="c")),
        ("reassembled", changed(5, text="abc")),
        ("reassembled", changed(6, part={**TEXT, "text": "a"})),
        ("referring", changed(3, item_id="msg_2")),
        ("referring", changed(3, content_index=1)),
        ("referring", changed(1, output_index=1)),
        ("begins_empty", changed(0, response=response())),
        ("ends_as_stored", changed(8, response=response(id="resp_2"))),
    ],
)
def test_a_broken_stream_is_noticed(rule: str, events: Any, contract: Contract) -> None:
    """One event missing, moved or altered must fail the rule it breaks."""
    made = streamed(contract, events)
    assert verdicts(f"response_streams.{rule}", [made], contract) == {made.id: False}
