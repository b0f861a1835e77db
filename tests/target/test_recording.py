"""Evidence: what was recorded is what is read, in order, also after a kill; nothing is made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.errors import UsageError
from conformance.model import Credential, Exchange, Failure, Purpose, Request, Response
from conformance.target.recording import (
    Intent,
    Recorder,
    exchange_from_dict,
    exchange_to_dict,
    inspect,
    join,
    read_evidence,
)

PLAIN = Exchange(
    id="0-1",
    item="suite/test_operations.py::test_canonical[listModels]",
    operation="listModels",
    purpose=Purpose.CANONICAL,
    credential=Credential.OWNER,
    request=Request("GET", "http://h/v1/models", (("accept", "*/*"),)),
    started=0.5,
    ended=0.75,
    response=Response(200, (("content-type", "application/json"), ("x", "ÿ")), b'{"a": "\xc3\xa4"}'),
)

text = st.text(max_size=20)
pairs = st.lists(st.tuples(text, text), max_size=4).map(tuple)
exchanges = st.builds(
    Exchange,
    id=text,
    item=text,
    operation=text,
    purpose=st.sampled_from(Purpose),
    credential=st.sampled_from(Credential),
    request=st.builds(Request, text, text, pairs, st.binary(max_size=40)),
    started=st.floats(0, 1e6).map(lambda number: round(number, 6)),
    ended=st.floats(0, 1e6).map(lambda number: round(number, 6)),
    response=st.none() | st.builds(Response, st.integers(100, 599), pairs, st.binary(max_size=40)),
    failure=st.none() | st.sampled_from(Failure),
    detail=text,
    case=text,
    facts=st.dictionaries(text, st.integers() | text, max_size=2),
)


def _intent(exchange: Exchange) -> Intent:
    return Intent(
        exchange.id,
        exchange.item,
        exchange.operation,
        exchange.request.method,
        exchange.request.url,
        exchange.started,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(exchanges, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, found: list[Exchange]) -> None:
    """Any exchange, with any bytes and any text, comes back equal: stored evidence is judged alike."""
    path = tmp_path_factory.mktemp("evidence") / "evidence-0.jsonl"
    with Recorder(path, {"suite": "1"}) as recorder:
        for one in found:
            recorder.outcome(one)
    assert list(read_evidence([path])) == found
    assert inspect([path]).complete
    assert inspect([path]).exchanges == len(found)
    assert inspect([path]).headers[0]["suite"] == "1"


def test_text_stays_readable() -> None:
    """A body that is text is stored as text, any other as base64."""
    value = exchange_to_dict(PLAIN)
    assert value["response"]["body"] == '{"a": "ä"}'
    binary = replace(PLAIN, response=Response(200, (), b"\xff\x00"))
    assert exchange_to_dict(binary)["response"]["body64"] == "/wA="


def test_a_huge_body_is_cut_and_says_so() -> None:
    """What is left out of the evidence is told in the facts, with the size it had."""
    value = exchange_to_dict(PLAIN, max_body=5)
    back = exchange_from_dict(value)
    assert back.response is not None
    assert len(back.response.body) == 5
    assert back.facts["response_body_cut_from"] == 11


def test_a_killed_execution_leaves_whole_exchanges_and_its_last_intent(tmp_path: Path) -> None:
    """After SIGKILL the flushed intent of a create is on disk, and readers take all that is whole."""
    path = tmp_path / "evidence-0.jsonl"
    script = textwrap.dedent(
        """
        import os, signal, sys
        from conformance.target.recording import Intent, Recorder
        recorder = Recorder(sys.argv[1], {})
        recorder.intent(Intent("0-1", "item", "createThread", "POST", "http://h/threads", 1.0), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=False, cwd=Path(__file__).parents[2]
    )
    assert ended.returncode == -signal.SIGKILL
    with path.open("ab") as file:
        file.write(b'{"kind": "exchange", "started": 2.0, "id": "0-')
    assert list(read_evidence([path])) == []
    state = inspect([path])
    assert [intent.operation for intent in state.unfinished] == ["createThread"]
    assert not state.complete


def test_a_line_broken_in_the_middle_is_no_evidence(tmp_path: Path) -> None:
    """Only the end may be cut: a broken line with others behind it was tampered with."""
    path = tmp_path / "evidence-0.jsonl"
    with Recorder(path) as recorder:
        recorder.outcome(PLAIN)
    path.write_bytes(path.read_bytes().replace(b'"kind": "exchange"', b'"kind": exchange', 1))
    with pytest.raises(UsageError, match="line 2 is not evidence"):
        list(read_evidence([path]))


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Neither some other JSON nor evidence of an unknown format is read as if it were evidence."""
    path = tmp_path / "other.json"
    path.write_text('{"log": {}}\n')
    with pytest.raises(UsageError, match="not evidence"):
        list(read_evidence([path]))
    path.write_text('{"kind": "header", "format": 99}\n')
    with pytest.raises(UsageError, match="format 99"):
        list(read_evidence([path]))
    path.write_text('{"kind": "header", "format": 1}\n{"kind": "exchange", "id": "0-1"}\n')
    with pytest.raises(UsageError, match="0-1"):
        list(read_evidence([path]))


def test_a_missing_exchange_shows(tmp_path: Path) -> None:
    """A line taken out of the evidence does not go unnoticed."""
    path = tmp_path / "evidence-0.jsonl"
    with Recorder(path) as recorder:
        recorder.outcome(PLAIN)
        recorder.outcome(replace(PLAIN, id="0-2"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert not inspect([path]).complete


def test_joining_puts_workers_into_the_order_of_sending(tmp_path: Path) -> None:
    """One file, sorted by start, with the unanswered intents; complete only when every part was."""
    paths = [tmp_path / f"evidence-{worker}.jsonl" for worker in "01"]
    for number, path in enumerate(paths):
        with Recorder(path, {"target": "t"}) as recorder:
            for count in range(3):
                one = replace(PLAIN, id=f"{number}-{count}", started=count + number / 10, ended=count + 1.0)
                recorder.intent(_intent(one))
                recorder.outcome(one)
    out = tmp_path / "evidence.jsonl"
    assert join(paths, out) == 6
    assert [one.id for one in read_evidence([out])] == ["0-0", "1-0", "0-1", "1-1", "0-2", "1-2"]
    assert inspect([out]).complete
    assert inspect([out]).headers[0]["target"] == "t"

    with paths[1].open("ab") as file:
        file.write(b'{"kind": "intent", "started": 9, "id": "1-9", "item": "i", "operation": "o", ')
        file.write(b'"method": "POST", "url": "u"}\n')
    assert join(paths, out) == 6
    assert [intent.id for intent in inspect([out]).unfinished] == ["1-9"]
    assert not inspect([out]).complete


def test_evidence_is_for_its_owner_only(tmp_path: Path) -> None:
    """Bodies of a real deployment are nobody else's business on a shared machine."""
    with Recorder(tmp_path / "evidence-0.jsonl") as recorder:
        assert os.stat(recorder.path).st_mode & 0o077 == 0
    join([recorder.path], tmp_path / "evidence.jsonl")
    assert os.stat(tmp_path / "evidence.jsonl").st_mode & 0o077 == 0
